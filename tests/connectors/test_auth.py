"""Signing, compared with a request that a real shop accepted."""

from __future__ import annotations

import requests

from resources.connectors.sdk.auth import BasicAuth, OAuth1, signature
from tests.connectors.transport import recording


def test_the_recorded_signature_is_found_again() -> None:
    query = recording("woocommerce", "oauth1_ok")["request"]["query"]
    parameters = [(name, value) for name, value in query.items() if name != "oauth_signature"]
    found = signature("GET", "http://shop.example/wp-json/wc/v3/products", parameters, "cs_" + "b" * 40)
    assert found == query["oauth_signature"]


def test_oauth_signs_each_attempt_with_a_new_nonce() -> None:
    auth = OAuth1("ck_" + "a" * 40, "cs_" + "b" * 40, timestamp_s=lambda: 1795297693)
    urls = set()
    for _ in range(2):
        request = requests.Request(
            "GET",
            "http://shop.example/wp-json/wc/v3/products",
            params={"_fields": "id,sku,price", "per_page": "2"},
            auth=auth,
        ).prepare()
        urls.add(request.url)
        assert "Authorization" not in request.headers
    assert len(urls) == 2


def test_oauth_writes_the_query_that_the_shop_accepted() -> None:
    query = recording("woocommerce", "oauth1_ok")["request"]["query"]
    auth = OAuth1(
        query["oauth_consumer_key"],
        "cs_" + "b" * 40,
        timestamp_s=lambda: int(query["oauth_timestamp"]),
        nonce=lambda: query["oauth_nonce"],
    )
    plain = {name: value for name, value in query.items() if not name.startswith("oauth_")}
    request = requests.Request("GET", "http://shop.example/wp-json/wc/v3/products", params=plain, auth=auth).prepare()
    assert "oauth_signature=qRTd84uNIKNyL5pxG0lSqfV36l%2FqrQqLNmhIc76H5wQ%3D" in (request.url or "")


def test_basic_is_a_header() -> None:
    request = requests.Request("GET", "https://shop.example/api/orders", auth=BasicAuth("WSKEY_DUMMY")).prepare()
    assert request.headers["Authorization"] == "Basic V1NLRVlfRFVNTVk6"
