"""Cells of JSON rows as text, by the names that a feed declares. Which lines are rows, and what is wrong with others, is `json_files`'s.

Rows are decoded to structs made from the declaration: what it does not name is not even built.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import polars as pl

from resources.connectors.sdk.feed import Feed
from resources.connectors.sdk.mapping import CHILD_PLACE, ITEM, PARENT

_NOTHING = type(None)


class JsonRows:
    """Decodes the rows of one feed, and makes frames of text of them."""

    def __init__(self, feed: Feed) -> None:
        self._names = tuple(feed.columns)
        self._children = {
            name: (child.path, tuple(child.columns), _struct(tuple(child.columns)))
            for name, child in feed.children.items()
        }
        # Two nested lists may be read from one path.
        paths = {path: struct for path, _, struct in self._children.values()}
        self._is_plain = len(paths) == len(self._children) and not paths.keys() & set(self._names)
        self._decoder = msgspec.json.Decoder(_struct(self._names, paths))

    def decode_lines(self, raw: bytes) -> list[msgspec.Struct] | None:
        """The rows of lines that are all well formed; None when one may not be: then each must be looked at."""
        try:
            # What is not declared is skipped unread, so that it is not known to be UTF-8 otherwise.
            str(raw, "utf-8")
            return self._decoder.decode_lines(raw) if self._is_plain else None
        except (UnicodeDecodeError, msgspec.DecodeError):
            return None

    def columns(self, rows: Sequence[Any]) -> dict[str, pl.Series]:
        """Declared columns of the rows."""
        return _columns(rows, self._names)

    def items(self, rows: Sequence[Any]) -> dict[str, pl.DataFrame]:
        """Items of the rows' nested lists, with the index of their row and their number in it."""
        frames = {}
        for place, (child, (_, names, _)) in enumerate(self._children.items()):
            lists = [getattr(row, f"list{place}") for row in rows]
            sizes = np.fromiter(map(len, lists), np.int64, len(lists))
            starts = np.cumsum(sizes) - sizes
            data = _columns([item for items in lists for item in items], names)
            data[PARENT] = pl.Series(PARENT, np.repeat(np.arange(len(lists)), sizes), dtype=pl.Int64)
            numbers = np.arange(1, int(sizes.sum()) + 1) - np.repeat(starts, sizes)
            data[ITEM] = pl.Series(ITEM, numbers, dtype=pl.Int64)
            frames[child] = pl.DataFrame(data, schema={**dict.fromkeys(names, pl.String), **CHILD_PLACE})
        return frames


def text_of(value: Any) -> str | None:
    """A JSON value as text, exactly as it would be written; empty text is null."""
    if value is None:
        return None
    if isinstance(value, str):
        return value.strip() or None
    return msgspec.json.encode(value).decode()


def _struct(names: Sequence[str], lists: dict[str, type] | None = None) -> type[msgspec.Struct]:
    fields: list[Any] = [(f"cell{place}", Any, None) for place in range(len(names))]
    rename = {f"cell{place}": name for place, name in enumerate(names)}
    for place, (path, item) in enumerate((lists or {}).items()):
        fields.append((f"list{place}", list[item], msgspec.field(default_factory=list)))  # type: ignore[valid-type]
        rename[f"list{place}"] = path
    return msgspec.defstruct("Row", fields, rename=rename, gc=False)


def _columns(rows: Sequence[Any], names: Sequence[str]) -> dict[str, pl.Series]:
    return {name: _column(name, [getattr(row, f"cell{place}") for row in rows]) for place, name in enumerate(names)}


def _column(name: str, values: list[Any]) -> pl.Series:
    kinds = set(map(type, values)) - {_NOTHING}
    if kinds <= {str}:
        trimmed = pl.Series(name, values, dtype=pl.String).str.strip_chars()
        return trimmed.set(trimmed == "", None)
    if kinds == {int}:
        try:
            return pl.Series(name, values, dtype=pl.Int64).cast(pl.String)
        except (OverflowError, TypeError):
            pass  # larger than 64 bits: below
    return pl.Series(name, [text_of(value) for value in values], dtype=pl.String)
