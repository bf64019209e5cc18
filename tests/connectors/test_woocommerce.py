"""The WooCommerce connector on the recorded shop: every stream keeps its contract, and each trap of the recordings is told by a row."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resources.connectors.registry import build_connector, connector_modules
from resources.connectors.sdk.stream import RawRow, Reject
from resources.connectors.woocommerce import WooCommerceConnector, build
from resources.connectors.woocommerce.client import scrub
from resources.errors import ConfigurationError, PermanentError
from tests.connectors.recorded_woocommerce import RecordedWooCommerce
from tests.connectors.support import (
    NOW,
    TOKENISER,
    Whole,
    assert_keeps_contract,
    clock,
    orders_off_their_total,
    read,
    retailer,
    row,
    stream_of,
    system,
)
from tests.connectors.transport import Call, Reply, recorded_rows, session_factory

STREAMS = ("products", "orders", "refunds", "customers")


def connector(shop: Callable[[Call], Reply], **changes: Any) -> WooCommerceConnector:
    """A connector of a recorded shop."""
    return build(
        system("woocommerce", **changes),
        retailer=retailer(),
        tokeniser=TOKENISER,
        clock=clock,
        session_factory=session_factory(shop),
        sleep=lambda seconds: None,
    )


@pytest.fixture(scope="module")
def whole() -> dict[str, Whole]:
    """Every stream of the recorded shop, read once."""
    reader = connector(RecordedWooCommerce())
    return {name: read(reader, name) for name in STREAMS}


@pytest.mark.parametrize(("stream", "qty"), [("products", 30 + 14), ("orders", 49), ("refunds", 11), ("customers", 16)])
def test_announced_equals_landed(whole: dict[str, Whole], stream: str, qty: int) -> None:
    found = whole[stream]
    assert (found.reading.announced_qty, found.received_qty, found.landed_qty, found.rejects) == (qty, qty, qty, [])
    assert found.reading.is_full
    assert found.reading.watermark_at == datetime(2026, 11, 21, 21, 47, 52, tzinfo=UTC), "the shop's own clock"


@pytest.mark.parametrize("stream", STREAMS)
def test_every_frame_keeps_its_contract(whole: dict[str, Whole], stream: str) -> None:
    declared = stream_of(connector(RecordedWooCommerce()), stream)
    assert set(whole[stream].frames) == set(declared.entities)
    for entity, frame in whole[stream].frames.items():
        assert_keeps_contract(entity, frame)


def test_lines_shipping_and_fees_make_the_total(whole: dict[str, Whole]) -> None:
    assert orders_off_their_total(whole["orders"]) == []


ITEMS = [  # item, expected columns of product
    ("75", {"sku": None, "kind": "simple", "name": "Écharpe sans référence", "category_code": "Vêtements d'été"}),
    ("77", {"name": 'Bottes "Pluie" caoutchouc'}),
    ("79", {"gtin": "3760123456784", "category_code": "Robes & jupes"}),
    ("82", {"sku": "MUG-01"}),
    ("83", {"sku": "MUG-01"}),  # the same SKU twice: both are kept, the referential judges
    ("85", {"is_active": False}),  # draft
    ("86", {"is_active": False}),  # private
    ("88", {"kind": "parent", "sku": "SHOE-01"}),
    ("88-92", {"kind": "variant", "sku": None, "parent_external_id": "88", "name": "Bottine Élise - 39 ½, Noir"}),
    ("88-89", {"sku": "SHOE-01-38-N", "category_code": "Vêtements d'été"}),
    ("88-94", {"is_active": False}),  # a private variation
    ("22", {"kind": "service"}),
    ("32", {"kind": "parent"}),  # grouped: not sold itself
    ("12", {"weight_g": 907}),  # 2 lbs: the recorded shop weighs in pounds
    ("76", {"tax_rate_bp": 0, "is_stock_tracked": False}),
    ("81", {"tax_rate_bp": 550}),
]


@pytest.mark.parametrize(("item", "expected"), ITEMS)
def test_products(whole: dict[str, Whole], item: str, expected: dict[str, Any]) -> None:
    found = row(whole["products"].frames["product"], product_external_id=item)
    assert {name: found[name] for name in expected} == expected


STOCKS = [  # item, quantity, managed, published, backorder
    ("76", None, False, True, False),
    ("77", 2, True, True, True),
    ("78", -5, True, True, True),
    ("85", None, False, False, False),
    ("88-90", 40, True, True, False),  # manage_stock "parent": the parent's 40
    ("88-89", 4, True, True, False),
    ("88-94", 5, True, False, False),
    ("88-95", 0, True, True, True),
]


@pytest.mark.parametrize(("item", "qty", "is_managed", "is_published", "is_backorder"), STOCKS)
def test_stock(
    whole: dict[str, Whole], item: str, qty: int | None, is_managed: bool, is_published: bool, is_backorder: bool
) -> None:
    found = row(whole["products"].frames["channel_stock"], product_external_id=item)
    assert (found["published_qty"], found["is_stock_managed"]) == (qty, is_managed)
    assert (found["is_published"], found["is_backorder_allowed"]) == (is_published, is_backorder)


PRICES = [  # item, regular, effective, promotion price, start, end (exclusive)
    ("12", 4500, 4500, None, None, None),
    ("14", 2000, 1800, 1800, None, None),
    ("79", 6000, 4500, 4500, datetime(2026, 11, 14, 23, tzinfo=UTC), datetime(2026, 11, 30, 23, tzinfo=UTC)),
    ("80", 2500, 2500, 1900, datetime(2026, 12, 19, 23, tzinfo=UTC), datetime(2027, 1, 5, 23, tzinfo=UTC)),
    ("81", 3900, 3900, 2000, datetime(2026, 5, 31, 22, tzinfo=UTC), datetime(2026, 8, 31, 22, tzinfo=UTC)),
    ("88-89", 12000, 9900, 9900, datetime(2026, 11, 19, 23, tzinfo=UTC), datetime(2026, 11, 28, 23, tzinfo=UTC)),
    ("88-94", None, None, None, None, None),  # private, without a price
]


@pytest.mark.parametrize(("item", "regular", "effective", "promotion", "starts", "ends"), PRICES)
def test_prices(
    whole: dict[str, Whole],
    item: str,
    regular: int | None,
    effective: int | None,
    promotion: int | None,
    starts: datetime | None,
    ends: datetime | None,
) -> None:
    found = row(whole["products"].frames["channel_price"], product_external_id=item)
    assert (found["regular_minor"], found["effective_minor"], found["promotion_minor"]) == (
        regular,
        effective,
        promotion,
    )
    assert (found["promotion_starts_at"], found["promotion_ends_at"], found["currency_code"]) == (starts, ends, "EUR")


ORDERS = [  # order, expected columns
    ("96", {"total_minor": 27703, "tax_minor": 3452, "fee_minor": 75, "shipping_minor": 588, "status": "payable"}),
    ("101", {"shipping_minor": 490, "tax_minor": 0, "status": "shipped"}),
    ("102", {"customer_external_id": None, "status": "on_hold", "payable_at": None, "country_code": "FR"}),  # a guest
    ("103", {"currency_code": "USD", "total_minor": 6895}),
    ("105", {"status": "pending", "payable_at": None}),
    ("106", {"status": "failed"}),
    ("107", {"status": "cancelled", "cancel_reason": "customer"}),
    ("108", {"status": "refunded"}),
    ("110", {"total_minor": 0}),
    ("113", {"ordered_at": datetime(2026, 10, 25, 0, 30, tzinfo=UTC)}),  # 02:30 the first time
    ("114", {"ordered_at": datetime(2026, 10, 25, 1, 30, tzinfo=UTC)}),  # 02:30 the second time
]


@pytest.mark.parametrize(("order", "expected"), ORDERS)
def test_orders(whole: dict[str, Whole], order: str, expected: dict[str, Any]) -> None:
    found = row(whole["orders"].frames["order"], order_external_id=order)
    assert {name: found[name] for name in expected} == expected


LINES = [  # order, line, expected columns
    ("112", "171", {"product_external_id": None, "sku": None, "name": "Produit supprimé", "quantity": 2}),
    ("96", "129", {"product_external_id": "88-89", "net_minor": 7355, "tax_minor": 1471}),
    ("97", "138", {"quantity": 4, "net_minor": 3300, "tax_minor": 660, "unit_price_minor": 990}),
    ("97", "139", {"sku": None}),
]


@pytest.mark.parametrize(("order", "line", "expected"), LINES)
def test_order_lines(whole: dict[str, Whole], order: str, line: str, expected: dict[str, Any]) -> None:
    found = row(whole["orders"].frames["order_line"], order_external_id=order, line_external_id=line)
    assert {name: found[name] for name in expected} == expected


REFUNDS = [  # refund, order, amount, delivery fee, number of lines
    ("115", "97", 990, 0, 1),
    ("116", "101", 490, 490, 0),
    ("117", "98", 500, 0, 0),  # an amount only
    ("118", "99", 5088, 0, 0),
    ("119", "100", 36585, 588, 2),
    ("109", "108", 4500, 0, 0),  # made by the shop itself
]


@pytest.mark.parametrize(("refund", "order", "amount", "shipping", "line_qty"), REFUNDS)
def test_refunds(whole: dict[str, Whole], refund: str, order: str, amount: int, shipping: int, line_qty: int) -> None:
    found = row(whole["refunds"].frames["refund"], refund_external_id=refund)
    assert (found["order_external_id"], found["order_number"], found["currency_code"]) == (order, order, "EUR")
    assert (found["amount_minor"], found["shipping_minor"]) == (amount, shipping)
    lines = whole["refunds"].frames["refund_line"].filter(pl.col("refund_external_id") == refund)
    assert lines.height == line_qty


def test_a_refund_line_points_back(whole: dict[str, Whole]) -> None:
    found = row(whole["refunds"].frames["refund_line"], refund_external_id="115")
    assert (found["order_line_external_id"], found["product_external_id"]) == ("138", "82")
    assert (found["quantity"], found["net_minor"], found["tax_minor"]) == (1, 825, 165)


def test_personal_values_are_tokens_and_kept_apart(whole: dict[str, Whole]) -> None:
    found = row(whole["orders"].frames["order"], order_external_id="102")
    assert found["email_token"] == TOKENISER.email("zoe.lefevre@example.com")
    assert (TOKENISER.email("zoe.lefevre@example.com"), "email", "zoe.lefevre@example.com") in whole["orders"].personal
    for stream in STREAMS:
        for frame in whole[stream].frames.values():
            assert "example.com" not in frame.write_json()


def test_keys_of_orders_are_not_kept(whole: dict[str, Whole]) -> None:
    bodies = b"".join(body for _, body in whole["orders"].raw)
    assert b"wc_order_" not in bodies
    assert b'"order_key":""' in bodies.replace(b'"order_key": ""', b'"order_key":""')


@pytest.mark.parametrize("value", ["wc_order_a", 'wc_order_"a" "b"', "wc_order_\\", "", None])
def test_no_key_of_an_order_breaks_the_page_it_is_taken_out_of(value: str | None) -> None:
    page = [{"id": 1, "order_key": "wc_order_x", "payment_url": value}, {"order_key": value, "id": 2}]
    taken = value and ""
    expected = [{"id": 1, "order_key": "", "payment_url": taken}, {"order_key": taken, "id": 2}]
    assert json.loads(scrub(json.dumps(page, separators=(",", ":")).encode())) == expected


# ---------------------------------------------------------------- what moves, what is broken


def order_row(number: int, **changes: Any) -> dict[str, Any]:
    """A recorded order under another number, changed."""
    base = next(found for found in recorded_rows("woocommerce", "orders") if found["id"] == 97)
    copy: dict[str, Any] = json.loads(json.dumps({**base, "id": number, "number": str(number), **changes}))
    return copy


def shop_of(orders: list[dict[str, Any]]) -> RecordedWooCommerce:
    """A recorded shop with these orders only."""
    shop = RecordedWooCommerce()
    shop.rows["/orders"] = orders
    return shop


def broken_line(**changes: Any) -> dict[str, Any]:
    """An order of which the first line is changed."""
    order = order_row(5)
    order["line_items"][0] |= changes
    return order


BROKEN = [  # a broken order, the rule it breaks, the entity refused, whether the order is refused
    (order_row(5, total="1105,395"), "money", "order", True),
    (order_row(5, date_created_gmt="2026-13-01T00:00:00"), "date", "order", True),
    (order_row(5, customer_id="abc"), "shape", "order", True),
    (order_row(5, fee_lines=[{"total": "x", "total_tax": "0"}]), "money", "order", True),
    (broken_line(quantity=1.5), "shape", "order_line", False),
    (broken_line(total="12,5"), "money", "order_line", False),
]


@pytest.mark.parametrize(("order", "rule", "entity", "is_root"), BROKEN)
def test_a_broken_row_is_refused_with_its_text_and_the_others_go_on(
    order: dict[str, Any], rule: str, entity: str, is_root: bool
) -> None:
    found = read(connector(shop_of([order_row(1), order_row(2), order, order_row(9)])), "orders")
    (reject,) = found.rejects
    assert isinstance(reject, Reject)
    assert (reject.rule, reject.entity, reject.is_root) == (rule, entity, is_root)
    assert "orders page 1 row 3" in reject.position
    assert json.loads(reject.raw)["id"] == 5, "a refused line keeps its whole order, to be replayed"
    assert found.reading.announced_qty == found.landed_qty + sum(reject.is_root for reject in found.rejects) == 4
    kept = found.frames["order"]["order_external_id"].to_list()
    assert kept == (["1", "2", "9"] if is_root else ["1", "2", "5", "9"])
    of_broken = found.frames["order_line"].filter(pl.col("order_external_id") == "5").height
    assert of_broken == (0 if is_root else 1)


def test_replayed_rows_keep_their_positions() -> None:
    reader = connector(shop_of([order_row(1), order_row(5, total="x")]))
    reject = read(reader, "orders").rejects[0]
    mended = RawRow(reject.position, reject.raw.replace('"total": "x"', '"total": "75.38"'), "")
    batch = reader.replay(stream_of(reader, "orders"), [mended], now=NOW)
    assert batch.frames["order"]["source_position"].to_list() == [reject.position]
    assert batch.frames["order"]["total_minor"].to_list() == [7538]
    again = reader.replay(stream_of(reader, "orders"), [RawRow(reject.position, reject.raw, "")], now=NOW)
    assert [refused.position for refused in again.rejects] == [reject.position]


def test_a_refused_line_is_replayed_with_its_order() -> None:
    order = broken_line(quantity=1.5)
    order["line_items"][1] |= {"id": "x"}
    reader = connector(shop_of([order]))
    first = read(reader, "orders")
    assert first.frames["order_line"].height == 0
    whole = json.dumps(order_row(5))
    mended = [RawRow(reject.position, whole, reject.context) for reject in first.rejects]
    batch = reader.replay(stream_of(reader, "orders"), mended, now=NOW)
    assert [reject.position for reject in first.rejects] == ["orders page 1 row 1 line 1", "orders page 1 row 1 line 2"]
    assert (batch.received_qty, list(batch.rejects)) == (1, [])
    assert batch.frames["order"].height == 1
    assert batch.frames["order_line"]["line_external_id"].to_list() == ["138", "139"]
    half = [RawRow(reject.position, reject.raw.replace("1.5", "1"), reject.context) for reject in first.rejects]
    again = reader.replay(stream_of(reader, "orders"), half, now=NOW)
    assert [(reject.position, reject.is_root) for reject in again.rejects] == [("orders page 1 row 1 line 2", False)]
    assert again.frames["order_line"]["line_external_id"].to_list() == ["138"]
    broken = [
        RawRow(row.position, row.raw.replace('"currency": "EUR"', '"currency": 1'), row.context) for row in mended
    ]
    refused = reader.replay(stream_of(reader, "orders"), broken, now=NOW)
    assert [(reject.position, reject.is_root) for reject in refused.rejects] == [
        ("orders page 1 row 1", True),
        ("orders page 1 row 1 line 1", False),
        ("orders page 1 row 1 line 2", False),
    ]


PAID, DONE = "2026-11-01T10:00:00", "2026-11-02T10:00:00"
STATUSES = [  # status in the shop, when paid, when completed, statuses in retailer.yaml, our status, whether it is told
    ("dispatched", PAID, None, {"dispatched": "shipped"}, "shipped", False),
    ("dispatched", PAID, None, {"wc-dispatched": "shipped"}, "shipped", False),
    ("completed", PAID, DONE, {"completed": "delivered"}, "delivered", False),
    ("completed", PAID, DONE, {}, "shipped", False),
    ("my-plugin", PAID, DONE, {}, "shipped", True),
    ("my-plugin", PAID, None, {}, "payable", True),
    ("my-plugin", None, None, {}, "pending", True),
]


@pytest.mark.parametrize(("status", "paid", "completed", "declared", "expected", "is_told"), STATUSES)
def test_an_order_in_a_state_of_a_plugin_is_kept(
    status: str, paid: str | None, completed: str | None, declared: dict[str, str], expected: str, is_told: bool
) -> None:
    order = order_row(5, status=status, date_paid_gmt=paid, date_completed_gmt=completed)
    found = read(connector(shop_of([order, order_row(6)]), statuses=declared), "orders")
    head = row(found.frames["order"], order_external_id="5")
    assert (head["status"], found.rejects) == (expected, [])
    assert head["payable_at"] == (datetime(2026, 11, 1, 10, tzinfo=UTC) if paid else None)
    assert any(status in note and "`statuses`" in note for note in found.reading.notes) == is_told


def test_check_access_lists_the_states_it_does_not_know() -> None:
    shop = RecordedWooCommerce()

    def with_plugin(call: Call) -> Reply:
        if call.path.endswith("/orders/statuses"):
            return Reply(200, b'[{"slug":"processing","name":"a"},{"slug":"wc-dispatched","name":"b"}]')
        return shop(call)

    def old(call: Call) -> Reply:
        if call.path.endswith("/orders/statuses"):
            return Reply(404, b'{"code":"rest_no_route","message":"No route"}')
        if call.path.endswith("/reports/orders/totals"):
            return Reply(200, b'[{"slug":"dispatched","name":"b","total":3}]')
        return shop(call)

    def told(answers: Callable[[Call], Reply], **changes: Any) -> str:
        checks = {check.subject: check for check in connector(answers, **changes).check_access()}
        return checks["order statuses"].detail

    assert told(shop) == "all 8 are known"
    for answers in (with_plugin, old):
        assert told(answers).startswith("not known: dispatched;")
    assert "are known" in told(with_plugin, statuses={"dispatched": "shipped"})


def test_free_text_of_refunds_is_sealed() -> None:
    declared = {stream.name: stream.has_personal_data for stream in connector(RecordedWooCommerce()).streams()}
    assert declared == {"products": False, "orders": True, "refunds": True, "customers": True}


def test_tags_of_orders_and_lines() -> None:
    tags = {
        "_pickup_location": "S01",
        "_promised_ship_by_gmt": "2026-05-01T12:00:00Z",
        "_available_from_gmt": "2026-05-02T12:00:00",
        "_replaces_return": "R000123",
        "_cancel_reason": "stock",
        "_cancelled_at_gmt": "2026-05-03T12:00:00",
        "_other": {"id": 1},
    }
    order = order_row(
        1, status="cancelled", meta_data=[{"id": 1, "key": key, "value": value} for key, value in tags.items()]
    )
    short = {"_cancelled_qty": "1", "_cancel_reason": "seller", "_cancelled_at_gmt": "2026-05-01T10:00:00"}
    order["line_items"][0]["meta_data"] = [{"id": 1, "key": key, "value": value} for key, value in short.items()]
    found = read(connector(shop_of([order])), "orders")
    head = found.frames["order"].row(0, named=True)
    assert (head["location_code"], head["fulfilment_method"], head["replaces_return_id"]) == (
        "S01",
        "pickup",
        "R000123",
    )
    assert head["promised_ship_by_at"] == datetime(2026, 5, 1, 12, tzinfo=UTC)
    assert (head["cancel_reason"], head["cancelled_at"]) == ("stock", datetime(2026, 5, 3, 12, tzinfo=UTC))
    line = found.frames["order_line"].row(0, named=True)
    assert (line["cancelled_qty"], line["cancel_reason"]) == (1, "seller")
    untagged = read(connector(shop_of([order]), order_tags=False), "orders").frames["order"].row(0, named=True)
    assert (untagged["location_code"], untagged["cancel_reason"]) == (None, "customer")


def test_an_incremental_read_asks_in_utc_from_a_second_before() -> None:
    shop = RecordedWooCommerce()
    since = datetime(2026, 11, 21, 21, 47, 49, tzinfo=UTC)
    found = read(connector(shop), "orders", since_at=since)
    expected = [
        r["id"] for r in recorded_rows("woocommerce", "orders") if r["date_modified_gmt"] >= "2026-11-21T21:47:49"
    ]
    assert sorted(map(int, found.frames["order"]["order_external_id"])) == expected
    assert not found.reading.is_full
    query = next(call.query for call in shop.calls if call.path.endswith("/orders"))
    assert (query["modified_after"], query["dates_are_gmt"]) == ("2026-11-21T21:47:48", "true")


@given(st.integers(1, 60), st.integers(1, 6))
@settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_page_size_and_threads_change_nothing(whole: dict[str, Whole], page_size: int, workers: int) -> None:
    reader = connector(RecordedWooCommerce(), page_size=page_size, workers=workers)
    for stream in STREAMS:
        found = read(reader, stream)
        assert found.personal == whole[stream].personal
        for entity, frame in found.frames.items():
            assert frame.drop("source_position").equals(whole[stream].frames[entity].drop("source_position"))


@pytest.mark.parametrize("moves", ["a row appears", "a row disappears", "a row appears in front"])
def test_a_set_that_moves_loses_nothing(moves: str) -> None:
    shop = shop_of([order_row(number) for number in range(10, 40)])

    def moving(call: Call) -> Reply:
        reply = shop(call)
        if call.path.endswith("/orders") and call.query.get("page") == "2":
            if moves == "a row disappears":
                shop.rows["/orders"] = [found for found in shop.rows["/orders"] if found["id"] != 12]
            elif not any(found["id"] in (5, 99) for found in shop.rows["/orders"]):
                shop.rows["/orders"].append(order_row(5 if moves.endswith("front") else 99))
        return reply

    found = read(connector(moving, page_size=5, workers=1), "orders")
    ids = found.frames["order"]["order_external_id"].to_list()
    assert len(ids) == len(set(ids)), "each row once"
    assert {str(number) for number in range(10, 40)} <= set(ids)
    assert found.reading.announced_qty == found.landed_qty


def test_rows_that_the_shop_hides_are_missed() -> None:
    shop = RecordedWooCommerce()

    def hiding(call: Call) -> Reply:
        reply = shop(call)
        if call.path.endswith("/orders") and isinstance(reply.body, bytes):
            return Reply(200, json.dumps([r for r in json.loads(reply.body) if r["id"] != 60]).encode(), reply.headers)
        return reply

    found = read(connector(hiding), "orders")
    assert (found.reading.announced_qty, found.landed_qty) == (49, 48), "the runner then keeps its cursor"


def test_an_older_version_without_a_common_list_of_variations(whole: dict[str, Whole]) -> None:
    shop = RecordedWooCommerce()
    shop.has_variations_list = False
    found = read(connector(shop), "products")
    assert found.reading.announced_qty == found.landed_qty == 44
    for entity, frame in found.frames.items():
        key = "product_external_id"
        assert (
            frame.drop("source_position")
            .sort(key)
            .equals(whole["products"].frames[entity].drop("source_position").sort(key))
        )


def test_prices_without_tax_are_shown_with_it() -> None:
    shop = RecordedWooCommerce()

    def net(call: Call) -> Reply:
        reply = shop(call)
        if call.path.endswith("/settings/tax") and isinstance(reply.body, bytes):
            return Reply(200, reply.body.replace(b'"value": "yes"', b'"value": "no"'), reply.headers)
        return reply

    found = row(read(connector(net), "products").frames["channel_price"], product_external_id="80")
    assert (found["regular_minor"], found["promotion_minor"]) == (3000, 2280)


def test_check_access_tells_rights_and_zone() -> None:
    checks = {check.subject: check for check in connector(RecordedWooCommerce()).check_access()}
    assert all(check.is_ok for check in checks.values())
    assert "49 rows" in checks["read orders"].detail
    assert "only known by writing" in checks["write"].detail
    brussels = connector(RecordedWooCommerce(), time_zone="Europe/Brussels").check_access()
    assert [check.subject for check in brussels if not check.is_ok] == ["time zone"]


def test_check_access_of_a_refused_key() -> None:
    refused = connector(
        lambda call: Reply(401, b'{"code":"woocommerce_rest_cannot_view","message":"No"}')
    ).check_access()
    assert [check.is_ok for check in refused] == [False]
    assert "cs_DUMMY" not in str(refused)


def test_an_unknown_stream_is_told() -> None:
    reader = connector(RecordedWooCommerce())
    unknown = stream_of(reader, "orders").__class__("invoices", "/x", ("order",), ("id",), "full_snapshot")
    with pytest.raises(PermanentError, match="no stream invoices"):
        reader.read(unknown, since_at=None, now=NOW)


def test_the_registry_finds_connectors_by_kind() -> None:
    assert {"prestashop", "woocommerce"} <= set(connector_modules())
    with pytest.raises(ConfigurationError, match="no connector is of kind 'magento'"):
        build_connector(system("magento"), retailer=retailer(), tokeniser=TOKENISER, clock=clock)
