"""A shop of a few rows, in the sandbox's neutral columns, with one of each trap. ``orders`` repeats its one plain order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from sandbox.shop_data import SHOP_SCHEMAS, ShopData

NOW = datetime(2026, 5, 18, 10, 0, tzinfo=UTC)


def tiny_shop(*, orders: int = 12, zone: str = "Europe/Paris") -> ShopData:
    """Items 1 simple (on promotion), 2 variable with 3 and 4, 5 kit, 6 service; order 1 is cut short, 2 cancelled, 3 refunded by line."""
    then = NOW - timedelta(days=30)

    def item(item_id: int, kind: str, sku: str | None, **changes: Any) -> dict[str, Any]:
        return {
            "item_id": item_id,
            "parent_id": None,
            "kind": kind,
            "sku": sku,
            "gtin": None,
            "name": f"Article {item_id}",
            "category": "Maison",
            "is_active": True,
            "regular_minor": 1290,
            "tax_rate_bp": 2000,
            "weight_g": 300,
            "manage_stock": True,
            "stock_qty": 5,
            "is_backorder_allowed": False,
            "created_at": then,
            "updated_at": then,
            **changes,
        }

    items = [
        item(1, "simple", "A-1", gtin="3760123456784"),
        item(2, "variable", None, name="Chemise", stock_qty=None, manage_stock=False),
        item(3, "variation", "A-2-S", parent_id=2, name="Chemise - S", regular_minor=1590, stock_qty=2),
        item(4, "variation", "A-2-M", parent_id=2, name="Chemise - M", stock_qty=0),
        item(5, "kit", "KIT-1", regular_minor=2000, tax_rate_bp=550),
        item(6, "service", "SERV-1", manage_stock=False, stock_qty=None, weight_g=None),
    ]
    customers = [
        {
            "customer_id": 1,
            "email": "Zoe@Example.com",
            "first_name": "Zoé",
            "last_name": "Lefèvre",
            "phone": "06 12 34 56 78",
            "country": "FR",
            "is_guest": False,
            "created_at": then,
            "updated_at": then,
        }
    ]
    order_rows, lines = [], []
    for order_id in range(1, orders + 1):
        at = then + timedelta(hours=order_id)
        order_rows.append(_order(order_id, at))
        lines += [
            _line(order_id, order_id * 10 + 1, 1, "A-1", 2, 1290),
            _line(order_id, order_id * 10 + 2, 3, "A-2-S", 1, 1590),
        ]
    lines[0] |= {"cancelled_qty": 1, "cancel_reason": "stock", "cancelled_at": then + timedelta(days=1)}
    lines[3] |= {"item_id": None, "sku": "GONE"}
    order_rows[1] |= {"status": "cancelled", "cancelled_at": then + timedelta(days=2), "cancel_reason": "seller"}
    order_rows[2] |= {"status": "shipped", "completed_at": then + timedelta(days=3), "pickup_location": "S01"}
    order_rows[3] |= {
        "customer_id": None,
        "origin_number": "MKP-77",
        "promised_ship_by_at": then + timedelta(days=4),
        "available_from_at": then + timedelta(days=5),
        "replaces_return_id": "R000123",
    }
    refunds = [
        {
            "refund_id": 901,
            "order_id": 3,
            "amount_minor": 1290 + 490,
            "shipping_minor": 490,
            "initiated_at": then + timedelta(days=6),
            "return_id": "R000001",
            "reason": "taille",
        },
        {
            "refund_id": 902,
            "order_id": 5,
            "amount_minor": 500,
            "shipping_minor": 0,
            "initiated_at": then + timedelta(days=7),
            "return_id": None,
            "reason": "geste",
        },
    ]
    frames = {
        "items": items,
        "kit_items": [{"kit_id": 5, "component_id": 1, "qty": 2}, {"kit_id": 5, "component_id": 3, "qty": 1}],
        "promotions": [
            {
                "item_id": 1,
                "promotion_minor": 1000,
                "starts_at": NOW - timedelta(days=1),
                "ends_at": datetime(2026, 5, 24, 22, 0, tzinfo=UTC),
            }
        ],
        "customers": customers,
        "orders": order_rows,
        "order_lines": lines,
        "refunds": refunds,
        "refund_lines": [{"refund_id": 901, "line_id": 31, "qty": 1, "amount_minor": 1290}],
    }
    tables = {name: pl.DataFrame(rows, schema=SHOP_SCHEMAS[name]) for name, rows in frames.items()}
    return ShopData(**tables, currency="EUR", time_zone=zone)


def _order(order_id: int, at: datetime) -> dict[str, Any]:
    return {
        "order_id": order_id,
        "number": f"N{order_id:06d}",
        "customer_id": 1,
        "email": "zoe@example.com",
        "phone": "06 12 34 56 78",
        "first_name": "Zoé",
        "last_name": "Lefèvre",
        "country": "FR",
        "status": "payable",
        "ordered_at": at,
        "paid_at": at + timedelta(minutes=5),
        "cancelled_at": None,
        "cancel_reason": None,
        "completed_at": None,
        "shipping_minor": 490,
        "discount_minor": 0,
        "fee_minor": 0,
        "total_minor": 2 * 1290 + 1590 + 490,
        "pickup_location": None,
        "promised_ship_by_at": None,
        "available_from_at": None,
        "replaces_return_id": None,
        "origin_number": None,
        "updated_at": at + timedelta(days=8),
    }


def _line(order_id: int, line_id: int, item_id: int, sku: str, qty: int, unit_minor: int) -> dict[str, Any]:
    return {
        "order_id": order_id,
        "line_id": line_id,
        "item_id": item_id,
        "sku": sku,
        "name": f"Article {item_id}",
        "qty": qty,
        "unit_minor": unit_minor,
        "line_total_minor": qty * unit_minor,
        "tax_rate_bp": 2000,
        "cancelled_qty": 0,
        "cancel_reason": None,
        "cancelled_at": None,
    }
