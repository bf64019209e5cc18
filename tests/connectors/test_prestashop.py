"""The PrestaShop connector on the recorded shop: every stream keeps its contract, and each trap of the recordings is told by a row."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resources.connectors.prestashop import PrestaShopConnector, build
from resources.connectors.prestashop.client import scrub
from resources.connectors.prestashop.rows import Stock
from resources.connectors.prestashop.tags import Shortage, read_tags
from resources.connectors.sdk.decode import RowDecoder
from resources.connectors.sdk.stream import RawRow
from resources.errors import ConfigurationError, PermanentError
from tests.connectors.recorded_prestashop import RecordedPrestaShop
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
from tests.connectors.transport import Call, Reply, recorded_reply, recording, session_factory

STREAMS = ("products", "combinations", "prices", "stock_availables", "orders", "order_slip", "customers")


def connector(shop: Callable[[Call], Reply], *, territory: str = "FR", **changes: Any) -> PrestaShopConnector:
    """A connector of a recorded shop."""
    return build(
        system("prestashop", **changes),
        retailer=retailer(territory),
        tokeniser=TOKENISER,
        clock=clock,
        session_factory=session_factory(shop),
        sleep=lambda seconds: None,
    )


@pytest.fixture(scope="module")
def whole() -> dict[str, Whole]:
    """Every stream of the recorded shop, read once."""
    reader = connector(RecordedPrestaShop())
    return {name: read(reader, name) for name in STREAMS}


QUANTITIES = [
    ("products", 27),
    ("combinations", 39),
    ("prices", 27 + 39),
    ("stock_availables", 66),
    ("orders", 30),
    ("order_slip", 4),
    ("customers", 5),
]


@pytest.mark.parametrize(("stream", "qty"), QUANTITIES)
def test_announced_equals_landed(whole: dict[str, Whole], stream: str, qty: int) -> None:
    found = whole[stream]
    assert (found.reading.announced_qty, found.received_qty, found.landed_qty, found.rejects) == (qty, qty, qty, [])
    assert found.reading.is_full
    assert found.reading.watermark_at == datetime(2026, 11, 21, 21, 59, 36, tzinfo=UTC), "the shop's own clock"


@pytest.mark.parametrize("stream", STREAMS)
def test_every_frame_keeps_its_contract(whole: dict[str, Whole], stream: str) -> None:
    declared = stream_of(connector(RecordedPrestaShop()), stream)
    assert set(whole[stream].frames) == set(declared.entities)
    for entity, frame in whole[stream].frames.items():
        assert_keeps_contract(entity, frame)


def test_lines_and_shipping_less_discount_make_the_total(whole: dict[str, Whole]) -> None:
    assert orders_off_their_total(whole["orders"]) == []


ITEMS = [  # stream, item, expected columns
    ("products", "20", {"sku": None, "kind": "simple", "tax_rate_bp": 2000}),
    ("products", "21", {"sku": "MUG-01", "gtin": "3760123456784"}),
    ("products", "22", {"sku": "MUG-01"}),
    ("products", "23", {"is_active": False}),
    ("products", "24", {"name": "Sac à dos & bagage 20 L", "weight_g": 850}),
    (
        "products",
        "1",
        {"kind": "parent", "name": "T-shirt imprimé colibri", "brand": "Studio Design", "category_code": "Hommes"},
    ),
    ("products", "12", {"kind": "service"}),
    ("products", "15", {"kind": "kit", "brand": None}),
    ("products", "25", {"updated_at": datetime(2026, 11, 21, 21, 59, 28, tzinfo=UTC)}),
    ("combinations", "1-2", {"kind": "variant", "parent_external_id": "1", "sku": "demo_1", "weight_g": 300}),
    ("combinations", "2-9", {"name": "Pull imprimé colibri - S", "brand": "Studio Design", "updated_at": None}),
]


@pytest.mark.parametrize(("stream", "item", "expected"), ITEMS)
def test_products(whole: dict[str, Whole], stream: str, item: str, expected: dict[str, Any]) -> None:
    found = row(whole[stream].frames["product"], product_external_id=item)
    assert {name: found[name] for name in expected} == expected


def test_packs_have_components(whole: dict[str, Whole]) -> None:
    columns = ("kit_external_id", "component_external_id", "component_qty")
    assert whole["products"].frames["kit_component"].select(columns).rows() == [("15", "5-19", 5), ("15", "7", 5)]


PRICES = [  # item, regular, effective, promotion price, start, end (exclusive)
    ("21", 990, 990, None, None, None),  # its fixed price is for ten
    ("24", 6450, 6450, None, None, None),  # its reduction is for customers who are logged in
    ("25", 6000, 4500, 4500, datetime(2026, 11, 14, 23, tzinfo=UTC), datetime(2026, 11, 30, 23, tzinfo=UTC)),
    ("26", 2500, 2500, 2000, datetime(2026, 12, 19, 23, tzinfo=UTC), datetime(2027, 1, 5, 23, tzinfo=UTC)),
    ("1-1", 3114, 2491, 2491, None, None),  # impact +1.35, and the product's 20 % off
    ("1-2", 2952, 2657, 2657, None, None),  # its own 10 % wins over the product's 20 %
    ("3-14", 5880, 5880, None, None, None),
]


@pytest.mark.parametrize(("item", "regular", "effective", "promotion", "starts", "ends"), PRICES)
def test_prices(
    whole: dict[str, Whole],
    item: str,
    regular: int,
    effective: int,
    promotion: int | None,
    starts: datetime | None,
    ends: datetime | None,
) -> None:
    found = row(whole["prices"].frames["channel_price"], product_external_id=item)
    assert (found["regular_minor"], found["effective_minor"], found["promotion_minor"]) == (
        regular,
        effective,
        promotion,
    )
    assert (found["promotion_starts_at"], found["promotion_ends_at"]) == (starts, ends)
    assert (found["currency_code"], found["tax_rate_bp"]) == ("EUR", 2000)


def test_prices_are_those_that_the_shop_computes(whole: dict[str, Whole]) -> None:
    computed = recording("prestashop", "products_computed_prices")["response"]["json"]["products"]
    for product in computed:
        item = "1-1" if product["id"] == 1 else str(product["id"])  # the shop shows the default combination
        found = row(whole["prices"].frames["channel_price"], product_external_id=item)
        assert f"{found['effective_minor'] / 100:.6f}" == product["prix_ttc"]
        assert f"{found['regular_minor'] / 100:.6f}" == product["sans_promo"]


def test_stock(whole: dict[str, Whole]) -> None:
    frame = whole["stock_availables"].frames["channel_stock"]
    recorded = {
        (found["id_product"], found["id_product_attribute"]): int(found["quantity"])
        for found in RecordedPrestaShop().rows["stock_availables"]
    }
    for item, qty in zip(frame["product_external_id"], frame["published_qty"], strict=True):
        product, _, combination = item.partition("-")
        assert recorded[(product, combination or "0")] == qty
    assert row(frame, product_external_id="24")["published_qty"] < 0
    assert row(frame, product_external_id="24")["is_backorder_allowed"]
    assert not row(frame, product_external_id="23")["is_published"]
    assert frame["is_stock_managed"].all()


def test_a_quantity_left_out_of_a_row_is_zero() -> None:
    single = recording("prestashop", "stock_write_zero_readback_single")["response"]["json"]["stock_available"]
    assert "quantity" not in single
    body = json.dumps({"stock_availables": [single]}).encode()
    assert RowDecoder(Stock, wrapped=True, strict=False).decode(body).rows[0].quantity == "0"


ORDERS = [  # order, expected columns
    (
        "1",
        {
            "status": "cancelled",
            "total_minor": 6820,
            "shipping_minor": 840,
            "cancel_reason": "customer",
            "payable_at": None,
        },
    ),
    ("2", {"status": "payable", "payable_at": datetime(2026, 11, 21, 20, 50, 12, tzinfo=UTC)}),
    ("19", {"discount_minor": 2174, "total_minor": 19563, "status": "payable"}),
    ("20", {"status": "delivered"}),
    ("21", {"status": "refunded"}),
    ("23", {"currency_code": "USD"}),
    ("24", {"status": "shipped"}),
    ("30", {"status": "failed"}),
]


@pytest.mark.parametrize(("order", "expected"), ORDERS)
def test_orders(whole: dict[str, Whole], order: str, expected: dict[str, Any]) -> None:
    found = row(whole["orders"].frames["order"], order_external_id=order)
    assert {name: found[name] for name in expected} == expected
    assert found["email_token"] is None, "it is the customer's"


LINES = [  # line, expected columns
    (
        "34",
        {"product_external_id": "1-2", "net_minor": 2214, "tax_minor": 443, "unit_price_minor": None},
    ),  # 26.568 each
    (
        "35",
        {"product_external_id": "21", "quantity": 12, "net_minor": 8400, "tax_minor": 1680, "unit_price_minor": 840},
    ),
    ("44", {"product_external_id": "27", "sku": "GONE-01", "name": "Produit supprimé"}),
    ("37", {"sku": None}),
]


@pytest.mark.parametrize(("line", "expected"), LINES)
def test_order_lines(whole: dict[str, Whole], line: str, expected: dict[str, Any]) -> None:
    found = row(whole["orders"].frames["order_line"], line_external_id=line)
    assert {name: found[name] for name in expected} == expected


REFUNDS = [("1", "1", 2390, 1), ("2", "20", 990, 1), ("3", "21", 5980, 1), ("4", "24", 500, 0)]


@pytest.mark.parametrize(("refund", "order", "amount", "line_qty"), REFUNDS)
def test_refunds(whole: dict[str, Whole], refund: str, order: str, amount: int, line_qty: int) -> None:
    found = row(whole["order_slip"].frames["refund"], refund_external_id=refund)
    assert (found["order_external_id"], found["amount_minor"], found["shipping_minor"]) == (order, amount, 0)
    lines = whole["order_slip"].frames["refund_line"].filter(pl.col("refund_external_id") == refund)
    assert lines.height == line_qty


def test_refund_lines(whole: dict[str, Whole]) -> None:
    found = row(whole["order_slip"].frames["refund_line"], refund_external_id="2")
    assert (found["order_line_external_id"], found["product_external_id"], found["quantity"]) == ("38", "21", 1)
    assert (found["net_minor"], found["tax_minor"]) == (825, 165)


def test_customers(whole: dict[str, Whole]) -> None:
    frame = whole["customers"].frames["customer"]
    john = row(frame, customer_external_id="2")
    assert john["email_token"] == TOKENISER.email("pub@prestashop.com")
    assert john["name_token"] == TOKENISER.name("John DOE")
    assert row(frame, customer_external_id="5")["is_guest"]
    assert (TOKENISER.email("pub@prestashop.com"), "email", "pub@prestashop.com") in whole["customers"].personal
    assert "@" not in frame.write_json()


def test_passwords_and_keys_never_stay(whole: dict[str, Whole]) -> None:
    for found in whole.values():
        assert b"DUMMY0000" not in b"".join(body for _, body in found.raw)
    body = recorded_reply("prestashop", "customers_page_1").body
    assert isinstance(body, bytes)
    assert b"DUMMY0000" in body
    assert b"DUMMY0000" not in scrub(body)
    assert json.loads(scrub(body))["customers"][1]["email"] == "pub@prestashop.com"
    spaced = b'{"passwd" : "a\\"b", "secure_key": "c", "x": 1}'
    assert json.loads(scrub(spaced)) == {"passwd": "", "secure_key": "", "x": 1}


NOTES = [  # an order's note, expected tags
    ("", {}),
    ("Sonnez deux fois : 2e étage", {}),
    ("mkp:MK-77 pickup:S01", {"origin_number": "MK-77", "pickup_location": "S01"}),
    ("cancel:stock", {"cancel_reason": "stock"}),
    ("promise:2026-05-01T12:00:00Z", {"promised_ship_by": "2026-05-01T12:00:00Z"}),
    (
        "preorder:2026-05-01T12:00:00Z replaces:R000123",
        {"available_from": "2026-05-01T12:00:00Z", "replaces_return": "R000123"},
    ),
    ("short:44:2:stock:2026-05-01T12:00:00Z", {"shortages": {44: Shortage(2, "stock", "2026-05-01T12:00:00Z")}}),
    ("short:44:two", {}),
    ("pickup:", {}),
]


@pytest.mark.parametrize(("note", "expected"), NOTES)
def test_tags(note: str, expected: dict[str, Any]) -> None:
    tags = read_tags(note, number_tag="mkp")
    assert {name: value for name, value in vars(tags).items() if value} == expected


def test_tags_reach_the_order_and_its_lines() -> None:
    shop = RecordedPrestaShop()
    note = "mkp:MK-77 pickup:S01 promise:2026-05-01T12:00:00Z short:36:1:seller:2026-05-02T12:00:00Z"
    next(found for found in shop.rows["orders"] if found["id"] == 19).update(note=note, module="mkpconnector")
    frames = read(connector(shop), "orders").frames
    head = row(frames["order"], order_external_id="19")
    assert (head["origin_channel_code"], head["origin_order_number"]) == ("marketplace", "MK-77")
    assert (head["location_code"], head["fulfilment_method"]) == ("S01", "pickup")
    assert head["promised_ship_by_at"] == datetime(2026, 5, 1, 12, tzinfo=UTC)
    line = row(frames["order_line"], line_external_id="36")
    assert (line["cancelled_qty"], line["cancel_reason"]) == (1, "seller")
    assert line["cancelled_at"] == datetime(2026, 5, 2, 12, tzinfo=UTC)
    untagged = read(connector(shop, order_tags=False), "orders").frames["order"]
    assert row(untagged, order_external_id="19")["location_code"] is None


# ---------------------------------------------------------------- what moves, what is broken

BROKEN = [  # stream, resource, row, field, value, rule, entity refused, whether the row is refused
    ("orders", "orders", 19, "total_paid_tax_incl", "195,63", "money", "order", True),
    ("orders", "orders", 19, "date_add", "2026-02-30 10:00:00", "date", "order", True),
    ("orders", "orders", 19, "id_currency", "99", "known_currency", "order", True),
    ("orders", "orders", 19, "current_state", "99", "known_status", "order", True),
    ("orders", "orders", 19, "id_customer", "abc", "shape", "order", True),
    ("orders", "order_details", 36, "total_price_tax_incl", "x", "money", "order_line", False),
    ("orders", "order_details", 36, "product_quantity", "1.5", "number", "order_line", False),
    ("orders", "order_details", 36, "product_id", None, "shape", "order_line", False),
    ("stock_availables", "stock_availables", 1, "quantity", "beaucoup", "number", "channel_stock", True),
    ("combinations", "combinations", 1, "id_product", "999", "known_product", "product", True),
    ("prices", "combinations", 1, "price", "gratuit", "money", "channel_price", True),
    ("order_slip", "order_slip", 2, "id_order", "999", "known_order", "refund", True),
    ("customers", "customers", 2, "date_add", "hier", "date", "customer", True),
]


@pytest.mark.parametrize(("stream", "resource", "number", "field", "value", "rule", "entity", "is_root"), BROKEN)
def test_a_broken_row_is_refused_with_its_text_and_the_others_go_on(
    whole: dict[str, Whole],
    stream: str,
    resource: str,
    number: int,
    field: str,
    value: Any,
    rule: str,
    entity: str,
    is_root: bool,
) -> None:
    shop = RecordedPrestaShop()
    next(found for found in shop.rows[resource] if int(found["id"]) == number)[field] = value
    found = read(connector(shop), stream)
    (reject,) = found.rejects
    assert (reject.rule, reject.entity, reject.is_root) == (rule, entity, is_root)
    # a line is refused with its whole order: that is what can be read again
    assert int(json.loads(reject.raw)["id"]) == (number if is_root else 19)
    quarantined = sum(reject.is_root for reject in found.rejects)
    assert found.reading.announced_qty == found.landed_qty + quarantined == whole[stream].landed_qty
    for name, frame in found.frames.items():
        assert_keeps_contract(name, frame)
    if not is_root:
        assert found.frames["order"].height == whole["orders"].frames["order"].height, "the order is kept"


def test_an_incremental_read_follows_the_date_in_local_time() -> None:
    shop = RecordedPrestaShop()
    since = datetime(2026, 11, 21, 21, 59, 33, tzinfo=UTC)
    found = read(connector(shop), "orders", since_at=since)
    expected = [str(r["id"]) for r in shop.rows["orders"] if r["date_upd"] >= "2026-11-21 22:59:33"]
    assert found.frames["order"]["order_external_id"].to_list() == expected
    assert not found.reading.is_full
    listing = next(call.query for call in shop.calls if call.path == "/api/orders")
    assert listing["filter[date_upd]"] == "[2026-11-21 22:59:33,2099-12-31 23:59:59]"
    slips = read(connector(shop), "order_slip", since_at=since)
    assert slips.frames["refund"]["refund_external_id"].to_list() == ["2", "3", "4"], "slips by their own date"


@pytest.mark.parametrize("stream", ["combinations", "prices", "stock_availables"])
def test_a_blind_stream_is_always_read_whole(stream: str) -> None:
    found = read(connector(RecordedPrestaShop()), stream, since_at=NOW)
    assert found.reading.is_full
    assert found.landed_qty == dict(QUANTITIES)[stream]


def test_nothing_changed_is_an_empty_reading() -> None:
    found = read(connector(RecordedPrestaShop()), "orders", since_at=datetime(2027, 1, 1, tzinfo=UTC))
    assert (found.reading.announced_qty, found.received_qty, found.frames) == (0, 0, {})


@given(st.integers(1, 60), st.integers(1, 6))
@settings(deadline=None, max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_page_size_and_threads_change_nothing(whole: dict[str, Whole], page_size: int, workers: int) -> None:
    reader = connector(RecordedPrestaShop(), page_size=page_size, workers=workers)
    for stream in STREAMS:
        found = read(reader, stream)
        assert found.personal == whole[stream].personal
        for entity, frame in found.frames.items():
            assert frame.drop("source_position").equals(whole[stream].frames[entity].drop("source_position"))


def test_a_set_that_moves_loses_nothing() -> None:
    shop = RecordedPrestaShop()

    def moving(call: Call) -> Reply:
        reply = shop(call)
        if call.path == "/api/orders" and call.query.get("display") == "full" and len(shop.rows["orders"]) == 30:
            shop.rows["orders"].append({**shop.rows["orders"][-1], "id": 31})
        return reply

    found = read(connector(moving), "orders")
    assert found.reading.announced_qty == found.landed_qty == 30, "order 31 belongs to the next reading"


def test_rows_that_the_shop_hides_are_missed() -> None:
    shop = RecordedPrestaShop()

    def hiding(call: Call) -> Reply:
        reply = shop(call)
        if call.path == "/api/orders" and call.query.get("display") == "full" and isinstance(reply.body, bytes):
            kept = [found for found in json.loads(reply.body)["orders"] if found["id"] != 19]
            return Reply(200, json.dumps({"orders": kept}).encode(), reply.headers)
        return reply

    found = read(connector(hiding), "orders")
    assert (found.reading.announced_qty, found.landed_qty) == (30, 29)


def test_replayed_rows_keep_their_positions() -> None:
    shop = RecordedPrestaShop()
    next(found for found in shop.rows["orders"] if found["id"] == 19)["total_paid_tax_incl"] = "x"
    reader = connector(shop)
    reject = read(reader, "orders").rejects[0]
    mended = RawRow(
        reject.position, reject.raw.replace('"total_paid_tax_incl": "x"', '"total_paid_tax_incl": "195.63"'), ""
    )
    batch = reader.replay(stream_of(reader, "orders"), [mended], now=NOW)
    assert batch.frames["order"]["source_position"].to_list() == [reject.position]
    assert batch.frames["order"]["total_minor"].to_list() == [19563]
    assert batch.frames["order_line"].height == 3


def test_check_access_reads_the_index_of_rights() -> None:
    checks = {check.subject: check for check in connector(RecordedPrestaShop()).check_access()}
    assert all(check.is_ok for check in checks.values()), checks
    assert "stock_availables" in checks["write"].detail
    elsewhere = connector(RecordedPrestaShop(), time_zone="Europe/London").check_access()
    assert [check.subject for check in elsewhere if not check.is_ok] == ["time zone"]


def test_check_access_of_a_key_with_few_rights() -> None:
    shop = RecordedPrestaShop()
    index = b'<prestashop><api shopName="x"><orders get="true" put="false" post="false"/></api></prestashop>'

    def limited(call: Call) -> Reply:
        if call.path == "/api/":
            return Reply(200, index, {"Content-Type": "text/xml"})
        if call.path != "/api/orders":
            return recorded_reply("prestashop", "error_resource_not_permitted")
        return shop(call)

    checks = {check.subject: check for check in connector(limited).check_access()}
    assert checks["read orders"].is_ok
    assert not checks["read products"].is_ok
    assert "order_details" in checks["read"].detail
    assert checks["write"].is_ok is None, "a key that only reads is all we need"


def test_a_wrong_key_is_told_without_showing_it() -> None:
    refused = connector(RecordedPrestaShop(), key="WRONGKEY").check_access()
    assert [check.is_ok for check in refused] == [False]
    assert "WRONGKEY" not in str(refused)
    with pytest.raises(PermanentError, match="code 20") as caught:
        read(connector(RecordedPrestaShop(), key="WRONGKEY"), "orders")
    assert "WRONGKEY" not in str(caught.value)


def test_an_unknown_territory_is_told() -> None:
    with pytest.raises(ConfigurationError, match="country BE"):
        read(connector(RecordedPrestaShop(), territory="BE"), "prices")
