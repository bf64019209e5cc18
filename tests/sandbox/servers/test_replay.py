"""Recorded shops played again: recorded requests word for word, any other read from the recorded rows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
import requests

from sandbox.servers import ReplayServer
from sandbox.servers.oauth1 import signature
from sandbox.servers.replay import Exchange, read_exchanges
from tests.sandbox.servers.recorded import RECORDINGS, basic

KEY, SECRET = "K" * 32, "cs_secret"
# read before anything was written: what is computed from the rows equals what was recorded
READ_UNTIL = {
    "prestashop": datetime(2026, 11, 21, 21, 59, 40, tzinfo=UTC),
    "woocommerce": datetime(2026, 11, 21, 21, 47, 58, tzinfo=UTC),
}
HEADERS = {"Authorization": basic(f"{KEY}:{SECRET}"), "X-Forwarded-Proto": "https"}


@pytest.fixture(scope="module", params=["prestashop", "woocommerce"])
def played(request: pytest.FixtureRequest) -> Iterator[tuple[str, ReplayServer, list[Exchange]]]:
    folder = RECORDINGS / request.param
    server = ReplayServer(folder, key=KEY, secret=SECRET)
    server.start()
    yield request.param, server, read_exchanges(folder)
    server.stop()


def get(server: ReplayServer, path: str, **query: Any) -> requests.Response:
    """GET with the right key."""
    return requests.get(f"{server.url}{path}", params=query, headers=HEADERS, timeout=10)


def test_the_system_is_seen_from_the_recordings(played: tuple[str, ReplayServer, list[Exchange]]) -> None:
    system, server, _ = played
    assert server.kind == system


def test_recorded_requests_get_the_recorded_answer(played: tuple[str, ReplayServer, list[Exchange]]) -> None:
    system, server, exchanges = played
    seen = set()
    for exchange in sorted(exchanges, key=lambda held: not held.is_page):
        question = (exchange.method, exchange.path.rstrip("/"), tuple(sorted(exchange.query.items())), exchange.sent)
        is_signed = any(name in str(exchange.query) for name in ("oauth_", "ws_key"))
        if not exchange.has_full_rights or question in seen or is_signed or exchange.name.startswith("basic_over"):
            continue
        seen.add(question)
        response = requests.request(
            exchange.method,
            f"{server.url}{exchange.path}?{urlencode(exchange.query)}",
            headers=HEADERS,
            data=exchange.sent or None,
            timeout=10,
        )
        assert response.status_code == exchange.status, exchange.name
        if exchange.method != "HEAD":
            assert response.content == exchange.body, exchange.name
        recorded = {name: value.replace("https://shop.example", server.url) for name, value in exchange.headers.items()}
        own = {name.lower(): value for name, value in response.headers.items()}
        assert {name: own[name] for name in recorded if name != "date"} == {
            name: value for name, value in recorded.items() if name != "date"
        }, exchange.name
    assert len(seen) > 100, system


def test_what_is_computed_equals_what_was_recorded(played: tuple[str, ReplayServer, list[Exchange]]) -> None:
    """Asked with one unknown, ignored parameter more, a request is no longer a recorded one."""
    system, server, exchanges = played
    checked = []
    for exchange in exchanges:
        is_read = exchange.method == "GET" and exchange.has_full_rights and exchange.at < READ_UNTIL[system]
        is_json = exchange.document is not None and exchange.status == 200
        if not is_read or not is_json or not (exchange.is_page or "filter" in str(exchange.query)):
            continue
        if exchange.name in ("attributes_page_1", "tags_page_1"):
            continue
        ours = get(server, exchange.path, **exchange.query, unknown="1")
        assert ours.json() == exchange.document, exchange.name
        for name in ("x-wp-total", "x-wp-totalpages"):
            assert ours.headers.get(name) == exchange.headers.get(name), exchange.name
        checked.append(exchange.name)
    assert len(checked) > 25, checked


@pytest.mark.parametrize("size", [1, 7, 100])
def test_other_page_sizes_give_the_same_rows(played: tuple[str, ReplayServer, list[Exchange]], size: int) -> None:
    system, server, exchanges = played
    recorded = [
        row["id"]
        for exchange in exchanges
        if exchange.is_page and exchange.name.startswith("orders_page_") and exchange.document
        for row in (exchange.document["orders"] if system == "prestashop" else exchange.document)
    ]
    found: list[int] = []
    while True:
        if system == "prestashop":
            query = {"output_format": "JSON", "display": "full", "sort": "[id_ASC]", "limit": f"{len(found)},{size}"}
            page = get(server, "/api/orders", **query).json() or {"orders": []}
            rows = page["orders"]
        else:
            number = len(found) // size + 1
            query = {"per_page": str(size), "page": str(number), "orderby": "id", "order": "asc"}
            rows = get(server, "/wp-json/wc/v3/orders", **query).json()
        found.extend(row["id"] for row in rows)
        if len(rows) < size:
            break
    assert found == recorded


def test_a_wrong_key_is_refused(played: tuple[str, ReplayServer, list[Exchange]]) -> None:
    system, server, _ = played
    path = "/api/orders" if system == "prestashop" else "/wp-json/wc/v3/orders"
    wrong = {**HEADERS, "Authorization": basic("nobody:nothing")}
    assert requests.get(f"{server.url}{path}", headers=wrong, timeout=5).status_code == 401
    assert requests.get(f"{server.url}{path}", timeout=5).status_code == 401


def test_a_recorded_shop_cannot_be_written(played: tuple[str, ReplayServer, list[Exchange]]) -> None:
    system, server, _ = played
    if system == "prestashop":
        path, body = "/api/products/21", b"<prestashop><product><id>21</id><price>3</price></product></prestashop>"
    else:
        path, body = "/wp-json/wc/v3/products/82", b'{"stock_quantity": 1234}'
    answer = requests.put(f"{server.url}{path}", headers=HEADERS, data=body, timeout=5)
    assert answer.status_code == 405
    assert answer.content


def test_links_lead_to_the_next_page() -> None:
    server = ReplayServer(RECORDINGS / "woocommerce", key=KEY, secret=SECRET)
    server.start()
    seen = 0
    url = f"{server.url}/wp-json/wc/v3/orders?per_page=15&page=1&orderby=id&order=asc&status=any"
    while url:
        answer = requests.get(url, headers=HEADERS, timeout=5)
        seen += len(answer.json())
        url = answer.links.get("next", {}).get("url", "")
    server.stop()
    assert seen == 49


def test_a_signed_request_over_plain_http_gets_the_recorded_rows() -> None:
    server = ReplayServer(RECORDINGS / "woocommerce", key=KEY, secret=SECRET)
    url = f"{server.start()}/wp-json/wc/v3/orders"
    query = [
        ("per_page", "15"),
        ("page", "1"),
        ("orderby", "id"),
        ("order", "asc"),
        ("status", "any"),
        ("oauth_consumer_key", KEY),
        ("oauth_nonce", "n1"),
        ("oauth_signature_method", "HMAC-SHA256"),
        ("oauth_timestamp", str(int(time.time()))),
    ]
    query.append(("oauth_signature", signature("GET", url, query, SECRET, "HMAC-SHA256")))
    answer = requests.get(url, params=query, timeout=5)
    again = requests.get(url, params=query, timeout=5)
    server.stop()
    assert (answer.status_code, len(answer.json())) == (200, 15)
    assert again.status_code == 401  # a nonce serves once


def test_computed_prices_follow_the_recorded_specific_prices() -> None:
    server = ReplayServer(RECORDINGS / "prestashop", key=KEY)
    server.start()
    query = {"display": "[id,ttc]", "filter[id]": "[1|21|25|26]", "price[ttc][use_tax]": "1", "output_format": "JSON"}
    rows = get(server, "/api/products", **query).json()["products"]
    server.stop()
    prices = {row["id"]: row["ttc"] for row in rows}
    assert prices == {1: "24.910000", 21: "9.900000", 25: "45.000000", 26: "25.000000"}


def test_a_folder_without_recordings_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no recorded exchange"):
        ReplayServer(tmp_path, key=KEY)
    (tmp_path / "broken.json").write_bytes(msgspec.json.encode({"request": {}}))
    with pytest.raises(ValueError, match=r"broken\.json: not a recorded exchange"):
        ReplayServer(tmp_path, key=KEY)


def test_the_key_of_the_recordings_is_the_only_one_taken_from_them() -> None:
    """Exchanges recorded with another key (read-only, wrong) are answered by the rules, not from the recordings."""
    names = {exchange.name for exchange in read_exchanges(RECORDINGS / "prestashop") if not exchange.has_full_rights}
    assert {"error_bad_credentials", "error_no_credentials", "error_write_not_permitted"} <= names
