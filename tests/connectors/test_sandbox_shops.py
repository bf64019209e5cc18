"""Over a real socket, against the sandbox's servers: what a shop holds comes out as it was put in, on good days and on bad ones."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from resources.connectors import prestashop, woocommerce
from resources.connectors.sdk.http import RetryPolicy
from resources.connectors.sdk.stream import Connector
from sandbox.servers.faults import Fault, FaultKind
from sandbox.servers.prestashop import PrestaShopServer
from sandbox.servers.replay import ReplayServer
from sandbox.servers.woocommerce import WooCommerceServer
from sandbox.shop_data import ShopData
from tests.connectors.conformance import assert_orders_add_up, assert_stream_keeps_its_promises
from tests.connectors.support import TOKENISER, read, retailer, row, system
from tests.connectors.tiny_shop import NOW, tiny_shop
from tests.connectors.transport import RECORDINGS

DATA: ShopData = tiny_shop(orders=23)
KEY = "K" * 32


@pytest.fixture(scope="module", params=["prestashop", "woocommerce"])
def shop(request: pytest.FixtureRequest) -> Iterator[tuple[str, Any, Connector]]:
    """A running shop and its connector."""
    kind: str = request.param
    server: Any = (
        PrestaShopServer(DATA, key=KEY, clock=lambda: NOW)
        if kind == "prestashop"
        else WooCommerceServer(DATA, key=KEY, secret="secret", clock=lambda: NOW, country="FR")
    )
    module: Any = prestashop if kind == "prestashop" else woocommerce
    declared = system(kind, url=server.start(), key=KEY, secret="secret", page_size=5, workers=4)
    connector: Connector = module.build(
        declared,
        retailer=retailer(),
        tokeniser=TOKENISER,
        clock=lambda: datetime.now(UTC),
        sleep=lambda seconds: None,
        retry=RetryPolicy(attempts=15),
    )
    yield kind, server, connector
    server.stop()


def test_every_stream_keeps_its_promises(shop: tuple[str, Any, Connector]) -> None:
    _, _, connector = shop
    for stream in connector.streams():
        found = assert_stream_keeps_its_promises(connector, stream.name, now=NOW)
        assert found.rejects == []
        if stream.name == "orders":
            assert_orders_add_up(found)


def test_orders_come_out_as_they_were_put_in(shop: tuple[str, Any, Connector]) -> None:
    kind, _, connector = shop
    found = read(connector, "orders", now=NOW).frames
    for put in DATA.orders.iter_rows(named=True):
        got = row(found["order"], order_external_id=str(put["order_id"]))
        assert (got["order_number"], got["status"], got["total_minor"]) == (
            put["number"],
            put["status"],
            put["total_minor"],
        )
        assert (got["ordered_at"], got["payable_at"]) == (put["ordered_at"], put["paid_at"])
        assert (got["cancelled_at"], got["cancel_reason"]) == (put["cancelled_at"], put["cancel_reason"])
        assert (got["location_code"], got["country_code"]) == (put["pickup_location"], put["country"])
        assert (got["promised_ship_by_at"], got["available_from_at"]) == (
            put["promised_ship_by_at"],
            put["available_from_at"],
        )
        assert (got["replaces_return_id"], got["updated_at"]) == (put["replaces_return_id"], put["updated_at"])
        if kind == "prestashop":
            assert got["origin_order_number"] == put["origin_number"]
    for put in DATA.order_lines.filter(pl.col("item_id").is_not_null()).iter_rows(named=True):
        got = row(found["order_line"], line_external_id=str(put["line_id"]))
        assert got["product_external_id"] == {1: "1", 3: "2-3"}[put["item_id"]]
        assert (got["sku"], got["quantity"], got["unit_price_minor"]) == (put["sku"], put["qty"], put["unit_minor"])
        assert got["net_minor"] + got["tax_minor"] == put["line_total_minor"]
        assert (got["cancelled_qty"], got["cancelled_at"]) == (put["cancelled_qty"], put["cancelled_at"])


def test_prices_stocks_and_refunds_come_out_as_they_were_put_in(shop: tuple[str, Any, Connector]) -> None:
    kind, _, connector = shop
    is_presta = kind == "prestashop"
    prices = read(connector, "prices" if is_presta else "products", now=NOW).frames["channel_price"]
    promoted = row(prices, product_external_id="1")
    assert (promoted["regular_minor"], promoted["effective_minor"], promoted["promotion_minor"]) == (1290, 1000, 1000)
    window = DATA.promotions.row(0, named=True)
    assert (promoted["promotion_starts_at"], promoted["promotion_ends_at"]) == (window["starts_at"], window["ends_at"])
    assert row(prices, product_external_id="2-3")["effective_minor"] == 1590
    assert row(prices, product_external_id="5")["tax_rate_bp"] == 550
    stock = read(connector, "stock_availables" if is_presta else "products", now=NOW).frames["channel_stock"]
    assert {item: row(stock, product_external_id=item)["published_qty"] for item in ("1", "2-3", "2-4")} == {
        "1": 5,
        "2-3": 2,
        "2-4": 0,
    }
    refunds = read(connector, "order_slip" if is_presta else "refunds", now=NOW).frames
    for put in DATA.refunds.iter_rows(named=True):
        got = row(refunds["refund"], refund_external_id=str(put["refund_id"]))
        assert (got["amount_minor"], got["shipping_minor"]) == (put["amount_minor"], put["shipping_minor"])
        assert (got["order_number"], got["initiated_at"]) == (f"N{put['order_id']:06d}", put["initiated_at"])
        assert got["return_external_id"] == (None if is_presta else put["return_id"])
    line = refunds["refund_line"].row(0, named=True)
    assert (line["order_line_external_id"], line["quantity"], line["net_minor"], line["tax_minor"]) == (
        "31",
        1,
        1075,
        215,
    )


def test_an_incremental_read_gets_what_changed(shop: tuple[str, Any, Connector]) -> None:
    _, _, connector = shop
    since = DATA.orders["updated_at"].sort()[15]
    found = read(connector, "orders", since_at=since, now=NOW)
    expected = DATA.orders.filter(pl.col("updated_at") >= since)["order_id"].cast(pl.String).to_list()
    assert set(expected) <= set(found.frames["order"]["order_external_id"])
    assert found.landed_qty < DATA.orders.height
    assert read(connector, "orders", since_at=NOW + timedelta(days=1), now=NOW).landed_qty == 0


TROUBLES: list[tuple[FaultKind, int]] = [
    ("too_many_requests", 429),
    ("server_error", 500),
    ("html_error", 502),
    ("html_error", 200),
    ("truncated", 200),
    ("drop_connection", 0),
]


@pytest.mark.parametrize(("fault", "status"), TROUBLES)
def test_bad_days_change_nothing(shop: tuple[str, Any, Connector], fault: FaultKind, status: int) -> None:
    _, server, connector = shop
    good = read(connector, "orders", now=NOW)
    # The first calls fail, whatever their order: a chance per call may spare a short reading altogether.
    trouble = server.faults.add(Fault(fault, first=3, seconds=1, status=status))
    try:
        bad = read(connector, "orders", now=NOW)
    finally:
        server.faults.clear()
    assert trouble.fired == 3
    assert bad.landed_qty == bad.reading.announced_qty == good.landed_qty
    for entity, frame in good.frames.items():
        assert bad.frames[entity].equals(frame)


def test_rows_that_the_shop_drops_do_not_pass_unseen(shop: tuple[str, Any, Connector]) -> None:
    kind, server, connector = shop
    server.faults.add(
        Fault(
            "drop_rows", pattern="orders.*display=full" if kind == "prestashop" else "/orders", row_ids=frozenset({7})
        )
    )
    try:
        found = read(connector, "orders", now=NOW)
    finally:
        server.faults.clear()
    assert (found.reading.announced_qty, found.landed_qty) == (23, 22)


RECORDED_QTY = {
    "prestashop": {
        "products": 27,
        "combinations": 39,
        "prices": 66,
        "stock_availables": 66,
        "orders": 30,
        "order_slip": 4,
        "customers": 5,
    },
    "woocommerce": {"products": 44, "orders": 49, "refunds": 11, "customers": 16},
}


@pytest.mark.parametrize("kind", list(RECORDED_QTY))
def test_the_recorded_shops_keep_their_promises_over_a_socket(kind: str) -> None:
    is_presta = kind == "prestashop"
    server = ReplayServer(RECORDINGS / kind, key=KEY, secret="" if is_presta else "secret")
    module: Any = prestashop if is_presta else woocommerce
    declared = system(kind, url=server.start(), key=KEY, secret="secret", page_size=50)
    connector: Connector = module.build(
        declared, retailer=retailer(), tokeniser=TOKENISER, clock=lambda: datetime.now(UTC)
    )
    try:
        for name, qty in RECORDED_QTY[kind].items():
            found = assert_stream_keeps_its_promises(connector, name, now=datetime.now(UTC))
            assert (found.landed_qty, found.rejects) == (qty, [])
            if name == "orders":
                assert_orders_add_up(found)
        assert all(check.is_ok for check in connector.check_access())
    finally:
        server.stop()
