"""WooCommerce shops that are not set up as the recorded one: without taxes, with prices without tax, old, behind proxies."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest
import requests

from resources.connectors.sdk.auth import OAuth1, signature
from resources.connectors.woocommerce.client import WooClient, judge
from resources.connectors.woocommerce.facts import rates_of
from resources.connectors.woocommerce.rows import Rate
from resources.errors import PermanentError
from tests.connectors.recorded_woocommerce import RecordedWooCommerce
from tests.connectors.support import clock, read, row
from tests.connectors.test_woocommerce import connector
from tests.connectors.transport import Call, Reply, session_factory


class SetUpShop(RecordedWooCommerce):
    """The recorded shop with other settings, and each row of a path changed by ``change``."""

    def __init__(self, settings: dict[str, str] | None = None) -> None:
        super().__init__()
        self.settings = settings or {}

    def __call__(self, call: Call) -> Reply:
        """Answer one call."""
        reply = super().__call__(call)
        if "/settings/" not in call.path or not isinstance(reply.body, bytes):
            return reply
        rows = [{**found, "value": self.settings.get(found["id"], found["value"])} for found in json.loads(reply.body)]
        return Reply(200, json.dumps(rows).encode(), reply.headers)

    def change(self, path: str, **changes: Any) -> None:
        """Change every row of a path."""
        self.rows[path] = [{**found, **changes} for found in self.rows[path]]


def price_of(shop: RecordedWooCommerce, item: str = "80") -> tuple[int | None, int | None]:
    """Regular price and VAT rate of an item."""
    frames = read(connector(shop), "products").frames
    price = row(frames["channel_price"], product_external_id=item)["regular_minor"]
    return price, row(frames["product"], product_external_id=item)["tax_rate_bp"]


NET = {"woocommerce_prices_include_tax": "no"}
EACH = {**NET, "woocommerce_tax_round_at_subtotal": "no"}
ONCE = {**NET, "woocommerce_tax_round_at_subtotal": "yes"}
WHOLE_EUROS = {**ONCE, "woocommerce_price_num_decimals": "0"}
UNTAXED = {**NET, "woocommerce_calc_taxes": "no"}
PRICES = [  # settings, the item, its price and rate as shown to a buyer
    (EACH, {"regular_price": "8.3249"}, 998, 2000),  # the tax, 1.66498, is rounded to 1.66 before it is added
    (ONCE, {"regular_price": "8.3249"}, 999, 2000),
    (EACH, {"regular_price": "8.3349"}, 1000, 2000),
    (EACH, {"regular_price": "8.264462809917"}, 991, 2000),
    (ONCE, {"regular_price": "8.264462809917"}, 992, 2000),
    (WHOLE_EUROS, {"regular_price": "8.3249"}, 1000, 2000),
    (EACH, {"regular_price": "7654321098.77"}, 918518531852, 2000),
    (EACH, {"regular_price": "25", "tax_class": "zero-rate"}, 2500, 0),  # a class without a rate
    (EACH, {"regular_price": "25", "tax_status": "shipping"}, 2500, 0),
    (EACH, {"regular_price": "25", "tax_status": "none"}, 2500, 0),
    (UNTAXED, {"regular_price": "25"}, 2500, 0),  # what a new shop does
    ({}, {"regular_price": "25", "tax_class": "zero-rate"}, 2500, 0),
    ({}, {"regular_price": "25"}, 2500, 2000),
]


@pytest.mark.parametrize(("settings", "item", "regular", "rate"), PRICES)
def test_a_price_is_the_one_that_the_shop_shows(
    settings: dict[str, str], item: dict[str, str], regular: int, rate: int
) -> None:
    shop = SetUpShop(settings)
    shop.change("/products", **item)
    assert price_of(shop) == (regular, rate)


def test_a_shop_without_any_rate_has_prices() -> None:
    shop = SetUpShop(NET)
    shop.rows["/taxes"] = []
    assert price_of(shop) == (2500, 0)


def test_a_variation_whose_parent_is_gone_has_no_guessed_tax() -> None:
    shop = SetUpShop(NET)
    shop.change("/variations", tax_class="parent")
    shop.rows["/products"] = [found for found in shop.rows["/products"] if found["id"] != 88]
    assert price_of(shop, "88-89") == (None, None)


def rate(number: int, percent: str, **changes: Any) -> dict[str, Any]:
    """A row of /taxes."""
    return {"id": number, "country": "FR", "rate": percent, "class": "standard", "priority": 1, **changes}


RATES = [  # rows of /taxes, millionths of the price by class
    ([rate(1, "20.0000")], {"": (200_000,)}),
    ([rate(1, "20.0000", city="PARIS")], {}),
    ([rate(1, "20.0000", cities=["PARIS"])], {}),
    ([rate(1, "20.0000", postcodes=["75001"])], {}),
    ([rate(1, "20.0000", state="IDF")], {}),
    ([rate(1, "8.5000", city="SAINT-DENIS"), rate(2, "20.0000")], {"": (200_000,)}),
    ([rate(1, "5.0000"), rate(2, "9.9750", priority=2)], {"": (50_000, 99_750)}),
    ([rate(1, "5.0000"), rate(2, "9.9750", priority=2, compound=True)], {"": (50_000, 104_738)}),
    ([rate(1, "17.0000", country=""), rate(2, "20.0000")], {"": (200_000,)}),
    ([rate(1, "17.0000", country="")], {"": (170_000,)}),
    ([rate(1, "20.0000", order=1), rate(2, "19.6000", order=0)], {"": (196_000,)}),
    ([rate(1, "21.0000", country="BE")], {}),
    ([rate(1, "5.5000", **{"class": "reduced-rate"})], {"reduced-rate": (55_000,)}),
]


@pytest.mark.parametrize(("rows", "expected"), RATES)
def test_rates_of_a_territory(rows: list[dict[str, Any]], expected: dict[str, tuple[int, ...]]) -> None:
    assert rates_of(msgspec.convert(rows, list[Rate]), "FR") == expected


def test_rates_of_two_priorities_are_rounded_each_and_added() -> None:
    shop = SetUpShop(NET)
    shop.rows["/taxes"] = [rate(1, "5.0000"), rate(2, "9.9750", priority=2)]
    shop.change("/products", regular_price="9.99", tax_class="")
    assert price_of(shop) == (999 + 50 + 100, 1498)


@pytest.mark.parametrize("path", ["/orders", "/products", "/variations", "/refunds", "/customers"])
def test_without_its_total_a_collection_is_not_read(path: str) -> None:
    shop = RecordedWooCommerce()

    def hiding(call: Call) -> Reply:
        reply = shop(call)
        if not call.path.endswith(path):
            return reply
        headers = {name: value for name, value in reply.headers.items() if name != "X-WP-Total"}
        return Reply(reply.status, reply.body, headers)

    stream = "products" if path == "/variations" else path.strip("/")
    with pytest.raises(PermanentError, match="X-WP-Total") as raised:
        read(connector(hiding), stream)
    assert "something between us and the shop" in str(raised.value.action)


class OldWooCommerce(RecordedWooCommerce):
    """A shop from before the common list of variations, whose variations say neither what they are nor whose."""

    def __init__(self) -> None:
        super().__init__()
        self.has_variations_list = False

    def variations_of(self, parent_id: int) -> list[dict[str, Any]]:
        """The variations of one product."""
        unknown = ("name", "type", "parent_id", "global_unique_id")
        return [
            {name: value for name, value in found.items() if name not in unknown}
            for found in super().variations_of(parent_id)
        ]


def test_variations_of_an_old_version_take_name_and_kind_from_their_parent() -> None:
    new = RecordedWooCommerce()
    new.has_variations_list = False
    found, expected = (read(connector(shop), "products") for shop in (OldWooCommerce(), new))
    assert found.rejects == []
    columns = found.frames["product"].drop("source_position", "gtin").columns
    assert found.frames["product"].select(columns).equals(expected.frames["product"].select(columns))


# ---------------------------------------------------------------- addresses and signatures


def plain_permalinks(shop: Callable[[Call], Reply]) -> Callable[[Call], Reply]:
    """A shop whose routes are in the query."""

    def answer(call: Call) -> Reply:
        if call.path != "/index.php":
            return Reply(404, b"<html>Not found</html>")
        query = dict(call.query)
        return shop(Call("/wp-json" + query.pop("rest_route"), query, call.headers))

    return answer


def test_a_shop_with_plain_permalinks_is_read() -> None:
    shop = plain_permalinks(RecordedWooCommerce())
    found = read(connector(shop, permalinks="plain"), "orders")
    assert found.landed_qty == found.reading.announced_qty == 49
    assert all(check.is_ok for check in connector(shop, permalinks="plain").check_access())
    with pytest.raises(PermanentError) as raised:
        read(connector(shop), "orders")
    assert "permalinks: plain" in str(raised.value.action)


SIGNED = [  # url in retailer.yaml, the shop's own home, path, what the shop checks the signature of
    ("http://shop.example", None, "/wp-json/wc/v3/orders", "http://shop.example/wp-json/wc/v3/orders"),
    (
        "http://10.0.0.5:8080",
        "https://shop.example",
        "/wp-json/wc/v3/orders",
        "http://shop.example/wp-json/wc/v3/orders",
    ),
    (
        "http://10.0.0.5/boutique",
        "http://shop.example/boutique/",
        "/wp-json/wc/v3/orders",
        "http://shop.example/boutique/wp-json/wc/v3/orders",
    ),
    (
        "http://10.0.0.5",
        "http://shop.example",
        "/index.php?etalon=/wp-json/wc/&rest_route=/wc/v3/orders",
        "http://shop.example/index.php",
    ),
]


@pytest.mark.parametrize(("url", "home_url", "path", "signed"), SIGNED)
def test_the_signature_covers_the_home_of_the_shop(url: str, home_url: str | None, path: str, signed: str) -> None:
    auth = OAuth1("ck", "cs", timestamp_s=lambda: 1795297693, url=url, home_url=home_url or url)
    request = requests.Request("GET", url + path, params={"_fields": "id,sku", "search": "a b"}, auth=auth).prepare()
    sent = urlsplit(request.url or "")
    given = parse_qsl(sent.query)
    parameters = [pair for pair in given if pair[0] != "oauth_signature"]
    assert dict(given)["oauth_signature"] == signature("GET", signed, parameters, "cs")
    assert (request.url or "").startswith(url + path), "what WooCommerce looks for in the address is left as it is"
    assert dict(given)["search"] == "a b"


@pytest.mark.parametrize("home_url", [None, "https://shop.example"])
def test_a_client_signs_with_the_declared_home(home_url: str | None) -> None:
    asked: list[Call] = []

    def shop(call: Call) -> Reply:
        asked.append(call)
        return Reply(200, b"[]")

    client = WooClient(
        "http://10.0.0.5",
        "ck",
        "cs",
        system_code="shop",
        clock=clock,
        session_factory=session_factory(shop),
        home_url=home_url,
    )
    client.get("/orders", {}, msgspec.json.Decoder(list[int]).decode)
    parameters = [pair for pair in asked[0].query.items() if pair[0] != "oauth_signature"]
    address = f"http://{'shop.example' if home_url else '10.0.0.5'}/wp-json/wc/v3/orders"
    assert asked[0].query["oauth_signature"] == signature("GET", address, parameters, "cs")


ADVICE = [  # status, body, what the action names
    (401, b'{"code":"woocommerce_rest_cannot_view","message":"x"}', ("Authorization", "X-Forwarded-Proto")),
    (401, b'{"code":"woocommerce_rest_authentication_error","message":"Invalid signature"}', ("home_url", "secret")),
    (404, b"<html>Not found</html>", ("permalinks: plain", "url")),
    (404, b'{"code":"rest_no_route","message":"x"}', ("too old",)),
]


@pytest.mark.parametrize(("status", "body", "named"), ADVICE)
def test_a_refusal_names_its_causes(status: int, body: bytes, named: tuple[str, ...]) -> None:
    verdict = judge(status, body)
    assert verdict is not None
    assert not verdict.is_retryable
    for word in named:
        assert word in str(verdict.action)
