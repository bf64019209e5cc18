"""A small shop by hand, with the ids of the recorded one, so that recorded requests find what they ask for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from sandbox.shop_data import SHOP_SCHEMAS, ShopData

NOW = datetime(2026, 11, 21, 21, 59, 30, tzinfo=UTC)
CREATED = NOW - timedelta(minutes=2)


def item(item_id: int, **values: Any) -> dict[str, Any]:
    """One row of `ShopData.items`: a simple, active, managed item unless told otherwise."""
    return {
        "item_id": item_id,
        "parent_id": None,
        "kind": "simple",
        "sku": f"SKU-{item_id}",
        "gtin": None,
        "name": f"Article {item_id}",
        "category": "Vêtements",
        "is_active": True,
        "regular_minor": 1990,
        "tax_rate_bp": 2000,
        "weight_g": 300,
        "manage_stock": True,
        "stock_qty": 10,
        "is_backorder_allowed": False,
        "created_at": CREATED,
        "updated_at": CREATED,
    } | values


def customer(customer_id: int, **values: Any) -> dict[str, Any]:
    """One row of `ShopData.customers`."""
    return {
        "customer_id": customer_id,
        "email": f"client{customer_id}@example.com",
        "first_name": "Zoé",
        "last_name": "Lefèvre",
        "phone": "0238000000",
        "country": "FR",
        "is_guest": False,
        "created_at": CREATED,
        "updated_at": CREATED,
    } | values


def order(order_id: int, **values: Any) -> dict[str, Any]:
    """One row of `ShopData.orders`: paid, not shipped, unless told otherwise."""
    return {
        "order_id": order_id,
        "number": f"REF{order_id:06d}",
        "customer_id": 3,
        "email": "zoe.lefevre@example.com",
        "phone": "0238000000",
        "first_name": "Zoé",
        "last_name": "Lefèvre",
        "country": "FR",
        "status": "payable",
        "ordered_at": CREATED,
        "paid_at": CREATED + timedelta(seconds=1),
        "cancelled_at": None,
        "cancel_reason": None,
        "completed_at": None,
        "shipping_minor": 490,
        "discount_minor": 0,
        "fee_minor": 0,
        "total_minor": None,
        "pickup_location": None,
        "promised_ship_by_at": None,
        "available_from_at": None,
        "replaces_return_id": None,
        "origin_number": None,
        "updated_at": CREATED + timedelta(seconds=2),
    } | values


def line(order_id: int, line_id: int, item_id: int | None, **values: Any) -> dict[str, Any]:
    """One row of `ShopData.order_lines`."""
    row = {
        "order_id": order_id,
        "line_id": line_id,
        "item_id": item_id,
        "sku": f"SKU-{item_id}",
        "name": f"Article {item_id}",
        "qty": 1,
        "unit_minor": 1990,
        "tax_rate_bp": 2000,
        "cancelled_qty": 0,
        "cancel_reason": None,
        "cancelled_at": None,
    } | values
    return {"line_total_minor": row["qty"] * row["unit_minor"]} | row


def refund(refund_id: int, order_id: int, amount_minor: int, **values: Any) -> dict[str, Any]:
    """One row of `ShopData.refunds`."""
    return {
        "refund_id": refund_id,
        "order_id": order_id,
        "amount_minor": amount_minor,
        "shipping_minor": 0,
        "initiated_at": CREATED + timedelta(seconds=30),
        "return_id": None,
        "reason": "taille",
    } | values


def shop(zone: str = "Europe/Paris", **frames: list[dict[str, Any]]) -> ShopData:
    """A `ShopData` of rows; orders without a total get that of their lines, delivery, fee and discount."""
    totals: dict[int, int] = {}
    for row in frames.get("order_lines", []):
        totals[row["order_id"]] = totals.get(row["order_id"], 0) + row["line_total_minor"]
    for row in frames.get("orders", []):
        if row["total_minor"] is None:
            extra = row["shipping_minor"] + row["fee_minor"] - row["discount_minor"]
            row["total_minor"] = totals.get(row["order_id"], 0) + extra
    made = {name: pl.DataFrame(frames.get(name, []), schema=schema) for name, schema in SHOP_SCHEMAS.items()}
    return ShopData(**made, currency="EUR", time_zone=zone)


def prestashop_like() -> ShopData:
    """Items, orders and slips under the ids that the PrestaShop recordings use."""
    items = [
        item(1, kind="variable", sku="demo_1", name="T-shirt imprimé colibri", regular_minor=2952, stock_qty=None),
        *(
            item(
                number,
                parent_id=1,
                kind="variation",
                sku="demo_1",
                name=f"T-shirt imprimé colibri - {size}",
                regular_minor=price,
                stock_qty=stock,
            )
            for number, size, price, stock in ((2, "S / Noir", 2952, 9), (3, "M / Blanc", 3114, 11))
        ),
        item(15, kind="kit", name="Coffret", stock_qty=None, regular_minor=3500),
        item(20, sku=None, name="Écharpe sans référence", regular_minor=2990, stock_qty=0),
        item(21, sku="MUG-01", gtin="3760123456784", name="Mug bleu", regular_minor=990, stock_qty=20, category="Maison"),
        item(22, sku="MUG-01", name="Mug bleu (copie)", regular_minor=990, stock_qty=22, category="Maison"),
        item(23, sku="OFF-01", name="Ancien", is_active=False),
        item(24, name="Maillot de bain", stock_qty=-3, is_backorder_allowed=True),
        item(25, sku="DRESS-01", name="Robe d'été à fleurs", regular_minor=6000),
        item(26, sku="UMB-01", name="Parapluie", regular_minor=2500),
        item(28, sku="NEVER-01", name="Jamais vendu", regular_minor=1200),
        item(40, kind="service", sku="SERV-01", name="Retouche", manage_stock=False, stock_qty=None),
    ]
    promotions = [
        {"item_id": 25, "promotion_minor": 4500, "starts_at": NOW - timedelta(days=6), "ends_at": NOW + timedelta(days=9)},
        {"item_id": 26, "promotion_minor": 2000, "starts_at": NOW + timedelta(days=29), "ends_at": None},
        {"item_id": 1, "promotion_minor": 2452, "starts_at": None, "ends_at": NOW - timedelta(days=1)},
    ]
    shipped = {"status": "shipped", "completed_at": CREATED + timedelta(seconds=10)}
    orders = [
        order(6, status="delivered", completed_at=CREATED + timedelta(seconds=8)),
        order(19, discount_minor=500, promised_ship_by_at=NOW + timedelta(days=1)),
        order(20, customer_id=4, status="delivered", completed_at=CREATED + timedelta(seconds=9)),
        order(21, customer_id=4, status="refunded"),
        order(22, customer_id=5, status="failed", paid_at=None),
        order(24, **shipped),
        order(25, **shipped),
        order(26, status="cancelled", cancelled_at=CREATED + timedelta(seconds=20), cancel_reason="stock"),
        order(28, status="on_hold", paid_at=None, origin_number="MKP-77"),
        order(29, status="pending", paid_at=None, pickup_location="S01"),
        order(30, customer_id=None, email="passage@example.com", status="pending", paid_at=None),
    ]
    lines = [
        line(6, 11, 21, sku="MUG-01", unit_minor=990),
        line(19, 34, 2, sku="demo_1", unit_minor=2657),
        line(19, 35, 25, sku="DRESS-01", unit_minor=4500, qty=3),
        line(20, 37, 20, sku=None, unit_minor=2990),
        line(20, 38, 21, sku="MUG-01", unit_minor=990, qty=4),
        line(21, 39, 20, sku=None, unit_minor=2990, qty=2),
        line(22, 40, 20, sku=None, unit_minor=2990),
        line(24, 42, 3, sku="demo_1", unit_minor=2452, qty=2),
        line(25, 44, None, sku="GONE-01", name="Produit supprimé", unit_minor=1235, qty=2),
        line(26, 45, 26, sku="UMB-01", unit_minor=2500),
        line(28, 47, 22, sku="MUG-01", unit_minor=990),
        line(29, 48, 22, sku="MUG-01", unit_minor=990),
        line(30, 49, 22, sku="MUG-01", unit_minor=990, cancelled_qty=1, cancel_reason="seller", cancelled_at=NOW),
    ]
    people = {"first_name": "Inès", "last_name": "Durand"}
    return shop(
        items=items,
        kit_items=[{"kit_id": 15, "component_id": 2, "qty": 5}, {"kit_id": 15, "component_id": 21, "qty": 1}],
        promotions=promotions,
        customers=[
            customer(3, email="zoe.lefevre@example.com"),
            customer(4, email="ines@example.com", **people),
            customer(5, email="hakan@example.com", first_name="Håkan", last_name="Øster-Æbelø", is_guest=True),
        ],
        orders=orders,
        order_lines=lines,
        refunds=[refund(2, 20, 990), refund(3, 21, 6470, shipping_minor=490)],
        refund_lines=[
            {"refund_id": 2, "line_id": 38, "qty": 1, "amount_minor": 990},
            {"refund_id": 3, "line_id": 39, "qty": 2, "amount_minor": 5980},
        ],
    )
