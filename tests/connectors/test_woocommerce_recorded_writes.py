"""Writing as it was recorded: the bodies that the real shop took, and its answers as we understand them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from resources.connectors.sdk.writing import JsonValue, Write
from resources.connectors.woocommerce.batch import Batch, Sent, send
from resources.connectors.woocommerce.client import WooClient
from resources.connectors.woocommerce.rows import Meta
from resources.connectors.woocommerce.tracking import number_of, numbers_of, parcels_of, with_parcel
from tests.connectors.recorded_woocommerce import RecordedWooCommerce
from tests.connectors.support import clock, read, row
from tests.connectors.test_woocommerce import connector
from tests.connectors.transport import Call, Reply, recorded_reply, recording, session_factory
from tests.connectors.woocommerce_in_process import parcel, price, promotion, publication, reduced, shipment, stock

SHIPPED_AT = datetime(2026, 11, 21, 21, 48, tzinfo=UTC)
_ANY_STATE = {"/orders": {"status": "processing", "date_completed_gmt": None}}


class TakingShop(RecordedWooCommerce):
    """The recorded shop, which takes the fields of a batch as they come, and keeps the bodies."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[dict[str, Any]] = []

    def __call__(self, call: Call) -> Reply:
        """Answer one call."""
        if call.method != "POST":
            return super().__call__(call)
        items = json.loads(call.body)["update"]
        self.taken += items
        for item in items:
            for rows in self.rows.values():
                for held in rows:
                    if held["id"] == item["id"]:
                        held.update(item)
        return Reply(200, json.dumps({"update": [{"id": item["id"]} for item in items]}).encode())


def taken(*writes: Write) -> list[dict[str, Any]]:
    """The items that writing sends to the recorded shop, whose orders all wait for their shipment."""
    shop = TakingShop()
    shop.rows["/orders"] = [{**held, **_ANY_STATE["/orders"]} for held in shop.rows["/orders"]]
    connector(shop).write([_as_found(shop, write) for write in writes], now=SHIPPED_AT)
    return shop.taken


def _as_found(shop: RecordedWooCommerce, write: Write) -> Write:
    """A write planned on what the recorded shop shows; one that says what it was planned on stays."""
    if write.before is not None:
        return write
    if write.attribute == "shipment":
        order = next(held for held in shop.rows["/orders"] if str(held["id"]) == write.external_id)
        numbers = [one["value"][-1]["tracking_number"] for one in order["meta_data"] if one["key"].endswith("_items")]
        before: JsonValue = parcel("payable", next(iter(numbers), None))
        return Write(write.key, write.entity, write.external_id, write.attribute, before, write.after)
    frames = read(connector(shop), "products").frames
    stocks = row(frames["channel_stock"], product_external_id=write.external_id)
    prices = row(frames["channel_price"], product_external_id=write.external_id)
    shown = {
        "published_qty": stocks["published_qty"],
        "regular_minor": prices["regular_minor"],
        "promotion": None
        if prices["promotion_minor"] is None
        else reduced(
            prices["promotion_minor"], _text(prices["promotion_starts_at"]), _text(prices["promotion_ends_at"])
        ),
    }
    return Write(write.key, write.entity, write.external_id, write.attribute, shown[write.attribute], write.after)


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()


WINDOW = reduced(1990, "2026-11-20T23:00:00Z", "2026-12-01T23:00:00Z")
BODIES = [  # recording of a single write, our write of the same
    ("stock_write", stock("82", None, 33)),
    ("variation_stock_write", stock("88-89", None, 11)),
    ("product_price_write", price("79", None, 6200)),
    ("sale_price_set", promotion("75", None, WINDOW)),
    ("sale_price_clear", promotion("79", None, None)),
    ("order_status_write_completed", shipment("97", None, parcel("shipped"))),
]


@pytest.mark.parametrize(("name", "write"), BODIES)
def test_bodies_are_the_recorded_ones(name: str, write: Write) -> None:
    (item,) = taken(write)
    del item["id"]
    assert item == recording("woocommerce", name)["request"]["json"]


@pytest.mark.parametrize("kind", ["external", "grouped"])
def test_what_nobody_can_buy_is_not_published_again_and_again(kind: str) -> None:
    shop = TakingShop()
    held = next(held for held in shop.rows["/products"] if held["type"] == kind)
    assert (held["status"], held["purchasable"]) == ("publish", False)
    (result,) = connector(shop).write([publication(str(held["id"]), False, True)], now=SHIPPED_AT)
    assert (result.outcome, shop.taken) == ("refused", [])
    assert f"of the type {kind}" in result.reason


def test_batches_are_the_recorded_ones() -> None:
    asked = recording("woocommerce", "variations_batch")["request"]["json"]["update"]
    known = [item for item in asked if item["id"] != 999999]
    sent = taken(
        stock("88-89", None, 8), price("88-89", None, 12100), stock("88-91", None, 0), stock("88-999999", 1, 1)
    )
    assert sent == known, "what the shop would refuse is not even sent"
    sold = recording("woocommerce", "orders_batch_status")["request"]["json"]["update"][:1]
    assert taken(shipment("103", None, parcel("shipped"))) == sold


def test_a_parcel_is_written_where_the_recorded_extension_keeps_it() -> None:
    (item,) = taken(shipment("97", None, parcel("shipped", "6A12345678901")))
    (recorded,) = recording("woocommerce", "order_tracking_write_meta")["request"]["json"]["meta_data"]
    (field,) = item["meta_data"]
    assert field["key"] == recorded["key"]
    (sent,), (kept,) = field["value"], recorded["value"]
    assert {**sent, **kept} == {**sent, "tracking_provider": "Colissimo"}
    # what the extension gives every entry besides (WC_Shipment_Tracking_Actions::add_tracking_item)
    assert (sent["custom_tracking_provider"], sent["custom_tracking_link"]) == ("", "")
    assert len(sent["tracking_id"]) == 32


def test_the_recorded_parcel_is_read() -> None:
    recorded = recording("woocommerce", "order_tracking_readback")["response"]["json"]
    shop = RecordedWooCommerce()
    shop.rows["/orders"] = [recorded if held["id"] == recorded["id"] else held for held in shop.rows["/orders"]]
    orders = read(connector(shop), "orders").frames["order"]
    found = row(orders, order_external_id=str(recorded["id"]))
    assert (found["status"], found["tracking_number"]) == ("shipped", "6A12345678901")
    assert orders["tracking_number"].drop_nulls().len() == 1


METAS = [  # value of the custom field, parcel numbers
    ([], []),
    ("", []),
    ([{"tracking_number": "A"}, {"tracking_number": " B "}, {"tracking_number": ""}, {}], ["A", "B"]),
    ({"0": {"tracking_number": "A"}, "2": {"tracking_number": 12345}}, ["A", "12345"]),
    ("6A1", []),
    ([7, None, "x"], []),
]


@pytest.mark.parametrize(("value", "numbers"), METAS)
def test_what_the_custom_field_may_hold(value: Any, numbers: list[str]) -> None:
    from msgspec import Raw
    from msgspec.json import encode

    meta = [Meta("_other", Raw(b"1")), Meta("_wc_shipment_tracking_items", Raw(encode(value)))]
    assert numbers_of(meta) == numbers
    assert number_of(meta) == (numbers[-1] if numbers else None)
    assert (parcels_of(meta) is None) == (value == "6A1")


def test_parcels_of_a_field_that_is_there_twice_are_all_kept() -> None:
    from msgspec import Raw

    texts = (b'[{"tracking_number":"A"}]', b'""', b'{"0":{"tracking_number":"A"},"2":{"tracking_number":"B"}}')
    meta = [Meta("_wc_shipment_tracking_items", Raw(text)) for text in texts]
    assert numbers_of(meta) == ["A", "B"]
    written = with_parcel(parcels_of(meta) or [], "C", now=SHIPPED_AT)
    assert [one["tracking_number"] for one in written["value"]] == ["A", "B", "C"]


def answered(name: str, *ids: int) -> dict[int, Sent]:
    """What a recorded answer tells of these items."""
    client = WooClient(
        "https://shop.example",
        "ck",
        "cs",
        system_code="shop",
        clock=clock,
        session_factory=session_factory(lambda call: recorded_reply("woocommerce", name)),
    )
    return send(client, Batch("/products/batch", {number: {} for number in ids}), stream="products")


ANSWERS = [  # recording, item, what is understood
    ("batch_one_bad_item", 82, "accepted", ""),
    ("batch_one_bad_item", 999999, "refused", "woocommerce_rest_product_invalid_id: Invalid ID."),
    ("batch_one_bad_item", 77, "accepted", ""),
    ("batch_one_bad_item", 5, "unclear", "the shop's answer does not speak of this item"),
    ("variations_batch", 89, "accepted", ""),
    ("variations_batch", 999999, "refused", "woocommerce_rest_product_variation_invalid_id: Invalid ID."),
    ("orders_batch_status", 103, "accepted", ""),
    ("orders_batch_status", 999999, "refused", "woocommerce_rest_shop_order_invalid_id: ID is invalid."),
    ("batch_bad_value_one_item", 82, "accepted", ""),
    ("error_batch_101", 82, "refused", "Unable to accept more than 100 items"),
    ("error_read_only_key_write", 82, "later", "The API key provided does not have write permissions."),
    ("error_read_only_key_write", 82, "later", "this key may only read: give it Read/Write"),
    ("error_no_credentials", 82, "later", "the shop saw no key"),
    ("error_malformed_json", 82, "refused", "Invalid JSON body passed."),
]


@pytest.mark.parametrize(("name", "item", "state", "told"), ANSWERS)
def test_recorded_answers_are_understood(name: str, item: int, state: str, told: str) -> None:
    sent = answered(name, item)[item]
    assert sent.state == state
    assert told in sent.reason
    assert sent.is_nothing_done == (recorded_reply("woocommerce", name).status == 401)


def test_the_quantity_in_an_answer_is_kept_for_the_reading_after() -> None:
    assert answered("batch_one_bad_item", 82)[82].stock_quantity == 21
    assert answered("batch_bad_value_one_item", 82)[82].stock_quantity == 0, "what beaucoup became"
