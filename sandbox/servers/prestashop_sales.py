"""Whom a shop sold to, as PrestaShop rows: customers, addresses, orders with their lines, states, parcels and slips.

Belongs here: `ShopData.customers`, `orders`, `order_lines`, `refunds` and `refund_lines` drawn in PrestaShop's way, with the tags that a
retailer's own modules leave in an order's note (docs of the PrestaShop connector, `order_tags`).
"""

from __future__ import annotations

import hashlib
from typing import Any

import polars as pl

from sandbox.servers import prestashop_reference as ref
from sandbox.servers.money import half_up, minor_six, net_micro, net_of, printed, six_decimals
from sandbox.servers.prestashop_catalogue import LOCAL, Catalogue
from sandbox.servers.prestashop_resources import NO_DATE, ORDER_ROW_FIELDS, RESOURCES
from sandbox.servers.table import Row, Table
from sandbox.shop_data import ShopData

_INSTANT = "%Y-%m-%dT%H:%M:%SZ"
STATES = {
    "pending": ref.AWAITING_WIRE,
    "on_hold": ref.AWAITING_CHECK,
    "payable": ref.PAID,
    "shipped": ref.SHIPPED,
    "delivered": ref.DELIVERED,
    "cancelled": ref.CANCELLED,
    "failed": ref.PAYMENT_ERROR,
    "refunded": ref.REFUNDED,
}


def _local(frame: pl.DataFrame, column: str, zone: str) -> list[str | None]:
    return printed(frame[column], zone, LOCAL)


class Sales:
    """Looks up a shop's customers and orders and draws their rows."""

    def __init__(self, data: ShopData, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._zone = data.time_zone
        orders = data.orders.sort("order_id")
        zone = self._zone
        self._orders: dict[int, dict[str, Any]] = {}
        locals_ = {
            name: _local(orders, name, zone)
            for name in ("ordered_at", "paid_at", "cancelled_at", "completed_at", "updated_at")
        }
        utcs = {name: printed(orders[name], "UTC", _INSTANT) for name in ("promised_ship_by_at", "available_from_at")}
        plain = orders.drop(*locals_, *utcs).to_dicts()
        for position, order in enumerate(plain):
            order.update({name: values[position] for name, values in (*locals_.items(), *utcs.items())})
            self._orders[order["order_id"]] = order
        self._lines: dict[int, list[dict[str, Any]]] = {order_id: [] for order_id in self._orders}
        self._line_by_id: dict[int, dict[str, Any]] = {}
        lines = data.order_lines.sort("order_id", "line_id")
        cancelled = printed(lines["cancelled_at"], "UTC", _INSTANT)
        for line, at in zip(lines.drop("cancelled_at").to_dicts(), cancelled, strict=True):
            line["cancelled_at"] = at
            self._lines.setdefault(line["order_id"], []).append(line)
            self._line_by_id[line["line_id"]] = line
        self._gone = _ids_of_deleted_items(data)
        self._set_people(data)
        self._set_histories()
        self._refunds(data)

    def tables(self) -> dict[str, Table]:
        """Rows of the resources about customers and orders."""
        order_ids = list(self._orders)
        orders = self._orders.values()
        details = [line["line_id"] for lines in self._lines.values() for line in lines]
        return {
            "customers": Table.of_rows(self._customers),
            "addresses": Table.of_rows(self._addresses),
            "orders": Table(
                order_ids,
                self.order,
                columns={
                    "id": order_ids,
                    "date_add": [order["ordered_at"] or NO_DATE for order in orders],
                    "date_upd": [order["updated_at"] or NO_DATE for order in orders],
                    "reference": [order["number"] for order in orders],
                    "current_state": [str(STATES[order["status"]]) for order in orders],
                    "id_customer": [str(order["buyer_id"]) for order in orders],
                },
            ),
            "order_details": Table(
                details,
                self.detail,
                columns={
                    "id": details,
                    "id_order": [str(line["order_id"]) for lines in self._lines.values() for line in lines],
                },
            ),
            "order_histories": Table(
                [row[0] for row in self._histories],
                self._history,
                columns={
                    "id": [row[0] for row in self._histories],
                    "id_order": [str(row[1]) for row in self._histories],
                    "id_order_state": [str(row[2]) for row in self._histories],
                    "date_add": [row[3] for row in self._histories],
                },
            ),
            "order_carriers": Table(
                order_ids,
                self.parcel,
                columns={"id": order_ids, "id_order": [str(order_id) for order_id in order_ids]},
            ),
            "order_slip": Table.of_rows(self._slips),
        }

    # customers and addresses -----------------------------------------------------------------------------------------

    def _set_people(self, data: ShopData) -> None:
        """Customers, one guest per order without one (a PrestaShop order always has a customer), and their addresses."""
        blank = RESOURCES["customers"].blank
        customers = data.customers.sort("customer_id")
        created, updated = (_local(customers, name, self._zone) for name in ("created_at", "updated_at"))
        self._customers: list[Row] = []
        known: dict[int, dict[str, Any]] = {}
        for customer, added, changed in zip(customers.to_dicts(), created, updated, strict=True):
            known[customer["customer_id"]] = customer
            self._customers.append(self._customer(blank, customer, added, changed))
        next_id = max(known, default=0) + 1
        self._addresses: list[Row] = []
        address_ids: dict[tuple[Any, ...], int] = {}
        for order in self._orders.values():
            buyer = order["customer_id"]
            if buyer is None:
                buyer, next_id = next_id, next_id + 1
                guest = {
                    **{name: order[name] for name in ("email", "first_name", "last_name")},
                    "customer_id": buyer,
                    "is_guest": True,
                }
                self._customers.append(self._customer(blank, guest, order["ordered_at"], order["ordered_at"]))
            order["buyer_id"] = buyer
            key = (buyer, order["first_name"], order["last_name"], order["phone"], order["country"])
            if key not in address_ids:
                address_ids[key] = len(address_ids) + 1
                self._addresses.append(self._address(address_ids[key], buyer, order))
            order["address_id"] = address_ids[key]
        have_address = {int(row["id_customer"]) for row in self._addresses}
        for (customer_id, customer), added in zip(known.items(), created, strict=True):
            if customer_id not in have_address:
                contact = {**customer, "ordered_at": added}
                self._addresses.append(self._address(len(self._addresses) + 1, customer_id, contact))

    @staticmethod
    def _customer(blank: Row, customer: dict[str, Any], added: str | None, changed: str | None) -> Row:
        group = "2" if customer["is_guest"] else "3"
        secret = hashlib.md5(str(customer["customer_id"]).encode(), usedforsecurity=False).hexdigest()
        return {
            **blank,
            "id": customer["customer_id"],
            "id_default_group": group,
            "last_passwd_gen": added or NO_DATE,
            "secure_key": secret,
            "passwd": f"$2y$10${secret}{secret[:21]}",
            "lastname": customer["last_name"] or "",
            "firstname": customer["first_name"] or "",
            "email": customer["email"] or "",
            "is_guest": "1" if customer["is_guest"] else "0",
            "date_add": added or NO_DATE,
            "date_upd": changed or added or NO_DATE,
            "associations": {"groups": [{"id": group}]},
        }

    @staticmethod
    def _address(number: int, customer_id: int, contact: dict[str, Any]) -> Row:
        return {
            **RESOURCES["addresses"].blank,
            "id": number,
            "id_customer": str(customer_id),
            "id_country": str(ref.COUNTRY_IDS.get(contact["country"] or "", 0)),
            "alias": "Mon adresse",
            "lastname": contact["last_name"] or "",
            "firstname": contact["first_name"] or "",
            "address1": f"{number} rue de l’Église",
            "postcode": "45000",
            "city": "Orléans",
            "phone": contact["phone"] or "",
            "date_add": contact["ordered_at"] or NO_DATE,
            "date_upd": contact["ordered_at"] or NO_DATE,
        }

    # orders ----------------------------------------------------------------------------------------------------------

    def order(self, order_id: int) -> Row:
        """One row of /orders."""
        order = self._orders[order_id]
        lines = self._lines[order_id]
        products = sum(line["line_total_minor"] for line in lines)
        products_net = sum(net_of(line["line_total_minor"], line["tax_rate_bp"]) for line in lines)
        rate = max((line["tax_rate_bp"] for line in lines), default=2000)
        shipping, fee, discount = (order[name] or 0 for name in ("shipping_minor", "fee_minor", "discount_minor"))
        shipping_net, fee_net, discount_net = (net_of(amount, rate) for amount in (shipping, fee, discount))
        total_net = products_net + shipping_net + fee_net - discount_net
        is_paid = order["paid_at"] is not None
        is_out = order["status"] in ("shipped", "delivered")
        carrier = ref.CLICK_AND_COLLECT if order["pickup_location"] else ref.HOME_DELIVERY
        row = {
            **RESOURCES["orders"].blank,
            "id": order_id,
            "id_address_delivery": str(order["address_id"]),
            "id_address_invoice": str(order["address_id"]),
            "id_cart": str(order_id),
            "id_customer": str(order["buyer_id"]),
            "id_carrier": str(carrier),
            "current_state": str(STATES[order["status"]]),
            "module": "mkpconnector" if order["origin_number"] else "ps_wirepayment",
            "invoice_number": str(order_id) if is_paid else "0",
            "invoice_date": order["paid_at"] or NO_DATE,
            "delivery_number": str(order_id) if is_out else "0",
            "delivery_date": (order["completed_at"] if is_out else None) or NO_DATE,
            "valid": "1" if order["status"] in ("payable", "shipped", "delivered") else "0",
            "date_add": order["ordered_at"] or NO_DATE,
            "date_upd": order["updated_at"] or NO_DATE,
            "shipping_number": self._tracking(order),
            "note": self._note(order, lines),
            "payment": "Place de marché" if order["origin_number"] else "Virement bancaire",
            "total_discounts": minor_six(discount),
            "total_discounts_tax_incl": minor_six(discount),
            "total_discounts_tax_excl": minor_six(discount_net),
            "total_paid": minor_six(order["total_minor"]),
            "total_paid_tax_incl": minor_six(order["total_minor"]),
            "total_paid_tax_excl": minor_six(total_net),
            "total_paid_real": minor_six(order["total_minor"] if is_paid else 0),
            "total_products": minor_six(products_net),
            "total_products_wt": minor_six(products),
            "total_shipping": minor_six(shipping),
            "total_shipping_tax_incl": minor_six(shipping),
            "total_shipping_tax_excl": minor_six(shipping_net),
            "carrier_tax_rate": f"{rate // 100}.{rate % 100:02d}0",
            "total_wrapping": minor_six(fee),
            "total_wrapping_tax_incl": minor_six(fee),
            "total_wrapping_tax_excl": minor_six(fee_net),
            "reference": order["number"],
        }
        if lines:
            details = [self.detail(line["line_id"]) for line in lines]
            row["associations"] = {
                "order_rows": [
                    {name: str(detail[name]) if name == "id" else detail[name] for name in ORDER_ROW_FIELDS}
                    for detail in details
                ]
            }
        return row

    @staticmethod
    def _note(order: dict[str, Any], lines: list[dict[str, Any]]) -> str:
        tags = []
        if order["origin_number"]:
            tags.append(f"mkp:{order['origin_number']}")
        if order["cancel_reason"]:
            tags.append(f"cancel:{order['cancel_reason']}")
        if order["pickup_location"]:
            tags.append(f"pickup:{order['pickup_location']}")
        if order["promised_ship_by_at"]:
            tags.append(f"promise:{order['promised_ship_by_at']}")
        if order["available_from_at"]:
            tags.append(f"preorder:{order['available_from_at']}")
        if order["replaces_return_id"]:
            tags.append(f"replaces:{order['replaces_return_id']}")
        tags.extend(
            f"short:{line['line_id']}:{line['cancelled_qty']}:{line['cancel_reason'] or 'customer'}:{line['cancelled_at']}"
            for line in lines
            if line["cancelled_qty"]
        )
        return " ".join(tags)

    @staticmethod
    def _tracking(order: dict[str, Any]) -> str:
        has_parcel = order["status"] in ("shipped", "delivered") and not order["pickup_location"]
        return f"6A{order['order_id']:011d}" if has_parcel else ""

    def detail(self, line_id: int) -> Row:
        """One row of /order_details."""
        line = self._line_by_id[line_id]
        item_id = line["item_id"]
        known = item_id is not None and item_id in self._catalogue.items
        product, combination = self._catalogue.owner(item_id) if known else (self._gone[line["sku"] or ""], 0)
        gtin = (self._catalogue.items[item_id]["gtin"] if known else None) or ""
        rate = line["tax_rate_bp"]
        unit_net = six_decimals(net_micro(line["unit_minor"], rate))
        return {
            **RESOURCES["order_details"].blank,
            "id": line_id,
            "id_order": str(line["order_id"]),
            "product_id": str(product),
            "product_attribute_id": str(combination),
            "id_order_invoice": str(line["order_id"]) if self._orders[line["order_id"]]["paid_at"] else "0",
            "product_name": line["name"] or "",
            "product_quantity": str(line["qty"]),
            "product_quantity_in_stock": str(line["qty"]),
            "product_price": unit_net,
            "product_ean13": gtin[-13:],
            "product_reference": line["sku"] or "",
            "id_tax_rules_group": self._catalogue.tax_group(rate),
            "unit_price_tax_incl": minor_six(line["unit_minor"]),
            "unit_price_tax_excl": unit_net,
            "total_price_tax_incl": minor_six(line["line_total_minor"]),
            "total_price_tax_excl": minor_six(net_of(line["line_total_minor"], rate)),
            "original_product_price": unit_net,
            "associations": {"taxes": [{"id": self._catalogue.tax_group(rate)}]},
        }

    def parcel(self, order_id: int) -> Row:
        """One row of /order_carriers, with the order's own id."""
        order = self._orders[order_id]
        lines = self._lines[order_id]
        weight = sum(
            (self._catalogue.items[line["item_id"]]["weight_g"] or 0) * line["qty"]
            for line in lines
            if line["item_id"] in self._catalogue.items
        )
        rate = max((line["tax_rate_bp"] for line in lines), default=2000)
        shipping = order["shipping_minor"] or 0
        return {
            **RESOURCES["order_carriers"].blank,
            "id": order_id,
            "id_order": str(order_id),
            "id_carrier": str(ref.CLICK_AND_COLLECT if order["pickup_location"] else ref.HOME_DELIVERY),
            "id_order_invoice": str(order_id) if order["paid_at"] else "0",
            "weight": six_decimals(weight * 1000),
            "shipping_cost_tax_excl": minor_six(net_of(shipping, rate)),
            "shipping_cost_tax_incl": minor_six(shipping),
            "tracking_number": self._tracking(order),
            "date_add": order["ordered_at"] or NO_DATE,
        }

    # states and slips ------------------------------------------------------------------------------------------------

    def _set_histories(self) -> None:
        """Each state an order went through, oldest first: (id, order, state, when)."""
        steps: list[tuple[str, int, int]] = []
        for order_id, order in self._orders.items():
            status = order["status"]
            first = STATES[status] if status in ("failed", "on_hold") else ref.AWAITING_WIRE
            path = [(order["ordered_at"], first)]
            if order["paid_at"]:
                path.append((order["paid_at"], ref.PAID))
            if order["completed_at"] and status in ("shipped", "delivered", "refunded"):
                path.append((order["completed_at"], ref.SHIPPED))
            if status == "delivered":
                path.append((max(order["updated_at"] or "", order["completed_at"] or "") or None, ref.DELIVERED))
            if order["cancelled_at"] and status == "cancelled":
                path.append((order["cancelled_at"], ref.CANCELLED))
            if status == "refunded":
                path.append((order["updated_at"], ref.REFUNDED))
            steps.extend((at, order_id, state) for at, state in path)
        steps.sort(key=lambda step: step[0] or "")
        self._histories = [
            (number, order_id, state, at or NO_DATE) for number, (at, order_id, state) in enumerate(steps, 1)
        ]

    def _history(self, number: int) -> Row:
        _, order_id, state, at = self._histories[number - 1]
        return {
            **RESOURCES["order_histories"].blank,
            "id": number,
            "id_order_state": str(state),
            "id_order": str(order_id),
            "date_add": at,
        }

    def _refunds(self, data: ShopData) -> None:
        """Slips: `amount` and the product totals are what lines gave back, the delivery fee stands beside them."""
        lines: dict[int, list[dict[str, Any]]] = {}
        for line in data.refund_lines.to_dicts():
            lines.setdefault(line["refund_id"], []).append(line)
        refunds = data.refunds.sort("refund_id")
        self._slips: list[Row] = []
        number = 0
        for refund, at in zip(refunds.to_dicts(), _local(refunds, "initiated_at", self._zone), strict=True):
            shipping = refund["shipping_minor"] or 0
            goods = refund["amount_minor"] - shipping
            details = []
            for line in lines.get(refund["refund_id"], []):
                number += 1
                rate = self._line_by_id[line["line_id"]]["tax_rate_bp"]
                details.append(
                    {
                        "id": str(number),
                        "id_order_detail": str(line["line_id"]),
                        "product_quantity": str(line["qty"]),
                        "amount_tax_excl": minor_six(net_of(line["amount_minor"], rate)),
                        "amount_tax_incl": minor_six(line["amount_minor"]),
                    }
                )
            rate = self._rate_of(refund["order_id"])
            slip = {
                **RESOURCES["order_slip"].blank,
                "id": refund["refund_id"],
                "id_customer": str(self._orders[refund["order_id"]]["buyer_id"]),
                "id_order": str(refund["order_id"]),
                "total_products_tax_excl": six_decimals(half_up(goods * 10_000 * 10_000, 10_000 + rate)),
                "total_products_tax_incl": minor_six(goods),
                "total_shipping_tax_excl": minor_six(net_of(shipping, rate)),
                "total_shipping_tax_incl": minor_six(shipping),
                "amount": minor_six(goods),
                "shipping_cost": "1" if shipping else "0",
                "shipping_cost_amount": minor_six(shipping),
                "partial": "1",
                "date_add": at or NO_DATE,
                "date_upd": at or NO_DATE,
                "order_slip_type": "1",
            }
            if details:
                slip["associations"] = {"order_slip_details": details}
            self._slips.append(slip)

    def _rate_of(self, order_id: int) -> int:
        return max((line["tax_rate_bp"] for line in self._lines.get(order_id, [])), default=2000)


def _ids_of_deleted_items(data: ShopData) -> dict[str, int]:
    """Ids that deleted items had, by SKU: over every id in use, so that a lookup finds nothing."""
    skus = data.order_lines.filter(pl.col("item_id").is_null())["sku"].fill_null("").unique().sort().to_list()
    highest = data.items["item_id"].max()
    start = (highest if isinstance(highest, int) else 0) + 1_000_000
    present = set(data.items["item_id"].to_list())
    missing = data.order_lines.filter(~pl.col("item_id").is_in(list(present)) & pl.col("item_id").is_not_null())[
        "sku"
    ].fill_null("")
    return {sku: start + number for number, sku in enumerate(sorted({*skus, *missing.to_list()}))}
