"""What is planned for the sandbox's shops: its planted defects, each one, and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import polars as pl
import pytest

from orchestration.demo import DEFAULT_NOW, DEFAULT_SEED, ORDERS, VARIANTS, DemoOutcome
from sandbox.world import World, build_world
from tests.end_to_end.conftest import SCALE

pytestmark = pytest.mark.xdist_group("demo")
PLANTED = {
    "published_qty": pl.col("stock_case").is_in(["oversell", "hidden"]) | (pl.col("case") == "moving"),
    "regular_minor": pl.col("price_case").is_in(["over", "under", "price_in_flight"]),
    "promotion": pl.col("price_case").is_in(["late", "missing_promo", "leaked", "wrong_depth", "promo_in_flight"]),
}
UNWRITABLE = {
    "stale_stock": pl.col("case") == "stale",
    "not_managed_on_channel": pl.col("stock_case") == "not_managed",
    "ambiguous_promotion": pl.col("price_case") == "ambiguous",
    "currency_mismatch": pl.col("price_case") == "dollars",
    "no_expected_price": pl.col("price_case") == "unpriced",
}


@pytest.fixture(scope="module")
def world() -> World:
    """The demo's retailer, invented once more: its listings say what was planted in each."""
    variants, orders = int(VARIANTS * SCALE), int(ORDERS * SCALE)
    return build_world(seed=DEFAULT_SEED, now=DEFAULT_NOW, variants=variants, orders=orders)


@pytest.fixture(scope="module")
def warehouse(demo: DemoOutcome, tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """A copy of the demo's warehouse, so that nobody waits for it."""
    copy = tmp_path_factory.mktemp("warehouse") / "copy.duckdb"
    shutil.copyfile(Path(demo.folder) / "warehouse.duckdb", copy)
    connection = duckdb.connect(str(copy), read_only=True)
    yield connection
    connection.close()


def items(connection: duckdb.DuckDBPyConnection, table: str, channel: str, condition: str) -> set[str]:
    """Items of a channel in a table of differences."""
    query = f"select external_id from {table} where channel_code = ? and {condition}"
    return {row[0] for row in connection.execute(query, [channel]).fetchall()}


@pytest.mark.parametrize("channel", ["web-fr", "web-be"])
def test_the_planted_defects_are_planned_and_nothing_else(
    channel: str, world: World, warehouse: duckdb.DuckDBPyConnection
) -> None:
    listings = (world.web_fr if channel == "web-fr" else world.web_be).listings.filter(pl.col("kind") != "parent")
    for attribute, planted in PLANTED.items():
        expected = set(listings.filter(planted)["external_id"])
        assert expected, attribute
        assert items(warehouse, "channels.difference", channel, f"attribute = '{attribute}'") == expected, attribute
    for reason, planted in UNWRITABLE.items():
        expected = set(listings.filter(planted)["external_id"])
        assert items(warehouse, "channels.unwritable", channel, f"reason = '{reason}'") == expected, reason


@pytest.mark.parametrize("channel", ["web-fr", "web-be"])
def test_publication_follows_the_master(channel: str, world: World, warehouse: duckdb.DuckDBPyConnection) -> None:
    listings = (world.web_fr if channel == "web-fr" else world.web_be).listings.filter(pl.col("kind") != "parent")
    hidden = set(listings.filter(pl.col("price_case") == "unpublished")["external_id"])
    inactive = set(listings.filter(~pl.col("is_active").fill_null(True), "is_published")["external_id"])
    assert hidden
    assert inactive
    found = items(warehouse, "channels.difference", channel, "attribute = 'is_published' and after_value = 'true'")
    assert found == hidden
    gone = items(warehouse, "channels.difference", channel, "attribute = 'is_published' and after_value = 'false'")
    held = items(warehouse, "channels.unwritable", channel, "reason = 'variant_of_published_product'")
    if channel == "web-be":
        assert (gone, held) == (inactive, set())
    else:  # PrestaShop hides whole products: a variant whose siblings stay is told, not written
        whole = {item.split("-")[0] if "-" in item else item for item in inactive - held}
        assert gone == whole
        assert held <= inactive


def test_only_orders_that_the_master_does_not_know_are_sent(warehouse: duckdb.DuckDBPyConnection, world: World) -> None:
    sent = {row[0] for row in warehouse.execute("select order_number from channels.order_to_send").fetchall()}
    answered = set(world.stock.acknowledgements["number"])
    unknown = world.orders.filter(
        pl.col("channel").is_in(["web-fr", "web-be"]),
        pl.col("status") == "payable",
        pl.col("fulfilled_by") == "retailer",
    )
    assert sent == set(unknown["number"]) - answered
    assert sent


def test_shipments_never_go_backwards_and_name_parcels_of_the_order(
    warehouse: duckdb.DuckDBPyConnection, world: World
) -> None:
    rows = warehouse.execute(
        """select order_number, status, desired_status, desired_tracking_number
        from channels.desired_shipment where is_different"""
    ).fetchall()
    assert rows
    parcels = set(
        world.shipments.join(world.orders.select("order", "number"), on="order").select("number", "tracking").rows()
    )
    for number, status, desired, tracking in rows:
        assert (status, desired) in {("payable", "payable"), ("payable", "shipped"), ("shipped", "shipped")}
        assert (number, tracking) in parcels
