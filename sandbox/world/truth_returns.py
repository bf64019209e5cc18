"""The truth of K3a and K3b: what came back of what was shipped, and how soon the money followed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from sandbox.world.dice import INSTANT, half_up, net_of
from sandbox.world.places import (
    LEGAL_REFUND_DAYS,
    PARIS,
    RETURN_WINDOW_DAYS,
    company_of,
    deadline_day,
    in_zone_of,
    local_day,
)
from sandbox.world.truth_parts import order_parts
from sandbox.world.truth_rows import Measures, Verdict, exclusions, only_rated, percentiles, rates

if TYPE_CHECKING:
    from sandbox.world import World

WINDOW = timedelta(days=RETURN_WINDOW_DAYS)


def returns_truth(world: World) -> Verdict:
    """K3a and K3b together."""
    rate, processing = _k3a(world), _k3b(world)
    return Verdict(
        pl.concat([rate.values, processing.values]),
        pl.concat([rate.exclusions, processing.exclusions]),
        {**rate.worklists, **processing.worklists},
    )


def _shipped(world: World) -> pl.DataFrame:
    """One row per line x part handed over, tickets included; `low` and `high` are the ranks of its units in the line."""
    common = ["sale", "key", "number", "channel", "location", "sku", "category", "net", "quantity", "units", "done_at"]
    parts = (
        order_parts(world)
        .filter(pl.col("state") == "done", ~pl.col("is_service"))
        .select(
            pl.format("O{}", "order").alias("sale"),
            pl.format("L{}", "line").alias("key"),
            "number",
            "channel",
            "location",
            "sku",
            "category",
            net_of(pl.col("quantity") * pl.col("unit_minor"), pl.col("rate")).alias("net"),
            "quantity",
            "units",
            "done_at",
        )
    )
    till = (
        world.tickets.filter(pl.col("quantity") > 0, ~pl.col("kind").is_in(["service", "gift_card"]))
        .join(world.catalogue.items.select("item", "category"), on="item", how="left", maintain_order="left")
        .select(
            pl.format("T{}", "ticket").alias("sale"),
            pl.format("{}/{}", "ticket", "line_number").alias("key"),
            pl.col("ticket").alias("number"),
            "channel",
            "location",
            "sku",
            "category",
            net_of(pl.col("quantity") * (pl.col("unit_minor") - pl.col("discount_minor")), pl.col("rate")).alias("net"),
            "quantity",
            pl.col("quantity").alias("units"),
            pl.col("sold_at").alias("done_at"),
        )
    )
    rows = pl.concat([parts.select(common), till.select(common)]).sort("key", "done_at")
    return rows.with_columns(pl.col("units").cum_sum().over("key").alias("high")).with_columns(
        (pl.col("high") - pl.col("units")).alias("low"),
        company_of("channel").alias("company"),
        local_day("location", pl.col("done_at")).alias("shipped_on"),
    )


def _worth(low: pl.Expr, high: pl.Expr) -> pl.Expr:
    """Value without VAT of the units ranked low+1 to high of their line."""
    return half_up(pl.col("net") * high, pl.col("quantity")) - half_up(pl.col("net") * low, pl.col("quantity"))


def _returned(world: World) -> pl.DataFrame:
    """Every return line, from the warehouse and from tills, with the key of the line it gives back (null: orphan)."""
    desk = world.returns.lines.select(
        pl.when(pl.col("line").is_not_null()).then(pl.format("L{}", "line")).alias("key"),
        "order",
        pl.col("return_code").alias("return_id"),
        "line_number",
        "kind",
        "channel",
        "number",
        "sku",
        pl.col("quantity").alias("back"),
        "received_at",
        "location",
    )
    numbers = world.orders.select("order", "number", "channel")
    web = world.lines.join(numbers, on="order").select(
        "number", "sku", pl.format("L{}", "line").alias("key"), "channel", "order"
    )
    sold = world.tickets.filter(pl.col("quantity") > 0).select(
        pl.col("ticket").alias("number"),
        "sku",
        pl.format("{}/{}", "ticket", "line_number").alias("key"),
        "channel",
        pl.lit(None, pl.Int64).alias("order"),
    )
    till = (
        world.tickets.filter(pl.col("quantity") < 0)
        .select(
            "ticket",
            "line_number",
            pl.col("return_of").alias("number"),
            "sku",
            (-pl.col("quantity")).alias("back"),
            pl.col("sold_at").alias("received_at"),
            "location",
        )
        .join(pl.concat([web, sold]), on=["number", "sku"], how="left", maintain_order="left")
        .select(
            "key",
            "order",
            pl.col("ticket").alias("return_id"),
            "line_number",
            pl.lit("customer_return").alias("kind"),
            "channel",
            "number",
            "sku",
            "back",
            "received_at",
            "location",
        )
    )
    return pl.concat([desk, till])


def _k3a(world: World) -> Verdict:
    shipped, returned = _shipped(world), _returned(world)
    now = pl.lit(world.now).cast(INSTANT)
    gone = shipped.group_by("key").agg(pl.col("units").sum().alias("gone"))
    returned = returned.with_columns(
        pl.when(pl.col("key").is_null())
        .then(pl.lit("orphan"))
        .when(pl.col("kind") == "undeliverable")
        .then(pl.lit("undeliverable"))
        .when(pl.col("received_at").is_null() | (pl.col("received_at") > now))
        .then(pl.lit("not_received"))
        .alias("reason")
    )
    ranked = (
        returned.filter(pl.col("reason").is_null())
        .sort("key", "received_at", "return_id", "line_number")
        .with_columns(pl.col("back").cum_sum().over("key").alias("to"))
        .with_columns((pl.col("to") - pl.col("back")).alias("from"))
        .join(gone, on="key", how="left", maintain_order="left")
        .with_columns(pl.col("gone").fill_null(0))
        .with_columns(pl.max_horizontal(pl.col("to") - pl.max_horizontal("gone", "from"), pl.lit(0)).alias("excess"))
    )
    matched = (
        ranked.select("key", "received_at", "from", "to")
        .join(shipped, on="key")
        .with_columns(pl.max_horizontal("from", "low").alias("a"), pl.min_horizontal("to", "high").alias("b"))
        .filter(pl.col("b") > pl.col("a"))
        .with_columns(
            (pl.col("b") - pl.col("a")).alias("back"),
            _worth(pl.col("a"), pl.col("b")).alias("worth"),
            local_day("location", pl.col("received_at")).alias("received_on"),
            (pl.col("received_at") <= pl.col("done_at") + WINDOW).alias("in_window"),
        )
    )
    worklist = returned.filter(pl.col("reason") == "orphan").select(
        pl.col("return_id").alias("return_external_id"),
        "line_number",
        "sku",
        pl.col("back").alias("quantity"),
        pl.col("location").alias("receiving_location_code"),
        "received_at",
        pl.col("number").alias("order_number"),
    )
    return Verdict(
        pl.concat(_rates(shipped, matched, now)), _k3a_exclusions(world, returned, ranked), {"k3a": worklist}
    )


def _rates(shipped: pl.DataFrame, matched: pl.DataFrame, now: pl.Expr) -> list[pl.DataFrame]:
    keep = ["sale", "company", "channel", "location", "category", "done_at"]
    zero = pl.lit(0, pl.Int64)
    out = shipped.select(
        *keep,
        pl.col("shipped_on").alias("day"),
        zero.alias("n"),
        pl.col("units").alias("d"),
        zero.alias("n_net"),
        _worth(pl.col("low"), pl.col("high")).alias("d_net"),
    )

    def back(day: str) -> pl.DataFrame:
        return matched.select(
            *keep,
            "in_window",
            pl.col(day).alias("day"),
            pl.col("back").alias("n"),
            zero.alias("d"),
            pl.col("worth").alias("n_net"),
            zero.alias("d_net"),
        )

    cohort = pl.concat([out, back("shipped_on").filter("in_window").drop("in_window")])
    period = pl.concat([out, back("received_on").drop("in_window")])
    mature = pl.col("done_at") + WINDOW <= now
    dimensions = ("all", "company", "channel", "location", "category")
    pairs = {"units": (pl.col("n"), pl.col("d")), "net_minor": (pl.col("n_net"), pl.col("d_net"))}
    found = _mature_all(cohort, mature, {f"cohort_{name}": pair for name, pair in pairs.items()}, dimensions)
    found.append(
        rates(period, "k3a", {f"period_{name}": pair for name, pair in pairs.items()}, dimensions=dimensions, day="day")
    )
    first = (
        shipped.sort("done_at")
        .group_by("sale", maintain_order=True)
        .agg(pl.col("company", "channel", "done_at").first(), pl.col("shipped_on").first().alias("day"))
    )
    came = matched.filter("in_window").select("sale").unique().with_columns(pl.lit(1).alias("came"))
    orders = first.join(came, on="sale", how="left").with_columns(pl.col("came").fill_null(0), pl.lit(1).alias("one"))
    found += _mature_all(
        orders, mature, {"cohort_orders": (pl.col("came"), pl.col("one"))}, ("all", "company", "channel")
    )
    first_back = (
        matched.sort("received_at")
        .group_by("sale", maintain_order=True)
        .agg(pl.col("company", "channel").first(), pl.col("received_on").first().alias("day"))
    )
    both = pl.concat(
        [
            first.select("sale", "company", "channel", "day", zero.alias("n"), pl.lit(1, pl.Int64).alias("d")),
            first_back.select("sale", "company", "channel", "day", pl.lit(1, pl.Int64).alias("n"), zero.alias("d")),
        ]
    )
    found.append(
        rates(
            both,
            "k3a",
            {"period_orders": (pl.col("n"), pl.col("d"))},
            dimensions=("all", "company", "channel"),
            day="day",
        )
    )
    return found


def _mature_all(
    frame: pl.DataFrame,
    mature: pl.Expr,
    measures: Measures,
    dimensions: tuple[str, ...],
) -> list[pl.DataFrame]:
    """Over all time mature cohorts only; by day and month all of them."""
    in_time = rates(frame, "k3a", measures, dimensions=dimensions, day="day").filter(pl.col("period_kind") != "all")
    return [rates(frame.filter(mature), "k3a", measures, dimensions=dimensions), in_time]


def _k3a_exclusions(world: World, returned: pl.DataFrame, ranked: pl.DataFrame) -> pl.DataFrame:
    dimensions = ("all", "channel", "location")
    refused = returned.filter(pl.col("reason").is_not_null()).select("channel", "location", "reason", "back")
    excess = ranked.filter(pl.col("excess") > 0).select(
        "channel", "location", pl.lit("more_than_shipped").alias("reason"), pl.col("excess").alias("back")
    )
    back = returned.filter(pl.col("order").is_not_null()).select("order").unique()
    known = pl.when(pl.col("channel") == "web-fr").then(None).otherwise("return_code")
    alone = (
        world.returns.refunds.filter(known.is_null())
        .join(back, on="order", how="anti")
        .select(
            "channel",
            pl.lit(None, pl.String).alias("location"),
            pl.lit("refund_only").alias("reason"),
            pl.lit(1, pl.Int64).alias("back"),
        )
    )
    return exclusions(
        pl.concat([refused, excess, alone]), "k3a", "period_units", weight=pl.col("back"), dimensions=dimensions
    )


def _k3b(world: World) -> Verdict:
    now = pl.lit(world.now).cast(INSTANT)
    lines = world.returns.lines
    rows = (
        lines.filter(pl.col("kind") == "customer_return", pl.col("order").is_not_null())
        .group_by("return_code", maintain_order=True)
        .agg(
            pl.col("channel", "number", "order", "resolution").first(),
            pl.col("requested_at").min(),
            pl.col("received_at").max(),
            pl.col("proof_at").max(),
            pl.col("quantity").sum().alias("units"),
        )
    )
    rows = _refunded(world, rows)
    last_day = in_zone_of("channel", pl.col("requested_at")).dt.truncate("1d") + pl.duration(days=LEGAL_REFUND_DAYS + 1)
    # every channel that ships keeps the time of Paris or of Brussels, which is the same
    legal = last_day.dt.replace_time_zone(PARIS).dt.convert_time_zone("UTC").cast(INSTANT)
    goods = pl.min_horizontal("received_at", "proof_at")
    rows = rows.with_columns(
        pl.when(goods.is_not_null()).then(pl.max_horizontal(legal, goods)).alias("due_at"),
        company_of("channel").alias("company"),
    )
    rows = rows.with_columns(
        pl.when(pl.col("requested_at").is_null()).then(None).otherwise("due_at").alias("due_at"),
    ).with_columns(
        pl.when(pl.col("resolution") != "refund")
        .then("resolution")
        .when(pl.col("requested_at").is_null())
        .then(pl.lit("no_request_date"))
        .when(pl.col("due_at").is_null() & pl.col("initiated_at").is_null())
        .then(pl.lit("deferred"))
        .when((pl.col("due_at") > now) & pl.col("initiated_at").is_null())
        .then(pl.lit("not_due"))
        .alias("reason"),
        deadline_day("channel", pl.col("due_at")).alias("day"),
    )
    rated = rows.filter(pl.col("reason").is_null())
    in_time = pl.col("initiated_at").is_not_null() & (
        pl.col("due_at").is_null() | (pl.col("initiated_at") <= pl.col("due_at"))
    )
    overdue = pl.col("initiated_at").is_null() & (pl.col("due_at") <= now)
    dimensions = ("all", "company", "channel")
    cycle = rated.filter(pl.col("initiated_at").is_not_null()).with_columns(
        pl.max_horizontal(
            (pl.col("initiated_at") - pl.coalesce("received_at", "proof_at")).dt.total_seconds(), pl.lit(0)
        ).alias("seconds"),
        pl.lit(1).alias("one"),
    )
    cycle = cycle.with_columns(
        pl.when(pl.coalesce("received_at", "proof_at").is_not_null()).then("seconds").alias("seconds")
    )
    dock = (
        lines.filter(pl.col("received_at").is_not_null(), pl.col("restocked_at").is_not_null())
        .with_columns(
            pl.max_horizontal((pl.col("restocked_at") - pl.col("received_at")).dt.total_seconds(), pl.lit(0)).alias(
                "seconds"
            ),
            local_day("location", pl.col("restocked_at")).alias("day"),
            company_of("location").alias("company"),
        )
        .drop("channel")
    )
    dock_rows = [
        percentiles(
            dock.with_columns(pl.lit(None, pl.String).alias("channel")),
            "k3b",
            "dock_to_stock",
            seconds="seconds",
            weight="quantity",
            at=(50, 90),
            dimensions=("all", "company", "location"),
            day="day",
        )
    ]
    values = [
        rates(
            rows.filter(pl.col("reason").is_null() | (pl.col("reason") == "no_request_date")),
            "k3b",
            only_rated({"refund_on_time": (in_time, pl.col("return_code").is_not_null())}, pl.col("reason").is_null()),
            dimensions=dimensions,
            day="day",
        ),
        rates(rated, "k3b", {"refunds_overdue": (overdue.fill_null(False), None)}, dimensions=dimensions),
        percentiles(
            cycle, "k3b", "refund_cycle", seconds="seconds", weight="one", at=(50, 90), dimensions=dimensions, day="day"
        ),
        *dock_rows,
    ]
    late = rated.filter(overdue).select(
        pl.col("return_code").alias("return_external_id"),
        pl.col("channel").alias("channel_code"),
        pl.col("number").alias("order_number"),
        "requested_at",
        "received_at",
        pl.col("due_at").alias("refund_due_at"),
        ((now - pl.col("due_at")).dt.total_seconds() // 86_400).alias("overdue_days"),
        "units",
    )
    return Verdict(
        pl.concat(values), exclusions(rows, "k3b", "refund_on_time", dimensions=("all", "channel")), {"k3b": late}
    )


def _refunded(world: World, rows: pl.DataFrame) -> pl.DataFrame:
    """Add `initiated_at`: the first refund that names the return, else the first one after the request that names none."""
    known = pl.when(pl.col("channel") == "web-fr").then(None).otherwise("return_code")
    refunds = world.returns.refunds.with_columns(known.alias("return_code"))
    named = (
        refunds.filter(pl.col("return_code").is_not_null())
        .group_by("return_code")
        .agg(pl.col("initiated_at").min().alias("named_at"))
    )
    loose = (
        rows.select("return_code", "order", "requested_at")
        .join(refunds.filter(pl.col("return_code").is_null()).select("order", "initiated_at"), on="order")
        .filter(pl.col("initiated_at") >= pl.col("requested_at"))
        .group_by("return_code")
        .agg(pl.col("initiated_at").min().alias("loose_at"))
    )
    return (
        rows.join(named, on="return_code", how="left", maintain_order="left")
        .join(loose, on="return_code", how="left", maintain_order="left")
        .with_columns(pl.coalesce("named_at", "loose_at").alias("initiated_at"))
    )
