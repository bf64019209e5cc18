"""What one web shop holds, in neutral columns: the seam between the world that invents a shop and the server that speaks its dialect.

Belongs here: the shapes of a shop's own data, and nothing about PrestaShop, WooCommerce or how the data came to be.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

_INSTANT = pl.Datetime("us", "UTC")

SHOP_SCHEMAS: dict[str, dict[str, pl.DataType | type[pl.DataType]]] = {
    "items": {
        "item_id": pl.Int64,
        "parent_id": pl.Int64,
        "kind": pl.String,
        "sku": pl.String,
        "gtin": pl.String,
        "name": pl.String,
        "category": pl.String,
        "is_active": pl.Boolean,
        "regular_minor": pl.Int64,
        "tax_rate_bp": pl.Int64,
        "weight_g": pl.Int64,
        "manage_stock": pl.Boolean,
        "stock_qty": pl.Int64,
        "is_backorder_allowed": pl.Boolean,
        "created_at": _INSTANT,
        "updated_at": _INSTANT,
    },
    "kit_items": {"kit_id": pl.Int64, "component_id": pl.Int64, "qty": pl.Int64},
    "promotions": {"item_id": pl.Int64, "promotion_minor": pl.Int64, "starts_at": _INSTANT, "ends_at": _INSTANT},
    "customers": {
        "customer_id": pl.Int64,
        "email": pl.String,
        "first_name": pl.String,
        "last_name": pl.String,
        "phone": pl.String,
        "country": pl.String,
        "is_guest": pl.Boolean,
        "created_at": _INSTANT,
        "updated_at": _INSTANT,
    },
    "orders": {
        "order_id": pl.Int64,
        "number": pl.String,
        "customer_id": pl.Int64,
        "email": pl.String,
        "phone": pl.String,
        "first_name": pl.String,
        "last_name": pl.String,
        "country": pl.String,
        "status": pl.String,
        "ordered_at": _INSTANT,
        "paid_at": _INSTANT,
        "cancelled_at": _INSTANT,
        "cancel_reason": pl.String,
        "completed_at": _INSTANT,
        "shipping_minor": pl.Int64,
        "discount_minor": pl.Int64,
        "fee_minor": pl.Int64,
        "total_minor": pl.Int64,
        "pickup_location": pl.String,
        "promised_ship_by_at": _INSTANT,
        "available_from_at": _INSTANT,
        "replaces_return_id": pl.String,
        "origin_number": pl.String,
        "updated_at": _INSTANT,
    },
    "order_lines": {
        "order_id": pl.Int64,
        "line_id": pl.Int64,
        "item_id": pl.Int64,
        "sku": pl.String,
        "name": pl.String,
        "qty": pl.Int64,
        "unit_minor": pl.Int64,
        "line_total_minor": pl.Int64,
        "tax_rate_bp": pl.Int64,
        "cancelled_qty": pl.Int64,
        "cancel_reason": pl.String,
        "cancelled_at": _INSTANT,
    },
    "refunds": {
        "refund_id": pl.Int64,
        "order_id": pl.Int64,
        "amount_minor": pl.Int64,
        "shipping_minor": pl.Int64,
        "initiated_at": _INSTANT,
        "return_id": pl.String,
        "reason": pl.String,
    },
    "refund_lines": {"refund_id": pl.Int64, "line_id": pl.Int64, "qty": pl.Int64, "amount_minor": pl.Int64},
}


@dataclass(frozen=True)
class ShopData:
    """One shop's whole content.

    Shapes: `SHOP_SCHEMAS`. Instants are microseconds in UTC; money is in minor units of `currency`, VAT included; `time_zone` is
    the zone in which the shop prints its own times.

    - `items`: one row per simple item, parent (`variable`), variation, kit, service or gift card; `item_id` is unique in the shop
      over all kinds; `parent_id` only on a variation; `stock_qty` null when the shop does not manage the item's stock.
    - `kit_items`: one row per kit and component. `promotions`: one row per item and window, `promotion_minor` the final price,
      `starts_at` null = always, `ends_at` exclusive, null = open.
    - `customers`, `orders`: one row each; an order of an unknown person has `customer_id` null and carries its own contact.
    - `order_lines`: one row per order and line; `line_id` is unique in the shop; `item_id` null when the item was deleted.
      `line_total_minor` = quantity x `unit_minor`, after discounts.
    - `refunds`, `refund_lines`: one row per refund and per refunded line; `amount_minor` includes `shipping_minor`.
    """

    items: pl.DataFrame
    kit_items: pl.DataFrame
    promotions: pl.DataFrame
    customers: pl.DataFrame
    orders: pl.DataFrame
    order_lines: pl.DataFrame
    refunds: pl.DataFrame
    refund_lines: pl.DataFrame
    currency: str
    time_zone: str

    def __post_init__(self) -> None:
        """Refuse a frame whose columns differ from `SHOP_SCHEMAS`."""
        for name, schema in SHOP_SCHEMAS.items():
            found = dict(getattr(self, name).schema)
            if found != schema:
                message = f"{name}: expected {schema}, found {found}"
                raise ValueError(message)
