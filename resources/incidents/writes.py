"""Writes that a channel refuses, does not keep or does not take, and plans that wait for a person."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta

from resources.contracts.currencies import major_text
from resources.incidents.detecting import detector
from resources.incidents.facts import SUBJECT_OF, Facts
from resources.incidents.texts import numbered, shortened
from resources.operations.incidents import Signal
from resources.operations.outbox import OutboxRow

PRICE_GUARDS = ("price_fall", "price_of_zero", "promotion_depth")
"""Guards about prices: a plan that one of them holds is also told as suspicious."""

_DEAD_KINDS = {"refused": "write_refused", "not_kept": "write_not_kept"}
_TOLD = {
    "write_refused": "refused by {target}",
    "write_not_kept": "said to be written by {target}, and not there when read back",
    "dead_letters": "given up after too many attempts",
}


@detector("write_refused", "write_not_kept", "dead_letters")
def dead(facts: Facts) -> Iterator[Signal]:
    """Values that were given up: refused for good, not kept although the answer was yes, or tried too often."""
    groups: defaultdict[tuple[str, str, str, str], list[OutboxRow]] = defaultdict(list)
    for row in facts.operations.outbox.dead_letters():
        kind = _DEAD_KINDS.get(row.outcome or "", "dead_letters")
        groups[kind, row.target, row.channel_code, SUBJECT_OF.get(row.attribute, row.attribute)].append(row)
    for (kind, target, channel_code, subject), rows in groups.items():
        first = min(rows, key=lambda row: row.changed_at)
        origins, touches = facts.written_to(channel_code, subject)
        told = _TOLD[kind].format(target=target)
        yield Signal(
            kind=kind,
            severity="error",
            system_code=target,
            stream=subject,
            channel_code=channel_code,
            what=f"{numbered(len(rows), 'value', 'values')} of {subject} {told}, first {first.entity} {first.external_id}: "
            f"{shortened(first.error or 'no reason given')}",
            action=f"`etalon letters list --channel {channel_code}`: mend the cause in the shop, then replay or drop them",
            since_at=first.changed_at,
            occurrences_qty=len(rows),
            evidence={
                "listings": len({row.external_id for row in rows}),
                "items": shortened(", ".join(sorted({row.external_id for row in rows})), 120),
            },
            origins=origins,
            touches=touches,
        )


@detector("write_failing")
def failing(facts: Facts) -> Iterator[Signal]:
    """A channel does not take what is written: rows wait after attempts that did not work."""
    limit = timedelta(minutes=facts.rules.write_failing_after_minutes)
    groups: defaultdict[tuple[str, str], list[OutboxRow]] = defaultdict(list)
    for row in facts.operations.outbox.open_rows():
        if row.outcome == "retry" and facts.now - row.created_at > limit:
            groups[row.target, row.channel_code].append(row)
    for (target, channel_code), rows in groups.items():
        first = min(rows, key=lambda row: row.created_at)
        subjects = sorted({SUBJECT_OF.get(row.attribute, row.attribute) for row in rows})
        origins, touches = facts.written_to(channel_code, subjects[0])
        for subject in subjects[1:]:
            touches |= facts.written_to(channel_code, subject)[1]
        yield Signal(
            kind="write_failing",
            severity="error",
            system_code=target,
            channel_code=channel_code,
            what=f"{target} does not take {numbered(len(rows), 'value', 'values')} ({', '.join(subjects)}): "
            f"{shortened(first.error or 'no answer')}",
            action="they are tried again by themselves; if it lasts, look at the shop's own log and its limits",
            since_at=first.created_at,
            occurrences_qty=max(row.claims for row in rows),
            evidence={"values": len(rows), "listings": len({row.external_id for row in rows})},
            origins=origins,
            touches=touches,
        )


@detector("plan_held", "price_fall")
def held(facts: Facts) -> Iterator[Signal]:
    """A plan waits for a decision because a guard holds it. A price guard's is suspicious as well: wrong prices sell in minutes."""
    for plan in facts.operations.plans.find(statuses=("held",)):
        origins, touches = facts.written_to(plan.channel_code, plan.subject)
        reasons = "; ".join(f"{r.what}: {r.measured}, limit {r.limit}" for r in plan.held_reasons)
        fall = next((r for r in plan.held_reasons if r.guard in PRICE_GUARDS), None)
        decide = f"`etalon plans show {plan.plan_id}`, then `etalon plans approve` or `reject`"
        yield Signal(
            kind="plan_held",
            severity="warning",
            system_code=plan.system_code,
            stream=plan.subject,
            channel_code=plan.channel_code,
            what=f"the {plan.subject} plan of {plan.channel_code} ({numbered(plan.lines_qty, 'line', 'lines')}) is held: "
            f"{shortened(reasons)}",
            action=decide,
            since_at=plan.created_at,
            evidence={
                "plan": plan.plan_id,
                "lines": plan.lines_qty,
                "units at risk": plan.units_at_risk,
                "value at risk": f"{major_text(plan.value_at_risk_minor, plan.currency_code)} {plan.currency_code}",
            },
            origins=origins,
            touches=touches,
        )
        if fall is not None:
            yield Signal(
                kind="price_fall",
                severity="error",
                system_code=plan.system_code,
                stream=plan.subject,
                channel_code=plan.channel_code,
                what=f"suspicious: {fall.what} on {plan.channel_code}: {fall.measured}, limit {fall.limit}"
                + (f" ({shortened(', '.join(fall.examples), 120)})" if fall.examples else ""),
                action=f"nothing was written; find out who changed the prices at their source before you decide: {decide}",
                since_at=plan.created_at,
                evidence={"plan": plan.plan_id, "guard": fall.guard},
                origins=origins,
                touches=touches,
            )
