"""What must not happen between two looks at a channel: a lost sale, a stale approval, yesterday's value after an outage."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from resources.errors import PermanentError
from resources.operations import Operations
from resources.operations.outbox import NewWrite, OutboxRow
from resources.operations.plans import Plan, PlanLine, PlanMoved
from resources.operations.receipts import Json
from resources.retailer import Retailer
from resources.sync.applying import apply_pending
from resources.sync.deciding import Decider
from resources.sync.facts import Difference, write_difference
from resources.sync.planning import plan_channel
from tests.sync.conftest import NOW, Clock
from tests.sync.fake_shop import FakeShop
from tests.sync.given import CHANNEL, SYSTEM, difference, fact, line, write

QTY = "published_qty"


class Desk:
    """A channel, its shop, and a person."""

    def __init__(self, operations: Operations, retailer: Retailer, clock: Clock, folder: Path) -> None:
        self.operations, self.retailer, self.clock, self.folder = operations, retailer, clock, folder
        self.shop = FakeShop(system_code=SYSTEM)
        self.person = Decider(operations, {SYSTEM: self.shop}, clock, by="mara", note="looked at")

    def shows(self, item: str, value: Json, attribute: str = QTY) -> None:
        entity = "channel_stock" if attribute == QTY else "channel_price"
        self.shop.values[(entity, item, attribute)] = value

    def quantity(self, item: str) -> Json:
        return self.shop.values[("channel_stock", item, QTY)]

    def leaves(self, found: Difference) -> None:
        """The main job leaves a difference."""
        write_difference(self.folder, found)

    def plan(self, found: Difference) -> Plan | None:
        self.leaves(found)
        (planned,) = plan_channel(self.operations, self.retailer, found, run_id="r", now=self.clock())
        return planned.proposal.plan

    def held(self, lines: list[PlanLine], subject: str = "stock") -> Plan:
        proposal = self.operations.plans.propose(
            channel_code=CHANNEL, system_code=SYSTEM, subject=subject, lines=lines,
            held_reasons=(), run_id="r", now=self.clock(),
        )  # fmt: skip
        assert proposal.plan is not None
        return proposal.plan

    def begin(self, plan: Plan) -> None:
        self.operations.plans.begin(plan.plan_id, now=self.clock())

    def apply(self, worker: str = "w") -> dict[str, int]:
        return dict(apply_pending(self.shop, self.operations, clock=self.clock, worker=worker).outcomes)

    def approve(self, plan: Plan) -> Plan:
        return self.person.approve(plan.plan_id, retailer=self.retailer, data_dir=self.folder)[0]

    def revert(self, plan: Plan) -> None:
        self.person.revert(self.retailer, self.folder, plan.plan_id, is_approved=True)

    def status(self, plan: Plan) -> str:
        return self.operations.plans.get(plan.plan_id).status


@pytest.fixture
def desk(operations: Operations, retailer: Retailer, clock: Clock, tmp_path: Path) -> Desk:
    return Desk(operations, retailer, clock, tmp_path)


def sold(item: str, before: int, after: int) -> NewWrite:
    return write(item, after, before=before, target=SYSTEM)


# -- a sale between planning and writing --------------------------------------------------------------------------------


@pytest.mark.parametrize("is_claimed", [False, True], ids=["the lane's write waits", "the lane is writing"])
def test_a_plan_never_overtakes_a_sale_it_did_not_know(desk: Desk, is_claimed: bool) -> None:
    desk.shows("a", 20)
    desk.shows("b", 1)
    plan = desk.held([line("a", QTY, 20, 22), line("b", QTY, 1, 2)])
    desk.clock.pass_(seconds=1)
    desk.operations.outbox.put([sold("a", 20, 15)], now=desk.clock())
    rows: list[OutboxRow] = []
    if is_claimed:
        rows = desk.operations.outbox.claim(SYSTEM, worker="lane", now=desk.clock(), limit=1, lease_s=5)
    put = desk.operations.plans.begin(plan.plan_id, now=desk.clock())
    assert (put.queued, put.newer) == (1, 1)
    desk.clock.pass_(seconds=10)
    desk.apply()
    assert (desk.quantity("a"), desk.quantity("b")) == (15, 2)
    assert [what for place, what in desk.shop.written if place[1] == "a"] == [15], "22 was never shown"
    assert len(rows) == is_claimed


def test_what_the_lane_asked_for_before_the_plan_was_made_is_replaced_by_it(desk: Desk) -> None:
    desk.shows("a", 20)
    desk.operations.outbox.put([sold("a", 20, 15)], now=desk.clock())
    desk.clock.pass_(minutes=1)
    desk.begin(desk.held([line("a", QTY, 20, 14)]))
    desk.apply()
    assert desk.quantity("a") == 14


# -- a write whose answer never came --------------------------------------------------------------------------------------


def test_a_write_that_timed_out_and_was_done_counts_as_applied_and_can_be_taken_back(
    either: Operations, retailer: Retailer, clock: Clock, tmp_path: Path
) -> None:
    desk = Desk(either, retailer, clock, tmp_path)
    desk.shows("a", 20)
    plan = desk.held([line("a", QTY, 20, 18)])
    desk.begin(plan)
    place = ("channel_stock", "a", QTY)
    desk.shop.busy[place] = 1
    assert desk.apply() == {"retry": 1}
    desk.shows("a", 18)  # the shop had done it, its answer was lost
    desk.clock.pass_(hours=1)
    assert desk.apply() == {"applied": 1}
    last = desk.operations.receipts.of_plan(plan.plan_id)[-1]
    assert (last.outcome, last.is_found, last.read_back) == ("applied", False, 18)
    assert "earlier attempt" in last.reason
    desk.revert(plan)
    assert desk.quantity("a") == 20
    assert desk.status(plan) == "reverted"


def test_a_worker_that_died_after_its_write_leaves_it_to_be_taken_back(desk: Desk) -> None:
    desk.shows("a", 20)
    plan = desk.held([line("a", QTY, 20, 18)])
    desk.begin(plan)
    desk.operations.outbox.claim(SYSTEM, worker="dies", now=desk.clock(), limit=1, lease_s=60)
    desk.shows("a", 18)
    desk.clock.pass_(minutes=2)
    assert desk.apply() == {"applied": 1}
    desk.revert(plan)
    assert desk.quantity("a") == 20


def test_what_another_hand_had_written_before_any_attempt_is_not_ours(desk: Desk) -> None:
    desk.shows("a", 18)
    plan = desk.held([line("a", QTY, 20, 18)])
    desk.begin(plan)
    assert desk.apply() == {"unchanged": 1}
    with pytest.raises(PermanentError, match="it wrote nothing"):
        desk.revert(plan)


# -- the same value again, later ------------------------------------------------------------------------------------------


def test_the_same_write_is_written_again_when_it_is_wanted_again(desk: Desk) -> None:
    desk.shows("a", 20)
    for before, after in ((20, 18), (18, 20), (20, 18), (18, 20)):
        found = difference(("a", QTY, before, after), observed_at=desk.clock())
        plan = desk.plan(found)
        assert plan is not None
        desk.begin(plan)
        desk.clock.pass_(minutes=10)
        assert desk.apply() == {"applied": 1}
        assert desk.quantity("a") == after
    assert len(desk.operations.plans.find()) == 4


def test_a_rejected_change_is_proposed_again_when_it_comes_back_later(desk: Desk) -> None:
    bad = difference(("a", "regular_minor", 1000, 1))
    plan = desk.plan(bad)
    assert plan is not None
    desk.person.reject(plan.plan_id)
    desk.clock.pass_(minutes=1)
    again = desk.plan(bad)
    assert again is not None
    assert again.plan_id == plan.plan_id, "still the case that was rejected"
    desk.clock.pass_(minutes=1)
    assert desk.plan(difference(facts=[fact("price")])) is None, "the source was mended"
    desk.clock.pass_(days=30)
    anew = desk.plan(bad)
    assert anew is not None
    assert (anew.plan_id == plan.plan_id, anew.status) == (False, "held")


def test_two_masters_do_not_fight_for_ever(desk: Desk) -> None:
    answers = []
    for _ in range(5):
        desk.shows("a", 1000, "regular_minor")  # the other master
        plan = desk.plan(difference(("a", "regular_minor", 1000, 990), observed_at=desk.clock()))
        assert plan is not None
        answers.append([reason.guard for reason in plan.held_reasons] or desk_write(desk, plan))
        desk.clock.pass_(hours=1)
    assert answers == [{"applied": 1}] * 3 + [["fought_over"]] * 2
    read_at = desk.clock.pass_(days=1)
    found = difference(
        ("a", "regular_minor", 1000, 990), observed_at=read_at, facts=[fact("price", observation_read_at=read_at)]
    )
    plan = desk.plan(found)
    assert plan is not None
    assert plan.status == "approved", "a day later it is tried again"


def desk_write(desk: Desk, plan: Plan) -> dict[str, int]:
    desk.begin(plan)
    return desk.apply()


def test_a_capped_stock_that_is_filled_up_each_hour_is_no_fight(desk: Desk) -> None:
    for _ in range(5):
        desk.shows("a", 9)
        plan = desk.plan(difference(("a", QTY, 9, 10), observed_at=desk.clock()))
        assert plan is not None
        assert desk_write(desk, plan) == {"applied": 1}
        desk.clock.pass_(minutes=10)


def price_step(desk: Desk, before: int, after: int) -> Plan:
    desk.clock.pass_(minutes=20)
    desk.shows("a", before, "regular_minor")
    plan = desk.plan(difference(("a", "regular_minor", before, after), observed_at=desk.clock()))
    assert plan is not None
    return plan


def test_many_small_steps_of_a_price_are_one_large_one(desk: Desk) -> None:
    assert desk_write(desk, price_step(desk, 1000, 850)) == {"applied": 1}
    plan = price_step(desk, 850, 723)
    (reason,) = plan.held_reasons
    assert (reason.guard, reason.measured) == ("price_fall", "1 line, the worst by 27.7 %")
    assert desk.approve(plan).status == "applied"
    assert desk_write(desk, price_step(desk, 723, 700)) == {"applied": 1}, (
        "a person looked at 723: it counts from there"
    )


# -- a person approves what is wanted now -------------------------------------------------------------------------------


def test_approving_what_has_changed_since_is_refused(desk: Desk) -> None:
    desk.shows("a", 1000, "regular_minor")
    plan = desk.plan(difference(("a", "regular_minor", 1000, 500)))
    assert plan is not None
    desk.clock.pass_(minutes=5)
    desk.leaves(difference(("a", "regular_minor", 1000, 10)))  # nobody has planned it yet
    with pytest.raises(PlanMoved, match="has changed since: it is superseded"):
        desk.approve(plan)
    assert desk.shop.written == []
    (newer,) = desk.operations.plans.find(statuses=("held",))
    assert desk.approve(newer).status == "applied"
    assert desk.shop.values[("channel_price", "a", "regular_minor")] == 10


def test_approving_what_more_holds_by_now_asks_to_look_again(desk: Desk) -> None:
    desk.shows("a", 1000, "regular_minor")
    plan = desk.plan(difference(("a", "regular_minor", 1000, 500)))
    assert plan is not None
    desk.leaves(difference(("a", "regular_minor", 1000, 500), facts=[fact("price", failed_streams=("erp.prices",))]))
    with pytest.raises(
        PlanMoved, match=r"more holds plan .*: what is wanted comes from streams whose last reading failed"
    ):
        desk.approve(plan)
    assert desk.shop.written == []
    assert desk.approve(plan).status == "applied", "they have looked again"


# -- after an outage ------------------------------------------------------------------------------------------------------


def test_what_is_not_wanted_any_more_is_not_sent_when_the_shop_is_back(desk: Desk) -> None:
    for item in "abc":
        desk.shows(item, 20)
    plan = desk.held([line(item, QTY, 20, 18) for item in "abc"])
    desk.begin(plan)
    for item in "abc":
        desk.shop.busy[("channel_stock", item, QTY)] = 1
    assert desk.apply() == {"retry": 3}
    desk.clock.pass_(hours=2)
    later = difference(("b", QTY, 20, 17), ("c", QTY, 20, 18), observed_at=desk.clock() - timedelta(minutes=1))
    later = Difference(**{**later.__dict__, "as_of_at": desk.clock(), "facts": {"stock": fact(
        "stock", observation_read_at=desk.clock(), orders_read_at=desk.clock(), source_as_of_at=desk.clock())}})  # fmt: skip
    newer = desk.plan(later)
    assert newer is not None
    desk.begin(newer)
    assert desk.apply() == {"applied": 2}
    assert [desk.quantity(item) for item in "abc"] == [20, 17, 18]


def test_a_dead_letter_goes_once_the_channel_shows_what_it_should(desk: Desk) -> None:
    desk.shows("a", 20)
    desk.shop.refuses[("channel_stock", "a", QTY)] = "no"
    plan = desk.plan(difference(("a", QTY, 20, 18)))
    assert plan is not None
    desk.begin(plan)
    assert desk.apply() == {"refused": 1}
    assert desk.plan(difference(facts=[fact("stock")])) is None
    assert len(desk.operations.outbox.dead_letters()) == 1, "nobody has read the channel since"
    read_at = desk.clock.pass_(hours=1)
    for facts, left in ((fact("stock", observation_read_at=read_at, observed_qty=0), 1),
                        (fact("stock", observation_read_at=read_at, failed_streams=("shop_be.products",)), 1),
                        (fact("stock", observation_read_at=read_at), 0)):  # fmt: skip
        desk.plan(difference(facts=[facts]))
        assert len(desk.operations.outbox.dead_letters()) == left
    assert desk.status(plan) == "applied_with_errors"


# -- a plan is stopped half way -------------------------------------------------------------------------------------------


def test_reverting_a_plan_half_way_stops_it_and_takes_back_what_it_wrote(desk: Desk) -> None:
    desk.shows("a", 20)
    desk.shows("b", 20)
    plan = desk.held([line("a", QTY, 20, 18), line("b", QTY, 20, 18)])
    desk.begin(plan)
    desk.shop.busy[("channel_stock", "b", QTY)] = 1
    assert desk.apply() == {"applied": 1, "retry": 1}
    desk.revert(plan)
    desk.clock.pass_(hours=1)
    desk.apply()
    assert (desk.quantity("a"), desk.quantity("b")) == (20, 20)
    assert desk.status(plan) == "reverted"


def test_a_plan_stopped_before_anything_was_written_is_rejected(desk: Desk) -> None:
    desk.shows("a", 20)
    found = difference(("a", QTY, 20, 18))
    plan = desk.plan(found)
    assert plan is not None
    desk.begin(plan)
    desk.shop.busy[("channel_stock", "a", QTY)] = 1
    desk.apply()
    with pytest.raises(PermanentError, match="stopped before anything of it was written"):
        desk.revert(plan)
    desk.clock.pass_(hours=1)
    assert desk.apply() == {}
    assert desk.status(plan) == "rejected"
    desk.plan(found)
    desk.apply()
    assert desk.quantity("a") == 20, "it is not proposed again either"


def test_a_plan_is_not_stopped_while_it_is_being_written(desk: Desk) -> None:
    desk.shows("a", 20)
    plan = desk.held([line("a", QTY, 20, 18)])
    desk.begin(plan)
    desk.operations.outbox.claim(SYSTEM, worker="w", now=desk.clock(), limit=1)
    with pytest.raises(PlanMoved, match="being written just now"):
        desk.revert(plan)


def test_a_revert_can_be_taken_back_too(desk: Desk) -> None:
    desk.shows("a", 20)
    plan = desk.held([line("a", QTY, 20, 18)])
    desk.begin(plan)
    desk.apply()
    desk.revert(plan)
    assert desk.quantity("a") == 20
    (back,) = [each for each in desk.operations.plans.find() if each.reverts_plan_id == plan.plan_id]
    desk.clock.pass_(minutes=1)
    desk.revert(back)
    assert desk.quantity("a") == 18


def test_a_revert_that_wrote_nothing_reverts_nothing(desk: Desk) -> None:
    desk.shows("a", 20)
    plan = desk.held([line("a", QTY, 20, 18)])
    desk.begin(plan)
    desk.apply()
    desk.shows("a", 11)
    desk.revert(plan)
    assert (desk.quantity("a"), desk.status(plan)) == (11, "applied")


# -- clocks ---------------------------------------------------------------------------------------------------------------


def test_a_clock_that_was_put_back_keeps_no_row_for_ever(either: Operations, clock: Clock) -> None:
    either.outbox.put([sold("a", 20, 18), sold("b", 20, 18)], now=NOW)
    far = NOW + timedelta(days=365)
    (row,) = either.outbox.claim(SYSTEM, worker="in the future", now=far, limit=1)
    (other,) = either.outbox.claim(SYSTEM, worker="in the future", now=far, limit=1)
    either.outbox.put_back([other], reason="no answer", now=far)
    clock.pass_(seconds=1)
    assert either.outbox.due(clock()) == {SYSTEM: 2}
    back = either.outbox.claim(SYSTEM, worker="now", now=clock(), limit=5)
    assert [each.outbox_id for each in back] == [row.outbox_id, other.outbox_id]
    assert [each.is_unsure for each in back] == [True, False]


def test_a_small_skew_between_machines_breaks_no_lease(either: Operations) -> None:
    either.outbox.put([sold("a", 20, 18)], now=NOW)
    either.outbox.claim(SYSTEM, worker="fast clock", now=NOW + timedelta(minutes=2), limit=1)
    assert either.outbox.claim(SYSTEM, worker="slow clock", now=NOW, limit=1) == []
