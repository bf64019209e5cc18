"""Readings that fail, lose rows, or do not happen."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from resources.incidents.detecting import detector
from resources.incidents.facts import Facts, stream_asset
from resources.incidents.texts import shortened, split_action
from resources.operations.incidents import Signal

READ_AGAIN = "mend what the error says; the next run reads it again, nothing is lost: the cursor stayed"


@detector("reading_failed")
def failed(facts: Facts) -> Iterator[Signal]:
    """The last reading of a stream stopped on an error."""
    for reading in facts.readings:
        if reading.outcome != "failed":
            continue
        line = next((entry for entry in facts.operations.watching.journal_of(reading) if entry.kind == "extract"), None)
        what, action = split_action(reading.error or "the reading stopped without a word")
        yield Signal(
            kind="reading_failed",
            severity="error",
            system_code=reading.system_code,
            stream=reading.stream,
            what=f"{reading.stream} cannot be read: {what}",
            action=action or READ_AGAIN,
            since_at=reading.failing_since_at or reading.started_at,
            file=line.file if line else None,
            line=line.line if line else None,
            request_id=line.request_id if line else None,
            occurrences_qty=reading.failures_qty,
            evidence={"extract": reading.extract_id, "last complete": str(reading.complete_at or "never")},
            origins=(stream_asset(reading.system_code, reading.stream),),
        )


@detector("reading_incomplete")
def incomplete(facts: Facts) -> Iterator[Signal]:
    """The last reading of a stream lost rows: what was announced is not what was landed plus refused."""
    for reading in facts.readings:
        if reading.outcome != "incomplete" or " received " not in (reading.error or ""):
            continue  # files that were refused or never came are told by their own kinds
        what, action = split_action((reading.error or "").split("; ", 1)[0])
        yield Signal(
            kind="reading_incomplete",
            severity="error",
            system_code=reading.system_code,
            stream=reading.stream,
            what=f"{reading.stream} does not add up: {what}",
            action=action or READ_AGAIN,
            since_at=reading.failing_since_at or reading.started_at,
            occurrences_qty=reading.failures_qty,
            evidence={
                "extract": reading.extract_id,
                "announced": reading.announced_qty,
                "last complete": str(reading.complete_at or "never"),
            },
            origins=(stream_asset(reading.system_code, reading.stream),),
        )


@detector("source_silent")
def silent(facts: Facts) -> Iterator[Signal]:
    """No complete reading of a system's streams for longer than expected. One whose readings fail is told by its own kind."""
    by_system: dict[str, list[tuple[timedelta, str]]] = {}
    for reading in facts.readings:
        if reading.complete_at is None or reading.failures_qty:
            continue
        age = facts.now - reading.complete_at
        if age > timedelta(hours=facts.rules.silent_hours(reading.system_code)):
            by_system.setdefault(reading.system_code, []).append((age, reading.stream))
    for system_code, found in by_system.items():
        longest = max(age for age, _ in found)
        streams = sorted(stream for _, stream in found)
        hours = facts.rules.silent_hours(system_code)
        yield Signal(
            kind="source_silent",
            severity="error",
            system_code=system_code,
            what=f"{shortened(', '.join(streams))} of {system_code} was not read for {longest.total_seconds() / 3600:.0f} hours",
            action=f"see that the schedules are on and the runs end (`etalon ui`), or read now: `etalon run`; expected every {hours} hours",
            since_at=facts.now - longest + timedelta(hours=hours),
            evidence={"streams": shortened(", ".join(streams))},
            origins=tuple(stream_asset(system_code, stream) for stream in streams),
        )


@detector("rows_quarantined")
def quarantined(facts: Facts) -> Iterator[Signal]:
    """More rows of a stream wait in quarantine than may be: by number, or by their share of the last reading."""
    for pending in facts.operations.watching.pending_rows():
        if (pending.system_code, pending.stream) not in facts.known_streams:
            continue
        reading = facts.reading(pending.system_code, pending.stream)
        share_pct = 100 * reading.quarantined_qty / reading.announced_qty if reading and reading.announced_qty else 0.0
        if pending.rows_qty < facts.rules.quarantined_rows and share_pct < float(facts.rules.quarantined_share_pct):
            continue
        yield Signal(
            kind="rows_quarantined",
            severity="warning",
            system_code=pending.system_code,
            stream=pending.stream,
            what=f"{pending.rows_qty} rows of {pending.stream} wait in quarantine ({', '.join(pending.rules)}); the last reading "
            f"had {share_pct:.1f} % of its rows refused",
            action=f"`etalon quarantine list --system {pending.system_code} --stream {pending.stream}`: have them mended at the source, "
            "or mend the mapping and `etalon quarantine replay`",
            since_at=pending.first_at,
            file=pending.file,
            line=pending.line,
            occurrences_qty=pending.rows_qty,
            evidence={"rows": pending.rows_qty, "share of the last reading %": round(share_pct, 2)},
            origins=(stream_asset(pending.system_code, pending.stream),),
        )
