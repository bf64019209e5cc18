"""What each web shop should publish, from the ERP's stock and the orders that the ERP does not know yet (docs/kpis.md, K1b)."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from sandbox.world.catalogue import Catalogue
from sandbox.world.dice import INSTANT
from sandbox.world.places import CHANNELS, WAREHOUSE, Channel
from sandbox.world.stock import Stock, exploded


def unknown_demand(
    *,
    catalogue: Catalogue,
    orders: pl.DataFrame,
    lines: pl.DataFrame,
    tickets: pl.DataFrame,
    stock: Stock,
    now: datetime,
) -> pl.DataFrame:
    """Units sold that the ERP's stock row does not know. Grain: location x item; columns quantity, last_ordered_at."""
    levels = stock.levels.select("location", "item", "as_of_at")
    known = stock.acknowledgements.filter("is_accepted").select("order", "acknowledged_at")
    alive = orders.filter(
        ~pl.col("status").is_in(["cancelled", "failed", "refunded"]),
        pl.col("cancelled_at").is_null(),
        pl.col("fulfilled_by") == "retailer",
    ).join(known, on="order", how="left")
    sold = (
        lines.filter(pl.col("item").is_not_null())
        .join(alive, on="order")
        .select(
            pl.coalesce("pickup", pl.lit(WAREHOUSE)).alias("location"),
            "item",
            (pl.col("quantity") - pl.col("cancelled_qty")).alias("quantity"),
            "ordered_at",
            "acknowledged_at",
            pl.col("status").is_in(["shipped", "delivered"]).alias("has_left"),
        )
    )
    run = pl.lit(now).cast(INSTANT)
    sold = (
        exploded(sold, catalogue)
        .join(levels, on=["location", "item"], how="left")
        .filter(
            pl.col("acknowledged_at").is_null()
            | (~pl.col("has_left") & (pl.col("acknowledged_at") > pl.coalesce("as_of_at", run)))
        )
    )
    till = exploded(
        tickets.filter(pl.col("quantity") > 0, pl.col("item").is_not_null()).select(
            "location", "item", "quantity", pl.col("sold_at").alias("ordered_at")
        ),
        catalogue,
    )
    till = till.join(levels, on=["location", "item"], how="left").filter(
        pl.col("ordered_at") > pl.coalesce("as_of_at", run)
    )
    columns = ["location", "item", "quantity", "ordered_at"]
    return (
        pl.concat([sold.select(columns), till.select(columns)])
        .filter(pl.col("quantity") > 0)
        .group_by("location", "item")
        .agg(pl.col("quantity").sum(), pl.col("ordered_at").max().alias("last_ordered_at"))
    )


def expected_stock(channel_code: str, *, catalogue: Catalogue, stock: Stock, demand: pl.DataFrame) -> pl.DataFrame:
    """One row per article whose stock can be computed for that channel: expected, oldest_as_of_at, last_change_at."""
    channel = CHANNELS[channel_code]
    pool = pl.DataFrame({"location": channel.pool})
    free = (
        pl.col("on_hand")
        - pl.when("is_net").then(0).otherwise(pl.col("committed") + pl.col("reserved"))
        - pl.col("damaged")
    )
    rows = (
        stock.levels.join(pool, on="location")
        .group_by("item")
        .agg(
            free.sum().alias("available"),
            pl.col("as_of_at").min().alias("oldest_as_of_at"),
            pl.col("changed_at").max().alias("changed_at"),
        )
    )
    wanted = (
        demand.join(pool, on="location")
        .group_by("item")
        .agg(pl.col("quantity").sum().alias("unknown"), pl.col("last_ordered_at").max())
    )
    goods = rows.join(wanted, on="item", how="left").select(
        "item",
        pl.max_horizontal(pl.col("available") - pl.col("unknown").fill_null(0) - channel.safety_qty, pl.lit(0)).alias(
            "free"
        ),
        "oldest_as_of_at",
        pl.max_horizontal("changed_at", "last_ordered_at").alias("last_change_at"),
    )
    return (
        pl.concat([goods, _kits(catalogue, goods)])
        .with_columns(pl.min_horizontal("free", pl.lit(channel.cap_qty)).alias("expected"))
        .drop("free")
        .sort("item")
    )


def _kits(catalogue: Catalogue, goods: pl.DataFrame) -> pl.DataFrame:
    return (
        catalogue.kits.join(goods.rename({"item": "component"}), on="component")
        .group_by("kit")
        .agg(
            (pl.col("free") // pl.col("qty")).min().alias("free"),
            pl.col("oldest_as_of_at").min(),
            pl.col("last_change_at").max(),
        )
        .rename({"kit": "item"})
    )


def is_stale(channel: Channel, now: datetime) -> pl.Expr:
    """Whether the oldest stock row is too old to judge the channel by."""
    return (pl.lit(now).cast(INSTANT) - pl.col("oldest_as_of_at")).dt.total_seconds() > 60 * channel.stale_minutes


def is_in_flight(channel: Channel, now: datetime) -> pl.Expr:
    """Whether the last change is younger than the delay the channel's synchronisation promises. The shops are observed at `now`."""
    return (pl.lit(now).cast(INSTANT) - pl.col("last_change_at")).dt.total_seconds() < 60 * channel.promise_minutes
