"""What holds for any writes to a WooCommerce: twice is once, their order does not matter, and a price is the one that was wanted."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from resources.connectors.sdk.writing import JsonValue, Write
from resources.connectors.woocommerce.catalogue import gross_minor
from resources.connectors.woocommerce.facts import Terms
from resources.connectors.woocommerce.stored_prices import stored_texts
from tests.connectors.tiny_shop import NOW
from tests.connectors.woocommerce_in_process import Shop, price, promotion, publication, reduced, shipment, stock
from tests.connectors.woocommerce_in_process import parcel as parcel_of

quick = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])

_RUNNING = reduced(1000, "2026-05-17T10:00:00Z", "2026-05-24T22:00:00Z")
_INSTANTS = st.sampled_from([None, "2026-05-01T00:00:00Z", "2026-06-01T22:30:01Z"])
_PROMOTIONS = st.none() | st.builds(
    reduced, st.integers(1, 1500), _INSTANTS, st.sampled_from([None, "2026-07-01T00:00:00Z"])
)
WRITES: list[tuple[Any, str, JsonValue, st.SearchStrategy[Any]]] = [
    (stock, "1", 5, st.integers(0, 50)),
    (stock, "2-3", 2, st.integers(0, 50)),
    (stock, "2-4", 0, st.integers(0, 50)),
    (stock, "6", None, st.integers(0, 50)),
    (price, "1", 1290, st.integers(0, 3000)),
    (price, "2-3", 1590, st.integers(0, 3000)),
    (promotion, "1", _RUNNING, _PROMOTIONS),
    (promotion, "2-3", None, _PROMOTIONS),
    (publication, "1", True, st.booleans()),
    (publication, "2", True, st.booleans()),
    (publication, "2-4", True, st.booleans()),
    (
        shipment,
        "1",
        parcel_of("payable"),
        st.builds(parcel_of, st.just("shipped"), st.sampled_from([None, "6A1", "6A2"])),
    ),
]


@st.composite
def plans(draw: st.DrawFn) -> list[Write]:
    """Some writes to the tiny shop as it is, each for another value; none hides a product whose variation another one shows."""
    chosen = draw(st.lists(st.sampled_from(range(len(WRITES))), min_size=1, unique=True))
    plan = [make(item, before, draw(after)) for make, item, before, after in (WRITES[number] for number in chosen)]
    shown = {write.external_id: write.after for write in plan if write.attribute == "is_published"}
    assume(not (shown.get("2") is False and shown.get("2-4") is True))
    return plan


@quick
@given(plans())
def test_writing_twice_changes_nothing(plan: list[Write]) -> None:
    shop = Shop.of()
    first = shop.write(*plan)
    shown, sent = shop.server.shown(), len(shop.told)
    again = shop.write(*plan)
    assert shop.server.shown() == shown
    assert not [line for line in shop.told[sent:] if line.startswith("POST")]
    lost = any("dropped" in result.reason for result in first)
    for one, other in zip(first, again, strict=True):
        if one.outcome in ("applied", "unchanged") and not lost:
            assert other.outcome == "unchanged"
        assert one.outcome in ("applied", "unchanged", "refused")


@quick
@given(plans(), st.randoms(use_true_random=False))
def test_the_order_of_writes_does_not_matter(plan: list[Write], dice: Any) -> None:
    shuffled = dice.sample(plan, len(plan))
    one, other = Shop.of(), Shop.of()
    by_key = {result.key: result for result in other.write(*shuffled)}
    assert [result.outcome for result in one.write(*plan)] == [by_key[write.key].outcome for write in plan]
    assert one.server.shown() == other.server.shown()
    assert [result.key for result in one.connector().write(plan, now=NOW)] == [write.key for write in plan]


RATES = st.dictionaries(
    st.sampled_from(["", "reduced-rate"]),
    st.lists(st.sampled_from([200_000, 210_000, 55_000, 99_750, 21_000]), min_size=1, max_size=2).map(tuple),
)
TERMS = st.builds(Terms, st.booleans(), RATES, is_rounded_per_rate=st.booleans(), price_decimals=st.integers(0, 4))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**7), st.sampled_from(["", "reduced-rate", "=none"])), min_size=1), TERMS)
def test_a_stored_price_is_read_as_the_one_that_was_wanted(prices: list[tuple[int, str]], terms: Terms) -> None:
    for (minor, taxed_as), (text, nearest) in zip(prices, stored_texts(prices, terms, 2), strict=True):
        if text is None:
            assert nearest[0] < minor < nearest[1] or nearest[0] == minor == nearest[1]
            continue
        whole, _, fraction = text.partition(".")
        amount = int(whole) * 10**8 + int(fraction.ljust(8, "0") or "0")
        if terms.is_included:
            assert amount == minor * 10**6
        assert gross_minor([amount], [taxed_as], terms, 2) == [minor]


EXACT = [  # decimals, minor units wanted, with 20 %, tax rounded on each price; the text, or the nearest prices
    (2, 1290, "10.75", (1290, 1290)),
    (2, 999, None, (998, 1000)),
    (2, 995, "8.29", (995, 995)),
    (0, 1200, "10", (1200, 1200)),
    (0, 1290, None, (1200, 1300)),
]


@pytest.mark.parametrize(("decimals", "minor", "text", "nearest"), EXACT)
def test_prices_without_tax(decimals: int, minor: int, text: str | None, nearest: tuple[int, int]) -> None:
    terms = Terms(False, {"": (200_000,)}, price_decimals=decimals)
    assert stored_texts([(minor, "")], terms, 2) == [(text, nearest)]


def test_the_nearest_prices_of_two_rates_without_decimals_are_prices() -> None:
    terms = Terms(False, {"": (210_000, 210_000)}, price_decimals=0)
    assert stored_texts([(23201, "")], terms, 2) == [(None, (23200, 23500))]


def test_a_shop_that_rounds_the_sum_knows_every_price() -> None:
    terms = Terms(False, {"": (200_000,)}, is_rounded_per_rate=False)
    assert all(text for text, _ in stored_texts([(minor, "") for minor in range(3000)], terms, 2))


def test_yen_have_no_decimals() -> None:
    assert stored_texts([(1290, "")], Terms(True, {}, price_decimals=0), 0) == [("1290", (1290, 1290))]
