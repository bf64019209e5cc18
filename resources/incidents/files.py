"""Files that were refused, and files that never came."""

from __future__ import annotations

from collections.abc import Iterator

from resources.connectors.sdk.pickup import GAP
from resources.incidents.detecting import detector
from resources.incidents.facts import Facts, stream_asset
from resources.incidents.texts import shortened, split_action
from resources.operations.incidents import Signal


@detector("file_refused")
def refused(facts: Facts) -> Iterator[Signal]:
    """A file was refused whole, and neither a good one of its number nor a later whole reading has come."""
    for receipt in facts.operations.watching.refused_files():
        reading = facts.reading(receipt.system_code, receipt.stream)
        if reading is None or (reading.full_at is not None and reading.full_at > receipt.seen_at):
            continue
        line = next(
            (
                entry.line
                for entry in facts.operations.watching.journal(
                    system_code=receipt.system_code,
                    since_at=receipt.seen_at,
                    extract_id=receipt.extract_id,
                    kinds=("fault",),
                )
                if entry.file == receipt.name
            ),
            None,
        )
        what, action = split_action(receipt.reason)
        yield Signal(
            kind="file_refused",
            severity="error",
            system_code=receipt.system_code,
            stream=receipt.stream,
            key=receipt.name,
            file=receipt.name,
            line=line,
            what=f"the file {receipt.name} was refused: {what}",
            action=f"{action or 'ask for it again'}; if it was sent again under another number: `etalon incidents accept`",
            since_at=receipt.seen_at,
            evidence={"extract": receipt.extract_id, "sha256": receipt.sha256, "bytes": receipt.size_bytes},
            origins=(stream_asset(receipt.system_code, receipt.stream),),
        )


@detector("file_missing")
def missing(facts: Facts) -> Iterator[Signal]:
    """Numbers are missing in a sequence of files."""
    for reading in facts.readings:
        if reading.outcome != "incomplete" or GAP not in (reading.error or ""):
            continue
        gaps = [
            entry.detail
            for entry in facts.operations.watching.journal_of(reading)
            if entry.kind == "fault" and entry.detail.startswith(GAP)
        ]
        for gap in gaps:
            scope = gap.removeprefix(GAP).split(":", 1)[0].strip()
            yield Signal(
                kind="file_missing",
                severity="error",
                system_code=reading.system_code,
                stream=reading.stream,
                key=scope,
                what=shortened(gap),
                action=f"ask for the missing files; one that will never come: `etalon files lost {reading.system_code} {reading.stream} "
                "NUMBER --reason …`",
                since_at=reading.failing_since_at or reading.started_at,
                occurrences_qty=reading.failures_qty,
                evidence={"extract": reading.extract_id},
                origins=(stream_asset(reading.system_code, reading.stream),),
            )
