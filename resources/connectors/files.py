"""Connector of systems that drop files in a folder. What each feed looks like is declared in resources/feeds, not here.

A file stands or falls as a whole: until its counts and control totals are checked, its rows are only put aside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from resources.connectors.sdk.csv_files import read_csv, read_csv_row
from resources.connectors.sdk.feed import (
    FEEDS_DIR,
    AmountColumn,
    CsvFormat,
    Feed,
    JsonFormat,
    JsonlFormat,
    Sum,
    load_feeds,
)
from resources.connectors.sdk.json_files import read_json, read_json_row, read_jsonl
from resources.connectors.sdk.mapping import FILE, LINE, Mapper, Tally, TextRows, Tokenises
from resources.connectors.sdk.periods import Period
from resources.connectors.sdk.pickup import (
    Candidate,
    Marker,
    PickUp,
    identify,
    look,
    missing_sequences,
    whole_files,
    write_acknowledgement,
)
from resources.connectors.sdk.seen_keys import SeenKeys
from resources.connectors.sdk.stream import (
    AccessCheck,
    Batch,
    FileOutcome,
    RawRow,
    Reading,
    SeenFile,
    Stream,
    WriteCapability,
)
from resources.connectors.sdk.text_rows import Announced, Piece, merge_pieces, merge_rows
from resources.connectors.sdk.xml_files import read_xml, read_xml_row
from resources.errors import ConfigurationError, ContractBroken, PermanentError, Where

KIND = "files"
SMALL_BYTES = 4 << 20
"""Files up to this size are read whole, several in one batch: many feeds are thousands of small files."""
BATCH_BYTES = 16 << 20
BATCH_FILES = 500


def build(
    system: Any,
    *,
    retailer: Any,  # noqa: ARG001  every kind is built with the same arguments
    tokeniser: Tokenises | None,
    clock: Callable[[], datetime],  # noqa: ARG001
    session_factory: Any = None,  # noqa: ARG001
) -> FilesConnector:
    """The connector of a system of kind `files`, with the feeds that retailer.yaml names."""
    declared = load_feeds()
    unknown = [name for name in system.feeds if name not in declared]
    if unknown:
        raise ConfigurationError(
            f"no feed is declared as {', '.join(unknown)}",
            where=Where(system_code=system.code, file="retailer.yaml", field="feeds"),
            action=f"add resources/feeds/{unknown[0]}.yml, or use one of {', '.join(sorted(declared))}",
        )
    return FilesConnector(
        system.code,
        Path(system.folder),
        [declared[name] for name in system.feeds],
        time_zone=str(system.time_zone),
        tokeniser=tokeniser,
        pick_up=system.pickup.by,
        stable_s=int(system.pickup.stable_s),
    )


class FilesConnector:
    """Reads the files that one system drops. ``time_zone``: zone of its local times."""

    def __init__(
        self,
        system_code: str,
        folder: Path,
        feeds: Sequence[Feed],
        *,
        time_zone: str,
        tokeniser: Tokenises | None,
        pick_up: str = "marker",
        stable_s: int = 60,
        feeds_dir: Path = FEEDS_DIR,
    ) -> None:
        self.system_code = system_code
        self._folder = folder
        self._feeds = {feed.feed: feed for feed in feeds}
        self._time_zone = time_zone
        self._tokeniser = tokeniser
        self._pick_up = pick_up
        self._stable_s = stable_s
        self._feeds_dir = feeds_dir
        self._mappers: dict[str, Mapper] = {}
        claimed: dict[tuple[str, str], str] = {}
        for feed in feeds:
            other = claimed.setdefault((feed.prefix, feed.extension), feed.feed)
            if other != feed.feed:
                raise ConfigurationError(
                    f"feeds {other} and {feed.feed} both claim {feed.prefix}_*.{feed.extension}",
                    where=Where(system_code=system_code),
                    action="give one of them another prefix, or take it out of this system's feeds",
                )

    def streams(self) -> tuple[Stream, ...]:
        """One stream per feed."""
        return tuple(
            Stream(
                name=feed.feed,
                path=f"{feed.prefix}_*.{feed.extension}",
                entities=tuple(feed.entities),
                keys=feed.key,
                change_tracking="files",
                shows_deletes=feed.reading == "full",
                has_personal_data=feed.has_personal_data,
                blind_spots=feed.blind_spots,
                # Of snapshots only the newest counts: a period of them says nothing.
                period_field=None if feed.reading == "full" else "time in the file's name",
            )
            for feed in self._feeds.values()
        )

    def writes(self) -> tuple[WriteCapability, ...]:
        """Nothing is written back by file."""
        return ()

    def read(self, stream: Stream, *, since_at: datetime | None, now: datetime) -> Reading:  # noqa: ARG002
        """Every file that is there, as if none had been met before; `run_extract` uses `read_files`."""
        return self.read_files(stream, seen=(), now=now)

    def read_files(self, stream: Stream, *, seen: Sequence[SeenFile], now: datetime) -> Reading:
        """The files that were not met before, oldest first; of full snapshots the newest that is good."""
        return self._read(stream, seen, now, None)

    def read_period(self, stream: Stream, period: Period, *, seen: Sequence[SeenFile], now: datetime) -> Reading:
        """The files that were not met before and whose name's time lies in a period, oldest first."""
        if stream.period_field is None:
            raise PermanentError(
                f"files of {stream.name} are whole snapshots: only the newest counts, and none of an earlier period",
                where=Where(system_code=self.system_code, stream=stream.name),
                action="read the stream whole",
            )
        return self._read(stream, seen, now, period)

    def _read(self, stream: Stream, seen: Sequence[SeenFile], now: datetime, period: Period | None) -> Reading:
        feed = self._feeds[stream.name]
        if not self._folder.is_dir():
            raise PermanentError(
                f"the folder {self._folder} is not there",
                where=Where(system_code=self.system_code, stream=stream.name),
                action="create it or correct `folder` in retailer.yaml",
            )
        found = look(
            self._folder,
            feed,
            seen=seen,
            now=now,
            by=feed.pick_up or self._pick_up,
            stable_s=self._stable_s,
            period=period,
        )
        is_full = feed.reading == "full"
        batches = self._newest(feed, found, seen) if is_full else self._each(feed, found)
        return Reading(now, None, is_full, batches, notes=found.notes, faults=found.faults)

    def look_into(self, stream: Stream, names: Sequence[str]) -> Iterator[Batch]:
        """What these files hold, those of them that are whole by their marker; nothing is consumed and no order is kept.

        A later reading takes the same files as if nobody had looked.
        """
        feed = self._feeds[stream.name]
        return self._files(feed, whole_files(self._folder, feed, names))

    def missing_files(self, stream: Stream, *, seen: Sequence[SeenFile]) -> dict[str, list[int]]:
        """Sequence scope -> numbers that never came and that nobody accepted as lost; see :func:`missing_sequences`."""
        return missing_sequences(self._folder, self._feeds[stream.name], seen=seen)

    def acknowledge(self, stream: Stream, files: Sequence[FileOutcome]) -> None:  # noqa: ARG002
        """Write `ack/<name>.ack.json` for each file."""
        for file in files:
            write_acknowledgement(self._folder, file)

    def check_access(self) -> tuple[AccessCheck, ...]:
        """Whether the folder can be read, acknowledgements written, and what waits per feed."""
        is_there = self._folder.is_dir()
        checks = [AccessCheck("folder", is_there, str(self._folder) if is_there else f"{self._folder} is not there")]
        for feed in self._feeds.values():
            files = sorted(self._folder.glob(f"{feed.prefix}_*.{feed.extension}")) if is_there else []
            told = f"{len(files)} files, the last {files[-1].name}" if files else "no file yet"
            checks.append(
                AccessCheck(f"feed {feed.feed}", True if files else None, f"{feed.prefix}_*.{feed.extension}: {told}")
            )
        return tuple(checks)

    def replay(self, stream: Stream, rows: Sequence[RawRow], *, now: datetime) -> Batch:  # noqa: ARG002
        """Map rows of quarantine with the present declaration.

        Where rows are summed into a header, the header needs all of them: their file is read again, and given are the groups
        that the rows belong to. Raises PermanentError when that file is gone.
        """
        feed = self._feeds[stream.name]
        places = [(row, *_place(row.position)) for row in rows]
        needs_file = any(isinstance(s, Sum) for m in feed.entities.values() for s in m.columns.values())
        if needs_file:
            pieces = [self._whole_file(feed, name) for name in dict.fromkeys(name for _, name, _ in places)]
        else:
            pieces = [self._read_row(feed, row, name, line) for row, name, line in places]
        piece = merge_pieces(pieces)
        asked = {f"{name}:{line}" for _, name, line in places}
        mapped = self._mapper(feed).map(
            piece.rows or self._mapper(feed).no_rows(), only_places=asked if needs_file else None
        )
        rejects = [r for r in (*piece.rejects, *mapped.rejects) if r.position.partition("#")[0] in asked]
        return Batch(
            received_qty=len(asked),
            frames=mapped.frames,
            rejects=rejects,
            personal=mapped.personal,
            raw_at=_raw_at(piece.rows),
        )

    # -- one reading ---------------------------------------------------------------------------------------------------

    def _newest(self, feed: Feed, found: PickUp, seen: Sequence[SeenFile]) -> Iterator[Batch]:
        """The newest good snapshot; the others are superseded by it, or by one that was read before."""
        if found.ends:
            yield Batch(received_qty=0, ends=found.ends)
        last_read = max((file.sequence or 0 for file in seen if file.outcome == "accepted"), default=0)
        accepted = False
        for candidate in reversed(found.candidates):
            if accepted or candidate.sequence < last_read:
                reason = "a later snapshot replaces it; not read"
                yield Batch(received_qty=0, ends=[candidate.end("superseded", reason=reason)])
                continue
            for batch in self._files(feed, [candidate]):
                accepted = accepted or any(end.outcome == "accepted" for end in batch.ends)
                yield batch

    def _each(self, feed: Feed, found: PickUp) -> Iterator[Batch]:
        if found.ends:
            yield Batch(received_qty=0, ends=found.ends)
        yield from self._files(feed, found.candidates)

    def _files(self, feed: Feed, candidates: Sequence[Candidate]) -> Iterator[Batch]:
        group: list[tuple[Candidate, Piece | ContractBroken]] = []
        size = 0
        for candidate in candidates:
            if candidate.problem:
                yield Batch(received_qty=0, ends=[candidate.end("refused", reason=candidate.problem)])
            elif candidate.size_bytes > SMALL_BYTES:
                if group:
                    yield self._small_files(feed, group)
                    group, size = [], 0
                yield from self._large_file(feed, candidate)
            else:
                group.append((candidate, self._read_whole(feed, candidate)))
                size += candidate.size_bytes
                if size >= BATCH_BYTES or len(group) >= BATCH_FILES:
                    yield self._small_files(feed, group)
                    group, size = [], 0
        if group:
            yield self._small_files(feed, group)

    def _read_whole(self, feed: Feed, candidate: Candidate) -> Piece | ContractBroken:
        try:
            pieces = list(self._pieces(feed, candidate))
        except ContractBroken as error:
            return error
        if len(pieces) == 1:
            return pieces[0]
        merged = merge_pieces(pieces)
        merged.announced = pieces[-1].announced
        return merged

    def _small_files(self, feed: Feed, group: Sequence[tuple[Candidate, Piece | ContractBroken]]) -> Batch:
        """Several files read whole, mapped at once; those whose counts do not hold are refused and taken out."""
        raw: list[tuple[str, bytes]] = []
        ends = []
        read: list[tuple[Candidate, Piece]] = []
        for candidate, piece in group:
            if isinstance(piece, ContractBroken):
                raw.append((candidate.identity.name, candidate.path.read_bytes()))
                ends.append(candidate.end("refused", reason=str(piece), line=piece.where.line))
            else:
                raw.append((candidate.identity.name, piece.raw))
                read.append((candidate, piece))
        mapper = self._mapper(feed)
        mapped = mapper.map(_merged(mapper, [piece for _, piece in read]))
        kept: list[Piece] = []
        for candidate, piece in read:
            tally = mapped.tallies.get(candidate.identity.name, Tally(0, 0))
            problem, note = _verify(feed, candidate, piece.announced, piece.received_qty, tally, len(piece.rejects))
            announced = candidate.marker.rows_qty if piece.announced.rows_qty is None else piece.announced.rows_qty
            ends.append(
                candidate.end(
                    "refused" if problem else "accepted",
                    announced_qty=announced,
                    received_qty=piece.received_qty,
                    reason=problem or note,
                )
            )
            if not problem:
                kept.append(piece)
        rows = _merged(mapper, kept)
        if len(kept) < len(read):
            mapped = mapper.map(rows)
        return Batch(
            received_qty=sum(piece.received_qty for piece in kept),
            raw=raw,
            frames=mapped.frames,
            rejects=[*(reject for piece in kept for reject in piece.rejects), *mapped.rejects],
            personal=mapped.personal,
            ends=ends,
            raw_at=_raw_at(rows),
        )

    def _large_file(self, feed: Feed, candidate: Candidate) -> Iterator[Batch]:
        """One file piece by piece; its last batch tells whether it stands."""
        mapper = self._mapper(feed)
        memory: SeenKeys | None = None
        name = candidate.identity.name
        received = unread = control_sum = unreadable = 0
        announced = Announced()
        try:
            for piece in self._pieces(feed, candidate, mapper):
                rows = piece.rows or mapper.no_rows()
                if memory is None:
                    # The rest of the file is like its first piece.
                    memory = SeenKeys(candidate.size_bytes * piece.received_qty // max(1, len(piece.raw)))
                mapped = mapper.map(rows, memory=memory)
                tally = mapped.tallies.get(name, Tally(0, 0))
                received += piece.received_qty
                unread += len(piece.rejects)
                control_sum += tally.control_sum
                unreadable += tally.unreadable_qty
                announced = piece.announced
                yield Batch(
                    received_qty=piece.received_qty,
                    raw=[(name, piece.raw)],
                    frames=mapped.frames,
                    rejects=[*piece.rejects, *mapped.rejects],
                    personal=mapped.personal,
                    part=name,
                    raw_at=_raw_at(rows),
                )
        except ContractBroken as error:
            refused = candidate.end("refused", received_qty=received, reason=str(error), line=error.where.line)
            yield Batch(received_qty=0, part=name, ends=[refused])
            return
        problem, note = _verify(feed, candidate, announced, received, Tally(control_sum, unreadable), unread)
        end = candidate.end(
            "refused" if problem else "accepted",
            announced_qty=announced.rows_qty,
            received_qty=received,
            reason=problem or note,
        )
        yield Batch(received_qty=0, part=name, ends=[end])

    # -- readers -------------------------------------------------------------------------------------------------------

    def _mapper(self, feed: Feed) -> Mapper:
        if feed.feed not in self._mappers:
            self._mappers[feed.feed] = Mapper(feed, time_zone=self._time_zone, tokeniser=self._tokeniser)
        return self._mappers[feed.feed]

    def _pieces(self, feed: Feed, candidate: Candidate, mapper: Mapper | None = None) -> Iterator[Piece]:
        """``mapper``: types what its reader can type by itself; such pieces cannot be merged."""
        with candidate.path.open("rb") as file:
            match feed.format:
                case CsvFormat():
                    convert = None if mapper is None else mapper.converted
                    yield from read_csv(file, feed, candidate.identity, convert=convert)
                case JsonlFormat():
                    yield from read_jsonl(file, feed, candidate.identity)
                case JsonFormat():
                    yield from read_json(file, feed, candidate.identity)
                case _:
                    yield from read_xml(file, feed, candidate.identity, xsd=self._feeds_dir / feed.format.xsd)

    def _read_row(self, feed: Feed, row: RawRow, name: str, line: int) -> Piece:
        found = identify(name, feed)
        if found is None:
            raise PermanentError(
                f"{name} is no file of {feed.feed}", where=Where(system_code=self.system_code, file=name)
            )
        identity = found[0]
        match feed.format:
            case CsvFormat():
                return read_csv_row(row, feed, identity, line)
            case JsonlFormat() | JsonFormat():
                return read_json_row(row, feed, identity, line)
            case _:
                return read_xml_row(row, feed, identity, line, xsd=self._feeds_dir / feed.format.xsd)

    def _whole_file(self, feed: Feed, name: str) -> Piece:
        found, path = identify(name, feed), self._folder / name
        where = Where(system_code=self.system_code, stream=feed.feed, file=name)
        if found is None or not path.is_file():
            raise PermanentError(
                "its rows are summed into headers, so a replay needs the file, and it is not in its folder any more",
                where=where,
                action="put it back and replay again",
            )
        identity, scope, sequence = found
        candidate = Candidate(path, identity, scope, sequence, path.stat().st_size, "", Marker())
        return merge_pieces(list(self._pieces(feed, candidate)))


def _merged(mapper: Mapper, pieces: Sequence[Piece]) -> TextRows:
    rows = [piece.rows for piece in pieces if piece.rows is not None]
    return merge_rows(rows) if rows else mapper.no_rows()


def _verify(
    feed: Feed, candidate: Candidate, announced: Announced, received: int, tally: Tally, unread: int
) -> tuple[str, str]:
    """(problem, note): what the marker and the file itself announce, against what was found in it."""
    for who, rows_qty in (("marker", candidate.marker.rows_qty), ("file", announced.rows_qty)):
        if rows_qty is not None and rows_qty != received:
            return f"control count: the {who} announces {rows_qty} rows, the file holds {received}", ""
    if feed.control is None:
        return "", ""
    is_amount = isinstance(feed.columns[feed.control], AmountColumn)
    total = Decimal(tally.control_sum) / (100 if is_amount else 1)
    unreadable = tally.unreadable_qty + unread
    for who, expected in (("marker", candidate.marker.totals.get(feed.control)), ("file", announced.control_total)):
        if expected is None or expected == total:
            continue
        if not unreadable:
            return f"control total of {feed.control}: the {who} announces {expected}, the rows add up to {total}", ""
        # What an unreadable cell holds cannot be known, so the total proves nothing; the count of rows did hold.
        note = f"control total of {feed.control} cannot be checked: {unreadable} rows have no readable value"
        return "", note
    return "", ""


def _raw_at(rows: TextRows | None) -> Callable[[str], tuple[str, str]]:
    """Raw text of the row at a position; what finds it is made when the first row is asked for."""
    finders: list[Callable[[str, int], int | None]] = []

    def raw_at(position: str) -> tuple[str, str]:
        if rows is None or rows.root.is_empty():
            return "", ""
        if not finders:
            finders.append(_row_finder(rows.root))
        row = finders[0](*_place(position))
        return ("", "") if row is None else rows.raw_of(row)

    return raw_at


def _row_finder(root: pl.DataFrame) -> Callable[[str, int], int | None]:
    """Finds the index in ``root`` of the (last) row at a file and line."""
    lines = root[LINE]
    if root[FILE][0] == root[FILE][-1] and lines.is_sorted():
        # A piece of a large file: to search its lines costs nothing, to index a few hundred thousand of them does.
        file, values = root[FILE][0], lines.to_numpy()

        def search(name: str, line: int) -> int | None:
            row = int(np.searchsorted(values, line, side="right")) - 1
            return row if name == file and row >= 0 and values[row] == line else None

        return search
    index = {place: row for row, place in enumerate(root.select(FILE, LINE).iter_rows())}
    return lambda name, line: index.get((name, line))


def _place(position: str) -> tuple[str, int]:
    name, _, rest = position.partition(":")
    line = rest.partition("#")[0]
    if not line.isdigit():
        raise PermanentError(f"{position!r} is not a place in a file")
    return name, int(line)
