"""Writing into a running PrestaShop of the sandbox: what buyers then see, what each write is told, on good days and on bad ones."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import polars as pl
import pytest
import requests
from lxml import etree

from resources.connectors import prestashop
from resources.connectors.prestashop.connector import PrestaShopConnector
from resources.connectors.sdk.http import RetryPolicy
from resources.connectors.sdk.writing import JsonValue, TargetedConnector, Write, WriteResult, WritingConnector
from resources.errors import PermanentError, RetryableError
from sandbox.servers.faults import Fault
from sandbox.servers.prestashop import PrestaShopServer
from sandbox.servers.prestashop_query import WebserviceError
from sandbox.shop_data import ShopData
from tests.connectors.support import TOKENISER, retailer, stream_of, system
from tests.connectors.tiny_shop import NOW, tiny_shop

KEY = "K" * 32
PROMOTION: dict[str, JsonValue] = {
    "minor": 1000,
    "starts_at": "2026-05-17T10:00:00Z",
    "ends_at": "2026-05-24T22:00:00Z",
}
TO_SHIP: JsonValue = {"status": "payable", "tracking_number": None}
SHIPPED: JsonValue = {"status": "shipped", "tracking_number": "6A12345678901"}
ENTITIES = {"published_qty": "channel_stock", "shipment": "order"}


class Shop:
    """A running shop with its connector; ``requests`` counts what it was asked."""

    def __init__(self, data: ShopData | None = None, **declared: Any) -> None:
        self.server = PrestaShopServer(data or tiny_shop(), key=KEY, clock=lambda: NOW)
        self.asked: list[str] = []
        self.connector: PrestaShopConnector = prestashop.build(
            system("prestashop", url=self.server.start(), key=KEY, **declared),
            retailer=retailer(),
            tokeniser=TOKENISER,
            clock=lambda: datetime.now(UTC),
            sleep=lambda seconds: None,
            retry=RetryPolicy(attempts=3),
            session_factory=self._session,
        )

    def _session(self) -> requests.Session:
        """A session that notes what it sends."""
        session = requests.Session()
        session.hooks["response"].append(
            lambda answer, **_: self.asked.append(f"{answer.request.method} {urlsplit(answer.request.url).path}")
        )
        return session

    def write(self, *writes: Write) -> list[WriteResult]:
        return self.connector.write(writes, now=NOW)

    @property
    def writing(self) -> list[str]:
        """What changed something, or tried to."""
        return [call for call in self.asked if not call.startswith("GET")]

    def seen(self, item: str) -> tuple[int, int, int, bool]:
        found = self.server.shown()[item]
        return found.quantity, found.regular_minor, found.effective_minor, found.is_published

    def rows(self, table: str, field: str, value: object) -> list[dict[str, Any]]:
        """Rows of a table of the shop, as they stand there."""
        held = self.server.webservice.tables[table]
        return [held.row(number) for number in held.where(field, value)]


@pytest.fixture
def shop() -> Iterator[Shop]:
    running = Shop()
    yield running
    running.server.stop()


def asked(attribute: str, item: str, before: JsonValue, after: JsonValue, **changes: Any) -> Write:
    """One write."""
    entity = ENTITIES.get(attribute, "channel_price")
    return Write(f"{entity}/{item}/{attribute}", entity, item, attribute, before, after, **changes)


def outcomes(results: Sequence[WriteResult]) -> list[str]:
    return [result.outcome for result in results]


def test_it_is_a_connector_that_writes_and_reads_again(shop: Shop) -> None:
    assert isinstance(shop.connector, WritingConnector)
    assert isinstance(shop.connector, TargetedConnector)
    declared = {(write.entity, write.attribute) for write in shop.connector.writes()}
    assert declared == {
        ("channel_stock", "published_qty"),
        ("channel_price", "regular_minor"),
        ("channel_price", "promotion"),
        ("channel_price", "is_published"),
        ("order", "shipment"),
    }


# what is written is what buyers see ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("write", "seen"),
    [
        (asked("published_qty", "1", 5, 8), (8, 1290, 1000, True)),
        (asked("published_qty", "1", 5, 0), (0, 1290, 1000, True)),
        (asked("published_qty", "2-4", 0, 7), (7, 1290, 1290, True)),
        (asked("regular_minor", "1", 1290, 1499), (5, 1499, 1000, True)),
        (asked("regular_minor", "2-3", 1590, 1999), (2, 1999, 1999, True)),
        (asked("regular_minor", "2-4", 1290, 999), (0, 999, 999, True)),
        (asked("regular_minor", "5", 2000, 1), (5, 1, 1, True)),
        (asked("promotion", "1", PROMOTION, None), (5, 1290, 1290, True)),
        (asked("promotion", "1", PROMOTION, {**PROMOTION, "minor": 849}), (5, 1290, 849, True)),
        (asked("promotion", "2-3", None, PROMOTION), (2, 1590, 1000, True)),
        (asked("promotion", "5", None, {"minor": 1, "starts_at": None, "ends_at": None}), (5, 2000, 1, True)),
        (
            asked("promotion", "5", None, {"minor": 999, "starts_at": "2026-06-01T00:00:00Z", "ends_at": None}),
            (5, 2000, 2000, True),
        ),
        (asked("is_published", "1", True, False), (5, 1290, 1000, False)),
    ],
)
def test_a_value_is_written_and_read_back(shop: Shop, write: Write, seen: tuple[Any, ...]) -> None:
    others = {item: found for item, found in shop.server.shown().items() if item != write.external_id}
    (result,) = shop.write(write)
    assert (result.outcome, result.found, result.read_back) == ("applied", write.before, write.after)
    assert result.is_found
    assert result.is_read_back
    assert result.request_id
    assert shop.seen(write.external_id) == seen
    assert {item: found for item, found in shop.server.shown().items() if item != write.external_id} == others
    sent = shop.writing
    assert outcomes(shop.write(write)) == ["unchanged"]
    assert shop.writing == sent, "the second time sends nothing"


def test_the_sum_row_of_a_product_follows_its_combinations(shop: Shop) -> None:
    shop.write(asked("published_qty", "2-3", 2, 9), asked("published_qty", "2-4", 0, 4))
    rows = shop.rows("stock_availables", "id_product", "2")
    assert {row["id_product_attribute"]: row["quantity"] for row in rows} == {"0": "13", "3": "9", "4": "4"}


def test_a_price_keeps_its_promotion_where_it_was(shop: Shop) -> None:
    """The reduction is an amount off: a new price alone would move what buyers pay."""
    assert outcomes(shop.write(asked("regular_minor", "1", 1290, 1500))) == ["applied"]
    assert shop.seen("1")[1:3] == (1500, 1000)


def test_a_promotion_that_is_right_already_stays_so_beside_a_new_price(shop: Shop) -> None:
    both = [asked("promotion", "1", None, PROMOTION), asked("regular_minor", "1", 1290, 1500)]
    assert outcomes(shop.write(*both)) == ["unchanged", "applied"]
    assert shop.seen("1")[1:3] == (1500, 1000)


def test_a_reduction_of_the_whole_product_moves_with_a_price_and_is_told(shop: Shop) -> None:
    table = shop.server.webservice.tables["specific_prices"]
    shared = {"id_product_attribute": "0", "reduction": "0.500000", "reduction_type": "percentage"}
    table.put(50, {**table.row(1), "id": 50, "id_product": "2", **shared})
    (result,) = shop.write(asked("regular_minor", "2-3", 1590, 2000))
    assert (result.outcome, shop.seen("2-3")[1:3]) == ("applied", (2000, 1000))
    assert "its promotion moved with it" in result.reason
    assert "not this item's alone" in result.reason
    (refused,) = shop.write(asked("promotion", "2-4", {**PROMOTION, "minor": 645}, None))
    assert (refused.outcome, "of the whole product 2" in refused.reason) == ("refused", True)
    assert shop.writing == ["PATCH /api/combinations/3"]


@pytest.mark.parametrize("price", [1000, 900])
def test_a_price_is_not_written_below_the_items_promotion(shop: Shop, price: int) -> None:
    """The promotion is 2.90 off 12.90: off a lower price, buyers would pay less than anybody wants."""
    write = asked("regular_minor", "1", 1290, price)
    (held,) = shop.write(write)
    assert (held.outcome, held.found, "not above the item's promotion of 1000" in held.reason) == ("retry", 1290, True)
    dearer = asked("promotion", "1", PROMOTION, {**PROMOTION, "minor": 1100})
    assert outcomes(shop.write(write, dearer)) == ["retry", "applied"], "the promotion is below the price that stays"
    assert shop.seen("1")[1:3] == (1290, 1100)
    cheaper = asked("promotion", "1", {**PROMOTION, "minor": 1100}, {**PROMOTION, "minor": 800})
    assert outcomes(shop.write(write, cheaper)) == ["applied", "applied"]
    assert shop.seen("1")[1:3] == (price, 800)
    assert outcomes(shop.write(asked("regular_minor", "1", price, 700))) == ["retry"]
    clear = asked("promotion", "1", {**PROMOTION, "minor": 800}, None)
    assert outcomes(shop.write(clear, asked("regular_minor", "1", price, 700))) == ["applied", "applied"]
    assert shop.seen("1")[1:3] == (700, 700)


def test_a_price_and_its_promotion_change_together(shop: Shop) -> None:
    both = [
        asked("promotion", "1", PROMOTION, {**PROMOTION, "minor": 1100}),
        asked("regular_minor", "1", 1290, 1500),
    ]
    assert outcomes(shop.write(*both)) == ["applied", "applied"]
    assert shop.seen("1")[1:3] == (1500, 1100)
    assert outcomes(shop.write(*both)) == ["unchanged", "unchanged"]


def test_a_product_is_hidden_with_all_its_combinations(shop: Shop) -> None:
    hide = [asked("is_published", item, True, False) for item in ("2-3", "2-4")]
    assert outcomes(shop.write(*hide)) == ["applied", "applied"]
    assert [call for call in shop.asked if call.startswith("PATCH")] == ["PATCH /api/products/2"]
    assert outcomes(shop.write(asked("is_published", "2", False, True))) == ["applied"]
    assert shop.seen("2-3")[3]


# what may not be written -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (asked("published_qty", "2", 2, 9), "has combinations: its own row is their sum"),
        (asked("published_qty", "99", 1, 2), "no stock row of product 99"),
        (asked("published_qty", "1", 5, "many"), "not a whole number"),
        (asked("published_qty", "x1", 5, 6), "no item of PrestaShop"),
        (asked("published_qty", "1", 5, 6, location_code="S01"), "not one of S01"),
        (asked("regular_minor", "2", 1290, 1700), "write the combinations"),
        (asked("regular_minor", "2-99", 1, 2), "no combination 99 of product 2"),
        (asked("regular_minor", "1", 1290, -1), "is no price"),
        (asked("promotion", "5", None, {"minor": 2000, "starts_at": None, "ends_at": None}), "not below"),
        (
            asked("promotion", "5", None, {"minor": 9, "starts_at": "2026-10-25T01:30:00Z", "ends_at": None}),
            "local time",
        ),
        (asked("promotion", "5", None, {"minor": 9, "starts_at": "soon", "ends_at": None}), "Invalid isoformat"),
        (asked("is_published", "2-3", True, False), "combinations 4 are to stay"),
        (asked("shipment", "4", TO_SHIP, {"status": "lost"}), "is no shipment"),
        (asked("shipment", "999", TO_SHIP, SHIPPED), "no order 999"),
        (asked("colour", "1", 1, 2), "does not take"),
    ],
)
def test_what_the_shop_cannot_hold_is_refused_and_says_why(shop: Shop, write: Write, reason: str) -> None:
    before = shop.server.shown()
    (result,) = shop.write(write)
    assert (result.outcome, reason in result.reason) == ("refused", True), result
    assert shop.server.shown() == before
    assert shop.writing == []


@pytest.mark.parametrize(
    ("write", "found"),
    [
        (asked("published_qty", "1", 6, 8), 5),
        (asked("regular_minor", "1", 1200, 1300), 1290),
        (asked("promotion", "1", None, {**PROMOTION, "minor": 900}), PROMOTION),
        (asked("promotion", "5", PROMOTION, {**PROMOTION, "minor": 900}), None),
        (asked("is_published", "1", False, True), True),
        (asked("shipment", "2", TO_SHIP, SHIPPED), {"status": "cancelled", "tracking_number": None}),
    ],
)
def test_what_moved_since_the_plan_is_left_alone(shop: Shop, write: Write, found: JsonValue) -> None:
    before = shop.server.shown()
    (result,) = shop.write(write)
    assert result.found == found
    assert result.outcome == ("unchanged" if found == write.after else "moved")
    assert shop.server.shown() == before
    assert shop.writing == []


def test_results_come_in_the_order_asked(shop: Shop) -> None:
    results = shop.write(
        asked("shipment", "5", TO_SHIP, SHIPPED),
        asked("colour", "1", 1, 2),
        asked("promotion", "1", PROMOTION, None),
        asked("published_qty", "1", 5, 6),
        asked("published_qty", "1", 5, 7),
    )
    assert outcomes(results) == ["applied", "refused", "applied", "applied", "refused"]
    assert [result.key.split("/")[2] for result in results] == [
        "shipment",
        "colour",
        "promotion",
        "published_qty",
        "published_qty",
    ]


# shipments -------------------------------------------------------------------------------------------------------------


def test_a_shipment_gives_the_order_its_number_and_its_state(shop: Shop) -> None:
    (result,) = shop.write(asked("shipment", "5", TO_SHIP, SHIPPED))
    assert (result.outcome, result.found, result.read_back) == ("applied", TO_SHIP, SHIPPED)
    assert shop.writing == ["PATCH /api/order_carriers/5", "POST /api/order_histories"], "the number goes first"
    (order,) = shop.rows("orders", "id", 5)
    assert (order["current_state"], order["shipping_number"]) == ("4", "6A12345678901")
    assert outcomes(shop.write(asked("shipment", "5", TO_SHIP, SHIPPED))) == ["unchanged"]
    states = [row["id_order_state"] for row in shop.rows("order_histories", "id_order", "5")]
    assert states.count("4") == 1, "a state is entered once"


@pytest.mark.parametrize(
    ("before", "wanted", "outcome", "sent"),
    [
        (SHIPPED, {"status": "shipped", "tracking_number": "NEW"}, "applied", ["PATCH /api/order_carriers/5"]),
        (SHIPPED, {"status": "shipped", "tracking_number": None}, "applied", ["PATCH /api/order_carriers/5"]),
        (SHIPPED, TO_SHIP, "refused", []),
        (TO_SHIP, {"status": "shipped", "tracking_number": "NEW"}, "moved", []),
    ],
)
def test_an_order_that_was_shipped_never_goes_back(
    shop: Shop, before: JsonValue, wanted: JsonValue, outcome: str, sent: list[str]
) -> None:
    shop.write(asked("shipment", "5", TO_SHIP, SHIPPED))
    shop.asked.clear()
    assert (outcomes(shop.write(asked("shipment", "5", before, wanted))), shop.writing) == ([outcome], sent)


@pytest.mark.parametrize(
    ("number", "sent"),
    [(" 6A12345678901 ", ["PATCH /api/order_carriers/5"]), ("", []), ("  ", [])],
)
def test_a_number_is_written_without_the_spaces_around_it(shop: Shop, number: str, sent: list[str]) -> None:
    write = asked("shipment", "5", TO_SHIP, {"status": "shipped", "tracking_number": number})
    (result,) = shop.write(write)
    assert result.outcome == "applied", result
    assert shop.writing == [*sent, "POST /api/order_histories"]
    assert outcomes(shop.write(write)) == ["unchanged"]


def test_a_delivered_order_counts_as_shipped(shop: Shop) -> None:
    table = shop.server.webservice.tables["orders"]
    table.put(5, {**table.row(5), "current_state": "5"})
    (result,) = shop.write(asked("shipment", "5", {"status": "delivered", "tracking_number": None}, SHIPPED))
    assert (result.outcome, result.read_back) == (
        "applied",
        {"status": "delivered", "tracking_number": "6A12345678901"},
    )
    assert shop.writing == ["PATCH /api/order_carriers/5"]


def test_a_shipment_that_broke_in_the_middle_goes_on(shop: Shop) -> None:
    shop.server.faults.add(Fault("server_error", "POST /api/order_histories"))
    write = asked("shipment", "5", TO_SHIP, SHIPPED)
    (broken,) = shop.write(write)
    assert (broken.outcome, broken.read_back) == ("retry", {"status": "payable", "tracking_number": "6A12345678901"})
    shop.server.faults.clear()
    assert outcomes(shop.write(write)) == ["applied"]


# bad days --------------------------------------------------------------------------------------------------------------


def stocks(qty: int, *, start: int = 20) -> tuple[ShopData, list[Write]]:
    """A shop of many simple items, and a write for each."""
    data = tiny_shop(orders=5)
    pattern = data.items.row(0, named=True)
    more = [{**pattern, "item_id": number, "sku": f"M-{number}", "gtin": None} for number in range(start, start + qty)]
    items = pl.concat([data.items, pl.DataFrame(more, schema=data.items.schema)])
    writes = [asked("published_qty", str(row["item_id"]), 5, row["item_id"]) for row in more]
    return ShopData(**{**data.__dict__, "items": items}), writes


def test_a_batch_goes_around_the_rows_on_which_the_shop_dies() -> None:
    data, writes = stocks(12)
    shop = Shop(data)
    held = shop.server.webservice.tables["stock_availables"]
    bad = {number for product in ("22", "27") for number in held.where("id_product", product)}
    shop.server.failing.update(("stock_availables", number) for number in bad)
    results = shop.write(*writes)
    assert [result.key.split("/")[1] for result in results if result.outcome == "retry"] == ["22", "27"]
    assert outcomes(results).count("applied") == 10
    assert all("HTTP 500" in result.reason for result in results if result.outcome == "retry")
    shown = shop.server.shown()
    assert {item: shown[item].quantity for item in ("21", "22", "23", "27", "31")} == {
        "21": 21, "22": 5, "23": 23, "27": 5, "31": 31
    }  # fmt: skip
    assert len(shop.asked) < 20
    shop.server.failing.clear()
    assert outcomes(shop.write(*writes)).count("unchanged") == 10
    shop.server.stop()


@pytest.mark.parametrize("attribute", ["published_qty", "regular_minor", "promotion", "is_published", "shipment"])
@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        ("truncated", "applied"),  # done, and the answer is cut: reading back tells
        ("server_error", "retry"),
        ("html_error", "retry"),
        ("drop_connection", "retry"),
        ("too_many_requests", "retry"),
    ],
)
def test_an_answer_that_is_none_is_looked_behind(attribute: str, kind: Any, outcome: str) -> None:
    shop = Shop()
    write = {
        "published_qty": asked("published_qty", "1", 5, 8),
        "regular_minor": asked("regular_minor", "2-3", 1590, 1700),
        "promotion": asked("promotion", "5", None, PROMOTION),
        "is_published": asked("is_published", "1", True, False),
        "shipment": asked("shipment", "5", TO_SHIP, SHIPPED),
    }[attribute]
    fault = shop.server.faults.add(Fault(kind, "(PATCH|POST|DELETE) ", seconds=1))
    (result,) = shop.write(write)
    assert fault.fired
    # a parcel's number whose answer is cut is there, but the state is not tried before it is known
    expected = "retry" if attribute == "shipment" else outcome
    assert (result.outcome, result.is_read_back) == (expected, True), result
    shop.server.faults.clear()
    assert outcomes(shop.write(write))[0] in ("applied", "unchanged")
    assert outcomes(shop.write(write)) == ["unchanged"]
    shop.server.stop()


@pytest.mark.parametrize("attribute", ["published_qty", "regular_minor", "promotion", "is_published", "shipment"])
def test_a_warning_of_a_module_is_no_failure_when_the_row_was_saved(shop: Shop, attribute: str) -> None:
    """PHP's warnings make a 500 of an answer (WebserviceRequest::webserviceErrorHandler): the row at hand is saved, those after it
    are not (saveEntityFromXml saves while there is no error)."""
    kept = shop.server.webservice.writer.write

    def warns(resource: Any, method: str, body: bytes) -> Any:
        root = etree.fromstring(body)
        del root[1:]
        kept(resource, method, etree.tostring(root))
        raise WebserviceError(500, (3, "[PHP Warning #2] Undefined array key (/srv/shop/modules/x/x.php, line 7)"))

    shop.server.webservice.writer.write = warns  # type: ignore[method-assign]
    writes = {
        "published_qty": [asked("published_qty", "1", 5, 8), asked("published_qty", "2-4", 0, 3)],
        "regular_minor": [asked("regular_minor", "2-3", 1590, 1700), asked("regular_minor", "1", 1290, 1400)],
        "promotion": [asked("promotion", "5", None, PROMOTION), asked("promotion", "2-3", None, PROMOTION)],
        "is_published": [asked("is_published", "1", True, False), asked("is_published", "5", True, False)],
        "shipment": [asked("shipment", "5", TO_SHIP, SHIPPED)],
    }[attribute]
    assert set(outcomes(shop.write(*writes))) == {"applied"}
    if attribute == "shipment":
        assert shop.writing == ["PATCH /api/order_carriers/5", "POST /api/order_histories"], (
            "the state follows the number"
        )


def several_promotions(shop: Shop, *, of: str) -> None:
    """Give an item two more promotions to come, beside the one it has."""
    table = shop.server.webservice.tables["specific_prices"]
    for number, month in ((51, "07"), (52, "08")):
        window = {"from": f"2026-{month}-01 00:00:00", "to": f"2026-{month}-02 23:59:59"}
        table.put(number, {**table.row(1), "id": number, "id_product": of, **window})


def test_all_promotions_of_an_item_are_cleared_though_a_module_warns_or_one_is_gone(shop: Shop) -> None:
    several_promotions(shop, of="1")
    delete = shop.server.webservice.writer.delete

    def warns(resource: Any, row_id: int) -> None:
        delete(resource, row_id)
        if row_id == 1:
            delete(resource, 51)  # somebody in the back office
            raise WebserviceError(500, (3, "[PHP Warning #2] Undefined array key"))

    shop.server.webservice.writer.delete = warns  # type: ignore[method-assign]
    assert outcomes(shop.write(asked("promotion", "1", PROMOTION, None))) == ["applied"]
    assert shop.writing == [f"DELETE /api/specific_prices/{number}" for number in (1, 51, 52)]
    assert shop.rows("specific_prices", "id_product", "1") == []


def test_a_promotion_that_was_changed_with_a_warning_is_the_only_one_left(shop: Shop) -> None:
    several_promotions(shop, of="1")
    kept = shop.server.webservice.writer.write

    def warns(resource: Any, method: str, body: bytes) -> Any:
        kept(resource, method, body)
        raise WebserviceError(500, (3, "[PHP Warning #2] Undefined array key"))

    shop.server.webservice.writer.write = warns  # type: ignore[method-assign]
    wanted = {**PROMOTION, "minor": 900}
    assert outcomes(shop.write(asked("promotion", "1", PROMOTION, wanted))) == ["applied"]
    assert [row["id"] for row in shop.rows("specific_prices", "id_product", "1")] == [1]


def test_nothing_is_made_while_promotions_are_deleted() -> None:
    """SpecificPrice::delete switches all specific prices off when it finds none left: one that is made meanwhile would not show."""
    data, stock = stocks(90)
    items = [write.external_id for write in stock]
    old, new = items[:45], items[45:]
    shop = Shop(data, workers=4)
    table = shop.server.webservice.tables["specific_prices"]
    for number, item in enumerate(old, start=100):
        table.put(number, {**table.row(1), "id": number, "id_product": item})
    under_way: Counter[str] = Counter()
    together: list[str] = []
    guard = threading.Lock()
    request = requests.Session.request

    def watched(session: requests.Session, method: str, url: str, **options: Any) -> requests.Response:
        with guard:
            under_way[method] += 1
            if under_way["POST"] and under_way["DELETE"]:
                together.append(url)
        try:
            return request(session, method, url, **options)
        finally:
            with guard:
                under_way[method] -= 1

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(requests.Session, "request", watched)
        clear = [asked("promotion", item, PROMOTION, None) for item in old]
        results = shop.write(*clear, *(asked("promotion", item, None, PROMOTION) for item in new))
    assert Counter(outcomes(results)) == {"applied": 90}
    assert Counter(call.split()[0] for call in shop.writing) == {"DELETE": 45, "POST": 3}
    assert together == []
    shop.server.stop()


def test_what_one_subject_may_not_read_holds_no_other_back() -> None:
    """A key without the right to the tax rates, say: prices cannot be told, stock and shipments go on."""
    shop = Shop()
    needed = (
        "stock_availables",
        "configurations",
        "shops",
        "orders",
        "order_states",
        "order_carriers",
        "order_histories",
    )
    shop.server.webservice.keys[KEY] = {name: frozenset({"GET", "POST", "PATCH"}) for name in needed}
    price, writes = asked("regular_minor", "1", 1290, 1400), [asked("shipment", "5", TO_SHIP, SHIPPED)]
    results = shop.write(price, *writes, asked("published_qty", "1", 5, 6))
    assert outcomes(results) == ["refused", "applied", "applied"]
    assert "give the key this resource" in results[0].reason
    with pytest.raises(PermanentError, match="code 26"):
        shop.write(price)
    shop.server.stop()


@pytest.mark.parametrize("kind", ["server_error", "html_error", "drop_connection", "too_many_requests"])
def test_a_shop_that_is_down_is_told_by_an_error_before_anything_is_sent(shop: Shop, kind: Any) -> None:
    shop.server.faults.add(Fault(kind, seconds=1))
    with pytest.raises(RetryableError):
        shop.write(asked("published_qty", "1", 5, 8))
    assert shop.writing == []


def test_what_cannot_be_read_back_is_tried_later(shop: Shop) -> None:
    write = asked("published_qty", "1", 5, 8)
    shop.write(asked("published_qty", "5", 5, 5))
    shop.server.faults.add(Fault("server_error", r"GET /api/stock_availables.*filter\[id\]"))
    (result,) = shop.write(write)
    assert (result.outcome, result.is_read_back) == ("retry", False)
    assert "not read back" in result.reason
    shop.server.faults.clear()
    assert outcomes(shop.write(write)) == ["unchanged"]


def test_a_value_that_does_not_stick_is_told(shop: Shop) -> None:
    """The shop says yes and keeps what it has: here, a reading that shows another row's quantity."""
    kept = shop.server.webservice.writer.write

    def forgets(resource: Any, method: str, body: bytes) -> Any:
        return kept(resource, method, body.replace(b"<quantity>8", b"<foo>8").replace(b"8</quantity>", b"8</foo>"))

    shop.server.webservice.writer.write = forgets  # type: ignore[method-assign]
    (result,) = shop.write(asked("published_qty", "1", 5, 8))
    assert (result.outcome, result.read_back) == ("not_kept", 5)
    assert result.reason == "the shop said yes and shows 5 in place of 8"


def test_a_key_that_may_not_write_is_refused_once() -> None:
    data, writes = stocks(3)
    shop = Shop(data)
    rights = {name: frozenset({"GET"}) for name in ("stock_availables", "configurations", "shops")}
    shop.server.webservice.keys[KEY] = rights
    results = shop.write(*writes)
    assert outcomes(results) == ["refused"] * 3
    assert all("give the key this method" in result.reason for result in results)
    assert len(shop.writing) == 1
    shop.server.stop()


def test_the_shops_own_words_come_unescaped(shop: Shop) -> None:
    odd: JsonValue = {"status": "shipped", "tracking_number": "6A<1>"}
    (result,) = shop.write(asked("shipment", "5", TO_SHIP, odd))
    assert (result.outcome, result.read_back) == ("refused", TO_SHIP)
    assert 'code 85, Validation error: "Property OrderCarrier->tracking_number is not valid"' in result.reason
    assert shop.writing == ["PATCH /api/order_carriers/5"], "no state without the number that goes with it"


# cost ------------------------------------------------------------------------------------------------------------------


def test_one_quantity_costs_three_requests(shop: Shop) -> None:
    shop.write(asked("published_qty", "1", 5, 6))
    shop.asked.clear()
    shop.write(asked("published_qty", "2-3", 2, 1))
    assert [call.partition(" ")[0] for call in shop.asked] == ["GET", "PATCH", "GET"]


def test_many_quantities_go_in_batches() -> None:
    data, writes = stocks(130)
    shop = Shop(data)
    assert set(outcomes(shop.write(*writes))) == {"applied"}
    assert len(shop.writing) == 3
    assert {
        item: found.quantity for item, found in shop.server.shown().items() if int(item.partition("-")[0]) >= 20
    } == {write.external_id: write.after for write in writes}
    shop.server.stop()


# reading single rows again ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stream", "ids", "entity", "expected"),
    [
        ("products", ["1", "99"], "product", ["1"]),
        ("combinations", ["2-3"], "product", ["2-3", "2-4"]),
        ("stock_availables", ["2-4", "1", "x"], "channel_stock", ["1", "2", "2-3", "2-4"]),
        ("prices", ["2-3"], "channel_price", ["2", "2-3", "2-4"]),
        ("orders", ["5", "7", "999"], "order", ["5", "7"]),
        ("order_slip", ["901"], "refund", ["901"]),
        ("customers", ["1"], "customer", ["1"]),
        ("orders", [], "order", []),
    ],
)
def test_single_rows_are_read_again(shop: Shop, stream: str, ids: list[str], entity: str, expected: list[str]) -> None:
    reading = shop.connector.read_ids(stream_of(shop.connector, stream), ids, now=NOW)
    frames = [batch.frames[entity] for batch in reading.batches]
    key = {"order": "order_external_id", "refund": "refund_external_id", "customer": "customer_external_id"}
    found = [row for frame in frames for row in frame[key.get(entity, "product_external_id")].to_list()]
    assert (sorted(found), reading.is_full, reading.announced_qty) == (expected, False, len(expected))


def test_a_single_reading_shows_what_was_written(shop: Shop) -> None:
    shop.write(asked("promotion", "2-3", None, PROMOTION), asked("regular_minor", "2-3", 1590, 1777))
    reading = shop.connector.read_ids(stream_of(shop.connector, "prices"), ["2-3"], now=NOW)
    (row,) = [
        row
        for batch in reading.batches
        for row in batch.frames["channel_price"].iter_rows(named=True)
        if row["product_external_id"] == "2-3"
    ]
    assert (row["regular_minor"], row["effective_minor"], row["promotion_minor"]) == (1777, 1000, 1000)
    assert (row["promotion_starts_at"], row["promotion_ends_at"]) == (
        datetime(2026, 5, 17, 10, tzinfo=UTC), datetime(2026, 5, 24, 22, tzinfo=UTC)
    )  # fmt: skip


def test_a_sale_is_read_without_the_lists_that_hardly_ever_change(shop: Shop) -> None:
    def read(number: str) -> list[tuple[str, int | None]]:
        shop.asked.clear()
        reading = shop.connector.read_ids(stream_of(shop.connector, "orders"), [number], now=NOW)
        frames = [batch.frames["order"] for batch in reading.batches]
        return [(row["status"], reading.announced_qty) for frame in frames for row in frame.iter_rows(named=True)]

    first = read("5")
    again = read("5")
    assert again == first
    assert [call.removeprefix("GET /api/") for call in shop.asked] == [
        "configurations",
        "orders",
        "order_details",
        "order_histories",
        "addresses",
    ]
    states, orders = (shop.server.webservice.tables[name] for name in ("order_states", "orders"))
    states.put(77, {**states.row(2), "id": 77, "shipped": "1"})
    orders.put(5, {**orders.row(5), "current_state": 77})
    assert read("5") == [("shipped", 1)], "a state that came a moment ago is looked for at once"
    assert "GET /api/order_states" in shop.asked
