"""Writing refunds: by line or of an amount, as the shop takes and refuses them."""

from __future__ import annotations

import copy

from sandbox.servers.money import minor_of, two_decimals
from sandbox.servers.table import Row
from sandbox.servers.woocommerce_query import ApiError
from sandbox.servers.woocommerce_shapes import (
    line_meta,
    meta,
    number_of,
    refund_links,
)
from sandbox.servers.woocommerce_write_base import WriteBase


class RefundWrites(WriteBase):
    """Writes refunds of orders."""

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
