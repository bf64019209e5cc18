"""The invented PrestaShop answers recorded requests as the real one did: status, headers and shape, recording by recording."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from lxml import etree

from sandbox.servers import PrestaShopServer
from sandbox.servers.prestashop_format import is_empty
from sandbox.servers.prestashop_resources import RESOURCES
from sandbox.servers.replay import Exchange
from tests.sandbox.servers.recorded import Answer, basic, exchanges, recorded_headers, send
from tests.sandbox.servers.shapes import Shape, shape_of
from tests.sandbox.servers.shops import NOW, prestashop_like

pytestmark = pytest.mark.xdist_group("prestashop_recordings")

KEY, LIMITED_KEY = "K" * 32, "P" * 32
ALL = exchanges("prestashop")
NO_ROWS = "the sandbox shop has none of these rows: its connector reads none"
LEFT_OUT = {
    **dict.fromkeys(
        (exchange.name for exchange in ALL if exchange.is_page and exchange.path.split("/")[-1] not in RESOURCES),
        NO_ROWS,
    ),
    "carts_page_1": "orders of the sandbox have no carts; a cart can be posted",
    "carts_page_2": "orders of the sandbox have no carts; a cart can be posted",
    "carriers_page_2": "the sandbox shop has two carriers, not four",
    "currencies_page_2": "the sandbox shop has one currency",
    "product_option_values_page_2": "the sandbox shop has other options",
    "categories_page_2": "the sandbox shop has fewer categories",
}
# which row of ours stands for a recorded stock row: recorded id -> (product, combination)
STOCK_ROWS = {1: (1, 0), 21: (1, 2), 59: (20, 0), 60: (21, 0), 61: (22, 0)}
KEYS = {"WSKEY_DUMMY:": KEY, "WRONG:": "W" * 32, "short:": "short", "a key with GET products only": LIMITED_KEY}
COMPARED = [exchange for exchange in ALL if exchange.name not in LEFT_OUT]


def _own_ids(text: str, ids: dict[int, int]) -> str:
    """Stock row ids of the recording put into ours, in a path or a body."""

    def own(found: re.Match[str]) -> str:
        return f"{found[1]}{ids.get(int(found[2]), int(found[2]))}"

    return re.sub(r"(stock_availables/|<stock_available><id>)(\d+)", own, text)


def _own_filter(value: str, ids: dict[int, int]) -> str:
    return re.sub(r"\d+", lambda found: str(ids.get(int(found[0]), int(found[0]))), value)


@pytest.fixture(scope="module")
def answers() -> Iterator[dict[str, Answer]]:
    """Every recorded request sent once, in the order of the recording."""
    moment = [NOW]
    server = PrestaShopServer(
        prestashop_like(),
        key=KEY,
        limited_keys={LIMITED_KEY: {"products": frozenset({"GET"})}},
        clock=lambda: moment[0],
    )
    url = server.start()
    session = requests.Session()
    listed = session.get(
        f"{url}/api/stock_availables", params={"display": "full", "output_format": "JSON", "ws_key": KEY}, timeout=10
    ).json()["stock_availables"]
    by_item = {(int(row["id_product"]), int(row["id_product_attribute"])): row["id"] for row in listed}
    ids = {recorded: by_item[held] for recorded, held in STOCK_ROWS.items()}
    found = {}
    for exchange in COMPARED:
        moment[0] = max(moment[0], exchange.at)
        headers = {"Content-Type": "text/xml"} if exchange.sent else {}
        for recorded, own in KEYS.items():
            if recorded in exchange.authorization:
                headers["Authorization"] = basic(f"{own}:")
        query = {name: KEY if name == "ws_key" else value for name, value in exchange.query.items()}
        if exchange.path.endswith("stock_availables") and "filter[id]" in query:
            query["filter[id]"] = _own_filter(query["filter[id]"], ids)
        found[exchange.name] = send(
            session,
            url,
            exchange,
            headers=headers,
            path=_own_ids(exchange.path, ids),
            query=query,
            sent=_own_ids(exchange.sent.decode(), ids).encode(),
        )
    yield found
    server.stop()


LISTS = {resource.key: resource for resource in RESOURCES.values()}
SINGLES = {resource.node: resource for resource in RESOURCES.values()}


def _rows(document: Any) -> tuple[str, list[Any]]:
    """(key of the answer, rows under it)."""
    if isinstance(document, list):
        return "list", []
    ((key, held),) = document.items()
    return (key, held) if isinstance(held, list) else (key, [held])


def _is_partial(exchange: Exchange, key: str) -> bool:
    """Whether a list prints chosen fields, or ids alone."""
    return key in LISTS and exchange.query.get("display") != "full"


def _shape(exchange: Exchange, key: str) -> Shape:
    """What a row under a key may look like: all recorded ones, a single row's list form included."""
    if _is_partial(exchange, key):
        return shape_of(_rows(exchange.document)[1])
    resource = LISTS.get(key) or SINGLES[key]
    accepted = {resource.key, resource.node} if key == resource.node and key != resource.key else {key}
    shape = Shape()
    for other in ALL:
        if other.status < 400 and isinstance(other.document, dict):
            other_key, rows = _rows(other.document)
            if other_key in accepted and not _is_partial(other, other_key):
                for row in rows:
                    shape.learn(row)
    if "associations" in shape.keys:  # each list inside is left out when it is empty
        shape.keys["associations"].always = set()
        shape.always = (shape.always or set()) - {"associations"}
    if key in SINGLES:
        shape.always = set()
    return shape


@pytest.mark.parametrize("exchange", COMPARED, ids=lambda exchange: exchange.name)
def test_answers_as_recorded(exchange: Exchange, answers: dict[str, Answer]) -> None:
    ours = answers[exchange.name]
    assert ours.status == exchange.status, ours.body[:500]
    assert ours.headers == recorded_headers(exchange)
    if exchange.status >= 400:
        assert ours.document == exchange.document
        assert bool(ours.body) == bool(exchange.body)
        return
    if exchange.document is None:
        _compare_xml(exchange, ours)
        return
    key, rows = _rows(exchange.document)
    own_key, own_rows = _rows(ours.document)
    assert (own_key, bool(own_rows)) == (key, bool(rows))
    if not rows:
        return
    shape = _shape(exchange, key)
    assert [misfit for row in own_rows for misfit in shape.misfits(row)] == []
    if key in SINGLES and key not in LISTS:
        assert [name for name, value in own_rows[0].items() if is_empty(value)] == []
    if _is_partial(exchange, key):
        assert list(own_rows[0]) == list(rows[0])


def _tags(body: bytes) -> list[str]:
    """Every path of tags in an XML body, once."""
    root = etree.fromstring(body)
    paths = {root.getroottree().getpath(node) for node in root.iter() if isinstance(node.tag, str)}
    return sorted({re.sub(r"\[\d+\]", "", path) for path in paths})


def _compare_xml(exchange: Exchange, ours: Answer) -> None:
    if not exchange.body:
        assert ours.body == b""
        return
    recorded, own = _tags(exchange.body), _tags(ours.body)
    if exchange.name == "resources_index":
        # the shop describes 13 resources only by name: those have no schema links of ours
        recorded, own = ([path for path in paths if path.count("/") == 3] for paths in (recorded, own))
    assert own == recorded


def test_nothing_is_left_out_without_a_reason() -> None:
    names = {exchange.name for exchange in ALL}
    assert set(LEFT_OUT) <= names
    assert len(COMPARED) == len(ALL) - len(LEFT_OUT)
