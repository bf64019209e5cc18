"""Whatever is asked of a PrestaShop, in whatever order: it ends as asked, a second time sends nothing, and the way back is the same way."""

from __future__ import annotations

import dataclasses
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.connectors.prestashop.prices import Item, Public, Terms, quote
from resources.connectors.prestashop.rows import SpecificPrice
from resources.connectors.prestashop.write_items import together
from resources.connectors.prestashop.write_promotions import Promotion, plan_promotion, read_promotion, shown_promotion
from resources.connectors.sdk.writing import JsonValue, Write
from tests.connectors.test_prestashop_writes import Shop
from tests.connectors.tiny_shop import NOW

ITEMS = ("1", "2-3", "2-4", "5")
PARIS = ZoneInfo("Europe/Paris")
ENTITY = {"published_qty": "channel_stock"}


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant.strftime("%Y-%m-%dT%H:%M:%SZ")


windows = st.tuples(
    st.none() | st.integers(-40, 40), st.none() | st.integers(1, 60)
).map(lambda hours: (
    None if hours[0] is None else NOW + timedelta(hours=hours[0]),
    None if hours[1] is None else NOW + timedelta(hours=hours[1] + max(0, hours[0] or 0)),
))  # fmt: skip


@st.composite
def wanted_values(draw: st.DrawFn) -> dict[tuple[str, str], JsonValue]:
    """Some attributes of some items and what they should be."""
    wanted: dict[tuple[str, str], JsonValue] = {}
    for item in ITEMS:
        if draw(st.booleans()):
            wanted[item, "published_qty"] = draw(st.integers(0, 500))
        if draw(st.booleans()):
            # item 1 is on promotion for 1000: a price that is not above is held back
            wanted[item, "regular_minor"] = draw(st.integers(1001, 20_000))
        if draw(st.booleans()):
            starts, ends = draw(windows)
            promotion: JsonValue = {
                "minor": draw(st.integers(1, 999)),
                "starts_at": _text(starts),
                "ends_at": _text(ends),
            }
            wanted[item, "promotion"] = draw(st.sampled_from([None, promotion]))
    if draw(st.booleans()):
        wanted["1", "is_published"] = draw(st.booleans())
    both = draw(st.sampled_from([None, True, False]))
    if both is not None:
        wanted["2-3", "is_published"] = wanted["2-4", "is_published"] = both
    return wanted


def present(shop: Shop, wanted: dict[tuple[str, str], JsonValue]) -> dict[tuple[str, str], JsonValue]:
    """What the shop holds of these attributes, as a write that expects something else finds it."""
    probes = [Write(f"{item} {name}", ENTITY.get(name, "channel_price"), item, name, "?", value) for (item, name), value in wanted.items()
              if name != "promotion"]  # fmt: skip
    odd: JsonValue = {"minor": 10**9, "starts_at": None, "ends_at": "2099-01-01T00:00:00Z"}
    probes += [
        Write(f"{item} {name}", "channel_price", item, name, odd, {**odd, "minor": 1})  # type: ignore[dict-item]
        for item, name in wanted
        if name == "promotion"
    ]
    found = {result.key: result.found for result in shop.write(*probes)}
    return {(item, name): found[f"{item} {name}"] for item, name in wanted}


@settings(max_examples=25, deadline=None)
@given(wanted=wanted_values(), order=st.randoms(use_true_random=False))
def test_it_ends_as_asked_in_any_order_and_goes_back(wanted: dict[tuple[str, str], JsonValue], order: Any) -> None:
    shop = Shop()
    try:
        before, buyers_saw = present(shop, wanted), shop.server.shown()
        writes = [
            Write(f"{item} {name}", ENTITY.get(name, "channel_price"), item, name, before[item, name], value)
            for (item, name), value in wanted.items()
        ]
        order.shuffle(writes)
        results = shop.write(*writes)
        assert {result.outcome for result in results} <= {"applied", "unchanged"}, results
        assert [result.key for result in results] == [write.key for write in writes]
        assert present(shop, wanted) == wanted
        sent = list(shop.writing)
        assert {result.outcome for result in shop.write(*writes)} <= {"unchanged"}
        assert shop.writing == sent, "a second time sends nothing"
        back = [dataclasses.replace(write, before=write.after, after=write.before) for write in writes]
        order.shuffle(back)
        results = shop.write(*back)
        assert {result.outcome for result in results} <= {"applied", "unchanged"}, results
        assert shop.server.shown() == buyers_saw, "a revert restores what buyers saw"
    finally:
        shop.server.stop()


# isNegativePrice, isPrice and isDateFormat of PrestaShop's Validate class
VALID = {
    "price": r"[-]?[0-9]{1,10}(\.[0-9]{1,9})?",
    "reduction": r"[0-9]{1,10}(\.[0-9]{1,9})?",
    "from": r"([0-9]{4})-((0?[0-9])|(1[0-2]))-((0?[0-9])|([1-2][0-9])|(3[01]))( [0-9]{2}:[0-9]{2}:[0-9]{2})?",
    "to": r"([0-9]{4})-((0?[0-9])|(1[0-2]))-((0?[0-9])|([1-2][0-9])|(3[01]))( [0-9]{2}:[0-9]{2}:[0-9]{2})?",
}


def terms(**changes: Any) -> Terms:
    """Terms of prices at NOW in Paris."""
    local = NOW.astimezone(PARIS).strftime("%Y-%m-%d %H:%M:%S")
    base = Terms("EUR", {1: 2000}, 0, 0, local, "Europe/Paris", "web-fr", {}, Public({}, {}))
    return dataclasses.replace(base, **changes)


@settings(max_examples=300, deadline=None)
@given(
    net=st.integers(1, 10**9),
    rate=st.sampled_from([0, 210, 550, 1000, 2000, 2100, 2550]),
    percent=st.sampled_from([0, 0, 0, 250, 1000, 3333]),
    minor=st.integers(0, 2 * 10**5),
    currency=st.sampled_from(["EUR", "EUR", "JPY", "KWD"]),
    window=windows,
)
def test_a_planned_promotion_shows_exactly_what_is_wanted(
    net: int, rate: int, percent: int, minor: int, currency: str, window: Any
) -> None:
    """Whatever the price, its tax and the visitors' reduction: the reduction in six decimals gives the minor unit, or is refused."""
    item = Item(7, 0, net * 100, 0, 0, rate)
    of_shop = terms(group_reduction=percent * 10**6, currency_code=currency)
    regular = quote(item, [], of_shop).regular_minor
    assert regular is not None
    wanted = Promotion(minor, *window)
    plan = plan_promotion(item, [], [], wanted, of_shop, PARIS, NOW, 1)
    if minor >= regular:
        assert plan.refused
        return
    assert not plan.refused, plan
    assert plan.post is not None
    fields = {**plan.post, "id": "9"}
    assert {name for name, form in VALID.items() if not re.fullmatch(form, fields[name])} == set(), fields
    row = SpecificPrice(
        9,
        7,
        price=fields["price"],
        reduction=fields["reduction"],
        reduction_type="amount",
        starts=fields["from"],
        ends=fields["to"],
    )
    assert shown_promotion(quote(item, [row], of_shop), PARIS) == wanted


@pytest.mark.parametrize(
    ("row", "is_own", "reason"),
    [
        (SpecificPrice(3, 0, reduction="0.5", reduction_type="percentage"), False, "of every product"),
        (
            SpecificPrice(3, 7, reduction="0.5", reduction_type="percentage", id_specific_price_rule=4),
            False,
            "price rule 4",
        ),
        (SpecificPrice(3, 7, reduction="0.5", reduction_type="percentage", id_group=1), False, "of a group"),
        (SpecificPrice(3, 7, reduction="0.5", reduction_type="percentage"), True, ""),
        (SpecificPrice(3, 7, reduction="0.5", reduction_type="percentage", ends="2020-01-01 00:00:00"), True, ""),
    ],
)
def test_only_the_items_own_rows_are_cleared(row: SpecificPrice, is_own: bool, reason: str) -> None:
    item = Item(7, 0, 10 * 10**8, 0, 0, 2000)
    plan = plan_promotion(item, [row], [row] if is_own else [], None, terms(), PARIS, NOW, 1)
    assert reason in plan.refused
    assert bool(plan.refused) is bool(reason)
    assert plan.delete == ([3] if is_own and row.ends.startswith("0000") else [])


def test_rows_of_the_whole_product_are_not_a_combinations() -> None:
    item = Item(7, 8, 10 * 10**8, 0, 0, 2000)
    shared = SpecificPrice(3, 7, reduction="0.5", reduction_type="percentage")
    assert "of the whole product 7" in plan_promotion(item, [shared], [], None, terms(), PARIS, NOW, 1).refused
    # its own row comes before the product's: a promotion of its own can be given
    plan = plan_promotion(item, [shared], [], Promotion(900, None, None), terms(), PARIS, NOW, 1)
    assert (plan.refused, plan.post is not None, plan.delete) == ("", True, [])


def test_several_own_rows_become_one() -> None:
    item = Item(7, 0, 10 * 10**8, 0, 0, 2000)
    rows = [
        SpecificPrice(number, 7, reduction="1", reduction_type="amount", starts=starts)
        for number, starts in ((3, "2026-05-01 00:00:00"), (4, "2026-05-02 00:00:00"), (5, "2026-09-01 00:00:00"))
    ]
    wanted = Promotion(1000, datetime(2026, 5, 1, 22, tzinfo=UTC), None)
    plan = plan_promotion(item, rows, rows, wanted, terms(), PARIS, NOW, 1)
    assert (plan.patch, plan.post, plan.delete) == ({"id": "4", "reduction": "2.000000"}, None, [3, 5])


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 30)), max_size=60), st.integers(1, 12))
def test_chunks_keep_products_together(items: list[tuple[int, int]], size: int) -> None:
    chunks = together(items, lambda item: item[0], size)
    assert sorted(row for chunk in chunks for row in chunk) == sorted(items)
    for product in {item[0] for item in items}:
        assert sum(1 for chunk in chunks if any(row[0] == product for row in chunk)) == 1
    assert all(len(chunk) <= size or len({row[0] for row in chunk}) == 1 for chunk in chunks)


@given(minutes=st.integers(0, 500_000), ends=st.none() | st.integers(1, 500_000))
def test_a_promotion_reads_as_it_prints(minutes: int, ends: int | None) -> None:
    starts = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    promotion = Promotion(5, starts, None if ends is None else starts + timedelta(minutes=ends))
    assert read_promotion(promotion.value()) == promotion
