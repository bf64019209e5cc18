"""The seam between a connector and the rest of Étalon: what a stream declares and what a reading gives back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, Protocol

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


@dataclass
class Batch:
    """Some pages or lines, decoded.

    ``raw``: (name, bytes) as received, secrets of the source removed; for landing and replay.
    ``frames``: entity name -> rows with that entity's columns plus ``source_position``; the rest of the envelope is added later.
    ``received_qty``: source rows in it, refused ones included.
    ``personal``: (token, kind, value) of personal values, for the encrypted PII table.
    """

    received_qty: int
    raw: Sequence[tuple[str, bytes]] = ()
    frames: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    rejects: Sequence[Reject] = ()
    personal: Sequence[tuple[str, str, str]] = ()


@dataclass
class Reading:
    """One read of one stream. The watermark is taken BEFORE the first row is read.

    ``announced_qty``: rows the source says there are (a header, a count, a control total); None when it announces nothing.
    ``is_full``: whether it covers the whole stream, so that what is absent was deleted.
    """

    watermark_at: datetime
    announced_qty: int | None
    is_full: bool
    batches: Iterator[Batch]


@dataclass(frozen=True)
class AccessCheck:
    """One line of the proof of concept before going live: what was tried, and what came out."""

    subject: str
    is_ok: bool
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
