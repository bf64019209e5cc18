"""Cells of JSON rows as text, by the names that a feed declares. Which lines are rows, and what is wrong with others, is `json_files`'s.

Lines whose cells are texts and whole numbers are decoded to columns at once; others to structs made from the declaration. What it
does not name is not even built.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any

import msgspec
import numpy as np
import polars as pl

from resources.connectors.sdk.feed import Feed
from resources.connectors.sdk.mapping import ITEM, PARENT

_NOTHING = type(None)
_COLUMNS_FROM_BYTES = 16 << 10
"""Decoding to columns costs some 0.3 ms before the first line."""
_SAMPLED_LINES, _LEAST_SAMPLED_LINES, _SAMPLED_EACH_BYTES = 30, 4, 8 << 10
_MANY_BYTES, _MANY_CELLS, _BLOCK, _BEYOND_ASCII = 64 << 10, 2_000, 1 << 17, 0x80
_NO_NUMBER = re.compile(rb"[:,\[]\s*-?(NaN|Inf)")


@dataclass(frozen=True)
class DecodedLines:
    """Lines that are all rows, as columns of text: declared columns, and the items of nested lists with their place."""

    size: int
    columns: pl.DataFrame
    items: Mapping[str, pl.DataFrame]


class JsonRows:
    """Decodes the rows of one feed, and makes frames of text of them."""

    def __init__(self, feed: Feed) -> None:
        self._names = tuple(feed.columns)
        self._children = {name: (child.path, tuple(child.columns)) for name, child in feed.children.items()}
        # Two nested lists may be read from one path.
        paths = {path: _struct(names) for path, names in self._children.values()}
        self._is_plain = len(paths) == len(self._children) and not paths.keys() & set(self._names)
        self._decoder = msgspec.json.Decoder(_struct(self._names, tuple(paths.items())))
        self._sampler = msgspec.json.Decoder(dict[str, Any])

    def decode_lines(self, raw: bytes) -> DecodedLines | None:
        """The rows of ended lines that are all well formed; None when one may not be: then each must be looked at."""
        # What is not declared is skipped unread, so that it is not known to be UTF-8 otherwise.
        if not self._is_plain or not _is_utf8(raw):
            return None
        # Numbers that JSON does not know: only the decoding to columns would take them, where they are not declared.
        is_odd = _may_hold_no_number(raw) and _NO_NUMBER.search(raw)
        return (None if is_odd else self._to_columns(raw)) or self._to_structs(raw)

    # -- to columns ----------------------------------------------------------------------------------------------------

    def _to_columns(self, raw: bytes) -> DecodedLines | None:
        """None when a cell is of another kind than the sampled ones, or a line is not well formed: nothing is ever taken for null."""
        kinds = self._sampled_kinds(raw) if len(raw) >= _COLUMNS_FROM_BYTES else None
        if kinds is None:
            return None
        import pyarrow as pa
        from pyarrow import json

        try:
            table = json.read_json(
                pa.BufferReader(raw),
                # One block: the readers' pieces are cut as blocks should be.
                read_options=json.ReadOptions(use_threads=False, block_size=len(raw) + 1),
                parse_options=json.ParseOptions(
                    explicit_schema=self._arrow_schema(kinds), unexpected_field_behavior="ignore"
                ),
            ).combine_chunks()
        except pa.ArrowInvalid:
            return None
        found = {name: table.column(name).combine_chunks() for name in (*self._names, *self._paths)}
        lists = {path: found[path] for path in self._paths}
        items = {path: cells.flatten() for path, cells in lists.items()}
        # A list or an item that is null is refused, and one that is not there is no mistake: here both look the same.
        if any(cells.null_count for cells in (*lists.values(), *items.values())):
            return None
        frames = {}
        for child, (path, names) in self._children.items():
            data = _of_cells({name: items[path].field(name) for name in names})
            frames[child] = _with_item_places(data, _sizes(lists[path]))
        return DecodedLines(table.num_rows, _of_cells({name: found[name] for name in self._names}), frames)

    @property
    def _paths(self) -> list[str]:
        return [path for path, _ in self._children.values()]

    def _sampled_kinds(self, raw: bytes) -> dict[tuple[str, str], type] | None:
        """(path of the list or nothing, column) -> str or int, as some of the lines have it; None when one has another kind."""
        kinds: dict[tuple[str, str], type] = {}
        sampled = max(_LEAST_SAMPLED_LINES, min(_SAMPLED_LINES, len(raw) // _SAMPLED_EACH_BYTES))
        step = max(1, len(raw) // sampled)
        starts = {0, *(raw.find(b"\n", at) + 1 for at in range(0, len(raw), step))} - {len(raw)}
        try:
            rows = [self._sampler.decode(raw[start : raw.find(b"\n", start)]) for start in starts]
        except msgspec.DecodeError:
            return None
        for row in rows:
            lists = [row.get(path, ()) for path in self._paths]
            if not all(isinstance(items, list | tuple) for items in lists):
                return None
            levels: Iterable[tuple[str, Sequence[str], Sequence[Any]]] = (
                ("", self._names, [row]),
                *((path, names, items) for (path, names), items in zip(self._children.values(), lists, strict=True)),
            )
            for path, names, objects in levels:
                for item in objects:
                    if not isinstance(item, dict):
                        return None
                    for name in names:
                        kind = type(item.get(name))
                        if kind is not _NOTHING and kinds.setdefault((path, name), kind) is not kind:
                            return None
        return kinds if set(kinds.values()) <= {str, int} else None

    def _arrow_schema(self, kinds: Mapping[tuple[str, str], type]) -> Any:
        import pyarrow as pa

        def fields(path: str, names: Sequence[str]) -> list[Any]:
            return [pa.field(name, pa.int64() if kinds.get((path, name)) is int else pa.string()) for name in names]

        lists = [pa.field(path, pa.list_(pa.struct(fields(path, names)))) for path, names in self._children.values()]
        return pa.schema([*fields("", self._names), *lists])

    # -- to structs ----------------------------------------------------------------------------------------------------

    def _to_structs(self, raw: bytes) -> DecodedLines | None:
        try:
            rows = self._decoder.decode_lines(raw)
        except msgspec.DecodeError:
            return None
        frames = {}
        for place, (child, (_, names)) in enumerate(self._children.items()):
            lists = [getattr(row, f"list{place}") for row in rows]
            data = _columns(list(chain.from_iterable(lists)), names)
            frames[child] = _with_item_places(data, np.fromiter(map(len, lists), np.int64, len(lists)))
        return DecodedLines(len(rows), _columns(rows, self._names), frames)


def text_of(value: Any) -> str | None:
    """A JSON value as text, exactly as it would be written; empty text is null."""
    if value is None:
        return None
    if isinstance(value, str):
        return value.strip() or None
    return msgspec.json.encode(value).decode()


def _is_utf8(raw: bytes) -> bool:
    if raw.isascii():
        return True
    if len(raw) < _MANY_BYTES:
        try:
            return bool(raw.decode())
        except UnicodeDecodeError:
            return False
    import pyarrow as pa

    places = pa.py_buffer(np.array([0, len(raw)], np.int64))
    try:
        # Ten times as fast as decoding, and nothing is copied.
        pa.LargeStringArray.from_buffers(1, places, pa.py_buffer(raw)).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _may_hold_no_number(raw: bytes) -> bool:
    """Whether `NaN` or `Inf` may stand in there: told by two of their bytes, which is quicker than to look for them."""
    if len(raw) < _MANY_BYTES:
        return b"NaN" in raw or b"Inf" in raw
    array = np.frombuffer(raw, np.uint8)
    for start in range(0, array.size, _BLOCK):
        first, second = array[start : start + _BLOCK], array[start + 1 : start + _BLOCK + 1]
        first = first[: second.size]
        is_one = ((first == ord("a")) & (second == ord("N"))) | ((first == ord("I")) & (second == ord("n")))
        if is_one.any():
            return True
    return False


def _sizes(lists: Any) -> Any:
    """How many items each list has. By way of polars: of its own arrays pyarrow makes numpy's only with all of pandas imported."""
    return np.diff(pl.Series(lists.offsets).to_numpy()).astype(np.int64)


def _with_item_places(data: pl.DataFrame, sizes: Any) -> pl.DataFrame:
    """Items with the index of their row and their number in it; ``sizes``: how many items each row has."""
    starts = np.cumsum(sizes) - sizes
    parents = pl.Series(PARENT, np.repeat(np.arange(sizes.size), sizes), dtype=pl.Int64)
    numbers = np.arange(1, int(sizes.sum()) + 1) - np.repeat(starts, sizes)
    return data.hstack([parents, pl.Series(ITEM, numbers, dtype=pl.Int64)])


@lru_cache(maxsize=256)
def _struct(names: tuple[str, ...], lists: tuple[tuple[str, type], ...] = ()) -> type[msgspec.Struct]:
    """Kept: a till leaves a small file an hour, and making the classes takes as long as reading one."""
    fields: list[Any] = [(f"cell{place}", Any, None) for place in range(len(names))]
    rename = {f"cell{place}": name for place, name in enumerate(names)}
    for place, (path, item) in enumerate(lists):
        fields.append((f"list{place}", list[item], msgspec.field(default_factory=list)))  # type: ignore[valid-type]
        rename[f"list{place}"] = path
    return msgspec.defstruct("Row", fields, rename=rename, gc=False)


def _columns(rows: Sequence[Any], names: Sequence[str]) -> pl.DataFrame:
    return _trimmed([_column(name, [getattr(row, f"cell{place}") for row in rows]) for place, name in enumerate(names)])


def _column(name: str, values: list[Any]) -> pl.Series:
    """A column of JSON values as text, not trimmed yet."""
    kinds = set(map(type, values)) - {_NOTHING}
    if kinds <= {str}:
        return pl.Series(name, values, dtype=pl.String)
    if kinds == {int}:
        try:
            return pl.Series(name, values, dtype=pl.Int64)
        except (OverflowError, TypeError):
            pass  # larger than 64 bits: below
    return pl.Series(name, [text_of(value) for value in values], dtype=pl.String)


def _of_cells(columns: Mapping[str, Any]) -> pl.DataFrame:
    """Arrow's columns of texts or whole numbers, as trimmed text."""
    texts = [_text(name, cells) for name, cells in columns.items()]
    return _trimmed(texts, [name for name, cells in columns.items() if _is_trim(cells)])


def _is_trim(cells: Any) -> bool:
    """Whether no text of a long column is empty, or starts or ends with a space or what may be one: two bytes of each tell."""
    import pyarrow as pa

    if len(cells) < _MANY_CELLS or not pa.types.is_string(cells.type):
        return False
    _, places, data = cells.buffers()
    if data is None:
        return bool(cells.null_count == len(cells))
    ends = np.frombuffer(places, np.int32)[cells.offset : cells.offset + len(cells) + 1]
    is_there = ends[1:] > ends[:-1]
    if len(cells) - np.count_nonzero(is_there) != cells.null_count:
        return False
    array = np.frombuffer(data, np.uint8)
    first, last = array[ends[:-1][is_there]], array[ends[1:][is_there] - 1]
    return not any(((edge <= ord(" ")) | (edge >= _BEYOND_ASCII)).any() for edge in (first, last))


def _text(name: str, cells: Any) -> pl.Series:
    """A column of texts or whole numbers, not trimmed yet."""
    found = pl.from_arrow(cells)
    if not isinstance(found, pl.Series):
        raise TypeError(f"{name}: not one column")
    return found.alias(name)


def _trimmed(columns: Sequence[pl.Series], trim: Collection[str] = ()) -> pl.DataFrame:
    """Columns as text, in one query for all: a file may have few rows, and a query costs as much as thousands of them.

    ``trim``: those that are trimmed already.
    """
    frame = pl.DataFrame(columns)
    return frame.select_seq(
        pl.col(name) if name in trim else _as_text(name, is_text=dtype == pl.String)
        for name, dtype in frame.schema.items()
    )


@lru_cache(maxsize=1024)
def _as_text(name: str, *, is_text: bool) -> pl.Expr:
    trimmed = pl.col(name).str.strip_chars()
    # What is empty is null.
    return pl.when(trimmed != "").then(trimmed).alias(name) if is_text else pl.col(name).cast(pl.String)
