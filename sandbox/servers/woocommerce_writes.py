"""Writing through WooCommerce REST v3: products, variations, orders, refunds, notes, one by one or in a batch.

Belongs here: what a write changes, refuses, or answers 200 to without doing. A single write checks
types; INSIDE A BATCH NOTHING CHECKS THEM.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sandbox.servers.money import half_up, minor_of, printed_one, two_decimals
from sandbox.servers.slugs import slug
from sandbox.servers.table import Row, Table
from sandbox.servers.woocommerce_catalogue import Catalogue, Derived, TaxClasses, gmt_of, local_of, settle_stock
from sandbox.servers.woocommerce_query import DATE, ApiError, invalid_parameter, listed
from sandbox.servers.woocommerce_shapes import (
    BLANK_BILLING,
    BLANK_ORDER,
    BLANK_PRODUCT,
    BLANK_SHIPPING,
    BLANK_VARIATION,
    LOCAL,
    ORDER_STATUSES,
    SYMBOLS,
    Home,
    item_links,
    line_meta,
    meta,
    number_of,
    order_links,
    permalink,
    refund_links,
    variation_links,
)

MAX_BATCH = 100
WRITABLE_STATUSES = ("auto-draft", *ORDER_STATUSES)
_TYPES: Mapping[str, tuple[type, str]] = {
    "stock_quantity": (int, "integer"),
    "regular_price": (str, "string"),
    "sale_price": (str, "string"),
    "name": (str, "string"),
    "sku": (str, "string"),
    "virtual": (bool, "boolean"),
    "customer_id": (int, "integer"),
    "line_items": (list, "array"),
    "meta_data": (list, "array"),
}
_PLAIN = (
    "name",
    "description",
    "short_description",
    "status",
    "virtual",
    "tax_status",
    "tax_class",
    "backorders",
    "weight",
    "categories",
    "attributes",
    "featured",
    "catalog_visibility",
    "menu_order",
    "global_unique_id",
    "sku",
)
_TAKES_STOCK = ("processing", "on-hold", "completed")


class Writer:
    """Applies writes to the tables. ``clock`` gives the shop's present, ``zone`` the one it prints, ``home`` its URL.

    ``tell(topic, collection, id)`` is called after each change that the shop's webhooks know of.
    """

    def __init__(
        self,
        tables: dict[str, Table],
        *,
        catalogue: Catalogue,
        derived: Derived,
        taxes: TaxClasses,
        home: Home,
        zone: str,
        currency: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        tell: Callable[[str, str, int], None] = lambda topic, name, number: None,
    ) -> None:
        self._tell = tell
        self._tables = tables
        self._catalogue = catalogue
        self._derived = derived
        self._taxes = taxes
        self._home = home
        self._zone = zone
        self._currency = currency
        self._clock = clock
        self._notes: dict[int, list[Row]] = {}
        self._unreduced: set[int] = set()
        self._told: list[tuple[str, str, int]] = []
        self._last_note = 0
        self._last_part = 50_000_000

    # one by one and in batches ---------------------------------------------------------------------------------------

    def create(self, name: str, parent: int | None, body: Row, *, is_strict: bool) -> Row:
        """POST one row; ``parent``: the product of a variation, the order of a refund. `ApiError` when it is refused."""
        if is_strict:
            _check_types(name, body)
        if name == "products":
            row = self._create_product(body)
            self._tell("product.created", name, row["id"])
            return row
        if name == "variations" and parent is not None:
            row = self._create_variation(parent, body)
            self._tell("product.created", name, row["id"])
            return row
        if name == "orders":
            return self._create_order(body)
        if name == "refunds" and parent is not None:
            row = self._create_refund(parent, body)
            self._tell("order.updated", "orders", parent)
            return row
        raise ApiError(405, "rest_not_writable", f"The sandbox creates no {name}.")

    def update(self, name: str, number: int, body: Row, *, is_strict: bool) -> Row:
        """PUT one row that is known to exist, as the reply shows it."""
        if is_strict:
            _check_types(name, body)
        updates = {"products": self._update_product, "variations": self._update_variation, "orders": self._update_order}
        if name in updates:
            row = updates[name](number, body)
            self._tell("order.updated" if name == "orders" else "product.updated", name, number)
            self._tell_of_stock()
            return row
        raise ApiError(405, "rest_not_writable", f"The sandbox updates no {name}.")

    def delete(self, name: str, number: int, *, is_forced: bool) -> Row:
        """DELETE one row: into the trash unless forced; the reply shows it as it was."""
        table = self._tables[name]
        before = table.row(number)
        if not is_forced and name in ("customers", "taxes", "refunds", "products/categories"):
            plural = {"customers": "Customers"}.get(name, "Resource")
            message = (
                f"{plural} do not support trashing." if name == "customers" else f"{plural} does not support trashing."
            )
            raise ApiError(501, "woocommerce_rest_trash_not_supported", message)
        if is_forced or name == "variations":
            table.delete(number)
            if name == "products":
                for child in list(self._tables["variations"].where("parent_id", number)):
                    self._tables["variations"].delete(child)
        else:
            row = copy.deepcopy(before)
            row["status"] = "trash"
            self._touch(row)
            table.put(number, row)
        if name in ("products", "variations", "orders"):
            self._tell("order.deleted" if name == "orders" else "product.deleted", name, number)
        return self._edited(before) if name == "products" else before

    def batch(self, name: str, parent: int | None, body: Row) -> Row:
        """Create, update and delete up to 100 rows: each item answers for itself, good ones are kept."""
        parts = {part: body.get(part) or [] for part in ("create", "update", "delete")}
        if sum(len(items) for items in parts.values()) > MAX_BATCH:
            message = f"Unable to accept more than {MAX_BATCH} items for this request."
            raise ApiError(413, "woocommerce_rest_request_entity_too_large", message)
        answer: Row = {}
        if parts["create"]:
            answer["create"] = [
                self._item(0, partial(self.create, name, parent, item, is_strict=False)) for item in parts["create"]
            ]
        if parts["update"]:
            answer["update"] = [self._batch_update(name, parent, item) for item in parts["update"]]
        if parts["delete"]:
            answer["delete"] = [
                self._item(int(number), partial(self._batch_delete, name, int(number))) for number in parts["delete"]
            ]
        return answer

    def _batch_update(self, name: str, parent: int | None, item: Row) -> Row:
        number = int(item.get("id") or 0)

        def write() -> Row:
            table = self._tables[name]
            if number not in table or (parent is not None and table.value(number, "parent_id") != parent):
                raise self._unknown(name, 404 if name == "variations" else 400, in_batch=True)
            return self.update(
                name, number, {key: value for key, value in item.items() if key != "id"}, is_strict=False
            )

        return self._item(number, write)

    def _batch_delete(self, name: str, number: int) -> Row:
        if number not in self._tables[name]:
            raise self._unknown(name, 404, in_batch=True)
        return self.delete(name, number, is_forced=False)

    @staticmethod
    def _unknown(name: str, status: int, *, in_batch: bool) -> ApiError:
        codes = {
            "products": "woocommerce_rest_product_invalid_id",
            "variations": "woocommerce_rest_product_variation_invalid_id",
            "orders": "woocommerce_rest_shop_order_invalid_id",
        }
        message = "ID is invalid." if in_batch and name == "orders" else "Invalid ID."
        return ApiError(status, codes.get(name, "woocommerce_rest_invalid_id"), message)

    @staticmethod
    def _item(number: int, write: Callable[[], Row]) -> Row:
        try:
            return write()
        except ApiError as error:
            return {"id": number, "error": error.body()}

    # products --------------------------------------------------------------------------------------------------------

    def _now(self) -> tuple[str, str]:
        """(local, UTC) as rows print them."""
        now = self._clock()
        return printed_one(now, self._zone, LOCAL), printed_one(now, "UTC", LOCAL)

    def _touch(self, row: Row) -> None:
        row["date_modified"], row["date_modified_gmt"] = self._now()

    def _born(self, row: Row) -> None:
        row["date_created"], row["date_created_gmt"] = self._now()
        self._touch(row)

    def _edited(self, row: Row) -> Row:
        """A product as the reply to a write shows it: two keys more than a read."""
        links = row["_links"]
        shown = {name: value for name, value in row.items() if name != "_links"}
        shown["permalink_template"] = f"{self._home()}/product/%pagename%/"
        shown["generated_slug"] = row["slug"]
        shown["_links"] = links
        return shown

    def _create_product(self, body: Row) -> Row:
        row = copy.deepcopy(BLANK_PRODUCT)
        self._fill(row, body, own_id=None)
        number = self._next_item_id()
        row["id"] = number
        row["slug"] = slug(row["name"])
        row["permalink"] = permalink(self._home(), row["slug"])
        row["type"] = body.get("type", "simple")
        self._born(row)
        self._derived.settle(row)
        row["_links"] = item_links(self._home(), f"products/{number}")
        self._tables["products"].put(number, row)
        return self._edited(row)

    def _next_item_id(self) -> int:
        """Products and variations share one series of ids."""
        products, variations = self._tables["products"], self._tables["variations"]
        number = products.next_id()
        while number in variations:
            number = products.next_id()
        return max(number, variations.next_id())

    def _create_variation(self, parent: int, body: Row) -> Row:
        row = copy.deepcopy(BLANK_VARIATION)
        self._fill(row, body, own_id=None)
        number = self._next_item_id()
        row |= {"id": number, "parent_id": parent}
        self._born(row)
        self._derived.settle(row)
        row["_links"] = variation_links(self._home(), parent, number)
        self._tables["variations"].put(number, row)
        self._sum_up(parent)
        return row

    def _update_product(self, number: int, body: Row) -> Row:
        row = copy.deepcopy(self._tables["products"].row(number))
        self._fill(row, body, own_id=number)
        self._touch(row)
        self._derived.settle(row)
        self._tables["products"].put(number, row)
        if row["type"] == "variable":
            self._share_stock(row)
            self._sum_up(number)
        return self._edited(self._tables["products"].row(number))

    def _update_variation(self, number: int, body: Row) -> Row:
        row = copy.deepcopy(self._tables["variations"].row(number))
        self._fill(row, body, own_id=number)
        self._touch(row)
        self._derived.settle(row)
        self._tables["variations"].put(number, row)
        self._sum_up(int(row["parent_id"]))
        return {**row, "tax_class": row["tax_class"] or "parent"}

    def _share_stock(self, parent: Row) -> None:
        """A parent's quantity is seen on each variation that follows it."""
        variations = self._tables["variations"]
        for number in list(variations.where("parent_id", parent["id"])):
            row = variations.row(number)
            if row["manage_stock"] == "parent":
                shared = {name: parent[name] for name in ("stock_quantity", "stock_status", "backorders_allowed")}
                variations.put(number, {**row, **shared})

    def _sum_up(self, parent: int) -> None:
        products, variations = self._tables["products"], self._tables["variations"]
        if parent not in products:
            return
        row = copy.deepcopy(products.row(parent))
        rows = [variations.row(number) for number in variations.where("parent_id", parent)]
        row["variations"] = [held["id"] for held in rows]
        self._catalogue.sum_up(row, rows)
        self._touch(row)
        products.put(parent, row)

    def _fill(self, row: Row, body: Row, *, own_id: int | None) -> None:
        """Put a body's fields into a product or variation, as tolerantly as the shop does."""
        self._refuse_duplicates(body, own_id)
        for name in _PLAIN:
            if name in body and name in row:
                row[name] = body[name]
        if "manage_stock" in body and row["manage_stock"] != body["manage_stock"]:
            row["manage_stock"] = bool(body["manage_stock"])
            row["stock_quantity"] = row["stock_quantity"] if row["manage_stock"] else None
        for name in ("regular_price", "sale_price"):
            if name in body:
                row[name] = _decimal_text(body[name])
        if row["sale_price"] and (not row["regular_price"] or float(row["sale_price"]) >= float(row["regular_price"])):
            row["sale_price"] = ""
        self._set_window(row, body)
        if row["manage_stock"] is True and "stock_quantity" in body:
            row["stock_quantity"] = _integer(body["stock_quantity"])
        elif row["manage_stock"] is False and "stock_status" in body:
            row["stock_status"] = body["stock_status"]
        if "meta_data" in body:
            row["meta_data"] = self._merged_meta(row["meta_data"], body["meta_data"])
        row["backorders_allowed"] = row["backorders"] in ("yes", "notify")

    def _set_window(self, row: Row, body: Row) -> None:
        """Sale dates: a local value or its _gmt twin; "" clears; a day alone ends with its last second."""
        for side in ("from", "to"):
            local_name, gmt_name = f"date_on_sale_{side}", f"date_on_sale_{side}_gmt"
            for name in (local_name, gmt_name):
                if name not in body:
                    continue
                match = DATE.fullmatch(str(body[name] or ""))
                if match is None:
                    row[local_name] = row[gmt_name] = None
                    continue
                text = f"{match[1]}T{match[2] or ('23:59:59' if side == 'to' else '00:00:00')}"
                if name == local_name:
                    row[local_name], row[gmt_name] = text, gmt_of(text, self._zone)
                else:
                    row[local_name], row[gmt_name] = local_of(text, self._zone), text

    def _refuse_duplicates(self, body: Row, own_id: int | None) -> None:
        for name, code, message in (
            ("sku", "product_invalid_sku", "Invalid or duplicated SKU."),
            ("global_unique_id", "product_invalid_global_unique_id", "Invalid or duplicated GTIN, UPC, EAN or ISBN."),
        ):
            value = body.get(name)
            if not value:
                continue
            holders = [
                number
                for table in ("products", "variations")
                for number in self._tables[table].where(name, value)
                if number != own_id and self._tables[table].value(number, "status") != "trash"
            ]
            if holders:
                data: Row = {"status": 400, "resource_id": holders[0]}
                if name == "sku":
                    data["unique_sku"] = self._free_sku(str(value))
                raise ApiError(400, code, message, data)

    def _free_sku(self, sku: str) -> str:
        number = 1
        while self._tables["products"].where("sku", f"{sku}-{number}"):
            number += 1
        return f"{sku}-{number}"

    def _merged_meta(self, held: list[Row], sent: list[Row]) -> list[Row]:
        """Custom fields by key; a null value takes one away."""
        merged = {one["key"]: one for one in held}
        for one in sent:
            key = one.get("key")
            if key is None:
                continue
            if one.get("value") is None:
                merged.pop(key, None)
            else:
                number = merged[key]["id"] if key in merged else self.part()
                merged[key] = meta(number, key, one["value"])
        return list(merged.values())

    def part(self) -> int:
        """Id of a new line, custom field or tax."""
        self._last_part += 1
        return self._last_part

    # orders ----------------------------------------------------------------------------------------------------------

    def _update_order(self, number: int, body: Row) -> Row:
        orders = self._tables["orders"]
        row = copy.deepcopy(orders.row(number))
        before = row["status"]
        if "status" in body:
            wanted = str(body["status"])
            row["status"] = wanted if wanted in WRITABLE_STATUSES else "pending"
        if "meta_data" in body:
            row["meta_data"] = self._merged_meta(row["meta_data"], body["meta_data"])
        for name in ("customer_note", "transaction_id"):
            if name in body:
                row[name] = body[name]
        for name in ("billing", "shipping"):
            if name in body:
                row[name] = {**row[name], **body[name]}
        self._touch(row)
        orders.put(number, row)
        if row["status"] != before:
            self._enter_status(row, before)
        return orders.row(number)

    def _enter_status(self, row: Row, before: str) -> None:
        status = row["status"]
        local, gmt = self._now()
        if status in ("processing", "completed") and row["date_paid"] is None:
            row["date_paid"], row["date_paid_gmt"] = local, gmt
        if status == "completed" and row["date_completed"] is None:
            row["date_completed"], row["date_completed_gmt"] = local, gmt
        row["is_editable"] = status in ("pending", "on-hold", "auto-draft")
        row["needs_payment"] = status in ("pending", "failed") and float(row["total"]) > 0
        self._tables["orders"].put(int(row["id"]), row)
        if status in _TAKES_STOCK and row["id"] in self._unreduced:
            self._take_stock(row)
        text = (
            f"Order status changed from {ORDER_STATUSES.get(before, before)} to {ORDER_STATUSES.get(status, status)}."
        )
        self.add_note(int(row["id"]), {"note": text})
        if status == "cancelled" and before in _TAKES_STOCK:
            self._give_back(row)
        if status == "refunded":
            left = minor_of(row["total"]) + sum(minor_of(refund["total"]) for refund in row["refunds"])
            if left > 0:
                self._add_refund(row, left, "Order fully refunded.", [], [])

    def _take_stock(self, order: Row) -> None:
        """Lower the stock of what an order holds, once: below 0 if need be, as an order made through the API may."""
        self._unreduced.discard(order["id"])
        changes = []
        for line in order["line_items"]:
            held = self._stock_row(line)
            if held is None:
                continue
            name, row = held
            before = row["stock_quantity"] or 0
            row["stock_quantity"] = before - line["quantity"]
            if name == "products":
                row["total_sales"] += line["quantity"]
            settle_stock(row)
            self._touch(row)
            self._tables[name].put(row["id"], row)
            if row.get("type") == "variable":
                self._share_stock(row)
            text = str(line["quantity"])
            line["meta_data"] = [*line["meta_data"], line_meta(self.part(), "_reduced_stock", text)]
            changes.append(f"{line['name']} ({before}&rarr;{before - line['quantity']})")
            self._told.append(("product.updated", name, row["id"]))
        self._tables["orders"].put(order["id"], order)
        if changes:
            self.add_note(order["id"], {"note": f"Stock levels reduced: {', '.join(changes)}"})

    def _stock_row(self, line: Row) -> tuple[str, Row] | None:
        """The collection and a copy of the row whose stock a line is taken from; None when none is kept."""
        variation = self._tables["variations"]
        name, number = "products", line["product_id"]
        if line["variation_id"] in variation and variation.value(line["variation_id"], "manage_stock") != "parent":
            name, number = "variations", line["variation_id"]
        if number not in self._tables[name]:
            return None
        row = copy.deepcopy(self._tables[name].row(number))
        return (name, row) if row["manage_stock"] is True else None

    def _give_back(self, order: Row) -> None:
        for line in order["line_items"]:
            held = self._stock_row(line)
            if held is None:
                continue
            name, row = held
            row["stock_quantity"] = (row["stock_quantity"] or 0) + line["quantity"]
            settle_stock(row)
            self._touch(row)
            self._tables[name].put(row["id"], row)
            self._told.append(("product.updated", name, row["id"]))

    def _create_order(self, body: Row) -> Row:
        number = self._tables["orders"].next_id()
        for coupon in body.get("coupon_lines") or []:
            code = str(coupon.get("code", "")).lower()
            coupons = self._tables["coupons"]
            if code not in coupons.column("code"):
                message = f"Coupon &quot;{code}&quot; cannot be applied because it does not exist."
                raise ApiError(
                    400, "woocommerce_rest_invalid_coupon", message, {"status": 400, "new_draft_order_id": number}
                )
        row = copy.deepcopy(BLANK_ORDER)
        local, gmt = self._now()
        key = f"wc_order_sandbox{number:06d}"
        lines = [self.sold_line(line) for line in body.get("line_items") or []]
        row |= {
            "id": number,
            "currency": body.get("currency", self._currency),
            "currency_symbol": SYMBOLS.get(body.get("currency", self._currency), ""),
            "date_created": local,
            "date_created_gmt": gmt,
            "date_modified": local,
            "date_modified_gmt": gmt,
            "customer_id": int(body.get("customer_id") or 0),
            "order_key": key,
            "billing": {**BLANK_BILLING, **(body.get("billing") or {})},
            "shipping": {**BLANK_SHIPPING, **(body.get("shipping") or {})},
            "payment_method": body.get("payment_method", ""),
            "payment_method_title": body.get("payment_method_title", ""),
            "customer_note": body.get("customer_note", ""),
            "number": str(number),
            "meta_data": self._merged_meta([], body.get("meta_data") or []),
            "line_items": lines,
            "payment_url": f"{self._home()}/checkout/order-pay/{number}/?pay_for_order=true&key={key}",
        }
        net = sum(minor_of(line["total"]) for line in lines)
        tax = sum(minor_of(line["total_tax"]) for line in lines)
        row["cart_tax"] = row["total_tax"] = two_decimals(tax)
        row["total"] = two_decimals(net + tax)
        row["tax_lines"] = self.tax_lines(lines)
        row["needs_payment"] = net + tax > 0
        row["needs_processing"] = any(line["product_id"] for line in lines)
        row["_links"] = order_links(self._home(), number, row["customer_id"])
        wanted = "processing" if body.get("set_paid") else str(body.get("status", "pending"))
        return self.open_order(row, wanted if wanted in WRITABLE_STATUSES else "pending")

    def open_order(self, row: Row, status: str) -> Row:
        """Put a new order down, pending, and let it enter its first status: stock is taken, and everybody told."""
        number = int(row["id"])
        self._unreduced.add(number)
        self._tables["orders"].put(number, row)
        if status != "pending":
            row["status"] = status
            self._enter_status(row, "pending")
        self._tell("order.created", "orders", number)
        self._tell("order.updated", "orders", number)
        self._tell_of_stock()
        return self._tables["orders"].row(number)

    def _tell_of_stock(self) -> None:
        for topic, name, number in dict.fromkeys(self._told):
            self._tell(topic, name, number)
        self._told.clear()

    def sold_line(self, sent: Row) -> Row:
        """A line of a new order at the shop's own price; an unknown product gives an empty line and no error."""
        variation_id, product_id = int(sent.get("variation_id") or 0), int(sent.get("product_id") or 0)
        name, number = ("variations", variation_id) if variation_id else ("products", product_id)
        table = self._tables[name]
        quantity = int(sent.get("quantity") or 1)
        known = table.row(number) if number in table else None
        rate = self._taxes.rate_of(known["tax_class"]) if known and known["tax_status"] == "taxable" else 0
        empty_rate = max(self._taxes.by_rate, default=0)
        gross = minor_of(known["price"] or "0") * quantity if known else 0
        net = half_up(gross * 10_000, 10_000 + rate)
        amounts = {"subtotal": net, "subtotal_tax": gross - net, "total": net, "total_tax": gross - net}
        tax_id = self._taxes.rate_ids.get(rate if known else empty_rate)
        taxes = [{"id": tax_id, "total": two_decimals(gross - net), "subtotal": two_decimals(gross - net)}]
        return {
            "id": self.part(),
            "name": known["name"] if known else str(sent.get("name", "")),
            "product_id": (known.get("parent_id") or number) if known else 0,
            "variation_id": variation_id if known else 0,
            "quantity": quantity,
            "tax_class": known["tax_class"] if known else "",
            **{key: two_decimals(value) for key, value in amounts.items()},
            "taxes": taxes if (rate or not known) and tax_id else [],
            "meta_data": [],
            "sku": known["sku"] if known else None,
            "global_unique_id": known["global_unique_id"] if known else None,
            "price": number_of(net / 100 / quantity),
            "image": {"id": 0 if known is None else "", "src": ""},
            "parent_name": self._tables["products"].row(known["parent_id"])["name"] if known and variation_id else None,
        }

    def tax_lines(self, lines: list[Row], shipping: Mapping[int, int] | None = None) -> list[Row]:
        """Taxes of lines summed by rate; ``shipping``: tax of the delivery by rate id."""
        held: dict[int, int] = {}
        for line in lines:
            for tax in line["taxes"]:
                held[tax["id"]] = held.get(tax["id"], 0) + minor_of(tax["total"])
        rates = {number: rate for rate, number in self._taxes.rate_ids.items()}
        delivery = shipping or {}
        return [
            {
                "id": self.part(),
                "rate_code": f"{self._taxes.country}-{self._taxes.label(rates[number]).upper()}-1",
                "rate_id": number,
                "label": self._taxes.label(rates[number]),
                "compound": False,
                "tax_total": two_decimals(amount),
                "shipping_tax_total": two_decimals(delivery.get(number, 0)),
                "rate_percent": number_of(rates[number] / 100),
                "meta_data": [],
            }
            for number, amount in {**dict.fromkeys(delivery, 0), **held}.items()
        ]

    # refunds ---------------------------------------------------------------------------------------------------------

    def _create_refund(self, order_id: int, body: Row) -> Row:
        if order_id not in self._tables["orders"]:
            raise ApiError(404, "woocommerce_rest_invalid_order_id", "Invalid order ID.")
        order = self._tables["orders"].row(order_id)
        lines, shipping = self._refunded_lines(order, body.get("line_items") or [])
        by_line = -sum(minor_of(line["total"]) + minor_of(line["total_tax"]) for line in (*lines, *shipping))
        amount = minor_of(str(body["amount"])) if body.get("amount") not in (None, "") else by_line
        left = minor_of(order["total"]) + sum(minor_of(refund["total"]) for refund in order["refunds"])
        if amount <= 0 or amount > left:
            raise ApiError(500, "woocommerce_rest_cannot_create_order_refund", "Invalid refund amount.", 500)
        if body.get("api_refund", True):
            message = "The payment gateway for this order does not support automatic refunds."
            raise ApiError(500, "woocommerce_rest_cannot_create_order_refund", message, 500)
        return self._add_refund(order, amount, str(body.get("reason", "")), lines, shipping)

    def _refunded_lines(self, order: Row, sent: list[Row]) -> tuple[list[Row], list[Row]]:
        sold = {line["id"]: ("line_items", line) for line in order["line_items"]}
        sold |= {line["id"]: ("shipping_lines", line) for line in order["shipping_lines"]}
        found: dict[str, list[Row]] = {"line_items": [], "shipping_lines": []}
        for wanted in sent:
            kind, line = sold.get(int(wanted.get("id") or 0), (None, None))
            if kind is None or line is None:
                continue
            net = minor_of(f"{float(wanted.get('refund_total') or 0):.2f}")
            taxes = {
                int(tax["id"]): minor_of(f"{float(tax['refund_total']):.2f}") for tax in wanted.get("refund_tax") or []
            }
            back = copy.deepcopy(line)
            number = self.part()
            is_item = kind == "line_items"
            back |= {
                "id": number,
                "total": two_decimals(-net),
                "total_tax": two_decimals(-sum(taxes.values())),
                "taxes": [
                    {"id": tax, "total": two_decimals(-amount), "subtotal": two_decimals(-amount) if is_item else ""}
                    for tax, amount in taxes.items()
                ],
                "meta_data": [line_meta(number, "_refunded_item_id", str(line["id"]))],
            }
            if is_item:
                quantity = int(wanted.get("quantity") or 0)
                back |= {
                    "quantity": -quantity,
                    "subtotal": back["total"],
                    "subtotal_tax": back["total_tax"],
                    "price": number_of(net / 100 / quantity) if quantity else 0,
                }
            found[kind].append(back)
        return found["line_items"], found["shipping_lines"]

    def _add_refund(self, order: Row, amount: int, reason: str, lines: list[Row], shipping: list[Row]) -> Row:
        refunds = self._tables["refunds"]
        number = refunds.next_id()
        order_id = int(order["id"])
        left = minor_of(order["total"]) + sum(minor_of(refund["total"]) for refund in order["refunds"])
        local, gmt = self._now()
        delivery: dict[int, int] = {}
        for line in shipping:
            for tax in line["taxes"]:
                delivery[tax["id"]] = delivery.get(tax["id"], 0) + minor_of(tax["total"])
        row: Row = {
            "id": number,
            "parent_id": order_id,
            "date_created": local,
            "date_created_gmt": gmt,
            "amount": two_decimals(amount),
            "reason": reason,
            "refunded_by": 1,
            "refunded_payment": False,
            "meta_data": [meta(self.part(), "_refund_type", "full" if amount >= left else "partial")],
            "line_items": lines,
            "shipping_lines": shipping,
            "tax_lines": self.tax_lines(lines, delivery),
            "fee_lines": [],
            "_links": refund_links(self._home(), order_id, number),
        }
        refunds.put(number, row)
        tax = sum(minor_of(line["total_tax"]) for line in (*lines, *shipping))
        held = copy.deepcopy(self._tables["orders"].row(order_id))
        held["refunds"].append(
            {"id": number, "reason": reason, "total": two_decimals(-amount), "total_tax": two_decimals(tax)}
        )
        self._touch(held)
        if amount >= left:
            held["status"] = "refunded"
        self._tables["orders"].put(order_id, held)
        return row

    # notes -----------------------------------------------------------------------------------------------------------

    def notes_of(self, order_id: int) -> list[Row]:
        """An order's notes, the latest first."""
        return self._notes.get(order_id, [])[::-1]

    def add_note(self, order_id: int, body: Row) -> Row:
        """Add a note to an order."""
        self._last_note += 1
        local, gmt = self._now()
        path = f"orders/{order_id}/notes/{self._last_note}"
        note: Row = {
            "id": self._last_note,
            "author": "WooCommerce",
            "date_created": local,
            "date_created_gmt": gmt,
            "note": str(body.get("note", "")),
            "customer_note": bool(body.get("customer_note", False)),
            "_links": item_links(self._home(), path, allow=["GET", "DELETE"], up=f"orders/{order_id}"),
        }
        self._notes.setdefault(order_id, []).append(note)
        return note


def _check_types(name: str, body: Row) -> None:
    """400 for a value of another type than the schema's, as a single write checks it."""
    for key, (kind, label) in _TYPES.items():
        value = body.get(key)
        if value is None:
            continue
        is_right = isinstance(value, kind) and not (kind is int and isinstance(value, bool))
        if kind is int and isinstance(value, str) and re.fullmatch(r"-?\d+", value):
            is_right = True
        if not is_right:
            raise invalid_parameter(key, "rest_invalid_type", f"{key} is not of type {label}.", {"param": key})
    if name == "orders" and "status" in body and body["status"] not in WRITABLE_STATUSES:
        message = f"status is not one of {listed(WRITABLE_STATUSES)}."
        raise invalid_parameter("status", "rest_not_in_enum", message)


def _decimal_text(value: Any) -> str:
    """A price as the shop understands it: everything but digits, dot and minus is dropped, so "50,00" is 5000 and "gratuit" nothing."""
    return re.sub(r"[^0-9.\-]", "", "" if value is None else str(value))


def _integer(value: Any) -> int:
    """A quantity as PHP reads it: leading digits, else 0."""
    match = re.match(r"\s*-?\d+", str(value))
    return int(match[0]) if match else 0
