"""The operations store: every question asked of it and every change made to it, each in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from resources.errors import RetryableError, Where
from resources.operations import tables as t
from resources.operations.alerts import Alerts
from resources.operations.engine import Transactions, open_engine
from resources.operations.erasures import Erasures
from resources.operations.hints import Hints
from resources.operations.incidents import Incidents
from resources.operations.inserting import insert_many
from resources.operations.lane import Lane
from resources.operations.order_messages import OrderMessages
from resources.operations.outbox import Outbox
from resources.operations.periods import Periods, covered_periods, whole_since
from resources.operations.plans import Plans
from resources.operations.receipts import Receipts
from resources.operations.records import (
    CanonicalFile,
    EndedExtract,
    ExchangeEntry,
    FileReceipt,
    LoadableExtract,
    Manifest,
    QuarantinedRow,
)
from resources.operations.retention import prune_operations
from resources.operations.watching import Watching

RUNNING = "running"
ABANDONED = "abandoned: the process that read it ended before it was finished; what it had written was thrown away"


class Operations:
    """Cursors, manifests, quarantine, receipts and journal of every system.

    ``data_dir`` is what the paths of canonical files are relative to. Safe to use from several processes and threads.
    """

    def __init__(self, engine: Engine, data_dir: Path) -> None:
        self._engine = engine
        self._data_dir = data_dir
        self._transactions = Transactions(engine)
        self._writing, self._reading = self._transactions.writing, self._transactions.reading

    @classmethod
    def open(cls, url: str, *, data_dir: Path) -> Operations:
        """Open the store at a SQLAlchemy URL (`sqlite:///…` or `postgresql+psycopg2://…`), creating what is missing."""
        return cls(open_engine(url), data_dir)

    @cached_property
    def plans(self) -> Plans:
        """What syncs would write, and who let them."""
        return Plans(self._transactions)

    @cached_property
    def outbox(self) -> Outbox:
        """What is on its way to systems."""
        return Outbox(self._transactions)

    @cached_property
    def receipts(self) -> Receipts:
        """What systems answered."""
        return Receipts(self._transactions)

    @cached_property
    def order_messages(self) -> OrderMessages:
        """Orders sent to systems as files, and what became of them."""
        return OrderMessages(self._transactions)

    @cached_property
    def hints(self) -> Hints:
        """What systems said had changed."""
        return Hints(self._transactions)

    @cached_property
    def lane(self) -> Lane:
        """What the fast lane saw before the warehouse."""
        return Lane(self._transactions)

    @cached_property
    def erasures(self) -> Erasures:
        """Who was erased, when, and that it was proved."""
        return Erasures(self._transactions)

    @cached_property
    def incidents(self) -> Incidents:
        """What is wrong now, and what was."""
        return Incidents(self._transactions)

    @cached_property
    def alerts(self) -> Alerts:
        """What was told about incidents."""
        return Alerts(self._transactions)

    @cached_property
    def periods(self) -> Periods:
        """What was read by period."""
        return Periods(self._transactions)

    @cached_property
    def watching(self) -> Watching:
        """How things stand."""
        return Watching(self._transactions)

    def close(self) -> None:
        """Give its connections back."""
        self._engine.dispose()

    def prune(
        self, *, before: datetime, hints_before: datetime | None = None, only_count: bool = False
    ) -> dict[str, int]:
        """Remove what was settled before ``before`` (aware); gives the rows of each table that went, or would. See `retention`."""
        return prune_operations(self._transactions, before=before, hints_before=hints_before, only_count=only_count)

    # -- extracts ------------------------------------------------------------------------------------------------------

    def begin_extract(
        self, manifest: Manifest, *, is_being_read: Callable[[str], bool] = lambda _extract_id: True
    ) -> tuple[str, ...]:
        """Note that a reading starts. Gives the ids of earlier readings of the stream that died, now closed as failed.

        The caller holds the lock of the stream (or of its hints, for a hint), so whatever is still `running` of its kind belongs to a
        process that is gone. Of readings by period there may be several: ``is_being_read`` tells whether an extract's process lives.
        Raises RetryableError when the reading is of a period, and one that lives has a day of it.
        """
        with self._writing() as connection:
            if manifest.kind == "period":
                _one_at_a_time(connection, manifest)
            columns = t.extract.c
            of_stream = (columns.system_code == manifest.system_code) & (columns.stream == manifest.stream)
            running = connection.execute(
                sa.select(columns.extract_id, columns.kind, columns.period_from_at, columns.period_to_at).where(
                    of_stream, columns.outcome == RUNNING
                )
            ).all()
            dead: list[str] = []
            for extract_id, kind, from_at, to_at in running:
                if kind == "period":
                    if not is_being_read(extract_id):
                        dead.append(extract_id)
                    elif manifest.kind == "period" and _overlap(manifest, from_at, to_at):
                        raise RetryableError(
                            "another process is reading a part of this period",
                            where=Where(system_code=manifest.system_code, stream=manifest.stream),
                            action="wait until it is done",
                        )
                # Single rows are read under a lock of their own, beside a reading of the whole stream; periods beside both.
                elif manifest.kind != "period" and (kind == "hint") == (manifest.kind == "hint"):
                    dead.append(extract_id)
            if dead:
                connection.execute(sa.delete(t.quarantine).where(t.quarantine.c.extract_id.in_(dead)))
                connection.execute(
                    sa.update(t.extract)
                    .where(t.extract.c.extract_id.in_(dead))
                    .values(
                        outcome="failed",
                        error=ABANDONED,
                        landed_qty=0,
                        quarantined_qty=0,
                        finished_at=manifest.started_at,
                    )
                )
            connection.execute(sa.insert(t.extract).values(_extract_values(manifest) | {"outcome": RUNNING}))
        return tuple(dead)

    def finish_extract(
        self,
        manifest: Manifest,
        *,
        files: Sequence[CanonicalFile] = (),
        receipts: Sequence[FileReceipt] = (),
        journal: Sequence[ExchangeEntry] = (),
        cursor_at: datetime | None = None,
        settles_cursor: bool = False,
        drop_quarantine_parts: Sequence[str] = (),
        drop_quarantine: bool = False,
        supersede_quarantine: bool = False,
        resolved: Mapping[int, str] | None = None,
        retried: Mapping[int, tuple[str, str]] | None = None,
        refused_keys: Sequence[tuple[str, str | None]] = (),
    ) -> None:
        """Write the manifest, what it loads, its receipts and its journal, and last move the cursor: all of it or nothing.

        ``cursor_at``: None leaves the cursor. ``settles_cursor``: it moves (never back) to where the readings by period of the stream
        stand for a whole one, if they do: see :func:`~resources.operations.periods.whole_since`. ``drop_quarantine_parts``: files
        refused as a whole, whose rows are not in quarantine one by one; ``drop_quarantine``: the same for a reading that failed.
        ``supersede_quarantine``: a full reading replaces what was pending, one of a period what earlier readings of its days had
        pending. ``resolved``: quarantine id -> its new status; ``retried``: quarantine id ->
        (rule, reason) after a replay that refused it again. ``refused_keys``: (entity, key or None when it is not known) of
        refused rows.
        """
        with self._writing() as connection:
            if settles_cursor:
                _one_at_a_time(connection, manifest)
            quarantine = t.quarantine
            mine = quarantine.c.extract_id == manifest.extract_id
            if drop_quarantine:
                connection.execute(sa.delete(quarantine).where(mine))
            elif drop_quarantine_parts:
                connection.execute(sa.delete(quarantine).where(mine, quarantine.c.part.in_(drop_quarantine_parts)))
            connection.execute(
                sa.update(t.extract)
                .where(t.extract.c.extract_id == manifest.extract_id)
                .values(_extract_values(manifest))
            )
            if manifest.is_loadable:
                _insert(
                    connection,
                    t.extract_entity,
                    [
                        {"extract_id": manifest.extract_id, "entity": entity, "rows_qty": rows}
                        for entity, rows in manifest.entity_rows.items()
                    ],
                )
                _insert(
                    connection, t.canonical_file, [{"extract_id": manifest.extract_id} | asdict(file) for file in files]
                )
                _insert(
                    connection,
                    t.refused_key,
                    [{"extract_id": manifest.extract_id, "entity": entity, "key": key} for entity, key in refused_keys],
                )
            if supersede_quarantine:
                replaced = [
                    quarantine.c.system_code == manifest.system_code,
                    quarantine.c.stream == manifest.stream,
                    quarantine.c.status == "pending",
                    quarantine.c.extract_id != manifest.extract_id,
                ]
                if manifest.kind == "period":
                    replaced.append(quarantine.c.extract_id.in_(_readings_within(manifest)))
                connection.execute(
                    sa.update(quarantine).where(*replaced).values(status="superseded", resolved_at=manifest.finished_at)
                )
            for quarantine_id, status in (resolved or {}).items():
                connection.execute(
                    sa.update(quarantine)
                    .where(quarantine.c.quarantine_id == quarantine_id)
                    .values(
                        status=status,
                        attempts=quarantine.c.attempts + 1,
                        resolved_at=manifest.finished_at,
                        replay_extract_id=manifest.extract_id,
                    )
                )
            for quarantine_id, (rule, reason) in (retried or {}).items():
                connection.execute(
                    sa.update(quarantine)
                    .where(quarantine.c.quarantine_id == quarantine_id)
                    .values(attempts=quarantine.c.attempts + 1, rule=rule, reason=reason)
                )
            if receipts:
                same = (
                    (t.file_receipt.c.system_code == manifest.system_code)
                    & (t.file_receipt.c.stream == manifest.stream)
                    & (t.file_receipt.c.name == sa.bindparam("file_name"))
                )
                connection.execute(
                    sa.delete(t.file_receipt).where(same), [{"file_name": receipt.name} for receipt in receipts]
                )
            _insert(connection, t.file_receipt, [asdict(receipt) for receipt in receipts])
            _insert(connection, t.exchange, [asdict(entry) for entry in journal])
            of_stream = (t.cursor.c.system_code == manifest.system_code) & (t.cursor.c.stream == manifest.stream)
            if settles_cursor:
                settled_at = whole_since(covered_periods(connection, manifest.system_code, manifest.stream))
                present_at = connection.scalar(sa.select(t.cursor.c.cursor_at).where(of_stream))
                if settled_at is not None and (present_at is None or settled_at > present_at):
                    cursor_at = settled_at
            if cursor_at is not None:
                connection.execute(sa.delete(t.cursor).where(of_stream))
                connection.execute(
                    sa.insert(t.cursor).values(
                        system_code=manifest.system_code,
                        stream=manifest.stream,
                        cursor_at=cursor_at,
                        extract_id=manifest.extract_id,
                    )
                )

    def cursor(self, system_code: str, stream: str) -> datetime | None:
        """Watermark of the last complete reading of a stream; None before the first."""
        with self._reading() as connection:
            return connection.scalar(
                sa.select(t.cursor.c.cursor_at).where(
                    t.cursor.c.system_code == system_code, t.cursor.c.stream == stream
                )
            )

    def manifest(self, extract_id: str) -> Manifest | None:
        """The manifest of one finished extract."""
        found = self._manifests(t.extract.c.extract_id == extract_id)
        return found[0] if found else None

    def manifests(
        self,
        *,
        run_id: str | None = None,
        system_code: str | None = None,
        stream: str | None = None,
        with_hints: bool = True,
    ) -> list[Manifest]:
        """Finished extracts, oldest first. ``with_hints``: those of single rows too, which say nothing of their stream."""
        conditions = [
            column == value
            for column, value in (
                (t.extract.c.run_id, run_id),
                (t.extract.c.system_code, system_code),
                (t.extract.c.stream, stream),
            )
            if value is not None
        ]
        if not with_hints:
            conditions.append(t.extract.c.kind != "hint")
        return self._manifests(*conditions)

    def _manifests(self, *conditions: sa.ColumnElement[bool]) -> list[Manifest]:
        with self._reading() as connection:
            rows = connection.execute(
                sa.select(t.extract)
                .where(t.extract.c.outcome != RUNNING, *conditions)
                .order_by(t.extract.c.started_at, t.extract.c.extract_id)
            ).mappings()
            extracts = [dict(row) for row in rows]
            entities: dict[str, dict[str, int]] = {}
            for extract_id, entity, rows_qty in connection.execute(
                sa.select(t.extract_entity.c.extract_id, t.extract_entity.c.entity, t.extract_entity.c.rows_qty)
                .join(t.extract)
                .where(*conditions)
            ):
                entities.setdefault(extract_id, {})[entity] = rows_qty
        return [Manifest(**row, entity_rows=entities.get(row["extract_id"], {})) for row in extracts]

    # -- loading -------------------------------------------------------------------------------------------------------

    def loadable_extracts(self, entity: str) -> list[LoadableExtract]:
        """Extracts that hold rows of ``entity`` and are not in the warehouse yet, in the order in which they must be loaded.

        What came before a complete full reading of the same stream is left out: that reading replaces it.
        """
        columns = t.extract.c
        with self._reading() as connection:
            rows = (
                connection.execute(
                    sa.select(t.extract, t.extract_entity.c.rows_qty)
                    .join(t.extract_entity)
                    .where(
                        columns.is_loadable, t.extract_entity.c.entity == entity, t.extract_entity.c.loaded_at.is_(None)
                    )
                    .order_by(columns.started_at, columns.extract_id)
                )
                .mappings()
                .all()
            )
            paths: dict[str, list[Path]] = {}
            for extract_id, path in connection.execute(
                sa.select(t.canonical_file.c.extract_id, t.canonical_file.c.path)
                .join(t.extract_entity, t.extract_entity.c.extract_id == t.canonical_file.c.extract_id)
                .where(
                    t.canonical_file.c.entity == entity,
                    t.extract_entity.c.entity == entity,
                    t.extract_entity.c.loaded_at.is_(None),
                )
                .order_by(t.canonical_file.c.extract_id, t.canonical_file.c.number)
            ):
                paths.setdefault(extract_id, []).append(self._data_dir / path)
            refused: dict[str, list[str | None]] = {}
            for extract_id, key in connection.execute(
                sa.select(t.refused_key.c.extract_id, t.refused_key.c.key).where(
                    t.refused_key.c.entity == entity,
                    t.refused_key.c.extract_id.in_([row["extract_id"] for row in rows if row["is_full"]]),
                )
            ):
                refused.setdefault(extract_id, []).append(key)
        last_full = {(row["system_code"], row["stream"]): row["started_at"] for row in rows if row["is_full"]}
        return [
            LoadableExtract(
                extract_id=row["extract_id"],
                system_code=row["system_code"],
                stream=row["stream"],
                entity=entity,
                paths=tuple(paths.get(row["extract_id"], ())),
                rows_qty=row["rows_qty"],
                is_full=row["is_full"],
                unreadable_qty=refused.get(row["extract_id"], []).count(None),
                refused_keys=tuple(sorted({key for key in refused.get(row["extract_id"], ()) if key is not None})),
                watermark_at=row["watermark_at"],
            )
            for row in rows
            if row["started_at"] >= last_full.get((row["system_code"], row["stream"]), row["started_at"])
        ]

    def mark_loaded(self, extract_ids: Sequence[str], *, entity: str | None = None, now: datetime) -> None:
        """Note that the warehouse has these extracts (of one entity, or of all), and with them what they replace."""
        with self._writing() as connection:
            for extract_id in extract_ids:
                row = (
                    connection.execute(sa.select(t.extract).where(t.extract.c.extract_id == extract_id))
                    .mappings()
                    .one()
                )
                covered = [t.extract.c.extract_id == extract_id]
                if row["is_full"]:
                    covered.append(
                        (t.extract.c.system_code == row["system_code"])
                        & (t.extract.c.stream == row["stream"])
                        & (t.extract.c.started_at < row["started_at"])
                    )
                statement = (
                    sa.update(t.extract_entity)
                    .where(
                        t.extract_entity.c.extract_id.in_(sa.select(t.extract.c.extract_id).where(sa.or_(*covered))),
                        t.extract_entity.c.loaded_at.is_(None),
                    )
                    .values(loaded_at=now)
                )
                if entity is not None:
                    statement = statement.where(t.extract_entity.c.entity == entity)
                connection.execute(statement)

    def canonical_paths(self, extract_id: str, entity: str) -> tuple[Path, ...]:
        """Canonical files of one entity in one extract, in the order in which they were read."""
        columns = t.canonical_file.c
        with self._reading() as connection:
            return tuple(
                self._data_dir / path
                for path in connection.scalars(
                    sa.select(columns.path)
                    .where(columns.extract_id == extract_id, columns.entity == entity)
                    .order_by(columns.number)
                )
            )

    def ended_extracts(self, *, before: datetime, hints_before: datetime | None = None) -> list[EndedExtract]:
        """Extracts that ended before an instant, oldest first, with their canonical files that are in the warehouse.

        ``hints_before``: the instant for readings of single rows.
        """
        extract, entity, file = t.extract.c, t.extract_entity.c, t.canonical_file.c
        is_old = sa.and_(
            extract.outcome != RUNNING,
            sa.or_(
                extract.finished_at < before,
                sa.and_(extract.kind == "hint", extract.finished_at < (hints_before or before)),
            ),
        )
        with self._reading() as connection:
            ended = connection.execute(
                sa.select(extract.extract_id, extract.system_code, extract.stream)
                .where(is_old)
                .order_by(extract.started_at, extract.extract_id)
            ).all()
            waiting = set(
                connection.scalars(
                    sa.select(entity.extract_id)
                    .join(t.extract, extract.extract_id == entity.extract_id)
                    .where(is_old, extract.is_loadable, entity.loaded_at.is_(None))
                )
            )
            loaded: dict[str, list[CanonicalFile]] = {}
            for extract_id, *values in connection.execute(
                sa.select(file.extract_id, file.entity, file.number, file.path, file.rows_qty)
                .join(t.extract, extract.extract_id == file.extract_id)
                .join(t.extract_entity, (entity.extract_id == file.extract_id) & (entity.entity == file.entity))
                .where(is_old, entity.loaded_at.is_not(None))
                .order_by(file.extract_id, file.number)
            ):
                loaded.setdefault(extract_id, []).append(CanonicalFile(*values))
        return [
            EndedExtract(extract_id, system_code, stream, extract_id in waiting, tuple(loaded.get(extract_id, ())))
            for extract_id, system_code, stream in ended
        ]

    def forget_canonical_files(self, extract_id: str, files: Sequence[CanonicalFile]) -> None:
        """Forget files that were removed; the extract's manifest stays."""
        if not files:
            return
        columns = t.canonical_file.c
        with self._writing() as connection:
            connection.execute(
                sa.delete(t.canonical_file).where(
                    columns.extract_id == extract_id,
                    columns.entity == sa.bindparam("of_entity"),
                    columns.number == sa.bindparam("of_number"),
                ),
                [{"of_entity": file.entity, "of_number": file.number} for file in files],
            )

    # -- quarantine ----------------------------------------------------------------------------------------------------

    def add_quarantine(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add refused rows of a running extract; they show once it is finished."""
        with self._writing() as connection:
            insert_many(connection, t.quarantine, rows)

    def quarantined(
        self,
        *,
        system_code: str | None = None,
        stream: str | None = None,
        status: str | None = None,
        extract_id: str | None = None,
        quarantine_ids: Sequence[int] | None = None,
        limit: int | None = None,
    ) -> list[QuarantinedRow]:
        """Refused rows of finished extracts, oldest first."""
        columns = t.quarantine.c
        statement = (
            sa.select(t.quarantine)
            .join(t.extract)
            .where(t.extract.c.outcome != RUNNING)
            .order_by(columns.quarantine_id)
        )
        for column, value in (
            (columns.system_code, system_code),
            (columns.stream, stream),
            (columns.status, status),
            (columns.extract_id, extract_id),
        ):
            if value is not None:
                statement = statement.where(column == value)
        if quarantine_ids is not None:
            statement = statement.where(columns.quarantine_id.in_(quarantine_ids))
        if limit is not None:
            statement = statement.limit(limit)
        with self._reading() as connection:
            return [QuarantinedRow(**row) for row in connection.execute(statement).mappings()]

    def quarantine_counts(self) -> list[tuple[str, str, str, str, int]]:
        """(system, stream, rule, status, rows) of the whole quarantine."""
        columns = t.quarantine.c
        with self._reading() as connection:
            rows = connection.execute(
                sa.select(columns.system_code, columns.stream, columns.rule, columns.status, sa.func.count())
                .join(t.extract)
                .where(t.extract.c.outcome != RUNNING)
                .group_by(columns.system_code, columns.stream, columns.rule, columns.status)
                .order_by(columns.system_code, columns.stream, columns.rule, columns.status)
            )
            return [tuple(row) for row in rows]

    # -- files ---------------------------------------------------------------------------------------------------------

    def file_receipts(self, system_code: str, stream: str, *, only_unacknowledged: bool = False) -> list[FileReceipt]:
        """Receipts of the files of a stream, by name."""
        statement = (
            sa.select(t.file_receipt)
            .where(t.file_receipt.c.system_code == system_code, t.file_receipt.c.stream == stream)
            .order_by(t.file_receipt.c.name)
        )
        if only_unacknowledged:
            statement = statement.where(
                t.file_receipt.c.acknowledged_at.is_(None), t.file_receipt.c.outcome.not_in(("waiting", "lost"))
            )
        with self._reading() as connection:
            return [FileReceipt(**row) for row in connection.execute(statement).mappings()]

    def mark_acknowledged(self, system_code: str, stream: str, names: Sequence[str], *, now: datetime) -> None:
        """Note that the acknowledgements of these files are written."""
        if not names:
            return
        with self._writing() as connection:
            connection.execute(
                sa.update(t.file_receipt)
                .where(
                    t.file_receipt.c.system_code == system_code,
                    t.file_receipt.c.stream == stream,
                    t.file_receipt.c.name == sa.bindparam("file_name"),
                )
                .values(acknowledged_at=now),
                [{"file_name": name} for name in names],
            )

    def accept_missing_file(
        self, system_code: str, stream: str, *, sequence_scope: str, sequence: int, reason: str, now: datetime
    ) -> None:
        """A person accepts that the file with this sequence number will never come: the gap is no longer a fault."""
        receipt = FileReceipt(
            system_code=system_code,
            stream=stream,
            name=f"{sequence_scope}#{sequence}",
            outcome="lost",
            reason=reason,
            sha256="",
            size_bytes=0,
            sequence_scope=sequence_scope,
            sequence=sequence,
            extract_id="",
            announced_qty=None,
            received_qty=0,
            landed_qty=0,
            quarantined_qty=0,
            seen_at=now,
        )
        with self._writing() as connection:
            connection.execute(sa.insert(t.file_receipt).values(asdict(receipt)))

    # -- journal -------------------------------------------------------------------------------------------------------

    def add_exchange(self, *entries: ExchangeEntry) -> None:
        """Write to the exchange journal."""
        with self._writing() as connection:
            _insert(connection, t.exchange, [asdict(entry) for entry in entries])

    def exchanges(self, *, system_code: str | None = None, run_id: str | None = None) -> list[ExchangeEntry]:
        """The exchange journal, oldest first."""
        statement = sa.select(*(column for column in t.exchange.c if column.name != "exchange_id")).order_by(
            t.exchange.c.exchange_id
        )
        if system_code is not None:
            statement = statement.where(t.exchange.c.system_code == system_code)
        if run_id is not None:
            statement = statement.where(t.exchange.c.run_id == run_id)
        with self._reading() as connection:
            return [ExchangeEntry(**row) for row in connection.execute(statement).mappings()]


def _extract_values(manifest: Manifest) -> dict[str, Any]:
    values = asdict(manifest)
    del values["entity_rows"]
    return values


def _one_at_a_time(connection: Connection, manifest: Manifest) -> None:
    """Transactions about periods of one stream wait for each other; on SQLite all that write do.

    Else two that begin at once would not see each other, and of two that end at once neither would see that nothing is missing.
    """
    if connection.dialect.name == "postgresql":
        name = f"etalon.period.{manifest.system_code}.{manifest.stream}"
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": name})


def _overlap(manifest: Manifest, from_at: datetime | None, to_at: datetime) -> bool:
    """Whether a reading by period and the days from ``from_at`` to before ``to_at`` have a day in common."""
    if manifest.period_to_at is None:
        return False
    return (from_at is None or from_at < manifest.period_to_at) and (
        manifest.period_from_at is None or manifest.period_from_at < to_at
    )


def _readings_within(manifest: Manifest) -> sa.Select[tuple[str]]:
    """Extracts of periods of the stream that lie in the period of this one."""
    columns = t.extract.c
    inside = [
        columns.system_code == manifest.system_code,
        columns.stream == manifest.stream,
        columns.kind == "period",
        columns.period_to_at <= manifest.period_to_at,
    ]
    if manifest.period_from_at is not None:
        inside.append(columns.period_from_at >= manifest.period_from_at)
    return sa.select(columns.extract_id).where(*inside)


def _insert(connection: Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        connection.execute(sa.insert(table), list(rows))
