"""From the difference of a channel to its plans: one per subject, held by its guards or free to be written.

The difference is as old as the warehouse. What was written or seen by a write since then replaces what was observed, so that
planning twice writes once. What is left out is counted by its reason: nothing is left out silently.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import polars as pl

from resources.connectors.sdk.writing import JsonValue
from resources.operations import Operations
from resources.operations.outbox import OutboxRow
from resources.operations.plans import PlanLine, Proposal
from resources.operations.receipts import Receipt, Settled, WriteKey, json_text, json_value
from resources.rarer_collections import rarer_collections
from resources.retailer import Retailer
from resources.sync.facts import Difference, GuardFact
from resources.sync.guards import FOUGHT_TIMES, FOUGHT_WITHIN, Measured, held_reasons

SUBJECTS = ("stock", "price", "publication", "shipment")
"""Subjects of plans, in the order they are planned and applied: what sells out first comes first."""

SETTLED = "written since it was read"
ON_ITS_WAY = "on its way already"
FAST_LANE = "the fast lane knows newer"
DEAD_LETTER = "a dead letter waits for a person"
RECONCILE = "the reconcile"
"""Who takes back a write that nobody wants any more."""

_ATTRIBUTES = {
    "stock": ("published_qty",),
    "price": ("regular_minor", "promotion"),
    "publication": ("is_published",),
    "shipment": ("shipment",),
}
_LINE_COLUMNS = ("entity", "external_id", "attribute", "observed_at")
NOT_KEPT_TRIES = 2
"""How often a value the channel does not keep is written: once more by a later plan, then a person must look."""


@dataclass(frozen=True)
class SubjectPlan:
    """What became of one subject. ``left_out``: reason -> lines of the difference that are not in the plan."""

    channel_code: str
    subject: str
    proposal: Proposal
    lines: tuple[PlanLine, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)


@rarer_collections()
def plan_channel(
    operations: Operations,
    retailer: Retailer,
    difference: Difference,
    *,
    run_id: str,
    now: datetime,
    subjects: Sequence[str] = SUBJECTS,
) -> list[SubjectPlan]:
    """Plan the subjects of a channel and store what is new; see :meth:`resources.operations.plans.Plans.propose`.

    What an earlier plan wants and this difference does not any more is taken back where it still waits.
    """
    channel = retailer.channel(difference.channel_code)
    _withdraw(operations, difference, subjects, now)
    known = _Known(operations, difference, now)
    planned = []
    for subject in _subjects(difference):
        if subject not in subjects:
            continue
        fact = difference.facts.get(subject, GuardFact(subject))
        left_out: Counter[str] = Counter()
        lines = []
        rows = difference.rows.filter(difference.rows["subject"] == subject)
        for differing in _lines(rows):
            reason, line = known.now(differing, fact)
            if reason is None:
                lines.append(line)
            else:
                left_out[reason] += 1
        priced = rows.filter(rows["regular_minor"].is_not_null())
        regular = dict(zip(priced["external_id"].to_list(), priced["regular_minor"].to_list(), strict=True))
        lines.sort(key=lambda line: line.write_key)
        measured = Measured(
            channel=channel,
            subject=subject,
            lines=lines,
            fact=fact,
            limits=retailer.guards.of(channel.code),
            now=now,
            reverted=[line for line in lines if known.is_reverted(line)],
            fought_over=[line for line in lines if known.is_fought_over(line)],
            day_ago=known.day_ago,
            regular_minor=regular,
        )
        proposal = operations.plans.propose(
            channel_code=channel.code,
            system_code=difference.system_code,
            subject=subject,
            lines=lines,
            held_reasons=held_reasons(measured) if lines else (),
            run_id=run_id,
            now=now,
        )
        planned.append(SubjectPlan(channel.code, subject, proposal, tuple(lines), dict(left_out)))
    return planned


def _withdraw(operations: Operations, difference: Difference, subjects: Sequence[str], now: datetime) -> None:
    """Take back what waits from earlier plans and is not wanted any more: the target did not answer for a while, and then it would
    be given yesterday's value. A dead letter goes too, once the channel was read again and shows what it should."""
    subject_of = {name: subject for subject in subjects for name in _ATTRIBUTES[subject]}
    waiting = operations.outbox.open_rows(channel_code=difference.channel_code, origins=("plan",))
    letters = operations.outbox.dead_letters(channel_code=difference.channel_code)
    if not waiting and not letters:
        return
    wanted = {(line.external_id, line.attribute): line for line in _lines(difference.rows)}
    old = []
    for row in waiting:
        line = wanted.get((row.external_id, row.attribute))
        is_wanted = line is not None and json_text(line.after) == json_text(row.after)
        if row.attribute in subject_of and row.created_at < difference.as_of_at and not is_wanted:
            old.append(row.outbox_id)
    operations.outbox.withdraw(old, by=RECONCILE, now=now, state="replaced")
    done = []
    for letter in letters:
        fact = difference.facts.get(subject_of.get(letter.attribute, ""))
        if (
            fact is not None
            and (letter.external_id, letter.attribute) not in wanted
            and fact.observation_read_at is not None
            and fact.observation_read_at > letter.changed_at
            and fact.observed_qty
            and not fact.failed_streams
        ):
            done.append(letter.outbox_id)
    operations.outbox.withdraw(done, by=RECONCILE, now=now)


class _Known:
    """What the operations store knows of a channel that the difference cannot know yet."""

    def __init__(self, operations: Operations, difference: Difference, now: datetime) -> None:
        code = difference.channel_code
        observed = [at for at in difference.rows["observed_at"].to_list() if at is not None]
        self._settled: Mapping[WriteKey, Settled] = operations.receipts.settled_since(
            code, min(observed) if observed else None
        )
        self._open = {row.write_key: row for row in operations.outbox.open_rows(channel_code=code)}
        self._dead = {row.write_key: row for row in operations.outbox.dead_letters(channel_code=code)}
        self._reverted = operations.receipts.reverted(code)
        lately = operations.receipts.since(now - FOUGHT_WITHIN, channel_code=code, origins=("plan",))
        self.day_ago = _day_ago(operations, lately)
        self._written = Counter(
            (receipt.value_key, json_text(receipt.after))
            for receipt in lately
            # A stock that comes back to the same number was sold, or is capped; a price that has to be written again was not kept.
            if receipt.outcome == "applied" and receipt.attribute not in _ATTRIBUTES["stock"]
        )
        self._operations = operations
        self._system_code = difference.system_code

    def now(self, line: PlanLine, fact: GuardFact) -> tuple[str | None, PlanLine]:
        """(why the line is left out, or None; the line made on what is known now)."""
        waiting = self._open.get(line.write_key)
        if waiting is not None:
            if json_text(waiting.after) == json_text(line.after):
                return ON_ITS_WAY, line
            if waiting.origin == "fast_lane":
                return FAST_LANE, line
        settled = self._settled.get(line.write_key)
        if settled is not None and (line.observed_at is None or settled.at >= line.observed_at):
            if json_text(settled.value) == json_text(line.after):
                return SETTLED, line
            if settled.origin == "fast_lane" and (fact.source_as_of_at is None or settled.at > fact.source_as_of_at):
                return FAST_LANE, line
            line = replace(line, before=settled.value, observed_at=settled.at)
        letter = self._dead.get(line.write_key)
        if letter is not None and self._is_given_up(letter, line):
            return DEAD_LETTER, line
        return None, line

    def is_reverted(self, line: PlanLine) -> bool:
        """Whether the line would write again what a person took back."""
        reverted = self._reverted.get(line.write_key)
        return reverted is not None and json_text(reverted.before) == json_text(line.after)

    def is_fought_over(self, line: PlanLine) -> bool:
        """Whether the line would write what was written again and again lately, and kept each time."""
        return self._written[line.write_key, json_text(line.after)] >= FOUGHT_TIMES

    def _is_given_up(self, letter: OutboxRow, line: PlanLine) -> bool:
        """What the channel refused stays refused until a person acts; what it did not keep is tried once more.

        A write that only met an outage too often is planned again: the channel may be well now.
        """
        if json_text(letter.after) != json_text(line.after):
            return False
        if letter.outcome == "not_kept":
            return self._not_kept_qty(letter) >= NOT_KEPT_TRIES
        return letter.outcome == "refused"

    def _not_kept_qty(self, letter: OutboxRow) -> int:
        history: Sequence[Receipt] = self._operations.receipts.of_value(self._system_code, letter.write_key)
        after = json_text(letter.after)
        return sum(receipt.outcome == "not_kept" and json_text(receipt.after) == after for receipt in history)


def _day_ago(operations: Operations, lately: Sequence[Receipt]) -> dict[WriteKey, JsonValue]:
    """Regular prices as they stood before the first write of the day that nobody approved."""
    is_decided: dict[str, bool] = {}
    prices: dict[WriteKey, JsonValue] = {}
    for receipt in lately:
        if receipt.attribute != "regular_minor" or receipt.outcome != "applied" or receipt.plan_id is None:
            continue
        if receipt.plan_id not in is_decided:
            is_decided[receipt.plan_id] = operations.plans.get(receipt.plan_id).decided_by is not None
        if is_decided[receipt.plan_id]:
            prices.pop(receipt.value_key, None)  # a person has looked at it: from here on it is measured anew
        else:
            prices.setdefault(receipt.value_key, receipt.found if receipt.is_found else receipt.before)
    return prices


def _subjects(difference: Difference) -> Iterator[str]:
    """Every subject that has facts or rows; one without rows is planned too, since a plan that waited may have no object left."""
    found = {*difference.facts, *difference.rows["subject"].unique().to_list()}
    yield from (subject for subject in SUBJECTS if subject in found)


def _lines(rows: pl.DataFrame) -> list[PlanLine]:
    """The lines of a difference's rows, column by column: a channel that changes its season has a hundred thousand."""
    columns: dict[str, list[Any]] = {name: rows[name].to_list() for name in _LINE_COLUMNS}
    for name in ("location_code", "product_id", "sku", "reason", "currency_code"):
        columns[name] = rows[name].fill_null("").to_list()
    for name in ("units_at_risk", "value_at_risk_minor"):
        columns[name] = rows[name].fill_null(0).to_list()
    for name in ("before", "after"):
        columns[name] = [_value(text) for text in rows[f"{name}_value"].to_list()]
    return [PlanLine(**dict(zip(columns, values, strict=True))) for values in zip(*columns.values(), strict=True)]


def _value(text: str | None) -> JsonValue:
    """A missing value and a JSON null say the same: nothing is there."""
    return None if text is None else json_value(text)
