"""Price lists and promotions as the ERP declares them, and what they make the public price at any instant.

Which defect the shops will show (`price_case`) is decided here, because the ERP's side of each defect is a price or a promotion.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl

from sandbox.world.catalogue import Catalogue
from sandbox.world.dice import INSTANT, Ints, dice, gross_of, half_up, net_of, plant
from sandbox.world.places import CHANNELS, PARIS, midnight

WEB_CASES = {
    "promo": 0.05,  # running, shown as it should be
    "promo_past": 0.03,  # over, and gone from the shop
    "promo_future": 0.02,  # to come, already in the shop
    "late": 0.003,  # running, the shop starts it later
    "missing_promo": 0.003,  # running, the shop does not know it
    "leaked": 0.003,  # over, the shop goes on
    "wrong_depth": 0.003,  # running, the shop shows another reduction
    "ambiguous": 0.002,  # two promotions tie on everything
    "priority": 0.002,  # the dearer promotion wins by priority
    "best_price": 0.002,  # same priority: the cheaper one wins
    "stackable": 0.002,  # same priority and price: the one that stands alone wins
    "chain": 0.003,  # two promotions without a gap: the first reduction is the first one's start
    "prior_breach": 0.003,  # the price was raised shortly before the promotion
    "price_in_flight": 0.002,  # the price changed minutes ago
    "promo_in_flight": 0.002,  # the promotion started minutes ago
    "over": 0.004,
    "under": 0.004,
    "dollars": 0.001,  # the ERP's price is in another currency
    "unpriced": 0.002,  # in the shop, without a price in its list
    "unlisted": 0.004,  # in the list, absent from the shop
    "unpublished": 0.003,  # in the shop, but not for sale
}
STORE_CASES = {"promo": 0.06, "promo_past": 0.06, "best_price": 0.002}
NEEDS_SIMPLE = ("unpublished",)
FLIGHT_S = 5 * 60
DATES = {"far": -400, "breach": -20, "chain": -20, "link": -6, "soon": 2, "later": 9}  # days from today


@dataclass(frozen=True)
class Prices:
    """`cases`: price list x article; `prices` and `promotions`: rows as declared (`valid_to_at`) and as they apply (`true_to_at`)."""

    cases: pl.DataFrame
    prices: pl.DataFrame
    promotions: pl.DataFrame


def price_under(regular: pl.Expr) -> pl.Expr:
    """Price under the promotion of the same row."""
    percent = half_up(regular * (10_000 - pl.col("percentage_bp")), 10_000)
    return (
        pl.when(pl.col("method") == "fixed_price")
        .then(pl.col("amount_minor"))
        .when(pl.col("method") == "amount_off")
        .then(pl.max_horizontal(regular - pl.col("amount_minor"), pl.lit(0)))
        .otherwise(percent)
    )


def build_prices(*, seed: int, catalogue: Catalogue, now: datetime, days: int) -> Prices:
    """Price lists of the five channels."""
    cases = pl.concat([_cases(seed, catalogue, channel.code) for channel in CHANNELS.values()])
    rng = dice(seed, "prices")
    today = now.astimezone(ZoneInfo(PARIS)).date()
    size = cases.height

    def days_ago(numbers: Ints) -> pl.Series:
        low, high = int(numbers.min(initial=0)), int(numbers.max(initial=0))
        table = pl.Series([midnight(today - timedelta(days=back)) for back in range(low, high + 1)], dtype=INSTANT)
        return table.gather(numbers - low)

    cases = cases.with_columns(
        pl.Series("changes", rng.random(size) < 0.25) & (pl.col("case") == "none"),
        pl.Series("closes", rng.random(size) < 0.5),
        pl.Series("raise_bp", rng.integers(-1500, 1500, size)),
        days_ago(rng.integers(1, days - 10, size)).alias("changed_at"),
        days_ago(rng.integers(3, 13, size)).alias("running_from_at"),
        days_ago(-rng.integers(3, 16, size)).alias("running_to_at"),
        days_ago(rng.integers(26, 45, size)).alias("past_from_at"),
        days_ago(rng.integers(5, 26, size)).alias("past_to_at"),
        pl.Series("method_draw", rng.integers(0, 3, size)),
    )
    at = {name: midnight(today + timedelta(days=offset)) for name, offset in DATES.items()}
    return Prices(
        cases.select("price_list", "channel", "item", "case"),
        _price_rows(cases, now, at),
        _promotion_rows(cases, now, at),
    )


def _cases(seed: int, catalogue: Catalogue, channel_code: str) -> pl.DataFrame:
    channel = CHANNELS[channel_code]
    items = catalogue.items
    if channel.kind == "web":
        listed = items.filter("in_fr" if channel.code == "web-fr" else "in_be")
        shares: dict[str, float] = WEB_CASES
    elif channel.kind == "marketplace":
        listed, shares = items.filter("in_fr", "is_goods"), {}
    else:
        listed, shares = items.filter(pl.col("kind") != "parent", pl.col("case") != "inactive"), STORE_CASES
    components = catalogue.kits["component"].implode()
    plain = listed["is_plain"] & ~listed["item"].is_in(components)
    rng = dice(seed, f"price cases {channel_code}")
    chosen = listed.filter(plain).select("item", "kind")
    simple = chosen.filter(pl.col("kind") == "simple")["item"]
    narrow = {name: share for name, share in shares.items() if name in NEEDS_SIMPLE}
    first = pl.DataFrame(
        {"item": simple, "case": plant(rng, len(simple), {k: v * len(chosen) / len(simple) for k, v in narrow.items()})}
    )
    rest = chosen.join(first.filter(pl.col("case") != "none"), on="item", how="anti")
    wide = {name: share for name, share in shares.items() if name not in NEEDS_SIMPLE}
    second = rest.select("item", plant(rng, rest.height, wide).alias("case"))
    planned = pl.concat([first.filter(pl.col("case") != "none"), second])
    rate, net = ("rate_fr" if channel.territory == "FR" else "rate_be"), net_of(pl.col("base_minor"), pl.col("rate_fr"))
    dearer = pl.when((pl.col("item") % 10 == 3) & pl.lit(channel.kind == "stores")).then(200).otherwise(0)
    base = pl.col("base_minor") * 108 // 100 if channel.kind == "marketplace" else pl.col("base_minor")
    gross = gross_of(net, pl.col(rate)) if channel.territory == "BE" else base
    return listed.join(planned, on="item", how="left", suffix="_price", maintain_order="left").select(
        pl.lit(channel.price_list).alias("price_list"),
        pl.lit(channel.code).alias("channel"),
        "item",
        pl.col("case_price").fill_null("none").alias("case"),
        pl.col(rate).alias("rate"),
        (gross + dearer).alias("gross"),
        pl.lit(channel.code != "web-be").alias("is_ttc"),
    )


def _price_rows(cases: pl.DataFrame, now: datetime, at: dict[str, datetime]) -> pl.DataFrame:
    flight = pl.lit(now - timedelta(seconds=FLIGHT_S)).cast(INSTANT)
    moved = (
        pl.when("changes")
        .then(pl.col("changed_at"))
        .when(pl.col("case") == "prior_breach")
        .then(pl.lit(at["breach"]).cast(INSTANT))
        .when(pl.col("case") == "price_in_flight")
        .then(flight)
    )
    older = (
        pl.when("changes")
        .then(pl.col("gross") * (10_000 + pl.col("raise_bp")) // 10_000)
        .when(pl.col("case") == "prior_breach")
        .then(pl.col("gross") * 8 // 10)
        .otherwise(pl.col("gross") + 100)
    )
    priced = cases.filter(pl.col("case") != "unpriced").with_columns(moved.alias("moved_at"), older.alias("older"))
    first = pl.lit(at["far"]).cast(INSTANT)
    common: list[str | pl.Expr] = [
        "price_list",
        "item",
        "rate",
        "is_ttc",
        pl.when(pl.col("case") == "dollars").then(pl.lit("USD")).otherwise(pl.lit("EUR")).alias("currency"),
    ]
    before = priced.filter(pl.col("moved_at").is_not_null()).select(
        *common,
        pl.col("older").alias("gross"),
        first.alias("valid_from_at"),
        pl.when("closes").then("moved_at").alias("valid_to_at"),
        pl.col("moved_at").alias("true_to_at"),
    )
    current = priced.select(
        *common,
        "gross",
        pl.coalesce("moved_at", first).alias("valid_from_at"),
        pl.lit(None, INSTANT).alias("valid_to_at"),
        pl.lit(None, INSTANT).alias("true_to_at"),
    )
    net = net_of(pl.col("gross"), pl.col("rate"))
    return (
        pl.concat([before, current])
        .with_columns(pl.when("is_ttc").then("gross").otherwise(net).alias("amount"))
        .with_columns(
            pl.when("is_ttc").then("amount").otherwise(gross_of(pl.col("amount"), pl.col("rate"))).alias("gross")
        )
        .sort("price_list", "item", "valid_from_at")
    )


def _promotion_rows(cases: pl.DataFrame, now: datetime, at: dict[str, datetime]) -> pl.DataFrame:
    """One or two promotions per article and list, as its case asks."""
    case = pl.col("case")
    running = [
        "promo",
        "late",
        "missing_promo",
        "wrong_depth",
        "prior_breach",
        "ambiguous",
        "priority",
        "best_price",
        "stackable",
    ]
    starts = (
        pl.when(case.is_in(running))
        .then("running_from_at")
        .when(case.is_in(["promo_past", "leaked"]))
        .then("past_from_at")
        .when(case == "promo_future")
        .then(pl.lit(at["soon"]).cast(INSTANT))
        .when(case == "chain")
        .then(pl.lit(at["chain"]).cast(INSTANT))
        .when(case == "promo_in_flight")
        .then(pl.lit(now - timedelta(seconds=FLIGHT_S)).cast(INSTANT))
    )
    ends = (
        pl.when(case.is_in(["promo_past", "leaked"]))
        .then("past_to_at")
        .when(case == "promo_future")
        .then(pl.lit(at["later"]).cast(INSTANT))
        .when(case == "chain")
        .then(pl.lit(at["link"]).cast(INSTANT))
        .otherwise("running_to_at")
    )
    free = case.is_in(["promo", "promo_past", "promo_future", "late", "missing_promo", "leaked", "chain"])
    method = pl.col("method_draw")
    depth = pl.when(case.is_in(["priority", "best_price"])).then(90).otherwise(80)
    fixed = pl.col("gross") * depth // 100
    first = (
        cases.with_columns(starts.alias("starts_at"))
        .filter(pl.col("starts_at").is_not_null())
        .with_columns(
            ends.alias("ends_at"),
            pl.when(free & (method == 1))
            .then(pl.lit("amount_off"))
            .when(free & (method == 2))
            .then(pl.lit("percentage_off"))
            .otherwise(pl.lit("fixed_price"))
            .alias("method"),
            pl.when(~free | (method == 0))
            .then(fixed)
            .when(method == 1)
            .then(pl.col("gross") // 10)
            .cast(pl.Int64)
            .alias("amount_minor"),
            pl.when(free & (method == 2)).then(1000 * (1 + pl.col("item") % 3)).cast(pl.Int64).alias("percentage_bp"),
            pl.when(case == "priority")
            .then(1)
            .when(case.is_in(["ambiguous", "best_price", "stackable"]))
            .then(3)
            .otherwise(5)
            .cast(pl.Int64)
            .alias("priority"),
            (case == "stackable").alias("is_stackable"),
            pl.lit(1).alias("rank"),
        )
    )
    second = first.filter(case.is_in(["ambiguous", "priority", "best_price", "stackable", "chain"])).with_columns(
        pl.when(case == "chain").then("ends_at").otherwise("starts_at").alias("starts_at"),
        pl.when(case == "chain").then("running_to_at").otherwise("ends_at").alias("ends_at"),
        pl.lit("fixed_price").alias("method"),
        (pl.col("gross") * pl.when(case == "chain").then(70).otherwise(80) // 100).alias("amount_minor"),
        pl.lit(None, pl.Int64).alias("percentage_bp"),
        pl.when(case == "priority").then(2).otherwise("priority").cast(pl.Int64).alias("priority"),
        pl.lit(False).alias("is_stackable"),
        pl.lit(2).alias("rank"),
    )
    columns = [
        "price_list",
        "item",
        "method",
        "amount_minor",
        "percentage_bp",
        "starts_at",
        "ends_at",
        "priority",
        "is_stackable",
    ]
    rows = pl.concat([first, second]).sort("price_list", "item", "rank")
    return rows.select(
        pl.format("PR{}", pl.int_range(1, pl.len() + 1).cast(pl.String).str.zfill(7)).alias("promotion"), *columns
    )


def expected_prices(prices: Prices, asked: pl.DataFrame) -> pl.DataFrame:
    """The public price that a list commands for each row of `asked` (price_list, item, at), in the rows' order.

    Adds: regular, rate, currency, price_from_at, expected, promotion, promotion_starts_at, promotion_ends_at, promotion_price,
    is_ambiguous. `expected` is null without a price, and when two promotions tie.
    """
    asked = asked.with_row_index("_row")
    regular = (
        asked.select("_row", "price_list", "item", "at")
        .join(prices.prices, on=["price_list", "item"])
        .filter(
            pl.col("valid_from_at") <= pl.col("at"),
            pl.col("true_to_at").is_null() | (pl.col("at") < pl.col("true_to_at")),
        )
        .select(
            "_row", pl.col("gross").alias("regular"), "rate", "currency", pl.col("valid_from_at").alias("price_from_at")
        )
    )
    ranked = (
        asked.select("_row", "price_list", "item", "at")
        .join(prices.promotions, on=["price_list", "item"])
        .filter(pl.col("starts_at") <= pl.col("at"), pl.col("at") < pl.col("ends_at"))
        .join(regular, on="_row")
        .with_columns(price_under(pl.col("regular")).alias("promotion_price"))
        .sort("_row", "priority", "promotion_price", "is_stackable", "promotion")
        .with_columns(
            (
                pl.struct("priority", "promotion_price", "is_stackable")
                == pl.struct("priority", "promotion_price", "is_stackable").shift(-1).over("_row")
            )
            .fill_null(False)
            .alias("is_ambiguous")
        )
        .unique("_row", keep="first", maintain_order=True)
        .select(
            "_row",
            "promotion",
            "promotion_price",
            "is_ambiguous",
            pl.col("starts_at").alias("promotion_starts_at"),
            pl.col("ends_at").alias("promotion_ends_at"),
        )
    )
    return (
        asked.join(regular, on="_row", how="left", maintain_order="left")
        .join(ranked, on="_row", how="left", maintain_order="left")
        .with_columns(pl.col("is_ambiguous").fill_null(False))
        .with_columns(
            pl.when(~pl.col("is_ambiguous")).then(pl.coalesce("promotion_price", "regular")).alias("expected")
        )
        .drop("_row")
    )
