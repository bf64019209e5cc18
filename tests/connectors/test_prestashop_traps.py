"""What other PrestaShop shops do that the recorded one does not: nulls, several shops, other taxes, few rights, rows that go away."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from resources.connectors.prestashop import client as client_module
from resources.connectors.sdk.stream import RawRow
from resources.errors import ConfigurationError, PermanentError
from tests.connectors.recorded_prestashop import RecordedPrestaShop
from tests.connectors.support import NOW, Whole, assert_keeps_contract, read, row, stream_of
from tests.connectors.test_prestashop import connector
from tests.connectors.transport import Call, Reply, recorded_reply


def changed(**rows: dict[int, dict[str, Any]]) -> RecordedPrestaShop:
    """The recorded shop with some fields of some rows changed: ``products={21: {"ean13": None}}``."""
    shop = RecordedPrestaShop()
    for resource, changes in rows.items():
        for number, fields in changes.items():
            next(found for found in shop.rows[resource] if int(found["id"]) == number).update(fields)
    return shop


def configured(shop: RecordedPrestaShop, **settings: str) -> RecordedPrestaShop:
    """The shop with these settings."""
    kept = [found for found in shop.rows["configurations"] if found["name"] not in settings]
    added = [{"id": 900 + n, "name": name, "value": value} for n, (name, value) in enumerate(settings.items())]
    shop.rows["configurations"] = kept + added
    return shop


def forbidding(shop: RecordedPrestaShop, *resources: str) -> Callable[[Call], Reply]:
    """The shop, asked with a key that may not read some resources."""

    def answer(call: Call) -> Reply:
        if call.path.removeprefix("/api/") in resources:
            return recorded_reply("prestashop", "error_resource_not_permitted")
        return shop(call)

    return answer


def assert_adds_up(found: Whole) -> None:
    """What is announced is landed or quarantined, and every frame keeps its contract."""
    assert found.reading.announced_qty == found.received_qty
    assert found.reading.announced_qty == found.landed_qty + sum(reject.is_root for reject in found.rejects)
    for entity, frame in found.frames.items():
        assert_keeps_contract(entity, frame)


# ---------------------------------------------------------------- wandering types

WANDERING = [  # stream, changed rows, entity, key, expected columns
    (
        "products",
        {"products": {21: {"ean13": None, "upc": None, "isbn": None, "reference": None}}},
        "product",
        {"product_external_id": "21"},
        {"gtin": None, "sku": None},
    ),
    (
        "products",
        {"products": {21: {"active": 1, "weight": 0.25, "id_category_default": None}}},
        "product",
        {"product_external_id": "21"},
        {"is_active": True, "weight_g": 250, "category_code": None, "gtin": "3760123456784"},
    ),
    (
        "products",
        {"products": {21: {"name": [{"id": "1", "value": "Mug"}, {"id": "2", "value": None}]}}},
        "product",
        {"product_external_id": "21"},
        {"name": "Mug"},
    ),
    (
        "combinations",
        {"combinations": {1: {"ean13": None, "reference": None}}},
        "product",
        {"product_external_id": "1-1"},
        {"gtin": None, "sku": None},
    ),
    (
        "orders",
        {"orders": {19: {"note": None, "module": None, "total_paid_tax_incl": 195.63}}},
        "order",
        {"order_external_id": "19"},
        {"total_minor": 19563},
    ),
    (
        "orders",
        {"order_details": {36: {"product_reference": None, "product_quantity": 1}}},
        "order_line",
        {"line_external_id": "36"},
        {"sku": None, "quantity": 1},
    ),
    (
        "stock_availables",
        {"stock_availables": {1: {"quantity": 1418}}},
        "channel_stock",
        {"product_external_id": "1"},
        {"published_qty": 1418},
    ),
]


@pytest.mark.parametrize(("stream", "changes", "entity", "key", "expected"), WANDERING)
def test_nulls_and_numbers_are_read(
    stream: str, changes: dict[str, Any], entity: str, key: dict[str, str], expected: dict[str, Any]
) -> None:
    found = read(connector(changed(**changes)), stream)
    assert found.rejects == []
    assert_adds_up(found)
    line = row(found.frames[entity], **key)
    assert {name: line[name] for name in expected} == expected


def test_a_phone_that_is_null_does_not_stop_the_customers() -> None:
    shop = changed()
    for address in shop.rows["addresses"]:
        address.update(phone=None, phone_mobile=None)
    found = read(connector(shop), "customers")
    assert (found.landed_qty, found.rejects) == (5, [])


BESIDE = [  # stream, resource, row, field, value, id of the row refused for it
    ("customers", "addresses", 2, "id_country", "partout", 2),
    ("orders", "order_histories", 1, "id_order_state", None, 1),
]


@pytest.mark.parametrize(("stream", "resource", "number", "field", "value", "refused"), BESIDE)
def test_what_stands_beside_a_row_and_cannot_be_read_refuses_only_that_row(
    stream: str, resource: str, number: int, field: str, value: Any, refused: int
) -> None:
    shop = changed(**{resource: {number: {field: value}}})
    if resource == "addresses":
        shop.rows[resource][1]["id_customer"] = str(refused)
    found = read(connector(shop), stream)
    (reject,) = found.rejects
    assert int(json.loads(reject.raw)["id"]) == refused
    assert reject.is_root
    assert f"{resource} {number}" in reject.reason
    assert_adds_up(found)


# ---------------------------------------------------------------- prices


@pytest.mark.parametrize("broken", [{"reduction": ""}, {"id_group": None}, {"from": "demain"}, {"reduction_type": "?"}])
def test_a_promotion_that_cannot_be_read_refuses_the_price_of_its_item(broken: dict[str, Any]) -> None:
    shop = changed()
    promotion = next(found for found in shop.rows["specific_prices"] if str(found["id_product"]) == "25")
    promotion.update(broken)
    found = read(connector(shop), "prices")
    (reject,) = found.rejects
    assert (reject.rule, json.loads(reject.raw)["id"]) == ("specific_price", 25)
    assert_adds_up(found)


def test_a_promotion_of_another_customer_may_be_broken() -> None:
    shop = changed()
    promotion = next(found for found in shop.rows["specific_prices"] if str(found["id_product"]) == "25")
    promotion.update(reduction="", id_customer="7")
    assert read(connector(shop), "prices").rejects == []


def test_the_stock_of_a_product_that_cannot_be_read_is_not_called_hidden() -> None:
    found = read(connector(changed(products={21: {"id_tax_rules_group": None}})), "stock_availables")
    (reject,) = found.rejects
    assert (reject.rule, json.loads(reject.raw)["id_product"]) == ("readable_product", "21")
    assert_adds_up(found)


PRICED = [  # settings, changed rows, item, regular, effective; product 25: 50.00 without tax, 20 % tax, 25 % off now
    ({}, {}, "25", 6000, 4500),
    ({"PS_TAX": "0"}, {}, "25", 5000, 3750),
    # an ecotax without a tax group of its own is not taxed; the percentage is off it too
    ({}, {"products": {25: {"ecotax": "1.000000"}}}, "25", 6100, 4575),
    ({"PS_ECOTAX_TAX_RULES_GROUP_ID": "1"}, {"products": {25: {"ecotax": "1.000000"}}}, "25", 6120, 4590),
    # 24.60 + 1.35 at 20 %: the combination's own ecotax stands in the place of the product's
    ({}, {"products": {1: {"ecotax": "1.000000"}}, "combinations": {1: {"ecotax": "2.000000"}}}, "1-1", 3314, 2651),
    ({}, {"products": {1: {"ecotax": "1.000000"}}}, "1-1", 3214, 2571),
    ({}, {"groups": {1: {"reduction": "10.00"}}}, "25", 5400, 4050),
    ({}, {"groups": {3: {"reduction": "10.00"}}}, "25", 6000, 4500),
    ({"PS_UNIDENTIFIED_GROUP": "3"}, {"groups": {3: {"reduction": "10.00"}}}, "25", 5400, 4050),
]


@pytest.mark.parametrize(("settings", "changes", "item", "regular", "effective"), PRICED)
def test_prices_follow_the_settings_of_the_shop(
    settings: dict[str, str], changes: dict[str, Any], item: str, regular: int, effective: int
) -> None:
    found = read(connector(configured(changed(**changes), **settings)), "prices")
    line = row(found.frames["channel_price"], product_external_id=item)
    assert (line["regular_minor"], line["effective_minor"]) == (regular, effective)
    assert list(found.reading.notes) == []


def test_an_ecotax_whose_tax_is_not_known_gives_no_price() -> None:
    shop = changed(products={25: {"ecotax": "1.000000"}})
    shop.rows["currencies"] = shop.rows["currencies"][:1]
    found = read(connector(forbidding(shop, "configurations")), "prices")
    priced = row(found.frames["channel_price"], product_external_id="25")
    assert (priced["regular_minor"], priced["effective_minor"], priced["promotion_minor"]) == (None, None, None)
    assert row(found.frames["channel_price"], product_external_id="21")["effective_minor"] == 990
    assert any("ecotax" in note for note in found.reading.notes)
    assert_adds_up(found)


def test_a_promotion_of_every_product_counts() -> None:
    shop = changed()
    everywhere = {**shop.rows["specific_prices"][0], "id": 99, "id_product": "0", "reduction": "0.500000"}
    shop.rows["specific_prices"].append(everywhere)
    found = read(connector(shop), "prices").frames["channel_price"]
    assert row(found, product_external_id="21")["effective_minor"] == 495


# ---------------------------------------------------------------- rights

DEGRADED = [  # stream, resources the key may not read, a column that is then empty
    ("products", ("taxes",), "product", "tax_rate_bp"),
    ("products", ("tax_rules", "countries"), "product", "tax_rate_bp"),
    ("products", ("categories",), "product", "category_code"),
    ("orders", ("addresses",), "order", "country_code"),
    ("orders", ("countries",), "order", "country_code"),
    ("customers", ("addresses",), "customer", "phone_token"),
]


@pytest.mark.parametrize(("stream", "resources", "entity", "column"), DEGRADED)
def test_a_missing_right_empties_a_column_and_is_told(
    stream: str, resources: tuple[str, ...], entity: str, column: str
) -> None:
    found = read(connector(forbidding(RecordedPrestaShop(), *resources)), stream)
    frame = found.frames[entity]
    assert frame[column].null_count() == frame.height
    assert len(found.reading.notes) == 1
    assert resources[-1] in found.reading.notes[0]
    assert_adds_up(found)


@pytest.mark.parametrize("resource", ["configurations", "groups", "shops"])
def test_settings_that_may_not_be_read_are_told(resource: str) -> None:
    shop = RecordedPrestaShop()
    shop.rows["currencies"] = shop.rows["currencies"][:1]
    found = read(connector(forbidding(shop, resource)), "prices")
    assert resource in found.reading.notes[0]
    assert row(found.frames["channel_price"], product_external_id="25")["effective_minor"] == 4500


def test_prices_need_their_rates_and_their_currency() -> None:
    for resource in ("taxes", "configurations"):
        with pytest.raises(PermanentError):
            read(connector(forbidding(RecordedPrestaShop(), resource)), "prices")


# ---------------------------------------------------------------- several shops


def two_shops() -> RecordedPrestaShop:
    """The recorded shop, with a second one beside it that has one of everything."""
    shop = RecordedPrestaShop()
    shop.rows["shops"].append({**shop.rows["shops"][0], "id": 2, "id_shop_group": "2", "name": "Autre"})
    for resource in ("orders", "stock_availables", "customers", "specific_prices"):
        rows = shop.rows[resource]
        other = {**rows[0], "id": 900, "id_shop": "2", "id_shop_group": "2"}
        rows.append({**other, "reduction": "0.900000"} if resource == "specific_prices" else other)
    shop.rows["stock_availables"].append(
        {**shop.rows["stock_availables"][0], "id": 901, "id_shop": "0", "id_shop_group": "1"}
    )
    shop.rows["order_slip"].append({**shop.rows["order_slip"][0], "id": 900, "id_order": "900"})
    return shop


def test_several_shops_are_never_mixed_silently() -> None:
    reader = connector(two_shops())
    for stream in reader.streams():
        with pytest.raises(ConfigurationError, match=r"2 active shops \(1 Testbed, 2 Autre\).*shop_id"):
            read(reader, stream.name)
    checks = {check.subject: check for check in reader.check_access()}
    assert not checks["shop"].is_ok


def test_one_of_several_shops_is_read_alone() -> None:
    shop = two_shops()
    reader = connector(shop, shop_id=1)
    found = {name: read(reader, name) for name in ("orders", "order_slip", "customers", "stock_availables", "prices")}
    assert {name: one.landed_qty for name, one in found.items()} == {
        "orders": 30,
        "order_slip": 4,
        "customers": 5,
        "stock_availables": 67,
        "prices": 66,
    }
    assert row(found["prices"].frames["channel_price"], product_external_id="1-1")["effective_minor"] == 2491
    assert all(call.query["id_shop"] == "1" for call in shop.calls)
    with pytest.raises(ConfigurationError, match="no active shop 3"):
        read(connector(shop, shop_id=3), "orders")


def test_a_closed_shop_is_not_counted() -> None:
    shop = two_shops()
    shop.rows["shops"][1]["active"] = "0"
    assert read(connector(shop), "combinations").landed_qty == 39


# ---------------------------------------------------------------- rows that go, lists that are cut


def test_a_row_deleted_while_it_is_read_is_not_announced_any_more() -> None:
    shop = RecordedPrestaShop()

    def deleting(call: Call) -> Reply:
        if call.path == "/api/orders" and call.query.get("display") == "full":
            shop.rows["orders"] = [found for found in shop.rows["orders"] if int(found["id"]) != 19]
        return shop(call)

    found = read(connector(deleting), "orders")
    assert (found.reading.announced_qty, found.landed_qty) == (29, 29)
    assert found.reading.notes == ["1 rows were deleted while they were read: 19"]


def test_a_row_that_comes_only_when_it_is_asked_for_again_is_read() -> None:
    shop = RecordedPrestaShop()
    hidden: list[int] = []

    def slow(call: Call) -> Reply:
        reply = shop(call)
        if call.path == "/api/orders" and call.query.get("display") == "full" and not hidden:
            assert isinstance(reply.body, bytes)
            rows = json.loads(reply.body)["orders"]
            hidden.append(rows[0]["id"])
            return Reply(200, json.dumps({"orders": rows[1:]}).encode(), reply.headers)
        return reply

    found = read(connector(slow, workers=1), "orders")
    assert_adds_up(found)
    assert found.landed_qty == 30
    assert str(hidden[0]) in found.frames["order"]["order_external_id"].to_list()


def test_a_list_cut_short_by_the_server_is_read_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "IDS_PER_LIST", 1000)
    shop = RecordedPrestaShop()

    def cutting(call: Call) -> Reply:
        return (
            shop(Call(call.path, {**call.query, "limit": "4"}, call.headers)) if "limit" in call.query else shop(call)
        )

    assert read(connector(cutting), "orders").landed_qty == 30


# ---------------------------------------------------------------- replay, slips, minor units


def test_a_refused_line_is_replayed_by_its_order() -> None:
    shop = changed(order_details={36: {"total_price_tax_incl": "x"}})
    reader = connector(shop)
    (reject,) = read(reader, "orders").rejects
    assert (reject.entity, reject.is_root) == ("order_line", False)
    position = reject.position.partition("#")[0]
    detail = next(found for found in shop.rows["order_details"] if int(found["id"]) == 36)
    detail["total_price_tax_incl"] = "26.568000"
    batch = reader.replay(stream_of(reader, "orders"), [RawRow(position, reject.raw, "")], now=NOW)
    assert batch.rejects == []
    assert batch.frames["order"]["order_external_id"].to_list() == ["19"]
    assert reject.position in batch.frames["order_line"]["source_position"].to_list()
    assert batch.raw_at is not None
    assert json.loads(batch.raw_at(reject.position)[0])["id"] == 19


SLIPS = [  # type, amount, products with tax, without tax, expected
    ("0", "9.900000", "9.900000", "8.250000", 990),
    ("1", "9.900000", "9.900000", "8.250000", 990),
    ("2", "5.000000", "9.900000", "8.250000", 500),  # an amount that was chosen
    ("1", "7.000000", "9.900000", "8.250000", 700),  # less a voucher
    ("2", "8.250000", "9.900000", "8.250000", 990),  # a shop that works without tax
    ("1", "0.000000", "9.900000", "8.250000", 990),
    ("0", "5.000000", "0.000000", "0.000000", 500),  # made by a module
    ("0", "5.000000", None, None, 500),
]


@pytest.mark.parametrize(("kind", "amount", "with_tax", "without_tax", "expected"), SLIPS)
def test_the_amount_of_a_slip(
    kind: str, amount: str, with_tax: str | None, without_tax: str | None, expected: int
) -> None:
    fields = {
        "order_slip_type": kind,
        "amount": amount,
        "total_products_tax_incl": with_tax,
        "total_products_tax_excl": without_tax,
    }
    found = read(connector(changed(order_slip={2: fields})), "order_slip")
    assert row(found.frames["refund"], refund_external_id="2")["amount_minor"] == expected


MINOR = [  # currency, unit price, minor units (null: not exact)
    ("EUR", "12.900000", 1290),
    ("EUR", "12.905000", None),
    ("JPY", "1290.000000", 1290),
    ("JPY", "1290.500000", None),
    ("KWD", "1.255000", 1255),
]


@pytest.mark.parametrize(("currency", "price", "expected"), MINOR)
def test_unit_prices_are_told_in_the_minor_unit_of_the_currency(
    currency: str, price: str, expected: int | None
) -> None:
    shop = changed(currencies={1: {"iso_code": currency}}, order_details={36: {"unit_price_tax_incl": price}})
    found = read(connector(shop), "orders")
    assert row(found.frames["order_line"], line_external_id="36")["unit_price_minor"] == expected
