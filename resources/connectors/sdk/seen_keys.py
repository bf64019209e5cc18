"""Which keys of a large file came in an earlier piece of it, in little memory and time."""

from __future__ import annotations

import numpy as np
import polars as pl

_BYTES_PER_SLOT = 4
_LEAST, _MOST = 16, 24
"""Bounds of the table, as powers of two: 64 KB to 16 MB, which the processor's cache holds."""


class SeenKeys:
    """A table with a mark per key hash tells most new keys at once; the few that meet a mark are looked up among all hashes.

    Two keys with the same 64-bit hash would be taken for one: with 10 million keys the odds of one such pair are 3 in a million.
    """

    def __init__(self, size_bytes: int) -> None:
        power = min(_MOST, max(_LEAST, (size_bytes // _BYTES_PER_SLOT).bit_length()))
        self._shift = np.uint64(64 - power)
        self._table = np.zeros(1 << power, np.bool_)
        self._earlier: list[pl.Series] = []

    def seen_before(self, hashes: pl.Series) -> pl.Series:
        """Which of these hashes came in an earlier call; they are remembered from now on."""
        values = hashes.to_numpy()
        slots = values >> self._shift
        is_marked = self._table[slots]
        seen = np.zeros(values.size, np.bool_)
        if self._earlier and is_marked.any():
            suspects = pl.Series(values[is_marked])
            found = [earlier.filter(earlier.is_in(suspects.implode())) for earlier in self._earlier]
            seen[is_marked] = suspects.is_in(pl.concat(found).implode()).to_numpy()
        self._table[slots] = True
        self._earlier.append(hashes)
        return pl.Series(seen)
