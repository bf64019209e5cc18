"""Refused rows: list them, show one, and replay them through the present mapping. How rows come to be refused is not here.

A replay is an extract of its own: rows that pass now are landed and offered for loading like any others. They are rows of
the reading that refused them, so they say they were seen when it was made: what was read since stays the newer state.
"""

from __future__ import annotations

import builtins
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from resources.collecting import SEALED_CONTEXT, Collector, KeepsPersonalValues
from resources.connectors.sdk.stream import Connector, RawRow, ReplayingConnector, Stream
from resources.errors import EtalonError, PermanentError, Where
from resources.extract import new_extract_id
from resources.landing import Landing
from resources.operations import ExchangeEntry, Manifest, Operations, QuarantinedRow

Status = Literal["pending", "replayed", "superseded", "erased"]


@dataclass(frozen=True)
class ShownRow:
    """A refused row with its raw text and the context it was read in, both opened when they were sealed."""

    row: QuarantinedRow
    raw: str
    context: str


@dataclass(frozen=True)
class ReplayOutcome:
    """What a replay made of one row: `replayed` (landed now), or `refused` again or not replayable, and why."""

    quarantine_id: int
    outcome: Literal["replayed", "refused", "not_replayable"]
    reason: str
    extract_id: str | None


def list(  # noqa: A001  `quarantine.list` is what it is called
    operations: Operations,
    *,
    system_code: str | None = None,
    stream: str | None = None,
    status: Status | None = "pending",
    limit: int | None = None,
) -> builtins.list[QuarantinedRow]:
    """Refused rows, oldest first; raw payloads stay sealed."""
    return operations.quarantined(system_code=system_code, stream=stream, status=status, limit=limit)


def show(operations: Operations, landing: Landing, quarantine_id: int) -> ShownRow:
    """One refused row with its raw text. Raises PermanentError when there is none with that id."""
    found = operations.quarantined(quarantine_ids=[quarantine_id])
    if not found:
        raise PermanentError(f"no row {quarantine_id} in quarantine", action="see `etalon quarantine list`")
    return ShownRow(found[0], _raw(found[0], landing), _context(found[0], landing))


def replay(
    operations: Operations,
    landing: Landing,
    connectors: Mapping[str, Connector],
    *,
    pii: KeepsPersonalValues | None,
    now: datetime,
    run_id: str,
    quarantine_ids: Sequence[int] | None = None,
    system_code: str | None = None,
    stream: str | None = None,
) -> builtins.list[ReplayOutcome]:
    """Map pending rows again, all of them or those asked for, and note what came of each.

    Each reading that refused rows is replayed by itself, oldest first.
    """
    pending = operations.quarantined(
        system_code=system_code, stream=stream, status="pending", quarantine_ids=quarantine_ids
    )
    by_reading: dict[tuple[str, str, str], builtins.list[QuarantinedRow]] = defaultdict(builtins.list)
    for row in pending:
        by_reading[row.system_code, row.stream, row.extract_id].append(row)
    outcomes: builtins.list[ReplayOutcome] = []
    for (code, name, _), rows in by_reading.items():
        try:
            connector, declared = _stream(connectors, code, name)
            outcomes += _replay_reading(
                connector, declared, rows, operations=operations, landing=landing, pii=pii, now=now, run_id=run_id
            )
        except EtalonError as error:
            outcomes += [ReplayOutcome(row.quarantine_id, "not_replayable", str(error), None) for row in rows]
    return sorted(outcomes, key=lambda outcome: outcome.quarantine_id)


def _stream(connectors: Mapping[str, Connector], system_code: str, name: str) -> tuple[ReplayingConnector, Stream]:
    where = Where(system_code=system_code, stream=name)
    connector = connectors.get(system_code)
    if connector is None:
        raise PermanentError("the system is not in retailer.yaml any more", where=where)
    declared = next((stream for stream in connector.streams() if stream.name == name), None)
    if declared is None:
        raise PermanentError("the system does not have this stream any more", where=where)
    if not isinstance(connector, ReplayingConnector):
        raise PermanentError(
            "rows of this kind of system are not mapped again one by one", where=where, action="read the stream in full"
        )
    return connector, declared


def _replay_reading(
    connector: ReplayingConnector,
    stream: Stream,
    rows: Sequence[QuarantinedRow],
    *,
    operations: Operations,
    landing: Landing,
    pii: KeepsPersonalValues | None,
    now: datetime,
    run_id: str,
) -> builtins.list[ReplayOutcome]:
    started = time.perf_counter()
    code = rows[0].system_code
    original = operations.manifest(rows[0].extract_id)
    observed_at = original.watermark_at if original is not None else None
    if observed_at is None:
        observed_at = rows[0].created_at
    opening = Manifest(
        extract_id=new_extract_id(now),
        system_code=code,
        stream=stream.name,
        run_id=run_id,
        outcome="failed",
        announced_qty=None,
        landed_qty=0,
        quarantined_qty=0,
        since_at=None,
        watermark_at=observed_at,
        kind="replay",
        started_at=now,
    )
    replayable = [row for row in rows if row.raw]
    outcomes = [
        ReplayOutcome(row.quarantine_id, "not_replayable", "its raw payload was not kept", None)
        for row in rows
        if not row.raw
    ]
    if not replayable:
        return outcomes
    with landing.reading_lock(code, stream.name):
        landing.discard(code, stream.name, operations.begin_extract(opening))
        collector = Collector(
            stream,
            system_code=code,
            extract_id=opening.extract_id,
            run_id=run_id,
            now=now,
            operations=operations,
            landing=landing,
            pii=pii,
            stores_refusals=False,
        )
        collector.observe_at(observed_at)
        # One source row may have several refusals (its lines): it is mapped once.
        raw_rows = {row.position.partition("#")[0]: row for row in replayable}
        sources = [
            RawRow(position, _raw(row, landing), _context(row, landing)) for position, row in sorted(raw_rows.items())
        ]
        try:
            collector.take(connector.replay(stream, sources, now=now))
            collector.close()
        except EtalonError as error:
            failed = replace(opening, error=str(error), finished_at=now, duration_s=time.perf_counter() - started)
            operations.finish_extract(failed, drop_quarantine=True)
            raise
        again: dict[str, builtins.list[tuple[str, str]]] = defaultdict(builtins.list)
        for reject in collector.refusals:
            again[reject.position].append((reject.rule, reject.reason))
        resolved: dict[int, str] = {}
        retried: dict[int, tuple[str, str]] = {}
        for row in replayable:
            problem = again.get(row.position) or again.get(row.position.partition("#")[0])
            if problem:
                retried[row.quarantine_id] = problem[0]
                outcomes.append(ReplayOutcome(row.quarantine_id, "refused", problem[0][1], opening.extract_id))
            else:
                resolved[row.quarantine_id] = "replayed"
                outcomes.append(ReplayOutcome(row.quarantine_id, "replayed", "", opening.extract_id))
        manifest = replace(
            opening,
            outcome="complete",
            landed_qty=collector.landed_qty,
            quarantined_qty=len(retried),
            entity_rows=collector.entity_rows,
            is_loadable=bool(collector.files),
            finished_at=now,
            duration_s=time.perf_counter() - started,
        )
        operations.finish_extract(
            manifest,
            files=collector.files,
            journal=[_entry(manifest, f"{len(resolved)} rows replayed, {len(retried)} refused again")],
            resolved=resolved,
            retried=retried,
        )
    return outcomes


def _entry(manifest: Manifest, detail: str) -> ExchangeEntry:
    return ExchangeEntry(
        at=manifest.started_at or manifest.finished_at,  # type: ignore[arg-type]
        run_id=manifest.run_id,
        system_code=manifest.system_code,
        stream=manifest.stream,
        kind="replay",
        is_ok=True,
        detail=detail,
        extract_id=manifest.extract_id,
    )


def _raw(row: QuarantinedRow, landing: Landing) -> str:
    data = landing.sealer.open(row.raw) if row.is_sealed else row.raw
    return data.decode("utf-8", "surrogateescape")


def _context(row: QuarantinedRow, landing: Landing) -> str:
    if not row.context.startswith(SEALED_CONTEXT):
        return row.context
    opened = landing.sealer.open(bytes.fromhex(row.context.removeprefix(SEALED_CONTEXT)))
    return opened.decode("utf-8", "surrogateescape")
