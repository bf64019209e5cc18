"""What comes back: returns to the warehouse and to stores, returns at tills, exchanges, and the money given back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from sandbox.world.catalogue import Catalogue
from sandbox.world.dice import INSTANT, dice, plant
from sandbox.world.places import STORES_BE, STORES_FR, WAREHOUSE
from sandbox.world.sales import Sales
from sandbox.world.shipping import Shipping
from sandbox.world.tills import TICKET_COLUMNS

ANY_CASES = {
    "refund": 0.04,
    "whole": 0.006,
    "asked": 0.004,
    "proof_only": 0.003,
    "undeliverable": 0.004,
    "too_many": 0.001,
    "no_request": 0.001,
    "store_return": 0.008,
    "refund_only": 0.006,
    "no_resolution": 0.002,
}
OLD_CASES = {"late_refund": 0.006, "no_refund": 0.006, "late_return": 0.006}
WEB_CASES = {"exchange": 0.008, "store_credit": 0.003, "till_return": 0.008}
TWICE_CASES = {"twice": 0.002}
REASONS = ("size", "defect", "changed_mind", "wrong_item", "late")
ORPHANS_SHARE, TILL_SHARE = 0.001, 0.03


@dataclass(frozen=True)
class Returns:
    """`lines`: return lines as the WMS knows them (with `order` and `line`, null for orphans); `refunds`, `refund_lines`: money given
    back by shops and marketplace; `tickets`: negative ticket lines."""

    lines: pl.DataFrame
    refunds: pl.DataFrame
    refund_lines: pl.DataFrame
    tickets: pl.DataFrame


def build_returns(
    *, seed: int, catalogue: Catalogue, sales: Sales, shipping: Shipping, tickets: pl.DataFrame, now: datetime
) -> Returns:
    """Everything that comes back in one world."""
    rng = dice(seed, "returns")
    shipped = _shipped(catalogue, sales, shipping)
    cases = _cases(rng, shipped, now)
    lines = _lines(rng, cases, shipped, now)
    refunds, refund_lines = _refunds(cases, lines, sales, now)
    return Returns(
        pl.concat([lines, _orphans(rng, lines, sales, catalogue)]).sort("return_code", "line_number"),
        refunds,
        refund_lines,
        _till_returns(rng, cases, tickets, catalogue, now),
    )


def _shipped(catalogue: Catalogue, sales: Sales, shipping: Shipping) -> pl.DataFrame:
    """One row per goods line that left at least in part: units gone and the last hand-over."""
    gone = shipping.lines.join(
        shipping.shipments.filter(pl.col("done_at").is_not_null()).select("shipment", "done_at", "location"),
        on="shipment",
    )
    return (
        gone.group_by("line")
        .agg(pl.col("quantity").sum().alias("gone"), pl.col("done_at").max(), pl.col("location").first())
        .join(
            sales.lines.select("line", "order", "item", "sku", "quantity", "unit_minor", "rate", "line_number"),
            on="line",
        )
        .join(sales.orders.select("order", "channel", "number", "import_case", "shipping_minor"), on="order")
        .join(catalogue.items.select("item", "case"), on="item", how="left")
        .filter(pl.col("import_case") != "import_only")
        .sort("line")
    )


def _cases(rng: np.random.Generator, shipped: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """At most one returned line per order (for `whole`: the order), with what becomes of it."""
    first = shipped.unique("order", keep="first", maintain_order=True)
    age = (pl.lit(now).cast(INSTANT) - pl.col("done_at")).dt.total_days()
    groups = (
        ((age > 16) & (pl.col("gone") > 1), TWICE_CASES),
        ((age > 48), OLD_CASES),
        (
            (age > 16)
            & (pl.col("channel") != "marketplace")
            & ~pl.col("case").is_in(["sku_missing", "sku_duplicate"])
            & pl.col("item").is_not_null(),
            WEB_CASES,
        ),
        ((age > 3), ANY_CASES),
    )
    drawn: list[pl.DataFrame] = []
    left = first
    for group, shares in groups:
        pool = left.filter(group)
        scale = first.height / max(1, pool.height)
        chosen = pool.with_columns(
            plant(
                rng, pool.height, {name: min(share * scale, 0.5 / len(shares)) for name, share in shares.items()}
            ).alias("what")
        )
        chosen = chosen.filter(pl.col("what") != "none")
        drawn.append(chosen)
        left = left.join(chosen, on="order", how="anti", maintain_order="left")
    return pl.concat(drawn).sort("line").with_row_index("n")


def _lines(rng: np.random.Generator, cases: pl.DataFrame, shipped: pl.DataFrame, now: datetime) -> pl.DataFrame:
    size = cases.height
    frame = cases.filter(~pl.col("what").is_in(["till_return", "refund_only"]))
    frame = frame.with_columns(
        pl.Series(name, rng.random(size)).gather(frame["n"]) for name in ("u", "v", "w", "x", "y")
    ).with_columns(pl.format("R{}", (pl.col("n") + 1).cast(pl.String).str.zfill(8)).alias("return_code"))
    frame = frame.with_columns(
        pl.Series(STORES_FR).gather((frame["y"] * len(STORES_FR)).cast(pl.Int64)).alias("_store")
    )
    what = pl.col("what")
    whole = (
        frame.filter(what == "whole")
        .drop("line", "line_number", "item", "sku", "gone", "quantity", "unit_minor", "rate")
        .join(
            shipped.select("order", "line", "line_number", "item", "sku", "gone", "quantity", "unit_minor", "rate"),
            on="order",
            maintain_order="left",
        )
    )
    frame = pl.concat([frame.filter(what != "whole"), whole.select(frame.columns)])
    twice = frame.filter(what == "twice").with_columns(
        (pl.col("return_code") + "B").alias("return_code"), (pl.col("done_at") + pl.duration(days=4)).alias("done_at")
    )
    frame = (
        pl.concat([frame, twice])
        .sort("return_code", "line")
        .with_columns(pl.int_range(1, pl.len() + 1).over("return_code").cast(pl.Int64).alias("line_number"))
    )
    until = pl.lit(now).cast(INSTANT)

    def after(base: pl.Expr, hours: pl.Expr | float) -> pl.Expr:
        return base + pl.duration(
            seconds=(pl.lit(hours) * 3600 if isinstance(hours, int | float) else hours * 3600).cast(pl.Int64)
        )

    asked = after(pl.col("done_at"), 40 + pl.col("u") * 24 * 7)
    asked = (
        pl.when(what == "late_return").then(after(pl.col("done_at"), 31 * 24 + pl.col("u") * 24 * 5)).otherwise(asked)
    )
    frame = frame.with_columns(asked.alias("requested_at"))
    proof = after(pl.col("requested_at"), 3 + pl.col("v") * 40)
    received = after(proof, 20 + pl.col("w") * 70)
    undelivered, at_store = what == "undeliverable", what == "store_return"
    frame = (
        frame.with_columns(
            pl.when(~what.is_in(["undeliverable", "store_return", "asked"])).then(proof).alias("proof_at"),
            pl.when(undelivered)
            .then(after(pl.col("done_at"), 24 * 8))
            .when(at_store)
            .then("requested_at")
            .when(~what.is_in(["asked", "proof_only"]))
            .then(received)
            .alias("received_at"),
        )
        .with_columns(
            after(pl.col("received_at"), 2 + pl.col("x") * 20).alias("inspected_at"),
            pl.when(~undelivered & (what != "no_request")).then("requested_at").alias("requested_at"),
            pl.when(pl.col("x") < 0.8)
            .then(pl.lit("restock"))
            .when(pl.col("x") < 0.9)
            .then(pl.lit("refurbish"))
            .otherwise(pl.lit("scrap"))
            .alias("disposition"),
        )
        .with_columns(
            pl.when(pl.col("disposition") == "restock")
            .then(after(pl.col("inspected_at"), 1 + pl.col("y") * 30))
            .alias("restocked_at")
        )
    )
    stamps = ("requested_at", "proof_at", "received_at", "inspected_at", "restocked_at")
    units = (
        pl.when(what == "too_many")
        .then(pl.col("gone") + 1)
        .when(what == "twice")
        .then(1)
        .when((pl.col("x") < 0.8) | what.is_in(["whole", "undeliverable"]))
        .then("gone")
        .otherwise(1)
    )
    resolution = (
        pl.when(what.is_in(["exchange", "store_credit"]))
        .then(what)
        .when(what == "no_resolution")
        .then(pl.lit("none"))
        .otherwise(pl.lit("refund"))
    )
    return (
        frame.with_columns(pl.when(pl.col(name) <= until).then(name).alias(name) for name in stamps)
        .filter(pl.coalesce("requested_at", "received_at").is_not_null())
        .with_columns(
            pl.when(undelivered).then(pl.lit("undeliverable")).otherwise(pl.lit("customer_return")).alias("kind"),
            units.cast(pl.Int64).alias("quantity"),
            pl.when(pl.col("inspected_at").is_not_null()).then("disposition").alias("disposition"),
            (pl.col("v") * len(REASONS))
            .cast(pl.Int64)
            .replace_strict(dict(enumerate(REASONS)), return_dtype=pl.String)
            .alias("reason"),
            resolution.alias("resolution"),
            pl.when(at_store & (pl.col("channel") == "web-be"))
            .then(pl.lit(STORES_BE[0]))
            .when(at_store)
            .then("_store")
            .otherwise(pl.lit(WAREHOUSE))
            .alias("location"),
        )
        .select(RETURN_COLUMNS)
    )


RETURN_COLUMNS = [
    "return_code",
    "line_number",
    "what",
    "kind",
    "channel",
    "number",
    "order",
    "line",
    "item",
    "sku",
    "quantity",
    "requested_at",
    "proof_at",
    "received_at",
    "inspected_at",
    "restocked_at",
    "disposition",
    "reason",
    "resolution",
    "location",
    "unit_minor",
    "rate",
]


def _orphans(rng: np.random.Generator, lines: pl.DataFrame, sales: Sales, catalogue: Catalogue) -> pl.DataFrame:
    """Returns whose label is unreadable: an order number nobody knows, none at all, or a real order that never held the article."""
    known = lines.filter(
        pl.col("received_at").is_not_null(), pl.col("kind") == "customer_return", pl.col("what") == "refund"
    )
    size = min(known.height, max(6, round(len(sales.orders) * ORPHANS_SHARE)))
    like = known.sample(size, seed=int(rng.integers(1 << 31)), shuffle=True)
    n = pl.int_range(0, pl.len())
    stranger = catalogue.items.filter(pl.col("case") == "inactive")["sku"][0]
    return like.with_columns(
        pl.format("RX{}", (n + 1).cast(pl.String).str.zfill(6)).alias("return_code"),
        pl.lit(1, pl.Int64).alias("line_number"),
        pl.lit("orphan").alias("what"),
        pl.when(n % 3 == 1).then(None).otherwise("channel").alias("channel"),
        pl.when(n % 3 == 0)
        .then(pl.format("INCONNU{}", n))
        .when(n % 3 == 1)
        .then(None)
        .otherwise("number")
        .alias("number"),
        pl.when(n % 3 == 2).then(pl.lit(stranger)).otherwise("sku").alias("sku"),
        # the WMS quotes an order that exists: the return is that order's, though none of its lines
        pl.when(n % 3 == 2).then("order").alias("order"),
        pl.lit(None, pl.Int64).alias("line"),
    ).select(RETURN_COLUMNS)


def _refunds(
    cases: pl.DataFrame, lines: pl.DataFrame, sales: Sales, now: datetime
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """One refund per return that is paid back, per shortened order, per refund without goods, per order refunded before it left."""
    until = pl.lit(now).cast(INSTANT)
    paid = lines.filter(pl.col("resolution") == "refund", ~pl.col("what").is_in(["no_refund", "asked", "proof_only"]))
    soon = pl.col("received_at") + pl.duration(
        minutes=pl.when(pl.col("what") == "store_return").then(10).otherwise(30 + pl.col("line") % 4000)
    )
    late = pl.col("requested_at") + pl.duration(hours=16 * 24 + pl.col("line") % 160)
    of_returns = paid.with_columns(
        pl.when(pl.col("what") == "late_refund").then(late).otherwise(soon).alias("initiated_at")
    ).select("order", "line", "quantity", "unit_minor", "initiated_at", "return_code", pl.col("what"), pl.col("reason"))
    alone = cases.filter(pl.col("what") == "refund_only").select(
        "order",
        "line",
        pl.lit(1, pl.Int64).alias("quantity"),
        "unit_minor",
        (pl.col("done_at") + pl.duration(days=2)).alias("initiated_at"),
        pl.lit(None, pl.String).alias("return_code"),
        "what",
        pl.lit("geste commercial").alias("reason"),
    )
    short = sales.lines.filter(pl.col("cancelled_qty") > 0).select(
        "order",
        "line",
        pl.col("cancelled_qty").alias("quantity"),
        "unit_minor",
        (pl.col("cancelled_at") + pl.duration(hours=2)).alias("initiated_at"),
        pl.lit(None, pl.String).alias("return_code"),
        pl.lit("short").alias("what"),
        pl.lit("rupture").alias("reason"),
    )
    early = (
        sales.orders.filter(pl.col("fate") == "refunded_unshipped")
        .join(sales.lines, on="order")
        .select(
            "order",
            "line",
            "quantity",
            "unit_minor",
            (pl.col("payable_at") + pl.duration(days=2)).alias("initiated_at"),
            pl.lit(None, pl.String).alias("return_code"),
            pl.lit("early").alias("what"),
            pl.lit("annulation").alias("reason"),
        )
    )
    every = (
        pl.concat([of_returns, alone, short, early])
        .join(
            sales.orders.select("order", "channel", "shipping_minor", "import_case"), on="order", maintain_order="left"
        )
        .filter(pl.col("initiated_at") <= until, pl.col("import_case") != "import_only")
    )
    key = ["order", "return_code", "what"]
    heads = (
        every.group_by(key, maintain_order=True)
        .agg(
            pl.col("initiated_at").max(),
            (pl.col("quantity") * pl.col("unit_minor")).sum().alias("goods_minor"),
            pl.when(pl.col("what").is_in(["whole", "early"]))
            .then("shipping_minor")
            .otherwise(0)
            .first()
            .alias("shipping_minor"),
            pl.col("channel").first(),
            pl.col("reason").first(),
        )
        .with_columns((pl.col("goods_minor") + pl.col("shipping_minor")).alias("amount_minor"))
        .sort("initiated_at", "order", "return_code", "what")
        .with_columns(pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias("refund"))
    )
    body = every.join(heads.select(*key, "refund"), on=key, nulls_equal=True, maintain_order="left").select(
        "refund", "line", pl.col("quantity"), (pl.col("quantity") * pl.col("unit_minor")).alias("amount_minor")
    )
    return heads, body.sort("refund", "line")


def _till_returns(
    rng: np.random.Generator, cases: pl.DataFrame, tickets: pl.DataFrame, catalogue: Catalogue, now: datetime
) -> pl.DataFrame:
    """Negative ticket lines: goods bought at a till or on the web and brought to a store; a few without any receipt."""
    now_s = int(now.timestamp())
    sold = tickets.filter(
        ~pl.col("kind").is_in(["service", "gift_card"]),
        pl.col("item").is_not_null(),
        pl.col("sold_at").dt.epoch("s") < now_s - 4 * 86_400,
    )
    size = min(sold.height, max(12, round(sold.height * TILL_SHARE)))
    back = (
        sold.sample(size, seed=int(rng.integers(1 << 31)))
        .sort("ticket", "line_number")
        .select(
            pl.col("ticket").alias("return_of"),
            "item",
            "sku",
            "name",
            "quantity",
            "unit_minor",
            "discount_minor",
            "rate",
            "kind",
            pl.col("sold_at").alias("from_at"),
            "location",
        )
    )
    web = (
        cases.filter(pl.col("what") == "till_return")
        .join(catalogue.items.select("item", "name", "kind"), on="item", maintain_order="left")
        .select(
            pl.col("number").alias("return_of"),
            "item",
            "sku",
            "name",
            pl.col("gone").alias("quantity"),
            "unit_minor",
            pl.lit(0, pl.Int64).alias("discount_minor"),
            "rate",
            "kind",
            pl.col("done_at").alias("from_at"),
            pl.when(pl.col("channel") == "web-be").then(pl.lit("S12")).otherwise(pl.lit("S02")).alias("location"),
        )
    )
    lost = back.head(max(4, size // 100)).with_columns(
        pl.when(pl.int_range(0, pl.len()) % 2 == 0).then(pl.lit("T-PERDU-00000000")).alias("return_of")
    )
    every = pl.concat([back, web, lost])
    wait = rng.integers(86_400, 42 * 86_400, every.height)
    room = now_s - 120 - every["from_at"].dt.epoch("s").to_numpy()
    days = np.minimum(wait, (room * rng.random(every.height)).astype(np.int64))
    return (
        every.with_columns(
            (pl.col("from_at") + pl.duration(seconds=pl.lit(pl.Series("wait", days)))).alias("sold_at"),
            pl.lit(1, pl.Int64).alias("line_number"),
        )
        .with_columns(
            pl.format("T-{}-9{}", "location", (pl.int_range(1, pl.len() + 1)).cast(pl.String).str.zfill(7)).alias(
                "ticket"
            ),
            (-pl.col("quantity")).alias("quantity"),
            pl.when(pl.col("location").is_in(STORES_BE))
            .then(pl.lit("stores-be"))
            .otherwise(pl.lit("stores-fr"))
            .alias("channel"),
        )
        .select(TICKET_COLUMNS)
    )
