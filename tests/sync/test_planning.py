"""Planning: one plan per subject; the same difference twice is one plan; what is known since the reading counts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from resources.errors import PermanentError, RetryableError
from resources.operations import Operations
from resources.operations.receipts import json_value
from resources.retailer import Retailer
from resources.sync.applying import apply_pending
from resources.sync.facts import Difference, difference_paths, read_difference, write_difference
from resources.sync.planning import DEAD_LETTER, FAST_LANE, ON_ITS_WAY, SETTLED, SubjectPlan, plan_channel
from tests.sync.conftest import NOW, Clock
from tests.sync.fake_shop import FakeShop
from tests.sync.given import SYSTEM, difference, entity, fact, write


class Sync:
    """A channel that is planned and written in memory."""

    def __init__(self, operations: Operations, retailer: Retailer, clock: Clock) -> None:
        self.operations, self.retailer, self.clock = operations, retailer, clock
        self.shop = FakeShop(system_code=SYSTEM)

    def plan(self, found: Difference) -> dict[str, SubjectPlan]:
        planned = plan_channel(self.operations, self.retailer, found, run_id="r", now=self.clock())
        return {each.subject: each for each in planned}

    def holds(self, found: Difference) -> None:
        """The shop holds what the difference says that it shows."""
        for row in found.rows.iter_rows(named=True):
            self.shop.values[(row["entity"], row["external_id"], row["attribute"])] = json_value(row["before_value"])

    def write(self) -> dict[str, int]:
        self.operations.plans.begin_approved("web-be", now=self.clock())
        return dict(apply_pending(self.shop, self.operations, clock=self.clock, worker="w").outcomes)

    def value(self, item: str, attribute: str) -> object:
        return self.shop.values[(entity(attribute), item, attribute)]


@pytest.fixture
def sync(operations: Operations, retailer: Retailer, clock: Clock) -> Sync:
    return Sync(operations, retailer, clock)


STOCK = difference(("a", "published_qty", 5, 3), ("b", "published_qty", 1, 2))


def results(planned: dict[str, SubjectPlan]) -> dict[str, str]:
    return {subject: each.proposal.result for subject, each in planned.items()}


def statuses(sync: Sync) -> Sequence[str]:
    return sorted(plan.status for plan in sync.operations.plans.find())


def test_each_subject_has_its_own_plan_so_that_a_held_price_holds_no_stock(sync: Sync) -> None:
    found = difference(
        ("a", "published_qty", 5, 3), ("a", "regular_minor", 1000, 1), ("b", "is_published", True, False)
    )
    planned = sync.plan(found)
    assert {subject: each.proposal.plan and each.proposal.plan.status for subject, each in planned.items()} == {
        "stock": "approved",
        "price": "held",
        "publication": "approved",
    }
    sync.holds(found)
    assert sync.write() == {"applied": 2}
    assert (sync.value("a", "published_qty"), sync.value("a", "regular_minor")) == (3, 1000)


def test_the_same_difference_twice_is_one_plan(sync: Sync) -> None:
    first = sync.plan(STOCK)["stock"]
    again = sync.plan(STOCK)["stock"]
    assert (first.proposal.result, again.proposal.result) == ("new", "open")
    assert first.proposal.plan is not None
    assert again.proposal.plan is not None
    assert first.proposal.plan.plan_id == again.proposal.plan.plan_id
    assert first.proposal.plan.lines_qty == 2
    assert first.proposal.plan.value_at_risk_minor == 200


def test_after_the_write_the_same_difference_is_empty(sync: Sync) -> None:
    sync.holds(STOCK)
    sync.plan(STOCK)
    assert sync.write() == {"applied": 2}
    planned = sync.plan(STOCK)["stock"]
    assert (planned.proposal.result, planned.left_out) == ("empty", {SETTLED: 2})
    assert len(sync.operations.plans.find()) == 1
    assert sync.write() == {}


def test_a_later_reading_counts_more_than_an_older_receipt(sync: Sync) -> None:
    sync.holds(STOCK)
    sync.plan(STOCK)
    sync.write()
    later = difference(("a", "published_qty", 9, 3), observed_at=NOW + timedelta(minutes=1))
    (line,) = sync.plan(later)["stock"].lines
    assert (line.before, line.after) == (9, 3)


def test_what_is_on_its_way_is_not_planned_again(sync: Sync) -> None:
    sync.plan(STOCK)
    sync.operations.plans.begin_approved("web-be", now=NOW)
    wider = difference(("a", "published_qty", 5, 3), ("c", "published_qty", 5, 4))
    planned = sync.plan(wider)["stock"]
    assert [line.external_id for line in planned.lines] == ["c"]
    assert planned.left_out == {ON_ITS_WAY: 1}
    assert statuses(sync) == ["applying", "approved"], "a plan being applied is not superseded"


def test_what_moved_is_planned_again_on_what_was_found(sync: Sync) -> None:
    sync.holds(STOCK)
    sync.shop.values[("channel_stock", "a", "published_qty")] = 4
    sync.plan(STOCK)
    assert sync.write() == {"moved": 1, "applied": 1}
    (line,) = sync.plan(STOCK)["stock"].lines
    assert (line.external_id, line.before, line.after) == ("a", 4, 3)
    assert sync.write() == {"applied": 1}


def test_what_the_fast_lane_knows_newer_is_left_to_it(sync: Sync) -> None:
    lane = write("a", 2, before=5, target=SYSTEM)
    sync.operations.outbox.put([lane], now=NOW)
    assert sync.plan(STOCK)["stock"].left_out == {FAST_LANE: 1}
    sync.holds(STOCK)
    sync.write()
    assert sync.value("a", "published_qty") == 2
    assert sync.plan(STOCK)["stock"].left_out[FAST_LANE] == 1, "written after the stock that the difference was made on"
    newer = difference(
        ("a", "published_qty", 5, 3),
        facts=[fact("stock", source_as_of_at=NOW + timedelta(minutes=1), orders_read_at=NOW)],
    )
    (line,) = sync.plan(newer)["stock"].lines
    assert (line.before, line.after) == (2, 3), "the reconcile corrects it once it knows more"


def test_a_new_plan_supersedes_one_that_nobody_decided(sync: Sync) -> None:
    sync.plan(difference(("a", "regular_minor", 1000, 1)))
    planned = sync.plan(difference(("a", "regular_minor", 1000, 2)))["price"]
    assert len(planned.proposal.superseded) == 1
    assert statuses(sync) == ["held", "superseded"]


def test_a_plan_that_waits_goes_when_nothing_differs_any_more(sync: Sync) -> None:
    sync.plan(difference(("a", "regular_minor", 1000, 1)))
    assert results(sync.plan(difference(facts=[fact("price")]))) == {"price": "empty"}
    assert statuses(sync) == ["superseded"]


def test_a_plan_that_no_guard_holds_any_more_is_free(sync: Sync) -> None:
    rows = ("a", "published_qty", 5, 3)
    sync.plan(difference(rows, facts=[fact("stock", failed_streams=("erp.erp_stock",))]))
    assert statuses(sync) == ["held"]
    assert results(sync.plan(difference(rows))) == {"stock": "new"}
    assert statuses(sync) == ["approved", "superseded"]


def test_what_holds_a_plan_is_told_as_it_is_today(sync: Sync) -> None:
    rows = ("a", "published_qty", 5, 3)
    sync.plan(difference(rows, facts=[fact("stock", failed_streams=("erp.erp_stock",))]))
    sync.plan(difference(rows, facts=[fact("stock", observed_qty=0)]))
    (plan,) = sync.operations.plans.find()
    assert [reason.guard for reason in plan.held_reasons] == ["observation"]


def test_a_rejected_plan_stays_rejected_until_its_content_changes(sync: Sync) -> None:
    rows = ("a", "regular_minor", 1000, 1)
    plan = sync.plan(difference(rows))["price"].proposal.plan
    assert plan is not None
    rejected = sync.operations.plans.reject(plan.plan_id, by="mara", now=NOW, note="wrong file")
    assert (rejected.decided_by, rejected.decided_at, rejected.note) == ("mara", NOW, "wrong file")
    assert results(sync.plan(difference(rows))) == {"price": "rejected"}
    assert results(sync.plan(difference(("a", "regular_minor", 1000, 2)))) == {"price": "new"}


def test_only_what_waits_can_be_decided(sync: Sync) -> None:
    plan = sync.plan(STOCK)["stock"].proposal.plan
    assert plan is not None
    with pytest.raises(PermanentError, match="is approved, so it cannot be rejected"):
        sync.operations.plans.reject(plan.plan_id, by="mara", now=NOW)
    with pytest.raises(PermanentError, match="there is no plan 'nothing'"):
        sync.operations.plans.get("nothing")
    assert sync.operations.plans.get("web-be-stock").plan_id == plan.plan_id, "the beginning of an id is enough"


def test_what_was_refused_waits_for_a_person(sync: Sync) -> None:
    sync.holds(STOCK)
    sync.shop.refuses[("channel_stock", "a", "published_qty")] = "no"
    sync.plan(STOCK)
    sync.write()
    planned = sync.plan(STOCK)["stock"]
    assert (planned.proposal.result, planned.left_out) == ("empty", {SETTLED: 1, DEAD_LETTER: 1})
    (letter,) = sync.operations.outbox.dead_letters()
    sync.operations.outbox.drop([letter.outbox_id], by="mara", now=NOW)
    assert results(sync.plan(STOCK)) == {"stock": "new"}, "dropped, and it still differs"


def test_what_was_refused_is_planned_when_something_else_is_wanted(sync: Sync) -> None:
    sync.holds(STOCK)
    sync.shop.refuses[("channel_stock", "a", "published_qty")] = "no"
    sync.plan(STOCK)
    sync.write()
    sync.shop.refuses.clear()
    sync.plan(difference(("a", "published_qty", 5, 4)))
    assert sync.write() == {"applied": 1}
    assert sync.operations.outbox.dead_letters() == [], "the newer write took the letter's place"


def test_what_is_not_kept_is_tried_once_more_and_then_waits(sync: Sync) -> None:
    found = difference(("a", "published_qty", 5, 3))
    sync.holds(found)
    sync.shop.rounds[("channel_stock", "a", "published_qty")] = 4
    outcomes = []
    for _ in range(4):
        sync.plan(found)
        outcomes.append(sync.write())
    assert outcomes == [{"not_kept": 1}, {"not_kept": 1}, {}, {}]
    assert sync.plan(found)["stock"].left_out == {DEAD_LETTER: 1}


def test_a_held_plan_is_written_once_approved(sync: Sync) -> None:
    found = difference(("a", "regular_minor", 1000, 1))
    sync.holds(found)
    plan = sync.plan(found)["price"].proposal.plan
    assert plan is not None
    assert sync.write() == {}
    sync.operations.plans.approve(plan.plan_id, by="mara", now=NOW, note="a sale")
    assert sync.write() == {"applied": 1}
    assert sync.operations.plans.get(plan.plan_id).status == "applied"


def test_a_difference_survives_its_files(sync: Sync, tmp_path: Path) -> None:
    folder = tmp_path
    given = difference(
        ("a", "regular_minor", 1000, 1), facts=[fact("price", failed_streams=("erp.prices", "erp.x"))], regular={"a": 5}
    )
    write_difference(folder, given)
    read = read_difference(folder, "web-be")
    assert read.rows.equals(given.rows)
    assert (read.facts, read.as_of_at, read.run_id) == (given.facts, given.as_of_at, given.run_id)
    assert sorted(path.name for path in (folder / "channels").iterdir()) == ["web-be.json", "web-be.parquet"]


def test_rows_and_facts_of_two_differences_are_never_paired(tmp_path: Path) -> None:
    folder = tmp_path
    write_difference(folder, STOCK)
    rows, _ = difference_paths(folder, "web-be")
    other = difference(("z", "published_qty", 1, 2))
    other.rows.write_parquet(rows)
    with pytest.raises(RetryableError, match="is being written"):
        read_difference(folder, "web-be")
    with pytest.raises(PermanentError, match="nothing is known yet"):
        read_difference(folder, "web-fr")
