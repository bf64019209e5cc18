"""Buying in the invented WooCommerce, and looking at it without its API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from resources.connectors.sdk.stream import Batch
from sandbox.servers.woocommerce_checkout import Buyer, SoldOut
from tests.connectors.support import assert_keeps_contract, orders_off_their_total, read, row, stream_of
from tests.connectors.tiny_shop import NOW
from tests.connectors.transport import Reply
from tests.connectors.woocommerce_in_process import (
    Shop,
    outcomes,
    parcel,
    price,
    promotion,
    publication,
    reduced,
    shipment,
    stock,
)


def test_an_order_takes_stock_and_is_read_as_any_other() -> None:
    shop = Shop.of()
    number = shop.server.place_order([(1, 2), ("2-3", 1)], buyer=Buyer(email="x@example.com", country="FR"))
    shown = shop.server.shown()
    assert (shown["1"].quantity, shown["2-3"].quantity) == (3, 1)
    orders = read(shop.connector(), "orders", now=NOW + timedelta(minutes=1))
    found = row(orders.frames["order"], order_external_id=str(number))
    assert (found["status"], found["total_minor"]) == ("payable", 2 * 1000 + 1590 + 490), "the promotion's price"
    assert found["ordered_at"] == found["payable_at"] == NOW
    lines = orders.frames["order_line"].filter(orders.frames["order_line"]["order_external_id"] == str(number))
    assert lines["product_external_id"].to_list() == ["1", "2-3"]
    assert lines["sku"].to_list() == ["A-1", "A-2-S"]
    assert not [off for off in orders_off_their_total(orders) if off[0] == str(number)]


def test_when_who_and_where() -> None:
    shop = Shop.of()
    at = datetime(2026, 5, 17, 8, 0, tzinfo=UTC)
    number = shop.server.place_order(
        [(1, 1)], at=at, status="on_hold", number="W-77", tags={"_pickup_location": "S01"}, shipping_minor=0
    )
    found = row(read(shop.connector(), "orders").frames["order"], order_external_id=str(number))
    assert (found["order_number"], found["status"], found["ordered_at"]) == ("W-77", "on_hold", at)
    assert (found["location_code"], found["fulfilment_method"], found["total_minor"]) == ("S01", "pickup", 1000)
    assert shop.server.shown()["1"].quantity == 4


SOLD_OUT = [[(1, 6)], [("2-4", 1)], [(99, 1)], [(2, 1)], [(1, 1), ("2-4", 1)]]


@pytest.mark.parametrize("lines", SOLD_OUT)
def test_what_is_not_there_is_not_sold(lines: list[tuple[int | str, int]]) -> None:
    shop = Shop.of()
    before = shop.server.shown()
    with pytest.raises(SoldOut):
        shop.server.place_order(lines)
    assert shop.server.shown() == before
    assert read(shop.connector(), "orders").frames["order"].height == 12


def test_what_is_hidden_is_not_sold() -> None:
    shop = Shop.of()
    shop.write(publication("1", True, False))
    with pytest.raises(SoldOut, match="not on sale"):
        shop.server.place_order([(1, 1)])


def test_a_pending_order_takes_stock_when_it_is_paid_and_gives_it_back_when_it_is_cancelled() -> None:
    shop = Shop.of()
    number = shop.server.place_order([(1, 2)], status="pending")
    writer = shop.server.api._writing()  # what the API itself calls
    quantities = [shop.server.shown()["1"].quantity]
    for status in ("processing", "completed", "cancelled"):
        writer.update("orders", number, {"status": status}, is_strict=True)
        quantities.append(shop.server.shown()["1"].quantity)
    assert quantities == [5, 3, 3, 5]


def test_what_is_shown_is_what_was_written() -> None:
    shop = Shop.of()
    before = shop.server.shown()
    assert before["1"] == (5, 1290, 1000, True)
    assert before["6"].quantity is None
    done = shop.write(stock("1", 5, 7), price("1", 1290, 1400), publication("2-4", True, False))
    assert outcomes(done) == ["applied"] * 3
    after = shop.server.shown()
    assert after["1"] == (7, 1400, 1000, True)
    assert not after["2-4"].is_published
    running = reduced(1000, "2026-05-17T10:00:00Z", "2026-05-24T22:00:00Z")
    shop.write(promotion("1", running, None))
    assert shop.server.shown()["1"].effective_minor == 1400


def test_an_order_that_was_placed_can_be_shipped() -> None:
    shop = Shop.of()
    number = shop.server.place_order([(1, 1)])
    assert outcomes(shop.write(shipment(str(number), parcel("payable"), parcel("shipped", "6A1")))) == ["applied"]
    assert shop.server.order(number)["status"] == "completed"


# ---------------------------------------------------------------- reading again what a message named

NAMED = [  # stream, ids, root ids that come
    ("products", ["1"], {"1"}),
    ("products", ["2-3"], {"2", "2-3"}),
    ("products", ["2"], {"2", "2-3", "2-4"}),
    ("products", ["2", "2-3"], {"2", "2-3", "2-4"}),
    ("products", ["3"], {"2", "2-3"}),  # a variation by its bare id, as messages name it
    ("products", ["99", "x", "1-99"], {"1"}),
    ("orders", ["1", "5", "9999"], {"1", "5"}),
    ("refunds", ["901"], {"901"}),
    ("customers", ["1"], {"1"}),
    ("orders", [], set()),
]


@pytest.mark.parametrize(("stream", "ids", "expected"), NAMED)
@pytest.mark.parametrize("has_list", [True, False])
def test_single_rows_are_read_as_in_a_whole_reading(
    stream: str, ids: list[str], expected: set[str], has_list: bool
) -> None:
    if not has_list and "3" in ids:
        return  # an older shop has no way to tell whose variation a bare id is
    shop = Shop.of()
    if not has_list:
        gone = Reply(404, b'{"code":"rest_no_route","message":"No route was found","data":{"status":404}}')
        shop.meddle = lambda call, answer: gone if call.path.endswith("/v3/variations") else answer()
    connector = shop.connector()
    declared = stream_of(connector, stream)
    reading = connector.read_ids(declared, ids, now=NOW)
    assert not reading.is_full
    got: list[Batch] = list(reading.batches)
    assert reading.announced_qty == sum(batch.received_qty for batch in got)
    key = f"{declared.entities[0]}_external_id"
    whole = read(connector, stream, now=NOW).frames
    root = [text for batch in got for text in batch.frames[declared.entities[0]][key]]
    assert (set(root), len(root)) == (expected, len(expected))
    for batch in got:
        for entity, frame in batch.frames.items():
            assert_keeps_contract(entity, frame)
            same = whole[entity].drop("source_position").rows()
            assert all(one in same for one in frame.drop("source_position").rows())


def test_prices_of_named_rows_read_the_shops_settings_once_in_a_while() -> None:
    shop = Shop.of()
    connector = shop.connector()
    products = stream_of(connector, "products")

    def calls(now: datetime) -> int:
        before = len(shop.calls)
        connector.read_ids(products, ["1"], now=now)
        return len(shop.calls) - before

    moments = [NOW, NOW + timedelta(minutes=1), NOW + timedelta(minutes=4), NOW + timedelta(minutes=6), NOW]
    assert [calls(now) for now in moments] == [6, 1, 1, 6, 6]
