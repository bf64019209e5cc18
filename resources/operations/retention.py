"""How long each table of the operations store keeps its rows, and the pruning that follows from it.

Every table is in one of the two lists, with its reason; a test fails on one that is in neither.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TypeAlias

import sqlalchemy as sa

from resources.operations.engine import Transactions
from resources.operations.tables import metadata

Condition: TypeAlias = Callable[[sa.Table, datetime], sa.ColumnElement[bool]]

KEPT: Mapping[str, str] = {
    "canonical_file": "leaves with its file: `resources.pruning`",
    "cursor": "one row per stream",
    "quarantine": "refused rows, until somebody replays or erases them",
    "file_receipt": "a file is read once, however late it comes again",
    "order_message": "an order is sent once, for ever",
    "order_file": "numbers of files are never used again",
    "incident_refresh": "one row",
    "erasure": "the proof that a person was erased",
}
"""Tables whose rows stay, and why. Of `extract`, the manifests of all readings but those of hints stay too."""


def _settled_outbox(table: sa.Table, before: datetime) -> sa.ColumnElement[bool]:
    """Dead letters stay until somebody replays or drops them."""
    return sa.and_(table.c.changed_at < before, table.c.state.in_(("done", "moved", "replaced", "dropped")))


def _old_receipt(table: sa.Table, before: datetime) -> sa.ColumnElement[bool]:
    """The last receipt of each value stays: it says what the channel shows, and whether a person took a value back."""
    later = table.alias("later")
    place = ("target", "entity", "external_id", "attribute", "location_code")
    is_followed = sa.exists().where(
        later.c.receipt_id > table.c.receipt_id, *(later.c[name] == table.c[name] for name in place)
    )
    return sa.and_(table.c.written_at < before, is_followed)


def _closed_plan(table: sa.Table, before: datetime) -> sa.ColumnElement[bool]:
    closed = ("rejected", "applied", "applied_with_errors", "superseded", "reverted")
    return sa.and_(table.c.changed_at < before, table.c.status.in_(closed))


def _line_of_closed_plan(table: sa.Table, before: datetime) -> sa.ColumnElement[bool]:
    plan = metadata.tables["plan"]
    return table.c.plan_id.in_(sa.select(plan.c.plan_id).where(_closed_plan(plan, before)))


def _handled_hint(table: sa.Table, before: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.received_at < before, table.c.status.in_(("done", "dead")))


def _hint_extract(table: sa.Table, before: datetime) -> sa.ColumnElement[bool]:
    """Readings of single rows: one per order of a busy shop. Those with rows in quarantine, or files not pruned yet, stay."""
    quarantine, files = metadata.tables["quarantine"], metadata.tables["canonical_file"]
    return sa.and_(
        table.c.kind == "hint",
        table.c.finished_at < before,
        ~sa.exists().where(quarantine.c.extract_id == table.c.extract_id),
        ~sa.exists().where(files.c.extract_id == table.c.extract_id),
    )


def _of_hint_extract(table: sa.Table, before: datetime) -> sa.ColumnElement[bool]:
    extract = metadata.tables["extract"]
    return table.c.extract_id.in_(sa.select(extract.c.extract_id).where(_hint_extract(extract, before)))


def _closed_incident(table: sa.Table, before: datetime) -> sa.ColumnElement[bool]:
    """What a person accepted stays: its condition may last, and would be told as new."""
    return sa.and_(table.c.closed_at < before, table.c.status == "closed")


def _of_closed_incident(table: sa.Table, before: datetime) -> sa.ColumnElement[bool]:
    incident = metadata.tables["incident"]
    return table.c.incident_id.in_(sa.select(incident.c.incident_id).where(_closed_incident(incident, before)))


def _older(column: str) -> Condition:
    return lambda table, before: table.c[column] < before


def _settled_alert(table: sa.Table, before: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.created_at < before, table.c.state.in_(("sent", "failed")))


PRUNED: Mapping[str, Condition] = {
    "exchange": _older("at"),
    "outbox": _settled_outbox,
    "receipt": _old_receipt,
    "plan_line": _line_of_closed_plan,
    "plan": _closed_plan,
    "hint": _handled_hint,
    "lane_order": _older("seen_at"),
    "lane_beat": _older("beat_at"),
    "order_message_event": _older("at"),
    "incident_change": _of_closed_incident,
    "incident": _closed_incident,
    "alert": _settled_alert,
    "extract_entity": _of_hint_extract,
    "refused_key": _of_hint_extract,
    "extract": _hint_extract,
}
"""Tables whose old rows go, in the order in which they may: what points at another goes before it."""


OF_HINTS = frozenset({"hint", "extract_entity", "refused_key", "extract"})
"""Tables that get rows with each sale, and of which only those rows go: nobody asks for them once the main job has read everything."""


def prune_operations(
    transactions: Transactions,
    *,
    before: datetime,
    hints_before: datetime | None = None,
    only_count: bool = False,
) -> dict[str, int]:
    """Remove what was settled before ``before`` (aware); gives the rows of each table that went, or would.

    ``hints_before``: the instant for hints and for readings of single rows.
    A plan that is gone can no longer be reverted.
    """
    removed: dict[str, int] = {}
    with transactions.writing() as connection:
        for name, condition in PRUNED.items():
            table = metadata.tables[name]
            where = condition(table, (hints_before or before) if name in OF_HINTS else before)
            if only_count:
                query = sa.select(sa.func.count()).select_from(table).where(where)
                removed[name] = connection.scalar(query) or 0
            else:
                removed[name] = connection.execute(sa.delete(table).where(where)).rowcount
    return removed
