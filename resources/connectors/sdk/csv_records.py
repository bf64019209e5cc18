"""Where the records of a piece of CSV start and end, and which of them are not well formed. What is in them is not looked at.

A piece without quotes whose lines all have the right width is regular: the places of its records are worked out only when asked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Places = npt.NDArray[np.int64]
Problem = tuple[str, str]
"""(rule, reason)"""
MAX_RECORD_LINES = 100
"""A quoted field over more lines than this is a quote that nobody closed."""
NEWLINE = 10
_BLOCK = 1 << 17


@dataclass
class Records:
    """Records of a piece. ``starts``, ``ends``: bytes, the newline left out; ``lines``: line of the file each starts at."""

    piece: bytes
    first_line: int
    size: int
    has_quotes: bool = False
    places: tuple[Places, Places, Places] | None = None
    marks: tuple[Places, Places] | None = None
    """Of records without quotes: where every delimiter and newline is, and which of these ends each record."""

    @property
    def lines(self) -> Places:
        """Line of each record."""
        if self.places is None:
            return np.arange(self.first_line, self.first_line + self.size, dtype=np.int64)
        return self.places[2]

    def data(self, number: int) -> bytes:
        """Bytes of one record."""
        starts, ends, _ = self._placed()
        return self.piece[int(starts[number]) : int(ends[number])]

    def starts(self) -> Places:
        """The first byte of each record."""
        return self._placed()[0]

    def cell_ends(self, width: int) -> Places:
        """Where cells end: one row for each of the ``width`` cells that all records have; none has quotes."""
        marks, lasts = self._marked()
        return marks.take(lasts + np.arange(1 - width, 1)[:, None])

    def cells_at(self, places: Places, width: int) -> tuple[Places, Places]:
        """(records, numbers of the cell) that these bytes stand in; what stands in no record is left out."""
        marks, lasts = self._marked()
        found = np.searchsorted(marks, places)
        records = np.minimum(np.searchsorted(lasts, found), self.size - 1)
        cells = width - 1 - (lasts[records] - found)
        is_inside = (cells >= 0) & (cells < width)
        return records[is_inside], cells[is_inside]

    def text(self) -> bytes:
        """Bytes of all records, each ended by a newline."""
        if self.places is None:
            return self.piece
        starts, ends, _ = self.places
        if not self.size:
            return b""
        # Runs of records that follow each other are taken at once.
        breaks = np.flatnonzero(starts[1:] != ends[:-1] + 1)
        first, last = np.concatenate(([0], breaks + 1)), np.concatenate((breaks, [self.size - 1]))
        return b"".join(
            self.piece[start : end + 1] for start, end in zip(starts[first].tolist(), ends[last].tolist(), strict=True)
        )

    def without(self, numbers: Collection[int]) -> Records:
        """The other records."""
        if not numbers:
            return self
        keep = np.ones(self.size, bool)
        keep[list(numbers)] = False
        starts, ends, lines = self._placed()
        places = (starts[keep], ends[keep], lines[keep])
        marks = None
        if self.marks is not None:
            marks = (self.marks[0], self.marks[1][keep])
        return Records(self.piece, self.first_line, int(keep.sum()), self.has_quotes, places, marks)

    def _placed(self) -> tuple[Places, Places, Places]:
        if self.places is None:
            ends = _newlines(self.piece) if self.marks is None else self.marks[0].take(self.marks[1])
            self.places = (_starts(ends), ends, self.lines)
        return self.places

    def _marked(self) -> tuple[Places, Places]:
        if self.marks is None:
            raise ValueError("the places of cells are not known")
        return self.marks


def find_records(
    piece: bytes, first_line: int, *, delimiter: int, quote: int | None, width: int
) -> tuple[Records, dict[int, Problem]]:
    """Records of a piece that ends with a newline, and the problems of those that are not well formed. Blank lines are none."""
    array = np.frombuffer(piece, np.uint8)
    if quote is None or quote not in piece:
        return _unquoted(piece, array, first_line, delimiter, width)
    newlines = np.flatnonzero(array == NEWLINE)
    quotes = np.flatnonzero(array == quote)
    if not _are_legal(array, quotes, newlines, delimiter, quote):
        return _line_by_line(piece, first_line, delimiter, quote, width)
    separators = array == delimiter
    ends = newlines[np.searchsorted(quotes, newlines) % 2 == 0]
    inside = np.flatnonzero(separators)
    separators[inside[np.searchsorted(quotes, inside) % 2 == 1]] = False
    starts = _starts(ends)
    widths = _counts(separators, starts) + 1
    lines = first_line + np.searchsorted(newlines, starts)
    filled = ends > starts
    places = (starts[filled], ends[filled], lines[filled])
    widths = widths[filled]
    records = Records(piece, first_line, int(widths.size), True, places)
    return records, {int(n): _wrong_width(int(widths[n]), width) for n in np.flatnonzero(widths != width)}


def _unquoted(
    piece: bytes, array: npt.NDArray[np.uint8], first_line: int, delimiter: int, width: int
) -> tuple[Records, dict[int, Problem]]:
    """Each line is a record, and each delimiter parts two cells."""
    marks = _places(array, lambda block: (block == delimiter) | (block == NEWLINE))
    lasts = np.flatnonzero(array[marks] == NEWLINE)
    widths = np.diff(lasts, prepend=-1)
    if width > 1 and bool((widths == width).all()):
        return Records(piece, first_line, int(lasts.size), marks=(marks, lasts)), {}
    ends = marks[lasts]
    starts = _starts(ends)
    filled = ends > starts
    places = (starts[filled], ends[filled], first_line + np.flatnonzero(filled))
    widths, lasts = widths[filled], lasts[filled]
    records = Records(piece, first_line, int(widths.size), False, places, (marks, lasts))
    return records, {int(n): _wrong_width(int(widths[n]), width) for n in np.flatnonzero(widths != width)}


def count_lines(data: bytes) -> int:
    """How many newlines there are: three times as fast as bytes count them."""
    return int(np.count_nonzero(np.frombuffer(data, np.uint8) == NEWLINE))


def utf8_sequences(piece: bytes) -> Places:
    """Where a byte that starts a character in UTF-8 is followed by one that goes on with it."""
    array = np.frombuffer(piece, np.uint8)
    # Smaller bytes wrap around.
    starts = _places(array[:-1], lambda block: block - np.uint8(0xC2) <= 0xF4 - 0xC2)
    following = array[starts + 1]
    return starts[(following >= 0x80) & (following <= 0xBF)]


def cut_at_record(data: bytes, delimiter: int, quote: int | None) -> int:
    """Where the last record of ``data`` that is certainly whole ends; 0 when none is. More of the file follows."""
    if quote is None or quote not in data:
        return data.rfind(b"\n") + 1
    array = np.frombuffer(data, np.uint8)
    newlines = np.flatnonzero(array == NEWLINE)
    quotes = np.flatnonzero(array == quote)
    outside = newlines[np.searchsorted(quotes, newlines) % 2 == 0]
    end = int(outside[-1]) + 1 if outside.size else 0
    before = np.searchsorted(quotes, end)
    is_open_long = newlines.size - np.searchsorted(newlines, end) >= MAX_RECORD_LINES
    if not is_open_long and _are_legal(array[:end], quotes[:before], newlines, delimiter, quote):
        return end
    # With a stray quote about, parity tells nothing: records are walked through, as they will be when they are read.
    at = 0
    while (end := _one_record(data, at, delimiter, quote, is_all=False)[0]) >= 0:
        at = end + 1
    return at


def _places(array: npt.NDArray[np.uint8], is_one: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.bool_]]) -> Places:
    """Where bytes are of a kind. Looked for in blocks that stay in the processor's cache: twice as fast."""
    found = [np.flatnonzero(is_one(array[start : start + _BLOCK])) + start for start in range(0, array.size, _BLOCK)]
    return np.concatenate(found) if found else np.empty(0, np.int64)


def _newlines(piece: bytes) -> Places:
    return np.flatnonzero(np.frombuffer(piece, np.uint8) == NEWLINE)


def _starts(ends: Places) -> Places:
    return np.concatenate((np.zeros(min(1, ends.size), np.int64), ends[:-1] + 1))


def _counts(marks: npt.NDArray[np.bool_], starts: Places) -> Places:
    """How many marks there are from each start to the next one."""
    if not starts.size:
        return np.empty(0, np.int64)
    # In bytes it is five times as fast; their sum tells when one of them ran over.
    counts = np.add.reduceat(marks.view(np.uint8), starts, dtype=np.uint8).astype(np.int64)
    if int(counts.sum()) == np.count_nonzero(marks):
        return counts
    return np.add.reduceat(marks.view(np.uint8), starts, dtype=np.int64)


def _wrong_width(found: int, width: int) -> Problem:
    return "wrong_width", f"{found} columns instead of {width}"


def _are_legal(array: npt.NDArray[np.uint8], quotes: Places, newlines: Places, delimiter: int, quote: int) -> bool:
    """Whether each quote opens a field, closes one, or is half of a doubled one, and none stays open for long."""
    if quotes.size % 2:
        return False
    edges = (delimiter, NEWLINE, quote)
    opening, closing = quotes[::2], quotes[1::2]
    before = np.where(opening == 0, NEWLINE, array[np.maximum(opening - 1, 0)])
    after = array[np.minimum(closing + 1, array.size - 1)]
    spans = np.searchsorted(newlines, closing) - np.searchsorted(newlines, opening)
    return bool(
        np.isin(before, edges).all() and np.isin(after, edges).all() and spans.max(initial=0) < MAX_RECORD_LINES
    )


def _line_by_line(
    piece: bytes, first_line: int, delimiter: int, quote: int, width: int
) -> tuple[Records, dict[int, Problem]]:
    """The slow way, for a piece with a stray quote: the line that holds it is refused and reading goes on after it."""
    starts: list[int] = []
    ends: list[int] = []
    lines: list[int] = []
    problems: dict[int, Problem] = {}
    at, line = 0, first_line
    while at < len(piece):
        end, found, problem = _one_record(piece, at, delimiter, quote)
        if end > at:
            if problem:
                problems[len(starts)] = ("bad_quote", problem)
            elif found != width:
                problems[len(starts)] = _wrong_width(found, width)
            starts.append(at)
            ends.append(end)
            lines.append(line)
        line += piece.count(b"\n", at, end) + 1
        at = end + 1
    places = (np.array(starts, np.int64), np.array(ends, np.int64), np.array(lines, np.int64))
    return Records(piece, first_line, len(starts), True, places), problems


def _one_record(piece: bytes, start: int, delimiter: int, quote: int, *, is_all: bool = True) -> tuple[int, int, str]:
    """(end, width, problem) of the record at ``start``; with a problem it ends with its first line.

    ``is_all``: nothing follows the piece. Otherwise the end is -1 for a record that what follows may complete.
    """
    first_end = piece.find(b"\n", start)
    if first_end < 0:
        return -1, 0, ""
    at, width = start, 1
    while True:
        if piece[at] == quote:
            at = _after_quoted(piece, at, quote)
            if at == _UNKNOWN and not is_all:
                return -1, width, ""
            if at < 0:
                return first_end, width, "a quote is opened and never closed"
            if piece[at] not in (delimiter, NEWLINE):
                return first_end, width, "a quote is closed in the middle of a field"
        else:
            next_delimiter, next_line = piece.find(delimiter, at), piece.find(b"\n", at)
            if next_line < 0:
                return -1, width, ""
            stop = next_line if next_delimiter < 0 else min(next_delimiter, next_line)
            if piece.find(quote, at, stop) >= 0:
                return first_end, width, "a quote stands in the middle of a field"
            at = stop
        if piece[at] == NEWLINE:
            return at, width, ""
        width += 1
        at += 1
        if at == len(piece):
            return -1, width, ""


_TOO_LONG, _UNKNOWN = -1, -2


def _after_quoted(piece: bytes, start: int, quote: int) -> int:
    """The place after the quoted field that opens at ``start``, or why there is none."""
    close = start + 1
    while True:
        close = piece.find(quote, close)
        if piece.count(b"\n", start, close if close >= 0 else len(piece)) >= MAX_RECORD_LINES:
            return _TOO_LONG
        if close < 0 or close + 1 == len(piece):
            return _UNKNOWN
        if piece[close + 1] != quote:
            return close + 1
        close += 2
