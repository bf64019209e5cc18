"""The invented WooCommerce's webhooks: the resource as recorded, and deliveries signed, counted and switched off as recorded."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from sandbox.servers import WooCommerceServer
from sandbox.servers.http import LoopbackServer, Request, Response
from sandbox.servers.woocommerce_webhooks import MOST_FAILURES, USER_AGENT, signature
from tests.connectors.tiny_shop import NOW, tiny_shop
from tests.sandbox.servers.recorded import RECORDINGS, basic
from tests.sandbox.servers.shapes import Shape

KEY, SECRET, HOOK_SECRET = "ck_" + 40 * "a", "cs_" + 40 * "b", "recording-webhook-secret"
TOPICS = ("order.created", "order.updated", "order.deleted", "product.updated", "product.deleted", "customer.updated")


@dataclass
class Receiver:
    """What listens to the webhooks: remembers each delivery and answers ``status``."""

    status: int = 200
    got: list[Request] = field(default_factory=list)
    is_held: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.is_held.set()

    def __call__(self, request: Request) -> Response:
        """Take one delivery."""
        self.is_held.wait(5)
        self.got.append(request)
        return Response(self.status)

    def topics(self) -> list[tuple[str, int]]:
        """Topic and row id of each delivery that is no ping."""
        return [
            (request.headers["x-wc-webhook-topic"], json.loads(request.body)["id"])
            for request in self.got
            if "x-wc-webhook-topic" in request.headers
        ]


@dataclass
class Told:
    """A shop, its receiver, and a session that may do everything in the shop."""

    shop: WooCommerceServer
    receiver: Receiver
    address: str

    def call(self, method: str, route: str, body: Any = None) -> requests.Response:
        """One call of the API; deliveries are out when it comes back."""
        headers = {"Authorization": basic(f"{KEY}:{SECRET}"), "X-Forwarded-Proto": "https"}
        answer = requests.request(
            method, f"{self.shop.url}/wp-json/wc/v3/{route}", json=body, headers=headers, timeout=10
        )
        self.shop.webhooks.settle()
        return answer

    def listen(self, topic: str) -> requests.Response:
        """Create a webhook as recorded, but for where it goes."""
        body = {
            **recorded(f"webhook_create_{topic.replace('.', '_')}")["request"]["json"],
            "delivery_url": self.address,
        }
        return self.call("POST", "webhooks", body)


def recorded(name: str) -> dict[str, Any]:
    """A recorded exchange."""
    loaded: dict[str, Any] = json.loads((RECORDINGS / "woocommerce" / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


@pytest.fixture
def told() -> Iterator[Told]:
    """A shop and somebody who listens."""
    receiver = Receiver()
    listener = LoopbackServer(receiver)
    address = f"{listener.start()}/wc"
    shop = WooCommerceServer(
        tiny_shop(), key=KEY, secret=SECRET, clock=lambda: NOW, country="FR", home_url="https://shop.example"
    )
    shop.start()
    yield Told(shop, receiver, address)
    shop.stop()
    listener.stop()


@pytest.mark.parametrize("topic", TOPICS)
def test_a_webhook_is_made_as_recorded_and_pings(told: Told, topic: str) -> None:
    answer = told.listen(topic)
    exchange = recorded(f"webhook_create_{topic.replace('.', '_')}")
    expected = exchange["response"]["json"]
    assert (answer.status_code, list(answer.json())) == (201, list(expected))
    same = ("name", "status", "topic", "resource", "event", "hooks", "date_modified")
    assert {name: answer.json()[name] for name in same} == {name: expected[name] for name in same}
    assert answer.headers["Location"] == f"https://shop.example/wp-json/wc/v3/webhooks/{answer.json()['id']}"
    (ping,) = told.receiver.got
    recorded_ping = recorded("webhook_delivery_ping")["request"]
    assert ping.body.decode() == recorded_ping["body"].replace("2", str(answer.json()["id"]))
    assert ping.headers["content-type"] == recorded_ping["headers"]["content-type"]
    assert not [name for name in ping.headers if name.startswith("x-wc")], "a ping is not signed"


def test_webhooks_are_listed_changed_and_deleted(told: Told) -> None:
    ids = [told.listen(topic).json()["id"] for topic in TOPICS[:3]]
    listed = told.call("GET", "webhooks?orderby=id&order=asc")
    assert ([row["id"] for row in listed.json()], listed.headers["X-WP-Total"]) == (ids, "3")
    assert told.call("PUT", f"webhooks/{ids[0]}", {"status": "paused"}).json()["status"] == "paused"
    assert [row["id"] for row in told.call("GET", "webhooks?status=paused").json()] == ids[:1]
    assert told.call("DELETE", f"webhooks/{ids[0]}").status_code == 501
    assert told.call("DELETE", f"webhooks/{ids[0]}?force=true").status_code == 200
    assert told.call("GET", f"webhooks/{ids[0]}").status_code == 404
    assert "secret" not in listed.text


REFUSED = [
    {"topic": "order.eaten", "delivery_url": "https://x.example"},
    {"delivery_url": "https://x.example"},
    {"topic": "order.created", "delivery_url": "ftp://x"},
]


@pytest.mark.parametrize("body", REFUSED)
def test_a_webhook_without_sense_is_refused(told: Told, body: dict[str, str]) -> None:
    assert told.call("POST", "webhooks", body).status_code == 400


def test_deliveries_are_signed_and_named_as_recorded(told: Told) -> None:
    told.listen("product.updated")
    told.call("PUT", "products/1", {"stock_quantity": 44})
    told.call("POST", "products/2/variations/batch", {"update": [{"id": 3, "stock_quantity": 13}]})
    for request, name in zip(told.receiver.got[1:], ("product_updated_stock", "variation_updated_stock"), strict=True):
        sent = recorded(f"webhook_delivery_{name}")["request"]
        assert {key for key in request.headers if key.startswith("x-wc")} == {
            key for key in sent["headers"] if key.startswith("x-wc")
        }
        same = ("content-type", "user-agent", "x-wc-webhook-source", "x-wc-webhook-topic", "x-wc-webhook-event")
        assert {key: request.headers[key] for key in same} == {key: sent["headers"][key] for key in same}
        assert request.headers["x-wc-webhook-signature"] == signature(HOOK_SECRET, request.body)
        shown, expected = json.loads(request.body), json.loads(sent["body"])
        assert list(shown) == list(expected)
        assert (shown["type"], shown["parent_id"] != 0) == (expected["type"], expected["parent_id"] != 0)
        assert b"\\/" in request.body, "printed as PHP does"
    assert recorded("webhook_delivery_ping")["request"]["headers"]["user-agent"] == USER_AGENT


def test_the_recorded_signatures_are_ours() -> None:
    for path in sorted((RECORDINGS / "woocommerce").glob("webhook_delivery_*.json")):
        sent = json.loads(path.read_text(encoding="utf-8"))["request"]
        if "x-wc-webhook-signature" in sent["headers"]:
            assert signature(HOOK_SECRET, sent["body"].encode()) == sent["headers"]["x-wc-webhook-signature"]


def test_a_new_order_is_told_as_recorded(told: Told) -> None:
    for topic in TOPICS:
        told.listen(topic)
    order = told.shop.place_order([(1, 2), ("2-3", 1)])
    told.shop.webhooks.settle()
    expected = [("order.created", order), ("order.updated", order), ("product.updated", 1), ("product.updated", 3)]
    assert told.receiver.topics() == expected
    body = json.loads(told.receiver.got[len(TOPICS)].body)
    shape = Shape()
    shape.learn(json.loads(recorded("webhook_delivery_order_created")["request"]["body"]))
    for page in range(1, 5):
        for listed in recorded(f"orders_page_{page}")["response"]["json"]:
            shape.learn(listed)
    assert shape.misfits(body) == []
    deliveries = told.receiver.got[len(TOPICS) :]
    named = {(one.headers["x-wc-webhook-id"], one.headers["x-wc-webhook-delivery-id"]) for one in deliveries}
    assert len(named) == 3, "both items were told in one second by one webhook: they share the id"


CHANGES = [  # a call, what is told of it
    (("POST", "orders/1/refunds", {"amount": "1.00", "api_refund": False}), [("order.updated", 1)]),
    (("POST", "orders/batch", {"update": [{"id": 1, "status": "completed"}]}), [("order.updated", 1)]),
    (("DELETE", "orders/1", None), [("order.deleted", 1)]),
    (("DELETE", "products/5", None), [("product.deleted", 5)]),
    (("PUT", "products/1", {"stock_quantity": "beaucoup"}), []),
]


@pytest.mark.parametrize(("call", "expected"), CHANGES)
def test_who_is_told_of_what(told: Told, call: tuple[str, str, Any], expected: list[tuple[str, int]]) -> None:
    for topic in TOPICS:
        told.listen(topic)
    told.call(*call)
    assert told.receiver.topics() == expected
    if expected and expected[0][0].endswith("deleted"):
        assert json.loads(told.receiver.got[-1].body) == {"id": expected[0][1]}


def test_failures_in_a_row_switch_a_webhook_off_and_nothing_is_sent_again(told: Told) -> None:
    number = told.listen("product.updated").json()["id"]
    told.receiver.status = 500
    for quantity in range(MOST_FAILURES + 4):
        told.call("PUT", "products/1", {"stock_quantity": quantity})
    assert len(told.receiver.topics()) == MOST_FAILURES + 2
    assert told.call("GET", f"webhooks/{number}").json()["status"] == "disabled"
    told.call("PUT", f"webhooks/{number}", recorded("webhook_reactivate")["request"]["json"])
    told.call("PUT", "products/1", {"stock_quantity": 49})
    assert told.call("GET", f"webhooks/{number}").json()["status"] == "disabled", "its failures are not forgotten"
    told.receiver.status = 200
    again = told.call("PUT", f"webhooks/{number}", recorded("webhook_reactivate")["request"]["json"])
    assert again.json()["status"] == "active"
    told.call("PUT", "products/1", {"stock_quantity": 50})
    assert len(told.receiver.topics()) == MOST_FAILURES + 4


def test_a_delivery_that_arrives_forgives_those_before(told: Told) -> None:
    number = told.listen("product.updated").json()["id"]
    for status in (*(500,) * (MOST_FAILURES + 1), 200, *(500,) * (MOST_FAILURES + 1), 302):
        told.receiver.status = status
        told.call("PUT", "products/1", {"stock_quantity": status})
    assert told.call("GET", f"webhooks/{number}").json()["status"] == "active"


def test_no_call_waits_for_a_receiver(told: Told) -> None:
    told.listen("product.updated")
    told.receiver.is_held.clear()
    told.shop.place_order([(1, 1)])  # comes back while the receiver does not answer
    assert told.receiver.topics() == []
    told.receiver.is_held.set()
    told.shop.webhooks.settle()
    assert told.receiver.topics() == [("product.updated", 1)]
