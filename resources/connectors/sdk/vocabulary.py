"""The distinct cells of a column that repeats itself: each is decoded and converted once in a file. What they mean is not known here."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import polars as pl

from resources.connectors.sdk.cell_bytes import Cells, Flags, Places, Words

Codes = npt.NDArray[np.uint32]
MOST_VALUES = 1 << 15
_LEAST_SLOTS = 1 << 12
_SLOTS_PER_VALUE = 8
_LEARNT_AT_ONCE = 2_048
_SAMPLE_ROWS = 1_000
_ROWS_PER_VALUE = 4
"""A column where a value stands less often is not worth its table."""
_FACTORS = [
    np.uint64(0x9E3779B97F4A7C15),
    np.uint64(0xC2B2AE3D27D4EB4F),
    np.uint64(0x165667B19E3779F9),
    np.uint64(0xD6E8FEB86659FD93),
]


class Vocabulary:
    """Cells of so many words -> codes, and code -> text and value. ``convert``: texts -> values, null where a text does not fit.

    A hash table with open addressing, looked up for all rows at once; a cell is found only where all its words are equal.
    """

    def __init__(self, words_qty: int, encoding: str, convert: Callable[[pl.Series], pl.Series]) -> None:
        self._encoding = encoding
        self._convert = convert
        self._known = np.zeros((words_qty, 0), np.uint64)
        self._values: list[pl.Series] = []
        self._is_unfit = np.zeros(0, np.bool_)
        self._make_table(_LEAST_SLOTS)

    def codes(self, words: tuple[Words, ...]) -> Codes | None:
        """The code of each cell; unknown ones are learnt. None when they are too many to be worth it."""
        if self._known.shape[1] > MOST_VALUES:
            return None
        codes, unknown = self._look_up(words)
        while unknown.size:
            sample = unknown[:: max(1, unknown.size // _LEARNT_AT_ONCE)]
            self._learn(np.unique(np.stack([word[sample] for word in words]), axis=1))
            if self._known.shape[1] > MOST_VALUES:
                return None
            found, still = self._look_up(tuple(word[unknown] for word in words))
            codes[unknown] = found
            unknown = unknown[still]
        return codes

    def values(self, codes: Codes) -> pl.Series:
        """The value of each code; null where there is none or the text does not fit."""
        if len(self._values) > 1:
            self._values = [pl.concat(self._values, rechunk=True)]
        return self._values[0].gather(pl.Series(codes))

    def unfit(self, codes: Codes) -> Places:
        """Rows whose text does not fit."""
        if not self._is_unfit.any():
            return np.empty(0, np.int64)
        return np.flatnonzero(self._is_unfit[codes])

    def _learn(self, keys: npt.NDArray[np.uint64]) -> None:
        first = self._known.shape[1]
        self._known = np.concatenate([self._known, keys], axis=1)
        raw = np.ascontiguousarray(keys.T).tobytes()
        size = len(keys) * 8
        cells = [raw[at : at + size].rstrip(b"\0").decode(self._encoding) for at in range(0, len(raw), size)]
        trimmed = pl.Series(cells, dtype=pl.String).str.strip_chars()
        texts = trimmed.set(trimmed == "", None)
        values = self._convert(texts)
        self._values.append(values)
        is_unfit = (values.is_null() & texts.is_not_null()).to_numpy()
        self._is_unfit = np.concatenate([self._is_unfit, is_unfit])
        if self._known.shape[1] * _SLOTS_PER_VALUE > self._table.size:
            self._make_table(self._known.shape[1] * _SLOTS_PER_VALUE * 2)
            first = 0
        hashes = self._slots(tuple(self._known[:, first:]))
        for code, start in enumerate(hashes.tolist(), first):
            slot = start
            while self._table[slot] >= 0:
                slot = (slot + 1) & self._mask
            self._table[slot] = code

    def _make_table(self, size: int) -> None:
        bits = (size - 1).bit_length()
        self._table = np.full(1 << bits, -1, np.int64)
        self._shift, self._mask = np.uint64(64 - bits), (1 << bits) - 1

    def _slots(self, words: tuple[Words, ...]) -> Places:
        mixed = words[0] * _FACTORS[0]
        for word, factor in zip(words[1:], _FACTORS[1:], strict=False):
            mixed = mixed ^ (word * factor)
        # Multiplied once more: of words that differ in their last bytes only the top bits would be alike.
        return ((mixed ^ (mixed >> np.uint64(29))) * _FACTORS[0] >> self._shift).view(np.int64)

    def _look_up(self, words: tuple[Words, ...]) -> tuple[Codes, Places]:
        """(codes, rows of the cells that are not known)."""
        slots = self._slots(words)
        codes = self._table.take(slots)
        if not self._known.shape[1]:
            return np.zeros(codes.size, np.uint32), np.arange(codes.size)
        waiting = np.flatnonzero(~self._is_found(codes, words))
        unknown: list[Places] = []
        while waiting.size:
            is_free = codes[waiting] < 0
            unknown.append(waiting[is_free])
            waiting = waiting[~is_free]
            slots[waiting] = (slots[waiting] + 1) & self._mask
            codes[waiting] = self._table[slots[waiting]]
            waiting = waiting[~self._is_found(codes[waiting], tuple(word[waiting] for word in words))]
        rows = np.sort(np.concatenate(unknown)) if unknown else np.empty(0, np.int64)
        return codes.astype(np.uint32), rows

    def _is_found(self, codes: Places, words: tuple[Words, ...]) -> Flags:
        # A free slot says -1: compared with the first cell known, and not found by that.
        found = codes >= 0
        for known, word in zip(self._known, words, strict=True):
            found &= known.take(codes, mode="clip") == word
        return found


def repeats_itself(cells: Cells) -> bool:
    """Whether a column of cells that fit into words repeats itself, by a sample of it."""
    words = cells.of(slice(None, None, max(1, len(cells) // _SAMPLE_ROWS))).words()
    sample = list(zip(*(word.tolist() for word in words), strict=True))
    again = len(sample) - len(set(sample))
    # Of so many values a sample would show so many twice (the birthday paradox); a sample of them all shows it by itself.
    most = min(MOST_VALUES // 2, len(cells) // _ROWS_PER_VALUE)
    return again > len(sample) / 2 or again * 2 * most > len(sample) ** 2
