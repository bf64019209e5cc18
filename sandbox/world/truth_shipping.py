"""The truth of K2: what was handed over in time, how long it took, what is still open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from sandbox.world.dice import INSTANT
from sandbox.world.places import local_day
from sandbox.world.truth_parts import order_parts
from sandbox.world.truth_rows import Verdict, exclusions, percentiles, rates

if TYPE_CHECKING:
    from sandbox.world import World

DIMENSIONS = ("all", "company", "channel", "location", "carrier")


def working_seconds(world: World, frame: pl.DataFrame, instant: str, into: str) -> pl.DataFrame:
    """Add the opening seconds of the row's location from the start of the calendar to an instant."""
    days = world.location_days.select(
        "location", pl.col("local_date").alias("_day"), "opens_at", "closes_at", "working_seconds"
    )
    inside = (pl.min_horizontal(pl.col(instant), "closes_at") - pl.col("opens_at")).dt.total_seconds()
    return (
        frame.with_columns(local_day("location", pl.col(instant)).alias("_day"))
        .join(days, on=["location", "_day"], how="left", maintain_order="left")
        .with_columns((pl.col("working_seconds") + pl.max_horizontal(inside.fill_null(0), pl.lit(0))).alias(into))
        .drop("_day", "opens_at", "closes_at", "working_seconds")
    )


def shipping_truth(world: World) -> Verdict:
    """K2."""
    parts = order_parts(world)
    rated = parts.filter(pl.col("reason").is_null())
    values = [
        rates(
            rated,
            "k2",
            {"on_time_units": (pl.when("is_on_time").then("units").otherwise(0), pl.col("units"))},
            dimensions=DIMENSIONS,
            day="day",
        )
    ]
    values += _otif(parts)
    done = rated.filter(pl.col("state") == "done", ~pl.col("is_preorder")).with_columns(
        pl.max_horizontal((pl.col("done_at") - pl.col("clock_at")).dt.total_seconds(), pl.lit(0)).alias("calendar")
    )
    done = working_seconds(world, working_seconds(world, done, "clock_at", "_from"), "done_at", "_to").with_columns(
        pl.max_horizontal(pl.col("_to") - pl.col("_from"), pl.lit(0)).alias("working")
    )
    for clock in ("calendar", "working"):
        values.append(
            percentiles(
                done,
                "k2",
                f"handover_{clock}",
                seconds=clock,
                weight="units",
                at=(50, 90, 95),
                dimensions=DIMENSIONS,
                day="day",
            )
        )
    waiting = parts.filter(
        pl.col("state").is_in(["preparing", "open"]), pl.col("reason").is_null() | (pl.col("reason") == "not_due")
    )
    late = pl.when(pl.col("reason").is_null()).then("units").otherwise(0)
    values.append(
        rates(
            waiting, "k2", {"open_units": (pl.col("units"), None), "overdue_units": (late, None)}, dimensions=DIMENSIONS
        )
    )
    return Verdict(
        pl.concat(values),
        exclusions(parts, "k2", "on_time_units", weight=pl.col("units"), dimensions=("all", "channel", "location")),
        {"k2": _worklist(waiting, world)},
    )


def _otif(parts: pl.DataFrame) -> list[pl.DataFrame]:
    """Per order (for locations: per order and location): due when nothing of it is still to come, in full when all of it was on time."""
    found = []
    for keys, dimensions in ((["order"], ("all", "company", "channel")), (["order", "location"], ("location",))):
        waits = pl.col("reason").is_in(["not_due", "no_calendar"])
        orders = (
            parts.filter(pl.col("reason").is_null() | waits)
            .sort("promise_at", nulls_last=True)
            .group_by(keys, maintain_order=True)
            .agg(
                waits.fill_null(False).any().alias("is_waiting"),
                pl.col("is_on_time").all().alias("is_full"),
                pl.col("day").last(),
                pl.col("company").first(),
                pl.col("channel").first(),
            )
            .filter(~pl.col("is_waiting"))
        )
        found.append(
            rates(
                orders,
                "k2",
                {"otif_orders": (pl.col("is_full"), pl.col("order").is_not_null())},
                dimensions=dimensions,
                day="day",
            )
        )
    return found


def _worklist(waiting: pl.DataFrame, world: World) -> pl.DataFrame:
    age = (pl.lit(world.now).cast(INSTANT) - pl.col("promised_ship_by_at")).dt.total_seconds() // 3600
    bucket = (
        pl.when(pl.col("overdue_hours") < 24)
        .then(pl.lit("0-24 h"))
        .when(pl.col("overdue_hours") < 72)
        .then(pl.lit("24-72 h"))
        .otherwise(pl.lit("over 72 h"))
    )
    return (
        waiting.filter(pl.col("reason").is_null())
        .group_by("channel", "number", "location", maintain_order=True)
        .agg(pl.col("promise_at").min().alias("promised_ship_by_at"), pl.col("units").sum().alias("overdue_units"))
        .with_columns(age.alias("overdue_hours"))
        .with_columns(bucket.alias("age_bucket"))
        .rename({"channel": "channel_code", "number": "order_number", "location": "location_code"})
    )
