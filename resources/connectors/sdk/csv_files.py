"""Reads CSV files in pieces of bounded size, as rows of text with exact line numbers. What columns mean is `mapping`'s.

Lines that are not of the declared encoding, of another width, badly quoted or cut short are refused one by one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from os import SEEK_END
from typing import BinaryIO

import numpy as np
import polars as pl

from resources.connectors.sdk.csv_cells import ColumnReader, Convert
from resources.connectors.sdk.csv_records import Records, count_lines, cut_at_record, find_records, utf8_sequences
from resources.connectors.sdk.feed import CsvFormat, Feed
from resources.connectors.sdk.mapping import TextRows, TypedColumn, shown
from resources.connectors.sdk.stream import RawRow, Reject
from resources.connectors.sdk.text_rows import Announced, FileIdentity, Piece, with_place
from resources.errors import ContractBroken, Where

PIECE_BYTES = 8 << 20
"""A piece takes some ten times its size while it is made canonical: at 16 MB a reading took 180 MB more, and no less time."""
_UTF8_IN_LATIN1 = re.compile(rb"[\xc2-\xf4][\x80-\xbf]")
_BOM = b"\xef\xbb\xbf"


def read_csv(
    file: BinaryIO,
    feed: Feed,
    identity: FileIdentity,
    *,
    convert: Convert | None = None,
    piece_bytes: int = PIECE_BYTES,
) -> Iterator[Piece]:
    """Pieces of one CSV file. ``convert``: the mapper's conversion; with it columns come typed where they can, else all as text.

    Raises ContractBroken when a declared column or the trailer is missing: then no row of the file can be trusted.
    """
    reader = _CsvReader(feed, identity, convert)
    header = file.readline()
    reader.take_header(header)
    size = file.seek(0, SEEK_END)
    at, wanted, line, pending = len(header), piece_bytes, 2, header
    while True:
        # To the end of a line, so that no byte is moved to the next piece but where quotes go over lines.
        file.seek(min(at + wanted, size))
        wanted = max(0, min(at + wanted, size) - at) + len(file.readline())
        file.seek(at)
        data = file.read(wanted)
        is_last = at + len(data) >= size or not data
        cut = len(data) if is_last else cut_at_record(data, reader.delimiter, reader.quote)
        if not cut and not is_last:
            wanted += piece_bytes
            continue
        data = data if cut == len(data) else data[:cut]
        piece, lines = reader.piece(data, line, is_last=is_last)
        piece.raw = pending + piece.raw if pending else piece.raw
        pending = b""
        at, line, wanted = at + cut, line + lines, piece_bytes
        yield piece
        if is_last:
            return


def read_csv_row(row: RawRow, feed: Feed, identity: FileIdentity, line: int) -> Piece:
    """A row of quarantine read again; its context is the header of its file."""
    reader = _CsvReader(feed, identity)
    reader.take_header(reader.encoded(row.context))
    return reader.piece(reader.encoded(row.raw) + b"\n", line, is_last=False)[0]


class _CsvReader:
    def __init__(self, feed: Feed, identity: FileIdentity, convert: Convert | None = None) -> None:
        if not isinstance(feed.format, CsvFormat):
            raise TypeError(f"feed {feed.feed} is not CSV")
        self._feed = feed
        self._dialect = feed.format
        self._identity = identity
        self.delimiter = ord(self._dialect.delimiter)
        self.quote = ord(self._dialect.quote) if self._dialect.quote else None
        self._header = ""
        self._columns: list[str] = []
        self._convert = convert
        self._column_reader: ColumnReader | None = None

    def encoded(self, text: str) -> bytes:
        """Text of quarantine as the bytes it was received as."""
        return text.encode(self._dialect.encoding, "surrogateescape")

    def take_header(self, data: bytes) -> None:
        """Check the header. Columns may come in any order; undeclared ones are left alone."""
        where = Where(file=self._identity.name, line=1)
        text = data.removeprefix(_BOM).decode(self._dialect.encoding, "replace").rstrip("\r\n")
        self._header = text
        self._columns = [
            name.strip().strip(self._dialect.quote or None) for name in text.split(self._dialect.delimiter)
        ]
        missing = [name for name in self._feed.columns if name not in self._columns]
        twice = sorted({name for name in self._feed.columns if self._columns.count(name) > 1})
        if missing:
            raise ContractBroken(
                f"missing column {', '.join(missing)}; the header is {self._shown(text)}",
                where=where,
                action="the whole file is refused and kept; ask for it again with every declared column",
            )
        if twice:
            raise ContractBroken(f"column {', '.join(twice)} is there twice", where=where)
        if self._convert is not None:
            numbers = {name: self._columns.index(name) for name in self._feed.columns}
            self._column_reader = ColumnReader(self._feed, self._dialect, numbers, len(self._columns), self._convert)

    def _shown(self, text: str) -> str:
        """A line as a message shows it; of a feed with personal values none is: a data row may stand in its place."""
        return "left out, since rows of this feed hold personal values" if self._feed.has_personal_data else shown(text)

    def piece(self, raw: bytes, first_line: int, *, is_last: bool) -> tuple[Piece, int]:
        """One piece and how many lines it holds."""
        data = raw.replace(b"\r\n", b"\n") if b"\r" in raw else raw
        lines = count_lines(data)
        announced = Announced()
        if is_last and self._dialect.trailer:
            data, announced = self._without_trailer(data, first_line + lines)
        is_cut = is_last and bool(data) and not data.endswith(b"\n")
        if is_cut:
            data += b"\n"
        rejects: list[Reject] = []
        if self._dialect.encoding == "utf-8":
            data, rejects = self._without_bad_utf8(data, first_line)
        refused_lines = {reject.line for reject in rejects}
        records, problems = find_records(
            data, first_line, delimiter=self.delimiter, quote=self.quote, width=len(self._columns)
        )
        if is_cut and records.size and self._dialect.ends_with_newline:
            problems[records.size - 1] = ("truncated_line", "the file ends within this line")
        for number, (rule, reason) in sorted(problems.items()):
            line = int(records.lines[number])
            if line not in refused_lines:
                rejects.append(self._reject(line, records.data(number), rule, reason))
        good = records.without(problems)
        frame, good, typed, refused = self._columns_of(good)
        rejects += refused

        def raw_of(row: int) -> tuple[str, str]:
            return good.data(row).decode(self._dialect.encoding), self._header

        rows = TextRows(
            root=with_place(frame, pl.Series(good.lines), self._identity),
            children={},
            raw_of=raw_of,
            column_numbers={name: number for number, name in enumerate(self._columns, 1)},
            typed=typed,
        )
        return Piece(raw, records.size, rows, rejects, announced), lines + is_cut

    def _columns_of(self, records: Records) -> tuple[pl.DataFrame, Records, Mapping[str, TypedColumn], list[Reject]]:
        """(columns of text, the records they are of, typed columns, refusals)."""
        if self._column_reader is None or records.has_quotes or not _is_plain(records.piece):
            frame, records, refused = self._frame(records)
            return frame, records, {}, refused
        records, refused = self._without_utf8_cells(records)
        if not records.size:
            return self._frame(records)[0], records, {}, refused
        texts, typed = self._column_reader.read(records)
        return pl.DataFrame(texts), records, typed, refused

    def _frame(self, records: Records) -> tuple[pl.DataFrame, Records, list[Reject]]:
        """Cells of well-formed records as trimmed text; empty ones are null. Lines with UTF-8 in a latin-1 file are refused."""
        if not records.size:
            return pl.DataFrame(schema=dict.fromkeys(self._feed.columns, pl.String)), records, []
        text = records.text()
        is_foreign = self._dialect.encoding == "latin-1" and not text.isascii()
        # Twice as fast as read_csv, which does not stream.
        frame = (
            pl.scan_csv(
                text.decode("latin-1").encode() if is_foreign else text,
                separator=self._dialect.delimiter,
                quote_char=self._dialect.quote if records.has_quotes else None,
                has_header=False,
                new_columns=[str(number) for number in range(len(self._columns))],
                infer_schema=False,
                glob=False,
            )
            .select(pl.col(str(self._columns.index(name))).alias(name) for name in self._feed.columns)
            .collect()
        )
        if frame.height != records.size:
            raise ContractBroken(
                f"{records.size} records were read as {frame.height}", where=Where(file=self._identity.name)
            )
        rejects: list[Reject] = []
        if is_foreign and utf8_sequences(text).size:
            is_mixed = pl.any_horizontal(pl.all().str.contains("[\u00c2-\u00f4][\u0080-\u00bf]").fill_null(False))
            mixed = frame.select(is_mixed).to_series()
            records, rejects = self._without_mixed(records, mixed.arg_true().to_list())
            frame = frame.filter(~mixed)
        return frame.with_columns(pl.all().str.strip_chars().replace("", None)), records, rejects

    def _reject(self, line: int, raw: bytes, rule: str, reason: str, column: int | None = None) -> Reject:
        return Reject(
            position=f"{self._identity.name}:{line}",
            raw=raw.decode(self._dialect.encoding, "surrogateescape"),
            rule=rule,
            reason=reason,
            entity=next(iter(self._feed.entities)),
            line=line,
            column=column,
            context=self._header,
        )

    def _without_trailer(self, data: bytes, last_line: int) -> tuple[bytes, Announced]:
        """The data before the trailer, and what the trailer announces. Raises ContractBroken when it is not there."""
        mark = (self._dialect.trailer or "").encode(self._dialect.encoding)
        end = len(data.rstrip(b"\n"))
        start = data.rfind(b"\n", 0, end) + 1
        last = data[start:end]
        where = Where(file=self._identity.name, line=last_line)
        if not last.startswith(mark):
            raise ContractBroken(
                f"the last line is not the trailer {mark.decode()}: the file was cut short",
                where=where,
                action="the whole file is refused and kept; ask for it again",
            )
        parts = last.decode(self._dialect.encoding).split(self._dialect.delimiter)
        try:
            rows_qty = int(parts[1])
            total = parts[2].strip() if len(parts) > 2 else ""
            control = Decimal(total.replace(self._feed.decimal, ".")) if total and self._feed.control else None
        except (IndexError, ValueError, InvalidOperation) as error:
            raise ContractBroken(
                f"the trailer is not readable: {self._shown(last.decode('latin-1'))}", where=where
            ) from error
        return data[:start], Announced(rows_qty, control)

    def _without_bad_utf8(self, data: bytes, first_line: int) -> tuple[bytes, list[Reject]]:
        """Lines that are not UTF-8 are refused, and left in their place without content so that line numbers hold."""
        rejects: list[Reject] = []
        at = len(data) if data.isascii() else 0
        while True:
            try:
                # From where the last bad line was: what is before is known to be good.
                str(memoryview(data)[at:], "utf-8")
                return data, rejects
            except UnicodeDecodeError as error:
                bad = at + error.start
                start = data.rfind(b"\n", 0, bad) + 1
                end = data.find(b"\n", bad)
                reason = f"byte {data[bad]:#04x} at {bad - start + 1} of the line is not UTF-8"
                column = data.count(self.delimiter, start, bad) + 1
                line = first_line + data.count(b"\n", 0, start)
                rejects.append(self._reject(line, data[start:end], "wrong_encoding", reason, column))
                # Delimiters alone instead of the line: of no width that passes, and refused here already.
                data = data[:start] + bytes([self.delimiter]) * len(self._columns) + data[end:]
                at = start

    def _without_utf8_cells(self, records: Records) -> tuple[Records, list[Reject]]:
        """Refuse records of which a declared cell holds UTF-8 in a latin-1 file."""
        if self._dialect.encoding != "latin-1" or records.piece.isascii():
            return records, []
        places = utf8_sequences(records.piece)
        if not places.size:
            return records, []
        rows, cells = records.cells_at(places, len(self._columns))
        declared = [self._columns.index(name) for name in self._feed.columns]
        return self._without_mixed(records, np.unique(rows[np.isin(cells, declared)]).tolist())

    def _without_mixed(self, records: Records, numbers: Sequence[int]) -> tuple[Records, list[Reject]]:
        """Refuse lines that hold UTF-8 sequences: every byte is some letter in latin-1, but `Ã©` is an é elsewhere."""
        rejects = []
        for number in numbers:
            raw = records.data(number)
            at = next((match.start() for match in _UTF8_IN_LATIN1.finditer(raw)), 0)
            reason = f"bytes at {at + 1} of the line are UTF-8 in a latin-1 file"
            column = raw.count(self.delimiter, 0, at) + 1
            rejects.append(self._reject(int(records.lines[number]), raw, "wrong_encoding", reason, column))
        return records.without(numbers), rejects


def _is_plain(data: bytes) -> bool:
    """Whether cells can be told by their bytes: NUL fills words up, and polars takes a carriage return its own way."""
    return b"\0" not in data and b"\r" not in data
