"""How orders leave: WMS shipments and their lines, carrier scans, and the state each order is in now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from sandbox.world.dice import INSTANT, dice
from sandbox.world.places import with_promise
from sandbox.world.sales import Sales

CARRIERS = ("colissimo", "chronopost", "dpd", "bpost")
UNSHIPPED = (
    "stuck",
    "refunded_unshipped",
    "cancel_unpaid",
    "cancel_customer",
    "cancel_late",
    "cancel_seller",
    "cancel_stock",
    "cancel_payment",
    "failed",
    "pending",
    "on_hold",
)


@dataclass(frozen=True)
class Shipping:
    """`shipments`: one row per parcel or pick-up preparation; `lines`: what each holds;
    `orders`: the orders with `status`, `completed_at`."""

    shipments: pl.DataFrame
    lines: pl.DataFrame
    orders: pl.DataFrame


def build_shipping(*, seed: int, sales: Sales, days_table: pl.DataFrame, now: datetime, first: int = 1) -> Shipping:
    """Every shipment of the orders that the retailer fulfils, numbered from `first`."""
    mine = sales.orders.filter((pl.col("fulfilled_by") == "retailer") & pl.col("clock_at").is_not_null())
    parts = _parts(sales, mine)
    shipments = _shipments(seed, mine, parts, days_table, now, first)
    lines = parts.join(
        shipments.select("order", "part", "shipment"), on=["order", "part"], how="inner", maintain_order="left"
    )
    lines = lines.sort("shipment", "line").with_columns(
        pl.int_range(1, pl.len() + 1).over("shipment").cast(pl.Int64).alias("line_number")
    )
    return Shipping(shipments, lines, _states(sales, shipments, lines, now))


def _parts(sales: Sales, mine: pl.DataFrame) -> pl.DataFrame:
    """Units of each goods line in the first and in the second parcel of its order."""
    lines = (
        sales.lines.filter(~pl.col("is_service"))
        .join(mine.select("order", "fate", "units"), on="order", maintain_order="left")
        .filter(~pl.col("fate").is_in(UNSHIPPED))
        .with_columns((pl.col("quantity") - pl.col("cancelled_qty")).alias("wanted"))
    )
    is_first = pl.col("line") == pl.col("line").min().over("order")
    several = pl.len().over("order") > 1
    later = (
        pl.when(pl.col("fate").is_in(["split", "split_stuck"]) & is_first)
        .then(pl.when(pl.col("wanted") > 1).then(pl.col("wanted") - 1).when(several).then("wanted").otherwise(0))
        .when(pl.col("fate") == "reshipped")
        .then("wanted")
        .otherwise(0)
    )
    lines = lines.with_columns(later.alias("second"))
    first = pl.when(pl.col("fate") == "reshipped").then("wanted").otherwise(pl.col("wanted") - pl.col("second"))
    keep = ["order", "line", "item", "sku"]
    return pl.concat(
        [
            lines.select(*keep, pl.lit(1).alias("part"), first.cast(pl.Int64).alias("quantity")),
            lines.filter(pl.col("fate") != "split_stuck").select(
                *keep, pl.lit(2).alias("part"), pl.col("second").cast(pl.Int64).alias("quantity")
            ),
        ]
    ).filter(pl.col("quantity") > 0)


def _shipments(
    seed: int, mine: pl.DataFrame, parts: pl.DataFrame, days_table: pl.DataFrame, now: datetime, first: int
) -> pl.DataFrame:
    rng = dice(seed, "shipments")
    frame = (
        parts.select("order", "part")
        .unique(maintain_order=True)
        .join(
            mine.select(
                "order", "channel", "fate", "pickup", "ship_from", "clock_at", "own_promise_at", "draw", "draw2"
            ),
            on="order",
            maintain_order="left",
        )
        .sort("order", "part")
    )
    size = frame.height
    second_elsewhere = (pl.col("part") == 2) & pl.col("pickup").is_null() & (pl.col("draw2") < 0.2)
    frame = frame.with_columns(
        pl.coalesce("pickup", pl.when(second_elsewhere).then(pl.lit("S01")).otherwise("ship_from")).alias("location"),
        pl.Series("u", rng.random(size)),
        pl.Series("v", rng.random(size)),
        pl.Series("carrier", pl.Series(CARRIERS).gather(rng.integers(0, len(CARRIERS), size))),
    )
    frame = with_promise(frame, days_table, place="location", start="clock_at", own="own_promise_at", into="promise_at")
    fate, start, promise = pl.col("fate"), pl.col("clock_at"), pl.col("promise_at")
    room = (promise - start).dt.total_seconds()

    def into(share: pl.Expr) -> pl.Expr:
        return start + pl.duration(seconds=(room * share).cast(pl.Int64))

    on_time = into(pl.col("u") * 0.45 + 0.05)
    late = promise + pl.duration(seconds=(3600 + pl.col("u") * 96 * 3600).cast(pl.Int64))
    done = (
        pl.when(fate == "late")
        .then(late)
        .when(fate == "on_the_dot")
        .then(promise)
        .when(fate.is_in(["split", "split_stuck"]) & (pl.col("part") == 2))
        .then(pl.when(pl.col("v") < 0.5).then(into(pl.col("u") * 0.4 + 0.55)).otherwise(late))
        .when((fate == "reshipped") & (pl.col("part") == 2))
        .then(into(pl.col("u") * 0.3 + 0.6))
        .otherwise(on_time)
    )
    frame = frame.with_columns(done.alias("planned_at"))
    span = (pl.col("planned_at") - start).dt.total_seconds()
    until = pl.lit(now).cast(INSTANT)
    is_parcel, is_dead = (
        pl.col("pickup").is_null(),
        fate.is_in(["given_up"]) | ((fate == "reshipped") & (pl.col("part") == 1)),
    )

    def step(share: float, condition: pl.Expr) -> pl.Expr:
        at = start + pl.duration(seconds=(span * share).cast(pl.Int64))
        return pl.when(condition & (at <= until)).then(at)

    always = pl.lit(True)
    unscanned = fate == "label_only"
    return (
        frame.with_columns(
            step(0.2, always).alias("released_at"),
            step(0.5, always).alias("picked_at"),
            step(0.6, ~is_dead).alias("packed_at"),
            step(0.7, is_parcel & ~is_dead).alias("label_printed_at"),
            step(0.9, is_parcel & ~is_dead & ~(unscanned & (pl.col("v") < 0.5))).alias("ship_confirmed_at"),
            pl.when(~is_parcel & ~is_dead & ~unscanned & (pl.col("planned_at") <= until))
            .then("planned_at")
            .alias("ready_at"),
            step(0.55, is_dead).alias("cancelled_at"),
            pl.when(is_parcel & ~is_dead & ~unscanned & (pl.col("planned_at") <= until))
            .then("planned_at")
            .alias("scanned_at"),
            pl.when(is_parcel).then("carrier").alias("carrier"),
        )
        .filter(pl.col("released_at").is_not_null())
        .with_columns(pl.int_range(first, pl.len() + first, dtype=pl.Int64).alias("shipment"))
        .with_columns(
            pl.when(is_parcel & pl.col("label_printed_at").is_not_null())
            .then(
                pl.format(
                    "{}{}FR",
                    pl.col("carrier").str.slice(0, 2).str.to_uppercase(),
                    pl.col("shipment").cast(pl.String).str.zfill(9),
                )
            )
            .alias("tracking"),
            pl.coalesce("ready_at", "scanned_at").alias("done_at"),
            pl.format("SH{}", pl.col("shipment").cast(pl.String).str.zfill(9)).alias("shipment_code"),
        )
        .select(
            "shipment",
            "shipment_code",
            "order",
            "part",
            "channel",
            "location",
            "carrier",
            "tracking",
            "released_at",
            "picked_at",
            "packed_at",
            "label_printed_at",
            "ship_confirmed_at",
            "ready_at",
            "cancelled_at",
            "scanned_at",
            "done_at",
        )
    )


def scans_of(shipments: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Hand-over, transit and delivery of each parcel; the odd parcel is first seen in transit, or by an exception."""
    seen = shipments.filter(pl.col("scanned_at").is_not_null()).select("carrier", "tracking", "scanned_at", "shipment")
    odd = pl.col("shipment") % 97
    steps = [
        seen.select(
            "carrier",
            "tracking",
            pl.when(odd == 1)
            .then(pl.lit("in_transit"))
            .when(odd == 2)
            .then(pl.lit("exception"))
            .otherwise(pl.lit("handed_over"))
            .alias("event"),
            pl.col("scanned_at").alias("at"),
        ),
        seen.select(
            "carrier",
            "tracking",
            pl.lit("in_transit").alias("event"),
            (pl.col("scanned_at") + pl.duration(hours=9)).alias("at"),
        ),
        seen.select(
            "carrier",
            "tracking",
            pl.lit("delivered").alias("event"),
            (pl.col("scanned_at") + pl.duration(hours=30 + odd)).alias("at"),
        ),
    ]
    return (
        pl.concat(steps)
        .filter(pl.col("at") <= pl.lit(now).cast(INSTANT))
        .sort("at", "tracking")
        .with_columns(pl.format("SC{}", pl.int_range(1, pl.len() + 1).cast(pl.String).str.zfill(10)).alias("scan"))
    )


def _states(sales: Sales, shipments: pl.DataFrame, lines: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Status of each order in its shop, in canonical words."""
    left = (
        lines.join(
            shipments.filter(pl.col("ship_confirmed_at").is_not_null() | pl.col("ready_at").is_not_null()),
            on="shipment",
            how="inner",
        )
        .group_by("order")
        .agg(
            pl.col("quantity").sum().alias("left"),
            pl.coalesce("ship_confirmed_at", "ready_at").max().alias("left_at"),
            pl.col("done_at").max().alias("last_done_at"),
        )
    )
    wanted = (
        sales.lines.filter(~pl.col("is_service"))
        .group_by("order")
        .agg((pl.col("quantity") - pl.col("cancelled_qty")).sum().alias("wanted"))
    )
    orders = sales.orders.join(left, on="order", how="left", maintain_order="left").join(
        wanted, on="order", how="left", maintain_order="left"
    )
    until = pl.lit(now).cast(INSTANT)
    fate, complete = pl.col("fate"), pl.col("left").fill_null(0) >= pl.col("wanted").fill_null(0)
    long_ago = pl.col("last_done_at") + pl.duration(days=4) < until
    by_others = (pl.col("fulfilled_by") != "retailer") & (pl.col("ordered_at") + pl.duration(days=2) < until)
    status = (
        pl.when(fate.str.starts_with("cancel_"))
        .then(pl.lit("cancelled"))
        .when(fate == "failed")
        .then(pl.lit("failed"))
        .when(fate == "on_hold")
        .then(pl.lit("on_hold"))
        .when((fate == "pending") | pl.col("payable_at").is_null())
        .then(pl.lit("pending"))
        .when(fate == "refunded_unshipped")
        .then(pl.lit("refunded"))
        .when(by_others)
        .then(pl.lit("shipped"))
        .when(complete & (pl.col("fulfilled_by") == "retailer") & long_ago & (pl.col("channel") != "web-be"))
        .then(pl.lit("delivered"))
        .when(complete & (pl.col("fulfilled_by") == "retailer"))
        .then(pl.lit("shipped"))
        .otherwise(pl.lit("payable"))
    )
    return (
        orders.with_columns(status.alias("status"))
        .with_columns(
            pl.when(pl.col("status").is_in(["shipped", "delivered"]))
            .then(pl.coalesce("left_at", "payable_at"))
            .alias("completed_at")
        )
        .drop("left", "left_at", "last_done_at", "wanted")
    )
