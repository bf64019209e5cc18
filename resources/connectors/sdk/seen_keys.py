"""Which keys of a large file came in an earlier piece of it, in little memory and time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

_ROW_BYTES = 24
"""A row is rarely shorter; the filter is sized for it."""
_BITS_PER_ROW = 16


class SeenKeys:
    """A bit per key hash tells most new keys apart at once; the few that meet a set bit are looked up among all hashes.

    Two keys with the same 64-bit hash would be taken for one: at 10 million keys the odds of a single such pair are 3 in a million.
    """

    def __init__(self, size_bytes: int) -> None:
        bits = max(1 << 16, size_bytes // _ROW_BYTES * _BITS_PER_ROW)
        self._shift = np.uint64(64 - int(bits).bit_length())
        self._bits = np.zeros(1 << (int(bits).bit_length() - 3), np.uint8)
        self._earlier: list[pl.Series] = []

    def seen_before(self, hashes: pl.Series) -> pl.Series:
        """Which of these hashes came in an earlier call; they are remembered from now on."""
        values = hashes.to_numpy()
        byte, bit = self._place(values)
        is_set = (self._bits[byte] & bit) != 0
        seen = np.zeros(values.size, bool)
        if self._earlier and is_set.any():
            suspects = pl.Series(values[is_set])
            found = [earlier.filter(earlier.is_in(suspects.implode())) for earlier in self._earlier]
            seen[is_set] = suspects.is_in(pl.concat(found).implode()).to_numpy()
        np.bitwise_or.at(self._bits, byte, bit)
        self._earlier.append(hashes)
        return pl.Series(seen)

    def _place(self, values: npt.NDArray[np.uint64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
        # The high bits: the low ones were used to tell keys of one piece apart.
        place = (values >> self._shift).astype(np.int64)
        return place >> 3, np.left_shift(np.uint8(1), (place & 7).astype(np.uint8))
