"""What the operations store keeps, as plain records. Quantities count rows, durations are seconds, instants are UTC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

Outcome = Literal["complete", "incomplete", "failed"]
KEY_SEPARATOR = "\x1f"


def key_text(values: Sequence[str]) -> str:
    """A key of text columns, without its system, as one text."""
    return KEY_SEPARATOR.join(values)


@dataclass(frozen=True)
class Manifest:
    """What one reading of one stream announced, landed and refused, in source rows.

    ``outcome``: `complete` (announced = landed + quarantined; the cursor moved), `incomplete` (rows were lost on the way or
    a file was refused or is missing), `failed` (the reading stopped; ``error`` says why).
    ``kind``: a reading of the stream, a replay of quarantined rows, a reading of single rows that were hinted at, or one of a
    period: ``period_from_at`` (None: from the beginning) until before ``period_to_at``.
    ``is_loadable``: its canonical files may be loaded. An incomplete reading of files is: each accepted file is whole by itself.
    """

    extract_id: str
    system_code: str
    stream: str
    run_id: str
    outcome: Outcome
    announced_qty: int | None
    landed_qty: int
    quarantined_qty: int
    since_at: datetime | None
    watermark_at: datetime | None
    entity_rows: Mapping[str, int] = field(default_factory=dict)
    bytes: int = 0
    duration_s: float = 0.0
    error: str | None = None
    is_full: bool = False
    is_loadable: bool = False
    kind: Literal["read", "replay", "hint", "period"] = "read"
    started_at: datetime | None = None
    finished_at: datetime | None = None
    period_from_at: datetime | None = None
    period_to_at: datetime | None = None


@dataclass(frozen=True)
class CanonicalFile:
    """One canonical parquet file. ``path`` is relative to the data folder."""

    entity: str
    number: int
    path: str
    rows_qty: int


@dataclass(frozen=True)
class LoadableExtract:
    """Canonical files of one entity in one extract that the warehouse does not have yet.

    ``paths`` are in the order in which they were read. ``is_full``: the whole stream, so that what is absent was deleted.
    Rows of the entity that were refused are no absent ones: ``refused_keys`` names them (see :func:`key_text`), and any key
    may be among the ``unreadable_qty`` whose key is not known.
    """

    extract_id: str
    system_code: str
    stream: str
    entity: str
    paths: tuple[Path, ...]
    rows_qty: int
    is_full: bool
    unreadable_qty: int
    refused_keys: tuple[str, ...]
    watermark_at: datetime


@dataclass(frozen=True)
class EndedExtract:
    """An extract that ended. ``is_waiting``: rows of it are still to be loaded. ``loaded_files``: those the warehouse has."""

    extract_id: str
    system_code: str
    stream: str
    is_waiting: bool
    loaded_files: tuple[CanonicalFile, ...]


@dataclass(frozen=True)
class QuarantinedRow:
    """A refused row. ``raw`` is as received (UTF-8), sealed when ``is_sealed``."""

    quarantine_id: int
    extract_id: str
    run_id: str
    system_code: str
    stream: str
    entity: str
    part: str | None
    position: str
    line: int | None
    column_number: int | None
    field: str | None
    rule: str
    reason: str
    raw: bytes
    context: str
    is_sealed: bool
    is_root: bool
    status: str
    attempts: int
    created_at: datetime
    resolved_at: datetime | None
    replay_extract_id: str | None


@dataclass(frozen=True)
class FileReceipt:
    """What became of one received file."""

    system_code: str
    stream: str
    name: str
    outcome: str
    reason: str
    sha256: str
    size_bytes: int
    sequence_scope: str
    sequence: int | None
    extract_id: str
    announced_qty: int | None
    received_qty: int
    landed_qty: int
    quarantined_qty: int
    seen_at: datetime
    acknowledged_at: datetime | None = None


@dataclass(frozen=True)
class ExchangeEntry:
    """One line of the exchange journal.

    ``stream``: the stream read, or the target written to. ``kind``: what happened (`extract`, `write`, `webhook`, `alert`,
    `order_file`, an error's class, `file_refused`, `note`, …). ``direction``: `in` or `out`, seen from here.
    """

    at: datetime
    run_id: str
    system_code: str
    stream: str | None
    kind: str
    is_ok: bool
    detail: str
    extract_id: str | None = None
    direction: Literal["in", "out"] | None = None
    outcome: str | None = None
    rows_qty: int | None = None
    bytes: int | None = None
    duration_s: float | None = None
    request_id: str | None = None
    file: str | None = None
    line: int | None = None
