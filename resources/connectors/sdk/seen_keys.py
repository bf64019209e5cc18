"""Which keys of a large file came in an earlier piece of it, in little memory and time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from resources.contracts.key_order import is_ascending

Hashes = npt.NDArray[np.uint64]
_LEAST_SLOTS = 1 << 12
_FULL_SHARE = 0.75
"""Above this share of taken slots the table doubles: walking to a free one would cost more than that."""
_AT_ONCE = 1 << 14
"""Keys put at once: what is worked out for them stays in the processor's cache."""


def repeats(keys: pl.DataFrame) -> pl.Series | None:
    """Which rows have a key that an earlier row has; None when none has."""
    if any(is_ascending(keys[name]) for name in keys.columns):
        return None
    hashes = _hashes(keys)
    return None if hashes.n_unique() == hashes.len() else ~hashes.is_first_distinct()


def _hashes(keys: pl.DataFrame) -> pl.Series:
    return keys.hash_rows(seed=11)


class SeenKeys:
    """A hash table of 64-bit key hashes with open addressing, whose steps are made for many keys at once.

    Two keys with the same hash would be taken for one: with 10 million keys the odds of one such pair are 3 in a million.
    ``expected_qty``: how many keys will probably come; with more of them the table grows.
    """

    def __init__(self, expected_qty: int) -> None:
        self._expected_qty = expected_qty
        self._table: Hashes = np.zeros(0, np.uint64)
        self._taken_qty = 0
        self._aside: list[pl.Series] = []
        self._last: dict[str, Any] | None = None

    def repeats(self, keys: pl.DataFrame) -> pl.Series | None:
        """Which rows have a key that came before, here or in an earlier call; None when none has. All are remembered."""
        hashes = _hashes(keys)
        if self._goes_on_ascending(keys):
            # What comes in the order of one of its columns was not there before: the table waits until that ends.
            self._aside.append(hashes)
            return None
        for earlier in self._aside:
            self.seen_before(earlier)
        self._aside = []
        later = self.seen_before(hashes)
        if hashes.n_unique() != hashes.len():
            later = later | ~hashes.is_first_distinct()
        return later

    def seen_before(self, hashes: pl.Series) -> pl.Series:
        """Which of these hashes came in an earlier call; they are remembered from now on."""
        values = hashes.to_numpy()
        if self._taken_qty + values.size > self._table.size * _FULL_SHARE:
            kept = self._table[self._table != 0]
            self._make_table(max(self._table.size, self._expected_qty, kept.size + values.size))
            self._put_all(kept)
        return pl.Series(self._put_all(values))

    def _goes_on_ascending(self, keys: pl.DataFrame) -> bool:
        """Whether one column ascends through these rows as it did through all before them."""
        last = dict.fromkeys(keys.columns) if self._last is None else self._last
        ascending = [
            name
            for name, value in last.items()
            if is_ascending(keys[name]) and (value is None or keys[name][0] > value)
        ]
        self._last = {name: keys[name][-1] for name in ascending}
        return bool(ascending)

    def _make_table(self, expected_qty: int) -> None:
        bits = max(_LEAST_SLOTS, int(expected_qty / _FULL_SHARE)).bit_length()
        self._table = np.zeros(1 << bits, np.uint64)
        self._shift, self._mask = np.uint64(64 - bits), np.uint64((1 << bits) - 1)
        self._taken_qty = 0

    def _put_all(self, values: Hashes) -> npt.NDArray[np.bool_]:
        seen = np.zeros(values.size, np.bool_)
        for start in range(0, values.size, _AT_ONCE):
            self._put(values[start : start + _AT_ONCE], seen[start : start + _AT_ONCE])
        return seen

    def _put(self, values: Hashes, seen: npt.NDArray[np.bool_]) -> None:
        # Zero marks a free slot.
        wanted = np.where(values == 0, np.uint64(1), values)
        slots = wanted >> self._shift
        waiting = np.arange(wanted.size)
        while waiting.size:
            there = self._table[slots]
            is_free = there == 0
            seen[waiting[there == wanted]] = True
            self._table[slots[is_free]] = wanted[is_free]
            # Of several keys that took one free slot the last has it. The others go on to the next one, like those that met another.
            left = np.flatnonzero(self._table[slots] != wanted)
            self._taken_qty += waiting.size - left.size
            waiting, wanted, slots = waiting[left], wanted[left], (slots[left] + np.uint64(1)) & self._mask
