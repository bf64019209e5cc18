"""Which dropped files are there to be read: whole, not met before, in sequence; and the acknowledgement of each.

Files are never moved, changed or deleted. What is in them is the readers' business.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from resources.connectors.sdk.feed import Feed
from resources.connectors.sdk.periods import Period
from resources.connectors.sdk.stream import FileOutcome, PartEnd, SeenFile
from resources.connectors.sdk.text_rows import FileIdentity

MARKER, ACKNOWLEDGEMENTS = ".done", "ack"
_STAMP = "%Y%m%d%H%M%S"
GAP = "sequence gap in"
"""How a fault about numbers that never came begins."""

_READ = frozenset({"accepted", "refused", "duplicate", "superseded"})


@dataclass(frozen=True)
class Marker:
    """What a `.done` marker announces. An empty marker announces nothing but the end of the file."""

    rows_qty: int | None = None
    sha256: str | None = None
    totals: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True)
class Candidate:
    """A file that is whole and was not met before. ``problem``: why it must be refused without being read."""

    path: Path
    identity: FileIdentity
    scope: str
    sequence: int
    size_bytes: int
    sha256: str
    marker: Marker
    problem: str = ""

    def end(
        self,
        outcome: Any,
        *,
        announced_qty: int | None = None,
        received_qty: int = 0,
        reason: str = "",
        line: int | None = None,
    ) -> PartEnd:
        """Its end, with that outcome."""
        return PartEnd(
            name=self.identity.name,
            outcome=outcome,
            sha256=self.sha256,
            size_bytes=self.size_bytes,
            sequence_scope=self.scope,
            sequence=self.sequence,
            announced_qty=self.marker.rows_qty if announced_qty is None else announced_qty,
            received_qty=received_qty,
            reason=reason,
            line=line,
        )


@dataclass(frozen=True)
class PickUp:
    """What a look at the folder found: files to read in their order, ends of those that will not be, and what is odd."""

    candidates: tuple[Candidate, ...]
    ends: tuple[PartEnd, ...]
    notes: tuple[str, ...]
    faults: tuple[str, ...]


def identify(name: str, feed: Feed) -> tuple[FileIdentity, str, int] | None:
    """(identity, sequence scope, sequence) of a file of this feed; None for any other name."""
    parts = _parts(name, feed)
    if parts is None:
        return None
    scope, sequence, stamp = parts
    try:
        local = datetime.strptime(stamp, _STAMP).replace(tzinfo=ZoneInfo(feed.file_time_zone))
    except ValueError:
        return None
    return FileIdentity(name, local.astimezone(UTC)), scope, sequence


def _parts(name: str, feed: Feed) -> tuple[str, int, str] | None:
    """(sequence scope, sequence, time as it is written) in a file's name, without looking at what time that is."""
    match = _name_pattern(feed.prefix, feed.extension, feed.has_scope).fullmatch(name)
    return (f"{feed.prefix}{match[1]}", int(match[2]), match[3]) if match else None


@cache
def _name_pattern(prefix: str, extension: str, has_scope: bool) -> re.Pattern[str]:
    scope = "(_[A-Za-z0-9-]+)" if has_scope else "()"
    return re.compile(rf"{re.escape(prefix)}{scope}_(\d{{6}})_(\d{{14}})\.{re.escape(extension)}")


def look(
    folder: Path,
    feed: Feed,
    *,
    seen: Sequence[SeenFile],
    now: datetime,
    by: str,
    stable_s: int,
    period: Period | None = None,
) -> PickUp:
    """Look for files of a feed. ``by``: `marker` or `stable_size` (unchanged for ``stable_s`` seconds between two looks).

    ``period``: only files whose name's time lies in it, and of the numbers that never came only those beside them.
    """
    by_name = {file.name: file for file in seen}
    by_sha256 = {file.sha256: file.name for file in seen if file.sha256 and file.outcome == "accepted"}
    candidates: list[Candidate] = []
    ends: list[PartEnd] = []
    notes: list[str] = []
    sequences: dict[str, set[int]] = defaultdict(set)
    in_period: dict[str, set[int]] = defaultdict(set)
    for file in seen:
        if file.sequence is not None:
            sequences[file.sequence_scope].add(file.sequence)
    names = _names(folder, feed)
    if period is not None:
        names = _around(period, names, feed, sequences)
    for name in names:
        path = folder / name
        found = identify(name, feed)
        if found is None:
            notes.append(f"{path.name} is not named as files of {feed.feed} are, and was left alone")
            continue
        identity, scope, sequence = found
        sequences[scope].add(sequence)
        if period is not None:
            if not period.holds(identity.observed_at):
                continue
            in_period[scope].add(sequence)
        size, known = path.stat().st_size, by_name.get(path.name)
        if known is not None and known.outcome in _READ:
            if size != known.size_bytes and known.outcome != "refused":
                notes.append(f"{path.name} changed after it was read; a file is read once, send it under a new number")
            if known.outcome != "refused" or _sha256(path) == known.sha256:
                continue
        if not _is_whole(path, size, known, now=now, by=by, stable_s=stable_s):
            seen_size_before = known is not None and known.outcome == "waiting" and known.size_bytes == size
            if not seen_size_before:
                ends.append(PartEnd(path.name, "waiting", "", size, scope, sequence, reason=f"not whole yet ({by})"))
            continue
        sha256 = _sha256(path)
        marker, problem = _marker(path) if by == "marker" else (Marker(), "")
        if marker.sha256 and marker.sha256.lower() != sha256:
            problem = f"checksum: the marker says {marker.sha256}, the file is {sha256}"
        candidate = Candidate(path, identity, scope, sequence, size, sha256, marker, problem)
        if sha256 in by_sha256:
            ends.append(candidate.end("duplicate", reason=f"the same content as {by_sha256[sha256]}, read before"))
            continue
        if not problem:
            by_sha256[sha256] = path.name
        candidates.append(candidate)
    candidates.sort(key=lambda candidate: (candidate.identity.observed_at, candidate.sequence, candidate.identity.name))
    gaps = _gaps(sequences if period is None else _beside(sequences, in_period))
    if feed.reading == "full":
        return PickUp(tuple(candidates), tuple(ends), (*notes, *gaps), ())
    return PickUp(tuple(candidates), tuple(ends), tuple(notes), tuple(gaps))


def whole_files(folder: Path, feed: Feed, names: Sequence[str]) -> tuple[Candidate, ...]:
    """Those of some files that are whole by their marker, oldest first, whatever was met before and in whatever sequence.

    For who only looks: a file that is looked at is not thereby read.
    """
    found: list[Candidate] = []
    for name in names:
        identified, path = identify(name, feed), folder / name
        if identified is None or not path.is_file() or not path.with_name(path.name + MARKER).is_file():
            continue
        identity, scope, sequence = identified
        sha256 = _sha256(path)
        marker, problem = _marker(path)
        if marker.sha256 and marker.sha256.lower() != sha256:
            problem = f"checksum: the marker says {marker.sha256}, the file is {sha256}"
        found.append(Candidate(path, identity, scope, sequence, path.stat().st_size, sha256, marker, problem))
    found.sort(key=lambda candidate: (candidate.identity.observed_at, candidate.sequence, candidate.identity.name))
    return tuple(found)


def missing_sequences(folder: Path, feed: Feed, *, seen: Sequence[SeenFile]) -> dict[str, list[int]]:
    """Sequence scope -> numbers between the first and the last file that neither came nor were accepted as lost.

    A scope is the prefix of the files' names, with their scope (a store) where the feed has one. Scopes without a gap have an
    empty list.
    """
    sequences: dict[str, set[int]] = defaultdict(set)
    for file in seen:
        if file.sequence is not None:
            sequences[file.sequence_scope].add(file.sequence)
    for path in folder.glob(f"{feed.prefix}_*.{feed.extension}"):
        found = identify(path.name, feed)
        if found is not None:
            sequences[found[1]].add(found[2])
    return {scope: _absent(numbers) for scope, numbers in sorted(sequences.items())}


def write_acknowledgement(folder: Path, file: FileOutcome) -> Path:
    """Write `ack/<name>.ack.json` beside the files, whole or not at all."""
    target = folder / ACKNOWLEDGEMENTS / f"{file.name}.ack.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "file": file.name,
        "outcome": file.outcome,
        "reason": file.reason or None,
        "sha256": file.sha256 or None,
        "extract_id": file.extract_id,
        "finished_at": file.finished_at.astimezone(UTC).isoformat(),
        "rows": {
            "announced": file.announced_qty,
            "received": file.received_qty,
            "landed": file.landed_qty,
            "quarantined": file.quarantined_qty,
        },
        "rejects": [dict(reject) for reject in file.rejects],
    }
    temporary = target.with_suffix(".tmp")
    # With indents the standard library writes a thousand rejects in pure Python.
    temporary.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n")
    temporary.replace(target)
    return target


def _is_whole(path: Path, size: int, known: SeenFile | None, *, now: datetime, by: str, stable_s: int) -> bool:
    if by == "marker":
        return path.with_name(path.name + MARKER).is_file()
    if known is None or known.outcome != "waiting" or known.size_bytes != size:
        return False
    return now - known.seen_at >= timedelta(seconds=stable_s)


def _marker(path: Path) -> tuple[Marker, str]:
    text = path.with_name(path.name + MARKER).read_text(encoding="utf-8", errors="replace").strip()
    if not text:
        return Marker(), ""
    try:
        content = json.loads(text)
        totals = {name: Decimal(str(total)) for name, total in (content.get("totals") or {}).items()}
        rows = content.get("rows")
        return Marker(None if rows is None else int(rows), content.get("sha256"), totals), ""
    except (ValueError, TypeError, AttributeError, InvalidOperation) as error:
        return Marker(), f"its marker {path.name}{MARKER} is not readable: {error}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _absent(numbers: set[int]) -> list[int]:
    return sorted(set(range(min(numbers), max(numbers))) - numbers)


def _names(folder: Path, feed: Feed) -> list[str]:
    """Names in the folder that may be a feed's, sorted."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return sorted(fnmatch.filter((entry.name for entry in entries), f"{feed.prefix}_*.{feed.extension}"))


def _around(period: Period, names: Sequence[str], feed: Feed, sequences: Mapping[str, set[int]]) -> list[str]:
    """The names that may lie in a period, by a day more or less, whatever their zone; the number of each goes to ``sequences``.

    A folder may hold years of files: which instant a name tells is worked out only where it counts.
    """
    day = timedelta(days=1)
    low = "" if period.from_at is None else (period.from_at.astimezone(UTC) - day).strftime(_STAMP)
    high = (period.to_at.astimezone(UTC) + day).strftime(_STAMP)
    found = []
    for name in names:
        parts = _parts(name, feed)
        if parts is None:
            continue
        scope, sequence, stamp = parts
        sequences[scope].add(sequence)
        if low <= stamp <= high:
            found.append(name)
    return found


def _beside(sequences: Mapping[str, set[int]], in_period: Mapping[str, set[int]]) -> dict[str, set[int]]:
    """Of each scope that has files in a period, their numbers, the last one before and the first one after."""
    found: dict[str, set[int]] = {}
    for scope, numbers in in_period.items():
        before = [number for number in sequences[scope] if number < min(numbers)]
        after = [number for number in sequences[scope] if number > max(numbers)]
        within = {number for number in sequences[scope] if min(numbers) <= number <= max(numbers)}
        found[scope] = within | ({max(before)} if before else set()) | ({min(after)} if after else set())
    return found


def _gaps(sequences: Mapping[str, set[int]]) -> list[str]:
    found = []
    for scope, numbers in sorted(sequences.items()):
        missing = _absent(numbers)
        if missing:
            told = ", ".join(f"{number:06d}" for number in missing[:10]) + (", …" if len(missing) > 10 else "")
            found.append(f"{GAP} {scope}: {told} never came ({len(missing)} of {max(numbers)})")
    return found
