"""The demo's second half: the shops are written, read again, and found right.

Belongs here: the order of things. Showing them is the command's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from assets.channels import written_channels
from assets.progress import Progress
from assets.runtime import Runtime
from orchestration.runs import RunSummary, run_job, run_sync
from resources.operations.plans import Plan
from resources.report.data import open_published
from resources.sync.deciding import Decider

BY, NOTE = "demo", "the demo knows that its retailer's prices are right"

_WRONG = """
SELECT 'K1b, stock' AS kpi, channel_code, product_external_id FROM kpis.k1b_worklist WHERE state = 'wrong'
UNION ALL
SELECT 'K4, price', channel_code, product_external_id FROM kpis.k4_worklist WHERE verdict <> 'ambiguous'
"""
"""What a write can mend. A tie of two promotions, a listing that is missing or that we do not know are for a person."""


@dataclass(frozen=True)
class DemoSync:
    """What became of the shops. ``wrong_before`` and ``wrong_after``: listings that a write can mend, by (KPI, channel).

    ``plans``: those of the first sync as they ended; ``held``: those of them that waited, as they waited. ``again_qty``: values that
    a second sync, after a new reading, still wrote.
    """

    first: RunSummary
    held: tuple[Plan, ...]
    plans: tuple[Plan, ...]
    reading: RunSummary
    wrong_before: Mapping[tuple[str, str], int]
    wrong_after: Mapping[tuple[str, str], int]
    again: RunSummary
    again_qty: int

    @property
    def is_good(self) -> bool:
        """The shops were wrong, are right, and a second sync had nothing to do."""
        return (
            sum(self.wrong_before.values()) > 0
            and sum(self.wrong_after.values()) == 0
            and self.again_qty == 0
            and self.first.is_good
            and self.again.is_good
            and all(plan.status == "applied" for plan in self.plans)
        )


def sync_shops(runtime: Runtime) -> DemoSync:
    """Sync every channel, approve what waits, read the shops again, and sync a second time."""
    operations = runtime.operations
    before = _wrong(runtime)
    runtime.report(Progress("sync", "what the shops should show"))
    first = run_sync(runtime, [])
    held = tuple(operations.plans.find(statuses=("held",)))
    decider = Decider(operations, runtime.connectors, runtime.settings.clock(), by=BY, note=NOTE, run_id=first.run_id)
    for plan in held:
        runtime.report(Progress("sync", f"{plan.plan_id} is approved"))
        decider.approve(plan.plan_id)
    reading = run_job(runtime, full=False)
    after = _wrong(runtime)
    again = run_sync(runtime, [])
    return DemoSync(
        first=first,
        held=held,
        plans=tuple(reversed(operations.plans.find(run_id=first.run_id))),
        reading=reading,
        wrong_before=before,
        wrong_after=after,
        again=again,
        again_qty=len(operations.receipts.of_run(again.run_id)),
    )


def _wrong(runtime: Runtime) -> dict[tuple[str, str], int]:
    """Wrong listings of the channels that are written, by (KPI, channel), as analysts read them."""
    codes = [channel.code for channel in written_channels(runtime)]
    with open_published(runtime.settings.bi_path) as con:
        rows = con.execute(
            f"SELECT kpi, channel_code, count(*) FROM ({_WRONG}) WHERE list_contains(?, channel_code) GROUP BY ALL",
            [codes],
        ).fetchall()
    counts = {(kpi, code): 0 for kpi in ("K1b, stock", "K4, price") for code in codes}
    return counts | {(kpi, code): quantity for kpi, code, quantity in rows}
