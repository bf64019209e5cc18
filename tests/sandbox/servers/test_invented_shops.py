"""What an invented shop shows of its `ShopData`: amounts that add up, the retailer's tags, and the traps of each system."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import requests

from sandbox.servers import PrestaShopServer, WooCommerceServer
from sandbox.servers.oauth1 import signature
from sandbox.servers.table import Table
from tests.sandbox.servers.recorded import basic
from tests.sandbox.servers.shops import NOW, prestashop_like, woocommerce_like

KEY, SECRET = "K" * 32, "cs_secret"
TLS = {"Authorization": basic(f"{KEY}:{SECRET}"), "X-Forwarded-Proto": "https"}
API = "/wp-json/wc/v3"


@pytest.fixture
def prestashop() -> Iterator[str]:
    server = PrestaShopServer(prestashop_like(), key=KEY, read_only_key="R" * 32, clock=lambda: NOW)
    yield f"{server.start()}/api"
    server.stop()


@pytest.fixture
def woocommerce() -> Iterator[str]:
    server = WooCommerceServer(woocommerce_like(), key=KEY, secret=SECRET, clock=lambda: NOW)
    yield server.start()
    server.stop()


def rows(url: str, resource: str, **query: str) -> list[dict[str, Any]]:
    """Full rows of a PrestaShop list."""
    params = {"display": "full", "output_format": "JSON", "ws_key": KEY, **query}
    document = requests.get(f"{url}/{resource}", params=params, timeout=5).json()
    held: list[dict[str, Any]] = next(iter(document.values())) if document else []
    return held


def woo(url: str, path: str, **query: str) -> Any:
    """A WooCommerce document."""
    return requests.get(f"{url}{API}/{path}", params=query, headers=TLS, timeout=5).json()


def write(url: str, resource: str, method: str, body: str, key: str = KEY) -> requests.Response:
    """A PrestaShop write."""
    params = {"output_format": "JSON", "ws_key": key}
    return requests.request(
        method, f"{url}/{resource}", params=params, data=f"<prestashop>{body}</prestashop>", timeout=5
    )


def test_prestashop_orders_add_up(prestashop: str) -> None:
    lines = rows(prestashop, "order_details")
    for order in rows(prestashop, "orders"):
        own = [line for line in lines if line["id_order"] == str(order["id"])]
        assert sum(Decimal(line["total_price_tax_incl"]) for line in own) == Decimal(order["total_products_wt"])
        total = Decimal(order["total_products_wt"]) + Decimal(order["total_shipping_tax_incl"])
        total += Decimal(order["total_wrapping_tax_incl"]) - Decimal(order["total_discounts_tax_incl"])
        assert total == Decimal(order["total_paid_tax_incl"])


def test_prestashop_notes_carry_the_tags(prestashop: str) -> None:
    notes = {order["id"]: (order["module"], order["note"]) for order in rows(prestashop, "orders")}
    assert notes[28] == ("mkpconnector", "mkp:MKP-77")
    assert notes[26] == ("ps_wirepayment", "cancel:stock")
    assert notes[29][1] == "pickup:S01"
    assert notes[19][1] == "promise:2026-11-22T21:59:30Z"
    assert notes[27][1] == "preorder:2026-12-21T21:59:30Z replaces:R000123"
    assert notes[30][1] == "short:49:1:seller:2026-11-21T21:59:30Z"


def test_prestashop_computed_prices_are_the_shop_data_prices(prestashop: str) -> None:
    query = {"display": "[id,ttc]", "price[ttc][use_tax]": "1"}
    prices = {row["id"]: row["ttc"] for row in rows(prestashop, "products", **query)}
    assert prices[25] == "45.000000"  # reduced now
    assert prices[26] == "25.000000"  # reduced later
    assert prices[1] == "29.520000"  # no longer reduced
    assert prices[21] == "9.900000"
    combinations = {row["id"]: row["ttc"] for row in rows(prestashop, "combinations", **query)}
    assert combinations[3] == "31.140000"


def test_prestashop_order_of_nobody_has_a_guest(prestashop: str) -> None:
    order = rows(prestashop, "orders", **{"filter[id]": "30"})[0]
    guest = rows(prestashop, "customers", **{"filter[id]": order["id_customer"]})[0]
    assert (guest["email"], guest["is_guest"]) == ("passage@example.com", "1")


def test_prestashop_deleted_product_leaves_its_line(prestashop: str) -> None:
    line = rows(prestashop, "order_details", **{"filter[id_order]": "25"})[0]
    assert (line["product_reference"], line["product_name"]) == ("GONE-01", "Produit supprimé")
    assert rows(prestashop, "products", **{"filter[id]": line["product_id"]}) == []


def test_prestashop_sum_row_stays_wrong_until_a_combination_is_written(prestashop: str) -> None:
    stock = {
        row["id_product_attribute"]: row for row in rows(prestashop, "stock_availables", **{"filter[id_product]": "1"})
    }
    total = int(stock["0"]["quantity"])
    sum_row = f"<stock_available><id>{stock['0']['id']}</id><quantity>5000</quantity></stock_available>"
    assert write(prestashop, "stock_availables", "PATCH", sum_row).status_code == 200
    shown = rows(prestashop, "stock_availables", **{"filter[id]": str(stock["0"]["id"])})[0]
    assert shown["quantity"] == "5000"
    part = f"<stock_available><id>{stock['2']['id']}</id><quantity>10</quantity></stock_available>"
    write(prestashop, "stock_availables", "PATCH", part)
    shown = rows(prestashop, "stock_availables", **{"filter[id]": str(stock["0"]["id"])})[0]
    assert int(shown["quantity"]) == total + 1


def test_prestashop_sort_by_a_date_needs_date_1(prestashop: str) -> None:
    params = {"display": "[id]", "sort": "[date_upd_ASC]", "output_format": "JSON", "ws_key": KEY}
    assert requests.get(f"{prestashop}/orders", params=params, timeout=5).status_code == 500
    assert requests.get(f"{prestashop}/orders", params={**params, "date": "1"}, timeout=5).status_code == 200


def test_prestashop_read_only_key(prestashop: str) -> None:
    body = "<stock_available><id>1</id><quantity>1</quantity></stock_available>"
    refused = write(prestashop, "stock_availables", "PATCH", body, key="R" * 32)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (405, 25)


def test_answers_do_not_wait_for_acknowledgements(prestashop: str) -> None:
    session = requests.Session()
    params = {"display": "full", "output_format": "JSON", "ws_key": KEY}
    session.get(f"{prestashop}/orders", params=params, timeout=5)
    began = time.perf_counter()
    for _ in range(50):
        session.get(f"{prestashop}/orders", params=params, timeout=5)
    assert time.perf_counter() - began < 50 * 0.04


def test_woocommerce_orders_and_refunds_add_up(woocommerce: str) -> None:
    for order in woo(woocommerce, "orders", per_page="100"):
        parts = [line for kind in ("line_items", "shipping_lines", "fee_lines") for line in order[kind]]
        assert sum(Decimal(line["total"]) + Decimal(line["total_tax"]) for line in parts) == Decimal(order["total"])
        assert sum(Decimal(line["total_tax"]) for line in parts) == Decimal(order["total_tax"])
        discount = sum(Decimal(line["subtotal"]) - Decimal(line["total"]) for line in order["line_items"])
        assert discount == Decimal(order["discount_total"])
    for refund in woo(woocommerce, "refunds"):
        parts = [*refund["line_items"], *refund["shipping_lines"]]
        assert -sum(Decimal(line["total"]) + Decimal(line["total_tax"]) for line in parts) == Decimal(refund["amount"])


def test_woocommerce_meta_carries_the_tags(woocommerce: str) -> None:
    def meta(row: dict[str, Any]) -> dict[str, str]:
        return {one["key"]: one["value"] for one in row["meta_data"]}

    orders = {order["id"]: order for order in woo(woocommerce, "orders", per_page="100")}
    assert meta(orders[96]) == {"_pickup_location": "S11"}
    assert set(meta(orders[103])) == {"_promised_ship_by_gmt", "_available_from_gmt", "_replaces_return"}
    assert meta(orders[107])["_cancel_reason"] == "stock"
    line = next(line for line in orders[96]["line_items"] if line["id"] == 130)
    assert (meta(line)["_cancelled_qty"], meta(line)["_cancel_reason"]) == ("1", "stock")
    assert meta(woo(woocommerce, "refunds", include="66")[0])["_return_id"] == "R000066"


def test_woocommerce_variations_show_their_parent(woocommerce: str) -> None:
    shown = {row["id"]: row for row in woo(woocommerce, "products/88/variations", per_page="100")}
    assert shown[92]["sku"] == "SHOE-01"
    assert (shown[90]["manage_stock"], shown[90]["stock_quantity"]) == ("parent", 40)
    assert shown[95]["stock_status"] == "onbackorder"


def test_woocommerce_doubled_hour_is_told_apart_by_gmt(woocommerce: str) -> None:
    early, late = (woo(woocommerce, f"orders/{number}") for number in (113, 114))
    assert early["date_created"] == late["date_created"] == "2026-10-25T02:30:00"
    assert (early["date_created_gmt"], late["date_created_gmt"]) == ("2026-10-25T00:30:00", "2026-10-25T01:30:00")


def test_woocommerce_cancelling_gives_stock_back(woocommerce: str) -> None:
    before = woo(woocommerce, "products/82")["stock_quantity"]
    requests.put(f"{woocommerce}{API}/orders/113", json={"status": "cancelled"}, headers=TLS, timeout=5)
    assert woo(woocommerce, "products/82")["stock_quantity"] == before + 1


def test_woocommerce_refunding_an_order_leaves_an_amount_only_refund(woocommerce: str) -> None:
    requests.put(f"{woocommerce}{API}/orders/114", json={"status": "refunded"}, headers=TLS, timeout=5)
    refunds = woo(woocommerce, "orders/114/refunds")
    assert [(refund["amount"], refund["reason"], refund["line_items"]) for refund in refunds] == [
        ("9.90", "Order fully refunded.", [])
    ]


@pytest.mark.parametrize("is_behind_tls_header", [True, False])
def test_woocommerce_basic_wants_tls(is_behind_tls_header: bool) -> None:
    server = WooCommerceServer(
        woocommerce_like(), key=KEY, secret=SECRET, behind_tls_header=is_behind_tls_header, clock=lambda: NOW
    )
    url = f"{server.start()}{API}/orders"
    plain = requests.get(url, headers={"Authorization": TLS["Authorization"]}, timeout=5)
    forwarded = requests.get(url, headers=TLS, timeout=5)
    server.stop()
    assert plain.status_code == 401
    assert forwarded.status_code == (200 if is_behind_tls_header else 401)


@pytest.mark.parametrize("algorithm", ["HMAC-SHA256", "HMAC-SHA1"])
def test_woocommerce_signed_request_over_plain_http(woocommerce: str, algorithm: str) -> None:
    url = f"{woocommerce}{API}/orders"
    query = [
        ("per_page", "5"),
        ("modified_after", "2026-01-01T00:00:00Z"),
        ("oauth_consumer_key", KEY),
        ("oauth_nonce", algorithm),
        ("oauth_signature_method", algorithm),
        ("oauth_timestamp", str(int(datetime.now(UTC).timestamp()))),
    ]
    signed = [*query, ("oauth_signature", signature("GET", url, query, SECRET, algorithm))]
    assert requests.get(url, params=signed, timeout=5).status_code == 200
    assert requests.get(url, params=[*query, ("oauth_signature", "x")], timeout=5).status_code == 401


def test_a_table_draws_rows_once_and_shows_what_is_written() -> None:
    drawn: list[int] = []

    def draw(number: int) -> dict[str, Any]:
        drawn.append(number)
        return {"id": number, "colour": "red"}

    table = Table([1, 2, 3], draw, columns={"colour": ["red", "red", "red"]})
    assert (table.where("colour", "red"), drawn) == ([1, 2, 3], [])
    assert table.encoded(2) == table.encoded(2) == b'{"id":2,"colour":"red"}'
    assert drawn == [2]
    table.put(2, {"id": 2, "colour": "blue"})
    table.delete(3)
    table.put(table.next_id(), {"id": 4, "colour": "red"})
    assert (table.ids(), table.where("colour", "red"), table.encoded(2)) == (
        [1, 2, 4],
        [1, 4],
        b'{"id":2,"colour":"blue"}',
    )
    assert 3 not in table
    with pytest.raises(KeyError):
        table.row(3)
