"""Writing orders and their notes: states and what comes with them, stock that is taken and given back."""

from __future__ import annotations

import copy

from sandbox.servers.money import half_up, minor_of, two_decimals
from sandbox.servers.table import Row
from sandbox.servers.woocommerce_catalogue import settle_stock
from sandbox.servers.woocommerce_item_writes import ItemWrites
from sandbox.servers.woocommerce_query import ApiError
from sandbox.servers.woocommerce_refund_writes import RefundWrites
from sandbox.servers.woocommerce_shapes import (
    BLANK_BILLING,
    BLANK_ORDER,
    BLANK_SHIPPING,
    ORDER_STATUSES,
    SYMBOLS,
    item_links,
    line_meta,
    number_of,
    order_links,
)

WRITABLE_STATUSES = ("auto-draft", *ORDER_STATUSES)
_TAKES_STOCK = ("processing", "on-hold", "completed")


class OrderWrites(ItemWrites, RefundWrites):
    """Writes orders. Their states take stock from items, and may make refunds."""

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
