"""Whom a shop sold to, as WooCommerce rows: customers, orders with their lines, refunds, coupons.

Belongs here: `ShopData.customers`, `orders`, `order_lines`, `refunds` and `refund_lines` drawn in WooCommerce's way, with the custom fields
that a retailer's own plugins leave (`_cancel_reason`, `_promised_ship_by_gmt`, ...; docs of the WooCommerce connector, `order_tags`).
"""

from __future__ import annotations

import hashlib
from typing import Any

from sandbox.servers.money import half_up, net_of, printed, two_decimals
from sandbox.servers.table import Row, Table
from sandbox.servers.woocommerce_catalogue import Catalogue, TaxClasses
from sandbox.servers.woocommerce_shapes import (
    BLANK_BILLING,
    BLANK_ORDER,
    BLANK_SHIPPING,
    CUSTOMER_BILLING,
    CUSTOMER_SHIPPING,
    LOCAL,
    SYMBOLS,
    Home,
    item_links,
    line_meta,
    meta,
    number_of,
    order_links,
    refund_links,
)
from sandbox.shop_data import ShopData

STATUSES = {
    "pending": "pending",
    "on_hold": "on-hold",
    "payable": "processing",
    "shipped": "completed",
    "delivered": "completed",
    "cancelled": "cancelled",
    "failed": "failed",
    "refunded": "refunded",
}
_DATES = (
    ("ordered_at", "date_created"),
    ("updated_at", "date_modified"),
    ("completed_at", "date_completed"),
    ("paid_at", "date_paid"),
)
_META = (
    ("cancel_reason", "_cancel_reason"),
    ("cancelled_at", "_cancelled_at_gmt"),
    ("promised_ship_by_at", "_promised_ship_by_gmt"),
    ("available_from_at", "_available_from_gmt"),
    ("pickup_location", "_pickup_location"),
    ("replaces_return_id", "_replaces_return"),
    ("origin_number", "_origin_number"),
)
COUPON_ID = 1
# lines, taxes, delivery, fees and refund lines share one series of ids: ours starts over the lines'
_EXTRA_IDS = 10


class Sales:
    """Looks up a shop's customers and orders and draws their rows."""

    def __init__(self, data: ShopData, catalogue: Catalogue, taxes: TaxClasses, home: Home) -> None:
        self._catalogue, self._taxes, self._home = catalogue, taxes, home
        self._currency = data.currency
        zone = data.time_zone
        orders = data.orders.sort("order_id")
        self._orders: dict[int, dict[str, Any]] = {}
        utc_names = ("cancelled_at", "promised_ship_by_at", "available_from_at")
        plain = orders.drop(*(source for source, _ in _DATES), *utc_names).to_dicts()
        texts: dict[str, list[str | None]] = {name: printed(orders[name], "UTC", LOCAL) for name in utc_names}
        for source, name in _DATES:
            texts[name] = printed(orders[source], zone, LOCAL)
            texts[f"{name}_gmt"] = printed(orders[source], "UTC", LOCAL)
        for position, order in enumerate(plain):
            order.update({name: values[position] for name, values in texts.items()})
            self._orders[order["order_id"]] = order
        self._lines: dict[int, list[dict[str, Any]]] = {order_id: [] for order_id in self._orders}
        self._line_by_id: dict[int, dict[str, Any]] = {}
        lines = data.order_lines.sort("order_id", "line_id")
        for line, at in zip(lines.to_dicts(), printed(lines["cancelled_at"], "UTC", LOCAL), strict=True):
            line["cancelled_at"] = at
            self._lines.setdefault(line["order_id"], []).append(line)
            self._line_by_id[line["line_id"]] = line
        self._first_extra_id = max(self._line_by_id, default=0) + 1
        self._set_refunds(data)
        self._set_customers(data)

    def tables(self) -> dict[str, Table]:
        """Rows of the collections about customers and orders."""
        order_ids = list(self._orders)
        orders = self._orders.values()
        refund_ids = list(self._refunds)
        customer_ids = list(self._customers)
        return {
            "orders": Table(
                order_ids,
                self.order,
                columns={
                    "id": order_ids,
                    "status": [STATUSES[order["status"]] for order in orders],
                    "customer_id": [order["customer_id"] or 0 for order in orders],
                    "date_created_gmt": [order["date_created_gmt"] for order in orders],
                    "date_modified_gmt": [order["date_modified_gmt"] for order in orders],
                },
            ),
            "refunds": Table(
                refund_ids,
                self.refund,
                columns={
                    "id": refund_ids,
                    "parent_id": [refund["order_id"] for refund in self._refunds.values()],
                    "date_created_gmt": [refund["date_created_gmt"] for refund in self._refunds.values()],
                },
            ),
            "customers": Table(customer_ids, self.customer, columns={"id": customer_ids}),
            "coupons": Table([COUPON_ID], self._coupon),
        }

    # customers -------------------------------------------------------------------------------------------------------

    def _set_customers(self, data: ShopData) -> None:
        """Accounts only: WooCommerce has no guests among its customers."""
        customers = data.customers.filter(~data.customers["is_guest"].fill_null(value=False)).sort("customer_id")
        self._customers: dict[int, dict[str, Any]] = {}
        texts = {
            f"{name}{suffix}": printed(customers[source], zone, LOCAL)
            for source, name in (("created_at", "date_created"), ("updated_at", "date_modified"))
            for zone, suffix in ((data.time_zone, ""), ("UTC", "_gmt"))
        }
        for position, customer in enumerate(customers.to_dicts()):
            customer.update({name: values[position] for name, values in texts.items()})
            self._customers[customer["customer_id"]] = customer
        self._paying = {order["customer_id"] for order in self._orders.values() if order["date_paid"]}

    def customer(self, customer_id: int) -> Row:
        """One row of /customers."""
        customer = self._customers[customer_id]
        names = {name: customer[name] or "" for name in ("first_name", "last_name")}
        contact = {**names, "country": customer["country"] or "", "phone": customer["phone"] or ""}
        avatar = hashlib.sha256((customer["email"] or "").strip().lower().encode()).hexdigest()
        return {
            "id": customer_id,
            **{
                name: customer[name]
                for name in ("date_created", "date_created_gmt", "date_modified", "date_modified_gmt")
            },
            "email": customer["email"] or "",
            **names,
            "role": "customer",
            "username": (customer["email"] or "").partition("@")[0],
            "billing": {**CUSTOMER_BILLING, **contact, "email": customer["email"] or ""},
            "shipping": {**CUSTOMER_SHIPPING, **contact},
            "is_paying_customer": customer_id in self._paying,
            "avatar_url": f"https://secure.gravatar.com/avatar/{avatar}?s=96&d=mm&r=g",
            "meta_data": [],
            "_links": item_links(self._home(), f"customers/{customer_id}", allow=["GET", "POST", "PUT", "PATCH"]),
        }

    # orders ----------------------------------------------------------------------------------------------------------

    def order(self, order_id: int) -> Row:
        """One row of /orders."""
        order = self._orders[order_id]
        lines = self._lines[order_id]
        nets, discount_net, discount_tax = self._after_discount(order, lines)
        items = [self._item(line, gross) for line, gross in zip(lines, nets, strict=True)]
        rate = max((line["tax_rate_bp"] for line in lines), default=0)
        extra = self._first_extra_id + order_id * _EXTRA_IDS
        shipping = order["shipping_minor"] or 0
        fee = order["fee_minor"] or 0
        shipping_net, fee_net = net_of(shipping, rate), net_of(fee, rate)
        taxes: dict[int, int] = {}
        for line, gross in zip(lines, nets, strict=True):
            taxes[line["tax_rate_bp"]] = taxes.get(line["tax_rate_bp"], 0) + gross - net_of(gross, line["tax_rate_bp"])
        taxes[rate] = taxes.get(rate, 0) + fee - fee_net
        cart_tax = sum(taxes.values())
        shipping_tax = shipping - shipping_net
        customer_id = order["customer_id"] if order["customer_id"] in self._customers else 0
        key = f"wc_order_{hashlib.md5(str(order_id).encode(), usedforsecurity=False).hexdigest()[:13]}"
        status = STATUSES[order["status"]]
        contact = {name: order[name] or "" for name in ("first_name", "last_name", "country", "phone")}
        row = {
            **BLANK_ORDER,
            "id": order_id,
            "status": status,
            "currency": self._currency,
            "date_created": order["date_created"],
            "date_modified": order["date_modified"],
            "discount_total": two_decimals(discount_net),
            "discount_tax": two_decimals(discount_tax),
            "shipping_total": two_decimals(shipping_net),
            "shipping_tax": two_decimals(shipping_tax),
            "cart_tax": two_decimals(cart_tax),
            "total": two_decimals(order["total_minor"]),
            "total_tax": two_decimals(cart_tax + shipping_tax),
            "customer_id": customer_id,
            "order_key": key,
            "billing": {**BLANK_BILLING, **contact, "email": order["email"] or ""},
            "shipping": {**BLANK_SHIPPING, **contact},
            "payment_method": "bacs",
            "payment_method_title": "Virement bancaire",
            "created_via": "checkout",
            "date_completed": order["date_completed"],
            "date_paid": order["date_paid"],
            "number": order["number"],
            "meta_data": self._order_meta(order_id, order),
            "line_items": items,
            "tax_lines": [
                self._tax_line(extra + 2 + number, tax_rate, amount, shipping_tax if tax_rate == rate else 0)
                for number, (tax_rate, amount) in enumerate(taxes.items())
                if tax_rate
            ],
            "shipping_lines": [self._shipping_line(extra, shipping, shipping_net, rate, order)],
            "fee_lines": [self._fee_line(extra + 1, fee, fee_net, rate)] if fee else [],
            "coupon_lines": [_coupon_line(extra + 9, discount_net, discount_tax)]
            if discount_net or discount_tax
            else [],
            "refunds": [self._refund_in_order(refund) for refund in self._refunds_of.get(order_id, [])],
            "payment_url": f"{self._home()}/checkout/order-pay/{order_id}/?pay_for_order=true&key={key}",
            "is_editable": status in ("pending", "on-hold"),
            "needs_payment": status in ("pending", "failed"),
            "needs_processing": bool(lines),
            "date_created_gmt": order["date_created_gmt"],
            "date_modified_gmt": order["date_modified_gmt"],
            "date_completed_gmt": order["date_completed_gmt"],
            "date_paid_gmt": order["date_paid_gmt"],
            "currency_symbol": SYMBOLS.get(self._currency, self._currency),
        }
        row["_links"] = order_links(self._home(), order_id, customer_id)
        return row

    @staticmethod
    def _after_discount(order: dict[str, Any], lines: list[dict[str, Any]]) -> tuple[list[int], int, int]:
        """Line totals with VAT as WooCommerce holds them, less each line's share of a discount the data keeps apart; and that discount.

        Shares are in proportion to the lines, the odd cents on the last one.
        """
        totals = [line["line_total_minor"] for line in lines]
        discount = order["discount_minor"] or 0
        extra = (order["shipping_minor"] or 0) + (order["fee_minor"] or 0)
        if not discount or not sum(totals) or sum(totals) + extra == order["total_minor"]:
            return totals, 0, 0
        shares = [half_up(discount * total, sum(totals)) for total in totals]
        shares[-1] += discount - sum(shares)
        after = [total - share for total, share in zip(totals, shares, strict=True)]
        net = sum(
            net_of(total, line["tax_rate_bp"]) - net_of(left, line["tax_rate_bp"])
            for total, left, line in zip(totals, after, lines, strict=True)
        )
        return after, net, discount - net

    def _item(self, line: dict[str, Any], gross: int) -> Row:
        item_id = line["item_id"]
        item = self._catalogue.items.get(item_id) if item_id is not None else None
        rate = line["tax_rate_bp"]
        net, before = net_of(gross, rate), net_of(line["line_total_minor"], rate)
        tax, tax_before = gross - net, line["line_total_minor"] - before
        parent_id = item["parent_id"] if item else None
        parent = self._catalogue.items[parent_id] if parent_id is not None else None
        metas = []
        if line["cancelled_qty"]:
            values = {
                "_cancelled_qty": str(line["cancelled_qty"]),
                "_cancel_reason": line["cancel_reason"],
                "_cancelled_at_gmt": line["cancelled_at"],
            }
            metas = [
                line_meta(line["line_id"] * _EXTRA_IDS + number, key, value)
                for number, (key, value) in enumerate(values.items())
                if value is not None
            ]
        return {
            "id": line["line_id"],
            "name": line["name"] or "",
            "product_id": 0 if item is None else parent_id if parent_id is not None else item_id,
            "variation_id": item_id if parent_id is not None else 0,
            "quantity": line["qty"],
            "tax_class": self._taxes.slug_of(rate),
            "subtotal": two_decimals(before),
            "subtotal_tax": two_decimals(tax_before),
            "total": two_decimals(net),
            "total_tax": two_decimals(tax),
            "taxes": self._line_taxes(rate, tax, tax_before),
            "meta_data": metas,
            "sku": None if item is None else item["sku"] or (parent["sku"] if parent else None) or "",
            "global_unique_id": None if item is None else item["gtin"] or "",
            "price": number_of(net / 100 / line["qty"]) if line["qty"] else 0,
            "image": {"id": 0 if item is None or parent else "", "src": ""},
            "parent_name": parent["name"] if parent else None,
        }

    def _line_taxes(self, rate: int, tax: int, before: int | None) -> list[Row]:
        if not rate:
            return []
        subtotal = "" if before is None else two_decimals(before)
        return [{"id": self._taxes.rate_ids.get(rate, 0), "total": two_decimals(tax), "subtotal": subtotal}]

    def _tax_line(self, number: int, rate: int, tax: int, shipping_tax: int) -> Row:
        label = self._taxes.label(rate)
        return {
            "id": number,
            "rate_code": f"{self._taxes.country}-{label.upper()}-1",
            "rate_id": self._taxes.rate_ids.get(rate, 0),
            "label": label,
            "compound": False,
            "tax_total": two_decimals(tax),
            "shipping_tax_total": two_decimals(shipping_tax),
            "rate_percent": number_of(rate / 100),
            "meta_data": [],
        }

    def _shipping_line(self, number: int, gross: int, net: int, rate: int, order: dict[str, Any]) -> Row:
        is_pickup = bool(order["pickup_location"])
        return {
            "id": number,
            "method_title": "Retrait en magasin" if is_pickup else "Bpost",
            "method_id": "local_pickup" if is_pickup else "flat_rate",
            "instance_id": "",
            "total": two_decimals(net),
            "total_tax": two_decimals(gross - net),
            "taxes": self._line_taxes(rate, gross - net, None),
            "tax_status": "taxable",
            "meta_data": [],
        }

    def _fee_line(self, number: int, gross: int, net: int, rate: int) -> Row:
        return {
            "id": number,
            "name": "Frais",
            "tax_class": "",
            "tax_status": "taxable",
            "amount": "",
            "total": two_decimals(net),
            "total_tax": two_decimals(gross - net),
            "taxes": self._line_taxes(rate, gross - net, None),
            "meta_data": [],
        }

    @staticmethod
    def _order_meta(order_id: int, order: dict[str, Any]) -> list[Row]:
        return [
            meta(order_id * _EXTRA_IDS + number, key, str(order[source]))
            for number, (source, key) in enumerate(_META)
            if order[source] is not None
        ]

    # refunds ---------------------------------------------------------------------------------------------------------

    def _set_refunds(self, data: ShopData) -> None:
        refunds = data.refunds.sort("refund_id")
        local = printed(refunds["initiated_at"], data.time_zone, LOCAL)
        gmt = printed(refunds["initiated_at"], "UTC", LOCAL)
        self._refunds: dict[int, dict[str, Any]] = {}
        self._refunds_of: dict[int, list[dict[str, Any]]] = {}
        for refund, at, at_gmt in zip(refunds.to_dicts(), local, gmt, strict=True):
            refund |= {"date_created": at, "date_created_gmt": at_gmt, "lines": []}
            self._refunds[refund["refund_id"]] = refund
            self._refunds_of.setdefault(refund["order_id"], []).append(refund)
        for line in data.refund_lines.to_dicts():
            self._refunds[line["refund_id"]]["lines"].append(line)

    def _refund_in_order(self, refund: dict[str, Any]) -> Row:
        tax = sum(
            line["amount_minor"] - net_of(line["amount_minor"], self._line_by_id[line["line_id"]]["tax_rate_bp"])
            for line in refund["lines"]
        )
        shipping = refund["shipping_minor"] or 0
        tax += shipping - net_of(shipping, self._rate_of(refund["order_id"]))
        return {
            "id": refund["refund_id"],
            "reason": refund["reason"] or "",
            "total": two_decimals(-refund["amount_minor"]),
            "total_tax": two_decimals(-tax),
        }

    def _rate_of(self, order_id: int) -> int:
        return max((line["tax_rate_bp"] for line in self._lines.get(order_id, [])), default=0)

    def refund(self, refund_id: int) -> Row:
        """One row of /refunds: what was given back, negative but for `amount`."""
        refund = self._refunds[refund_id]
        order_id = refund["order_id"]
        extra = self._first_extra_id + (max(self._orders, default=0) + 1 + refund_id) * _EXTRA_IDS
        shipping = refund["shipping_minor"] or 0
        rate = self._rate_of(order_id)
        shipping_net = net_of(shipping, rate)
        is_full = refund["amount_minor"] >= (self._orders[order_id]["total_minor"] or 0)
        metas = [meta(refund_id * _EXTRA_IDS, "_refund_type", "full" if is_full else "partial")]
        if refund["return_id"] is not None:
            metas.append(meta(refund_id * _EXTRA_IDS + 1, "_return_id", refund["return_id"]))
        taxes: dict[int, int] = {}
        items = []
        for number, line in enumerate(refund["lines"]):
            sold = self._line_by_id[line["line_id"]]
            back = {**sold, "qty": line["qty"], "line_total_minor": line["amount_minor"], "cancelled_qty": 0}
            item = self._item(back, line["amount_minor"])
            tax = line["amount_minor"] - net_of(line["amount_minor"], sold["tax_rate_bp"])
            taxes[sold["tax_rate_bp"]] = taxes.get(sold["tax_rate_bp"], 0) + tax
            for name in ("subtotal", "subtotal_tax", "total", "total_tax"):
                item[name] = _negative(item[name])
            item["taxes"] = [
                {"id": held["id"], "total": _negative(held["total"]), "subtotal": _negative(held["subtotal"])}
                for held in item["taxes"]
            ]
            item["id"] = extra + number
            item["quantity"] = -line["qty"]
            item["meta_data"] = [line_meta(extra + number, "_refunded_item_id", str(line["line_id"]))]
            items.append(item)
        if shipping and rate:
            taxes.setdefault(rate, 0)
        shipping_lines = []
        if shipping:
            back_line = self._shipping_line(extra + 8, -shipping, -shipping_net, rate, self._orders[order_id])
            sold_id = self._first_extra_id + order_id * _EXTRA_IDS
            back_line["meta_data"] = [line_meta(extra + 8, "_refunded_item_id", str(sold_id))]
            shipping_lines = [back_line]
        return {
            "id": refund_id,
            "parent_id": order_id,
            "date_created": refund["date_created"],
            "date_created_gmt": refund["date_created_gmt"],
            "amount": two_decimals(refund["amount_minor"]),
            "reason": refund["reason"] or "",
            "refunded_by": 1,
            "refunded_payment": False,
            "meta_data": metas,
            "line_items": items,
            "shipping_lines": shipping_lines,
            "tax_lines": [
                self._tax_line(extra + 9, tax_rate, -tax, -(shipping - shipping_net) if tax_rate == rate else 0)
                for tax_rate, tax in taxes.items()
                if tax_rate
            ],
            "fee_lines": [],
            "_links": refund_links(self._home(), order_id, refund_id),
        }

    def _coupon(self, number: int) -> Row:
        created = min(
            (order["date_created"] for order in self._orders.values() if order["date_created"]),
            default="2024-01-02T09:00:00",
        )
        dates = dict.fromkeys(("date_created", "date_created_gmt", "date_modified", "date_modified_gmt"), created)
        return {
            "id": number,
            "code": "remise",
            "amount": "0.00",
            "status": "publish",
            **dates,
            "discount_type": "fixed_cart",
            "description": "",
            "date_expires": None,
            "date_expires_gmt": None,
            "usage_count": 0,
            "individual_use": False,
            "product_ids": [],
            "excluded_product_ids": [],
            "usage_limit": None,
            "usage_limit_per_user": None,
            "limit_usage_to_x_items": None,
            "free_shipping": False,
            "product_categories": [],
            "excluded_product_categories": [],
            "exclude_sale_items": False,
            "minimum_amount": "0.00",
            "maximum_amount": "0.00",
            "email_restrictions": [],
            "used_by": [],
            "meta_data": [],
            "_links": item_links(self._home(), f"coupons/{number}"),
        }


def _negative(amount: str) -> str:
    return amount if not amount or float(amount) == 0 else f"-{amount}"


def _coupon_line(number: int, net: int, tax: int) -> Row:
    return {
        "id": number,
        "code": "remise",
        "discount": two_decimals(net),
        "discount_tax": two_decimals(tax),
        "meta_data": [line_meta(number, "coupon_info", f'[{COUPON_ID},"remise","fixed_cart",{(net + tax) / 100:g}]')],
        "discount_type": "fixed_cart",
        "nominal_amount": number_of((net + tax) / 100),
        "free_shipping": False,
    }
