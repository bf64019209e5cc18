"""A world must hold together: what it says in two places is the same."""

from __future__ import annotations

from itertools import pairwise

import polars as pl
import pytest

from sandbox.shop_data import ShopData
from sandbox.world import DEMO_NOW, World, build_world
from sandbox.world.dice import INSTANT


def _now(world: World) -> pl.Expr:
    return pl.lit(world.now).cast(INSTANT)


def test_the_book_is_the_sum_of_the_movements(world: World) -> None:
    levels = world.stock.levels
    past = world.stock.movements.join(levels.select("location", "item", "as_of_at"), on=["location", "item"]).filter(
        pl.col("at") <= pl.col("as_of_at")
    )
    book = levels.join(
        past.group_by("location", "item").agg(pl.col("quantity").sum().alias("summed")),
        on=["location", "item"],
        how="left",
    )
    held = pl.col("on_hand") + pl.when("is_net").then(pl.col("committed") + pl.col("reserved")).otherwise(0)
    assert book.filter(held != pl.col("summed").fill_null(0)).is_empty()


def test_nothing_happened_after_now(world: World) -> None:
    frames = (
        world.orders,
        world.lines,
        world.shipments,
        world.scans,
        world.returns.lines,
        world.returns.refunds,
        world.tickets,
        world.stock.movements,
        world.stock.counts,
    )
    to_come = {"available_from_at", "own_promise_at", "promise_at", "clock_at", "paid_at"}
    for frame in frames:
        for name, dtype in frame.schema.items():
            if dtype == INSTANT and name not in to_come:
                assert frame.filter(pl.col(name) > _now(world)).is_empty(), name


def test_instants_are_whole_seconds(world: World) -> None:
    for frame in (
        world.orders,
        world.lines,
        world.shipments,
        world.scans,
        world.returns.lines,
        world.returns.refunds,
        world.tickets,
        world.stock.movements,
        world.stock.levels,
    ):
        for name, dtype in frame.schema.items():
            if dtype == INSTANT:
                assert frame.filter(pl.col(name).dt.microsecond() != 0).is_empty(), name


def test_parcels_hold_no_more_than_was_ordered(world: World) -> None:
    alive = world.shipments.filter(pl.col("cancelled_at").is_null()).select("shipment")
    packed = (
        world.shipment_lines.join(alive, on="shipment").group_by("line").agg(pl.col("quantity").sum().alias("packed"))
    )
    lines = world.lines.join(packed, on="line")
    assert lines.filter(pl.col("packed") > pl.col("quantity") - pl.col("cancelled_qty")).is_empty()


def test_stamps_of_a_parcel_follow_each_other(world: World) -> None:
    steps = ["released_at", "picked_at", "packed_at", "label_printed_at", "ship_confirmed_at", "scanned_at"]
    for before, after in pairwise(steps):
        assert world.shipments.filter(pl.col(before) > pl.col(after)).is_empty(), (before, after)


def test_numbers_are_unique(world: World) -> None:
    assert world.orders["number"].n_unique() == world.orders.height
    assert world.tickets.select("ticket", "line_number").n_unique() == world.tickets.height
    assert world.shipments["shipment_code"].n_unique() == world.shipments.height
    assert world.stock.counts.select("count", "location", "sku").n_unique() == world.stock.counts.height
    assert world.returns.lines.select("return_code", "line_number").n_unique() == world.returns.lines.height
    assert world.prices.prices.select("price_list", "item", "valid_from_at").n_unique() == world.prices.prices.height


def test_gtins_have_their_check_digit_unless_planted(world: World) -> None:
    known = world.catalogue.items.filter(pl.col("gtin").is_not_null()).select("case", "gtin")
    wrong = [
        case
        for case, text in known.iter_rows()
        if sum(int(d) * (3 if place % 2 else 1) for place, d in enumerate(text)) % 10
    ]
    assert wrong
    assert set(wrong) == {"gtin_invalid"}


@pytest.mark.parametrize("shop", ["shop_fr", "shop_be"])
def test_a_shop_holds_together(world: World, shop: str) -> None:
    data: ShopData = getattr(world, shop)
    assert data.items["item_id"].n_unique() == data.items.height
    assert data.orders["order_id"].n_unique() == data.orders.height
    assert data.order_lines["line_id"].n_unique() == data.order_lines.height
    ids = data.items.select("item_id")
    assert data.order_lines.filter(pl.col("item_id").is_not_null()).join(ids, on="item_id", how="anti").is_empty()
    assert data.kit_items.join(ids.rename({"item_id": "component_id"}), on="component_id", how="anti").is_empty()
    assert (
        data.items.filter(pl.col("parent_id").is_not_null())
        .join(ids.rename({"item_id": "parent_id"}), on="parent_id", how="anti")
        .is_empty()
    )
    assert data.refund_lines.join(data.order_lines, on="line_id", how="anti").is_empty()
    assert data.refunds.join(data.orders, on="order_id", how="anti").is_empty()
    goods = data.order_lines.group_by("order_id").agg(pl.col("line_total_minor").sum().alias("goods"))
    total = pl.col("goods") + pl.col("shipping_minor") + pl.col("fee_minor") - pl.col("discount_minor")
    assert data.orders.join(goods, on="order_id").filter(total != pl.col("total_minor")).is_empty()
    for name in ("regular_minor", "tax_rate_bp"):
        assert data.items[name].null_count() == 0, name


def test_the_same_person_buys_in_both_shops(world: World) -> None:
    emails = [shop.customers["email"].str.to_lowercase().to_list() for shop in (world.shop_fr, world.shop_be)]
    assert set(emails[0]) & set(emails[1])
    assert set(world.shop_be.customers["email"]) - set(world.shop_fr.customers["email"])


def test_a_world_too_small_for_its_defects_is_refused() -> None:
    with pytest.raises(ValueError, match="larger world"):
        build_world(seed=1, now=DEMO_NOW, variants=60, orders=300)
