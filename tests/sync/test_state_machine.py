"""The outbox under any sequence of puts, plans, claims, crashes, answers and replacements: what must never happen does not."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from resources.connectors.sdk.writing import Write
from resources.operations import Operations
from resources.operations.outbox import OutboxRow
from resources.operations.plans import PlanLine
from tests.sync.conftest import NOW
from tests.sync.fake_shop import FakeShop
from tests.sync.given import CHANNEL, line, write

ITEMS = st.sampled_from("abc")
VALUES = st.integers(0, 3)
LEASE_S = 60.0


class OutboxMachine(RuleBasedStateMachine):
    """One shop, several workers of which some die, a plan and a fast lane that both want something."""

    @initialize()
    def open(self) -> None:
        self.folder = TemporaryDirectory()
        self.operations = Operations.open(f"sqlite:///{self.folder.name}/o.sqlite", data_dir=Path(self.folder.name))
        self.shop = FakeShop(values={("channel_stock", item, "published_qty"): 0 for item in "abc"})
        self.now = NOW
        self.held: dict[str, list[OutboxRow]] = {}
        self.answered: Counter[int] = Counter()
        self.workers = 0
        self.plans: list[str] = []

    def teardown(self) -> None:
        if hasattr(self, "operations"):
            self.operations.close()
            self.folder.cleanup()

    @rule(item=ITEMS, after=VALUES)
    def the_fast_lane_wants(self, item: str, after: int) -> None:
        before = self.shop.values[("channel_stock", item, "published_qty")]
        self.operations.outbox.put([write(item, after, before=before)], now=self.now)

    @rule(wanted=st.dictionaries(ITEMS, VALUES, min_size=1), is_approved=st.booleans())
    def a_plan_wants(self, wanted: dict[str, int], is_approved: bool) -> None:
        lines: list[PlanLine] = [
            line(item, "published_qty", self.shop.values[("channel_stock", item, "published_qty")], after)
            for item, after in wanted.items()
        ]
        proposal = self.operations.plans.propose(
            channel_code=CHANNEL, system_code="shop", subject="stock", lines=lines, held_reasons=(), run_id="r", now=self.now
        )  # fmt: skip
        if is_approved and proposal.plan is not None and proposal.plan.status == "approved":
            self.operations.plans.begin(proposal.plan.plan_id, now=self.now)
            self.plans.append(proposal.plan.plan_id)

    @rule(limit=st.integers(1, 3))
    def a_worker_claims(self, limit: int) -> None:
        self.workers += 1
        name = f"w{self.workers}"
        rows = self.operations.outbox.claim("shop", worker=name, now=self.now, limit=limit, lease_s=LEASE_S)
        for other in self.held.values():
            live = {row.outbox_id for row in other if row.lease_until_at is not None and row.lease_until_at > self.now}
            assert not live & {row.outbox_id for row in rows}, "two workers hold the same row"
        if rows:
            self.held[name] = rows

    @rule(data=st.data(), is_killed=st.booleans())
    def a_worker_writes_and_lives_or_dies(self, data: st.DataObject, is_killed: bool) -> None:
        if not self.held:
            return
        rows = self.held.pop(data.draw(st.sampled_from(sorted(self.held))))
        writes = [Write(r.key, r.entity, r.external_id, r.attribute, r.before, r.after) for r in rows]
        results = self.shop.write(writes, now=self.now)
        if not is_killed:
            self.operations.outbox.settle(results, rows, now=self.now)
            self.answered.update(row.outbox_id for row in rows)

    @rule(data=st.data())
    def a_worker_dies_before_it_wrote(self, data: st.DataObject) -> None:
        if self.held:
            self.held.pop(data.draw(st.sampled_from(sorted(self.held))))

    @rule(data=st.data())
    def the_shop_does_not_answer(self, data: st.DataObject) -> None:
        if self.held:
            rows = self.held.pop(data.draw(st.sampled_from(sorted(self.held))))
            self.operations.outbox.put_back(rows, reason="no answer", now=self.now)

    @rule(item=ITEMS, value=VALUES)
    def a_buyer_changes_it(self, item: str, value: int) -> None:
        self.shop.values[("channel_stock", item, "published_qty")] = value

    @rule(item=ITEMS, times=st.integers(0, 2))
    def the_shop_is_busy(self, item: str, times: int) -> None:
        self.shop.busy[("channel_stock", item, "published_qty")] = times

    @rule(seconds=st.sampled_from([1, 30, 61, 900]))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @invariant()
    def at_most_one_row_per_place_is_pending_and_one_is_claimed(self) -> None:
        if not hasattr(self, "operations"):
            return
        open_rows = Counter((row.write_key, row.state) for row in self.operations.outbox.open_rows())
        assert all(quantity == 1 for quantity in open_rows.values()), open_rows

    @invariant()
    def every_answer_has_its_receipt(self) -> None:
        if not hasattr(self, "operations"):
            return
        receipts = Counter(receipt.outbox_id for receipt in self.operations.receipts.since())
        assert receipts == self.answered

    @rule()
    def everything_comes_to_rest(self) -> None:
        """Whoever is dead stays dead; one worker ends what is left, and nothing it did stays unaccounted for."""
        self.held.clear()
        for _ in range(60):
            self.now += timedelta(seconds=1200)
            rows = self.operations.outbox.claim("shop", worker="last", now=self.now, limit=100)
            if not rows:
                break
            writes = [Write(r.key, r.entity, r.external_id, r.attribute, r.before, r.after) for r in rows]
            self.operations.outbox.settle(self.shop.write(writes, now=self.now), rows, now=self.now)
            self.answered.update(row.outbox_id for row in rows)
        self.operations.plans.finish(now=self.now)
        assert self.operations.outbox.open_rows() == []
        assert {self.operations.plans.get(plan_id).status for plan_id in self.plans} <= {
            "applied",
            "applied_with_errors",
        }
        closed = {
            row for plan_id in self.plans for row in self.operations.outbox.of_plan(plan_id) if row.state == "done"
        }
        settled = {
            receipt.outbox_id
            for receipt in self.operations.receipts.since()
            if receipt.outcome in ("applied", "unchanged")
        }
        assert {row.outbox_id for row in closed} <= settled, "done without a receipt"


OutboxMachine.TestCase.settings = settings(
    max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestOutbox = OutboxMachine.TestCase
