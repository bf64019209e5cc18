"""Order lines cut in parts, as K2 and K3a need them: what is done, in preparation, open or cancelled, with the promise of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from sandbox.world.dice import INSTANT
from sandbox.world.places import WAREHOUSE, company_of, deadline_day, with_promise

if TYPE_CHECKING:
    from sandbox.world import World


def order_parts(world: World) -> pl.DataFrame:
    """One row per order line x part of every order that is no replacement. `units` is its weight, `reason` why K2 leaves it out."""
    orders = world.orders.filter(pl.col("replaces_return").is_null()).select(
        "order",
        "channel",
        "number",
        "pickup",
        "fulfilled_by",
        "payable_at",
        "clock_at",
        "own_promise_at",
        "available_from_at",
        "status",
        pl.col("cancelled_at").alias("order_cancelled_at"),
        pl.col("cancel_reason").alias("order_reason"),
    )
    lines = world.lines.join(orders, on="order", maintain_order="left").join(
        world.catalogue.items.select("item", "category"), on="item", how="left", maintain_order="left"
    )
    alive = world.shipments.filter(pl.col("cancelled_at").is_null() | pl.col("done_at").is_not_null())
    sent = world.shipment_lines.select("shipment", "line", pl.col("quantity").alias("units")).join(
        alive.select("shipment", "carrier", pl.col("location").alias("ship_location"), "done_at", "part"), on="shipment"
    )
    in_parcels = lines.join(sent, on="line").with_columns(
        pl.when(pl.col("done_at").is_not_null()).then(pl.lit("done")).otherwise(pl.lit("preparing")).alias("state")
    )
    cut = lines.filter(pl.col("cancelled_qty") > 0).with_columns(
        pl.col("cancelled_qty").alias("units"), pl.lit("cancelled").alias("state")
    )
    packed = sent.group_by("line").agg(pl.col("units").sum().alias("packed"))
    rest = (
        lines.join(packed, on="line", how="left", maintain_order="left")
        .with_columns(
            (pl.col("quantity") - pl.col("cancelled_qty") - pl.col("packed").fill_null(0)).alias("units"),
            pl.lit("open").alias("state"),
        )
        .filter(pl.col("units") > 0)
        .drop("packed")
    )
    parts = pl.concat([in_parcels, cut, rest], how="diagonal")
    dead = ((pl.col("status") == "cancelled") | pl.col("order_cancelled_at").is_not_null()) & ~pl.col("state").is_in(
        ["done", "cancelled"]
    )
    parts = parts.with_columns(
        pl.when(dead).then(pl.lit("cancelled")).otherwise("state").alias("state"),
        pl.when(dead).then("order_reason").otherwise("cancel_reason").alias("why"),
        pl.when(dead).then("order_cancelled_at").otherwise("cancelled_at").alias("gone_at"),
        pl.coalesce("pickup", "ship_location", pl.lit(WAREHOUSE)).alias("location"),
    )
    parts = with_promise(
        parts, world.location_days, place="location", start="clock_at", own="own_promise_at", into="promise_at"
    )
    sent_orders = world.shipments.select("order", pl.lit(True).alias("is_recorded")).unique()
    parts = parts.join(sent_orders, on="order", how="left", maintain_order="left")
    return _judged(parts, world)


def _judged(parts: pl.DataFrame, world: World) -> pl.DataFrame:
    now = pl.lit(world.now).cast(INSTANT)
    by_customer = (pl.col("state") == "cancelled") & (pl.col("why").fill_null("customer") == "customer")
    for_payment = (
        (pl.col("status") == "failed")
        | ((pl.col("status") == "cancelled") & (pl.col("order_reason") == "payment"))
        | (pl.col("why") == "payment")
    )
    early = (
        pl.col("promise_at").is_null()
        | pl.col("payable_at").is_null()
        | (pl.col("gone_at") < pl.col("promise_at"))
        | (pl.col("gone_at") < pl.col("payable_at"))
    )
    reason = (
        pl.when(pl.col("kind") == "service")
        .then(pl.lit("service"))
        .when(pl.col("kind") == "gift_card")
        .then(pl.lit("gift_card"))
        .when(pl.col("fulfilled_by") != "retailer")
        .then(pl.lit("fulfilled_by_other"))
        .when(for_payment.fill_null(False))
        .then(pl.lit("payment_failed"))
        .when(pl.col("payable_at").is_null() & ~by_customer)
        .then(pl.lit("not_payable"))
        .when((pl.col("status") == "refunded") & ~pl.col("state").is_in(["done", "cancelled"]))
        .then(pl.lit("refunded_before_shipping"))
        .when(by_customer & early)
        .then(pl.lit("cancelled_by_customer"))
        .when(
            pl.col("status").is_in(["shipped", "delivered"])
            & ~pl.col("state").is_in(["done", "cancelled"])
            & pl.col("is_recorded").is_null()
        )
        .then(pl.lit("no_handover_record"))
        .when(pl.col("promise_at").is_null())
        .then(pl.lit("no_calendar"))
        .when(pl.col("promise_at") > now)
        .then(pl.lit("not_due"))
    )
    preorder = pl.col("available_from_at") > pl.col("payable_at")
    return parts.with_columns(
        reason.alias("reason"),
        ((pl.col("state") == "done") & (pl.col("done_at") <= pl.col("promise_at")))
        .fill_null(False)
        .alias("is_on_time"),
        preorder.fill_null(False).alias("is_preorder"),
        deadline_day("location", pl.col("promise_at")).alias("day"),
        company_of("channel").alias("company"),
    )
