"""Reverting: what a plan really wrote goes back to what it found; what moved since, and what was never written, is left alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from resources.errors import PermanentError
from resources.operations import Operations
from resources.operations.plans import Plan, PlanLine
from resources.operations.receipts import Json
from resources.retailer import Retailer
from resources.sync.applying import apply_pending
from resources.sync.deciding import Decider
from resources.sync.planning import plan_channel
from tests.sync.conftest import NOW, Clock
from tests.sync.fake_shop import FakeShop
from tests.sync.given import CHANNEL, SYSTEM, difference, line, write


class Shop(FakeShop):
    """A shop with a decider beside it."""

    def __init__(self, operations: Operations, clock: Clock, values: Mapping[str, Json]) -> None:
        super().__init__(
            system_code=SYSTEM, values={("channel_stock", item, "published_qty"): v for item, v in values.items()}
        )
        self.decider = Decider(operations, {SYSTEM: self}, clock, by="mara", note="wrong file", run_id="decision")
        self.operations = operations

    def applied(self, lines: list[PlanLine], subject: str = "stock") -> Plan:
        proposal = self.operations.plans.propose(
            channel_code=CHANNEL, system_code=SYSTEM, subject=subject, lines=lines, held_reasons=(), run_id="r", now=NOW
        )
        assert proposal.plan is not None
        self.operations.plans.begin(proposal.plan.plan_id, now=NOW)
        apply_pending(self, self.operations, clock=self.decider.clock, worker="w")
        return self.operations.plans.get(proposal.plan.plan_id)

    def quantities(self) -> dict[str, Json]:
        return {item: value for (_, item, _), value in self.values.items()}


def test_what_was_written_goes_back_and_the_rest_is_left_alone(
    operations: Operations, clock: Clock, retailer: Retailer, tmp_path: Path
) -> None:
    shop = Shop(operations, clock, {"written": 1, "already": 2, "moved": 9, "refused": 1, "sold since": 1})
    shop.refuses[("channel_stock", "refused", "published_qty")] = "no"
    plan = shop.applied([line(item, "published_qty", 1, 2) for item in shop.quantities()])
    operations.outbox.put([write("sold since", 0, before=2, target=SYSTEM)], now=NOW)
    apply_pending(shop, operations, clock=clock, worker="lane")
    reverted, summary = shop.decider.revert(retailer, tmp_path, plan.plan_id, is_approved=False)
    assert summary is not None
    assert summary.outcomes == {"applied": 1}
    assert shop.quantities() == {"written": 1, "already": 2, "moved": 9, "refused": 1, "sold since": 0}
    (skipped,) = [each for each in operations.plans.lines(reverted.plan_id) if each.skipped]
    assert (skipped.external_id, skipped.skipped) == ("sold since", "it is 0 since 2026-05-18 10:00 UTC (fast lane)")
    assert operations.plans.get(plan.plan_id).status == "reverted"
    assert reverted.reverts_plan_id == plan.plan_id


def test_a_buyer_in_between_wins_over_the_revert(
    operations: Operations, clock: Clock, retailer: Retailer, tmp_path: Path
) -> None:
    shop = Shop(operations, clock, {"a": 1})
    plan = shop.applied([line("a", "published_qty", 1, 5)])
    shop.values[("channel_stock", "a", "published_qty")] = 4
    _, summary = shop.decider.revert(retailer, tmp_path, plan.plan_id, is_approved=False)
    assert summary is not None
    assert summary.outcomes == {"moved": 1}
    assert shop.quantities() == {"a": 4}


def test_a_revert_over_a_guard_waits_unless_it_is_approved(
    operations: Operations, clock: Clock, retailer: Retailer, tmp_path: Path
) -> None:
    shop = Shop(operations, clock, {})
    shop.values[("channel_price", "a", "regular_minor")] = 1000
    plan = shop.applied([line("a", "regular_minor", 1000, 2000)], "price")
    waiting, summary = shop.decider.revert(retailer, tmp_path, plan.plan_id, is_approved=False)
    assert summary is None
    assert [reason.guard for reason in waiting.held_reasons] == ["price_fall"]
    again, summary = shop.decider.revert(retailer, tmp_path, plan.plan_id, is_approved=True)
    assert again.plan_id == waiting.plan_id, "asked twice, planned once"
    assert summary is not None
    assert shop.values[("channel_price", "a", "regular_minor")] == 1000
    assert (again.decided_by, again.note) == ("mara", "wrong file")
    details = [entry.detail for entry in operations.exchanges() if entry.kind == "plan"]
    assert any("approved by mara: wrong file" in detail for detail in details)


@pytest.mark.parametrize("times", [1, 2])
def test_what_cannot_be_taken_back_is_told(
    operations: Operations, clock: Clock, retailer: Retailer, tmp_path: Path, times: int
) -> None:
    shop = Shop(operations, clock, {"a": 5})
    plan = shop.applied([line("a", "published_qty", 1, 5)])
    for _ in range(times):
        with pytest.raises(PermanentError, match="it wrote nothing"):
            shop.decider.revert(retailer, tmp_path, plan.plan_id, is_approved=True)


def test_a_plan_is_reverted_once(operations: Operations, clock: Clock, retailer: Retailer, tmp_path: Path) -> None:
    shop = Shop(operations, clock, {"a": 1})
    plan = shop.applied([line("a", "published_qty", 1, 5)])
    shop.decider.revert(retailer, tmp_path, plan.plan_id, is_approved=False)
    with pytest.raises(PermanentError, match="is reverted: there is nothing to take back"):
        shop.decider.revert(retailer, tmp_path, plan.plan_id, is_approved=False)


def test_what_a_person_took_back_is_not_written_again_by_itself(
    operations: Operations, clock: Clock, retailer: Retailer, tmp_path: Path
) -> None:
    shop = Shop(operations, clock, {"a": 1})
    plan = shop.applied([line("a", "published_qty", 1, 5)])
    shop.decider.revert(retailer, tmp_path, plan.plan_id, is_approved=False)
    found = difference(("a", "published_qty", 1, 5), observed_at=clock.pass_(hours=1))
    (planned,) = plan_channel(operations, retailer, found, run_id="r", now=clock())
    assert planned.proposal.plan is not None
    assert planned.proposal.plan.status == "held"
    assert [reason.guard for reason in planned.proposal.plan.held_reasons] == ["reverted"]
    other = difference(("a", "published_qty", 1, 6), observed_at=clock())
    (planned,) = plan_channel(operations, retailer, other, run_id="r", now=clock())
    assert planned.proposal.plan is not None
    assert planned.proposal.plan.status == "approved", "something else is wanted now"


def test_a_decision_is_written_at_once_and_recorded(operations: Operations, clock: Clock, retailer: Retailer) -> None:
    shop = Shop(operations, clock, {})
    shop.values[("channel_price", "a", "regular_minor")] = 1000
    (planned,) = plan_channel(operations, retailer, difference(("a", "regular_minor", 1000, 1)), run_id="r", now=NOW)
    assert planned.proposal.plan is not None
    plan, summary = shop.decider.approve(planned.proposal.plan.plan_id)
    assert (plan.status, plan.decided_by, plan.note) == ("applied", "mara", "wrong file")
    assert summary.outcomes == {"applied": 1}
    with pytest.raises(PermanentError, match="cannot be approved"):
        shop.decider.approve(plan.plan_id)


def test_shipments_are_not_taken_back(operations: Operations, clock: Clock, retailer: Retailer, tmp_path: Path) -> None:
    shop = Shop(operations, clock, {})
    payable = {"status": "payable", "tracking_number": None}
    shipped = {"status": "shipped", "tracking_number": "6A1"}
    shop.values[("order", "7", "shipment")] = payable
    plan = shop.applied([PlanLine("order", "7", "shipment", payable, shipped, "handed over")], "shipment")
    with pytest.raises(PermanentError, match="shipments are not taken back"):
        shop.decider.revert(retailer, tmp_path, plan.plan_id, is_approved=True)
    assert shop.values == {("order", "7", "shipment"): shipped}
    assert operations.plans.get(plan.plan_id).status == "applied"
