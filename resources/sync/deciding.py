"""What a person decides about a plan, and what follows at once: approved plans and reverts are written, rejected ones rest.

Belongs here: the steps that the command line and the Dagster jobs share.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from resources.connectors.sdk.writing import WritingConnector
from resources.errors import ConfigurationError, PermanentError, Where
from resources.operations import ExchangeEntry, Operations
from resources.operations.plans import Plan, PlanMoved
from resources.retailer import Retailer
from resources.sync.applying import ApplySummary, Clock, Told, apply_pending, quiet
from resources.sync.facts import GuardFact, difference_paths, read_difference
from resources.sync.planning import plan_channel
from resources.sync.reverting import FINAL, revert_plan


@dataclass(frozen=True)
class Decider:
    """Who decides and why, and what is decided with. ``connectors``: every system by its code."""

    operations: Operations
    connectors: Mapping[str, object]
    clock: Clock
    by: str
    note: str = ""
    run_id: str = ""
    report: Told = quiet

    def approve(
        self, plan_id: str, *, retailer: Retailer | None = None, data_dir: Path | None = None
    ) -> tuple[Plan, ApplySummary]:
        """Let a held plan be written, and write it.

        With ``retailer`` and ``data_dir`` it is planned again first, on the last difference: a person approves what is wanted now,
        not what was wanted when the plan was made. Raises PlanMoved when it is not held, when what it would write has changed, or
        when more holds it than the person has seen.
        """
        plan = self.operations.plans.get(plan_id)
        connector = writing_connector(self.connectors, plan.system_code)
        if retailer is not None and data_dir is not None and plan.origin == "reconcile" and plan.status == "held":
            self._plan_again(plan, retailer, data_dir)
        plan = self.operations.plans.approve(plan.plan_id, by=self.by, now=self.clock(), note=self.note)
        self._journal(plan, "approved")
        return self._write(plan, connector)

    def reject(self, plan_id: str) -> Plan:
        """Refuse a held plan. Raises PlanMoved when it is not held."""
        plan = self.operations.plans.reject(plan_id, by=self.by, now=self.clock(), note=self.note)
        self._journal(plan, "rejected")
        return plan

    def revert(
        self, retailer: Retailer, data_dir: Path, plan_id: str, *, is_approved: bool
    ) -> tuple[Plan, ApplySummary | None]:
        """Take a plan back: plan it, and write it unless a guard holds it and ``is_approved`` is false.

        Gives the plan of the revert and what was written; None when it waits. What still waits of a plan that is being applied is
        dropped first, and never sent.
        """
        reverted = self._stopped(self.operations.plans.get(plan_id))
        connector = writing_connector(self.connectors, reverted.system_code)
        proposal = revert_plan(
            self.operations,
            retailer,
            reverted.plan_id,
            facts=_facts(data_dir, reverted.channel_code),
            run_id=self.run_id,
            now=self.clock(),
        )
        plan = proposal.plan
        if plan is None:
            raise PermanentError(f"nothing of plan {reverted.plan_id} is left to take back")
        if proposal.result == "new":
            self._journal(plan, f"reverts {reverted.plan_id}")
        if plan.status == "held":
            if not is_approved:
                return plan, None
            plan = self.operations.plans.approve(plan.plan_id, by=self.by, now=self.clock(), note=self.note)
            self._journal(plan, "approved")
        return self._write(plan, connector)

    def _plan_again(self, plan: Plan, retailer: Retailer, data_dir: Path) -> None:
        """Plan the subject of a held plan on the last difference; raises PlanMoved when that gives something else to look at."""
        if not difference_paths(data_dir, plan.channel_code)[1].exists():
            return
        difference = read_difference(data_dir, plan.channel_code)
        plan_channel(
            self.operations, retailer, difference, run_id=self.run_id, now=self.clock(), subjects=(plan.subject,)
        )
        now = self.operations.plans.get(plan.plan_id)
        where = Where(system_code=plan.system_code, field="plan")
        if now.status != "held":
            raise PlanMoved(
                f"what plan {plan.plan_id} would write has changed since: it is {now.status.replace('_', ' ')}",
                where=where,
                action=f"`etalon plans list --channel {plan.channel_code}` shows what took its place",
            )
        seen = {reason.guard for reason in plan.held_reasons}
        unseen = [reason for reason in now.held_reasons if reason.guard not in seen]
        if unseen:
            raise PlanMoved(
                f"more holds plan {plan.plan_id} than when it was made: {'; '.join(each.what for each in unseen)}",
                where=where,
                action=f"`etalon plans show {plan.plan_id}`, then approve it again",
            )

    def _stopped(self, plan: Plan) -> Plan:
        if plan.status != "applying" or plan.subject == FINAL:
            return plan
        self.operations.plans.finish(now=self.clock(), channel_code=plan.channel_code)
        stopped = self.operations.plans.stop(plan.plan_id, by=self.by, now=self.clock(), note=self.note)
        dropped = stopped.counts.get("dropped", 0)
        if dropped:
            self._journal(stopped, f"stopped, {dropped} lines that waited were dropped,")
        if stopped.status == "rejected":
            raise PermanentError(
                f"plan {plan.plan_id} is stopped before anything of it was written: there is nothing to take back",
                where=Where(system_code=plan.system_code, field="plan"),
                action="nothing is to be done",
            )
        return stopped

    def _write(self, plan: Plan, connector: WritingConnector) -> tuple[Plan, ApplySummary]:
        self.operations.plans.begin(plan.plan_id, now=self.clock())
        summary = apply_pending(
            connector, self.operations, clock=self.clock, worker=self.by, run_id=self.run_id, report=self.report
        )
        return self.operations.plans.get(plan.plan_id), summary

    def _journal(self, plan: Plan, what: str) -> None:
        self.operations.add_exchange(decision_entry(plan, what, self))


def decision_entry(plan: Plan, what: str, decider: Decider) -> ExchangeEntry:
    """The journal's line of a decision: who decided what, and why."""
    told = f"plan {plan.plan_id} ({plan.subject}, {plan.lines_qty} lines): {what} by {decider.by}"
    return ExchangeEntry(
        at=decider.clock(),
        run_id=decider.run_id,
        system_code=plan.system_code,
        stream=plan.channel_code,
        kind="plan",
        is_ok=True,
        detail=f"{told}: {decider.note}" if decider.note else told,
        outcome=plan.status,
        rows_qty=plan.lines_qty,
    )


def writing_connector(connectors: Mapping[str, object], system_code: str) -> WritingConnector:
    """The connector of a system, if it writes. Raises ConfigurationError when it is not declared or does not write."""
    connector = connectors.get(system_code)
    if isinstance(connector, WritingConnector):
        return connector
    raise ConfigurationError(
        f"nothing can be written to system {system_code}",
        where=Where(system_code=system_code),
        action="`etalon systems` lists what each system can be written",
    )


def _facts(data_dir: Path, channel_code: str) -> Mapping[str, GuardFact]:
    """The last facts of the channel: what a share is a share of. Without them shares are not looked at: taking back must work."""
    if not difference_paths(data_dir, channel_code)[1].exists():
        return {}
    return read_difference(data_dir, channel_code).facts
