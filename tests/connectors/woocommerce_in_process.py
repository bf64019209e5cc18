"""The sandbox's WooCommerce behind a connector without a socket: every call can be looked at, and any of them made to fail."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from resources.connectors.sdk.writing import JsonValue, Write, WriteResult
from resources.connectors.woocommerce import WooCommerceConnector, build
from sandbox.servers.http import DropConnection, request_from
from sandbox.servers.woocommerce import WooCommerceServer
from sandbox.shop_data import ShopData
from tests.connectors.support import TOKENISER, clock, retailer, system
from tests.connectors.test_woocommerce import connector
from tests.connectors.tiny_shop import NOW, tiny_shop
from tests.connectors.transport import Call, Reply

KEY, SECRET = "ck_DUMMY", "cs_DUMMY"
READ_ONLY = ("ck_READ", "cs_READ")

Meddle = Callable[[Call, Callable[[], Reply]], Reply]
"""Given a call and what answers it: answers it otherwise, before or after it is done."""


@dataclass
class Shop:
    """A shop in this process. ``calls``: those it got; ``meddle``: comes between."""

    server: WooCommerceServer
    calls: list[Call] = field(default_factory=list)
    meddle: Meddle = lambda call, answer: answer()

    @classmethod
    def of(cls, data: ShopData | None = None) -> Shop:
        """A shop with the tiny catalogue, or this one."""
        return cls(
            WooCommerceServer(
                data or tiny_shop(),
                key=KEY,
                secret=SECRET,
                read_only=READ_ONLY,
                clock=lambda: NOW,
                country="FR",
                home_url="https://shop.example",
            )
        )

    def __call__(self, call: Call) -> Reply:
        """Answer one call."""
        self.calls.append(call)
        return self.meddle(call, lambda: self._answer(call))

    def _answer(self, call: Call) -> Reply:
        target = f"{quote(call.path)}?{urlencode(dict(call.query))}"
        headers = {**call.headers, "X-Forwarded-Proto": "https"}
        answer = self.server.api.answer(request_from(call.method, target, headers, call.body))
        assert not isinstance(answer, DropConnection)
        return Reply(answer.status, answer.body, dict(answer.headers))

    def connector(self, **changes: Any) -> WooCommerceConnector:
        """A connector of this shop."""
        return connector(self, **changes)

    @contextmanager
    def served(self, **changes: Any) -> Iterator[WooCommerceConnector]:
        """A connector of this shop over a real socket, while it lasts."""
        declared = system("woocommerce", url=self.server.start(), home_url="https://shop.example", **changes)
        try:
            yield build(declared, retailer=retailer(), tokeniser=TOKENISER, clock=clock, sleep=lambda seconds: None)
        finally:
            self.server.stop()

    def write(self, *writes: Write, **changes: Any) -> list[WriteResult]:
        """Write with a connector of its own."""
        return self.connector(**changes).write(list(writes), now=NOW)

    @property
    def told(self) -> list[str]:
        """Methods and paths of the calls so far."""
        return [f"{call.method} {call.path.removeprefix('/wp-json/wc/v3')}" for call in self.calls]

    @property
    def sent(self) -> dict[str, list[dict[str, Any]]]:
        """Path -> the items of the batches sent to it."""
        sent: dict[str, list[dict[str, Any]]] = {}
        for call in self.calls:
            if call.method != "GET":
                items = json.loads(call.body)["update"]
                sent.setdefault(call.path.removeprefix("/wp-json/wc/v3"), []).extend(items)
        return sent


def stock(item: str, before: JsonValue, after: JsonValue) -> Write:
    """A quantity to publish."""
    return Write(f"stock {item}", "channel_stock", item, "published_qty", before, after)


def price(item: str, before: JsonValue, after: JsonValue) -> Write:
    """A regular price to set."""
    return Write(f"price {item}", "channel_price", item, "regular_minor", before, after)


def promotion(item: str, before: JsonValue, after: JsonValue) -> Write:
    """A promotion to set, or to clear."""
    return Write(f"promotion {item}", "channel_price", item, "promotion", before, after)


def publication(item: str, before: JsonValue, after: JsonValue) -> Write:
    """An item to publish, or to hide."""
    return Write(f"publication {item}", "channel_price", item, "is_published", before, after)


def shipment(order: str, before: JsonValue, after: JsonValue) -> Write:
    """A shipment to tell."""
    return Write(f"shipment {order}", "order", order, "shipment", before, after)


def reduced(minor: int, starts_at: str | None = None, ends_at: str | None = None) -> dict[str, JsonValue]:
    """A canonical promotion."""
    return {"minor": minor, "starts_at": starts_at, "ends_at": ends_at}


def parcel(status: str, number: str | None = None) -> dict[str, JsonValue]:
    """A canonical shipment."""
    return {"status": status, "tracking_number": number}


def outcomes(results: Sequence[WriteResult]) -> list[str]:
    """Outcomes alone."""
    return [result.outcome for result in results]
