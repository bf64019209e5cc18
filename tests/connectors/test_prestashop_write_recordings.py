"""What the connector sends is what was sent to a real shop, compared as XML; and a real shop's answers are understood."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from lxml import etree

from resources.connectors import prestashop
from resources.connectors.prestashop.connector import PrestaShopConnector
from resources.connectors.sdk.http import RetryPolicy
from resources.connectors.sdk.writing import JsonValue, Write
from resources.errors import ConfigurationError
from tests.connectors.recorded_prestashop import RecordedPrestaShop
from tests.connectors.support import NOW, TOKENISER, clock, retailer, system
from tests.connectors.transport import Call, Reply, recorded_reply, recorded_rows, recording, session_factory

RUNNING: JsonValue = {"minor": 1, "starts_at": None, "ends_at": None}
TO_SHIP: JsonValue = {"status": "payable", "tracking_number": None}


class WritableShop(RecordedPrestaShop):
    """The recorded shop, with writes: the recorded answers by method and path, and the rows changed as the body says."""

    def __init__(self, **answers: str) -> None:
        super().__init__()
        self.rows["order_carriers"] = recorded_rows("prestashop", "order_carriers")
        self.answers = answers
        self.sent: list[Call] = []

    def __call__(self, call: Call) -> Reply:
        if call.method == "GET":
            return super().__call__(call)
        self.sent.append(call)
        for row in etree.fromstring(call.body) if call.body else ():
            self._apply(call, row)
        if call.method == "DELETE":
            number = int(call.path.rpartition("/")[2])
            self.rows["specific_prices"] = [row for row in self.rows["specific_prices"] if row["id"] != number]
            return recorded_reply("prestashop", "specific_price_clear")
        name = self.answers.get(call.path.split("/")[2], "stock_write_patch")
        return recorded_reply("prestashop", name)

    def _apply(self, call: Call, node: Any) -> None:
        resource = call.path.split("/")[2]
        fields = {str(child.tag): child.text or "" for child in node}
        if call.method == "POST" and resource == "order_histories":
            self._row("orders", int(fields["id_order"]))["current_state"] = fields["id_order_state"]
        elif call.method == "POST":
            self.rows[resource].append({**fields, "id": max(row["id"] for row in self.rows[resource]) + 1})
        else:
            row = self._row(resource, int(fields.pop("id")))
            row.update(fields)
            if resource == "order_carriers":
                self._row("orders", int(row["id_order"]))["shipping_number"] = fields["tracking_number"]

    def _row(self, resource: str, number: int) -> dict[str, Any]:
        return next(row for row in self.rows[resource] if row["id"] == number)


def connector(shop: Callable[[Call], Reply], **declared: Any) -> PrestaShopConnector:
    """The connector on a recorded shop."""
    return prestashop.build(
        system("prestashop", **declared),
        retailer=retailer(),
        tokeniser=TOKENISER,
        clock=clock,
        session_factory=session_factory(shop),
        sleep=lambda seconds: None,
        retry=RetryPolicy(attempts=2),
    )


def canonical(body: bytes | str) -> list[tuple[str, dict[str, str]]]:
    """Rows of an XML body: their names and fields, numbers as numbers, whatever the order."""
    root = etree.fromstring(body if isinstance(body, bytes) else body.encode())
    assert root.tag == "prestashop"
    return [(str(row.tag), {str(field.tag): _number(field.text or "") for field in row}) for row in root]


def _number(text: str) -> str:
    return f"{float(text):.6f}" if re.fullmatch(r"-?\d+\.\d+", text) else text


def write(attribute: str, item: str, before: JsonValue, after: JsonValue) -> Write:
    """One write."""
    entity = {"published_qty": "channel_stock", "shipment": "order"}.get(attribute, "channel_price")
    return Write("key", entity, item, attribute, before, after)


# the values are those of the recording: stock row 60 is product 21, 8.50 without tax is 10.20, ...
@pytest.mark.parametrize(
    ("asked", "name"),
    [
        (write("published_qty", "21", 40, 33), "stock_write_patch"),
        (write("published_qty", "20", 30, 0), "stock_write_zero"),
        (write("regular_minor", "21", 1190, 1020), "product_price_write"),
        (write("is_published", "25", True, False), "product_deactivate"),
        (
            write("shipment", "24", TO_SHIP, {"status": "payable", "tracking_number": "6A12345678901"}),
            "tracking_number_write",
        ),
        (write("shipment", "19", TO_SHIP, {"status": "shipped", "tracking_number": None}), "order_state_write"),
    ],
)
def test_the_body_is_the_recorded_one(asked: Write, name: str) -> None:
    shop = WritableShop()
    before, attribute = _before(shop, asked, name), asked.attribute
    (result,) = connector(shop).write(
        [Write("key", asked.entity, asked.external_id, attribute, before, asked.after)], now=NOW
    )
    assert result.outcome == "applied", result
    recorded, (sent,) = recording("prestashop", name)["request"], shop.sent
    assert (sent.method, sent.path, canonical(sent.body)) == (
        recorded["method"],
        recorded["path"],
        canonical(recorded["body"]),
    )
    assert sent.headers["Content-Type"] == recorded["headers"]["Content-Type"]
    assert dict(sent.query) == recorded["query"]


def _before(shop: WritableShop, asked: Write, name: str) -> JsonValue:
    """What the recorded shop shows before the write, set where another recording left its mark."""
    if asked.attribute == "shipment":
        order = shop._row("orders", int(asked.external_id))
        order.update(current_state="2", shipping_number="")
        return TO_SHIP
    (probe,) = connector(shop).write(
        [Write("probe", asked.entity, asked.external_id, asked.attribute, "?", asked.after)], now=NOW
    )
    assert probe.outcome == "moved", (probe, name)
    return probe.found


def test_a_new_promotion_has_every_field_of_the_recorded_one() -> None:
    shop = WritableShop(specific_prices="specific_price_set")
    promotion: JsonValue = {"minor": 2392, "starts_at": "2026-11-19T23:00:00Z", "ends_at": "2026-12-01T23:00:00Z"}
    (result,) = connector(shop).write([write("promotion", "20", None, promotion)], now=NOW)
    assert result.outcome == "applied", result
    ((tag, sent),) = canonical(shop.sent[0].body)
    ((_, recorded),) = canonical(recording("prestashop", "specific_price_set")["request"]["body"])
    assert (tag, shop.sent[0].method, shop.sent[0].path) == ("specific_price", "POST", "/api/specific_prices")
    assert list(sent) == list(recorded), "the same fields in the same order"
    differing = {name for name in sent if sent[name] != recorded[name]}
    # the recorded one is a percentage: 20 % of 29.90
    assert differing == {"reduction", "reduction_type"}, (sent, recorded)
    assert (sent["reduction"], sent["reduction_type"], sent["from"]) == ("5.980000", "amount", recorded["from"])
    (clear,) = connector(shop).write([write("promotion", "20", promotion, None)], now=NOW)
    assert (clear.outcome, shop.sent[-1].method, shop.sent[-1].body) == ("applied", "DELETE", b"")
    assert re.fullmatch(r"/api/specific_prices/\d+", shop.sent[-1].path)


# what nobody recorded: held to PrestaShop's own source instead ---------------------------------------------------------


def sent_rows(call: Call) -> list[tuple[str, dict[str, str | None]]]:
    """Rows of a body as they were sent; an element without text is None."""
    return [(str(row.tag), {str(field.tag): field.text for field in row}) for row in etree.fromstring(call.body)]


@pytest.mark.parametrize(
    ("item", "row", "wanted", "changed"),
    [
        # a percentage of the back office becomes an amount off with tax, in the same row, with the same window
        ("25", "3", 5000, {"reduction": "10.000000", "reduction_type": "amount"}),
        # an amount to come: only the amount moves
        ("26", "4", 3000, {"reduction": "30.000000"}),
    ],
)
def test_a_promotion_is_changed_in_its_row(item: str, row: str, wanted: int, changed: dict[str, str]) -> None:
    """WebserviceRequest::saveEntityFromXml: a PATCH loads the row by its id and takes each field that the XML has, no other; the
    loaded row passes SpecificPrice's validators as it stands in the recording (isDateFormat takes 0000-00-00 too)."""
    shop = WritableShop(specific_prices="specific_price_set")
    shop._row("products", int(item))["price"] = "50.000000"
    (probe,) = connector(shop).write([write("promotion", item, {"minor": 1}, None)], now=NOW)
    assert isinstance(probe.found, dict)
    (result,) = connector(shop).write(
        [write("promotion", item, probe.found, {**probe.found, "minor": wanted})], now=NOW
    )
    assert result.outcome == "applied", result
    (sent,) = shop.sent
    assert (sent.method, sent.path) == ("PATCH", f"/api/specific_prices/{row}")
    assert sent_rows(sent) == [("specific_price", {"id": row, **changed})]


def test_new_promotions_go_in_one_request() -> None:
    """saveEntityFromXml goes through the rows of a POST as through those of a PATCH; an id in one of them is refused (code 91)."""
    shop = WritableShop(specific_prices="specific_price_set")
    asked = [
        Write(item, "channel_price", item, "promotion", None, {"minor": 100, "starts_at": None, "ends_at": None})
        for item in ("20", "22", "23")
    ]
    assert [result.outcome for result in connector(shop).write(asked, now=NOW)] == ["applied"] * 3
    (sent,) = shop.sent
    assert (sent.method, sent.path) == ("POST", "/api/specific_prices")
    rows = sent_rows(sent)
    assert [(tag, fields["id_product"], "id" in fields) for tag, fields in rows] == [
        ("specific_price", item, False) for item in ("20", "22", "23")
    ]


def test_a_number_is_cleared_by_an_empty_element() -> None:
    """isset($attributes->tracking_number) is true of an element without text, and an empty value skips isTrackingNumber
    (ObjectModel::validateField): the number becomes empty. An element left out would leave it."""
    shop = WritableShop(order_carriers="tracking_number_write")
    held: JsonValue = {"status": "shipped", "tracking_number": "6A12345678901"}
    wanted: JsonValue = {"status": "shipped", "tracking_number": None}
    (result,) = connector(shop).write([write("shipment", "24", held, wanted)], now=NOW)
    assert (result.outcome, result.found, result.read_back) == ("applied", held, wanted), result
    (sent,) = shop.sent
    assert (sent.method, sent.path) == ("PATCH", "/api/order_carriers/24")
    assert sent_rows(sent) == [("order_carrier", {"id": "24", "tracking_number": None})]


@pytest.mark.parametrize(
    "other",
    [
        {"id_shop": "1", "id_shop_group": "1"},
        {"id_shop": "0", "id_shop_group": "1"},
        {"id_shop": "2", "id_shop_group": "0"},
    ],
)
def test_the_stock_row_is_the_one_that_the_shop_sells_from(other: dict[str, str]) -> None:
    """StockAvailable::addSqlShopRestriction: id_shop the shop's and id_shop_group 0, unless its group shares stock."""
    shop = WritableShop()
    held = shop._row("stock_availables", 60)
    shop.rows["stock_availables"].append({**held, **other, "quantity": "777"})
    held["id"] = 999
    (result,) = connector(shop).write([write("published_qty", "21", int(held["quantity"]), 41)], now=NOW)
    assert result.outcome == "applied", result
    assert [call.path for call in shop.sent] == ["/api/stock_availables/999"]


def test_a_shop_older_than_patch_says_so() -> None:
    """WebserviceRequest::checkHTTPMethod of PrestaShop 1.7."""
    shop = RecordedPrestaShop()

    def old(call: Call) -> Reply:
        body = b'{"errors":[{"code":23,"message":"Method PATCH is not valid"}]}'
        return shop(call) if call.method == "GET" else Reply(405, body, {"Content-Type": "application/json"})

    found = next(int(row["quantity"]) for row in shop.rows["stock_availables"] if row["id"] == 60)
    (result,) = connector(old).write([write("published_qty", "21", found, 41)], now=NOW)
    assert (result.outcome, "PrestaShop 8" in result.reason) == ("refused", True), result


def test_a_batch_is_flat_as_recorded() -> None:
    shop = WritableShop()
    found = {row["id"]: int(row["quantity"]) for row in shop.rows["stock_availables"]}
    asked = [
        Write("a", "channel_stock", "21", "published_qty", found[60], 21),
        Write("b", "channel_stock", "22", "published_qty", found[61], 22),
    ]
    assert [result.outcome for result in connector(shop).write(asked, now=NOW)] == ["applied", "applied"]
    recorded, (sent,) = recording("prestashop", "batch_flat_two_patch")["request"], shop.sent
    assert (sent.path, canonical(sent.body)) == (recorded["path"], canonical(recorded["body"]))


def test_a_batch_that_stops_at_a_bad_row_is_taken_apart() -> None:
    """As `batch_flat_one_bad`: the rows before are kept, those after were not tried, and the answer names no row."""

    class Stopping(WritableShop):
        def __call__(self, call: Call) -> Reply:
            if call.method != "PATCH":
                return super().__call__(call)
            rows = list(etree.fromstring(call.body))
            for place, row in enumerate(rows):
                if row.findtext("id") == "61":
                    good = etree.Element("prestashop")
                    good.extend(rows[:place])
                    super().__call__(Call(call.path, call.query, call.headers, "PATCH", etree.tostring(good)))
                    self.sent[-1] = call
                    return recorded_reply("prestashop", "batch_flat_one_bad")
            return super().__call__(call)

    shop = Stopping()
    found = {row["id"]: int(row["quantity"]) for row in shop.rows["stock_availables"]}
    items = {"21": 60, "22": 61, "23": 62, "24": 63}
    asked = [Write(item, "channel_stock", item, "published_qty", found[row], 700 + row) for item, row in items.items()]
    results = connector(shop).write(asked, now=NOW)
    assert [result.outcome for result in results] == ["applied", "refused", "applied", "applied"]
    assert "code 92, Invalid ID" in results[1].reason
    assert [len(canonical(call.body)) for call in shop.sent] == [4, 1, 2]


@pytest.mark.parametrize(
    ("name", "outcome", "words"),
    [
        ("error_bad_stock_value", "refused", "The range of property StockAvailable->quantity"),
        ("error_write_not_permitted", "refused", "code 25"),
        ("error_write_unknown_id", "refused", "Invalid ID"),
        ("error_malformed_xml", "refused", "code 127"),
        ("error_json_body", "refused", "code 127"),
        ("error_method_not_allowed", "refused", "code 101"),
        ("specific_price_duplicate", "retry", "HTTP 500"),
        ("error_history_unknown_order", "retry", "HTTP 500"),
    ],
)
def test_recorded_refusals_reach_the_result(name: str, outcome: str, words: str) -> None:
    shop = RecordedPrestaShop()

    def refusing(call: Call) -> Reply:
        return shop(call) if call.method == "GET" else recorded_reply("prestashop", name)

    found = next(int(row["quantity"]) for row in shop.rows["stock_availables"] if row["id"] == 60)
    (result,) = connector(refusing).write([write("published_qty", "21", found, found + 1)], now=NOW)
    assert (result.outcome, words in result.reason) == (outcome, True), result
    assert (result.found, result.read_back) == (found, found)
    assert "&gt;" not in result.reason
    assert "WSKEY" not in result.reason


def test_a_field_that_the_shop_ignores_is_not_taken_for_written() -> None:
    shop = RecordedPrestaShop()

    def ignoring(call: Call) -> Reply:
        return shop(call) if call.method == "GET" else recorded_reply("prestashop", "unknown_field_ignored")

    (found,) = connector(shop).write([write("regular_minor", "21", "?", 999)], now=NOW)
    (result,) = connector(ignoring).write([write("regular_minor", "21", found.found, 999)], now=NOW)
    assert (result.outcome, result.read_back) == ("not_kept", found.found)


@pytest.mark.parametrize("item", ["21", "1-2"])
@pytest.mark.parametrize(
    ("product", "reduction", "minor"),
    [
        ({"ecotax": "1.200000"}, "0", 1999),
        ({}, "10.00", 1999),
        ({"ecotax": "0.250000"}, "3.50", 1001),
        ({"id_tax_rules_group": "0"}, "33.33", 1),
        ({}, "0", 0),
    ],
)
def test_a_price_is_exact_whatever_the_shop_adds_and_takes_off(
    item: str, product: dict[str, str], reduction: str, minor: int
) -> None:
    shop = WritableShop()
    # combination 1-2 is on promotion of its own: a price below that is held back
    shop.rows["specific_prices"] = [row for row in shop.rows["specific_prices"] if row["id"] != 6]
    shop._row("products", int(item.partition("-")[0])).update(product)
    shop._row("groups", 1)["reduction"] = reduction
    (found,) = connector(shop).write([write("regular_minor", item, -1, minor)], now=NOW)
    (result,) = connector(shop).write([write("regular_minor", item, found.found, minor)], now=NOW)
    assert (result.outcome, result.read_back) == ("applied", minor), result


@pytest.mark.parametrize(
    ("zone", "window", "outcome"),
    [
        ("Europe/London", {"starts_at": "2026-11-19T23:00:00Z", "ends_at": None}, "refused"),
        ("Europe/Brussels", {"starts_at": "2026-11-19T23:00:00Z", "ends_at": None}, "applied"),
        ("Europe/London", {"starts_at": None, "ends_at": None}, "applied"),
    ],
)
def test_a_window_is_not_written_in_the_hours_of_another_zone(
    zone: str, window: dict[str, JsonValue], outcome: str
) -> None:
    shop = WritableShop(specific_prices="specific_price_set")
    (result,) = connector(shop, time_zone=zone).write(
        [write("promotion", "20", None, {"minor": 2392, **window})], now=NOW
    )
    assert result.outcome == outcome, result
    assert ("the shop's time zone is Europe/Paris" in result.reason) is (outcome == "refused")


def two_shops() -> WritableShop:
    """The recorded shop beside another one, in which the same product has its own stock row and its own promotion."""
    shop = WritableShop(specific_prices="specific_price_set")
    first = shop.rows["shops"][0]
    shop.rows["shops"] = [first, {**first, "id": 2, "name": "Other"}]
    for row in list(shop.rows["stock_availables"]):
        shop.rows["stock_availables"].append({**row, "id": row["id"] + 1000, "id_shop": "2", "quantity": "777"})
    return shop


def test_one_of_several_shops_is_written_alone() -> None:
    with pytest.raises(ConfigurationError, match="2 active shops"):
        connector(two_shops()).write([write("published_qty", "21", 40, 41)], now=NOW)
    shop = two_shops()
    (result,) = connector(shop, shop_id=2).write([write("published_qty", "21", 777, 41)], now=NOW)
    assert result.outcome == "applied", result
    (sent,) = shop.sent
    assert (sent.path, sent.query["id_shop"]) == ("/api/stock_availables/1060", "2")


def test_a_promotion_of_all_shops_is_not_cleared_for_one() -> None:
    shop = two_shops()
    # product 25 is 25 % off in all shops
    (found,) = connector(shop, shop_id=1).write([write("promotion", "25", None, RUNNING)], now=NOW)
    (result,) = connector(shop, shop_id=1).write([write("promotion", "25", found.found, None)], now=NOW)
    assert (result.outcome, "of all shops" in result.reason, shop.sent) == ("refused", True, []), result


def test_what_is_shown_before_equals_what_the_stream_reads() -> None:
    """The price that a write compares with is the one that a reading gives: the plan is made on it."""
    shop = RecordedPrestaShop()
    reader = connector(shop)
    stream = next(stream for stream in reader.streams() if stream.name == "prices")
    frames = [batch.frames["channel_price"] for batch in reader.read(stream, since_at=None, now=NOW).batches]
    rows = [row for frame in frames for row in frame.iter_rows(named=True)]
    probes = [
        Write(
            f"{row['product_external_id']} {attribute}",
            "channel_price",
            row["product_external_id"],
            attribute,
            "?",
            None,
        )
        for row in rows
        for attribute in ("regular_minor", "is_published")
    ]
    found = {result.key: result.found for result in reader.write(probes, now=NOW)}
    assert len(rows) > 50
    for row in rows:
        item = row["product_external_id"]
        assert (found[f"{item} regular_minor"], found[f"{item} is_published"]) == (
            row["regular_minor"],
            row["is_published"],
        )
    promoted = {row["product_external_id"]: row for row in rows if row["promotion_minor"] is not None}
    asked = [
        Write(item, "channel_price", item, "promotion", None, {"minor": 1, "starts_at": None, "ends_at": None})
        for item in promoted
    ]
    for result in reader.write(asked, now=NOW):
        row = promoted[result.key]
        is_over = row["promotion_ends_at"] is not None and row["promotion_ends_at"] <= NOW
        expected = None if is_over else {
            "minor": row["promotion_minor"], "starts_at": _text(row["promotion_starts_at"]), "ends_at": _text(row["promotion_ends_at"]),
        }  # fmt: skip
        assert result.found == expected, json.dumps(result.found)


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
