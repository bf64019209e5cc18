"""Applying: what a shop answers becomes receipts, the plan's end and the journal; a crash at any point repeats and doubles nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pytest

from resources.connectors.sdk.writing import Write, WriteResult, WritingConnector
from resources.errors import PermanentError, RetryableError
from resources.operations import Operations
from resources.operations.plans import Plan, PlanLine
from resources.sync.applying import ApplySummary, apply_pending
from tests.sync.conftest import Clock
from tests.sync.fake_shop import FakeShop, Killed
from tests.sync.given import CHANNEL, line, write

STOCK = "channel_stock", "published_qty"


def place(item: str) -> tuple[str, str, str]:
    return (STOCK[0], item, STOCK[1])


def shop_of(**quantities: int) -> FakeShop:
    return FakeShop(values={place(item): quantity for item, quantity in quantities.items()})


def begin(operations: Operations, clock: Clock, lines: list[PlanLine]) -> Plan:
    proposal = operations.plans.propose(
        channel_code=CHANNEL, system_code="shop", subject="stock", lines=lines, held_reasons=(), run_id="r", now=clock()
    )
    assert proposal.plan is not None
    operations.plans.begin(proposal.plan.plan_id, now=clock())
    return proposal.plan


def apply(operations: Operations, shop: FakeShop, clock: Clock, **other: object) -> ApplySummary:
    return apply_pending(shop, operations, clock=clock, worker="w", run_id="r", **other)  # type: ignore[arg-type]


def test_the_fake_is_a_connector_that_writes() -> None:
    assert isinstance(FakeShop(), WritingConnector)


def test_each_answer_becomes_a_receipt_and_the_plan_ends(either: Operations, clock: Clock) -> None:
    shop = shop_of(a=1, b=2, c=9, d=1, e=1)
    shop.refuses[place("d")] = "woocommerce_rest_product_invalid_id"
    shop.rounds[place("e")] = 3
    plan = begin(either, clock, [line(item, STOCK[1], 1, 2) for item in "abcde"])
    summary = apply(either, shop, clock)
    assert summary.outcomes == {"applied": 1, "unchanged": 1, "moved": 1, "refused": 1, "not_kept": 1}
    assert not summary.is_good
    receipts = {receipt.external_id: receipt for receipt in either.receipts.of_plan(plan.plan_id)}
    assert {item: receipt.outcome for item, receipt in receipts.items()} == {
        "a": "applied", "b": "unchanged", "c": "moved", "d": "refused", "e": "not_kept",
    }  # fmt: skip
    assert (receipts["a"].found, receipts["a"].read_back) == (1, 2)
    assert (receipts["c"].found, receipts["c"].is_read_back) == (9, False)
    assert (receipts["d"].reason, receipts["d"].request_id) == ("woocommerce_rest_product_invalid_id", "req-1")
    assert (receipts["e"].read_back, receipts["e"].after) == (3, 2)
    assert either.plans.get(plan.plan_id).status == "applied_with_errors"
    assert {letter.external_id: letter.outcome for letter in either.outbox.dead_letters()} == {
        "d": "refused",
        "e": "not_kept",
    }
    (entry,) = either.exchanges(system_code="shop")
    assert (entry.kind, entry.direction, entry.outcome, entry.rows_qty, entry.is_ok) == (
        "write",
        "out",
        "partly",
        5,
        False,
    )
    assert "woocommerce_rest_product_invalid_id" in entry.detail
    assert entry.stream == "channel_stock"


def test_a_replayed_letter_that_is_taken_ends_its_plan_well(operations: Operations, clock: Clock) -> None:
    shop = shop_of(a=1)
    shop.refuses[place("a")] = "no"
    plan = begin(operations, clock, [line("a", STOCK[1], 1, 2)])
    apply(operations, shop, clock)
    shop.refuses.clear()
    (letter,) = operations.outbox.dead_letters()
    operations.outbox.replay([letter.outbox_id], by="mara", now=clock())
    assert apply(operations, shop, clock).ended[0].status == "applied"
    assert operations.plans.get(plan.plan_id).status == "applied"
    assert shop.values[place("a")] == 2


def test_batches_are_settled_one_by_one(operations: Operations, clock: Clock) -> None:
    shop = shop_of(**{f"i{number}": 1 for number in range(25)})
    begin(operations, clock, [line(f"i{number}", STOCK[1], 1, 2) for number in range(25)])
    done: list[int] = []
    assert apply(operations, shop, clock, batch=10, report=done.append).outcomes == {"applied": 25}
    assert done == [10, 20, 25]
    assert shop.calls == 3


def test_a_limit_leaves_the_rest_for_later(operations: Operations, clock: Clock) -> None:
    shop = shop_of(a=1, b=1, c=1)
    begin(operations, clock, [line(item, STOCK[1], 1, 2) for item in "abc"])
    assert apply(operations, shop, clock, limit=2).outcomes == {"applied": 2}
    assert apply(operations, shop, clock).outcomes == {"applied": 1}


def test_what_is_busy_comes_back_in_its_time(operations: Operations, clock: Clock) -> None:
    shop = shop_of(a=1, b=1)
    shop.busy[place("a")] = 1
    plan = begin(operations, clock, [line(item, STOCK[1], 1, 2) for item in "ab"])
    assert apply(operations, shop, clock).outcomes == {"retry": 1, "applied": 1}
    assert operations.plans.get(plan.plan_id).status == "applying"
    assert apply(operations, shop, clock).outcomes == {}
    clock.pass_(seconds=10)
    assert apply(operations, shop, clock).outcomes == {"applied": 1}
    assert operations.plans.get(plan.plan_id).status == "applied"


@pytest.mark.parametrize(
    ("error", "outcome", "wait_s"),
    [(RetryableError("502", retry_after_s=90), "retry", 90), (PermanentError("401: the key is wrong"), "failed", 5)],
)
def test_a_shop_that_takes_nothing_stops_the_round_and_loses_nothing(
    operations: Operations, clock: Clock, error: Exception, outcome: str, wait_s: float
) -> None:
    shop = shop_of(a=1)
    shop.error = error  # type: ignore[assignment]
    begin(operations, clock, [line("a", STOCK[1], 1, 2)])
    summary = apply(operations, shop, clock)
    assert summary.error == str(error)
    assert [(entry.kind, entry.is_ok, entry.outcome) for entry in operations.exchanges()] == [("write", False, outcome)]
    shop.error = None
    clock.pass_(seconds=wait_s - 1)
    assert apply(operations, shop, clock).outcomes == {}
    clock.pass_(seconds=wait_s / 4 + 2)
    assert apply(operations, shop, clock).outcomes == {"applied": 1}


def test_a_buyer_between_plan_and_write_is_not_overwritten(operations: Operations, clock: Clock) -> None:
    shop = shop_of(a=5)
    begin(operations, clock, [line("a", STOCK[1], 5, 9)])
    shop.values[place("a")] = 4
    assert apply(operations, shop, clock).outcomes == {"moved": 1}
    assert shop.values[place("a")] == 4


@pytest.mark.parametrize("dies_after", range(1, 8))
def test_a_process_killed_after_any_write_repeats_nothing(
    operations: Operations, clock: Clock, dies_after: int
) -> None:
    """kill -9 after the shop took a write and before anybody heard of it; another worker ends the work once the lease is over."""
    items = [f"i{number}" for number in range(7)]
    shop = shop_of(**dict.fromkeys(items, 1))
    plan = begin(operations, clock, [line(item, STOCK[1], 1, 2) for item in items])
    shop.dies_after = dies_after
    with pytest.raises(Killed):
        apply(operations, shop, clock, batch=3, lease_s=60)
    shop.dies_after = None
    apply(operations, shop, clock, batch=3)
    clock.pass_(seconds=61)
    apply(operations, shop, clock, batch=3)
    assert sorted(place_ for place_, _ in shop.written) == sorted(place(item) for item in items), "each written once"
    assert {receipt.external_id for receipt in operations.receipts.of_plan(plan.plan_id)} == set(items)
    assert operations.plans.get(plan.plan_id).status == "applied"


def test_the_fast_lane_overtakes_a_plan_that_waits(operations: Operations, clock: Clock) -> None:
    shop = shop_of(a=5)
    plan = begin(operations, clock, [line("a", STOCK[1], 5, 9)])
    operations.outbox.put([write("a", 3, before=5)], now=clock())
    assert apply(operations, shop, clock, origins=["fast_lane"]).outcomes == {"applied": 1}
    assert shop.values[place("a")] == 3
    assert apply(operations, shop, clock).ended[0].plan_id == plan.plan_id, "nothing of it waits any more"


def test_a_connector_that_answers_out_of_order_is_found_out(operations: Operations, clock: Clock) -> None:
    class Careless(FakeShop):
        def write(self, writes: object, **other: object) -> list:  # type: ignore[type-arg]
            return list(reversed(super().write(writes, **other)))  # type: ignore[arg-type]

    shop = Careless(values={place("a"): 1, place("b"): 1})
    begin(operations, clock, [line(item, STOCK[1], 1, 2) for item in "ab"])
    with pytest.raises(ValueError, match="in the order asked"):
        apply(operations, shop, clock)


def test_a_value_that_our_own_connector_fails_on_keeps_no_other_from_the_channel(
    operations: Operations, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Given a mistake of ours that one item brings out, expect the others written, and that one a dead letter in the end."""

    class Mistaken(FakeShop):
        def write(self, writes: Sequence[Write], *, now: datetime) -> list[WriteResult]:
            if any(write.external_id == "b" for write in writes):
                raise KeyError("b")
            return super().write(writes, now=now)

    shop = Mistaken(values={place(item): 1 for item in "abc"})
    begin(operations, clock, [line(item, STOCK[1], 1, 2) for item in "abc"])
    assert apply(operations, shop, clock).outcomes == {"applied": 2, "retry": 1}
    assert [shop.values[place(item)] for item in "abc"] == [2, 1, 2]
    assert "KeyError" in caplog.text
    while operations.outbox.open_rows():
        clock.pass_(hours=3)
        apply(operations, shop, clock)
    (letter,) = operations.outbox.dead_letters()
    assert letter.external_id == "b"
    assert "own connector failed on it (KeyError)" in (letter.error or "")


def test_a_race_inside_the_write_is_seen_by_the_reading_after(operations: Operations, clock: Clock) -> None:
    shop = shop_of(a=5)

    def another(write: Write) -> None:
        shop.rounds[place(write.external_id)] = 8

    shop.before_write = another
    begin(operations, clock, [line("a", STOCK[1], 5, 9)])
    assert apply(operations, shop, clock).outcomes == {"not_kept": 1}
