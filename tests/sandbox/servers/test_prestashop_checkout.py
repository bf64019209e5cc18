"""A buyer in the sandbox's PrestaShop: what an order takes, costs and leaves behind, as a connector then reads it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from resources.connectors import prestashop
from sandbox.servers.prestashop import PrestaShopServer
from tests.connectors.support import TOKENISER, orders_off_their_total, read, retailer, row, system
from tests.connectors.tiny_shop import NOW, tiny_shop

KEY = "K" * 32


@pytest.fixture
def server() -> Any:
    running = PrestaShopServer(tiny_shop(), key=KEY, clock=lambda: NOW)
    running.start()
    yield running
    running.stop()


def test_an_order_takes_stock_and_is_read_as_any_other(server: PrestaShopServer) -> None:
    placed = server.place_order([(1, 2), (3, 1)])
    shown = server.shown()
    assert (shown["1"].quantity, shown["2-3"].quantity, shown["2-4"].quantity) == (3, 1, 0)
    stock = server.webservice.tables["stock_availables"]
    assert [stock.row(number)["quantity"] for number in stock.where("id_product", "2")] == ["1", "1", "0"]
    connector = prestashop.build(
        system("prestashop", url=server.url, key=KEY),
        retailer=retailer(),
        tokeniser=TOKENISER,
        clock=lambda: datetime.now(UTC),
    )
    orders = read(connector, "orders", now=NOW)
    assert orders_off_their_total(orders) == []
    head = row(orders.frames["order"], order_external_id=str(placed.order_id))
    # 2 at the promotion's 10.00, 1 at 15.90, delivery 4.90
    assert (head["order_number"], head["status"], head["total_minor"]) == (placed.number, "payable", 2000 + 1590 + 490)
    assert (head["ordered_at"], head["payable_at"], head["currency_code"]) == (NOW, NOW, "EUR")
    lines = orders.frames["order_line"].filter(order_external_id=str(placed.order_id)).sort("line_external_id")
    assert lines.select("product_external_id", "sku", "quantity", "unit_price_minor").rows() == [
        ("1", "A-1", 2, 1000),
        ("2-3", "A-2-S", 1, 1590),
    ]


def test_an_order_leaves_its_states_its_payment_and_its_parcel(server: PrestaShopServer) -> None:
    placed, tables = server.place_order([(1, 1)], shipping_minor=0), server.webservice.tables
    states = tables["order_histories"].where("id_order", str(placed.order_id))
    assert [tables["order_histories"].row(number)["id_order_state"] for number in states] == ["10", "2"]
    (payment,) = tables["order_payments"].where("order_reference", placed.number)
    assert tables["order_payments"].row(payment)["amount"] == "10.000000"
    assert len(tables["order_carriers"].where("id_order", str(placed.order_id))) == 1
    order = tables["orders"].row(placed.order_id)
    assert (order["valid"], order["total_paid_real"], order["invoice_number"] != "0") == ("1", "10.000000", True)


def test_an_order_that_waits_for_its_wire_is_not_paid(server: PrestaShopServer) -> None:
    placed = server.place_order([(1, 1)], is_paid=False)
    order = server.webservice.tables["orders"].row(placed.order_id)
    assert (order["current_state"], order["total_paid_real"], order["valid"]) == ("10", "0.000000", "0")


def test_numbers_of_orders_are_their_own(server: PrestaShopServer) -> None:
    numbers = {server.place_order([(1, 1)]).number for _ in range(5)}
    assert len(numbers) == 5
    assert all(len(number) == 9 and number.isalpha() and number.isupper() for number in numbers)


@pytest.mark.parametrize(
    ("lines", "reason"), [([(4, 1)], "cannot be had"), ([(99, 1)], "no item 99"), ([(1, 0)], "cannot")]
)
def test_what_nobody_can_buy_is_refused_and_takes_nothing(
    server: PrestaShopServer, lines: list[tuple[int, int]], reason: str
) -> None:
    before = server.shown()
    with pytest.raises(ValueError, match=reason):
        server.place_order([(1, 1), *lines])
    assert server.shown() == before


def test_a_shop_without_customers_sells_to_a_guest() -> None:
    data = tiny_shop()
    empty = type(data)(**{**data.__dict__, "orders": data.orders.clear(), "order_lines": data.order_lines.clear(),
                          "customers": data.customers.clear(), "refunds": data.refunds.clear(),
                          "refund_lines": data.refund_lines.clear()})  # fmt: skip
    server = PrestaShopServer(empty, key=KEY, clock=lambda: NOW)
    placed = server.place_order([(1, 1)])
    order = server.webservice.tables["orders"].row(placed.order_id)
    assert server.webservice.tables["customers"].row(int(order["id_customer"]))["is_guest"] == "1"
