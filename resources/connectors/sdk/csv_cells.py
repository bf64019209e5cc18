"""Columns of CSV records that are regular, typed straight from their bytes. Which records are, is for `csv_records` to say.

A column that repeats itself is read value by value, a plain number by its digits; whatever is neither goes through the mapper's own
conversion as text, so that both ways give the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import polars as pl

from resources.connectors.sdk import feed as f
from resources.connectors.sdk.cell_bytes import PAD, Cells, padded
from resources.connectors.sdk.csv_records import Records
from resources.connectors.sdk.mapping import TypedColumn
from resources.connectors.sdk.vocabulary import Vocabulary, repeats_itself

Convert = Callable[[str, pl.Series], pl.Series]
"""(column, texts) -> values; null where a text does not fit."""


class ColumnReader:
    """The declared columns of one file. ``numbers``: column -> its place in a record, from 0; ``convert``: the mapper's."""

    def __init__(
        self, feed: f.Feed, dialect: f.CsvFormat, numbers: Mapping[str, int], width: int, convert: Convert
    ) -> None:
        self._feed = feed
        self._encoding = dialect.encoding
        self._delimiter = dialect.delimiter.encode(dialect.encoding)
        self._numbers = numbers
        self._width = width
        self._convert = convert
        self._vocabularies: dict[tuple[str, int], Vocabulary] = {}

    def read(self, records: Records) -> tuple[dict[str, pl.Series], dict[str, TypedColumn]]:
        """(columns of text, typed columns). The records are unquoted, all of the right width, and hold no NUL."""
        texts: dict[str, pl.Series] = {}
        typed: dict[str, TypedColumn] = {}
        buffer = padded(records.piece)
        ends = records.cell_ends(self._width)
        ends += PAD
        for name, column in self._feed.columns.items():
            number = self._numbers[name]
            starts = records.starts() + PAD if number == 0 else ends[number - 1] + 1
            sizes = ends[number] - starts
            cells = Cells(buffer, starts, sizes, int(sizes.max(initial=0)))
            if isinstance(column, f.TextColumn | f.PersonalColumn):
                texts[name] = self._texts(name, cells)
            else:
                values, unfit = self._typed(name, column, cells)
                typed[name] = TypedColumn(values.alias(name), unfit, partial(self._text_at, records, number))
        # Not needed any more, and as large as the piece.
        records.marks = None
        return texts, typed

    def _texts(self, name: str, cells: Cells) -> pl.Series:
        found = self._by_value(name, cells, lambda texts: texts)
        return (cells.texts(self._encoding) if found is None else found[0]).alias(name)

    def _typed(self, name: str, column: f.Column, cells: Cells) -> tuple[pl.Series, list[int]]:
        """(values, rows of the cells that do not fit)."""
        found = self._by_value(name, cells, lambda texts: self._convert(name, texts))
        if found is not None:
            return found
        if isinstance(column, f.AmountColumn):
            return self._numbers_of(name, cells, column.decimal or self._feed.decimal)
        if isinstance(column, f.IntegerColumn):
            return self._numbers_of(name, cells, None)
        texts = cells.texts(self._encoding)
        values = self._convert(name, texts.alias(name))
        return values, (values.is_null() & texts.is_not_null()).arg_true().to_list()

    def _by_value(
        self, name: str, cells: Cells, convert: Callable[[pl.Series], pl.Series]
    ) -> tuple[pl.Series, list[int]] | None:
        if cells.longest > PAD or not repeats_itself(cells):
            return None
        words = cells.words()
        key = (name, len(words))
        if key not in self._vocabularies:
            self._vocabularies[key] = Vocabulary(len(words), self._encoding, lambda texts: convert(texts.alias(name)))
        vocabulary = self._vocabularies[key]
        codes = vocabulary.codes(words)
        return None if codes is None else (vocabulary.values(codes), vocabulary.unfit(codes).tolist())

    def _numbers_of(self, name: str, cells: Cells, mark: str | None) -> tuple[pl.Series, list[int]]:
        numbers, is_plain = cells.numbers(mark=mark)
        if is_plain.all():
            return pl.Series(numbers), []
        others = np.flatnonzero(~is_plain)
        texts = cells.of(others).texts(self._encoding)
        values = self._convert(name, texts.alias(name))
        unfit = others[(values.is_null() & texts.is_not_null()).to_numpy()]
        return pl.Series(numbers).scatter(others, values), unfit.tolist()

    def _text_at(self, records: Records, number: int, row: int) -> str | None:
        cell = records.data(row).split(self._delimiter)[number]
        return cell.decode(self._encoding).strip() or None
