"""Cells as places in a buffer of bytes, and what they hold, worked out for a whole column at once. What a column means is not known here.

Places count from the start of the padded buffer. Cells hold no NUL: what a cell does not fill of a word is zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

Places = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
"""Eight bytes of each cell, the first of them the lowest."""
Flags = npt.NDArray[np.bool_]

PAD = 32
"""Bytes before and after a piece, so that words may be read beyond the edge of a cell. The longest cell that words are made of."""
_WORD = 8
_INLINE = 12
"""Bytes of a text that stand in its view; a longer one stands elsewhere."""
_FIRST_BYTES = np.array([(1 << 8 * qty) - 1 for qty in range(_WORD + 1)], np.uint64)
"""By how many of the lowest bytes of a word count."""
_LAST_BYTES = np.array([((1 << 64) - 1) ^ ((1 << 8 * (_WORD - qty)) - 1) for qty in range(_WORD + 1)], np.uint64)
_ZEROS, _ABOVE_NINE, _HIGH = (np.uint64(int.from_bytes(bytes([byte]) * _WORD, "little")) for byte in (0x30, 0x76, 0x80))
_PAIRS, _FOURS, _EIGHT = np.uint64(0x00FF00FF00FF00FF), np.uint64(0x0000FFFF0000FFFF), np.uint64(0xFFFFFFFF)


def padded(data: bytes) -> bytes:
    """The buffer that places count in."""
    return b"".join((bytes(PAD), data, bytes(PAD)))


@dataclass(frozen=True)
class Cells:
    """The cells of one column. ``starts``: first byte of each; ``sizes``: how many bytes; ``longest``: of them the most."""

    buffer: bytes
    starts: Places
    sizes: Places
    longest: int

    def __len__(self) -> int:
        return self.starts.size

    def of(self, rows: Any) -> Cells:
        """The cells of some rows: their numbers, a flag for each, or a slice."""
        sizes = self.sizes[rows]
        return Cells(self.buffer, self.starts[rows], sizes, int(sizes.max(initial=0)))

    def words(self) -> tuple[Words, ...]:
        """The cells as words, as many as the longest one needs. Raises ValueError when that is longer than PAD."""
        if self.longest > PAD:
            raise ValueError(f"a cell of {self.longest} bytes")
        qty = max(1, -(-self.longest // _WORD))
        found = _at(self.buffer, self.starts, qty)
        is_even = self.sizes.size > 0 and int(self.sizes.min()) == self.longest
        sizes = self.sizes[:1] if is_even else self.sizes
        return tuple(found[:, number] & _low_bytes(sizes - number * _WORD) for number in range(qty))

    def numbers(self, *, mark: str | None) -> tuple[Places, Flags]:
        """(values, whether a cell is such a number): one to eight digits, or with a ``mark`` before the last two, which is left out.

        No sign, nothing else: what is none of this may be a number in other words.
        """
        last = _at(self.buffer, self.starts + self.sizes - _WORD, 1)[:, 0]
        if mark is None:
            is_shaped = (self.sizes >= 1) & (self.sizes <= _WORD)
            digits = last ^ _ZEROS
        else:
            is_shaped = (self.sizes >= 4) & (self.sizes <= _WORD)
            is_shaped &= (last >> np.uint64(40)) & np.uint64(0xFF) == ord(mark)
            # The digits before the mark move up by one byte, onto it.
            digits = (
                (last & np.uint64(0x000000FFFFFFFFFF)) << np.uint64(8) | last & np.uint64(0xFFFF000000000000)
            ) ^ _ZEROS
        qty = self.sizes if mark is None else self.sizes - 1
        digits &= _LAST_BYTES.take(qty, mode="clip")
        is_shaped &= ((digits + _ABOVE_NINE) | digits) & _HIGH == 0
        values = (digits * np.uint64(10) + (digits >> np.uint64(8))) & _PAIRS
        values = (values * np.uint64(100) + (values >> np.uint64(16))) & _FOURS
        values = (values * np.uint64(10_000) + (values >> np.uint64(32))) & _EIGHT
        return values.view(np.int64), is_shaped

    def texts(self, encoding: str) -> pl.Series:
        """The cells as trimmed text; empty ones are null. Bytes are copied of short texts only: the buffer stays with long ones."""
        found = _at(self.buffer, self.starts, 2)
        odd = self._odd(found)
        views = _views(found, self.starts, self.sizes, 0)
        buffers = [self.buffer] if self.longest > _INLINE else []
        sizes = self.sizes
        if odd.size:
            # Few cells hold more than ASCII or start or end with a space: they are read one by one.
            told = pl.Series([self.bytes_of(row).decode(encoding) for row in odd.tolist()], dtype=pl.String)
            texts = [text.encode() for text in told.str.strip_chars().to_list()]
            beside = padded(b"".join(texts))
            odd_sizes = np.fromiter(map(len, texts), np.int64, len(texts))
            odd_starts = PAD + np.cumsum(odd_sizes) - odd_sizes
            views[odd] = _views(_at(beside, odd_starts, 2), odd_starts, odd_sizes, len(buffers))
            buffers.append(beside)
            sizes = sizes.copy()
            sizes[odd] = odd_sizes
        return _series(views, sizes > 0, buffers)

    def bytes_of(self, row: int) -> bytes:
        """One cell."""
        start = int(self.starts[row])
        return self.buffer[start : start + int(self.sizes[row])]

    def _odd(self, first_words: Words) -> Places:
        """Rows of the cells with a byte that is not ASCII, or with a space, or what may be one, at an edge."""
        array = np.frombuffer(self.buffer, np.uint8)
        is_odd = (array[self.starts] <= ord(" ")) | (array[self.starts + self.sizes - 1] <= ord(" "))
        beyond = (first_words[:, 0] & _low_bytes(self.sizes)) | (first_words[:, 1] & _low_bytes(self.sizes - _WORD))
        is_odd |= beyond & _HIGH != 0
        for at in range(2 * _WORD, self.longest, _WORD):
            rows = np.flatnonzero(self.sizes > at)
            word = _at(self.buffer, self.starts[rows] + at, 1)[:, 0] & _low_bytes(self.sizes[rows] - at)
            is_odd[rows] |= word & _HIGH != 0
        return np.flatnonzero(is_odd & (self.sizes > 0))


def _low_bytes(sizes: Places) -> Words:
    """Masks of so many of the lowest bytes of words; below none, and above all."""
    return _FIRST_BYTES.take(sizes, mode="clip")


def _at(buffer: bytes, starts: Places, qty: int) -> Words:
    """So many words from each start, in rows."""
    every = np.ndarray((len(buffer) - qty * _WORD + 1,), np.dtype((np.void, qty * _WORD)), buffer, strides=(1,))
    found: Words = every[starts].view("<u8").reshape(-1, qty)
    return found


def _views(found: Words, starts: Places, sizes: Places, number: int) -> Words:
    """Texts as Arrow's views: size, and the text itself, or its first four bytes, the buffer's number and the place in it.

    ``found``: the first two words of each.
    """
    views = np.empty((starts.size, 2), np.uint64)
    lengths = sizes.view(np.uint64)
    first = found[:, 0] & _FIRST_BYTES.take(np.minimum(sizes, 4))
    views[:, 0] = lengths | (first << np.uint64(32))
    rest = (found[:, 0] >> np.uint64(32)) | (found[:, 1] << np.uint64(32))
    rest &= _low_bytes(sizes - 4)
    place = np.uint64(number) | (starts.view(np.uint64) << np.uint64(32))
    views[:, 1] = np.where(sizes <= _INLINE, rest, place)
    return views


def _series(views: Words, is_there: Flags, buffers: list[bytes]) -> pl.Series:
    import pyarrow as pa

    validity = None if is_there.all() else pa.py_buffer(np.packbits(is_there, bitorder="little"))
    data = [pa.py_buffer(views), *(pa.py_buffer(buffer) for buffer in buffers)]
    found = pl.from_arrow(pa.Array.from_buffers(pa.string_view(), len(views), [validity, *data]))
    if not isinstance(found, pl.Series):
        raise TypeError("an array is one column")
    return found
