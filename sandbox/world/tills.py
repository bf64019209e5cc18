"""Store tickets: sales at the price of the day, manual discounts, and till errors on purpose. Returns at the till come from `returns`."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import polars as pl

from sandbox.world.catalogue import Catalogue
from sandbox.world.dice import dice, instants, plant
from sandbox.world.places import STORES, STORES_BE
from sandbox.world.prices import Prices, expected_prices

LINE_CASES = {
    "over": 0.003,
    "under": 0.003,
    "no_promotion": 0.004,
    "leaked": 0.002,
    "too_deep": 0.001,
    "unknown_sku": 0.0005,
}
STORE_SHARE = 0.25


def store_assortment(catalogue: Catalogue) -> pl.DataFrame:
    """Which goods each store carries: a quarter of them, never those without a stock row."""
    goods = catalogue.items.filter("is_goods", "is_active", pl.col("case") != "no_stock").select("item")
    stores = pl.DataFrame({"location": STORES, "_n": np.arange(len(STORES))})
    return (
        goods.join(stores, how="cross")
        .filter((pl.col("item") * 7 + pl.col("_n") * 13) % 4 == 0)
        .sort("location", "item")
        .drop("_n")
    )


def build_tickets(
    *, seed: int, catalogue: Catalogue, prices: Prices, days_table: pl.DataFrame, count: int, now: datetime, days: int
) -> pl.DataFrame:
    """One row per ticket line. Columns: ticket, location, channel, sold_at, line_number, item, sku, name, quantity, unit_minor,
    discount_minor (per unit, by hand), rate, return_of."""
    rng = dice(seed, "tickets")
    now_s = int(now.timestamp())
    store = np.sort(rng.integers(0, len(STORES), count))
    open_days = (
        days_table.filter("is_working", pl.col("location").is_in(STORES))
        .with_columns(
            pl.col("opens_at").dt.epoch("s").alias("opens"), pl.col("closes_at").dt.epoch("s").alias("closes")
        )
        .filter(
            pl.col("opens") > now_s - days * 86_400, pl.col("closes") < now_s + 86_400, pl.col("opens") < now_s - 7200
        )
        .sort("location", "local_date")
    )
    sizes = open_days.group_by("location", maintain_order=True).len()["len"].cast(pl.Int64).to_numpy()
    row = (np.cumsum(sizes) - sizes)[store] + (rng.random(count) * sizes[store]).astype(np.int64)
    opens, closes = open_days["opens"].to_numpy()[row], np.minimum(open_days["closes"].to_numpy()[row], now_s - 60)
    sold = opens + (rng.random(count) * (closes - opens)).astype(np.int64)
    lines_of = 1 + np.searchsorted([0.5, 0.8, 0.93], rng.random(count))
    ticket = np.repeat(np.arange(count), lines_of)
    total = len(ticket)
    carried = store_assortment(catalogue)
    per_store = carried.group_by("location", maintain_order=True).len()["len"].cast(pl.Int64).to_numpy()
    pick = (np.cumsum(per_store) - per_store)[store[ticket]] + (
        rng.random(total) ** 2 * per_store[store[ticket]]
    ).astype(np.int64)
    services = catalogue.items.filter(pl.col("kind").is_in(["service", "gift_card"]))["item"].to_numpy()
    item = np.where(
        rng.random(total) < 0.02, services[rng.integers(0, len(services), total)], carried["item"].to_numpy()[pick]
    )
    frame = pl.DataFrame(
        {
            "ticket": ticket,
            "location": pl.Series(STORES).gather(store[ticket]),
            "item": item,
            "sold_at": instants(sold[ticket]),
            "quantity": 1 + np.searchsorted([0.85, 0.97], rng.random(total)),
            "discount_pct": np.where(rng.random(total) < 0.03, rng.integers(5, 21, total), 0),
        }
    ).unique(["ticket", "item"], keep="first", maintain_order=True)
    is_be = pl.col("location").is_in(STORES_BE)
    frame = frame.with_columns(
        pl.when(is_be).then(pl.lit("stores-be")).otherwise(pl.lit("stores-fr")).alias("channel"),
        pl.when(is_be).then(pl.lit("STORE-BE")).otherwise(pl.lit("STORE-FR")).alias("price_list"),
        pl.col("sold_at").alias("at"),
        pl.int_range(1, pl.len() + 1).over("ticket").cast(pl.Int64).alias("line_number"),
    )
    frame = expected_prices(prices, frame).join(
        catalogue.items.select("item", "sku", "name", "kind"), on="item", how="left", maintain_order="left"
    )
    return (
        _with_errors(rng, frame, prices)
        .with_columns(
            pl.format("T-{}-{}", "location", (pl.col("ticket") + 1).cast(pl.String).str.zfill(8)).alias("ticket"),
            pl.lit(None, pl.String).alias("return_of"),
        )
        .select(TICKET_COLUMNS)
    )


TICKET_COLUMNS = [
    "ticket",
    "location",
    "channel",
    "sold_at",
    "line_number",
    "item",
    "sku",
    "name",
    "quantity",
    "unit_minor",
    "discount_minor",
    "rate",
    "return_of",
    "kind",
]


def _with_errors(rng: np.random.Generator, frame: pl.DataFrame, prices: Prices) -> pl.DataFrame:
    """Charge some lines a wrong price: over, under, a running promotion forgotten, one that is over still given, or too deep."""
    frame = frame.with_row_index("_row")
    ended = (
        frame.filter(pl.col("promotion").is_null(), ~pl.col("kind").is_in(["service", "gift_card"]))
        .join(
            prices.promotions.filter(pl.col("method") == "fixed_price").select(
                "price_list", "item", "ends_at", pl.col("amount_minor").alias("old_price")
            ),
            on=["price_list", "item"],
        )
        .filter(pl.col("ends_at") <= pl.col("at"), pl.col("at") < pl.col("ends_at") + pl.duration(days=30))
        .unique("_row", keep="any", maintain_order=True)
        .select("_row", "old_price")
    )
    frame = frame.join(ended, on="_row", how="left", maintain_order="left")
    goods = ~pl.col("kind").is_in(["service", "gift_card"])
    pools = {
        ("leaked",): goods & pl.col("old_price").is_not_null(),
        ("no_promotion", "too_deep"): goods & pl.col("promotion").is_not_null(),
        ("over", "under", "unknown_sku"): goods & pl.col("promotion").is_null() & pl.col("old_price").is_null(),
    }
    drawn = []
    for names, pool in pools.items():
        rows = frame.filter(pool).select("_row")
        if rows.height >= 2 * len(names):
            shares = {name: min(LINE_CASES[name] * frame.height / rows.height, 0.2) for name in names}
            drawn.append(rows.with_columns(plant(rng, rows.height, shares, least=1).alias("error")))
    case = pl.col("error")
    price = (
        pl.when(case == "over")
        .then(pl.col("expected") + 50)
        .when(case == "under")
        .then(pl.max_horizontal(pl.col("expected") - 50, pl.lit(1)))
        .when(case == "no_promotion")
        .then("regular")
        .when(case == "leaked")
        .then("old_price")
        .when(case == "too_deep")
        .then(pl.max_horizontal(pl.col("expected") - 30, pl.lit(1)))
        .otherwise("expected")
    )
    unknown = case == "unknown_sku"
    return (
        frame.join(pl.concat(drawn), on="_row", how="left", maintain_order="left")
        .with_columns(
            price.alias("unit_minor"),
            pl.when(unknown).then(pl.lit("ML-INCONNU")).otherwise("sku").alias("sku"),
            pl.when(unknown).then(None).otherwise("item").alias("item"),
        )
        .with_columns((pl.col("unit_minor") * pl.col("discount_pct") // 100).alias("discount_minor"))
    )
