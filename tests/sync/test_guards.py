"""Guards: what each of them holds, and what it lets pass, at its limit and one over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

import pytest

from resources.operations.plans import PlanLine
from resources.retailer import GuardLimits, Guards, Retailer
from resources.sync.facts import GuardFact
from resources.sync.guards import CONTENT_GUARDS, OBSERVATION_GUARDS, Measured, held_reasons, price_change_pct
from tests.sync.conftest import NOW
from tests.sync.given import fact, line

PROMOTION = {"minor": 700, "starts_at": None, "ends_at": None}
LIMITS = GuardLimits()


def quantities(number: int, after: int = 3) -> list[PlanLine]:
    return [line(str(item), "published_qty", 5, after) for item in range(number)]


def hidden(number: int) -> list[PlanLine]:
    return [line(str(item), "is_published", True, False) for item in range(number)]


@dataclass(frozen=True)
class Case:
    """A plan, and the guards that hold it."""

    lines: Sequence[PlanLine]
    held_by: set[str] = field(default_factory=set)
    subject: str = "stock"
    fact: GuardFact | None = None
    limits: GuardLimits = LIMITS
    regular: dict[str, int] = field(default_factory=dict)
    reverted: int = 0
    fought_over: int = 0
    day_ago: int | None = None


ONE = quantities(1)
CASES = {
    "one line": Case(ONE),
    "a quarter of the listings": Case(quantities(250)),
    "a line more than a quarter": Case(quantities(251), {"share_of_listings"}),
    "a small shop's few lines": Case(quantities(49), fact=fact("stock", listings_qty=49, observed_qty=49)),
    "as many lines as are looked at": Case(
        quantities(50), {"share_of_listings"}, fact=fact("stock", listings_qty=50, observed_qty=50)
    ),
    "a share counts listings, not lines": Case(
        [
            *(line(str(i), "regular_minor", 100, 101) for i in range(200)),
            *(line(str(i), "promotion", PROMOTION, PROMOTION | {"minor": 701}) for i in range(200)),
        ],
        subject="price",
    ),
    "parcels are many of the open orders": Case(quantities(900), subject="shipment"),
    "a fall at the limit": Case([line("1", "regular_minor", 1000, 800)], subject="price"),
    "a fall over the limit": Case([line("1", "regular_minor", 1000, 799)], {"price_fall"}, "price"),
    "a rise at the limit": Case([line("1", "regular_minor", 1000, 1300)], subject="price"),
    "a rise over the limit": Case([line("1", "regular_minor", 1000, 1301)], {"price_rise"}, "price"),
    "a cent instead of a euro": Case([line("1", "regular_minor", 1000, 10)], {"price_fall"}, "price"),
    "a first price has nothing to compare with": Case([line("1", "regular_minor", None, 5000)], subject="price"),
    "a price of zero": Case([line("1", "regular_minor", None, 0)], {"price_of_zero"}, "price"),
    "a promotion for nothing": Case(
        [line("1", "promotion", None, PROMOTION | {"minor": 0})], {"price_of_zero"}, "price"
    ),
    "a promotion that goes": Case([line("1", "promotion", PROMOTION, None)], subject="price"),
    "a promotion that falls": Case(
        [line("1", "promotion", PROMOTION, PROMOTION | {"minor": 500})], {"price_fall"}, "price"
    ),
    "a promotion at the deepest": Case(
        [line("1", "promotion", None, PROMOTION | {"minor": 400})], subject="price", regular={"1": 1000}
    ),
    "a promotion that is too deep": Case(
        [line("1", "promotion", None, PROMOTION | {"minor": 399})], {"promotion_depth"}, "price", regular={"1": 1000}
    ),
    "a quantity is no price": Case([line("1", "published_qty", 100, 0)]),
    "a share set to zero": Case(quantities(51, after=0), {"set_to_zero"}),
    "a share set to zero at the limit": Case(quantities(50, after=0)),
    "a number set to zero": Case(
        quantities(251, after=0), {"set_to_zero"}, fact=fact("stock", listings_qty=100_000, observed_qty=100_000)
    ),
    "a number set to zero at the limit": Case(
        quantities(250, after=0), fact=fact("stock", listings_qty=100_000, observed_qty=100_000)
    ),
    "taken off sale at the limit": Case(hidden(25), subject="publication"),
    "one more taken off sale": Case(hidden(26), {"unpublished"}, "publication"),
    "put on sale": Case([line(str(i), "is_published", False, True) for i in range(40)], subject="publication"),
    "the channel was never read": Case(ONE, {"observation"}, fact=fact("stock", observation_read_at=None)),
    "the channel showed nothing": Case(ONE, {"observation"}, fact=fact("stock", observed_qty=0)),
    "a channel that has nothing": Case(ONE, fact=fact("stock", observed_qty=0, listings_qty=0)),
    "read too long ago": Case(
        ONE, {"stale_observation"}, fact=fact("stock", observation_read_at=NOW - timedelta(minutes=1561))
    ),
    "read just in time": Case(ONE, fact=fact("stock", observation_read_at=NOW - timedelta(minutes=1560))),
    "a source failed": Case(ONE, {"failed_source"}, fact=fact("stock", failed_streams=("erp.erp_stock",))),
    "orders older than the stock": Case(
        ONE, {"orders_lag"}, fact=fact("stock", orders_read_at=NOW - timedelta(minutes=66))
    ),
    "orders just as old as they may be": Case(ONE, fact=fact("stock", orders_read_at=NOW - timedelta(minutes=65))),
    "orders never read": Case(ONE, {"orders_lag"}, fact=fact("stock", orders_read_at=None)),
    "orders do not matter to prices": Case(
        [line("1", "regular_minor", 1000, 1010)], subject="price", fact=fact("price", orders_read_at=None)
    ),
    "what a person took back": Case(ONE, {"reverted"}, reverted=1),
    "what another hand sets back": Case(ONE, {"fought_over"}, fought_over=1),
    "a price that fell in steps of a day": Case(
        [line("0", "regular_minor", 1000, 999)], {"price_fall"}, "price", day_ago=1249
    ),
    "a price that fell and came back": Case([line("0", "regular_minor", 900, 1000)], set(), "price", day_ago=1000),
    "a retailer's own limit": Case(
        [line("1", "regular_minor", 1000, 940)],
        {"price_fall"},
        "price",
        limits=GuardLimits(max_price_fall_pct=Decimal(5)),
    ),
    "several guards at once": Case(
        [line("1", "regular_minor", 1000, 0)],
        {"price_fall", "price_of_zero", "failed_source"},
        "price",
        fact=fact("price", failed_streams=("erp.erp_prices",)),
    ),
}


def measured(case: Case, retailer: Retailer) -> Measured:
    return Measured(
        channel=retailer.channel("web-be"),
        subject=case.subject,
        lines=case.lines,
        fact=case.fact or fact(case.subject),
        limits=case.limits,
        now=NOW,
        reverted=case.lines[: case.reverted],
        fought_over=case.lines[: case.fought_over],
        day_ago={} if case.day_ago is None else {case.lines[0].write_key: case.day_ago},
        regular_minor=case.regular,
    )


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_guard_holds_what_is_over_its_limit_and_nothing_else(case: Case, retailer: Retailer) -> None:
    reasons = held_reasons(measured(case, retailer))
    assert {reason.guard for reason in reasons} == case.held_by
    for reason in reasons:
        assert reason.what
        assert reason.measured
        assert reason.limit
        assert reason.action, "a person is told what to do"


def test_every_guard_has_a_case_that_it_holds() -> None:
    held = set().union(*(case.held_by for case in CASES.values()))
    names = {guard.__name__ for guard in (*OBSERVATION_GUARDS, *CONTENT_GUARDS)}
    assert len(held) == len(names), (held, names)


def test_a_revert_is_not_asked_about_the_observation(retailer: Retailer) -> None:
    blind = Case(quantities(251), fact=fact("stock", observation_read_at=None, failed_streams=("erp.erp_stock",)))
    assert {reason.guard for reason in held_reasons(measured(blind, retailer), is_revert=True)} == {"share_of_listings"}


def test_examples_are_the_lines_with_most_at_risk(retailer: Retailer) -> None:
    lines = [line(str(i), "regular_minor", 1000, 100, value_at_risk_minor=i) for i in range(9)]
    (reason,) = held_reasons(measured(Case(lines, subject="price"), retailer))
    assert reason.examples[0] == "SKU-8 regular_minor: 1000 -> 100"
    assert len(reason.examples) == 5


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        (1000, 900, -10.0),
        (1000, 1000, 0.0),
        ({"minor": 500}, {"minor": 600}, 20.0),
        (0, 100, None),
        (None, 100, None),
        (100, None, None),
        (True, 2, None),
    ],
)
def test_price_change(before: object, after: object, change: float | None) -> None:
    assert price_change_pct(before, after) == change  # type: ignore[arg-type]


def test_a_channel_has_the_default_but_for_what_it_names() -> None:
    guards = Guards.model_validate(
        {"default": {"max_share_pct": 10, "max_zeroed_qty": 7}, "channels": {"web-be": {"max_zeroed_qty": 1}}}
    )
    assert guards.of("web-be") == GuardLimits(max_share_pct=Decimal(10), max_zeroed_qty=1)
    assert guards.of("web-fr") == GuardLimits(max_share_pct=Decimal(10), max_zeroed_qty=7)
