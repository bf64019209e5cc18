"""What a shop sells, as WooCommerce rows: products, variations, categories, taxes.

Belongs here: `ShopData.items` and `promotions` drawn in WooCommerce's way, and how a row's derived fields (price, on_sale, stock_status)
follow from the others; the writes use the same rules.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.servers.money import half_up, printed, two_decimals
from sandbox.servers.slugs import slug
from sandbox.servers.table import Row, Table
from sandbox.servers.woocommerce_shapes import (
    BLANK_PRODUCT,
    BLANK_VARIATION,
    LOCAL,
    Home,
    item_links,
    permalink,
    price_html,
    variation_links,
)
from sandbox.shop_data import ShopData

UNCATEGORISED = 15
TAX_CLASSES = ("", "reduced-rate", "zero-rate")
Clock = Callable[[], datetime]


class TaxClasses:
    """Tax rates and the classes that carry them: the highest is the standard one, nothing is the zero rate."""

    def __init__(self, rates_bp: list[int], country: str) -> None:
        ranked = sorted({rate for rate in rates_bp if rate > 0}, reverse=True)
        names = ["", "reduced-rate", *(f"rate-{rate}" for rate in ranked[2:])]
        self.by_rate: dict[int, str] = dict(zip(ranked, names, strict=False))
        if 0 in rates_bp or not ranked:
            self.by_rate[0] = "zero-rate"
        self.rate_ids = {rate: number for number, rate in enumerate(self.by_rate, 1)}
        self.country = country

    def slug_of(self, rate_bp: int | None) -> str:
        """Class of a rate."""
        return self.by_rate.get(rate_bp or 0, "")

    def rate_of(self, tax_class: str) -> int:
        """Rate of a class, basis points."""
        return next((rate for rate, name in self.by_rate.items() if name == tax_class), 0)

    def label(self, rate_bp: int) -> str:
        """Name of a rate as the shop shows it."""
        return f"TVA {rate_bp / 100:g}%".replace(".", ",")

    def rows(self, home: Home) -> Table:
        """Rows of /taxes."""
        ids = {number: rate for rate, number in self.rate_ids.items()}

        def row(number: int) -> Row:
            rate = ids[number]
            return {
                "id": number,
                "country": self.country,
                "state": "",
                "postcode": "",
                "city": "",
                "rate": f"{rate // 100}.{rate % 100:02d}00",
                "name": self.label(rate),
                "priority": 1,
                "compound": False,
                "shipping": True,
                "order": number - 1,
                "class": self.by_rate[rate] or "standard",
                "postcodes": [],
                "cities": [],
                "_links": item_links(home(), f"taxes/{number}"),
            }

        return Table(sorted(ids), row)

    def classes(self, home: Home) -> list[Row]:
        """Rows of /taxes/classes."""
        slugs = ["standard", *(name for name in (*TAX_CLASSES[1:], *self.by_rate.values()) if name)]
        return [
            {
                "slug": name,
                "name": f"{name.replace('-rate', '').replace('-', ' ').capitalize()} rate",
                "_links": {"collection": [{"href": f"{home()}/wp-json/wc/v3/taxes/classes"}]},
            }
            for name in dict.fromkeys(slugs)
        ]


class Derived:
    """Fields that follow from others: price, on_sale, purchasable, price_html, stock_status, backordered."""

    def __init__(self, taxes: TaxClasses, currency: str, clock: Clock) -> None:
        self._taxes = taxes
        self._currency = currency
        self._clock = clock

    def now(self) -> str:
        """The present in UTC, as rows print it."""
        return self._clock().astimezone(UTC).strftime(LOCAL)

    def settle(self, row: Row) -> None:
        """Set a product's or variation's derived fields in place."""
        is_variable = row.get("type") == "variable"
        if not is_variable:
            is_reduced = row["sale_price"] != "" and self._in_window(row)
            row["on_sale"] = is_reduced
            row["price"] = row["sale_price"] if is_reduced else row["regular_price"]
            row["purchasable"] = row["price"] != ""
            if "price_html" in row:
                row["price_html"] = self.tag(row)
        if row["manage_stock"] is True:
            settle_stock(row)

    def _in_window(self, row: Row) -> bool:
        now = self.now()
        starts, ends = row["date_on_sale_from_gmt"], row["date_on_sale_to_gmt"]
        return (starts is None or starts <= now) and (ends is None or now <= ends)

    def tag(self, row: Row) -> str:
        """The price tag of a row."""
        if row["price"] == "":
            return ""
        rate = self._taxes.rate_of(row["tax_class"]) if row["tax_status"] == "taxable" else 0
        net = self._net(row["price"], rate)
        return price_html(self._currency, net, self._net(row["regular_price"], rate) if row["on_sale"] else None)

    @staticmethod
    def _net(price: str, rate: int) -> str:
        whole, _, decimals = price.partition(".")
        minor = int(whole or 0) * 100 + int((decimals + "00")[:2])
        net = half_up(minor * 10_000, 10_000 + rate)
        return f"{net // 100:,}.{net % 100:02d}"


def settle_stock(row: Row) -> None:
    """Set what follows from a managed quantity."""
    row["backorders_allowed"] = row["backorders"] in ("yes", "notify")
    quantity = row["stock_quantity"] or 0
    row["backordered"] = row["backorders_allowed"] and quantity <= 0
    row["stock_status"] = "instock" if quantity > 0 else "onbackorder" if row["backorders_allowed"] else "outofstock"


class Catalogue:
    """Looks up a shop's items and draws their rows. ``home`` gives the shop's URL, ``clock`` its present."""

    def __init__(self, data: ShopData, taxes: TaxClasses, derived: Derived, home: Home) -> None:
        self._taxes, self._derived, self._home = taxes, derived, home
        self._currency = data.currency
        items = data.items.sort("item_id")
        ids = items["item_id"].to_list()
        plain = items.drop("created_at", "updated_at").to_dicts()
        self.items: dict[int, dict[str, Any]] = dict(zip(ids, plain, strict=True))
        for source, name in (("created_at", "date_created"), ("updated_at", "date_modified")):
            for zone, suffix in ((data.time_zone, ""), ("UTC", "_gmt")):
                for item_id, text in zip(ids, printed(items[source], zone, LOCAL), strict=True):
                    self.items[item_id][name + suffix] = text
        self.children: dict[int, list[int]] = {}
        for item_id, item in self.items.items():
            if item["parent_id"] is not None:
                self.children.setdefault(item["parent_id"], []).append(item_id)
        self.products = [item_id for item_id in ids if self.items[item_id]["parent_id"] is None]
        self.variations = [item_id for item_id in ids if self.items[item_id]["parent_id"] is not None]
        names = sorted({item["category"] for item in self.items.values() if item["category"]})
        self._categories = {name: UNCATEGORISED + number for number, name in enumerate(names, 1)}
        self._promotions = self._promotions_by_item(data)

    def _promotions_by_item(self, data: ShopData) -> dict[int, dict[str, Any]]:
        """One sale per item, all that WooCommerce can hold: the one running or to come, else the latest."""
        promotions = data.promotions
        starts = printed(promotions["starts_at"], "UTC", LOCAL)
        ends = printed(promotions["ends_at"].dt.offset_by("-1s"), "UTC", LOCAL)
        held: dict[int, dict[str, Any]] = {}
        for promotion, start, end in zip(promotions.to_dicts(), starts, ends, strict=True):
            sale = {"minor": promotion["promotion_minor"], "from": start, "to": end}
            known = held.get(promotion["item_id"])
            if known is None or self._rank(sale) > self._rank(known):
                held[promotion["item_id"]] = sale
        self._zone = data.time_zone
        return held

    def _rank(self, sale: dict[str, Any]) -> tuple[int, str]:
        now, starts, ends = self._derived.now(), sale["from"] or "", sale["to"] or "9999"
        if ends < now:
            return 0, ends
        return (2, starts) if starts <= now else (1, starts)

    def tables(self) -> dict[str, Table]:
        """Rows of the catalogue's collections."""
        return {
            "products": Table(self.products, self.product, columns=self._columns(self.products)),
            "variations": Table(
                self.variations,
                self.variation,
                columns={
                    **self._columns(self.variations),
                    "parent_id": [self.items[item_id]["parent_id"] for item_id in self.variations],
                },
            ),
            "products/categories": Table([UNCATEGORISED, *self._categories.values()], self.category),
            "taxes": self._taxes.rows(self._home),
        }

    def _columns(self, ids: list[int]) -> dict[str, list[Any]]:
        return {
            "id": ids,
            "status": ["publish" if self.items[item_id]["is_active"] else "draft" for item_id in ids],
            "date_created_gmt": [self.items[item_id]["date_created_gmt"] for item_id in ids],
            "date_modified_gmt": [self.items[item_id]["date_modified_gmt"] for item_id in ids],
        }

    def _common(self, item: dict[str, Any]) -> Row:
        """What products and variations print alike."""
        regular = item["regular_minor"]
        sale = self._promotions.get(item["item_id"])
        row: Row = {
            name: item[name] for name in ("date_created", "date_created_gmt", "date_modified", "date_modified_gmt")
        }
        row |= {
            "sku": item["sku"] or "",
            "global_unique_id": item["gtin"] or "",
            "regular_price": "" if regular is None else two_decimals(regular),
            "sale_price": "",
            "status": "publish" if item["is_active"] else "draft",
            "virtual": item["kind"] in ("service", "gift_card"),
            "tax_status": "none" if item["kind"] == "gift_card" and not item["tax_rate_bp"] else "taxable",
            "tax_class": self._taxes.slug_of(item["tax_rate_bp"]),
            "manage_stock": bool(item["manage_stock"]),
            "stock_quantity": item["stock_qty"] if item["manage_stock"] else None,
            "backorders": "notify" if item["is_backorder_allowed"] else "no",
            "backorders_allowed": bool(item["is_backorder_allowed"]),
            "weight": f"{item['weight_g'] / 1000:g}" if item["weight_g"] else "",
        }
        if sale is not None and regular is not None and sale["minor"] < regular:
            row["sale_price"] = two_decimals(sale["minor"])
            for side in ("from", "to"):
                row[f"date_on_sale_{side}_gmt"] = sale[side]
                row[f"date_on_sale_{side}"] = local_of(sale[side], self._zone)
        return row

    def product(self, item_id: int) -> Row:
        """One row of /products."""
        item = self.items[item_id]
        home = self._home()
        children = self.children.get(item_id, [])
        name = item["name"] or ""
        category = item["category"]
        number = self._categories.get(category, UNCATEGORISED)
        label = category or "Uncategorized"
        row = {
            **BLANK_PRODUCT,
            **self._common(item),
            "id": item_id,
            "name": name,
            "slug": slug(name),
            "permalink": permalink(home, slug(name)),
            "type": "variable" if children or item["kind"] == "variable" else "simple",
            "categories": [{"id": number, "name": label, "slug": slug(label)}],
            "shipping_required": item["kind"] not in ("service", "gift_card"),
            "variations": children,
            "has_options": bool(children),
        }
        row = {name: row[name] for name in BLANK_PRODUCT}
        if children:
            options = [self._label(child) for child in children]
            row["attributes"] = [
                {
                    "id": 0,
                    "name": "Variante",
                    "slug": "Variante",
                    "position": 0,
                    "visible": True,
                    "variation": True,
                    "options": list(dict.fromkeys(options)),
                }
            ]
            row["regular_price"] = row["sale_price"] = ""
            for side in ("from", "from_gmt", "to", "to_gmt"):
                row[f"date_on_sale_{side}"] = None
            self.sum_up(row, [self.variation(child) for child in children])
        self._derived.settle(row)
        row["_links"] = item_links(home, f"products/{item_id}")
        return row

    def sum_up(self, parent: Row, variations: list[Row]) -> None:
        """Set what a variable product shows of its variations: the lowest price, whether one is reduced, whether one is in stock."""
        prices = sorted((row["price"] for row in variations if row["price"] and row["status"] == "publish"), key=float)
        parent["price"] = prices[0] if prices else ""
        parent["purchasable"] = bool(prices)
        parent["on_sale"] = any(row["on_sale"] for row in variations)
        if parent["manage_stock"] is not True:
            states = [row["stock_status"] for row in variations]
            parent["stock_status"] = next(
                (state for state in ("instock", "onbackorder") if state in states), "outofstock"
            )
        if prices:
            rate = self._taxes.rate_of(parent["tax_class"])
            nets = [half_up(int(price.replace(".", "")) * 10_000, 10_000 + rate) for price in (prices[0], prices[-1])]
            tags = [price_html(self._currency, two_decimals(net)) for net in dict.fromkeys(nets)]
            parent["price_html"] = ' <span aria-hidden="true">&ndash;</span> '.join(tags)

    def _label(self, item_id: int) -> str:
        item = self.items[item_id]
        parent_name = self.items[item["parent_id"]]["name"] or ""
        return (item["name"] or "").removeprefix(parent_name).strip(" -–,/") or str(item_id)

    def variation(self, item_id: int) -> Row:
        """One row of /products/{id}/variations. Without a SKU of its own it shows its parent's."""
        item = self.items[item_id]
        parent = self.items[item["parent_id"]]
        home = self._home()
        label = self._label(item_id)
        row = {
            **BLANK_VARIATION,
            **self._common(item),
            "id": item_id,
            "permalink": permalink(home, slug(parent["name"] or ""), {"variante": label}),
            "attributes": [{"id": 0, "name": "Variante", "slug": "variante", "option": label}],
            "name": label,
            "parent_id": item["parent_id"],
        }
        if not row["sku"]:
            row["sku"] = parent["sku"] or ""
        if row["status"] == "draft":
            row["status"] = "private"
        if not item["manage_stock"] and parent["manage_stock"]:
            row["manage_stock"] = "parent"
            row["stock_quantity"] = parent["stock_qty"]
        self._derived.settle(row)
        row["_links"] = variation_links(home, item["parent_id"], item_id)
        return row

    def category(self, number: int) -> Row:
        """One row of /products/categories."""
        names = {held: name for name, held in self._categories.items()}
        name = names.get(number, "Uncategorized")
        count = sum(
            1
            for item_id in self.products
            if self._categories.get(self.items[item_id]["category"], UNCATEGORISED) == number
        )
        return {
            "id": number,
            "name": name,
            "slug": slug(name),
            "parent": 0,
            "description": "",
            "display": "default",
            "image": None,
            "menu_order": 0,
            "count": count,
            "_links": item_links(self._home(), f"products/categories/{number}"),
        }


def local_of(gmt: str | None, zone: str) -> str | None:
    """A printed UTC time in the shop's zone."""
    if gmt is None:
        return None
    return datetime.strptime(gmt, LOCAL).replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).strftime(LOCAL)


def gmt_of(local: str | None, zone: str) -> str | None:
    """A time printed in the shop's zone, in UTC; the first of the two in an hour that comes twice."""
    if local is None:
        return None
    return datetime.strptime(local, LOCAL).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).strftime(LOCAL)
