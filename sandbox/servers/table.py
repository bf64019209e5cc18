"""One collection of a shop: rows by id, drawn when they are asked for, encoded once.

Belongs here: storage and lookup, whatever the system. What the rows look like belongs to each system's `*_rows` module.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

Row = dict[str, Any]
Render = Callable[[int], Row]
CACHE_BYTES = 256 * 1024 * 1024
MAX_SELECTIONS = 32


class Table:
    """Rows of one collection, in the order of their ids.

    ``render`` draws the row of an id; it is called lazily and its JSON is kept, up to ``cache_bytes``. ``columns`` gives fields whose
    values are known without drawing rows, in the order of ``ids``: filters and sorts on them cost no rendering.
    Rows written later live beside and hide the drawn ones. Callers hold their server's lock.
    """

    def __init__(
        self,
        ids: Sequence[int],
        render: Render,
        *,
        columns: Mapping[str, Sequence[Any]] | None = None,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self._render = render
        self._known: Mapping[str, Sequence[Any]] = columns or {}
        self._drawn_ids = list(ids)
        self._drawn = set(self._drawn_ids)
        self._position = {row_id: position for position, row_id in enumerate(self._drawn_ids)}
        self._written: dict[int, Row] = {}
        self._deleted: set[int] = set()
        self._encoded: dict[int, bytes] = {}
        self._room = cache_bytes
        self._ids: list[int] | None = None
        self._columns: dict[str, list[Any]] = {}
        self._indexes: dict[str, dict[Any, list[int]]] = {}
        self._selections: dict[Hashable, list[int]] = {}
        self._last_id = max(self._drawn_ids, default=0)

    @classmethod
    def of_rows(cls, rows: Iterable[Row], *, key: str = "id") -> Table:
        """A table of rows at hand, ordered by id."""
        by_id = {int(row[key]): row for row in rows}
        return cls(sorted(by_id), by_id.__getitem__)

    def __len__(self) -> int:
        return len(self.ids())

    def __contains__(self, row_id: int) -> bool:
        return row_id in self._written or (row_id in self._drawn and row_id not in self._deleted)

    def ids(self) -> list[int]:
        """All ids, ascending."""
        if self._ids is None:
            if self._written or self._deleted:
                self._ids = sorted((self._drawn - self._deleted) | self._written.keys())
            else:
                self._ids = sorted(self._drawn_ids)
        return self._ids

    def row(self, row_id: int) -> Row:
        """The row of an id, not to be changed in place; KeyError when there is none."""
        written = self._written.get(row_id)
        if written is not None:
            return written
        if row_id not in self:
            raise KeyError(row_id)
        return self._render(row_id)

    def encoded(self, row_id: int) -> bytes:
        """The row as JSON."""
        kept = self._encoded.get(row_id)
        if kept is None:
            kept = msgspec.json.encode(self.row(row_id))
            if self._room >= len(kept):
                self._room -= len(kept)
                self._encoded[row_id] = kept
        return kept

    def has_column(self, name: str) -> bool:
        """Whether a field's values are known without drawing rows."""
        return name == "id" or name in self._known

    def value(self, row_id: int, name: str) -> Any:
        """One field of one row, null when the row has no such field."""
        if row_id not in self._written and name in self._known:
            return self._known[name][self._position[row_id]]
        return row_id if name == "id" else self.row(row_id).get(name)

    def column(self, name: str) -> list[Any]:
        """A field's values in the order of `ids`."""
        kept = self._columns.get(name)
        if kept is None:
            kept = list(self.ids()) if name == "id" else [self.value(row_id, name) for row_id in self.ids()]
            self._columns[name] = kept
        return kept

    def where(self, name: str, value: Any) -> list[int]:
        """Ids of the rows whose field equals a value, by an index kept between calls."""
        index = self._indexes.get(name)
        if index is None:
            index = {}
            for row_id, found in zip(self.ids(), self.column(name), strict=True):
                index.setdefault(_key(found), []).append(row_id)
            self._indexes[name] = index
        return list(index.get(value, ()))

    def selection(self, question: Hashable, select: Callable[[], list[int]]) -> list[int]:
        """Ids that a question selects, worked out once for all the pages asked of it; a write makes it be asked again."""
        kept = self._selections.get(question)
        if kept is None:
            kept = select()
            if len(self._selections) >= MAX_SELECTIONS:
                self._selections.pop(next(iter(self._selections)))
            self._selections[question] = kept
        return kept

    def put(self, row_id: int, row: Row) -> None:
        """Write a row, new or not."""
        self._unindex(row_id)
        self._written[row_id] = row
        self._deleted.discard(row_id)
        self._last_id = max(self._last_id, row_id)
        for name, index in self._indexes.items():
            bisect.insort(index.setdefault(_key(self.value(row_id, name)), []), row_id)
        self._forget(row_id)

    def delete(self, row_id: int) -> None:
        """Take a row away."""
        self._unindex(row_id)
        self._written.pop(row_id, None)
        if row_id in self._drawn:
            self._deleted.add(row_id)
        self._forget(row_id)

    def next_id(self) -> int:
        """The id the next new row gets: ids are never used twice."""
        self._last_id += 1
        return self._last_id

    def _unindex(self, row_id: int) -> None:
        """Take a row out of the indexes kept: a write must not cost a walk over all rows."""
        if row_id in self:
            for name, index in self._indexes.items():
                index[_key(self.value(row_id, name))].remove(row_id)

    def _forget(self, row_id: int) -> None:
        kept = self._encoded.pop(row_id, None)
        if kept is not None:
            self._room += len(kept)
        self._ids = None
        self._columns.clear()
        self._selections.clear()


def _key(value: Any) -> Any:
    """What a value is found by; lists and objects are found by null."""
    return None if isinstance(value, (list, dict)) else value
