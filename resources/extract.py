"""One reading of one stream, from its watermark to its cursor.

Order of the steps, which is what makes a crash harmless: note that it starts, read and land, write canonical files, and last,
in one transaction, the manifest, the file receipts and the cursor. Before that transaction nothing is offered for loading, and
what a dead reading left behind is thrown away by the next one.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime

from resources.collecting import Collector, KeepsPersonalValues
from resources.connectors.sdk.periods import Period, PeriodConnector
from resources.connectors.sdk.stream import Connector, FileConnector, FileOutcome, PartEnd, Reading, SeenFile, Stream
from resources.connectors.sdk.writing import TargetedConnector
from resources.errors import ConfigurationError, EtalonError, ExtractIncomplete, Where
from resources.landing import Landing
from resources.operations import ExchangeEntry, FileReceipt, Manifest, Operations
from resources.operations.store import ABANDONED
from resources.rarer_collections import rarer_collections

__all__ = ["Manifest", "run_extract"]


def run_extract(
    connector: Connector,
    stream: Stream,
    *,
    operations: Operations,
    landing: Landing,
    pii: KeepsPersonalValues | None,
    full: bool,
    now: datetime,
    run_id: str,
    ids: Sequence[str] | None = None,
    period: Period | None = None,
) -> Manifest:
    """Read what is new in a stream (all of it when ``full``) and land it; ``now`` is the clock of the run, aware.

    ``ids``: read these root rows and nothing else (kind `hint`): what was hinted at. Such a reading is landed and loaded like any
    other, but it moves no cursor and deletes nothing; it goes on beside a reading of the whole stream.
    ``period``: read what was made in it and nothing else (kind `period`), beside readings of other periods. It deletes nothing, and
    the cursor moves only when the periods read so far stand for a whole reading (`resources.operations.periods`). Of a stream of
    files it does not go on beside a reading of the whole stream: both would take the same files.
    Expected errors (EtalonError) come back in the manifest and in the exchange journal. A programming error is noted there too,
    and raised.
    """
    started = time.perf_counter()
    opening = Manifest(
        extract_id=new_extract_id(now, period),
        system_code=connector.system_code,
        stream=stream.name,
        run_id=run_id,
        outcome="failed",
        announced_qty=None,
        landed_qty=0,
        quarantined_qty=0,
        since_at=None,
        watermark_at=now,
        entity_rows={},
        kind="period" if period is not None else "read" if ids is None else "hint",
        started_at=now,
        period_from_at=None if period is None else period.from_at,
        period_to_at=None if period is None else period.to_at,
    )
    try:
        with _lock(landing, connector.system_code, stream, opening):
            cursor_at = operations.cursor(connector.system_code, stream.name)
            if cursor_at is not None and not full and opening.kind == "read" and stream.change_tracking == "updated_at":
                opening = replace(opening, since_at=cursor_at - stream.overlap)
            dead = operations.begin_extract(
                opening, is_being_read=lambda extract_id: landing.is_being_read(connector.system_code, extract_id)
            )
            operations.add_exchange(
                *(_extract_line(replace(opening, extract_id=extract_id), detail=ABANDONED) for extract_id in dead)
            )
            landing.discard(connector.system_code, stream.name, dead)
            run = _Run(connector, stream, opening, operations, landing, pii, started, ids, period)
            with rarer_collections():
                return run.read()
    except EtalonError as error:
        # Only the lock and the steps before the first read can fail here: there is no extract to close.
        operations.add_exchange(
            _entry(opening, type(error).__name__, str(error), is_ok=False, where=error.where),
            _extract_line(opening, where=error.where, detail=str(error), duration_s=time.perf_counter() - started),
        )
        return replace(opening, error=str(error), finished_at=now, duration_s=time.perf_counter() - started)


def _lock(landing: Landing, system_code: str, stream: Stream, opening: Manifest) -> AbstractContextManager[None]:
    """The lock of a reading. A hint is answered at once, also while a night's reading of the same stream goes on: each kind has its own."""
    if opening.kind == "period":
        is_beside = stream.change_tracking != "files"
        return landing.period_lock(system_code, stream.name, opening.extract_id, is_beside=is_beside)
    return landing.reading_lock(system_code, stream.name if opening.kind == "read" else f"{stream.name}.hint")


def seen_files(operations: Operations, system_code: str, stream: str) -> list[SeenFile]:
    """What is known of the files of a stream that were met before, by name."""
    return [
        SeenFile(r.name, r.outcome, r.sha256, r.size_bytes, r.sequence_scope, r.sequence, r.seen_at)
        for r in operations.file_receipts(system_code, stream)
    ]


def new_extract_id(now: datetime, period: Period | None = None) -> str:
    """An id that sorts by time; letters, digits and dashes, since it is part of file names. It ends in the period that is read, if any.

    The machine's clock is in it too: two extracts of one run clock (a replay after its reading) must sort in the order in
    which they were made, since the warehouse settles equal ``observed_at`` by it.
    """
    made = f"{now.astimezone(UTC):%Y%m%dT%H%M%S}-{time.time_ns():016x}{uuid.uuid4().hex[:4]}"
    return made if period is None else f"{made}-p{period.label}"


class _Run:
    """One reading under its stream's lock."""

    def __init__(
        self,
        connector: Connector,
        stream: Stream,
        opening: Manifest,
        operations: Operations,
        landing: Landing,
        pii: KeepsPersonalValues | None,
        started: float,
        ids: Sequence[str] | None,
        period: Period | None,
    ) -> None:
        self._ids = ids
        self._period = period
        self._is_whole = ids is None and period is None
        self._connector = connector
        self._stream = stream
        self._opening = opening
        self._operations = operations
        self._landing = landing
        self._pii = pii
        self._started = started
        self._now = opening.started_at or datetime.now(UTC)
        self._where = Where(system_code=opening.system_code, stream=stream.name)

    def read(self) -> Manifest:
        if self._is_whole:
            self._acknowledge_left_over()
        collector: Collector | None = None
        try:
            collector = self._collector()
            reading = self._reading()
            collector.observe_at(reading.watermark_at)
            for batch in reading.batches:
                collector.take(batch)
            collector.close()
        except EtalonError as error:
            return self._fail(collector, error)
        except Exception as error:
            self._fail(collector, error)
            if not self._stream.has_personal_data:
                raise
            unexpected = RuntimeError(f"{self._where}: {_told(error, self._stream)}").with_traceback(
                error.__traceback__
            )
        else:
            return self._finish(collector, reading)
        # Raised out of the handler: the error it stands for must not go along as its context, for a log would print it.
        raise unexpected

    def _collector(self) -> Collector:
        return Collector(
            self._stream,
            system_code=self._opening.system_code,
            extract_id=self._opening.extract_id,
            run_id=self._opening.run_id,
            now=self._now,
            operations=self._operations,
            landing=self._landing,
            pii=self._pii,
        )

    def _reading(self) -> Reading:
        if self._ids is not None:
            if not isinstance(self._connector, TargetedConnector):
                raise ConfigurationError(
                    "single rows were asked for, and its connector cannot read them (TargetedConnector)",
                    where=self._where,
                )
            return self._connector.read_ids(self._stream, self._ids, now=self._now)
        if self._period is not None:
            return self._reading_of(self._period)
        if self._stream.change_tracking != "files":
            return self._connector.read(self._stream, since_at=self._opening.since_at, now=self._now)
        if not isinstance(self._connector, FileConnector):
            raise ConfigurationError(
                "the stream is read by files, and its connector does not implement FileConnector", where=self._where
            )
        seen = seen_files(self._operations, self._opening.system_code, self._stream.name)
        return self._connector.read_files(self._stream, seen=seen, now=self._now)

    def _reading_of(self, period: Period) -> Reading:
        if self._stream.period_field is None or not isinstance(self._connector, PeriodConnector):
            raise ConfigurationError(
                "one period was asked for, and the stream can only be read whole",
                where=self._where,
                action="`etalon systems` tells which streams can be read by period; read this one with `etalon run --full`",
            )
        seen = seen_files(self._operations, self._opening.system_code, self._stream.name)
        return self._connector.read_period(self._stream, period, seen=seen, now=self._now)

    def _finish(self, collector: Collector, reading: Reading) -> Manifest:
        is_by_files = self._stream.change_tracking == "files"
        refused = [end for end in collector.ends.values() if end.outcome == "refused"]
        received, landed, quarantined = collector.received_qty, collector.landed_qty, collector.quarantined_qty
        announced = reading.announced_qty
        if is_by_files:
            counted = [end for end in collector.ends.values() if end.outcome in ("accepted", "refused")]
            announced = sum(end.received_qty if end.announced_qty is None else end.announced_qty for end in counted)
        expected = received if announced is None else announced - sum(_rows(end) for end in refused)
        faults = [f"{end.name}: {end.reason}" for end in refused] + list(reading.faults)
        adds_up = expected == received == landed + quarantined
        if not adds_up:
            incomplete = ExtractIncomplete(
                f"announced {'nothing' if announced is None else announced}, received {received}, landed {landed}, "
                f"quarantined {quarantined}",
                where=self._where,
                action="the cursor stays and nothing of it is loaded; read again",
            )
            faults.insert(0, str(incomplete))
        is_complete = not faults
        # Files that were accepted are whole by themselves: a refused or missing one does not hold the others back.
        is_loadable = adds_up and (is_complete or is_by_files)
        accepted = [end for end in collector.ends.values() if end.outcome == "accepted"]
        manifest = replace(
            self._closing(collector, is_loadable=is_loadable),
            outcome="complete" if is_complete else "incomplete",
            announced_qty=announced,
            watermark_at=reading.watermark_at,
            error="; ".join(faults) or None,
            is_full=is_loadable and reading.is_full and self._is_whole and (not is_by_files or bool(accepted)),
            is_loadable=is_loadable,
        )
        receipts = self._receipts(collector) if is_loadable else []
        if not is_loadable:
            self._landing.discard_canonical(collector.files)
        journal = [_entry(manifest, "note", note, is_ok=True) for note in reading.notes]
        places = {f"{end.name}: {end.reason}": Where(file=end.name, line=end.line) for end in refused}
        journal += [_entry(manifest, "fault", fault, is_ok=False, where=places.get(fault)) for fault in faults]
        journal.append(_extract_line(manifest, where=next(iter(places.values()), None)))
        self._operations.finish_extract(
            manifest,
            files=collector.files,
            receipts=receipts,
            journal=journal,
            cursor_at=reading.watermark_at if is_complete and self._is_whole else None,
            settles_cursor=is_complete and self._period is not None and self._stream.change_tracking == "updated_at",
            drop_quarantine_parts=collector.refused_parts(),
            # Of files each is read once: what an earlier reading of the same days refused is in none that is read now.
            supersede_quarantine=manifest.is_full or (is_loadable and self._period is not None and not is_by_files),
            refused_keys=collector.refused_keys if manifest.is_full else (),
        )
        self._acknowledge(receipts, collector)
        return manifest

    def _fail(self, collector: Collector | None, error: Exception) -> Manifest:
        text = str(error) if isinstance(error, EtalonError) else _told(error, self._stream)
        manifest = replace(self._closing(collector, is_loadable=False), outcome="failed", error=text)
        if collector is not None:
            self._landing.discard_canonical(collector.files)
        where = error.where if isinstance(error, EtalonError) else Where()
        self._operations.finish_extract(
            manifest,
            journal=[
                _entry(manifest, type(error).__name__, text, is_ok=False, where=where),
                _extract_line(manifest, where=where, detail=text),
            ],
            drop_quarantine=True,
        )
        return manifest

    def _closing(self, collector: Collector | None, *, is_loadable: bool) -> Manifest:
        manifest = replace(
            self._opening,
            duration_s=time.perf_counter() - self._started,
            finished_at=self._now,
        )
        if collector is None:
            return manifest
        return replace(
            manifest,
            landed_qty=collector.landed_qty,
            quarantined_qty=collector.quarantined_qty,
            bytes=collector.bytes,
            entity_rows=collector.entity_rows if is_loadable else {},
        )

    # -- files ---------------------------------------------------------------------------------------------------------

    def _receipts(self, collector: Collector) -> list[FileReceipt]:
        receipts = []
        for end in collector.ends.values():
            quarantined = collector.quarantined_by_part[end.name] if end.outcome == "accepted" else 0
            receipts.append(
                FileReceipt(
                    system_code=self._opening.system_code,
                    stream=self._stream.name,
                    name=end.name,
                    outcome=end.outcome,
                    reason=end.reason,
                    sha256=end.sha256,
                    size_bytes=end.size_bytes,
                    sequence_scope=end.sequence_scope,
                    sequence=end.sequence,
                    extract_id=self._opening.extract_id,
                    announced_qty=end.announced_qty,
                    received_qty=end.received_qty,
                    landed_qty=end.received_qty - quarantined if end.outcome == "accepted" else 0,
                    quarantined_qty=quarantined,
                    seen_at=self._now,
                )
            )
        return receipts

    def _acknowledge(self, receipts: Sequence[FileReceipt], collector: Collector | None) -> None:
        """Answer each file. A file is answered after its receipt is kept, so a crash in between only delays the answer."""
        answered = [receipt for receipt in receipts if receipt.outcome not in ("waiting", "lost")]
        if not answered or not isinstance(self._connector, FileConnector):
            return
        rejects = {} if collector is None else collector.rejects_by_part
        self._connector.acknowledge(
            self._stream, [self._outcome(receipt, rejects.get(receipt.name)) for receipt in answered]
        )
        self._operations.mark_acknowledged(
            self._opening.system_code, self._stream.name, [receipt.name for receipt in answered], now=self._now
        )

    def _acknowledge_left_over(self) -> None:
        left_over = self._operations.file_receipts(
            self._opening.system_code, self._stream.name, only_unacknowledged=True
        )
        self._acknowledge(left_over, None)

    def _outcome(self, receipt: FileReceipt, rejects: Sequence[dict[str, object]] | None) -> FileOutcome:
        if rejects is None and receipt.quarantined_qty:
            rejects = [
                {
                    "line": row.line,
                    "column": row.column_number,
                    "field": row.field,
                    "rule": row.rule,
                    "reason": row.reason,
                }
                for row in self._operations.quarantined(extract_id=receipt.extract_id)
                if row.part == receipt.name
            ]
        return FileOutcome(
            name=receipt.name,
            outcome=receipt.outcome,
            reason=receipt.reason,
            extract_id=receipt.extract_id,
            sha256=receipt.sha256,
            announced_qty=receipt.announced_qty,
            received_qty=receipt.received_qty,
            landed_qty=receipt.landed_qty,
            quarantined_qty=receipt.quarantined_qty,
            finished_at=receipt.seen_at,
            rejects=rejects or (),
        )


def _told(error: Exception, stream: Stream) -> str:
    """An unexpected error in words. Libraries quote the values they stumble on, so of a personal stream its class alone."""
    if stream.has_personal_data:
        return f"{type(error).__name__} (its message is left out: the stream holds personal values)"
    return f"{type(error).__name__}: {error}"


def _rows(end: PartEnd) -> int:
    return end.received_qty if end.announced_qty is None else end.announced_qty


def _extract_line(
    manifest: Manifest, *, where: Where | None = None, detail: str | None = None, duration_s: float | None = None
) -> ExchangeEntry:
    """The one line of the journal that sums a reading up, a failed one too; ``where``: what is known of the failure's place."""
    line = _entry(manifest, "extract", detail or _summary(manifest), is_ok=manifest.outcome == "complete", where=where)
    return replace(
        line,
        direction="in",
        outcome=manifest.outcome,
        rows_qty=manifest.landed_qty + manifest.quarantined_qty,
        bytes=manifest.bytes,
        duration_s=manifest.duration_s if duration_s is None else duration_s,
    )


def _entry(manifest: Manifest, kind: str, detail: str, *, is_ok: bool, where: Where | None = None) -> ExchangeEntry:
    where = where or Where()
    return ExchangeEntry(
        at=manifest.started_at or datetime.now(UTC),
        run_id=manifest.run_id,
        system_code=manifest.system_code,
        stream=manifest.stream,
        kind=kind,
        is_ok=is_ok,
        detail=detail,
        extract_id=manifest.extract_id,
        request_id=where.request_id,
        file=where.file,
        line=where.line,
    )


def _summary(manifest: Manifest) -> str:
    announced = "not announced" if manifest.announced_qty is None else f"announced {manifest.announced_qty}"
    return f"{manifest.outcome}: {announced}, landed {manifest.landed_qty}, quarantined {manifest.quarantined_qty}"
