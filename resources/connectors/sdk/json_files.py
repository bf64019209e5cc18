"""Reads JSON Lines and JSON documents as rows of text, nested lists included. What columns mean is `mapping`'s."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from os import SEEK_END
from typing import Any, BinaryIO

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from resources.connectors.sdk.feed import Feed, JsonFormat
from resources.connectors.sdk.json_cells import DecodedLines, JsonRows, text_of
from resources.connectors.sdk.mapping import CHILD_PLACE, ITEM, PARENT, TextRows
from resources.connectors.sdk.stream import RawRow, Reject
from resources.connectors.sdk.text_rows import Announced, FileIdentity, Piece, placed, with_place
from resources.errors import ContractBroken, Where

PIECE_BYTES = 2 << 20
"""A piece takes some twenty times its size while it is made into frames."""
_NEWLINE, _RETURN = 10, 13


def read_jsonl(
    file: BinaryIO, feed: Feed, identity: FileIdentity, *, piece_bytes: int = PIECE_BYTES
) -> Iterator[Piece]:
    """Pieces of a file with one JSON object per line. A line that is none is refused; blank lines are no rows."""
    line, fast = 1, JsonRows(feed)
    size, at = file.seek(0, SEEK_END), 0
    while True:
        # To the end of a line, so that no byte is moved to the next piece.
        file.seek(min(at + piece_bytes, size))
        wanted = min(at + piece_bytes, size) - at + len(file.readline())
        file.seek(at)
        raw = file.read(wanted)
        at += len(raw)
        is_last = at >= size or not raw
        # Blank lines are no rows, and a last line that is not ended may have been cut short: such pieces are read line by line.
        rows = fast.decode_lines(raw) if raw.endswith(b"\n") else None
        if rows is not None and _is_row_per_line(raw, rows.size):
            yield _whole_piece(raw, rows, line, identity)
            line += rows.size
        elif raw or is_last:
            lines = raw.removesuffix(b"\n").split(b"\n")
            is_cut = is_last and bool(raw) and not raw.endswith(b"\n")
            texts = [(number, text) for number, text in enumerate(lines, line) if text.strip()]
            line += raw.count(b"\n")
            yield _piece(raw, texts, feed, identity, cut_line=texts[-1][0] if is_cut and texts else None)
        if is_last:
            return


def _is_row_per_line(raw: bytes, rows_qty: int) -> bool:
    """Whether each of so many lines is one row: two rows on a line and a row over two lines (or a line of spaces) give the same sums."""
    array = np.frombuffer(raw, np.uint8)
    breaks = np.flatnonzero(array == _NEWLINE)[:-1]
    before, after = array[breaks - 1], array[breaks + 1]
    # A carriage return is looked behind; of a line of nothing else it is the row before that is missed.
    before = np.where(before == _RETURN, array[breaks - 2], before)
    return rows_qty == breaks.size + 1 and bool(((before == ord("}")) & (after == ord("{"))).all())


def _whole_piece(raw: bytes, rows: DecodedLines, first_line: int, identity: FileIdentity) -> Piece:
    """A piece whose lines are all rows."""
    lines = pl.int_range(first_line, first_line + rows.size, dtype=pl.Int64, eager=True)
    root = with_place(rows.columns, lines, identity)

    @cache
    def ends() -> npt.NDArray[np.int64]:
        return np.flatnonzero(np.frombuffer(raw, np.uint8) == _NEWLINE)

    def raw_of(number: int) -> tuple[str, str]:
        start = int(ends()[number - 1]) + 1 if number else 0
        return raw[start : int(ends()[number])].decode(), ""

    return Piece(raw, rows.size, TextRows(root, rows.items, raw_of))


def read_json(file: BinaryIO, feed: Feed, identity: FileIdentity) -> Iterator[Piece]:
    """One JSON document with a list of rows, in one piece. A row's line is where it starts; its number when lines are shared.

    Raises ContractBroken when the document is not readable or has no such list: then none of its rows can be trusted.
    """
    if not isinstance(feed.format, JsonFormat):
        raise TypeError(f"feed {feed.feed} is not JSON")
    raw = file.read()
    where = Where(file=identity.name)
    action = "the whole file is refused and kept; ask for it again"
    try:
        document = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
        rows = msgspec.json.decode(document[feed.format.rows], type=list[msgspec.Raw])
        count = document.get(feed.format.count) if feed.format.count else None
        announced = Announced() if count is None else Announced(msgspec.json.decode(count, type=int))
    except KeyError as error:
        raise ContractBroken(f"the document has no {feed.format.rows}", where=where, action=action) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ContractBroken(f"not a readable JSON document: {error}", where=where, action=action) from error
    texts = [(line, bytes(row)) for line, row in zip(_lines(raw, rows), rows, strict=True)]
    piece = _piece(raw, texts, feed, identity, cut_line=None)
    piece.announced = announced
    yield piece


def read_json_row(row: RawRow, feed: Feed, identity: FileIdentity, line: int) -> Piece:
    """A row of quarantine read again."""
    raw = row.raw.encode("utf-8", "surrogateescape")
    return _piece(raw, [(line, raw)], feed, identity, cut_line=None)


def _lines(raw: bytes, rows: Sequence[msgspec.Raw]) -> list[int]:
    """The line each row starts at; their numbers when two rows share a line, so that a place names one row."""
    lines, at, line = [], 0, 1
    for row in rows:
        start = raw.index(bytes(row), at)
        line += raw.count(b"\n", at, start)
        lines.append(line)
        at = start + len(bytes(row))
        line += raw.count(b"\n", start, at)
    return lines if len(set(lines)) == len(lines) else list(range(1, len(rows) + 1))


def _piece(
    raw: bytes, texts: Sequence[tuple[int, bytes]], feed: Feed, identity: FileIdentity, *, cut_line: int | None
) -> Piece:
    decoder = msgspec.json.Decoder(dict[str, Any])
    rejects: list[Reject] = []
    rows: list[Mapping[str, Any]] = []
    kept: list[tuple[int, bytes]] = []
    for line, text in texts:
        problem = None
        try:
            row = decoder.decode(text)
            problem = _nesting_problem(row, feed)
        except (UnicodeDecodeError, msgspec.DecodeError) as error:
            problem = _decode_problem(text, error, is_cut=line == cut_line)
        if problem is None:
            rows.append(row)
            kept.append((line, text))
            continue
        rejects.append(
            Reject(
                position=f"{identity.name}:{line}",
                raw=text.decode("utf-8", "surrogateescape"),
                rule=problem[0],
                reason=problem[1],
                entity=next(iter(feed.entities)),
                line=line,
            )
        )
    columns = {name: [text_of(row.get(name)) for row in rows] for name in feed.columns}
    root = placed(columns, [line for line, _ in kept], identity)
    children = {name: _items(rows, child.path, tuple(child.columns)) for name, child in feed.children.items()}

    def raw_of(number: int) -> tuple[str, str]:
        return kept[number][1].decode(), ""

    return Piece(raw, len(texts), TextRows(root, children, raw_of), rejects)


def _decode_problem(text: bytes, error: Exception, *, is_cut: bool) -> tuple[str, str]:
    try:
        text.decode()
    except UnicodeDecodeError as undecodable:
        at = undecodable.start
        return "wrong_encoding", f"byte {text[at]:#04x} at {at + 1} of the line is not UTF-8"
    if is_cut:
        return "truncated_line", f"the file ends within this line: {error}"
    return "bad_json", str(error)


def _nesting_problem(row: Mapping[str, Any], feed: Feed) -> tuple[str, str] | None:
    for child in feed.children.values():
        items = row.get(child.path, ())
        if not isinstance(items, list | tuple) or not all(isinstance(item, dict) for item in items):
            return "bad_json", f"{child.path} is not a list of objects"
    return None


def _items(rows: Sequence[Mapping[str, Any]], path: str, names: Sequence[str]) -> pl.DataFrame:
    items = [
        (parent, number, item) for parent, row in enumerate(rows) for number, item in enumerate(row.get(path, ()), 1)
    ]
    data: dict[str, list[Any]] = {name: [text_of(item.get(name)) for _, _, item in items] for name in names}
    data[PARENT] = [parent for parent, _, _ in items]
    data[ITEM] = [number for _, number, _ in items]
    return pl.DataFrame(data, schema={**dict.fromkeys(names, pl.String), **CHILD_PLACE})
