"""Each fault does what it says, to the calls it names and to no other."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
import requests

from sandbox.servers import Fault, FaultPlan, PrestaShopServer, WooCommerceServer
from tests.sandbox.servers.recorded import basic
from tests.sandbox.servers.shops import prestashop_like, woocommerce_like

KEY, SECRET = "K" * 32, "cs_secret"
SIGNED = {"Authorization": basic(f"{KEY}:{SECRET}"), "X-Forwarded-Proto": "https"}


class Shop:
    """A running PrestaShop with a plan of faults whose waits are noted, not waited for."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.server = PrestaShopServer(prestashop_like(), key=KEY, faults=FaultPlan(sleep=self.waits.append))
        self.server.start()
        self.session = requests.Session()

    def get(self, resource: str = "orders", **query: str) -> requests.Response:
        """GET a list as JSON."""
        params = {"display": "[id]", "output_format": "JSON", "ws_key": KEY, **query}
        return self.session.get(f"{self.server.url}/api/{resource}", params=params, timeout=5)

    def plan(self, **fault: Any) -> Fault:
        """Plan a fault."""
        return self.server.faults.add(Fault(**fault))


@pytest.fixture
def shop() -> Iterator[Shop]:
    held = Shop()
    yield held
    held.server.stop()


def test_without_a_fault_every_call_is_answered(shop: Shop) -> None:
    assert [shop.get().status_code for _ in range(3)] == [200, 200, 200]


def test_slow_waits_then_answers(shop: Shop) -> None:
    shop.plan(kind="slow", seconds=2.5, first=1)
    assert (shop.get().status_code, shop.get().status_code) == (200, 200)
    assert shop.waits == [2.5]


def test_too_many_requests_says_when_to_come_back(shop: Shop) -> None:
    shop.plan(kind="too_many_requests", seconds=3, first=2)
    refused = shop.get()
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "3")
    assert [shop.get().status_code for _ in range(2)] == [429, 200]


def test_server_error_is_a_500_without_a_body(shop: Shop) -> None:
    shop.plan(kind="server_error", first=1)
    broken = shop.get()
    assert (broken.status_code, broken.content) == (500, b"")
    assert shop.get().status_code == 200


@pytest.mark.parametrize("status", [502, 200])
def test_html_error_page(shop: Shop, status: int) -> None:
    shop.plan(kind="html_error", status=status, first=1)
    broken = shop.get()
    assert (broken.status_code, broken.headers["Content-Type"]) == (status, "text/html")
    assert b"<html>" in broken.content


def test_truncated_body_breaks_off_before_its_announced_length(shop: Shop) -> None:
    shop.plan(kind="truncated", first=1)
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.exceptions.ConnectionError)):
        shop.get(display="full")
    assert shop.get(display="full").status_code == 200


def test_dropped_connection(shop: Shop) -> None:
    shop.plan(kind="drop_connection", first=1)
    with pytest.raises(requests.exceptions.ConnectionError):
        shop.get()
    assert shop.get().status_code == 200


def test_dropped_rows_are_missing_without_a_word(shop: Shop) -> None:
    whole = [row["id"] for row in shop.get(limit="0,10").json()["orders"]]
    shop.plan(kind="drop_rows", rows=2, first=1)
    assert [row["id"] for row in shop.get(limit="0,10").json()["orders"]] == whole[:-2]
    shop.server.faults.clear()
    shop.plan(kind="drop_rows", row_ids=frozenset({whole[3]}))
    assert [row["id"] for row in shop.get(limit="0,10").json()["orders"]] == whole[:3] + whole[4:]


def test_totals_still_count_dropped_rows() -> None:
    server = WooCommerceServer(woocommerce_like(), key=KEY, secret=SECRET)
    url = f"{server.start()}/wp-json/wc/v3/orders?per_page=100"
    server.faults.add(Fault("drop_rows", pattern=r"GET .*/orders\?", rows=1))
    answer = requests.get(url, headers=SIGNED, timeout=5)
    server.stop()
    assert int(answer.headers["X-WP-Total"]) == len(answer.json()) + 1


def test_a_fault_hits_only_the_calls_it_names(shop: Shop) -> None:
    fault = shop.plan(kind="server_error", pattern=r"GET /api/products\?.*limit=10,10")
    assert shop.get("products", limit="0,10").status_code == 200
    assert shop.get("orders", limit="10,10").status_code == 200
    assert shop.get("products", limit="10,10").status_code == 500
    assert fault.fired == 1


def test_probability_is_repeatable_by_its_seed(shop: Shop) -> None:
    runs = []
    for _ in range(2):
        shop.server.faults.clear()
        shop.plan(kind="server_error", probability=0.4, seed=11)
        runs.append([shop.get().status_code for _ in range(20)])
    assert runs[0] == runs[1]
    assert set(runs[0]) == {200, 500}


def test_faults_add_up_in_the_order_planned(shop: Shop) -> None:
    shop.plan(kind="slow", seconds=0.5)
    shop.plan(kind="too_many_requests", first=1)
    assert [shop.get().status_code for _ in range(2)] == [429, 200]
    assert shop.waits == [0.5, 0.5]


def test_an_unknown_fault_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown fault 'explode'"):
        Fault("explode")  # type: ignore[arg-type]


def test_the_connection_stays_open_between_answers(shop: Shop) -> None:
    ports = []
    for _ in range(3):
        response = shop.session.get(f"{shop.server.url}/api/shops", params={"ws_key": KEY}, timeout=5, stream=True)
        connection: Any = response.raw.connection or response.raw._connection
        ports.append(connection.sock.getsockname()[1])
        assert response.content
    assert all(before == after for before, after in pairwise(ports))
