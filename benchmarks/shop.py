"""The shop that the extraction benchmark reads: orders invented in columns, served by the sandbox's WooCommerce in this process.

``python -m benchmarks.shop`` starts it, prints its address and serves until its input is closed; a number on its input is the
milliseconds that it waits from then on before each answer. Its CPU is not counted.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from datetime import timedelta

import numpy as np
import polars as pl

from benchmarks.shop_key import KEY, SECRET
from benchmarks.stores import NOW
from sandbox.servers.faults import Fault, FaultPlan
from sandbox.servers.http import DropConnection, Handler, Request, Response
from sandbox.servers.woocommerce import WooCommerceServer
from sandbox.shop_data import SHOP_SCHEMAS, ShopData

ITEMS = 5_000
_RATE_BP = 2_100
_STATUSES = ("shipped", "payable", "on_hold", "cancelled", "refunded")
_SHARES = (0.8, 0.1, 0.03, 0.04, 0.03)


class PagesAtHand(FaultPlan):
    """A server that draws each page once and then gives the same bytes, so that a client is measured and not the server."""

    def around(self, handler: Handler) -> Handler:
        """The handler with its answers remembered, signatures left aside; faults still strike each call."""
        known: dict[tuple[str, str, tuple[tuple[str, str], ...]], Response | DropConnection] = {}

        def remembered(request: Request) -> Response | DropConnection:
            asked = tuple(pair for pair in request.query if not pair[0].startswith("oauth_"))
            key = (request.method, request.path, asked)
            if key not in known:
                known[key] = handler(request)
            return known[key]

        return super().around(remembered)


def shop_of(orders: int, *, seed: int) -> ShopData:
    """A shop with that many orders of two and a half lines on average, of half as many guests, over 120 days."""
    dice = np.random.default_rng(seed)
    order_ids = np.arange(1, orders + 1)
    placed_at = np.sort(dice.integers(0, 120 * 86_400, orders))
    line_qty = dice.choice([1, 2, 3, 4, 5], orders, p=[0.25, 0.3, 0.25, 0.1, 0.1])
    line_orders = np.repeat(order_ids, line_qty)
    lines = pl.DataFrame(
        {
            "order_id": line_orders,
            "line_id": np.arange(1, line_orders.size + 1),
            "item_id": dice.integers(1, ITEMS + 1, line_orders.size),
            "qty": dice.choice([1, 1, 1, 2, 3], line_orders.size),
            "unit_minor": dice.integers(500, 20_000, line_orders.size),
        }
    ).with_columns(
        sku=pl.format("SKU-{}", "item_id"),
        name=pl.format("Article d'été n° {} – coton", "item_id"),
        line_total_minor=pl.col("qty") * pl.col("unit_minor"),
        tax_rate_bp=pl.lit(_RATE_BP, pl.Int64),
        cancelled_qty=pl.lit(0, pl.Int64),
    )
    totals = lines.group_by("order_id", maintain_order=True).agg(pl.col("line_total_minor").sum().alias("goods"))
    first_at = NOW - timedelta(days=121)
    persons = dice.integers(0, max(1, orders // 2), orders)
    table = pl.DataFrame({"order_id": order_ids, "person": persons, "placed": placed_at}).with_columns(
        number=pl.format("{}", "order_id"),
        email=pl.format("client{}@example.org", "person"),
        phone=pl.format("+324{}", pl.col("person").cast(pl.String).str.zfill(8)),
        first_name=pl.format("Aurélie{}", pl.col("person") % 997),
        last_name=pl.format("Dupont-{}", "person"),
        country=pl.lit("BE"),
        status=pl.Series(dice.choice(_STATUSES, orders, p=_SHARES)),
        ordered_at=pl.lit(first_at).dt.cast_time_unit("us") + pl.duration(seconds="placed"),
        shipping_minor=pl.Series(dice.choice([0, 490, 790], orders)),
        discount_minor=pl.lit(0, pl.Int64),
        fee_minor=pl.lit(0, pl.Int64),
    )
    table = table.with_columns(
        paid_at=pl.when(pl.col("status") != "on_hold").then(pl.col("ordered_at").dt.offset_by("2m")),
        cancelled_at=pl.when(pl.col("status") == "cancelled").then(pl.col("ordered_at").dt.offset_by("5h")),
        cancel_reason=pl.when(pl.col("status") == "cancelled").then(pl.lit("customer")),
        completed_at=pl.when(pl.col("status") == "shipped").then(pl.col("ordered_at").dt.offset_by("20h")),
        updated_at=pl.col("ordered_at").dt.offset_by("20h"),
        total_minor=totals["goods"] + pl.col("shipping_minor"),
    )
    items = pl.DataFrame({"item_id": np.arange(1, ITEMS + 1)}).with_columns(
        kind=pl.lit("simple"),
        sku=pl.format("SKU-{}", "item_id"),
        name=pl.format("Article d'été n° {} – coton", "item_id"),
        category=pl.lit("Mode"),
        is_active=pl.lit(True),
        regular_minor=pl.lit(1_990, pl.Int64),
        tax_rate_bp=pl.lit(_RATE_BP, pl.Int64),
        weight_g=pl.lit(250, pl.Int64),
        manage_stock=pl.lit(True),
        stock_qty=pl.lit(12, pl.Int64),
        is_backorder_allowed=pl.lit(False),
        created_at=pl.lit(first_at),
        updated_at=pl.lit(first_at),
    )
    frames = {"items": items, "orders": table, "order_lines": lines}
    shaped = {name: _shaped(frames.get(name), name) for name in SHOP_SCHEMAS}
    return ShopData(**shaped, currency="EUR", time_zone="Europe/Brussels")


def _shaped(frame: pl.DataFrame | None, name: str) -> pl.DataFrame:
    schema = SHOP_SCHEMAS[name]
    if frame is None:
        return pl.DataFrame(schema=schema)
    return frame.select(
        (pl.col(column) if column in frame.columns else pl.lit(None)).cast(dtype).alias(column)
        for column, dtype in schema.items()
    )


def main() -> None:
    """Serve until the input is closed; the first line printed is JSON with the address."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    arguments = parser.parse_args()
    pages = PagesAtHand()
    server = WooCommerceServer(
        shop_of(arguments.orders, seed=arguments.seed),
        key=KEY,
        secret=SECRET,
        clock=lambda: NOW,
        faults=pages,
    )
    sys.stdout.write(json.dumps({"url": server.start()}) + "\n")
    sys.stdout.flush()
    for line in sys.stdin:
        pages.clear()
        if float(line):
            pages.add(Fault(kind="slow", seconds=float(line) / 1_000))
        sys.stdout.write("\n")  # it waits so long from now on
        sys.stdout.flush()
    server.stop()


if __name__ == "__main__":
    main()
