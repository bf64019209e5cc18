"""Questions about how things stand now, asked every few seconds by those who watch: each one bounded, none changes anything.

Belongs here: what looks across extracts, files, quarantine and journal. What a single part of the store can tell is in its own
module.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from resources.operations import tables as t
from resources.operations.engine import Transactions
from resources.operations.records import ExchangeEntry, FileReceipt

LOOK_BACK = timedelta(days=90)
"""How far back the last readings of a stream are looked for."""

_ENTRY = [column for column in t.exchange.c if column.name != "exchange_id"]


@dataclass(frozen=True)
class LastReadings:
    """How the readings of one stream stand. Hints and replays are none.

    ``complete_at``: start of the last complete one. ``failures_qty`` and ``failing_since_at``: those after it that were not.
    """

    system_code: str
    stream: str
    extract_id: str
    outcome: str
    error: str | None
    started_at: datetime
    announced_qty: int | None
    quarantined_qty: int
    complete_at: datetime | None
    full_at: datetime | None
    failures_qty: int
    failing_since_at: datetime | None


@dataclass(frozen=True)
class PendingRows:
    """Rows of one stream in quarantine that nobody has dealt with, and the first of them. ``rules``: the two that refuse most."""

    system_code: str
    stream: str
    rows_qty: int
    first_at: datetime
    file: str | None
    line: int | None
    rules: tuple[str, ...]


@dataclass(frozen=True)
class ExchangeTotal:
    """What was exchanged with one system, in one direction, since an instant."""

    system_code: str
    direction: str
    kind: str
    exchanges_qty: int
    failed_qty: int
    rows_qty: int
    bytes: int
    duration_s: float
    last_at: datetime


class Watching:
    """How things stand."""

    def __init__(self, transactions: Transactions) -> None:
        self._reading = transactions.reading

    def last_readings(self, *, now: datetime) -> list[LastReadings]:
        """Each stream that was read in the last three months, by system and stream."""
        e = t.extract.c
        is_reading = sa.and_(e.kind == "read", e.outcome != "running", e.started_at >= now - LOOK_BACK)
        is_complete = e.outcome == "complete"
        with self._reading() as connection:
            # Ids of extracts sort in the order in which they were made, also where a fixed clock gives all of them one instant.
            ends = connection.execute(
                sa.select(
                    e.system_code,
                    e.stream,
                    sa.func.max(e.extract_id).label("last_id"),
                    sa.func.max(sa.case((is_complete, e.extract_id))).label("complete_id"),
                    sa.func.max(sa.case((e.is_full, e.extract_id))).label("full_id"),
                )
                .where(is_reading)
                .group_by(e.system_code, e.stream)
                .order_by(e.system_code, e.stream)
            ).all()
            ids = {id_ for row in ends for id_ in (row.last_id, row.complete_id, row.full_id) if id_ is not None}
            by_id = {row["extract_id"]: row for row in _extracts(connection, ids)}
            found = []
            for row in ends:
                last = by_id[row.last_id]
                failures_qty, failing_since_at = 0, None
                if row.last_id != row.complete_id:
                    failures_qty, failing_since_at = _failures(connection, row.system_code, row.stream, row.complete_id)
                found.append(
                    LastReadings(
                        system_code=row.system_code,
                        stream=row.stream,
                        extract_id=row.last_id,
                        outcome=last["outcome"],
                        error=last["error"],
                        started_at=last["started_at"],
                        announced_qty=last["announced_qty"],
                        quarantined_qty=last["quarantined_qty"],
                        complete_at=by_id[row.complete_id]["started_at"] if row.complete_id else None,
                        full_at=by_id[row.full_id]["started_at"] if row.full_id else None,
                        failures_qty=failures_qty,
                        failing_since_at=failing_since_at,
                    )
                )
            return found

    def journal_of(self, reading: LastReadings) -> list[ExchangeEntry]:
        """What the journal says of one reading, oldest first."""
        return self.journal(
            system_code=reading.system_code, since_at=reading.started_at, extract_id=reading.extract_id, limit=None
        )

    def journal(
        self,
        *,
        since_at: datetime | None = None,
        system_code: str | None = None,
        kinds: Collection[str] | None = None,
        extract_id: str | None = None,
        only_failed: bool = False,
        limit: int | None = 1000,
    ) -> list[ExchangeEntry]:
        """Lines of the exchange journal, oldest first; the last ``limit`` of them."""
        c = t.exchange.c
        statement = sa.select(*_ENTRY).order_by(c.exchange_id.desc())
        if since_at is not None:
            statement = statement.where(c.at >= since_at)
        if system_code is not None:
            statement = statement.where(c.system_code == system_code)
        if kinds is not None:
            statement = statement.where(c.kind.in_(kinds))
        if extract_id is not None:
            statement = statement.where(c.extract_id == extract_id)
        if only_failed:
            statement = statement.where(sa.not_(c.is_ok))
        if limit is not None:
            statement = statement.limit(limit)
        with self._reading() as connection:
            return [ExchangeEntry(**row) for row in reversed(connection.execute(statement).mappings().all())]

    def journal_rows(self, *, since_at: datetime, limit: int) -> list[sa.RowMapping]:
        """Lines of the journal with their ids, as the table holds them, oldest first; the last ``limit`` of them."""
        c = t.exchange.c
        statement = sa.select(t.exchange).where(c.at >= since_at).order_by(c.exchange_id.desc()).limit(limit)
        with self._reading() as connection:
            return list(reversed(connection.execute(statement).mappings().all()))

    def totals(self, *, since_at: datetime) -> list[ExchangeTotal]:
        """What crossed since an instant, by system, direction and kind."""
        c = t.exchange.c
        rows = (
            sa.select(
                c.system_code,
                c.direction,
                c.kind,
                sa.func.count(),
                sa.func.sum(sa.case((c.is_ok, 0), else_=1)),
                sa.func.coalesce(sa.func.sum(c.rows_qty), 0),
                sa.func.coalesce(sa.func.sum(c.bytes), 0),
                sa.func.coalesce(sa.func.sum(c.duration_s), 0.0),
                sa.func.max(c.at),
            )
            .where(c.at >= since_at, c.direction.is_not(None))
            .group_by(c.system_code, c.direction, c.kind)
            .order_by(c.system_code, c.direction, c.kind)
        )
        with self._reading() as connection:
            return [
                ExchangeTotal(
                    system, direction, kind, qty, int(failed), int(rows_qty), int(size), float(seconds), last_at
                )
                for system, direction, kind, qty, failed, rows_qty, size, seconds, last_at in connection.execute(rows)
            ]

    def refused_files(self) -> list[FileReceipt]:
        """Files that were refused and that no later one of the same name replaced, oldest first."""
        lost = t.file_receipt.alias("lost")
        is_given_up = sa.exists().where(
            lost.c.system_code == t.file_receipt.c.system_code,
            lost.c.stream == t.file_receipt.c.stream,
            lost.c.sequence_scope == t.file_receipt.c.sequence_scope,
            lost.c.sequence == t.file_receipt.c.sequence,
            lost.c.outcome.in_(("lost", "accepted")),
        )
        statement = (
            sa.select(t.file_receipt)
            .where(t.file_receipt.c.outcome == "refused", ~is_given_up)
            .order_by(t.file_receipt.c.seen_at, t.file_receipt.c.name)
        )
        with self._reading() as connection:
            return [FileReceipt(**row) for row in connection.execute(statement).mappings()]

    def pending_rows(self) -> list[PendingRows]:
        """Rows that wait in quarantine, by system and stream."""
        q = t.quarantine.c
        rule_counts = (
            sa.select(
                q.system_code,
                q.stream,
                q.rule,
                sa.func.count().label("qty"),
                sa.func.min(q.quarantine_id).label("first"),
            )
            .join(t.extract)
            .where(t.extract.c.outcome != "running", q.status == "pending")
            .group_by(q.system_code, q.stream, q.rule)
            .order_by(q.system_code, q.stream, sa.desc("qty"), q.rule)
        )
        with self._reading() as connection:
            by_stream: dict[tuple[str, str], list[tuple[str, int, int]]] = {}
            for system_code, stream, rule, qty, first in connection.execute(rule_counts):
                by_stream.setdefault((system_code, stream), []).append((rule, qty, first))
            firsts = {key: min(first for *_, first in counts) for key, counts in by_stream.items()}
            rows = {
                row.quarantine_id: row
                for row in connection.execute(
                    sa.select(q.quarantine_id, q.part, q.line, q.created_at).where(
                        q.quarantine_id.in_(list(firsts.values()))
                    )
                )
            }
        return [
            PendingRows(
                system_code=system_code,
                stream=stream,
                rows_qty=sum(qty for _, qty, _ in counts),
                first_at=rows[firsts[system_code, stream]].created_at,
                file=rows[firsts[system_code, stream]].part,
                line=rows[firsts[system_code, stream]].line,
                rules=tuple(rule for rule, *_ in counts[:2]),
            )
            for (system_code, stream), counts in by_stream.items()
        ]

    def rows_read(
        self, *, since_at: datetime, streams: Collection[tuple[str, str]]
    ) -> list[tuple[str, str, datetime, int]]:
        """(system, stream, instant, rows) of what was read of these streams since an instant, whole readings left out.

        A whole reading is as large as the stream, whoever asks for it, and it is asked for every night.
        """
        e = t.extract.c
        statement = (
            sa.select(e.system_code, e.stream, e.started_at, e.landed_qty)
            .where(e.started_at >= since_at, e.outcome != "running", sa.not_(e.is_full))
            .order_by(e.extract_id)
        )
        with self._reading() as connection:
            return [tuple(row) for row in connection.execute(statement) if (row.system_code, row.stream) in streams]


def _extracts(connection: Connection, extract_ids: Collection[str]) -> list[sa.RowMapping]:
    return list(
        connection.execute(sa.select(t.extract).where(t.extract.c.extract_id.in_(sorted(extract_ids)))).mappings()
    )


def _failures(
    connection: Connection, system_code: str, stream: str, after_id: str | None
) -> tuple[int, datetime | None]:
    """How many readings of a stream were not complete after an extract, and when the first of them started."""
    e = t.extract.c
    statement = sa.select(sa.func.count(), sa.func.min(e.started_at)).where(
        e.system_code == system_code, e.stream == stream, e.kind == "read", e.outcome != "running"
    )
    if after_id is not None:
        statement = statement.where(e.extract_id > after_id)
    quantity, since_at = connection.execute(statement).one()
    return quantity, since_at
