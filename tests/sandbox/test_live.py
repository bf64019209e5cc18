"""A living sandbox: given a moment, any moment, expect that what happens can be read the way the product reads it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from resources.connectors.files import FilesConnector
from resources.connectors.sdk.feed import load_feeds
from sandbox.live import LiveRetailer
from sandbox.retailer import Sandbox, start_sandbox
from sandbox.world.places import STORES
from tests.orders_out.given import Desk, export, line, order

MONDAY = datetime(2026, 5, 18, 10, tzinfo=UTC)


def started(folder: Path, now: datetime) -> Sandbox:
    return start_sandbox(folder, variants=500, orders=2_000, seed=5, now=now, live=True, tells_truth=False)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    found = started(tmp_path_factory.mktemp("live"), MONDAY)
    yield found
    found.stop()


@pytest.fixture
def retailer(sandbox: Sandbox) -> LiveRetailer:
    return LiveRetailer(sandbox, seed=1)


def rows(sandbox: Sandbox, system: str, feed: str, entity: str) -> pl.DataFrame:
    """A feed's rows, as the connector reads them; every file of it is good."""
    connector = FilesConnector(
        system, sandbox.drops / system, [load_feeds()[feed]], time_zone="Europe/Paris", tokeniser=None
    )
    reading = connector.read(connector.streams()[0], since_at=None, now=sandbox.clock())
    batches = list(reading.batches)
    assert list(reading.faults) == []
    return pl.concat([batch.frames[entity] for batch in batches if entity in batch.frames])


def test_the_clock_runs_from_the_given_moment(sandbox: Sandbox) -> None:
    first = sandbox.clock()
    assert MONDAY <= first < MONDAY + timedelta(minutes=10)
    time.sleep(0.01)
    assert sandbox.clock() - first >= timedelta(milliseconds=10)


@pytest.mark.parametrize("shop", ["shop_fr", "shop_be"])
def test_an_order_takes_stock_in_its_shop(sandbox: Sandbox, retailer: LiveRetailer, shop: str) -> None:
    def quantities() -> dict[str, int]:
        shown = sandbox.shop_fr.shown() if shop == "shop_fr" else sandbox.shop_be.shown()
        return {name: item.quantity or 0 for name, item in shown.items()}

    before = quantities()
    event = retailer.place_web_order(shop)
    after = quantities()
    fell = [before[name] - after[name] for name in before if before[name] != after[name]]
    assert set(fell) == {1}
    assert (event.kind, event.system_code) == ("web_order", shop)
    assert event.reference
    assert {units.location for units in event.sold} == {"WH1"}


def test_a_ticket_is_a_file_that_the_feed_reads(sandbox: Sandbox, retailer: LiveRetailer) -> None:
    event = retailer.ring_up_ticket("S11", units=2)
    assert event.file is not None
    assert (sandbox.drops / "pos" / f"{event.file}.done").is_file()
    found = rows(sandbox, "pos", "pos_tickets", "order_line").filter(pl.col("order_external_id") == event.reference)
    (units,) = event.sold
    sku = sandbox.world.catalogue.items.filter(pl.col("item") == units.item)["sku"][0]
    assert found.select("sku", "quantity").rows() == [(sku, 2)]
    orders = rows(sandbox, "pos", "pos_tickets", "order").filter(pl.col("order_external_id") == event.reference)
    assert orders["channel_code"].to_list() == ["stores-be"]
    assert abs((orders["ordered_at"][0] - event.at).total_seconds()) <= 1


def test_tickets_of_a_store_are_numbered_without_a_gap(sandbox: Sandbox, retailer: LiveRetailer) -> None:
    names = [str(retailer.ring_up_ticket("S03").file) for _ in range(3)]
    numbers = [int(name.split("_")[2]) for name in names]
    assert numbers == list(range(numbers[0], numbers[0] + 3))
    rows(sandbox, "pos", "pos_tickets", "order")


def test_booked_orders_are_shipped_once_and_scanned(sandbox: Sandbox, retailer: LiveRetailer, tmp_path: Path) -> None:
    desk = Desk.open(tmp_path)
    desk.out.folder = sandbox.erp.inbox
    lines = [line("LIVE1"), line("LIVE1", 2, sku="ML-0000002", quantity=3), line("LIVE2")]
    desk.send(export([order("LIVE1"), order("LIVE2", fulfilment_method="pickup", location_code="S01")], lines))
    assert [answer.decision for answer in retailer.erp_answers()] == ["booked", "booked"]
    assert retailer.ship_orders() == [], "the warehouse needs its time"
    shipped = retailer.ship_orders(after_s=0)
    assert [event.reference for event in shipped] == ["LIVE1", "LIVE2"]
    assert retailer.ship_orders(after_s=0) == []
    parcels = rows(sandbox, "wms", "wms_shipments", "shipment").filter(pl.col("order_number").str.starts_with("LIVE"))
    assert parcels.select("order_number", "tracking_number", pl.col("ready_for_pickup_at").is_not_null()).rows() == [
        ("LIVE1", shipped[0].detail, False),
        ("LIVE2", None, True),
    ]
    sent = rows(sandbox, "wms", "wms_shipments", "shipment_line")
    of_parcel = sent.filter(pl.col("shipment_external_id").is_in(parcels["shipment_external_id"].implode()))
    assert of_parcel["quantity"].to_list() == [1, 3, 1]
    scans = rows(sandbox, "carrier", "carrier_scans", "carrier_scan")
    assert scans.filter(pl.col("tracking_number") == shipped[0].detail)["kind"].to_list() == ["handed_over"]


def test_life_goes_on_until_it_is_stopped(sandbox: Sandbox) -> None:
    retailer, stop = LiveRetailer(sandbox, seed=2), threading.Event()
    traffic = threading.Thread(target=retailer.run, kwargs={"per_minute": 60_000, "stop": stop})
    traffic.start()
    deadline = time.monotonic() + 10
    while len(retailer.events) < 40 and time.monotonic() < deadline:
        time.sleep(0.005)
    stop.set()
    traffic.join(timeout=10)
    assert not traffic.is_alive()
    kinds = {event.kind for event in retailer.events}
    assert {"web_order", "ticket"} <= kinds
    assert {event.system_code for event in retailer.events if event.kind == "web_order"} == {"shop_fr", "shop_be"}


def test_the_same_seed_does_the_same(sandbox: Sandbox) -> None:
    first, second = (LiveRetailer(sandbox, seed=9) for _ in range(2))
    one = [first.ring_up_ticket("S01").sold for _ in range(3)]
    two = [second.ring_up_ticket("S01").sold for _ in range(3)]
    assert one == two


@pytest.mark.parametrize(
    "now",
    [
        datetime(2026, 1, 1, 0, 5, 30, 123456, tzinfo=UTC),  # a holiday's night, with a fraction of a second
        datetime(2026, 3, 29, 1, 0, tzinfo=UTC),  # a Sunday, the second at which the clocks change
        datetime(2028, 2, 29, 23, 59, 59, tzinfo=UTC),  # a leap day's last second
    ],
    ids=["new year", "clock change", "leap day"],
)
def test_it_lives_at_any_moment(tmp_path: Path, now: datetime) -> None:
    sandbox = started(tmp_path, now)
    try:
        retailer = LiveRetailer(sandbox, seed=4)
        for shop in ("shop_fr", "shop_be"):
            retailer.place_web_order(shop)
        for store in (STORES[0], STORES[-1]):
            retailer.ring_up_ticket(store)
        assert len(retailer.tick()) >= 1
        file = sandbox.erp.write_stock()
        assert file.rows == sandbox.world.stock.levels.height
        assert rows(sandbox, "erp", "erp_stock", "stock_level").height > 0
    finally:
        sandbox.stop()
