"""Taking a plan back: a new plan whose values after are those that its receipts found before.

Only what was really written is taken back, and only where nothing else was written since. Shipments never are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from resources.errors import PermanentError, Where
from resources.operations import Operations
from resources.operations.plans import Plan, PlanLine, Proposal
from resources.operations.receipts import Receipt, WriteKey, json_text
from resources.retailer import Retailer
from resources.sync.facts import GuardFact
from resources.sync.guards import Measured, held_reasons, shown

REVERTIBLE = ("applied", "applied_with_errors")
FINAL = "shipment"
"""Subject that is never taken back: the parcel has left, and the shop has told its buyer."""


def revert_plan(
    operations: Operations,
    retailer: Retailer,
    plan_id: str,
    *,
    facts: Mapping[str, GuardFact],
    run_id: str,
    now: datetime,
) -> Proposal:
    """Plan the taking back of a plan and store it, held by the guards or free to be written.

    ``facts``: the channel's, by subject, for the guards that look at shares. Values that something else wrote since are shown as
    skipped lines. Raises PermanentError when the plan was not applied, tells of shipments, or nothing of it is left to take back.
    """
    plan = operations.plans.get(plan_id)
    if plan.subject == FINAL:
        raise PermanentError(
            f"plan {plan.plan_id} tells of parcels that have left: shipments are not taken back",
            where=Where(system_code=plan.system_code, field="plan"),
            action="correct a wrong parcel number at its source; the next sync leaves numbers alone that the shop holds, "
            "so correct it in the shop too",
        )
    if plan.status not in REVERTIBLE:
        raise PermanentError(
            f"plan {plan.plan_id} is {plan.status.replace('_', ' ')}: there is nothing to take back",
            where=Where(system_code=plan.system_code, field="plan"),
            action="`etalon plans list --status applied` lists what can be reverted",
        )
    lines = revert_lines(operations, plan)
    written = [line for line in lines if not line.skipped]
    if not written:
        raise PermanentError(
            f"nothing of plan {plan.plan_id} can be taken back: {_why_nothing(lines)}",
            where=Where(system_code=plan.system_code, field="plan"),
            action=f"`etalon plans show {plan.plan_id}` shows what became of each line",
        )
    measured = Measured(
        channel=retailer.channel(plan.channel_code),
        subject=plan.subject,
        lines=written,
        fact=facts.get(plan.subject, GuardFact(plan.subject)),
        limits=retailer.guards.of(plan.channel_code),
        now=now,
    )
    return operations.plans.propose(
        channel_code=plan.channel_code,
        system_code=plan.system_code,
        subject=plan.subject,
        lines=lines,
        held_reasons=held_reasons(measured, is_revert=True),
        run_id=run_id,
        now=now,
        origin="revert",
        reverts_plan_id=plan.plan_id,
    )


def revert_lines(operations: Operations, plan: Plan) -> list[PlanLine]:
    """One line per value that the plan wrote, in the plan's order; ``skipped`` where it moved since."""
    planned = {line.write_key: line for line in operations.plans.lines(plan.plan_id)}
    applied: dict[WriteKey, list[Receipt]] = {}
    for receipt in operations.receipts.of_plan(plan.plan_id):
        if receipt.outcome == "applied":
            applied.setdefault(receipt.value_key, []).append(receipt)
    lines = []
    for key, line in planned.items():
        own = applied.get(key)
        if not own:
            continue
        first, last = own[0], own[-1]
        before = last.read_back if last.is_read_back else last.after
        after = first.found if first.is_found else first.before
        history = operations.receipts.of_value(plan.system_code, key)
        later = [receipt for receipt in history if receipt.receipt_id > last.receipt_id]
        lines.append(
            PlanLine(
                entity=line.entity,
                external_id=line.external_id,
                location_code=line.location_code,
                attribute=line.attribute,
                product_id=line.product_id,
                sku=line.sku,
                before=before,
                after=after,
                reason=f"takes back plan {plan.plan_id}",
                units_at_risk=line.units_at_risk,
                value_at_risk_minor=line.value_at_risk_minor,
                currency_code=line.currency_code,
                observed_at=last.written_at,
                skipped=_moved_since(later, last),
            )
        )
    return lines


def _moved_since(later: Sequence[Receipt], own: Receipt) -> str | None:
    """Why a value is left alone: a later write saw or left something else there."""
    wanted = json_text(own.read_back if own.is_read_back else own.after)
    for receipt in reversed(later):
        if not (receipt.is_read_back or receipt.is_found):
            continue
        seen = receipt.read_back if receipt.is_read_back else receipt.found
        if json_text(seen) == wanted:
            return None
        return f"it is {shown(seen)} since {receipt.written_at:%Y-%m-%d %H:%M} UTC ({receipt.origin.replace('_', ' ')})"
    return None


def _why_nothing(lines: Sequence[PlanLine]) -> str:
    return f"its {len(lines)} values moved since" if lines else "it wrote nothing"
