"""What happens in a WooCommerce when somebody buys: the order that the checkout leaves, at the shop's prices, and the stock it takes.

Belongs here: building the order's row. Taking stock, notes and webhooks are the same as for any order: `woocommerce_writes`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sandbox.servers.money import minor_of, net_of, printed_one, two_decimals
from sandbox.servers.table import Row, Table
from sandbox.servers.woocommerce_shapes import (
    BLANK_BILLING,
    BLANK_ORDER,
    BLANK_SHIPPING,
    LOCAL,
    SYMBOLS,
    Home,
    meta,
    order_links,
)
from sandbox.servers.woocommerce_writes import Writer

STATUSES = {"pending": "pending", "on_hold": "on-hold", "payable": "processing"}


class SoldOut(ValueError):
    """The shop does not sell that many of an item, or does not sell it at all."""


@dataclass(frozen=True)
class Buyer:
    """Who buys, as the checkout's form has it. ``customer_id`` 0: a guest."""

    email: str = "client@example.com"
    first_name: str = "Camille"
    last_name: str = "Martin"
    phone: str = "06 00 00 00 00"
    country: str = "FR"
    customer_id: int = 0


class Checkout:
    """Places orders in a shop. Callers hold the server's lock."""

    def __init__(
        self,
        tables: Mapping[str, Table],
        writer: Writer,
        *,
        home: Home,
        zone: str,
        currency: str,
        rate_bp: Callable[[str], int],
    ) -> None:
        self._tables, self._writer = tables, writer
        self._home, self._zone, self._currency = home, zone, currency
        self._rate_bp = rate_bp

    def place(
        self,
        lines: Sequence[tuple[int | str, int]],
        *,
        at: datetime,
        status: str,
        buyer: Buyer,
        shipping_minor: int,
        number: str | None,
        tags: Mapping[str, str],
    ) -> int:
        """Place an order and give its id back. ``lines``: (item, units); SoldOut when the shop would refuse one, and nothing is changed."""
        sold = [self._sent(item, qty) for item, qty in lines]
        order_id = self._tables["orders"].next_id()
        items = [self._writer.sold_line(line) for line in sold]
        rates = [self._rate_bp(line["tax_class"]) for line in items]
        rate = max(rates, default=0)
        shipping_net = net_of(shipping_minor, rate)
        shipping_tax = shipping_minor - shipping_net
        net = sum(minor_of(line["total"]) for line in items)
        tax = sum(minor_of(line["total_tax"]) for line in items)
        delivery = self._delivery(items, rates, rate, shipping_net, shipping_tax, is_pickup="_pickup_location" in tags)
        tax_id = delivery["taxes"][0]["id"] if delivery["taxes"] else None
        local, gmt = printed_one(at, self._zone, LOCAL), printed_one(at, "UTC", LOCAL)
        contact = {name: getattr(buyer, name) for name in ("first_name", "last_name", "phone", "country")}
        key = f"wc_order_checkout{order_id:06d}"
        row = copy.deepcopy(BLANK_ORDER) | {
            "id": order_id,
            "currency": self._currency,
            "currency_symbol": SYMBOLS.get(self._currency, self._currency),
            "date_created": local,
            "date_created_gmt": gmt,
            "date_modified": local,
            "date_modified_gmt": gmt,
            "customer_id": buyer.customer_id,
            "order_key": key,
            "created_via": "checkout",
            "billing": {**BLANK_BILLING, **contact, "email": buyer.email},
            "shipping": {**BLANK_SHIPPING, **contact},
            "payment_method": "bacs",
            "payment_method_title": "Virement bancaire",
            "number": number or str(order_id),
            "meta_data": [meta(self._writer.part(), name, value) for name, value in tags.items()],
            "line_items": items,
            "shipping_lines": [delivery],
            "tax_lines": self._writer.tax_lines(items, {tax_id: shipping_tax} if tax_id else None),
            "shipping_total": two_decimals(shipping_net),
            "shipping_tax": two_decimals(shipping_tax),
            "cart_tax": two_decimals(tax),
            "total_tax": two_decimals(tax + shipping_tax),
            "total": two_decimals(net + tax + shipping_minor),
            "needs_payment": net + tax + shipping_minor > 0,
            "needs_processing": True,
            "payment_url": f"{self._home()}/checkout/order-pay/{order_id}/?pay_for_order=true&key={key}",
        }
        row["_links"] = order_links(self._home(), order_id, buyer.customer_id)
        self._writer.open_order(row, STATUSES[status])
        return order_id

    def _sent(self, item: int | str, qty: int) -> Row:
        """A line as the API would be sent it, once the shop agreed to sell it."""
        number = int(str(item).rpartition("-")[2])
        name = "variations" if number in self._tables["variations"] else "products"
        if number not in self._tables[name]:
            raise SoldOut(f"the shop has no item {item}")
        row = self._tables[name].row(number)
        parent = self._tables["products"].row(row["parent_id"]) if row["parent_id"] else None
        is_live = row["status"] == "publish" and (parent is None or parent["status"] == "publish")
        if not is_live or not row["purchasable"] or row.get("type") == "variable":
            raise SoldOut(f"item {item} is not on sale")
        is_counted = row["manage_stock"] in (True, "parent")
        if is_counted and not row["backorders_allowed"] and (row["stock_quantity"] or 0) < qty:
            raise SoldOut(f"item {item}: {row['stock_quantity']} left, {qty} asked for")
        if parent is not None:
            return {"product_id": parent["id"], "variation_id": number, "quantity": qty}
        return {"product_id": number, "quantity": qty}

    def _delivery(self, items: list[Row], rates: list[int], rate: int, net: int, tax: int, *, is_pickup: bool) -> Row:
        taxes = []
        if rate:
            own = next(line["taxes"][0]["id"] for line, of_line in zip(items, rates, strict=True) if of_line == rate)
            taxes = [{"id": own, "total": two_decimals(tax), "subtotal": ""}]
        return {
            "id": self._writer.part(),
            "method_title": "Retrait en magasin" if is_pickup else "Bpost",
            "method_id": "local_pickup" if is_pickup else "flat_rate",
            "instance_id": "",
            "total": two_decimals(net),
            "total_tax": two_decimals(tax),
            "taxes": taxes,
            "tax_status": "taxable",
            "meta_data": [],
        }
