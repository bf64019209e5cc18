"""Making webhooks in a WooCommerce: once, with our secret, switched on again; and what an address tells of its chances."""

from __future__ import annotations

import json

import pytest

from resources.connectors.woocommerce.webhooks import TOPICS, doubts
from resources.errors import ConfigurationError
from tests.connectors.transport import recording
from tests.connectors.woocommerce_in_process import Shop

HOOK_SECRET = "first"
URL = "https://hooks.example.com/webhooks/shop_fr"


@pytest.fixture(autouse=True)
def _nobody_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pings of the invented shop stay here."""
    monkeypatch.setattr("sandbox.servers.woocommerce_webhooks._is_received", lambda session, delivery: True)


def registered(shop: Shop, secret: str = HOOK_SECRET) -> list[tuple[str, str]]:
    made = shop.connector().register_webhooks(url=URL, secret=secret)
    return [(one.topic, one.outcome) for one in made]


def test_what_is_asked_for_is_what_the_real_shop_was_asked_for() -> None:
    shop = Shop.of()
    registered(shop)
    asked = json.loads(next(call for call in shop.calls if call.method == "POST").body)
    recorded = recording("woocommerce", "webhook_create_order_created")["request"]["json"]
    assert set(recorded) <= set(asked)
    assert asked["topic"] == recorded["topic"]


def test_they_are_made_once() -> None:
    shop = Shop.of()
    assert registered(shop) == [(topic, "made") for topic in TOPICS]
    assert registered(shop) == [(topic, "there") for topic in TOPICS]
    assert len(shop.server.webhooks.table.ids()) == len(TOPICS)


def test_one_that_was_switched_off_is_switched_on() -> None:
    shop = Shop.of()
    registered(shop)
    shop.server.webhooks.update(2, {"status": "disabled"})
    assert registered(shop) == [(TOPICS[0], "there"), (TOPICS[1], "switched on"), (TOPICS[2], "there")]
    assert {shop.server.webhooks.table.row(number)["status"] for number in (1, 2, 3)} == {"active"}


def test_a_secret_that_was_changed_is_given_to_those_that_are_there() -> None:
    shop = Shop.of()
    registered(shop)
    shop.calls.clear()
    registered(shop, "second")
    bodies = [json.loads(call.body) for call in shop.calls if call.method == "POST"]
    assert [body["secret"] for body in bodies] == ["second"] * len(TOPICS)


def test_a_secret_that_the_shop_would_read_otherwise_is_refused_and_not_told() -> None:
    shop = Shop.of()
    with pytest.raises(ConfigurationError, match="HTML entity") as caught:
        registered(shop, "s3cr&amp;et")
    assert "s3cr" not in str(caught.value)
    assert shop.calls == []


DOUBTS = [  # an address, what is told of it
    (URL, []),
    ("https://hooks.example.com:8080/webhooks/shop_fr", []),
    ("https://hooks.example.com/webhooks/shop_be", ["does not end"]),
    ("http://hooks.example.com/webhooks/shop_fr", ["not https"]),
    ("https://a:b@hooks.example.com/webhooks/shop_fr", ["user in it"]),
    ("https://hooks.example.com:3002/webhooks/shop_fr", ["http_allowed_safe_ports"]),
    ("https://10.0.0.7/webhooks/shop_fr", ["http_request_host_is_external"]),
    (
        "http://127.0.0.1:3002/webhooks/shop_fr",
        ["not https", "http_allowed_safe_ports", "http_request_host_is_external"],
    ),
    ("https://receiver/webhooks/shop_fr", ["http_request_host_is_external"]),
]


@pytest.mark.parametrize(("url", "told"), DOUBTS)
def test_an_address_that_a_shop_may_never_reach_is_told(url: str, told: list[str]) -> None:
    found = list(doubts(url, "shop_fr"))
    assert len(found) == len(told)
    assert all(part in doubt for part, doubt in zip(told, found, strict=True))
