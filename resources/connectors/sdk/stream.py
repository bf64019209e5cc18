"""The seam between a connector and the rest of Étalon: what a stream declares and what a reading gives back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, Protocol, runtime_checkable

import polars as pl

ChangeTracking = Literal["updated_at", "full_snapshot", "files"]


@dataclass(frozen=True)
class Stream:
    """One collection of a system, declared rather than coded.

    ``entities``: canonical entities its rows map to; the first is the root: one source row is one root row.
    ``change_tracking``: `updated_at` (a cursor sees every change), `full_snapshot` (the source is blind or
    partly blind: read all, compare hashes), `files` (each file is read once).
    ``overlap``: how far behind the cursor an incremental read starts again, for late commits.
    ``blind_spots``: what a reader of this stream cannot see, in words an operations person understands.
    ``period_field``: the date of a row, never moved, by which one period of the stream can be read (`sdk.periods`); None: only
    the whole stream can.
    """

    name: str
    path: str
    entities: tuple[str, ...]
    keys: tuple[str, ...]
    change_tracking: ChangeTracking
    cursor_field: str | None = None
    shows_deletes: bool = False
    page_size: int = 100
    overlap: timedelta = timedelta(minutes=10)
    has_personal_data: bool = False
    blind_spots: tuple[str, ...] = ()
    period_field: str | None = None

    def __post_init__(self) -> None:
        if self.change_tracking == "updated_at" and not self.cursor_field:
            raise ValueError(f"stream {self.name}: change tracking updated_at needs a cursor_field")


@dataclass(frozen=True)
class WriteCapability:
    """Something the system lets us write, and whether it can refuse a write whose expected previous value is outdated."""

    entity: str
    attribute: str
    can_compare_and_set: bool
    note: str = ""


@dataclass(frozen=True)
class Reject:
    """A source row that could not become a canonical row: it goes to quarantine, nothing is dropped.

    ``is_root`` says whether the whole source row is refused (it then counts as quarantined, not landed) or only a part of it.
    ``context`` is what a replay needs besides ``raw`` to read the row again: a CSV header, for instance.
    ``keys``: entity -> its key (without the system), where the row is readable enough to tell: a row that was refused is not
    one that was deleted, and where no key is known nothing of the entity can be taken for deleted.
    """

    position: str
    raw: str
    rule: str
    reason: str
    entity: str
    field: str | None = None
    line: int | None = None
    column: int | None = None
    is_root: bool = True
    context: str = ""
    keys: Mapping[str, tuple[str, ...]] | None = None


@dataclass(frozen=True)
class PartEnd:
    """The end of one part of a reading that stands or falls as a whole: a file.

    ``accepted`` parts keep the rows their batches brought; of a ``refused`` part nothing is loaded. A ``duplicate`` was
    received before and a ``superseded`` one is replaced by a later full snapshot: neither is read. A ``waiting`` part may
    still be growing. ``announced_qty`` and ``received_qty`` count its source rows.
    ``line``: where in it the ``reason`` lies, when it lies in one line.
    """

    name: str
    outcome: Literal["accepted", "refused", "duplicate", "superseded", "waiting"]
    sha256: str
    size_bytes: int
    sequence_scope: str = ""
    sequence: int | None = None
    announced_qty: int | None = None
    received_qty: int = 0
    reason: str = ""
    line: int | None = None


@dataclass
class Batch:
    """Some pages or lines, decoded.

    ``raw``: (name, bytes) as received, secrets of the source removed; for landing and replay.
    ``frames``: entity name -> rows with that entity's columns plus ``source_position``; the rest of the envelope is added later.
    ``received_qty``: source rows in it, refused ones included.
    ``personal``: (token, kind, value) of personal values, for the encrypted PII table.
    ``part``: the file that all its rows come from, while it is not known yet whether that file will be accepted.
    ``ends``: the files that end with this batch.
    ``raw_at``: raw text and context of the source row at a ``source_position``, for rows that a contract refuses later.
    """

    received_qty: int
    raw: Sequence[tuple[str, bytes]] = ()
    frames: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    rejects: Sequence[Reject] = ()
    personal: Sequence[tuple[str, str, str]] = ()
    part: str | None = None
    ends: Sequence[PartEnd] = ()
    raw_at: Callable[[str], tuple[str, str]] | None = None


@dataclass
class Reading:
    """One read of one stream. The watermark is taken BEFORE the first row is read.

    ``announced_qty``: rows the source says there are (a header, a count, a control total); None when it announces nothing.
    ``is_full``: whether it covers the whole stream, so that what is absent was deleted.
    ``notes``: things a person should know that do not make the reading wrong. ``faults``: things that do (a missing file).
    """

    watermark_at: datetime
    announced_qty: int | None
    is_full: bool
    batches: Iterator[Batch]
    notes: Sequence[str] = ()
    faults: Sequence[str] = ()


@dataclass(frozen=True)
class AccessCheck:
    """One line of the proof of concept before going live: what was tried, and what came out.

    ``is_ok`` None: good to know, neither right nor wrong. A line of the subject `connection` (or `folder`) that is not ok
    means that nothing else can be tried.
    """

    subject: str
    is_ok: bool | None
    detail: str


class Connector(Protocol):
    """What each kind of system implements."""

    system_code: str

    def streams(self) -> tuple[Stream, ...]:
        """Every stream it can read."""
        ...

    def writes(self) -> tuple[WriteCapability, ...]:
        """Everything it could write."""
        ...

    def read(self, stream: Stream, *, since_at: datetime | None, now: datetime) -> Reading:
        """Read a stream: all of it (``since_at`` None) or what changed since, overlap already taken off by the caller."""
        ...

    def check_access(self) -> tuple[AccessCheck, ...]:
        """Connect and tell what the key may read and write. Writes nothing."""
        ...


@dataclass(frozen=True)
class SeenFile:
    """What is known of a file met before: its last outcome, and when and how large it was last seen."""

    name: str
    outcome: str
    sha256: str
    size_bytes: int
    sequence_scope: str
    sequence: int | None
    seen_at: datetime


@dataclass(frozen=True)
class FileOutcome:
    """What became of one file, for its acknowledgement."""

    name: str
    outcome: str
    reason: str
    extract_id: str
    sha256: str
    announced_qty: int | None
    received_qty: int
    landed_qty: int
    quarantined_qty: int
    finished_at: datetime
    rejects: Sequence[Mapping[str, object]] = ()


@runtime_checkable
class FileConnector(Protocol):
    """What a connector of file feeds adds: it must know which files were met before, and it answers each with a receipt."""

    def read_files(self, stream: Stream, *, seen: Sequence[SeenFile], now: datetime) -> Reading:
        """Read the files of a stream that were not met before."""
        ...

    def acknowledge(self, stream: Stream, files: Sequence[FileOutcome]) -> None:
        """Write one acknowledgement per file; writing it again changes nothing."""
        ...


@dataclass(frozen=True)
class RawRow:
    """A quarantined source row as it was received, with what is needed to read it again."""

    position: str
    raw: str
    context: str


@runtime_checkable
class ReplayingConnector(Protocol):
    """A connector that can map raw rows again, with its present mapping."""

    def replay(self, stream: Stream, rows: Sequence[RawRow], *, now: datetime) -> Batch:
        """Map raw rows; each comes out in the frames, or among the rejects under its own position."""
        ...
