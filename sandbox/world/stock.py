"""The ERP's stock: movements, the book they add up to, counts, purchase orders, and which orders the ERP knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from sandbox.world.catalogue import Catalogue
from sandbox.world.dice import INSTANT, dice, instants, net_of
from sandbox.world.places import LOCATIONS, STORES, WAREHOUSE
from sandbox.world.tills import store_assortment

COUNT_DAYS = {"cycle": (100, 71, 40, 12), "annual": (55,), "suspicion": (20,)}
COUNT_SHARES = {"cycle": 0.06, "annual": 0.4, "suspicion": 0.02}
STOCK_AGE_S = {"warehouse": 300, "store": 8 * 3600, "stale": 30 * 3600}
MOVED_S = 9 * 60


@dataclass(frozen=True)
class Stock:
    """`movements`, `levels` (location x item), `counts`, `purchases`, `acknowledgements`."""

    movements: pl.DataFrame
    levels: pl.DataFrame
    counts: pl.DataFrame
    purchases: pl.DataFrame
    acknowledgements: pl.DataFrame


def exploded(lines: pl.DataFrame, catalogue: Catalogue) -> pl.DataFrame:
    """Replace each kit by its components (`item`, `quantity`); a kit without components vanishes."""
    kits = catalogue.kits.rename({"kit": "item"})
    inside = lines.join(kits, on="item").with_columns(
        pl.col("component").alias("item"), (pl.col("quantity") * pl.col("qty")).alias("quantity")
    )
    is_kit = catalogue.items.filter(pl.col("kind") == "kit").select("item")
    return pl.concat([lines.join(is_kit, on="item", how="anti"), inside.select(lines.columns)])


def build_stock(
    *,
    seed: int,
    catalogue: Catalogue,
    orders: pl.DataFrame,
    lines: pl.DataFrame,
    shipments: pl.DataFrame,
    shipment_lines: pl.DataFrame,
    tickets: pl.DataFrame,
    returns: pl.DataFrame,
    now: datetime,
    days: int,
) -> Stock:
    """The stock of one world, after everything that was sold and came back."""
    tracked = catalogue.items.filter("is_goods", "is_tracked", pl.col("case") != "no_stock")
    acknowledgements = _acknowledgements(seed, orders, now)
    flows = _flows(catalogue, tracked, shipments, shipment_lines, tickets, returns)
    supplied, purchases = _supplies(seed, tracked, now, days)
    adjusted = _adjustments(catalogue, now)
    pairs = (
        pl.concat(
            [
                tracked.filter(pl.col("case") != "inactive").select(pl.lit(WAREHOUSE).alias("location"), "item"),
                store_assortment(catalogue).join(tracked.select("item"), on="item").select("location", "item"),
                flows.select("location", "item"),
                supplied.select("location", "item"),
            ]
        )
        .unique()
        .sort("location", "item")
    )
    base = pl.concat([flows, supplied, adjusted])
    opening = _opening(seed, catalogue, pairs, base, now, days)
    base = pl.concat([opening, base]).sort("at", "location", "item", "kind", "quantity")
    counts, corrections = _counts(seed, catalogue, pairs, base, now)
    movements = (
        pl.concat([base, corrections])
        .sort("at", "location", "item", "kind", "quantity")
        .with_columns(pl.format("MV{}", pl.int_range(1, pl.len() + 1).cast(pl.String).str.zfill(10)).alias("movement"))
    )
    levels = levels_of(
        seed, catalogue, pairs, movements, orders, lines, shipments, shipment_lines, acknowledgements, now
    )
    return Stock(movements, levels, counts, purchases, acknowledgements)


def _acknowledgements(seed: int, orders: pl.DataFrame, now: datetime) -> pl.DataFrame:
    rng = dice(seed, "acknowledgements")
    delay = pl.lit(pl.Series("delay", rng.integers(300, 3 * 3600, orders.height)))
    return (
        orders.with_columns((pl.col("payable_at") + pl.duration(seconds=delay)).alias("acknowledged_at"))
        .filter(
            pl.col("acknowledged_at") <= pl.lit(now - timedelta(seconds=400)).cast(INSTANT),
            pl.col("fulfilled_by") == "retailer",
            ~pl.col("fate").is_in(["never_acknowledged", "unacknowledged"]),
        )
        .select(
            "order",
            "channel",
            "number",
            "acknowledged_at",
            (pl.col("fate") != "refused").alias("is_accepted"),
            pl.when(pl.col("fate") == "refused").then(pl.lit("Article bloqué à la vente")).alias("reason"),
        )
    )


def _flows(
    catalogue: Catalogue,
    tracked: pl.DataFrame,
    shipments: pl.DataFrame,
    shipment_lines: pl.DataFrame,
    tickets: pl.DataFrame,
    returns: pl.DataFrame,
) -> pl.DataFrame:
    left = shipments.with_columns(pl.coalesce("ship_confirmed_at", "ready_at").alias("at")).filter(
        pl.col("at").is_not_null()
    )
    sent = shipment_lines.filter(pl.col("item").is_not_null()).join(
        left.select("shipment", "location", "at"), on="shipment"
    )
    sent = exploded(sent.select("location", "item", "quantity", "at"), catalogue)
    sold = exploded(
        tickets.filter(pl.col("item").is_not_null()).select(
            "location", "item", "quantity", pl.col("sold_at").alias("at")
        ),
        catalogue,
    )
    back = returns.filter(pl.col("restocked_at").is_not_null(), pl.col("item").is_not_null()).select(
        "location", "item", "quantity", pl.col("restocked_at").alias("at")
    )
    back = exploded(back, catalogue)
    parts = [
        sent.with_columns(pl.lit("sale").alias("kind"), -pl.col("quantity")),
        sold.with_columns(
            pl.when(pl.col("quantity") > 0).then(pl.lit("sale")).otherwise(pl.lit("return")).alias("kind"),
            -pl.col("quantity"),
        ),
        back.with_columns(pl.lit("return").alias("kind")),
    ]
    order = ["location", "item", "kind", "quantity", "at"]
    return pl.concat([part.select(order) for part in parts]).join(
        tracked.select("item"), on="item", maintain_order="left"
    )


def _supplies(seed: int, tracked: pl.DataFrame, now: datetime, days: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Purchase orders, what was received of them, and some of it sent on to a store."""
    rng = dice(seed, "purchases")
    bought = pl.concat(
        [
            tracked.sample(fraction=0.6, seed=int(rng.integers(1 << 31))),
            tracked.sample(fraction=0.3, seed=int(rng.integers(1 << 31))),
        ]
    )
    size, now_s = bought.height, int(now.timestamp())
    ordered = now_s - rng.integers(5 * 86_400, (days - 5) * 86_400, size)
    frame = (
        bought.select("item", "base_minor", "rate_fr", "case")
        .with_columns(
            pl.Series("ordered_at", instants(ordered)),
            pl.Series("lead", rng.integers(4 * 86_400, 20 * 86_400, size)),
            pl.Series("ordered_qty", rng.integers(5, 40, size)),
            pl.Series("share", rng.choice([50, 100, 100, 100], size)),
            pl.Series("cost_pct", rng.integers(45, 65, size)),
            pl.Series("supplier", rng.integers(1, 30, size)),
            pl.Series("store", pl.Series(STORES).gather(rng.integers(0, len(STORES), size))),
            pl.Series("sent_on", rng.random(size) < 0.1),
        )
        .sort("ordered_at", "item", "ordered_qty")
        .with_columns(
            pl.format("PO{}", (pl.int_range(0, pl.len()) // 8 + 1).cast(pl.String).str.zfill(6)).alias("number"),
            (pl.int_range(0, pl.len()) % 8 + 1).cast(pl.Int64).alias("line_number"),
            (pl.col("ordered_at") + pl.duration(seconds="lead")).alias("expected_at"),
            pl.format("F{}", pl.col("supplier").cast(pl.String).str.zfill(3)).alias("supplier"),
            (net_of(pl.col("base_minor"), pl.col("rate_fr")) * pl.col("cost_pct") // 100).alias("unit_cost_minor"),
        )
        .with_columns(
            # deliveries of one purchase order share its date: an order is placed once
            pl.col("ordered_at").first().over("number").alias("ordered_at"),
        )
    )
    arrived = pl.col("expected_at") <= pl.lit(now - timedelta(days=2)).cast(INSTANT)
    frame = frame.with_columns(
        pl.when(arrived).then(pl.col("ordered_qty") * pl.col("share") // 100).otherwise(0).alias("received_qty")
    )
    got = frame.filter(pl.col("received_qty") > 0)
    moved = got.filter("sent_on").with_columns((pl.col("expected_at") + pl.duration(hours=20)).alias("at"))
    rows = [
        got.select(
            pl.lit(WAREHOUSE).alias("location"),
            "item",
            pl.lit("receipt").alias("kind"),
            pl.col("received_qty").alias("quantity"),
            pl.col("expected_at").alias("at"),
        ),
        moved.select(
            pl.lit(WAREHOUSE).alias("location"),
            "item",
            pl.lit("transfer").alias("kind"),
            pl.lit(-1, pl.Int64).alias("quantity"),
            "at",
        ),
        moved.select(
            pl.col("store").alias("location"),
            "item",
            pl.lit("transfer").alias("kind"),
            pl.lit(1, pl.Int64).alias("quantity"),
            "at",
        ),
    ]
    return pl.concat(rows), frame.select(
        "number",
        "line_number",
        "supplier",
        pl.lit(WAREHOUSE).alias("location"),
        "item",
        "ordered_qty",
        "received_qty",
        "unit_cost_minor",
        "ordered_at",
        "expected_at",
    )


def _adjustments(catalogue: Catalogue, now: datetime) -> pl.DataFrame:
    """Corrections minutes ago, so that the shops cannot know them yet, and the odd broken piece."""
    moving = catalogue.items.filter(pl.col("case") == "moving").select(
        "item",
        pl.lit("adjustment").alias("kind"),
        pl.lit(1, pl.Int64).alias("quantity"),
        pl.lit(now - timedelta(seconds=MOVED_S)).cast(INSTANT).alias("at"),
    )
    broken = catalogue.items.filter("is_plain", pl.col("item") % 50 == 7).select(
        "item",
        pl.lit("scrap").alias("kind"),
        pl.lit(-1, pl.Int64).alias("quantity"),
        pl.lit(now - timedelta(days=33, hours=3)).cast(INSTANT).alias("at"),
    )
    return pl.concat([moving, broken]).select(pl.lit(WAREHOUSE).alias("location"), "item", "kind", "quantity", "at")


def _opening(
    seed: int, catalogue: Catalogue, pairs: pl.DataFrame, base: pl.DataFrame, now: datetime, days: int
) -> pl.DataFrame:
    """What was there at the start, so that what is left now is a believable stock; below zero where the book is to be wrong."""
    rng = dice(seed, "opening")
    is_warehouse = pl.col("location") == WAREHOUSE
    final = (
        pl.when(is_warehouse & (pl.col("case") == "negative"))
        .then(-3)
        .when(is_warehouse)
        .then("big")
        .otherwise("small")
    )
    total = base.group_by("location", "item").agg(pl.col("quantity").sum().alias("moved"))
    big = np.where(rng.random(pairs.height) < 0.08, 0, rng.integers(0, 80, pairs.height))
    return (
        pairs.with_columns(pl.Series("big", big), pl.Series("small", rng.integers(0, 12, pairs.height)))
        .join(catalogue.items.select("item", "case"), on="item", maintain_order="left")
        .join(total, on=["location", "item"], how="left", maintain_order="left")
        .select(
            "location",
            "item",
            pl.lit("opening").alias("kind"),
            (final - pl.col("moved").fill_null(0)).alias("quantity"),
            pl.lit(now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days + 1))
            .cast(INSTANT)
            .alias("at"),
        )
    )


def book_at(movements: pl.DataFrame, asked: pl.DataFrame, at: str) -> pl.DataFrame:
    """Add `book`: the sum of the movements of each row's location and item up to its instant; null when there is none."""
    running = movements.sort("at", maintain_order=True).select(
        "location",
        "item",
        pl.col("at").alias("_moved_at"),
        pl.col("quantity").cum_sum().over("location", "item").alias("book"),
    )
    asked = asked.with_row_index("_row").sort(at)
    found = asked.join_asof(
        running, left_on=at, right_on="_moved_at", by=["location", "item"], strategy="backward", check_sortedness=False
    )
    return found.sort("_row").drop("_row", "_moved_at")


def _counts(
    seed: int, catalogue: Catalogue, pairs: pl.DataFrame, base: pl.DataFrame, now: datetime
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Count lines, and the corrections that the ERP booked after the first count of an article at a place."""
    rng = dice(seed, "counts")
    drawn, number = [], 0
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for reason, offsets in COUNT_DAYS.items():
        for back in offsets:
            for code in LOCATIONS:
                if (reason == "annual" and code != "S05") or (reason == "suspicion" and code not in ("S02", WAREHOUSE)):
                    continue
                number += 1
                mine = pairs.filter(pl.col("location") == code)
                size = max(3, round(mine.height * COUNT_SHARES[reason]))
                start = int((midnight - timedelta(days=back)).timestamp()) + 3 * 3600 + 1800
                drawn.append(
                    mine.sample(min(size, mine.height), seed=int(rng.integers(1 << 31)))
                    .sort("item")
                    .with_columns(
                        pl.lit(f"C-{code}-{number:04d}").alias("count"),
                        pl.lit(reason).alias("reason"),
                        instants(start + np.arange(min(size, mine.height)) % 3600).alias("counted_at"),
                    )
                )
    frame = pl.concat(drawn).sort("counted_at", "location", "item")
    error = np.where(rng.random(frame.height) < 0.13, rng.choice([-4, -2, -1, -1, 1, 1, 2, 6], frame.height), 0)
    frame = book_at(base, frame.with_columns(pl.Series("error", error)), "counted_at")
    first = pl.int_range(0, pl.len()).over("location", "item") == 0
    fixed = first & (pl.col("error") != 0) & (pl.col("book") + pl.col("error") >= 0) & (pl.col("reason") != "suspicion")
    frame = frame.with_columns(pl.when(fixed).then("error").otherwise(0).alias("fix"))
    earlier = pl.col("fix").cum_sum().over("location", "item") - pl.col("fix")
    frame = frame.with_columns(
        pl.max_horizontal(pl.col("book") + earlier + pl.col("error"), pl.lit(0)).alias("counted")
    )
    corrections = frame.filter(pl.col("fix") != 0).select(
        "location",
        "item",
        pl.lit("count_adjustment").alias("kind"),
        pl.col("fix").alias("quantity"),
        (pl.col("counted_at") + pl.duration(hours=2)).alias("at"),
    )
    skus = catalogue.items.select("item", "sku")
    counts = frame.join(skus, on="item", maintain_order="left").select(
        "count", "location", "item", "sku", "counted", "counted_at", "reason"
    )
    return pl.concat([counts, _odd_counts(catalogue, pairs, now)]), corrections


def _odd_counts(catalogue: Catalogue, pairs: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Counted, but not ratable: an unknown place, an unknown article, services and kits, an article never booked at that place."""
    at = pl.lit(now - timedelta(days=8, hours=7)).cast(INSTANT)
    items = catalogue.items
    never = items.filter("is_plain").join(pairs.filter(pl.col("location") == "S01"), on="item", how="anti").head(3)
    plain = items.filter("is_plain").head(2)
    groups = [
        ("S99", plain, None),
        ("S01", never, None),
        ("S04", items.filter(pl.col("kind").is_in(["service", "kit"])).head(4), None),
        ("S06", items.filter(pl.col("case") == "untracked").head(2), None),
        ("S06", plain, "ML-PERDU-"),
    ]
    rows = []
    for location, chosen, unknown in groups:
        sku = pl.col("sku") if unknown is None else pl.format("ML-PERDU-{}", "item")
        item = pl.col("item") if unknown is None else pl.lit(None, pl.Int64)
        rows.append(
            chosen.select(
                pl.lit(f"C-{location}-9000").alias("count"),
                pl.lit(location).alias("location"),
                item.alias("item"),
                sku.alias("sku"),
                pl.lit(1, pl.Int64).alias("counted"),
                at.alias("counted_at"),
                pl.lit("cycle").alias("reason"),
            )
        )
    return pl.concat(rows)


def levels_of(
    seed: int,
    catalogue: Catalogue,
    pairs: pl.DataFrame,
    movements: pl.DataFrame,
    orders: pl.DataFrame,
    lines: pl.DataFrame,
    shipments: pl.DataFrame,
    shipment_lines: pl.DataFrame,
    acknowledgements: pl.DataFrame,
    now: datetime,
    ages_s: Mapping[str, int] = STOCK_AGE_S,
) -> pl.DataFrame:
    """What the ERP says of its stock: `pairs` (location, item), each row as the ERP computed it `ages_s` ago."""
    rng = dice(seed, "levels")
    is_warehouse = pl.col("location") == WAREHOUSE
    age = (
        pl.when(is_warehouse & (pl.col("case") == "stale"))
        .then(ages_s["stale"])
        .when(is_warehouse)
        .then(ages_s["warehouse"])
        .otherwise(ages_s["store"])
    )
    rows = pairs.join(catalogue.items.select("item", "case", "code"), on="item", maintain_order="left").with_columns(
        (pl.lit(now).cast(INSTANT) - pl.duration(seconds=age)).alias("as_of_at"),
        pl.Series("reserved", np.where(rng.random(pairs.height) < 0.03, rng.integers(1, 4, pairs.height), 0)),
        pl.Series("damaged", np.where(rng.random(pairs.height) < 0.02, rng.integers(1, 3, pairs.height), 0)),
    )
    past = movements.join(rows.select("location", "item", "as_of_at"), on=["location", "item"]).filter(
        pl.col("at") <= pl.col("as_of_at")
    )
    book = past.group_by("location", "item").agg(
        pl.col("quantity").sum().alias("book"), pl.col("at").max().alias("changed_at")
    )
    left = shipment_lines.join(
        shipments.filter(pl.col("ship_confirmed_at").is_not_null() | pl.col("ready_at").is_not_null()).select(
            "shipment"
        ),
        on="shipment",
    )
    gone = left.group_by("line").agg(pl.col("quantity").sum().alias("gone"))
    waiting = (
        lines.filter(~pl.col("is_service"), pl.col("item").is_not_null())
        .join(orders.filter(pl.col("status") == "payable").select("order", "pickup"), on="order")
        .join(acknowledgements.filter("is_accepted").select("order", "acknowledged_at"), on="order")
        .join(gone, on="line", how="left")
        .select(
            pl.coalesce("pickup", pl.lit(WAREHOUSE)).alias("location"),
            "item",
            (pl.col("quantity") - pl.col("cancelled_qty") - pl.col("gone").fill_null(0)).alias("quantity"),
            "acknowledged_at",
        )
    )
    committed = (
        exploded(waiting, catalogue)
        .join(rows.select("location", "item", "as_of_at"), on=["location", "item"])
        .filter(pl.col("acknowledged_at") <= pl.col("as_of_at"))
        .group_by("location", "item")
        .agg(pl.col("quantity").sum().alias("committed"))
    )
    is_net = is_warehouse & (pl.col("case") == "net")
    return (
        rows.join(book, on=["location", "item"], how="left", maintain_order="left")
        .join(committed, on=["location", "item"], how="left", maintain_order="left")
        .with_columns(pl.col("committed").fill_null(0), pl.col("book").fill_null(0), is_net.alias("is_net"))
        .with_columns(
            pl.when("is_net")
            .then(pl.col("book") - pl.col("committed") - pl.col("reserved"))
            .otherwise("book")
            .alias("on_hand")
        )
        .select(
            "location",
            "item",
            "code",
            "on_hand",
            "committed",
            "reserved",
            "damaged",
            "is_net",
            "as_of_at",
            "changed_at",
            "book",
        )
    )
