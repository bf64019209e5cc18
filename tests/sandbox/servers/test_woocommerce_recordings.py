"""The invented WooCommerce answers recorded requests as the real one did: status, headers and shape, recording by recording."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
import requests

from sandbox.servers import WooCommerceServer
from sandbox.servers.replay import Exchange
from sandbox.servers.woocommerce_query import COLLECTIONS
from sandbox.servers.woocommerce_shapes import API
from tests.sandbox.servers.recorded import Answer, basic, exchanges, recorded_headers, send
from tests.sandbox.servers.shapes import Shape
from tests.sandbox.servers.shops import woocommerce_like

pytestmark = pytest.mark.xdist_group("woocommerce_recordings")

KEY, SECRET = "ck_" + 40 * "a", "cs_" + 40 * "b"
READ_ONLY = ("ck_read", "cs_read")
SIGNED_AT = datetime.fromtimestamp(1795297693, UTC)
ALL = exchanges("woocommerce")
LEFT_OUT = {
    **{
        exchange.name: "webhooks have tests of their own, with somebody who listens"
        for exchange in ALL
        if exchange.name.startswith("webhook")
    },
    **{
        exchange.name: "fulfilments are an option, off by default" for exchange in ALL if "fulfillment" in exchange.name
    },
    **dict.fromkeys(
        ("attribute_terms", "attributes_page_1", "brands", "tags_page_1"),
        "no connector reads attributes, brands or tags",
    ),
    **dict.fromkeys(
        ("payment_gateways", "shipping_methods", "shipping_zone_methods", "shipping_zones"),
        "no connector reads payment or delivery settings",
    ),
    **dict.fromkeys(("coupons_page_1", "coupons_page_2"), "the sandbox shop has one coupon: no second page"),
    "products_trashed": "nothing is in the trash of a fresh sandbox shop; product_trash puts something there",
    "orders_trashed": "nothing is in the trash of a fresh sandbox shop",
    "order_notes": "orders of a fresh sandbox shop have no notes yet; order_notes_after reads those that writes left",
}
COMPARED = [exchange for exchange in ALL if exchange.name not in LEFT_OUT]


def _credentials(exchange: Exchange) -> dict[str, str]:
    """Headers that stand for the recorded ones: a read over TLS with the key in question."""
    pairs = {
        "ck_DUMMY:cs_DUMMY": f"{KEY}:{SECRET}",
        "ck_WRONG": f"ck_wrong:{SECRET}",
        "ck_DUMMY:cs_WRONG": f"{KEY}:cs_wrong",
        "read-only": ":".join(READ_ONLY),
    }
    headers = {} if exchange.name.startswith(("basic_over_http", "oauth1")) else {"X-Forwarded-Proto": "https"}
    for recorded, own in pairs.items():
        if recorded in exchange.authorization:
            headers["Authorization"] = basic(own)
    return headers


@pytest.fixture(scope="module")
def answers() -> Iterator[dict[str, Answer]]:
    """Every recorded request sent once, in the order of the recording."""
    moment = [SIGNED_AT]
    server = WooCommerceServer(
        woocommerce_like(),
        key=KEY,
        secret=SECRET,
        read_only=READ_ONLY,
        clock=lambda: moment[0],
        country="FR",
        home_url="https://shop.example",
    )
    url = server.start()
    session = requests.Session()
    delivery = _delivery_lines(session, url)
    found = {}
    for exchange in COMPARED:
        moment[0] = exchange.at
        headers = _credentials(exchange)
        if exchange.sent:
            headers["Content-Type"] = "application/json"
        sent = _own_lines(exchange.sent, delivery) if exchange.name.startswith("refund_") else exchange.sent
        found[exchange.name] = send(session, url, exchange, headers=headers, sent=sent)
    yield found
    server.stop()


def _delivery_lines(session: requests.Session, url: str) -> dict[int, int]:
    """Recorded id of an order's delivery line -> ours, for the refunds that name it."""
    headers = {"Authorization": basic(f"{KEY}:{SECRET}"), "X-Forwarded-Proto": "https"}
    lines = {}
    for recorded, order_id in ((150, 100), (153, 101)):
        order = session.get(f"{url}{API}/orders/{order_id}", headers=headers, timeout=10).json()
        lines[recorded] = order["shipping_lines"][0]["id"]
    return lines


def _own_lines(sent: bytes, lines: dict[int, int]) -> bytes:
    body = msgspec.json.decode(sent)
    for line in body.get("line_items", []):
        line["id"] = lines.get(line["id"], line["id"])
    return msgspec.json.encode(body)


def _row_kind(exchange: Exchange) -> str:
    """What the rows of an answer are: a collection's name, or the exchange's own path for anything else."""
    route = re.sub(r"/\d+$", "", exchange.path.removeprefix(f"{API}/")).removesuffix("/batch")
    if route.endswith("/variations"):
        return "variations"
    if route.endswith("/refunds"):
        return "refunds" if "/" not in route else "refunds of an order"
    return route if route in COLLECTIONS or route.endswith("/notes") else exchange.path


def _rows(document: Any) -> list[Any]:
    """The rows of an answer: of a page, of a batch (errors apart), or the one row."""
    if isinstance(document, list):
        return document
    if set(document) <= {"create", "update", "delete"}:
        return [row for rows in document.values() for row in rows if "error" not in row]
    return [document]


def _shape(exchange: Exchange) -> Shape:
    """What a row of this kind may look like: all recorded ones, or this exchange's when it asks for some fields."""
    shape = Shape()
    for other in [exchange] if "_fields" in exchange.query else ALL:
        is_alike = other.status < 400 and _row_kind(other) == _row_kind(exchange) and "_fields" not in other.query
        if other is exchange or is_alike:
            for row in _rows(other.document):
                shape.learn(row)
    return shape


def _headers(headers: dict[str, str]) -> dict[str, str]:
    """Headers less what depends on how many rows a shop has, and on the ids of new ones."""
    kept = {name: value for name, value in headers.items() if name != "link"}
    for name in ("x-wp-total", "x-wp-totalpages"):
        if name in kept:
            kept[name] = "some" if kept[name] != "0" else "0"
    if "location" in kept:
        kept["location"] = re.sub(r"\d+$", "N", kept["location"])
    kept["link"] = ", ".join(sorted(re.findall(r'rel="([^"]+)"', headers.get("link", "")))[-1:])
    return kept


@pytest.mark.parametrize("exchange", COMPARED, ids=lambda exchange: exchange.name)
def test_answers_as_recorded(exchange: Exchange, answers: dict[str, Answer]) -> None:
    ours = answers[exchange.name]
    assert ours.status == exchange.status, ours.body[:500]
    assert _headers(ours.headers) == _headers(recorded_headers(exchange))
    if exchange.status >= 400:
        assert _error(ours.document) == _error(exchange.document)
        return
    rows, own_rows = _rows(exchange.document), _rows(ours.document)
    assert bool(own_rows) == bool(rows)
    shape = _shape(exchange)
    assert [misfit for row in own_rows for misfit in shape.misfits(row)] == []
    if rows and "_fields" not in exchange.query:
        assert list(own_rows[0]) == list(rows[0])
    assert _refused(ours.document) == _refused(exchange.document)


def _error(document: Any) -> Any:
    """An error, less the ids that are each shop's own."""
    data = document.get("data")
    if isinstance(data, dict):
        return {**document, "data": {name: value for name, value in data.items() if name != "new_draft_order_id"}}
    return document


def _refused(document: Any) -> list[Any]:
    """The refused items of a batch: where they stand, and what they say."""
    if not isinstance(document, dict) or not set(document) <= {"create", "update", "delete"}:
        return []
    refused = []
    for part, rows in document.items():
        for number, row in enumerate(rows):
            if "error" in row:
                data = {name: value for name, value in row["error"]["data"].items() if name != "resource_id"}
                refused.append((part, number, row["id"], {**row["error"], "data": data}))
    return refused


def test_writes_that_do_nothing_say_200(answers: dict[str, Answer]) -> None:
    unmanaged = answers["stock_write_unmanaged"].document
    assert (unmanaged["manage_stock"], unmanaged["stock_quantity"]) == (False, None)
    through_parent = answers["variation_stock_write_through_parent_managed"].document
    assert (through_parent["manage_stock"], through_parent["stock_quantity"]) == ("parent", 40)
    above = answers["sale_price_above_regular"].document
    assert (above["regular_price"], above["sale_price"]) == ("9.90", "")


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("stock_write", ("stock_quantity", "stock_status")),
        ("price_comma_text", ("regular_price", "price")),
        ("price_garbage_text", ("regular_price", "price", "purchasable")),
        ("product_price_write", ("regular_price", "sale_price", "price", "on_sale")),
        (
            "sale_price_set",
            ("price", "sale_price", "date_on_sale_from", "date_on_sale_to_gmt", "on_sale", "price_html"),
        ),
        ("sale_price_clear", ("price", "sale_price", "date_on_sale_from", "date_on_sale_to_gmt", "on_sale")),
        ("sale_window_with_time_of_day", ("price", "date_on_sale_from_gmt", "date_on_sale_to", "on_sale")),
        ("variation_stock_write", ("stock_quantity", "manage_stock", "tax_class", "sku")),
        ("order_cancel_write", ("status", "date_paid", "total", "total_tax")),
        ("refund_create_full_by_line", ("amount", "reason")),
        ("refund_create_partial_by_line", ("amount", "reason")),
        ("order_after_full_refund_by_line", ("status", "total", "total_tax", "cart_tax")),
        ("order_after_partial_refund", ("status", "total", "total_tax", "shipping_tax")),
    ],
)
def test_writes_do_what_they_did(name: str, fields: tuple[str, ...], answers: dict[str, Answer]) -> None:
    recorded = next(exchange for exchange in ALL if exchange.name == name).document
    ours = answers[name].document
    assert {field: ours[field] for field in fields} == {field: recorded[field] for field in fields}


def test_a_batch_does_not_check_types(answers: dict[str, Answer]) -> None:
    rows = answers["batch_bad_value_one_item"].document["update"]
    assert [row["stock_quantity"] for row in rows] == [0, 9]
    assert answers["orders_batch_unknown_status_on_processing"].document["update"][0]["status"] == "pending"


def test_nothing_is_left_out_without_a_reason() -> None:
    assert set(LEFT_OUT) <= {exchange.name for exchange in ALL}
    assert len(COMPARED) == len(ALL) - len(LEFT_OUT)
    assert SIGNED_AT - ALL[-1].at < timedelta(hours=1)
