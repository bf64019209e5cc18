"""What a shop sells, as PrestaShop rows: products, combinations, stock, promotions, categories.

Belongs here: `ShopData.items`, `kit_items` and `promotions` drawn in PrestaShop's way.
"""

from __future__ import annotations

from typing import Any

from sandbox.servers.money import minor_six, net_micro, printed, six_decimals
from sandbox.servers.prestashop_resources import NO_DATE, RESOURCES, texts
from sandbox.servers.slugs import slug
from sandbox.servers.table import Row, Table
from sandbox.shop_data import ShopData

LOCAL = "%Y-%m-%d %H:%M:%S"
ROOT, HOME = 1, 2


class Catalogue:
    """Looks up a shop's items and draws their rows.

    ``rates_bp``: tax rates in the order of their ids (1, 2, ...).
    """

    def __init__(self, data: ShopData, rates_bp: list[int]) -> None:
        zone = data.time_zone
        items = data.items.sort("item_id")
        self.items: dict[int, dict[str, Any]] = {
            item["item_id"]: item for item in items.drop("created_at", "updated_at").to_dicts()
        }
        created = printed(items["created_at"], zone, LOCAL)
        updated = printed(items["updated_at"], zone, LOCAL)
        self._created = dict(zip(items["item_id"].to_list(), created, strict=True))
        self._updated = dict(zip(items["item_id"].to_list(), updated, strict=True))
        self._group = {rate: str(number) for number, rate in enumerate(rates_bp, 1)}
        self.children: dict[int, list[int]] = {}
        for item in self.items.values():
            if item["parent_id"] is not None:
                self.children.setdefault(item["parent_id"], []).append(item["item_id"])
        self.products = [item_id for item_id, item in self.items.items() if item["parent_id"] is None]
        self.combinations = [item_id for item_id, item in self.items.items() if item["parent_id"] is not None]
        self._kits: dict[int, list[dict[str, int]]] = {}
        for part in data.kit_items.to_dicts():
            self._kits.setdefault(part["kit_id"], []).append(part)
        names = sorted({item["category"] for item in self.items.values() if item["category"]})
        self._categories = {name: number for number, name in enumerate(names, HOME + 1)}
        self._stock_ids = {item_id: number for number, item_id in enumerate(self.products + self.combinations, 1)}
        self._options = self._option_values()
        self._promotions = data.promotions
        self._zone = zone

    def tables(self) -> dict[str, Table]:
        """Rows of the catalogue's resources."""
        products = self.products
        return {
            "products": Table(
                products,
                self.product,
                columns={
                    "id": products,
                    "date_upd": [self._updated[item_id] for item_id in products],
                    "reference": [self.items[item_id]["sku"] or "" for item_id in products],
                    "active": ["1" if self.items[item_id]["is_active"] else "0" for item_id in products],
                },
            ),
            "combinations": Table(
                self.combinations,
                self.combination,
                columns={
                    "id": self.combinations,
                    "id_product": [str(self.items[item_id]["parent_id"]) for item_id in self.combinations],
                },
            ),
            "stock_availables": Table.of_rows(self.stock_rows()),
            "specific_prices": Table.of_rows(self.specific_price_rows()),
            "categories": Table.of_rows(self.category_rows()),
            "product_options": Table.of_rows(self.option_rows()),
            "product_option_values": Table.of_rows(self.option_value_rows()),
        }

    def owner(self, item_id: int) -> tuple[int, int]:
        """(product id, combination id or 0) of an item."""
        parent = self.items[item_id]["parent_id"]
        return (item_id, 0) if parent is None else (parent, item_id)

    def gross_minor(self, item_id: int) -> int:
        """Regular price with tax; a parent without one has its cheapest variation's."""
        price: int | None = self.items[item_id]["regular_minor"]
        if price is None:
            return min((self.gross_minor(child) for child in self.children.get(item_id, [])), default=0)
        return price

    def micro(self, item_id: int) -> int:
        """Regular price without tax, in millionths."""
        return net_micro(self.gross_minor(item_id), self.items[item_id]["tax_rate_bp"] or 0)

    def tax_group(self, rate_bp: int | None) -> str:
        """Id of the tax rule group of a rate."""
        return self._group.get(rate_bp or 0, "0")

    def product(self, item_id: int) -> Row:
        """One row of /products."""
        item = self.items[item_id]
        children = self.children.get(item_id, [])
        kind = {"kit": "pack", "service": "virtual", "gift_card": "virtual"}.get(item["kind"], "simple")
        product_type = "combinations" if children else {"simple": "standard"}.get(kind, kind)
        category = str(self._categories.get(item["category"], HOME))
        associations: dict[str, list[dict[str, str]]] = {"categories": [{"id": str(HOME)}]}
        if category != str(HOME):
            associations["categories"].append({"id": category})
        if children:
            associations["combinations"] = [{"id": str(child)} for child in children]
            values = dict.fromkeys(self._options[child] for child in children)
            associations["product_option_values"] = [{"id": str(value)} for value in values]
        associations["stock_availables"] = [
            {"id": str(self._stock_ids[held]), "id_product_attribute": str(0 if held == item_id else held)}
            for held in (item_id, *children)
        ]
        if item_id in self._kits:
            associations["product_bundle"] = [self._bundled(part) for part in self._kits[item_id]]
        name = item["name"] or ""
        return {
            **RESOURCES["products"].blank,
            "id": item_id,
            "id_category_default": category,
            "cache_default_attribute": str(children[0]) if children else "0",
            "id_default_combination": children[0] if children else 0,
            "id_tax_rules_group": self.tax_group(item["tax_rate_bp"]),
            "type": kind,
            "reference": item["sku"] or "",
            "weight": six_decimals((item["weight_g"] or 0) * 1000),
            **_codes(item["gtin"]),
            "cache_is_pack": "1" if kind == "pack" else "0",
            "is_virtual": "1" if kind == "virtual" else "0",
            "product_type": product_type,
            "price": six_decimals(self.micro(item_id)),
            "active": "1" if item["is_active"] else "0",
            "date_add": self._created[item_id] or NO_DATE,
            "date_upd": self._updated[item_id] or NO_DATE,
            "link_rewrite": texts(slug(name)),
            "name": texts(name),
            "associations": associations,
        }

    def _bundled(self, part: dict[str, int]) -> dict[str, str]:
        product, combination = self.owner(part["component_id"])
        return {"id": str(product), "id_product_attribute": str(combination), "quantity": str(part["qty"])}

    def combination(self, item_id: int) -> Row:
        """One row of /combinations: its price is an impact on the product's."""
        item = self.items[item_id]
        parent = item["parent_id"]
        parent_weight = self.items[parent]["weight_g"] or 0
        return {
            **RESOURCES["combinations"].blank,
            "id": item_id,
            "id_product": str(parent),
            **_codes(item["gtin"]),
            "reference": item["sku"] or "",
            "price": six_decimals(self.micro(item_id) - self.micro(parent)),
            "weight": six_decimals(((item["weight_g"] or parent_weight) - parent_weight) * 1000),
            "default_on": "1" if self.children[parent][0] == item_id else "",
            "associations": {"product_option_values": [{"id": str(self._options[item_id])}]},
        }

    def stock_rows(self) -> list[Row]:
        """One row per product (the sum of its combinations, if any) and one per combination."""
        blank = RESOURCES["stock_availables"].blank
        rows = []
        for item_id, row_id in self._stock_ids.items():
            item = self.items[item_id]
            product, combination = self.owner(item_id)
            children = self.children.get(item_id)
            quantity = (
                sum(self.items[child]["stock_qty"] or 0 for child in children) if children else item["stock_qty"] or 0
            )
            rows.append(
                {
                    **blank,
                    "id": row_id,
                    "id_product": str(product),
                    "id_product_attribute": str(combination),
                    "quantity": str(quantity),
                    "out_of_stock": "1" if item["is_backorder_allowed"] else "2",
                }
            )
        return rows

    def specific_price_rows(self) -> list[Row]:
        """One row per promotion: a percentage where one gives the price to the cent, else an amount off, tax included."""
        promotions = self._promotions
        starts = printed(promotions["starts_at"], self._zone, LOCAL)
        # the shop's window ends at its last second, ours just after it
        ends = printed(promotions["ends_at"].dt.offset_by("-1s"), self._zone, LOCAL)
        rows = []
        for number, (promotion, start, end) in enumerate(zip(promotions.to_dicts(), starts, ends, strict=True), 1):
            product, combination = self.owner(promotion["item_id"])
            regular = self.gross_minor(promotion["item_id"])
            off = regular - promotion["promotion_minor"]
            is_percentage = regular > 0 and off * 100 % regular == 0
            rows.append(
                {
                    **RESOURCES["specific_prices"].blank,
                    "id": number,
                    "id_product": str(product),
                    "id_product_attribute": str(combination),
                    "reduction": six_decimals(off * 1_000_000 // regular) if is_percentage else minor_six(off),
                    "reduction_type": "percentage" if is_percentage else "amount",
                    "from": start or NO_DATE,
                    "to": end or NO_DATE,
                }
            )
        return rows

    def category_rows(self) -> list[Row]:
        """Root, Home and one category per name, under Home."""
        blank = RESOURCES["categories"].blank
        held: dict[str, list[dict[str, str]]] = {}
        for item_id in self.products:
            held.setdefault(self.items[item_id]["category"] or "", []).append({"id": str(item_id)})
        everything = [{"id": str(item_id)} for item_id in self.products]
        below = [{"id": str(number)} for number in self._categories.values()]
        root_lists: dict[str, Any] = {"categories": [{"id": str(HOME)}]}
        home_lists: dict[str, Any] = {"categories": below, "products": everything}
        rows = [
            {**blank, "id": ROOT, "name": texts("Root", "Racine"), "associations": root_lists},
            {
                **blank,
                "id": HOME,
                "id_parent": str(ROOT),
                "level_depth": "1",
                "is_root_category": "1",
                "nb_products_recursive": str(len(everything)),
                "name": texts("Home", "Accueil"),
                "associations": {name: value for name, value in home_lists.items() if value},
            },
        ]
        for name, number in self._categories.items():
            rows.append(
                {
                    **blank,
                    "id": number,
                    "id_parent": str(HOME),
                    "level_depth": "2",
                    "nb_products_recursive": str(len(held.get(name, []))),
                    "name": texts(name),
                    "link_rewrite": texts(slug(name)),
                    "associations": {"products": held[name]} if name in held else {},
                }
            )
        return rows

    def _option_values(self) -> dict[int, int]:
        """The option value of each combination: what its name says more than its parent's."""
        numbers: dict[str, int] = {}
        values = {}
        for item_id in self.combinations:
            label = self._label(item_id)
            values[item_id] = numbers.setdefault(label, len(numbers) + 1)
        self._labels = {number: label for label, number in numbers.items()}
        return values

    def _label(self, item_id: int) -> str:
        parent_name = self.items[self.items[item_id]["parent_id"]]["name"] or ""
        name = self.items[item_id]["name"] or ""
        return name.removeprefix(parent_name).strip(" -–,/") or str(item_id)

    def option_rows(self) -> list[Row]:
        """The one option by which combinations differ."""
        if not self._labels:
            return []
        values = {"product_option_values": [{"id": str(number)} for number in self._labels]}
        blank = RESOURCES["product_options"].blank
        return [
            {
                **blank,
                "id": 1,
                "name": texts("Variant", "Variante"),
                "public_name": texts("Variant", "Variante"),
                "associations": values,
            }
        ]

    def option_value_rows(self) -> list[Row]:
        """Its values."""
        blank = RESOURCES["product_option_values"].blank
        return [
            {**blank, "id": number, "id_attribute_group": "1", "position": str(number - 1), "name": texts(label)}
            for number, label in self._labels.items()
        ]


def _codes(gtin: str | None) -> dict[str, str]:
    """A GTIN in the field of its length: 12 digits are a UPC, a 14-digit text loses its leading zero."""
    code = gtin or ""
    if len(code) == 14 and code.startswith("0"):
        code = code[1:]
    return {"ean13": "", "upc": code} if len(code) == 12 and code.isdigit() else {"ean13": code, "upc": ""}
