"""The truth of K1a and K1b: counted against booked stock, published against expected stock."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from sandbox.world.dice import INSTANT
from sandbox.world.expected import expected_stock, is_in_flight, is_stale
from sandbox.world.places import CHANNELS, LOCATIONS, company_of, local_day
from sandbox.world.prices import expected_prices
from sandbox.world.stock import book_at
from sandbox.world.truth_rows import Measures, Verdict, exclusions, only_rated, rates

if TYPE_CHECKING:
    from sandbox.world import World

TOLERANCES = (0, 1, 3, 5)
GAPS = ("stale", "no_stock_record", "kit_without_components")


def stock_truth(world: World) -> Verdict:
    """K1a and K1b together."""
    counts, shops = _k1a(world), _k1b(world)
    return Verdict(
        pl.concat([counts.values, shops.values]),
        pl.concat([counts.exclusions, shops.exclusions]),
        {**counts.worklists, **shops.worklists},
    )


def _k1a(world: World) -> Verdict:
    costs = (
        world.stock.purchases.sort("ordered_at", "number", "line_number")
        .group_by("item", maintain_order=True)
        .agg(pl.col("unit_cost_minor").last().alias("cost"))
    )
    items = world.catalogue.items.select("item", "kind", "category", "is_tracked", "is_goods")
    lines = (
        book_at(world.stock.movements, world.stock.counts, "counted_at")
        .join(items, on="item", how="left", maintain_order="left")
        .join(costs, on="item", how="left", maintain_order="left")
        .with_columns(
            pl.when(~pl.col("location").is_in(list(LOCATIONS)))
            .then(pl.lit("unknown_location"))
            .when(pl.col("item").is_null())
            .then(pl.lit("unknown_product"))
            .when(~(pl.col("is_goods") & pl.col("is_tracked")))
            .then(pl.lit("not_stock_tracked"))
            .when(pl.col("book").is_null())
            .then(pl.lit("no_book"))
            .when(pl.col("reason") == "suspicion")
            .then(pl.lit("count_on_suspicion"))
            .alias("left_out"),
            (pl.col("counted") - pl.col("book")).alias("variance"),
            company_of("location").alias("company"),
            local_day("location", pl.col("counted_at")).alias("day"),
        )
    )
    rated = lines.filter(pl.col("left_out").is_null())
    one = pl.col("variance").is_not_null()
    measures: Measures = {
        f"ira_{tolerance}": (
            (pl.col("book") >= 0) & (pl.col("variance").abs() * 100 <= tolerance * pl.col("book")),
            one,
        )
        for tolerance in TOLERANCES
    }
    measures["absolute_unit_variance"] = (pl.col("variance").abs(), pl.col("book").abs())
    measures["net_value_variance"] = (pl.col("variance") * pl.col("cost").fill_null(0), None)
    counted = rated.select("location", "item").unique().with_columns(pl.lit(1).alias("counted"))
    active = (
        world.stock.levels.join(items.filter("is_goods", "is_tracked"), on="item")
        .join(counted, on=["location", "item"], how="left")
        .with_columns(company_of("location").alias("company"), pl.lit(1).alias("active"))
    )
    values = pl.concat(
        [
            rates(
                lines.filter(pl.col("left_out").is_null() | (pl.col("left_out") == "no_book")),
                "k1a",
                only_rated(measures, pl.col("left_out").is_null()),
                dimensions=("all", "company", "location", "category"),
                day="day",
            ),
            rates(
                active,
                "k1a",
                {"count_coverage": (pl.col("counted").fill_null(0), pl.col("active"))},
                dimensions=("all", "company", "location"),
            ),
        ]
    )
    wrong = rated.filter((pl.col("book") < 0) | (pl.col("variance") != 0)).select(
        pl.col("location").alias("location_code"),
        "sku",
        pl.col("count").alias("count_external_id"),
        "counted_at",
        pl.col("counted").alias("counted_qty"),
        pl.col("book").alias("book_qty"),
        pl.col("variance").alias("variance_qty"),
    )
    left_out = lines.with_columns(pl.col("left_out").alias("reason"))
    return Verdict(values, exclusions(left_out, "k1a", "ira_0", dimensions=("all", "location")), {"k1a": wrong})


def listing_states(world: World, channel_code: str) -> pl.DataFrame:
    """One row per listing of a channel with its state (docs/kpis.md, K1b)."""
    channel = CHANNELS[channel_code]
    shop = world.web_fr if channel_code == "web-fr" else world.web_be
    at = pl.lit(world.now).cast(INSTANT)
    shown = shop.listings.filter(pl.col("kind") != "parent").select(
        "item",
        "external_id",
        "published_qty",
        "manage_stock",
        "is_published",
        "shown_effective",
        pl.lit(True).alias("is_observed"),
        "shop_sku",
    )
    items = world.catalogue.items
    active = items.filter("is_active").select("item")
    priced = expected_prices(
        world.prices, items.select(pl.lit(channel.price_list).alias("price_list"), "item", at.alias("at"))
    )
    assortment = (
        priced.filter(pl.col("regular").is_not_null())
        .join(active, on="item")
        .select("item", "regular", pl.lit(True).alias("is_assorted"))
    )
    rows = shown.filter(pl.col("item").is_not_null()).join(assortment, on="item", how="full", coalesce=True)
    rows = pl.concat([rows, shown.filter(pl.col("item").is_null())], how="diagonal_relaxed")
    has_parts = (
        world.catalogue.kits.select(pl.col("kit").alias("item")).unique().with_columns(pl.lit(True).alias("has_parts"))
    )
    rows = (
        rows.join(items.select("item", "kind", "sku", "category", "is_tracked", "is_active"), on="item", how="left")
        .join(
            expected_stock(channel_code, catalogue=world.catalogue, stock=world.stock, demand=world.demand),
            on="item",
            how="left",
        )
        .join(has_parts, on="item", how="left")
        .with_columns(pl.col("is_observed", "is_assorted", "is_published", "has_parts").fill_null(False))
        .with_columns(
            (~pl.col("is_observed") | ~pl.col("is_published")).alias("is_absent"), pl.lit(channel_code).alias("channel")
        )
    )
    is_kit = pl.col("kind") == "kit"
    left_out = (
        pl.when(pl.col("item").is_null())
        .then(pl.lit("orphan"))
        .when(pl.col("kind") == "service")
        .then(pl.lit("service"))
        .when(pl.col("kind") == "gift_card")
        .then(pl.lit("gift_card"))
        .when(~is_kit & ~pl.col("is_tracked"))
        .then(pl.lit("not_stock_tracked"))
        .when(pl.col("is_observed") & (~pl.col("manage_stock") | pl.col("published_qty").is_null()))
        .then(pl.lit("not_managed_on_channel"))
        .when(~pl.col("is_active"))
        .then(pl.lit("inactive_product"))
        .when(~pl.col("is_assorted") & ~pl.col("is_published"))
        .then(pl.lit("not_listed"))
        .when(is_kit & ~pl.col("has_parts"))
        .then(pl.lit("kit_without_components"))
        .when(pl.col("expected").is_null())
        .then(pl.lit("no_stock_record"))
    )
    rows = rows.with_columns(
        left_out.alias("reason"),
        pl.when("is_absent").then(0).otherwise(pl.max_horizontal(0, "published_qty")).alias("published"),
    )
    state = (
        pl.when(pl.col("reason") == "orphan")
        .then(pl.lit("orphan"))
        .when(pl.col("reason").is_not_null())
        .then(pl.lit("excluded"))
        .when(pl.col("is_assorted") & pl.col("is_absent"))
        .then(pl.lit("missing"))
        .when(pl.col("published") == pl.col("expected"))
        .then(pl.lit("ok"))
        .when(is_stale(channel, world.now))
        .then(pl.lit("stale"))
        .when(is_in_flight(channel, world.now))
        .then(pl.lit("in_flight"))
        .otherwise(pl.lit("wrong"))
    )
    return rows.with_columns(state.alias("state")).with_columns(
        pl.when(pl.col("state").is_in(["stale", "in_flight"])).then("state").otherwise("reason").alias("reason"),
        pl.when(pl.col("state") == "wrong")
        .then(pl.when(pl.col("published") > pl.col("expected")).then(pl.lit("oversell")).otherwise(pl.lit("hidden")))
        .alias("kind_of_error"),
        pl.coalesce("shown_effective", "regular").alias("unit_value"),
        company_of("channel").alias("company"),
        local_day("channel", at).alias("day"),
    )


def _weights(world: World) -> pl.DataFrame:
    """Units sold in the last 28 days. Grain: channel x item."""
    now = pl.lit(world.now).cast(INSTANT)
    recent = world.orders.filter(
        pl.col("ordered_at") > now - timedelta(days=28),
        pl.col("ordered_at") <= now,
        ~pl.col("status").is_in(["cancelled", "failed"]),
        pl.col("cancelled_at").is_null(),
        pl.col("replaces_return").is_null(),
    )
    sold = world.lines.join(recent.select("order", "channel"), on="order").with_columns(
        (pl.col("quantity") - pl.col("cancelled_qty")).alias("units")
    )
    return (
        sold.filter(pl.col("units") > 0, pl.col("item").is_not_null())
        .group_by("channel", "item")
        .agg(pl.col("units").sum().alias("weight"))
    )


def _k1b(world: World) -> Verdict:
    rows = pl.concat(
        [listing_states(world, code) for code, channel in CHANNELS.items() if channel.kind == "web"],
        how="diagonal_relaxed",
    )
    rows = rows.join(_weights(world), on=["channel", "item"], how="left").with_columns(pl.col("weight").fill_null(0))
    is_rated = pl.col("state").is_in(["ok", "wrong", "missing"])
    told = rows.filter(is_rated | pl.col("reason").is_in(GAPS))
    gap = pl.col("published") - pl.col("expected")
    ok, one = pl.col("state") == "ok", pl.col("state").is_not_null()
    measures: Measures = {
        "exact": (ok, one),
        "sellability": ((pl.col("published") > 0) == (pl.col("expected") > 0), one),
        "exact_weighted_28d": (pl.when(ok).then("weight").otherwise(0), pl.col("weight")),
        "oversell_units": (pl.max_horizontal(gap, pl.lit(0)), None),
        "hidden_units": (pl.max_horizontal(-gap, pl.lit(0)), None),
    }
    dimensions = ("all", "company", "channel", "category")
    values = rates(told, "k1b", only_rated(measures, is_rated), dimensions=dimensions, day="day")
    values = values.filter(pl.col("period_kind") != "month")
    lines = world.lines.join(
        world.orders.select("order", "channel", "status", pl.col("cancel_reason").alias("order_reason")), on="order"
    ).with_columns(company_of("channel").alias("company"))
    for_stock = ((pl.col("cancel_reason") == "stock") & (pl.col("cancelled_qty") > 0)).fill_null(False) | (
        pl.col("order_reason") == "stock"
    ).fill_null(False)
    values = pl.concat(
        [
            values,
            rates(
                lines,
                "k1b",
                {"stock_cancel_lines": (for_stock, pl.col("line").is_not_null())},
                dimensions=("all", "company", "channel"),
            ),
        ]
    )
    todo = rows.filter(
        (pl.col("state") == "wrong")
        | ((pl.col("state") == "missing") & (pl.col("expected") > 0))
        | ((pl.col("state") == "orphan") & pl.col("is_published") & (pl.col("published") > 0))
    ).with_columns(
        pl.when(pl.col("state") == "orphan")
        .then("published")
        .otherwise((pl.col("published") - pl.col("expected")).abs())
        .alias("units_at_risk")
    )
    worklist = todo.select(
        pl.col("channel").alias("channel_code"),
        pl.col("external_id").alias("product_external_id"),
        pl.coalesce("sku", "shop_sku").alias("sku"),
        "state",
        pl.col("kind_of_error").alias("kind"),
        "published_qty",
        pl.when(pl.col("state") != "orphan").then("expected").alias("expected_qty"),
        "units_at_risk",
        (pl.col("units_at_risk") * pl.col("unit_value")).alias("value_at_risk_minor"),
    )
    return Verdict(values, exclusions(rows, "k1b", "exact", dimensions=("all", "channel")), {"k1b": worklist})
