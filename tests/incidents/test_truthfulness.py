"""Given a fault planted in a real shop's server, expect one incident that names the stream it hit and the very request that broke."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from resources.connectors import prestashop, woocommerce
from resources.connectors.sdk.http import RetryPolicy
from resources.connectors.sdk.stream import Connector
from resources.incidents import refresh_incidents
from resources.operations.incidents import Impact, Incident
from sandbox.servers.faults import Fault
from sandbox.servers.prestashop import PrestaShopServer
from sandbox.servers.woocommerce import WooCommerceServer
from tests.connectors.support import TOKENISER, retailer, system
from tests.connectors.tiny_shop import NOW, tiny_shop
from tests.extract.fakes import Stores
from tests.retailer.declared import retailer as declared_retailer

KEY = "K" * 32


@dataclass
class Shop:
    """A shop's server, its connector, and the ids of the requests that were sent, by what they asked."""

    server: WooCommerceServer | PrestaShopServer
    connector: Connector
    stores: Stores
    sent: dict[str, str] = field(default_factory=dict)

    def read_all(self) -> None:
        for stream in self.connector.streams():
            self.stores.extract(self.connector, stream, full=True, now=NOW)

    def incidents(self) -> list[Incident]:
        refresh_incidents(
            self.stores.operations,
            declared_retailer(),
            streams={"shop": self.connector.streams()},
            impact=lambda _: Impact(),
            now=NOW,
        )
        return self.stores.operations.incidents.find(status="open")


def recording(sent: dict[str, str]) -> requests.Session:
    """A session that notes what each request asked, by its id, however it is sent."""

    class Listening(requests.adapters.HTTPAdapter):
        def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
            sent[str(request.headers["X-Request-Id"])] = str(request.path_url)
            return super().send(request, *args, **options)

    session = requests.Session()
    session.mount("http://", Listening())
    return session


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    server = WooCommerceServer(tiny_shop(), key=KEY, secret="secret", clock=lambda: NOW, country="FR")
    sent: dict[str, str] = {}

    connector: Connector = woocommerce.build(
        system("woocommerce", url=server.start(), key=KEY, secret="secret", page_size=5, workers=1),
        retailer=retailer(),
        tokeniser=TOKENISER,
        clock=lambda: datetime.now(UTC),
        sleep=lambda seconds: None,
        retry=RetryPolicy(attempts=2),
        session_factory=lambda: recording(sent),
    )
    yield Shop(server, connector, Stores.open(tmp_path), sent)
    server.stop()


FAULTS = [
    ("server_error", "HTTP 500"),
    ("html_error", "HTTP 502"),
    ("too_many_requests", "HTTP 429"),
    ("truncated", "cut short"),
    ("drop_connection", "connection failed"),
]


@pytest.mark.parametrize(("kind", "told"), FAULTS)
@pytest.mark.parametrize(("route", "streams"), [("orders", {"orders", "refunds"}), ("customers", {"customers"})])
def test_a_request_that_breaks_is_named(shop: Shop, kind: Any, told: str, route: str, streams: set[str]) -> None:
    shop.server.faults.add(Fault(kind, pattern=rf"/{route}\?", seconds=1))
    shop.read_all()
    found = shop.incidents()
    assert {one.stream for one in found} == streams  # refunds are read through the shop's orders
    for one in found:
        assert (one.kind, one.system_code, one.severity) == ("reading_failed", "shop", "error")
        assert told in one.what
        assert f"/{route}" in shop.sent[str(one.request_id)]
        assert KEY not in repr(one)
    shop.server.faults.clear()
    shop.read_all()
    assert shop.incidents() == []


def test_rows_that_vanish_are_named(shop: Shop) -> None:
    shop.server.faults.add(Fault("drop_rows", pattern=r"/orders\?", row_ids=frozenset({7})))
    shop.read_all()
    [one] = shop.incidents()
    assert (one.kind, one.stream) == ("reading_incomplete", "orders")
    assert "announced 12, received 11" in one.what


def test_rows_that_are_spoilt_are_named(shop: Shop) -> None:
    shop.server.faults.add(Fault("break_rows", pattern=r"/orders\?", share=0.4))
    shop.read_all()
    [one] = shop.incidents()
    assert (one.kind, one.stream, one.severity) == ("rows_quarantined", "orders", "warning")
    assert one.evidence["rows"] == one.occurrences_qty
    assert "etalon quarantine list --system shop --stream orders" in one.action


def test_a_slow_shop_is_no_incident(shop: Shop) -> None:
    shop.server.faults.add(Fault("slow", seconds=0.01))
    shop.read_all()
    assert shop.incidents() == []


@pytest.fixture
def presta(tmp_path: Path) -> Iterator[Shop]:
    server = PrestaShopServer(tiny_shop(), key=KEY, clock=lambda: NOW)
    sent: dict[str, str] = {}

    connector: Connector = prestashop.build(
        system("prestashop", url=server.start(), key=KEY, page_size=5, workers=1),
        retailer=retailer(),
        tokeniser=TOKENISER,
        clock=lambda: datetime.now(UTC),
        sleep=lambda seconds: None,
        retry=RetryPolicy(attempts=2),
        session_factory=lambda: recording(sent),
    )
    yield Shop(server, connector, Stores.open(tmp_path), sent)
    server.stop()


@pytest.mark.parametrize(("kind", "told"), FAULTS)
def test_a_request_that_breaks_is_named_of_the_other_kind_of_shop_too(presta: Shop, kind: Any, told: str) -> None:
    presta.server.faults.add(Fault(kind, pattern=r"/customers\?", seconds=1))
    presta.read_all()
    found = presta.incidents()
    assert {(one.kind, one.system_code, one.stream) for one in found} == {("reading_failed", "shop", "customers")}
    [one] = found
    assert told in one.what
    assert "/customers" in presta.sent[str(one.request_id)]
    presta.server.faults.clear()
    presta.read_all()
    assert presta.incidents() == []
