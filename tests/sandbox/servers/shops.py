"""A small shop by hand, with the ids of the recorded one, so that recorded requests find what they ask for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from sandbox.shop_data import SHOP_SCHEMAS, ShopData

NOW = datetime(2026, 11, 21, 21, 59, 30, tzinfo=UTC)
CREATED = NOW - timedelta(minutes=2)
# the WooCommerce run was earlier than the PrestaShop one
EARLIER = timedelta(minutes=-10, seconds=10)


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


def shop(zone: str = "Europe/Paris", later: timedelta = timedelta(), **frames: list[dict[str, Any]]) -> ShopData:
    """A `ShopData` of rows, every instant moved ``later``; orders without a total get that of their lines and extras."""
    for rows in frames.values():
        for row in rows:
            row.update({name: value + later for name, value in row.items() if isinstance(value, datetime)})
    totals: dict[int, int] = {}
    for row in frames.get("order_lines", []):
        totals[row["order_id"]] = totals.get(row["order_id"], 0) + row["line_total_minor"]
    for row in frames.get("orders", []):
        if row["total_minor"] is None:
            extra = row["shipping_minor"] + row["fee_minor"] - row["discount_minor"]
            row["total_minor"] = totals.get(row["order_id"], 0) + extra
    made = {name: pl.DataFrame(frames.get(name, []), schema=schema) for name, schema in SHOP_SCHEMAS.items()}
    return ShopData(**made, currency="EUR", time_zone=zone)


def _filler_items(first: int, count: int) -> list[dict[str, Any]]:
    return [item(first + number) for number in range(count)]


def prestashop_like() -> ShopData:
    """Items, orders and slips under the ids that the PrestaShop recordings use, and as many pages of them."""
    shirt = "T-shirt imprimé colibri"
    variations = [(2, "S / Noir", 2952, 9), (3, "M / Blanc", 3114, 11), *((n, f"T{n}", 2952, n) for n in range(60, 86))]
    items = [
        item(1, kind="variable", sku="demo_1", name=shirt, regular_minor=2952, stock_qty=None),
        *(
            item(
                n,
                parent_id=1,
                kind="variation",
                sku="demo_1",
                name=f"{shirt} - {size}",
                regular_minor=price,
                stock_qty=qty,
            )
            for n, size, price, qty in variations
        ),
        item(15, kind="kit", name="Coffret", stock_qty=None, regular_minor=3500),
        item(20, sku=None, name="Écharpe sans référence", regular_minor=2990, stock_qty=9),
        item(
            21, sku="MUG-01", gtin="3760123456784", name="Mug bleu", regular_minor=990, stock_qty=20, category="Maison"
        ),
        item(22, sku="MUG-01", name="Mug bleu (copie)", regular_minor=990, stock_qty=22, category="Maison"),
        item(23, sku="OFF-01", name="Ancien", is_active=False),
        item(24, name="Maillot de bain", stock_qty=-3, is_backorder_allowed=True),
        item(25, sku="DRESS-01", name="Robe d'été à fleurs", regular_minor=6000),
        item(26, sku="UMB-01", name="Parapluie", regular_minor=2500, category="Accessoires"),
        item(28, sku="NEVER-01", name="Jamais vendu", regular_minor=1200, category="Papeterie"),
        item(
            40, kind="service", sku="SERV-01", name="Retouche", manage_stock=False, stock_qty=None, category="Services"
        ),
        *_filler_items(100, 16),
    ]
    month = timedelta(days=30)
    promotions: list[dict[str, Any]] = [
        {
            "item_id": 25,
            "promotion_minor": 4500,
            "starts_at": NOW - timedelta(days=6),
            "ends_at": NOW + timedelta(days=9),
        },
        {"item_id": 26, "promotion_minor": 2000, "starts_at": NOW + timedelta(days=29), "ends_at": None},
        {"item_id": 1, "promotion_minor": 2452, "starts_at": None, "ends_at": NOW - timedelta(days=1)},
        *({"item_id": n, "promotion_minor": 1500, "starts_at": NOW - month, "ends_at": NOW} for n in range(100, 105)),
    ]
    shipped = {"status": "shipped", "completed_at": CREATED + timedelta(seconds=10)}
    delivered = {"status": "delivered", "completed_at": CREATED + timedelta(seconds=9)}
    orders = [
        *(order(n, **delivered) for n in range(1, 7)),
        *(order(n) for n in range(7, 19)),
        order(19, discount_minor=500, promised_ship_by_at=NOW + timedelta(days=1)),
        order(20, customer_id=4, **delivered),
        order(21, customer_id=4, status="refunded"),
        order(22, customer_id=5, status="failed", paid_at=None),
        order(23, customer_id=6, **shipped),
        order(24, **shipped),
        order(25, **shipped),
        order(26, status="cancelled", cancelled_at=CREATED + timedelta(seconds=20), cancel_reason="stock"),
        order(27, status="pending", paid_at=None, available_from_at=NOW + month, replaces_return_id="R000123"),
        order(28, status="on_hold", paid_at=None, origin_number="MKP-77"),
        order(29, status="pending", paid_at=None, pickup_location="S01"),
        order(30, customer_id=None, email="passage@example.com", status="pending", paid_at=None),
    ]
    mug = {"sku": "MUG-01", "unit_minor": 990}
    lines = [
        *(line(n, n, 21, **mug) for n in range(1, 19)),
        line(19, 34, 2, sku="demo_1", unit_minor=2657),
        line(19, 35, 25, sku="DRESS-01", unit_minor=4500, qty=3),
        line(20, 37, 20, sku=None, unit_minor=2990),
        line(20, 38, 21, qty=4, **mug),
        line(21, 39, 20, sku=None, unit_minor=2990, qty=2),
        line(22, 40, 20, sku=None, unit_minor=2990),
        line(23, 41, 3, sku="demo_1", unit_minor=3114),
        line(24, 42, 3, sku="demo_1", unit_minor=2452, qty=2),
        line(25, 44, None, sku="GONE-01", name="Produit supprimé", unit_minor=1235, qty=2),
        line(26, 45, 26, sku="UMB-01", unit_minor=2500),
        line(27, 46, 22, **mug),
        line(28, 47, 22, **mug),
        line(29, 48, 22, **mug),
        line(30, 49, 22, cancelled_qty=1, cancel_reason="seller", cancelled_at=NOW, **mug),
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
            customer(6, email="paul@example.com", first_name="Paul", phone=None),
            customer(7, email="lea@example.com", first_name="Léa"),
        ],
        orders=orders,
        order_lines=lines,
        refunds=[refund(1, 6, 1480, shipping_minor=490), refund(4, 24, 500)],
        refund_lines=[
            {"refund_id": 1, "line_id": 6, "qty": 1, "amount_minor": 990},
        ],
    )


def woocommerce_like() -> ShopData:
    """Items, orders and refunds under the ids that the WooCommerce recordings use, and as many pages of them."""
    boot = {"parent_id": 88, "kind": "variation", "category": "Chaussures", "regular_minor": 12000}
    shoe = "Bottine Élise"
    items = [
        item(
            11, kind="variable", sku="woo-hoodie", name="Hoodie", regular_minor=None, manage_stock=False, stock_qty=None
        ),
        *(
            item(
                n,
                parent_id=11,
                kind="variation",
                sku=f"woo-hoodie-{n}",
                name=f"Hoodie - {n}",
                manage_stock=False,
                stock_qty=None,
            )
            for n in range(27, 33)
        ),
        *(item(40 + n, category=f"Rayon {n % 5}") for n in range(18)),
        item(75, sku=None, name="Écharpe sans référence", regular_minor=2990),
        item(
            76,
            kind="gift_card",
            sku="GIFT-50",
            name="Carte cadeau",
            regular_minor=5000,
            tax_rate_bp=0,
            manage_stock=False,
            stock_qty=None,
        ),
        item(77, sku="BOOT-01", name='Bottes "Pluie" <b>caoutchouc</b>', regular_minor=7999, is_backorder_allowed=True),
        item(78, sku="BAG-20", name="Sac à dos 20 L", regular_minor=8400, stock_qty=-1),
        item(79, sku="DRESS-01", gtin="3760123456784", name="Robe d'été à fleurs", regular_minor=6000),
        item(80, sku="UMB-01", name="Parapluie", regular_minor=2500),
        item(81, sku="SWIM-01", name="Maillot de bain", regular_minor=3900, tax_rate_bp=550, stock_qty=-3),
        item(
            82,
            sku="MUG-01",
            name="Mug bleu",
            regular_minor=990,
            category="Maison",
            updated_at=CREATED + timedelta(seconds=5),
        ),
        item(83, sku="MUG-01", name="Mug bleu (copie)", regular_minor=990, category="Maison"),
        item(85, sku="DRAFT-01", name="Brouillon", is_active=False),
        item(88, kind="variable", sku="SHOE-01", name=shoe, regular_minor=12000, stock_qty=40, category="Chaussures"),
        item(89, sku="SHOE-01-38-N", name=f"{shoe} - 38, Noir", stock_qty=4, **boot),
        item(90, sku="SHOE-01-38-É", name=f"{shoe} - 38, Écru", manage_stock=False, stock_qty=None, **boot),
        item(91, sku="SHOE-01-38-B", name=f"{shoe} - 38, Bleu nuit", stock_qty=5, **boot),
        item(92, sku=None, name=f"{shoe} - 39, Noir", stock_qty=5, **boot),
        item(93, sku="SHOE-01-39-É", name=f"{shoe} - 39, Écru", stock_qty=5, **boot),
        item(94, sku="SHOE-01-39-B", name=f"{shoe} - 39, Bleu nuit", stock_qty=5, is_active=False, **boot),
        item(95, sku="SHOE-01-ANY", name=f"{shoe} - 38", stock_qty=0, is_backorder_allowed=True, **boot),
    ]
    week = timedelta(days=7)
    promotions: list[dict[str, Any]] = [
        {"item_id": 79, "promotion_minor": 4500, "starts_at": NOW - week, "ends_at": NOW + week},
        {"item_id": 80, "promotion_minor": 2000, "starts_at": NOW + 4 * week, "ends_at": NOW + 6 * week},
        {"item_id": 81, "promotion_minor": 2000, "starts_at": NOW - 3 * week, "ends_at": NOW - 2 * week},
        {"item_id": 89, "promotion_minor": 9900, "starts_at": NOW - week, "ends_at": NOW + week},
    ]
    done = {"status": "shipped", "completed_at": CREATED + timedelta(seconds=10)}
    new = {"status": "pending", "paid_at": None}
    free = {"shipping_minor": 0}
    orders = [
        *(order(n, customer_id=14, **done) for n in range(35, 67)),
        order(96, customer_id=14, discount_minor=2400, fee_minor=360, pickup_location="S11", shipping_minor=588),
        order(97, customer_id=15, shipping_minor=588, **done),
        order(98, customer_id=15, shipping_minor=588, **done),
        order(99, customer_id=16, shipping_minor=588, **done),
        order(100, customer_id=None, shipping_minor=588, **done),
        order(101, customer_id=14, **done),
        order(102, customer_id=None, status="on_hold", paid_at=None, shipping_minor=588),
        order(
            103, customer_id=16, promised_ship_by_at=NOW, available_from_at=NOW, replaces_return_id="R000001", **free
        ),
        order(104, customer_id=16, **new, **free),
        order(105, customer_id=15, **new, **free),
        order(106, customer_id=15, status="failed", paid_at=None, **free),
        order(107, customer_id=15, status="cancelled", cancelled_at=NOW, cancel_reason="stock", **free),
        order(108, customer_id=15, status="refunded", **free),
        order(110, customer_id=None, **new, **free),
        order(112, customer_id=14, **done, **free),
        order(113, customer_id=14, ordered_at=datetime(2026, 10, 25, 0, 30, tzinfo=UTC) - EARLIER, **free),
        order(114, customer_id=14, ordered_at=datetime(2026, 10, 25, 1, 30, tzinfo=UTC) - EARLIER, **free),
    ]
    mug = {"sku": "MUG-01", "name": "Mug bleu", "unit_minor": 990}
    dress = {"sku": "DRESS-01", "unit_minor": 4500}
    lines = [
        *(line(n, n, 82, **mug) for n in range(35, 67)),
        line(96, 128, 79, qty=2, **dress),
        line(96, 129, 89, sku="SHOE-01-38-N", name=f"{shoe} - 38, Noir", unit_minor=9900),
        line(
            96,
            130,
            81,
            qty=3,
            unit_minor=3900,
            tax_rate_bp=550,
            cancelled_qty=1,
            cancel_reason="stock",
            cancelled_at=NOW,
        ),
        line(97, 138, 82, qty=4, **mug),
        line(97, 139, 75, sku=None, unit_minor=2990),
        line(98, 142, 82, qty=2, **mug),
        line(99, 145, 79, **dress),
        line(100, 148, 77, sku="BOOT-01", qty=3, unit_minor=7999),
        line(100, 149, 90, sku="SHOE-01-38-É", name=f"{shoe} - 38, Écru", unit_minor=12000),
        line(101, 152, 76, sku="GIFT-50", unit_minor=5000, tax_rate_bp=0),
        line(102, 154, 75, sku=None, unit_minor=2990),
        line(103, 157, 78, sku="BAG-20", unit_minor=6895),
        line(104, 159, 82, qty=3, **mug),
        *(line(n, n + 56, 79, **dress) for n in (105, 106, 107, 108)),
        line(112, 171, None, sku="GONE-01", name="Produit supprimé", unit_minor=1234, qty=2),
        line(113, 173, 82, **mug),
        line(114, 175, 82, **mug),
    ]
    return shop(
        later=EARLIER,
        items=items,
        promotions=promotions,
        customers=[customer(n) for n in range(1, 18)],
        orders=orders,
        order_lines=lines,
        refunds=[
            *(refund(n, n - 30, 990, return_id=f"R{n:06d}") for n in range(66, 71)),
            refund(74, 66, 490, shipping_minor=490),
        ],
        refund_lines=[{"refund_id": n, "line_id": n - 30, "qty": 1, "amount_minor": 990} for n in range(66, 71)],
    )
