"""A seeded world: one omnichannel retailer, invented in columns, with known defects and the truth about them.

`build_world` is the way in; each sibling module invents one subject. Nothing here writes a file or opens a socket.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import polars as pl

from sandbox.shop_data import ShopData
from sandbox.world.catalogue import Catalogue, build_catalogue
from sandbox.world.expected import unknown_demand
from sandbox.world.places import location_days
from sandbox.world.prices import Prices, build_prices
from sandbox.world.returns import Returns, build_returns
from sandbox.world.sales import Sales, build_sales, replacements
from sandbox.world.shipping import build_shipping, scans_of
from sandbox.world.shops import Shop, build_listings, build_shop
from sandbox.world.stock import Stock, build_stock
from sandbox.world.tills import build_tickets

DEMO_SEED = 7
DEMO_NOW = datetime(2026, 5, 18, 10, tzinfo=UTC)
DEMO_VARIANTS = 5_000
DEMO_ORDERS = 20_000
TILL_SHARE = 0.34


@dataclass(frozen=True)
class World:
    """Everything that happened to one retailer up to `now`. Articles are numbers (`item`); every frame is sorted.

    `orders` and `lines` hold web and marketplace orders, replacements included; `tickets` the tills' lines, returns included.
    """

    seed: int
    now: datetime
    days: int
    catalogue: Catalogue
    prices: Prices
    location_days: pl.DataFrame
    orders: pl.DataFrame
    lines: pl.DataFrame
    shipments: pl.DataFrame
    shipment_lines: pl.DataFrame
    scans: pl.DataFrame
    returns: Returns
    tickets: pl.DataFrame
    stock: Stock
    demand: pl.DataFrame
    web_fr: Shop
    web_be: Shop

    @property
    def shop_fr(self) -> ShopData:
        """The French shop, for its server."""
        return self.web_fr.data

    @property
    def shop_be(self) -> ShopData:
        """The Belgian shop, for its server."""
        return self.web_be.data

    @cached_property
    def truth(self) -> dict[str, Any]:
        """What a correct pipeline must find: see `sandbox.world.truth`. Computed when first asked for."""
        from sandbox.world.truth import truth_of

        return truth_of(self)


def build_world(*, seed: int, now: datetime, variants: int, orders: int, days: int = 120) -> World:
    """Invent one retailer. Same arguments, same world.

    `variants` counts simple articles and variants (500 at least), `orders` web orders, marketplace orders and tickets together
    (2,000 at least); `now` is in UTC, in whole seconds. Raises ValueError when the world is too small to hold every defect.
    """
    catalogue = build_catalogue(seed=seed, variants=variants, now=now)
    prices = build_prices(seed=seed, catalogue=catalogue, now=now, days=days)
    table = location_days(now.date() - timedelta(days=days + 20), now.date() + timedelta(days=60))
    sales = build_sales(
        seed=seed,
        catalogue=catalogue,
        prices=prices,
        days_table=table,
        orders=orders,
        now=now,
        days=days,
        persons=max(10, orders // 2),
    )
    shipping = build_shipping(seed=seed, sales=sales, days_table=table, now=now)
    sold = build_tickets(
        seed=seed,
        catalogue=catalogue,
        prices=prices,
        days_table=table,
        count=round(orders * TILL_SHARE),
        now=now,
        days=days,
    )
    returns = build_returns(seed=seed, catalogue=catalogue, sales=sales, shipping=shipping, tickets=sold, now=now)
    exchanged = returns.lines.filter(
        pl.col("what") == "exchange", pl.col("received_at") < pl.lit(now - timedelta(hours=2))
    )
    again: Sales = replacements(
        seed=seed, sales=sales, returned=exchanged, days_table=table, now=now, catalogue=catalogue
    )
    resent = build_shipping(seed=seed + 1, sales=again, days_table=table, now=now, first=shipping.shipments.height + 1)
    all_orders = pl.concat([shipping.orders, resent.orders.select(shipping.orders.columns)])
    lines = pl.concat([sales.lines, again.lines])
    shipments = pl.concat([shipping.shipments, resent.shipments])
    shipment_lines = pl.concat([shipping.lines, resent.lines])
    tickets = pl.concat([sold, returns.tickets]).sort("sold_at", "ticket", "line_number")
    stock = build_stock(
        seed=seed,
        catalogue=catalogue,
        orders=all_orders,
        lines=lines,
        shipments=shipments,
        shipment_lines=shipment_lines,
        tickets=tickets,
        returns=returns.lines,
        now=now,
        days=days,
    )
    demand = unknown_demand(catalogue=catalogue, orders=all_orders, lines=lines, tickets=tickets, stock=stock, now=now)

    def shop(channel: str) -> Shop:
        listings = build_listings(
            channel, seed=seed, catalogue=catalogue, prices=prices, stock=stock, demand=demand, now=now
        )
        return build_shop(
            channel,
            catalogue=catalogue,
            listings=listings,
            orders=all_orders,
            lines=lines,
            refunds=returns.refunds,
            refund_lines=returns.refund_lines,
            now=now,
        )

    return World(
        seed=seed,
        now=now,
        days=days,
        catalogue=catalogue,
        prices=prices,
        location_days=table,
        orders=all_orders,
        lines=lines,
        shipments=shipments,
        shipment_lines=shipment_lines,
        scans=scans_of(shipments, now),
        returns=returns,
        tickets=tickets,
        stock=stock,
        demand=demand,
        web_fr=shop("web-fr"),
        web_be=shop("web-be"),
    )
