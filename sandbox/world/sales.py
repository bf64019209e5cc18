"""Orders placed on the web shops and the marketplace: who bought what, when, and what becomes of each order (`fate`).

How the goods leave is in `shipping`; what comes back is in `returns`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from sandbox.world.catalogue import Catalogue
from sandbox.world.dice import INSTANT, Ints, dice, instants, plant
from sandbox.world.places import PARIS, STORES_BE, STORES_FR, WAREHOUSE, with_promise
from sandbox.world.prices import Prices

CHANNEL_SHARES = {"web-fr": 0.36, "web-be": 0.18, "marketplace": 0.12}
SPLITTABLE_FATES = {
    "split": 0.06,
    "split_stuck": 0.01,
    "short_stock": 0.008,
    "short_seller": 0.005,
    "short_customer": 0.005,
    "short_late": 0.003,
}
OLD_FATES = {
    "late": 0.06,
    "stuck": 0.006,
    "label_only": 0.005,
    "given_up": 0.003,
    "reshipped": 0.004,
    "cancel_unpaid": 0.006,
    "cancel_customer": 0.015,
    "cancel_late": 0.003,
    "cancel_seller": 0.006,
    "cancel_stock": 0.007,
    "cancel_payment": 0.004,
    "failed": 0.008,
    "never_acknowledged": 0.001,
    "refused": 0.001,
    "on_the_dot": 0.001,
    "refunded_unshipped": 0.002,
}
RECENT_FATES = {"pending": 0.01, "on_hold": 0.01, "cancel_customer": 0.02, "unacknowledged": 0.02}
CANCELLING = {
    "cancel_unpaid": "customer",
    "cancel_customer": "customer",
    "cancel_late": "customer",
    "cancel_seller": "seller",
    "cancel_stock": "stock",
    "cancel_payment": "payment",
}
UNPAID = ("cancel_unpaid", "cancel_payment", "failed", "pending", "on_hold")
OLD_DAYS = 12
DAY_S = 86_400
IMPORT_CASES = {
    "import_only": 0.002,
    "no_import": 0.02,
}  # of the marketplace: known only by the shop's import, never imported
LETTERS = pl.Series([chr(65 + code) for code in range(26)])


@dataclass(frozen=True)
class Sales:
    """`orders`: one row per order, without till tickets; `lines`: one row per order line, `line` unique over all channels."""

    orders: pl.DataFrame
    lines: pl.DataFrame


def _moments(rng: np.random.Generator, size: int, now_s: int, days: int) -> Ints:
    """Whole seconds in the last `days` days, mostly in daytime; the last two days get their own so that work is in progress."""
    day = rng.integers(0, days, size)
    night = rng.random(size) < 0.08
    second = np.where(
        night, rng.integers(0, DAY_S, size), rng.triangular(6 * 3600, 18 * 3600, 22 * 3600, size).astype(np.int64)
    )
    first = (now_s // DAY_S - days + 1) * DAY_S
    moment = first + day * DAY_S + second
    return np.where(moment < now_s - 60, moment, now_s - 60 - rng.integers(0, 6 * 3600, size))


def _spring_clock_change(now: datetime, days: int) -> int | None:
    """The second at which Paris last went to summer time inside the window, if it did."""
    paris = ZoneInfo(PARIS)
    for back in range(days - 2):
        later = now.replace(hour=1, minute=0, second=0, microsecond=0) - timedelta(days=back)
        before = later - timedelta(seconds=1)
        if (later.astimezone(paris).utcoffset() or timedelta()) > (before.astimezone(paris).utcoffset() or timedelta()):
            return int(later.timestamp())
    return None


def build_sales(
    *,
    seed: int,
    catalogue: Catalogue,
    prices: Prices,
    days_table: pl.DataFrame,
    orders: int,
    now: datetime,
    days: int,
    persons: int,
) -> Sales:
    """`orders` counts tickets too: the web and the marketplace take their share of it."""
    now_s = int(now.timestamp())
    heads, lines, start = [], [], 0
    for channel, share in CHANNEL_SHARES.items():
        size = round(orders * share)
        rng = dice(seed, f"orders {channel}")
        head = _heads(rng, channel, start, size, now, days, persons)
        body = _lines(rng, channel, head, catalogue, prices)
        heads.append(_with_fates(rng, head, body, now_s))
        lines.append(body)
        start += size
    head, line = pl.concat(heads), pl.concat(lines)
    line = line.with_columns(pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias("line"))
    head = timed(dice(seed, "fates"), _numbered(_imports(dice(seed, "imports"), head)), days_table, now)
    return Sales(head, _shortened(line, head))


def _heads(
    rng: np.random.Generator, channel: str, start: int, size: int, now: datetime, days: int, persons: int
) -> pl.DataFrame:
    now_s = int(now.timestamp())
    ordered = np.sort(_moments(rng, size, now_s, days))
    change = _spring_clock_change(now, days)
    if change is not None:
        ordered[: size // 4].sort()
        near = int(np.searchsorted(ordered, change))
        for place, offset in ((near, -900), (near + 1, 900)):
            if place < size:
                ordered[place] = change + offset
        ordered.sort()
    pay = np.where(rng.random(size) < 0.07, rng.integers(3600, 2 * DAY_S, size), rng.integers(0, 600, size))
    stores = STORES_FR if channel == "web-fr" else STORES_BE
    draw = rng.random(size)
    is_pickup = (draw < 0.12) & (channel != "marketplace")
    from_store = (draw > 0.96) & (channel == "web-fr")
    preorder = (rng.random(size) < 0.012) & (channel != "marketplace") & (ordered > now_s - (days - 1) * DAY_S)
    own = rng.random(size) < (0.7 if channel == "marketplace" else 0.04)
    number = np.arange(start, start + size)
    return (
        pl.DataFrame(
            {
                "order": number,
                "channel": pl.Series([channel], dtype=pl.String).new_from_index(0, size),
                "ordered_at": instants(ordered),
                "paid_at": instants(ordered + pay),
                "pickup": pl.Series(stores).gather(rng.integers(0, len(stores), size)),
                "_pickup": is_pickup,
                "ship_from": pl.Series([WAREHOUSE, "S01", "S03", "S10"]).gather(
                    np.where(from_store, rng.integers(1, 4, size), 0)
                ),
                "_preorder": preorder,
                "available_from_at": instants((ordered // DAY_S + rng.integers(5, 16, size)) * DAY_S + 7 * 3600),
                "_own": own,
                "own_promise_at": instants(ordered + pay + rng.integers(30, 80, size) * 3600),
                "fulfilled_by": pl.Series(["retailer", "marketplace", "dropship"]).gather(
                    np.where(channel == "marketplace", np.searchsorted([0.9, 0.98], rng.random(size)), 0)
                ),
                "person": rng.integers(0, persons, size),
                "is_guest": rng.random(size) < 0.1,
                "shipping_minor": np.where(is_pickup, 0, np.where(rng.random(size) < 0.5, 490, 0)),
                "discount_minor": np.where((rng.random(size) < 0.03) & (channel == "web-fr"), 300, 0),
                "fee_minor": np.where((rng.random(size) < 0.02) & (channel != "marketplace"), 150, 0),
            }
        )
        .with_columns(
            pl.when("_pickup").then("pickup").alias("pickup"),
            pl.when("_preorder").then("available_from_at").alias("available_from_at"),
            pl.when(pl.col("_own") & ~pl.col("_preorder") & (pl.col("ship_from") != "S10"))
            .then("own_promise_at")
            .alias("own_promise_at"),
        )
        .drop("_pickup", "_preorder", "_own")
    )


def _lines(
    rng: np.random.Generator, channel: str, head: pl.DataFrame, catalogue: Catalogue, prices: Prices
) -> pl.DataFrame:
    """One to four lines an order, never the same article twice; a few sell a service, a gift card or an article since deleted."""
    listed = (
        prices.cases.filter(pl.col("channel") == channel)
        .join(catalogue.items, on="item")
        .filter("is_active")
        .sort("item")
    )
    goods = listed.filter(
        pl.col("kind").is_in(["simple", "variant", "kit"]),
        ~pl.col("case").is_in(["unpriced", "unlisted", "dollars"]),
        ~pl.col("case_right").is_in(["no_stock"]),
    )["item"]
    other = listed.filter(pl.col("kind").is_in(["service", "gift_card"]))["item"]
    size = head.height
    count = 1 + np.searchsorted([0.55, 0.82, 0.94], rng.random(size))
    order = np.repeat(head["order"].to_numpy(), count)
    total = len(order)
    popular = (rng.random(total) ** 2 * len(goods)).astype(np.int64)
    frame = pl.DataFrame(
        {
            "order": order,
            "item": goods.sample(len(goods), shuffle=True, seed=int(rng.integers(1 << 31))).gather(popular),
            "quantity": 1 + np.searchsorted([0.75, 0.92, 0.98], rng.random(total)),
            "_other": rng.random(total) < 0.015,
            "_deleted": rng.random(total) < 0.002,
        }
    )
    if len(other):
        swap = pl.Series("_swap", other.gather(rng.integers(0, len(other), total)))
        frame = frame.with_columns(pl.when("_other").then(swap).otherwise("item").alias("item"))
    gross = prices.prices.filter(pl.col("true_to_at").is_null()).join(
        prices.cases.filter(pl.col("channel") == channel).select("price_list", "item"), on=["price_list", "item"]
    )
    return (
        frame.unique(["order", "item"], keep="first", maintain_order=True)
        .join(
            gross.select("item", pl.col("gross").alias("unit_minor"), "rate"),
            on="item",
            how="left",
            maintain_order="left",
        )
        .join(
            catalogue.items.select("item", "kind", "sku", "name", "is_tracked"),
            on="item",
            how="left",
            maintain_order="left",
        )
        .with_columns(
            pl.int_range(1, pl.len() + 1).over("order").cast(pl.Int64).alias("line_number"),
            (pl.col("_deleted") & ~pl.col("_other") & pl.lit(channel != "marketplace")).alias("is_deleted"),
            pl.col("kind").is_in(["service", "gift_card"]).alias("is_service"),
        )
        .with_columns(
            pl.when("is_deleted").then(pl.format("OLD-{}", "item")).otherwise("sku").alias("sku"),
            pl.when("is_deleted").then(None).otherwise("item").alias("item"),
        )
        .drop("_other", "_deleted")
    )


def _with_fates(rng: np.random.Generator, head: pl.DataFrame, lines: pl.DataFrame, now_s: int) -> pl.DataFrame:
    """Draw a fate for each order; the ones that need time only among old orders, the ones that need several units where there are."""
    units = lines.filter(~pl.col("is_service")).group_by("order").agg(pl.col("quantity").sum().alias("units"))
    head = head.join(units, on="order", how="left", maintain_order="left").with_columns(pl.col("units").fill_null(0))
    old = (
        (pl.col("ordered_at").dt.epoch("s") < now_s - OLD_DAYS * DAY_S)
        & (
            pl.col("available_from_at").is_null()
            | (pl.col("available_from_at").dt.epoch("s") < now_s - OLD_DAYS * DAY_S)
        )
        & (
            pl.col("own_promise_at").is_null()
            | (pl.col("own_promise_at").dt.epoch("s") < now_s - OLD_DAYS * DAY_S // 2)
        )
    )
    mine = (pl.col("fulfilled_by") == "retailer") & (pl.col("units") > 0)
    paid_soon = (pl.col("paid_at") - pl.col("ordered_at")).dt.total_seconds() <= 600
    groups = {
        "recent": mine & ~old & paid_soon & pl.col("available_from_at").is_null(),
        "split": mine & old & (pl.col("units") > 1),
        "old": mine & old,
    }
    fates = head.select("order", pl.lit("on_time").alias("fate"))
    taken = pl.Series("order", [], dtype=pl.Int64)
    for name, shares in (("recent", RECENT_FATES), ("split", SPLITTABLE_FATES), ("old", OLD_FATES)):
        chosen = head.filter(groups[name], ~pl.col("order").is_in(taken.implode()))
        scaled = {fate: share * (head.height if name != "recent" else chosen.height) for fate, share in shares.items()}
        drawn = chosen.select(
            "order", plant(rng, chosen.height, {k: v / max(1, chosen.height) for k, v in scaled.items()}).alias("drawn")
        )
        drawn = drawn.filter(pl.col("drawn") != "none")
        taken = pl.concat([taken, drawn["order"]])
        fates = fates.join(drawn, on="order", how="left", maintain_order="left").select(
            "order", pl.coalesce("drawn", "fate").alias("fate")
        )
    return head.join(fates, on="order", maintain_order="left")


def timed(rng: np.random.Generator, head: pl.DataFrame, days_table: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Payment, promise and cancellation instants."""
    fate, until = pl.col("fate"), pl.lit(now).cast(INSTANT)
    head = head.with_columns(
        pl.when(~fate.is_in(UNPAID) & (pl.col("paid_at") <= until)).then("paid_at").alias("payable_at"),
        pl.Series("draw", rng.random(head.height)),
        pl.Series("draw2", rng.random(head.height)),
        pl.coalesce("pickup", "ship_from").alias("place"),
    ).with_columns(
        pl.max_horizontal("payable_at", pl.when(pl.col("payable_at").is_not_null()).then("available_from_at")).alias(
            "clock_at"
        )
    )
    # the place that an order is known by: its pick-up store, else the channel's warehouse
    head = with_promise(head, days_table, place="place", start="clock_at", own="own_promise_at", into="promise_at")
    room = (pl.col("promise_at") - pl.col("payable_at")).dt.total_seconds()
    cancelled = (
        pl.when(fate == "cancel_unpaid")
        .then(pl.col("ordered_at") + pl.duration(hours=1))
        .when(fate == "cancel_payment")
        .then(pl.col("ordered_at") + pl.duration(days=2))
        .when(fate == "cancel_customer")
        .then(
            pl.coalesce(
                pl.col("payable_at") + pl.duration(seconds=(room * pl.col("draw") * 0.9).cast(pl.Int64)),
                pl.col("ordered_at") + pl.duration(seconds=30),
            )
        )
        .when(fate == "cancel_late")
        .then(pl.col("promise_at") + pl.duration(hours=12))
        .when(fate.is_in(["cancel_seller", "cancel_stock"]))
        .then(pl.col("payable_at") + pl.duration(hours=20))
    )
    return head.with_columns(
        pl.min_horizontal(cancelled, pl.lit(now - timedelta(seconds=30)).cast(INSTANT)).alias("cancelled_at"),
    ).with_columns(
        pl.when(cancelled.is_null()).then(None).otherwise("cancelled_at").alias("cancelled_at"),
        fate.replace_strict(CANCELLING, default=None, return_dtype=pl.String).alias("cancel_reason"),
    )


def _imports(rng: np.random.Generator, head: pl.DataFrame) -> pl.DataFrame:
    """Which marketplace orders the web shop imported, and which are known by that import alone."""
    plain = head.filter(
        pl.col("channel") == "marketplace", pl.col("fate") == "on_time", pl.col("fulfilled_by") == "retailer"
    )
    drawn = plain.select("order", plant(rng, plain.height, IMPORT_CASES, default="imported").alias("import_case"))
    return head.join(drawn, on="order", how="left", maintain_order="left").with_columns(
        pl.when(pl.col("channel") != "marketplace")
        .then(pl.lit("own"))
        .when(pl.col("fulfilled_by") != "retailer")
        .then(pl.lit("no_import"))
        .otherwise(pl.col("import_case").fill_null("imported"))
        .alias("import_case"),
        pl.lit(None, pl.String).alias("replaces_return"),
    )


def shop_reference(number: pl.Expr) -> pl.Expr:
    """Nine letters, as PrestaShop's order references; different for every number."""
    mixed = (number * 812_345_679_007 + 1_234_567) % 26**9
    return pl.concat_str(
        [
            (mixed // 26**place % 26).replace_strict(dict(enumerate(LETTERS)), return_dtype=pl.String)
            for place in range(9)
        ]
    )


def _numbered(head: pl.DataFrame) -> pl.DataFrame:
    """The number that people and other systems quote."""
    return head.with_columns(
        pl.when(pl.col("channel") == "web-fr")
        .then(shop_reference(pl.col("order")))
        .when(pl.col("channel") == "web-be")
        .then((pl.col("order") + 500_000).cast(pl.String))
        .otherwise(pl.format("MP{}", pl.col("order").cast(pl.String).str.zfill(9)))
        .alias("number")
    )


def replacements(
    *, seed: int, sales: Sales, returned: pl.DataFrame, days_table: pl.DataFrame, now: datetime, catalogue: Catalogue
) -> Sales:
    """Orders that replace exchanged goods, free of charge. `returned`: order, item, quantity, received_at, return_code."""
    size = returned.height
    first_order, first_line = sales.orders.height, sales.lines.height + 1
    numbers = pl.int_range(0, pl.len(), dtype=pl.Int64)
    old = returned.join(
        sales.orders.select("order", "channel", "person", "is_guest"), on="order", maintain_order="left"
    )
    ordered = pl.col("received_at") + pl.duration(hours=1)
    template = dict(sales.orders.schema)
    head = old.select(
        (numbers + first_order).alias("order"),
        "channel",
        "person",
        "is_guest",
        ordered.alias("ordered_at"),
        ordered.alias("paid_at"),
        pl.lit(WAREHOUSE).alias("ship_from"),
        pl.lit("retailer").alias("fulfilled_by"),
        pl.lit("on_time").alias("fate"),
        pl.lit("own").alias("import_case"),
        pl.col("return_code").alias("replaces_return"),
        pl.col("quantity").alias("units"),
        *(pl.lit(0, pl.Int64).alias(name) for name in ("shipping_minor", "discount_minor", "fee_minor")),
    )
    derived = (
        "payable_at",
        "draw",
        "draw2",
        "place",
        "clock_at",
        "promise_at",
        "cancelled_at",
        "cancel_reason",
        "number",
    )
    head = head.with_columns(
        pl.lit(None, dtype).alias(name)
        for name, dtype in template.items()
        if name not in head.columns and name not in derived
    )
    head = timed(dice(seed, "replacements"), _numbered(head), days_table, now).select(list(template))
    lines = returned.select(
        (numbers + first_order).alias("order"),
        "item",
        "quantity",
        pl.lit(0, pl.Int64).alias("unit_minor"),
        "rate",
        (numbers + first_line).alias("line"),
        pl.lit(1, pl.Int64).alias("line_number"),
        pl.lit(0, pl.Int64).alias("cancelled_qty"),
        pl.lit(False).alias("is_deleted"),
        pl.lit(False).alias("is_service"),
    ).join(catalogue.items.select("item", "kind", "sku", "name", "is_tracked"), on="item", maintain_order="left")
    missing = [
        pl.lit(None, dtype).alias(name) for name, dtype in sales.lines.schema.items() if name not in lines.columns
    ]
    return (
        Sales(head, lines.with_columns(missing).select(sales.lines.columns))
        if size
        else Sales(head, sales.lines.clear())
    )


def _shortened(lines: pl.DataFrame, head: pl.DataFrame) -> pl.DataFrame:
    """Cancel one unit (of a one-unit line: the line) of the first goods line of each short order."""
    short = head.filter(pl.col("fate").str.starts_with("short_")).select(
        "order",
        pl.col("fate").str.strip_prefix("short_").replace({"late": "customer"}).alias("cancel_reason"),
        pl.when(pl.col("fate") == "short_late")
        .then(pl.col("promise_at") + pl.duration(hours=6))
        .otherwise(pl.col("payable_at") + pl.duration(hours=1))
        .alias("cancelled_at"),
    )
    first = lines.filter(~pl.col("is_service")).group_by("order").agg(pl.col("line").min())
    cut = short.join(first, on="order").select(
        "line", "cancel_reason", "cancelled_at", pl.lit(1, pl.Int64).alias("cancelled_qty")
    )
    return lines.join(cut, on="line", how="left", maintain_order="left").with_columns(
        pl.col("cancelled_qty").fill_null(0)
    )
