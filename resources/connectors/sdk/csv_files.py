"""Reads CSV files in pieces of bounded size, as rows of text with exact line numbers. What columns mean is `mapping`'s.

Lines that are not of the declared encoding, of another width, badly quoted or cut short are refused one by one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import BinaryIO

import polars as pl

from resources.connectors.sdk.csv_records import (
    Records,
    cut_at_record,
    find_records,
    has_spaces_at_the_edge,
    has_utf8_sequences,
)
from resources.connectors.sdk.feed import CsvFormat, Feed
from resources.connectors.sdk.mapping import TextRows, shown
from resources.connectors.sdk.stream import RawRow, Reject
from resources.connectors.sdk.text_rows import Announced, FileIdentity, Piece, with_place
from resources.errors import ContractBroken, Where

PIECE_BYTES = 8 << 20
"""A piece takes some ten times its size while it is made canonical: at 16 MB a reading took 180 MB more, and no less time."""
_UTF8_IN_LATIN1 = re.compile(rb"[\xc2-\xf4][\x80-\xbf]")
_BOM = b"\xef\xbb\xbf"


def read_csv(file: BinaryIO, feed: Feed, identity: FileIdentity, *, piece_bytes: int = PIECE_BYTES) -> Iterator[Piece]:
    """Pieces of one CSV file.

    Raises ContractBroken when a declared column or the trailer is missing: then no row of the file can be trusted.
    """
    reader = _CsvReader(feed, identity)
    buffer = file.read(piece_bytes)
    header = buffer[: buffer.find(b"\n") + 1] or buffer
    reader.take_header(header)
    line, buffer, pending = 2, buffer[len(header) :], header
    while True:
        more = file.read(piece_bytes)
        cut = cut_at_record(buffer, reader.delimiter, reader.quote) if more else len(buffer)
        if cut or not more:
            piece, lines = reader.piece(buffer[:cut], line, is_last=not more)
            piece.raw = pending + piece.raw
            pending = b""
            line += lines
            yield piece
        if not more:
            return
        buffer = buffer[cut:] + more


def read_csv_row(row: RawRow, feed: Feed, identity: FileIdentity, line: int) -> Piece:
    """A row of quarantine read again; its context is the header of its file."""
    reader = _CsvReader(feed, identity)
    reader.take_header(reader.encoded(row.context))
    return reader.piece(reader.encoded(row.raw) + b"\n", line, is_last=False)[0]


class _CsvReader:
    def __init__(self, feed: Feed, identity: FileIdentity) -> None:
        if not isinstance(feed.format, CsvFormat):
            raise TypeError(f"feed {feed.feed} is not CSV")
        self._feed = feed
        self._dialect = feed.format
        self._identity = identity
        self.delimiter = ord(self._dialect.delimiter)
        self.quote = ord(self._dialect.quote) if self._dialect.quote else None
        self._header = ""
        self._columns: list[str] = []

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

    def _shown(self, text: str) -> str:
        """A line as a message shows it; of a feed with personal values none is: a data row may stand in its place."""
        return "left out, since rows of this feed hold personal values" if self._feed.has_personal_data else shown(text)

    def piece(self, raw: bytes, first_line: int, *, is_last: bool) -> tuple[Piece, int]:
        """One piece and how many lines it holds."""
        data = raw.replace(b"\r\n", b"\n") if b"\r" in raw else raw
        lines = data.count(b"\n")
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
        frame = self._frame(good)
        if self._dialect.encoding == "latin-1" and not data.isascii():
            frame, good, latin_rejects = self._without_utf8_in_latin1(frame, good)
            rejects += latin_rejects

        def raw_of(row: int) -> tuple[str, str]:
            return good.data(row).decode(self._dialect.encoding), self._header

        rows = TextRows(
            root=with_place(frame, pl.Series(good.lines), self._identity),
            children={},
            raw_of=raw_of,
            column_numbers={name: number for number, name in enumerate(self._columns, 1)},
        )
        return Piece(raw, records.size, rows, rejects, announced), lines + is_cut

    def _frame(self, records: Records) -> pl.DataFrame:
        """Cells of well-formed records as trimmed text; empty ones are null."""
        if not records.size:
            return pl.DataFrame(schema=dict.fromkeys(self._feed.columns, pl.String))
        text = records.text()
        if self._dialect.encoding == "latin-1" and not text.isascii():
            text = text.decode("latin-1").encode()
        # Twice as fast as read_csv, which does not stream.
        frame = (
            pl.scan_csv(
                text,
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
        if records.has_quotes or has_spaces_at_the_edge(text, self.delimiter):
            frame = frame.with_columns(pl.all().str.strip_chars().replace("", None))
        return frame

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

    def _without_utf8_in_latin1(
        self, frame: pl.DataFrame, records: Records
    ) -> tuple[pl.DataFrame, Records, list[Reject]]:
        """Refuse lines that hold UTF-8 sequences: every byte is some letter in latin-1, but `Ã©` is an é elsewhere."""
        if not has_utf8_sequences(records.piece):
            return frame, records, []
        suspicious = frame.select(
            pl.any_horizontal(pl.all().str.contains("[\u00c2-\u00f4][\u0080-\u00bf]").fill_null(False))
        ).to_series()
        numbers = suspicious.arg_true().to_list()
        rejects = []
        for number in numbers:
            raw = records.data(number)
            at = next((match.start() for match in _UTF8_IN_LATIN1.finditer(raw)), 0)
            reason = f"bytes at {at + 1} of the line are UTF-8 in a latin-1 file"
            column = raw.count(self.delimiter, 0, at) + 1
            rejects.append(self._reject(int(records.lines[number]), raw, "wrong_encoding", reason, column))
        return frame.filter(~suspicious) if numbers else frame, records.without(numbers), rejects
