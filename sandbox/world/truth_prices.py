"""The truth of K4: shown and charged prices against the price lists, parity between channels, prior prices."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from sandbox.world.dice import INSTANT, net_of
from sandbox.world.places import CHANNELS, PARITY_GROUPS, company_of, local_day
from sandbox.world.prices import expected_prices, price_under
from sandbox.world.truth_rows import Measures, Verdict, exclusions, only_rated, rates

if TYPE_CHECKING:
    from sandbox.world import World

LEAK = timedelta(days=30)
WEB = ("web-fr", "web-be")


def price_truth(world: World) -> Verdict:
    """K4."""
    rows = observations(world)
    rated = rows.filter(pl.col("reason").is_null())
    one = pl.col("observed").is_not_null()
    measures: Measures = {
        "conformance": (pl.col("verdict") == "ok", one),
        "overcharge": (pl.col("observed") > pl.col("expected"), one),
        "undercharge": (pl.col("observed") < pl.col("expected"), one),
    }
    # what has no expected price is missing data: it adds nothing, but its groups are told
    told = rows.filter(pl.col("reason").is_null() | (pl.col("reason") == "no_expected_price"))
    measures = only_rated(measures, pl.col("reason").is_null())
    at_tills = told.filter(pl.col("location").is_not_null())
    every = ("all", "company", "channel", "category")
    values = [
        rates(told, "k4", measures, dimensions=every, day="day").filter(pl.col("period_kind") != "month"),
        rates(at_tills, "k4", measures, dimensions=("all", "channel"), day="day").filter(
            pl.col("period_kind") == "month"
        ),
        rates(at_tills, "k4", measures, dimensions=("location",)),
        _parity(world),
        _prior(world, rated),
    ]
    left_out = [
        exclusions(rows, "k4", "conformance", dimensions=("all", "channel")),
        exclusions(rows.filter(pl.col("location").is_not_null()), "k4", "conformance", dimensions=("location",)),
    ]
    return Verdict(pl.concat(values), pl.concat(left_out), {"k4": _worklist(rows)})


def observations(world: World) -> pl.DataFrame:
    """One row per price shown on the web now and per ticket line, with its verdict."""
    at = pl.lit(world.now).cast(INSTANT)
    shown = pl.concat([world.web_fr.listings, world.web_be.listings], how="diagonal_relaxed").filter(
        pl.col("kind") != "parent"
    )
    web = shown.select(
        pl.col("channel").replace_strict({code: CHANNELS[code].price_list for code in WEB}).alias("price_list"),
        "channel",
        pl.lit(None, pl.String).alias("location"),
        "item",
        pl.coalesce("shop_sku", "sku").alias("quoted_sku"),
        at.alias("at"),
        pl.col("shown_effective").alias("observed"),
        pl.col("shown_regular").alias("struck"),
        "is_published",
        "shown_from_at",
        pl.col("shop_rate"),
        pl.lit(1, pl.Int64).alias("units"),
        "external_id",
    )
    sold = world.tickets.filter(pl.col("quantity") > 0)
    till = sold.select(
        pl.col("channel")
        .replace_strict({code: channel.price_list for code, channel in CHANNELS.items()})
        .alias("price_list"),
        "channel",
        "location",
        "item",
        pl.col("sku").alias("quoted_sku"),
        pl.col("sold_at").alias("at"),
        pl.col("unit_minor").alias("observed"),
        pl.lit(True).alias("is_published"),
        pl.col("quantity").alias("units"),
    )
    rows = expected_prices(world.prices, pl.concat([web, till], how="diagonal_relaxed")).with_row_index("row")
    rows = rows.join(
        world.catalogue.items.select("item", "sku", "category"), on="item", how="left", maintain_order="left"
    )
    return _verdicts(world, rows)


def _verdicts(world: World, rows: pl.DataFrame) -> pl.DataFrame:
    on_web = pl.col("location").is_null()
    differs = pl.col("observed") != pl.col("expected")
    rows = rows.join(_recent_changes(world), on=["price_list", "item"], how="left", maintain_order="left").join(
        _leaks(world, rows), on="row", how="left", maintain_order="left"
    )
    reason = (
        pl.when(pl.col("item").is_null())
        .then(pl.lit("orphan"))
        .when(~pl.col("is_published"))
        .then(pl.lit("not_published"))
        .when(pl.col("regular").is_null())
        .then(pl.lit("no_expected_price"))
        .when(pl.col("currency") != "EUR")
        .then(pl.lit("currency_mismatch"))
        .when("is_ambiguous")
        .then(pl.lit("ambiguous"))
        .when(on_web & differs & pl.col("has_changed").fill_null(False))
        .then(pl.lit("in_flight"))
    )
    promised, at_regular = pl.col("promotion").is_not_null(), pl.col("observed") == pl.col("regular")
    verdict = (
        pl.when(~differs)
        .then(pl.lit("ok"))
        .when(promised & at_regular & (pl.col("shown_from_at") > pl.col("promotion_starts_at")))
        .then(pl.lit("promotion_late"))
        .when(promised & at_regular)
        .then(pl.lit("promotion_missing"))
        .when(~promised & pl.col("is_leak").fill_null(False))
        .then(pl.lit("promotion_leaked"))
        .when(promised & (pl.col("observed") < pl.col("regular")))
        .then(pl.lit("wrong_depth"))
        .when(pl.col("observed") > pl.col("expected"))
        .then(pl.lit("overcharge"))
        .otherwise(pl.lit("undercharge"))
    )
    return rows.with_columns(reason.alias("reason")).with_columns(
        pl.when(pl.col("reason").is_null())
        .then(verdict)
        .when(pl.col("reason") == "ambiguous")
        .then(pl.lit("ambiguous"))
        .alias("verdict"),
        pl.when(pl.col("observed") > pl.col("expected"))
        .then(pl.lit("over"))
        .when(pl.col("observed") < pl.col("expected"))
        .then(pl.lit("under"))
        .alias("direction"),
        company_of("channel").alias("company"),
        pl.when(on_web)
        .then(local_day("channel", pl.col("at")))
        .otherwise(local_day("location", pl.col("at")))
        .alias("day"),
    )


def _recent_changes(world: World) -> pl.DataFrame:
    """Lists and articles whose price or promotion began or ended less than the promised delay before now."""
    events = pl.concat(
        [
            world.prices.prices.select("price_list", "item", pl.col("valid_from_at").alias("moment")),
            world.prices.prices.select("price_list", "item", pl.col("true_to_at").alias("moment")),
            world.prices.promotions.select("price_list", "item", pl.col("starts_at").alias("moment")),
            world.prices.promotions.select("price_list", "item", pl.col("ends_at").alias("moment")),
        ]
    )
    delays = {channel.price_list: channel.promise_minutes * 60 for channel in CHANNELS.values()}
    ago = (pl.lit(world.now).cast(INSTANT) - pl.col("moment")).dt.total_seconds()
    recent = events.filter(ago >= 0, ago < pl.col("price_list").replace_strict(delays, return_dtype=pl.Int64))
    return recent.select("price_list", "item", pl.lit(True).alias("has_changed")).unique()


def _leaks(world: World, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows whose price is that of a promotion which ended in the last 30 days."""
    asked = rows.filter(pl.col("promotion").is_null(), pl.col("regular").is_not_null()).select(
        "row", "price_list", "item", "at", "regular", "observed"
    )
    over = asked.join(world.prices.promotions, on=["price_list", "item"]).filter(
        pl.col("ends_at") <= pl.col("at"), pl.col("at") <= pl.col("ends_at") + LEAK
    )
    return (
        over.filter(price_under(pl.col("regular")) == pl.col("observed"))
        .select("row", pl.lit(True).alias("is_leak"))
        .unique()
    )


def _parity(world: World) -> pl.DataFrame:
    at = pl.lit(world.now).cast(INSTANT)
    active = world.catalogue.items.filter("is_active", pl.col("kind") != "parent").select("item")
    shown = []
    for code, channel in CHANNELS.items():
        if code in WEB:
            listings = world.web_fr.listings if code == "web-fr" else world.web_be.listings
            rows = listings.filter("is_published", pl.col("item").is_not_null(), pl.col("kind") != "parent").select(
                "item", pl.col("shown_effective").alias("price"), pl.col("shop_rate").alias("rate")
            )
        elif channel.kind == "stores":
            rows = (
                expected_prices(
                    world.prices, active.select(pl.lit(channel.price_list).alias("price_list"), "item", at.alias("at"))
                )
                .filter(pl.col("expected").is_not_null())
                .select("item", pl.col("expected").alias("price"), "rate")
            )
        else:
            continue
        shown.append(rows.with_columns(pl.lit(code).alias("channel"), pl.lit(channel.territory).alias("territory")))
    prices = pl.concat(shown)
    found = []
    for group, members in PARITY_GROUPS.items():
        rows = prices.filter(pl.col("channel").is_in(members)).with_columns(
            pl.col("territory").n_unique().over("item").alias("territories")
        )
        rows = rows.with_columns(
            pl.when(pl.col("territories") > 1)
            .then(net_of(pl.col("price"), pl.col("rate")))
            .otherwise("price")
            .alias("price")
        )
        pairs = (
            rows.group_by("item")
            .agg(pl.col("price").min().alias("low"), pl.col("price").max().alias("high"), pl.len().alias("shown"))
            .filter(pl.col("shown") >= 2)
        )
        found.append(pairs.with_columns(pl.lit(group).alias("parity_group")))
    pairs = pl.concat(found)
    gap = (pl.col("high") - pl.col("low")) * 10_000 // pl.max_horizontal(pl.col("low"), pl.lit(1))
    one = pl.col("item").is_not_null()
    return rates(
        pairs,
        "k4",
        {"parity_equal": (pl.col("low") == pl.col("high"), one), "parity_mean_gap_bp": (gap, one)},
        dimensions=("all", "parity_group"),
    )


def _prior(world: World, rated: pl.DataFrame) -> pl.DataFrame:
    """Struck prices of running promotions against the lowest price of the 30 days before the chain of promotions began."""
    reduced = rated.filter(
        pl.col("location").is_null(), pl.col("observed") < pl.col("struck"), pl.col("promotion").is_not_null()
    )
    # in this world all promotions of a reduced article and list follow each other without a gap, so that the first one begins the chain
    begins = world.prices.promotions.group_by("price_list", "item").agg(pl.col("starts_at").min().alias("began_at"))
    past = (
        reduced.select("row", "price_list", "item")
        .join(begins, on=["price_list", "item"])
        .join(world.prices.prices, on=["price_list", "item"])
        .filter(
            pl.col("valid_from_at") < pl.col("began_at"),
            pl.col("true_to_at").is_null() | (pl.col("true_to_at") > pl.col("began_at") - LEAK),
        )
        .group_by("row")
        .agg(pl.col("gross").min().alias("lowest"))
    )
    judged = reduced.join(past, on="row")
    return rates(
        judged,
        "k4",
        {"prior_price": (pl.col("struck") <= pl.col("lowest"), pl.col("row").is_not_null())},
        dimensions=("all", "company", "channel"),
    )


def _worklist(rows: pl.DataFrame) -> pl.DataFrame:
    todo = rows.filter(pl.col("verdict").is_not_null(), pl.col("verdict") != "ok").with_columns(
        (pl.col("observed") - pl.col("expected")).alias("difference")
    )
    keys = {
        "channel": "channel_code",
        "location": "location_code",
        "sku": "sku",
        "verdict": "verdict",
        "direction": "direction",
        "expected": "expected_minor",
        "observed": "observed_minor",
        "difference": "difference_minor",
    }
    value = (pl.col("difference").abs() * pl.col("units")).sum()
    return (
        todo.group_by(list(keys), maintain_order=True)
        .agg(
            pl.len().cast(pl.Int64).alias("observation_qty"),
            pl.col("at").max().alias("observed_at"),
            pl.when(pl.col("difference").is_not_null().all()).then(value).alias("value_at_risk_minor"),
        )
        .rename(keys)
    )
