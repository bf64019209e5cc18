"""Writing to a WooCommerce: what is sent, what is left alone, and what is told of each write, on good days and on bad ones."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from resources.connectors.sdk.writing import TargetedConnector, Write, WritingConnector
from resources.errors import PermanentError, RetryableError
from sandbox.servers.faults import Fault, FaultKind
from tests.connectors.tiny_shop import NOW, tiny_shop
from tests.connectors.transport import Call, Reply, recorded_reply, recording
from tests.connectors.woocommerce_in_process import (
    Meddle,
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

RUNNING = reduced(1000, "2026-05-17T10:00:00Z", "2026-05-24T22:00:00Z")  # what item 1 of the tiny shop has
TO_COME = reduced(990, "2026-06-01T08:30:00Z", "2026-06-08T00:00:00Z")


def test_it_is_a_writing_and_a_targeted_connector() -> None:
    connector = Shop.of().connector()
    assert isinstance(connector, WritingConnector)
    assert isinstance(connector, TargetedConnector)
    assert {(one.entity, one.attribute) for one in connector.writes()} == {
        ("channel_stock", "published_qty"),
        ("channel_price", "regular_minor"),
        ("channel_price", "promotion"),
        ("channel_price", "is_published"),
        ("order", "shipment"),
    }


SENT = [  # a write, the route, what is sent for it
    (stock("1", 5, 3), "/products/batch", {"id": 1, "stock_quantity": 3}),
    (stock("2-3", 2, 0), "/products/2/variations/batch", {"id": 3, "stock_quantity": 0}),
    (price("1", 1290, 1350), "/products/batch", {"id": 1, "regular_price": "13.50"}),
    (
        promotion("1", RUNNING, TO_COME),
        "/products/batch",
        {
            "id": 1,
            "sale_price": "9.90",
            "date_on_sale_from_gmt": "2026-06-01T08:30:00",
            "date_on_sale_to_gmt": "2026-06-07T23:59:59",
        },
    ),
    (
        promotion("2-3", None, reduced(1000)),
        "/products/2/variations/batch",
        {"id": 3, "sale_price": "10.00", "date_on_sale_from": "", "date_on_sale_to": ""},
    ),
    (
        promotion("1", RUNNING, None),
        "/products/batch",
        {"id": 1, "sale_price": "", "date_on_sale_from": "", "date_on_sale_to": ""},
    ),
    (publication("1", True, False), "/products/batch", {"id": 1, "status": "draft"}),
    (publication("2-3", True, False), "/products/2/variations/batch", {"id": 3, "status": "private"}),
    (shipment("1", parcel("payable"), parcel("shipped")), "/orders/batch", {"id": 1, "status": "completed"}),
]


@pytest.mark.parametrize(("write", "path", "body"), SENT)
def test_what_is_sent_is_kept_and_read_back(write: Write, path: str, body: dict[str, Any]) -> None:
    shop = Shop.of()
    (result,) = shop.write(write)
    assert shop.sent == {path: [body]}
    assert (result.key, result.outcome, result.is_found, result.is_read_back) == (write.key, "applied", True, True)
    assert (result.found, result.read_back) == (write.before, write.after)
    assert result.request_id
    assert outcomes(shop.write(write)) == ["unchanged"]
    assert len([call for call in shop.calls if call.method != "GET"]) == 1, "what is there already is not sent again"


@pytest.mark.parametrize("write", [stock("1", 5, 3), stock("2-3", 2, 0), SENT[-1][0]])
def test_one_value_takes_three_calls(write: Write) -> None:
    shop = Shop.of()
    shop.write(write)
    assert len(shop.calls) == 3


def test_values_of_one_item_go_together_and_products_before_their_variations() -> None:
    shop = Shop.of()
    done = shop.write(
        publication("2-4", True, False),
        promotion("1", RUNNING, reduced(1300)),
        stock("1", 5, 8),
        price("1", 1290, 1400),
        publication("2", True, False),
        shipment("5", parcel("payable"), parcel("shipped", "6A1")),
    )
    assert outcomes(done) == ["applied"] * 6
    assert [line for line in shop.told if line.startswith("POST")] == [
        "POST /products/batch",
        "POST /products/2/variations/batch",
        "POST /orders/batch",
    ]
    item = shop.sent["/products/batch"][0]
    assert (item["id"], item["stock_quantity"], item["regular_price"], item["sale_price"]) == (1, 8, "14.00", "13.00")


REFUSED = [  # a write that the shop would not keep, what is told; nothing is sent for it
    (stock("6", None, 4), "does not manage this item's stock"),
    (stock("1", 5, "beaucoup"), "not a whole quantity"),
    (stock("1", 5, -1), "not a whole quantity"),
    (stock("1", 5, True), "not a whole quantity"),
    (stock("99", 5, 6), "no item 99"),
    (stock("5-3", 2, 6), "a variation of another product"),
    (stock("1-x", 2, 6), "names no item"),
    (price("1", 1290, "50,00"), "not a price"),
    (price("2", None, 1300), "no price of its own"),
    (promotion("1", RUNNING, reduced(1290)), "must be below the regular price (12.90)"),
    (promotion("1", RUNNING, reduced(900, "2026-05-01T00:00:00.5Z")), "not a promotion"),
    (promotion("1", RUNNING, reduced(900, "2026-05-01T00:00:00")), "not a promotion"),
    (publication("1", True, None), "neither true nor false"),
    (shipment("9999", parcel("payable"), parcel("shipped")), "no order 9999"),
    (shipment("1", parcel("payable"), parcel("cancelled")), "is no shipment"),
    (shipment("3", parcel("shipped"), parcel("payable")), "not taken back"),
    (Write("k", "product", "1", "name", "a", "b"), "no name of product"),
    (Write("k", "channel_stock", "1", "published_qty", 5, 6, location_code="W1"), "names no item"),
]


@pytest.mark.parametrize(("write", "told"), REFUSED)
def test_what_the_shop_would_not_keep_is_not_sent(write: Write, told: str) -> None:
    shop = Shop.of()
    (result,) = shop.write(write)
    assert (result.outcome, result.is_read_back) == ("refused", False)
    assert told in result.reason
    assert shop.sent == {}


MOVED = [
    stock("1", 4, 3),
    price("1", 1200, 1300),
    promotion("1", None, reduced(900)),
    publication("1", False, False),
    shipment("1", parcel("shipped", "6A9"), parcel("shipped", "6A1")),
    shipment("2", parcel("payable"), parcel("shipped")),  # cancelled meanwhile
]


@pytest.mark.parametrize("write", MOVED)
def test_what_moved_is_left_alone(write: Write) -> None:
    shop = Shop.of()
    (result,) = shop.write(write)
    assert (result.outcome, result.is_found) == ("moved", True)
    assert shop.sent == {}


def test_instants_may_be_printed_in_two_ways() -> None:
    same = reduced(1000, "2026-05-17T12:00:00+02:00", "2026-05-24T22:00:00+00:00")
    assert outcomes(Shop.of().write(promotion("1", same, None))) == ["applied"]


def test_a_variation_that_sells_its_products_stock_is_not_written() -> None:
    data = tiny_shop()
    items = data.items.to_dicts()
    items[1] |= {"manage_stock": True, "stock_qty": 40}
    items[2] |= {"manage_stock": False, "stock_qty": None}
    shop = Shop.of(type(data)(**{**vars(data), "items": type(data.items)(items, schema=data.items.schema)}))
    (result,) = shop.write(stock("2-3", 40, 3))
    assert (result.outcome, result.found) == ("refused", 40)
    assert "sells from the stock of its product 2" in result.reason
    assert outcomes(shop.write(stock("2", 40, 39))) == ["applied"]
    assert shop.server.shown()["2-3"].quantity == 39


def test_a_variation_is_not_published_under_a_product_that_is_not() -> None:
    shop = Shop.of()
    shop.write(publication("2", True, False), publication("2-3", True, False))
    (alone,) = shop.write(publication("2-3", False, True))
    assert alone.outcome == "refused"
    assert "product 2 is not published (draft)" in alone.reason
    together = shop.write(publication("2-3", False, True), publication("2", False, True))
    assert outcomes(together) == ["applied", "applied"]
    assert shop.server.shown()["2-3"].is_published


def test_a_product_that_is_published_and_cannot_be_bought_is_not_published_again() -> None:
    shop = Shop.of()
    shop.write(publication("2-3", True, False), publication("2-4", True, False))

    def says_no(call: Call, answer: Callable[[], Reply]) -> Reply:
        reply = answer()
        assert isinstance(reply.body, bytes)
        return Reply(reply.status, reply.body.replace(b'"purchasable":true', b'"purchasable":false'), reply.headers)

    shop.meddle = says_no
    shop.calls.clear()
    (result,) = shop.write(publication("2", False, True))
    assert (result.outcome, shop.sent) == ("refused", {})
    assert "publish already" in result.reason


def test_a_price_under_the_promotion_tells_that_the_shop_drops_it() -> None:
    shop = Shop.of()
    (result,) = shop.write(price("1", 1290, 900))
    assert result.outcome == "applied"
    assert "the shop dropped it" in result.reason


def test_the_same_value_twice_in_one_call_is_written_once() -> None:
    shop = Shop.of()
    assert outcomes(shop.write(stock("1", 5, 3), stock("1", 5, 4))) == ["applied", "retry"]
    assert shop.server.shown()["1"].quantity == 3


def test_a_parcel_is_added_to_those_that_are_there() -> None:
    shop = Shop.of()
    shop.write(shipment("1", parcel("payable"), parcel("shipped", "6A1")))
    (result,) = shop.write(shipment("1", parcel("shipped", "6A1"), parcel("shipped", "6A2")))
    assert (result.outcome, result.read_back) == ("applied", parcel("shipped", "6A2"))
    (field,) = shop.server.order(1)["meta_data"][-1:]
    assert [one["tracking_number"] for one in field["value"]] == ["6A1", "6A2"]
    assert outcomes(shop.write(shipment("1", parcel("shipped"), parcel("shipped", "6A1")))) == ["unchanged"]
    assert outcomes(shop.write(shipment("1", parcel("shipped"), parcel("shipped")))) == ["unchanged"]


def test_more_than_a_batch_takes_goes_in_several() -> None:
    data = tiny_shop()
    plain = data.items.row(0, named=True)
    many = [{**plain, "item_id": 100 + n, "sku": f"M-{n}", "gtin": None} for n in range(230)]
    items = type(data.items)([*data.items.to_dicts(), *many], schema=data.items.schema)
    shop = Shop.of(type(data)(**{**vars(data), "items": items}))
    done = shop.write(*[stock(str(100 + n), 5, n) for n in range(230)])
    assert {result.outcome for result in done} == {"applied", "unchanged"}
    assert shop.told.count("POST /products/batch") == 3
    assert shop.told.count("GET /products") == 6
    shown = shop.server.shown()
    assert [shown[str(100 + n)].quantity for n in range(230)] == list(range(230))


def test_a_shop_that_takes_fewer_at_once_gets_fewer() -> None:
    shop = Shop.of()

    def at_most_one(call: Call, answer: Callable[[], Reply]) -> Reply:
        if call.method == "POST" and len(json.loads(call.body)["update"]) > 1:
            return recorded_reply("woocommerce", "error_batch_101")
        return answer()

    shop.meddle = at_most_one
    assert outcomes(shop.write(stock("1", 5, 3), stock("5", 5, 4), stock("99", 1, 4))) == [
        "applied",
        "applied",
        "refused",
    ]
    assert [len(json.loads(call.body)["update"]) for call in shop.calls if call.method == "POST"] == [2, 1, 1]


def test_an_older_shop_without_a_list_of_all_variations() -> None:
    shop = Shop.of()

    def old(call: Call, answer: Callable[[], Reply]) -> Reply:
        if call.path.endswith("/v3/variations"):
            return Reply(404, b'{"code":"rest_no_route","message":"No route was found","data":{"status":404}}')
        return answer()

    shop.meddle = old
    connector = shop.connector()
    done = connector.write([stock("2-3", 2, 6), stock("7-8", 1, 2)], now=NOW)
    assert outcomes(done) == ["applied", "refused"]
    shop.calls.clear()
    connector.write([stock("2-4", 0, 6)], now=NOW)
    assert shop.told == [
        "GET /products/2/variations",
        "POST /products/2/variations/batch",
        "GET /products/2/variations",
    ], "once is enough to know"


# ---------------------------------------------------------------- bad days


def on_post(reply: Reply, *, is_done: bool) -> Meddle:
    """Every batch is answered like this, done or not."""

    def meddle(call: Call, answer: Callable[[], Reply]) -> Reply:
        if call.method != "POST":
            return answer()
        if is_done:
            answer()
        return reply

    return meddle


HTML = Reply(200, b"<html>Maintenance</html>", {"Content-Type": "text/html"})
HALF = Reply(200, b'{"update":[{"id":1,"na')
TIMED_OUT = Reply(body=requests.exceptions.ReadTimeout())
CUT = Reply(200, b'{"update": [', declared_length=4000)
UNCLEAR = [
    HTML,
    HALF,
    CUT,
    TIMED_OUT,
    Reply(500),
    Reply(502, b"<html>"),
    Reply(200, b'{"update":[]}'),
    Reply(200, b"{}"),
]


@pytest.mark.parametrize("reply", UNCLEAR)
def test_an_answer_that_got_lost_is_made_up_for_by_looking(reply: Reply) -> None:
    shop = Shop.of()
    shop.meddle = on_post(reply, is_done=True)
    (result,) = shop.write(stock("1", 5, 3))
    assert (result.outcome, result.read_back) == ("applied", 3)
    assert "but it is done" in result.reason


@pytest.mark.parametrize("reply", UNCLEAR)
def test_what_was_not_done_may_be_tried_again_and_is_then_done_once(reply: Reply) -> None:
    shop = Shop.of()
    shop.meddle = on_post(reply, is_done=False)
    (result,) = shop.write(stock("1", 5, 3))
    assert (result.outcome, result.read_back, result.is_read_back) == ("retry", 5, True)
    assert result.reason
    shop.meddle = lambda call, answer: answer()
    assert outcomes(shop.write(stock("1", 5, 3))) == ["applied"]


def test_a_shop_that_asks_for_patience_gets_it() -> None:
    shop = Shop.of()
    shop.meddle = on_post(Reply(429, b"{}", {"Retry-After": "3"}), is_done=False)
    with pytest.raises(RetryableError) as caught:
        shop.write(stock("1", 5, 3), stock("2-3", 2, 3))
    assert caught.value.retry_after_s == 3
    assert [line for line in shop.told if line.startswith("POST")] == ["POST /products/batch"]


def test_a_shop_that_fails_once_is_left_alone() -> None:
    shop = Shop.of()

    def second_fails(call: Call, answer: Callable[[], Reply]) -> Reply:
        return Reply(503) if "/2/variations/batch" in call.path else answer()

    shop.meddle = second_fails
    done = shop.write(stock("1", 5, 3), stock("2-3", 2, 3))
    assert outcomes(done) == ["applied", "retry"]


def test_a_key_that_may_not_write_raises_before_anything_is_written() -> None:
    shop = Shop.of()
    with pytest.raises(PermanentError, match="does not have write permissions"):
        shop.write(stock("1", 5, 3), stock("2-3", 2, 3), key="ck_READ", secret="cs_READ")
    assert [line for line in shop.told if line.startswith("POST")] == ["POST /products/batch"]


PARTLY = [  # where the key is refused; what becomes of a product's stock, a variation's, and a shipment
    ("/2/variations/batch", ["applied", "retry", "applied"]),
    ("/orders/batch", ["applied", "applied", "retry"]),
]


@pytest.mark.parametrize(("path", "expected"), PARTLY)
def test_a_key_that_may_not_write_everything_leaves_the_rest_waiting(path: str, expected: list[str]) -> None:
    shop = Shop.of()
    refused = recorded_reply("woocommerce", "error_read_only_key_write")
    shop.meddle = lambda call, answer: refused if call.path.endswith(path) else answer()
    done = shop.write(stock("1", 5, 3), stock("2-3", 2, 3), shipment("1", parcel("payable"), parcel("shipped")))
    assert outcomes(done) == expected
    assert "may only read" in done[expected.index("retry")].reason


def test_a_shop_that_cannot_be_read_raises_and_nothing_is_sent() -> None:
    shop = Shop.of()
    shop.meddle = lambda call, answer: Reply(503)
    with pytest.raises(RetryableError):
        shop.write(stock("1", 5, 3))
    assert shop.sent == {}


def test_what_cannot_be_read_back_is_asked_again() -> None:
    shop = Shop.of()

    def deaf_after_writing(call: Call, answer: Callable[[], Reply]) -> Reply:
        return Reply(500) if call.method == "GET" and shop.sent else answer()

    shop.meddle = deaf_after_writing
    done = shop.write(stock("1", 5, 3), shipment("1", parcel("payable"), parcel("shipped")))
    assert [(result.outcome, result.is_read_back) for result in done] == [("retry", False), ("retry", False)]
    assert "written, but not read back" in done[0].reason
    shop.meddle = lambda call, answer: answer()
    assert outcomes(shop.write(stock("1", 5, 3))) == ["unchanged"]


def test_a_sale_between_writing_and_reading_back_is_told_as_it_is() -> None:
    shop = Shop.of()

    def bought(call: Call, answer: Callable[[], Reply]) -> Reply:
        reply = answer()
        if call.method == "POST":
            shop.server.place_order([(1, 1)])
        return reply

    shop.meddle = bought
    (result,) = shop.write(stock("1", 5, 9))
    assert (result.outcome, result.read_back) == ("not_kept", 8)
    assert "answered 9 and shows 8 a moment later" in result.reason


def test_one_bad_item_does_not_spoil_the_others() -> None:
    shop = Shop.of()

    def gone_meanwhile(call: Call, answer: Callable[[], Reply]) -> Reply:
        if call.method == "POST":
            shop.server.api.answer(_delete("products/5"))
        return answer()

    shop.meddle = gone_meanwhile
    done = shop.write(stock("1", 5, 3), stock("5", 5, 3))
    assert outcomes(done) == ["applied", "refused"]
    assert done[1].reason == "woocommerce_rest_product_invalid_id: Invalid ID."


def _delete(route: str) -> Any:
    from sandbox.servers.http import request_from
    from tests.sandbox.servers.recorded import basic

    headers = {"Authorization": basic("ck_DUMMY:cs_DUMMY"), "X-Forwarded-Proto": "https"}
    return request_from("DELETE", f"/wp-json/wc/v3/{route}?force=true", headers)


def test_no_secret_is_told() -> None:
    shop = Shop.of()
    for reply in UNCLEAR:
        shop.meddle = on_post(reply, is_done=False)
        assert all("DUMMY" not in repr(result) for result in shop.write(stock("1", 5, 3), stock("2-3", 2, 3)))


# ---------------------------------------------------------------- what the buyer is told

NOTE = "Colis {tracking_number} remis à Colissimo"


def test_a_new_parcel_is_told_to_the_buyer_once() -> None:
    shop = Shop.of()
    shipped = shipment("1", parcel("payable"), parcel("shipped", "6A12345678901"))
    for expected in ("applied", "unchanged"):
        assert outcomes(shop.write(shipped, tracking_note=NOTE)) == [expected]
    notes = [json.loads(call.body) for call in shop.calls if call.path.endswith("/orders/1/notes")]
    assert notes == [recording("woocommerce", "order_tracking_note_write")["request"]["json"]]


def test_a_note_that_fails_does_not_undo_the_shipment() -> None:
    shop = Shop.of()
    shop.meddle = lambda call, answer: Reply(500) if call.path.endswith("/notes") else answer()
    (result,) = shop.write(shipment("1", parcel("payable"), parcel("shipped", "6A1")), tracking_note=NOTE)
    assert result.outcome == "applied"
    assert "the buyer's note may be missing and is not tried again" in result.reason


QUIET = [(parcel("shipped", "6A1"), None), (parcel("shipped"), NOTE)]


@pytest.mark.parametrize(("after", "note"), QUIET)
def test_nothing_is_told_without_a_note_or_a_parcel(after: dict[str, Any], note: str | None) -> None:
    shop = Shop.of()
    shop.write(shipment("1", parcel("payable"), after), tracking_note=note)
    assert shop.told.count("POST /orders/1/notes") == 0


def test_a_shop_may_mean_delivered_by_completed() -> None:
    shop = Shop.of()
    shipped = shipment("1", parcel("payable"), parcel("shipped"))
    assert outcomes(shop.write(shipped, statuses={"completed": "delivered"})) == ["applied"]
    assert outcomes(shop.write(shipped, statuses={"completed": "delivered"})) == ["unchanged"]


# ---------------------------------------------------------------- over a socket


def test_a_batch_that_is_done_too_late_is_found_done_next_time() -> None:
    shop = Shop.of()
    shop.server.faults.add(Fault("slow", pattern="POST .*/products/batch", first=1, seconds=0.8))
    with shop.served(timeout_s=0.3) as writer:
        (late,) = writer.write([stock("1", 5, 3)], now=NOW)
        assert (late.outcome, late.read_back) == ("retry", 5)
        assert "no answer in time" in late.reason
        deadline = time.monotonic() + 5
        while shop.server.shown()["1"].quantity != 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert outcomes(writer.write([stock("1", 5, 3)], now=NOW)) == ["unchanged"]


WIRE_FAULTS: list[tuple[FaultKind, str]] = [
    ("server_error", "retry"),
    ("html_error", "retry"),
    ("drop_connection", "retry"),
    ("truncated", "applied"),
]


@pytest.mark.parametrize(("kind", "expected"), WIRE_FAULTS)
def test_faults_on_the_wire(kind: FaultKind, expected: str) -> None:
    shop = Shop.of()
    shop.server.faults.add(Fault(kind, pattern="POST .*batch", first=1))
    with shop.served() as writer:
        assert outcomes(writer.write([stock("2-3", 2, 7)], now=NOW)) == [expected]
        writer.write([stock("2-3", 2, 7)], now=NOW)
        assert shop.server.shown()["2-3"].quantity == 7


def test_many_shipments_go_in_small_batches() -> None:
    shop = Shop.of(tiny_shop(orders=45))
    plan = [shipment(str(number), parcel("payable"), parcel("shipped", f"6A{number}")) for number in range(4, 46)]
    assert set(outcomes(shop.write(*plan))) == {"applied"}
    assert shop.told.count("POST /orders/batch") == 3
