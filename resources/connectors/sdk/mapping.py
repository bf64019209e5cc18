"""Rows of text to canonical frames, as a feed declares it: types by pattern, refusals with their reason, keys, computed columns.

The same for every kind of file: a reader gives rows of text with the place they stand at. Reading files does not belong here.
Every check is made on whole columns; a column without a bad cell costs one count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import polars as pl

from resources.connectors.sdk import feed as f
from resources.connectors.sdk.repeated import per_distinct
from resources.connectors.sdk.seen_keys import repeats
from resources.connectors.sdk.stream import Reject
from resources.contracts.columns import INSTANT
from resources.contracts.entity import Entity, entities
from resources.contracts.validation import shortened
from resources.errors import ConfigurationError, Where

FILE, LINE, OBSERVED, ROW, PARENT, ITEM = "_file", "_line", "_observed_at", "_row", "_parent", "_item"
PLACE: dict[str, Any] = {FILE: pl.String, LINE: pl.Int64, OBSERVED: INSTANT}
CHILD_PLACE: dict[str, Any] = {PARENT: pl.Int64, ITEM: pl.Int64}
_POSITION = "_position"
_GTIN_SHAPE = r"^(\d{8}|\d{12,14})$"
_ISO_INSTANT = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:?\d\d)$"


class Tokenises(Protocol):
    """What is asked of `resources.privacy.Tokeniser`."""

    def email(self, values: pl.Series) -> pl.Series:
        """Tokens of e-mails."""
        ...

    def phone(self, values: pl.Series) -> pl.Series:
        """Tokens of phone numbers."""
        ...

    def name(self, values: pl.Series) -> pl.Series:
        """Tokens of names."""
        ...


@dataclass(frozen=True)
class TypedColumn:
    """A column that its reader typed by :meth:`Mapper.converted`.

    ``values``: null where the text does not fit or there is none; ``unfit``: rows whose text does not fit; ``text_at``: the text
    of a row.
    """

    values: pl.Series
    unfit: Sequence[int]
    text_at: Callable[[int], str | None]


@dataclass
class TextRows:
    """Rows as a reader gives them, text or typed, with their place.

    ``root``: declared columns, and file, line, observed_at. ``children``: items of nested lists with the index of their row in
    ``root`` and their number in it, from 1. ``raw_of``: raw text and replay context of a row, by its index in ``root``.
    ``typed``: columns that are not in ``root``, since the reader typed them; their kind is none that holds text.
    """

    root: pl.DataFrame
    children: Mapping[str, pl.DataFrame]
    raw_of: Callable[[int], tuple[str, str]]
    column_numbers: Mapping[str, int] = field(default_factory=dict)
    typed: Mapping[str, TypedColumn] = field(default_factory=dict)

    def text_at(self, column: str, row: int) -> str | None:
        """The text of a cell of ``root``, typed or not."""
        typed = self.typed.get(column)
        text: str | None = self.root[column][row] if typed is None else typed.text_at(row)
        return text


@dataclass(frozen=True)
class Tally:
    """What a control total is compared with: the sum of the readable cells, and how many rows have no readable one."""

    control_sum: int
    unreadable_qty: int


@dataclass
class MappedRows:
    """Canonical frames (entity columns, ``source_position``, ``observed_at``), refusals, and per-file control sums."""

    frames: dict[str, pl.DataFrame]
    rejects: list[Reject]
    tallies: dict[str, Tally]
    personal: list[tuple[str, str, str]]


class KeyMemory(Protocol):
    """Remembers the keys of a file that is read in several pieces."""

    def repeats(self, keys: pl.DataFrame) -> pl.Series | None:
        """Which of these keys came before, here or in an earlier piece; None when none did. They are remembered from now on."""
        ...


class Mapper:
    """A feed's declaration, ready to run. Raises ConfigurationError for an expression that polars does not take."""

    def __init__(self, feed: f.Feed, *, time_zone: str, tokeniser: Tokenises | None) -> None:
        self._feed = feed
        self._zone = time_zone
        self._tokeniser = tokeniser
        self._entities = {name: entities()[name] for name in feed.entities}
        try:
            self.map(self.no_rows())
        except (pl.exceptions.PolarsError, TypeError) as error:
            raise ConfigurationError(
                f"an expression does not work on the declared columns: {error}",
                where=Where(file=f"{feed.feed}.yml"),
                action="correct it: `sql` is polars SQL over the typed columns",
            ) from error

    def no_rows(self) -> TextRows:
        """No rows, in the right shape."""
        root = pl.DataFrame(schema={**dict.fromkeys(self._feed.columns, pl.String), **PLACE})
        children = {
            name: pl.DataFrame(schema={**dict.fromkeys(child.columns, pl.String), **CHILD_PLACE})
            for name, child in self._feed.children.items()
        }
        return TextRows(root, children, lambda _: ("", ""))

    def map(
        self, rows: TextRows, *, memory: KeyMemory | None = None, only_places: Collection[str] | None = None
    ) -> MappedRows:
        """Map rows of text. ``only_places``: map the groups that these `<file>:<line>` belong to, nothing else."""
        root = rows.root.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias(ROW))
        typed, bad = self._typed(root, self._feed.columns, rows.typed)
        rejects = self._refusals(root, bad, rows)
        tallies = self._tallies(typed, bad)
        typed = _without(typed, bad)
        typed, duplicates = self._without_duplicates(root, typed, rows, memory)
        rejects += duplicates
        personal = self._personal(root, typed, self._feed.columns)
        typed = self._computed(typed, self._feed.computed)
        levels = {"root": typed.with_columns(_positions(root).alias(_POSITION))}
        for name, child in self._feed.children.items():
            items, child_rejects, child_personal = self._child(name, child, rows.children[name], root, typed, rows)
            levels[name] = items
            rejects += child_rejects
            personal += child_personal
        if only_places is not None:
            levels = {name: self._of_places(level, only_places) for name, level in levels.items()}
        frames = {name: self._entity_frame(entity, levels) for name, entity in self._entities.items()}
        return MappedRows(frames, rejects, tallies, personal)

    # -- types ---------------------------------------------------------------------------------------------------------

    def converted(self, name: str, texts: pl.Series) -> pl.Series:
        """The values of texts of a column of rows, for a reader that types its columns itself; null where a text does not fit."""
        return self._converted(self._feed.columns[name], texts)

    def _typed(
        self,
        frame: pl.DataFrame,
        columns: Mapping[str, f.Column],
        given: Mapping[str, TypedColumn] = MappingProxyType({}),
    ) -> tuple[pl.DataFrame, dict[int, list[tuple[str, str, str]]]]:
        """The frame with typed columns, and row -> [(column, rule, what was expected)] for the cells that do not fit.

        ``given``: columns that are typed already.
        """
        typed = frame.with_columns(
            given[name].values
            if name in given
            else self._tokens(column, frame[name]).alias(name)
            if isinstance(column, f.PersonalColumn)
            else per_distinct(frame[name], partial(self._converted, column))
            for name, column in columns.items()
            if not isinstance(column, f.TextColumn)
        )
        bad: dict[int, list[tuple[str, str, str]]] = {}
        for name, column in columns.items():
            if name in given:
                rows = given[name].unfit
            elif isinstance(column, f.PersonalColumn) or typed[name].null_count() == frame[name].null_count():
                continue
            else:
                rows = (typed[name].is_null() & frame[name].is_not_null()).arg_true().to_list()
            rule, expected = self._expectation(column)
            for row in rows:
                bad.setdefault(row, []).append((name, rule, expected))
        return typed, bad

    def _converted(self, column: f.Column, texts: pl.Series) -> pl.Series:
        """The values of texts; null where a text does not fit."""
        if isinstance(column, f.AmountColumn):
            return self._amounts(column, texts)
        return texts.to_frame().select(self._cast(texts.name, column)).to_series()

    def _amounts(self, column: f.AmountColumn, texts: pl.Series) -> pl.Series:
        # Nearly all amounts have two decimals: they are hundredths once the mark is taken out.
        mark = column.decimal or self._feed.decimal
        text = pl.col(texts.name)
        is_plain = text.str.contains(rf"^-?\d{{1,13}}[{mark}]\d\d$")
        plain = pl.when(is_plain).then(text).str.replace(mark, "", literal=True).cast(pl.Int64, strict=False)
        values = texts.to_frame().select(plain).to_series()
        if values.null_count() == texts.null_count():
            return values
        rest = (values.is_null() & texts.is_not_null()).arg_true()
        others = texts.gather(rest).to_frame().select(self._cast(texts.name, column)).to_series()
        return values.scatter(rest, others)

    def _cast(self, name: str, column: f.Column) -> pl.Expr:
        text = pl.col(name)
        match column:
            case f.IntegerColumn():
                return text.cast(pl.Int64, strict=False)
            case f.AmountColumn():
                mark = column.decimal or self._feed.decimal
                # Checked by pattern: a cast alone would round 1105,395 and take 1e3.
                shaped = pl.when(
                    text.str.contains(rf"^-?\d{{1,13}}({'[.]' if mark == '.' else mark}\d{{1,2}})?$")
                ).then(text)
                number = shaped if mark == "." else shaped.str.replace(mark, ".", literal=True)
                return (number.cast(pl.Decimal(18, 2), strict=False) * 100).cast(pl.Int64, strict=False)
            case f.InstantColumn(format="iso"):
                shaped = pl.when(text.str.contains(_ISO_INSTANT)).then(text)
                whole = shaped.str.replace("Z", "+0000", literal=True).str.replace(" ", "T", literal=True)
                return whole.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%z", time_unit="us", time_zone="UTC", strict=False)
            case f.InstantColumn():
                naive = text.str.to_datetime(column.format, time_unit="us", strict=False)
                # The hour that comes twice in autumn is read as its first pass; the one that never was is a bad date.
                local = naive.dt.replace_time_zone(self._zone, ambiguous="earliest", non_existent="null")
                return local.dt.convert_time_zone("UTC")
            case f.FlagColumn():
                words = dict.fromkeys(column.yes, True) | dict.fromkeys(column.no, False)
                return text.replace_strict(words, default=None, return_dtype=pl.Boolean)
            case f.WordsColumn():
                return text.replace_strict(column.words, default=None, return_dtype=pl.String)
            case f.GtinColumn():
                is_right = _has_gtin_check_digit(text) if column.check_digit else text.str.contains(_GTIN_SHAPE)
                return pl.when(is_right).then(text)
            case _:
                return text

    def _expectation(self, column: f.Column) -> tuple[str, str]:
        match column:
            case f.IntegerColumn():
                return "bad_number", "not a whole number"
            case f.AmountColumn():
                mark = column.decimal or self._feed.decimal
                return "bad_number", f"not a number with {mark!r} as decimal mark and at most two decimals"
            case f.InstantColumn():
                shape = "ISO 8601 with Z or an offset" if column.format == "iso" else f"{column.format} in {self._zone}"
                return "bad_date", f"not a date and time as {shape}"
            case f.GtinColumn():
                ending = " with a right check digit" if column.check_digit else ""
                return "bad_gtin", f"not a GTIN of 8, 12, 13 or 14 digits{ending}"
            case f.FlagColumn():
                return "unknown_word", f"not one of {', '.join((*column.yes, *column.no))}"
            case f.WordsColumn():
                return "unknown_word", f"not one of {', '.join(column.words)}"
            case _:
                return "bad_value", "not readable"

    def _tokens(self, column: f.PersonalColumn, values: pl.Series) -> pl.Series:
        if self._tokeniser is None:
            raise ConfigurationError(
                "the feed holds personal values, and there is no key to tokenise them",
                where=Where(file=f"{self._feed.feed}.yml"),
                action="set ETALON_SECRET_KEY",
            )
        return {"email": self._tokeniser.email, "phone": self._tokeniser.phone, "name": self._tokeniser.name}[
            column.type
        ](values)

    def _personal(
        self, text: pl.DataFrame, typed: pl.DataFrame, columns: Mapping[str, f.Column]
    ) -> list[tuple[str, str, str]]:
        found: dict[str, tuple[str, str, str]] = {}
        for name, column in columns.items():
            if isinstance(column, f.PersonalColumn):
                values = text[name].gather(typed[ROW])
                for token, value in zip(typed[name].to_list(), values.to_list(), strict=True):
                    if token is not None:
                        found[token] = (token, column.type, value)
        return list(found.values())

    # -- refusals ------------------------------------------------------------------------------------------------------

    def _refusals(
        self, root: pl.DataFrame, bad: Mapping[int, Sequence[tuple[str, str, str]]], rows: TextRows
    ) -> list[Reject]:
        """The refusals of rows, row -> [(column, rule, what was expected)], in the order of the rows."""
        numbers = sorted(bad)
        key_columns = self._key_columns()
        # Taken out at once: of a frame each cell costs as much as all of them.
        told = root[numbers].to_dict(as_series=False) if numbers else {}
        rejects = []
        for place, row in enumerate(numbers):
            raw, context = rows.raw_of(row)
            problems = bad[row]
            name, rule, _ = problems[0]
            reasons = []
            for column, _, expected in problems:
                text = told[column][place] if column in told else rows.text_at(column, row)
                reasons.append(f"{column} is {shown(text)}: {expected}")
            unreadable = {column for column, _, _ in problems}
            keys = {
                entity: tuple(told[column][place] for column in columns)
                for entity, columns in key_columns.items()
                if not unreadable.intersection(columns) and all(told[column][place] is not None for column in columns)
            }
            line = told[LINE][place]
            rejects.append(
                Reject(
                    position=f"{told[FILE][place]}:{line}",
                    raw=raw,
                    rule=rule,
                    reason="; ".join(reasons),
                    entity=next(iter(self._feed.entities)),
                    field=name,
                    line=line,
                    column=rows.column_numbers.get(name),
                    context=context,
                    keys=keys,
                )
            )
        return rejects

    def _key_columns(self) -> dict[str, list[str]]:
        """Entity -> the columns its key comes from, of the entities whose key is columns of text: it is known of a refused row too."""
        found = {}
        for name, mapping in self._feed.entities.items():
            sources = [mapping.columns.get(key) for key in self._entities[name].keys]
            columns = [source for source in sources if isinstance(source, str) and self._is_text(source)]
            if mapping.rows == "root" and len(columns) == len(sources):
                found[name] = columns
        return found

    def _is_text(self, column: str) -> bool:
        return isinstance(self._feed.columns.get(column), f.TextColumn)

    def _without_duplicates(
        self, root: pl.DataFrame, typed: pl.DataFrame, rows: TextRows, memory: KeyMemory | None
    ) -> tuple[pl.DataFrame, list[Reject]]:
        """Of good rows with the same key in one file the first is kept, the later ones are refused."""
        if typed.is_empty():
            return typed, []
        is_one_file = root[FILE][0] == root[FILE][-1]
        keys = typed.select(list(self._feed.key) if is_one_file else [FILE, *self._feed.key])
        later = repeats(keys) if memory is None else memory.repeats(keys)
        if later is None:
            return typed, []
        if later.is_empty() or not later.any():
            return typed, []
        rejects = []
        for row in typed[ROW].filter(later).to_list():
            raw, context = rows.raw_of(row)
            told = ", ".join(f"{name} {shown(rows.text_at(name, row))}" for name in self._feed.key)
            rejects.append(
                Reject(
                    position=f"{root[FILE][row]}:{root[LINE][row]}",
                    raw=raw,
                    rule="duplicate_key",
                    reason=f"{told} came before in this file: the first row is kept, this one is refused",
                    entity=next(iter(self._feed.entities)),
                    field=self._feed.key[0],
                    line=root[LINE][row],
                    column=rows.column_numbers.get(self._feed.key[0]),
                    context=context,
                )
            )
        return typed.filter(~later), rejects

    def _tallies(self, typed: pl.DataFrame, bad: Mapping[int, Sequence[tuple[str, str, str]]]) -> dict[str, Tally]:
        if self._feed.control is None or typed.is_empty():
            return {}
        unreadable = [
            row for row, problems in bad.items() if any(name == self._feed.control for name, _, _ in problems)
        ]
        files, values = typed[FILE], typed[self._feed.control]
        if files[0] == files[-1]:
            return {files[0]: Tally(int(values.sum() or 0), len(unreadable))}
        unreadable_qty = Counter(files.gather(unreadable).to_list())
        sums = pl.DataFrame({FILE: files, "value": values}).group_by(FILE).agg(pl.col("value").sum())
        return {name: Tally(int(total), unreadable_qty[name]) for name, total in sums.iter_rows()}

    # -- levels and entities -------------------------------------------------------------------------------------------

    def _child(
        self, name: str, child: f.Child, items: pl.DataFrame, root: pl.DataFrame, parents: pl.DataFrame, rows: TextRows
    ) -> tuple[pl.DataFrame, list[Reject], list[tuple[str, str, str]]]:
        """Items of the good rows, typed, with their row's columns beside; a bad item is refused alone."""
        items = items.join(parents.select(pl.col(ROW).alias(PARENT)), on=PARENT, how="semi")
        items = items.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias(ROW))
        typed, bad = self._typed(items, child.columns)
        entity = next((n for n, mapping in self._feed.entities.items() if mapping.rows == name), name)
        rejects = []
        for row, problems in sorted(bad.items()):
            parent = items[PARENT][row]
            raw, context = rows.raw_of(parent)
            line = root[LINE][parent]
            rejects.append(
                Reject(
                    position=f"{root[FILE][parent]}:{line}#{items[ITEM][row]}",
                    raw=raw,
                    rule=problems[0][1],
                    reason="; ".join(
                        f"{child.path} {items[ITEM][row]}, {column} is {shown(items[column][row])}: {expected}"
                        for column, _, expected in problems
                    ),
                    entity=entity,
                    field=problems[0][0],
                    line=line,
                    is_root=False,
                    context=context,
                )
            )
        typed = _without(typed, bad)
        personal = self._personal(items, typed, child.columns)
        beside = parents.rename({ROW: PARENT})
        typed = typed.drop(ROW).join(beside, on=PARENT, how="inner", maintain_order="left")
        typed = self._computed(typed, child.computed)
        place = pl.col(FILE) + ":" + pl.col(LINE).cast(pl.String) + "#" + pl.col(ITEM).cast(pl.String)
        return typed.with_columns(place.alias(_POSITION)), rejects, personal

    def _computed(self, frame: pl.DataFrame, computed: Mapping[str, f.Sql | f.NetOfVat]) -> pl.DataFrame:
        for name, source in computed.items():
            frame = frame.with_columns(_expression(source).alias(name))
        return frame

    def _of_places(self, level: pl.DataFrame, only_places: Collection[str]) -> pl.DataFrame:
        keep = (pl.col(FILE) + ":" + pl.col(LINE).cast(pl.String)).is_in(list(only_places))
        for mapping in self._feed.entities.values():
            if mapping.group_by:
                group = [FILE, *mapping.group_by]
                groups = level.filter(keep).select(group).unique()
                return level.join(groups, on=group, how="semi", maintain_order="left")
        return level.filter(keep)

    def _entity_frame(self, entity: Entity, levels: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        mapping = self._feed.entities[entity.name]
        level = levels[mapping.rows]
        if mapping.where is not None:
            level = level.filter(pl.sql_expr(mapping.where))
        types = entity.polars_schema
        if mapping.group_by:
            totals = {name: _aggregate(source).cast(types[name]) for name, source in mapping.columns.items()}
            # A group never reaches across files: each file gives whole states, and of two states the later file wins.
            frame = level.group_by([FILE, *mapping.group_by], maintain_order=True).agg(
                *(column.alias(f"={name}") for name, column in totals.items()),
                pl.col(OBSERVED).first().alias("=observed_at"),
                pl.col(_POSITION).first().alias("=source_position"),
            )
            names = ["observed_at", "source_position", *entity.columns]
            return frame.select(pl.col(f"={name}").alias(name) for name in names)
        columns = {name: _expression(source).cast(types[name]) for name, source in mapping.columns.items()}
        return level.select(
            pl.col(OBSERVED).alias("observed_at"),
            pl.col(_POSITION).alias("source_position"),
            *(columns[name].alias(name) for name in entity.columns),
        )


def _without(frame: pl.DataFrame, rows: Collection[int]) -> pl.DataFrame:
    """The other rows."""
    if not rows:
        return frame
    keep = np.ones(frame.height, np.bool_)
    keep[list(rows)] = False
    return frame.filter(pl.Series(keep))


def shown(value: object) -> str:
    """A value as a message shows it, in quotes: what a file holds may be a blank."""
    return shortened(value) if value is None else repr(shortened(value))


def _positions(root: pl.DataFrame) -> pl.Expr:
    """`<file>:<line>` of each row."""
    if root.is_empty() or root[FILE][0] != root[FILE][-1]:
        return pl.format("{}:{}", FILE, LINE)
    return pl.concat_str(pl.lit(f"{root[FILE][0]}:"), LINE)


def _expression(source: f.Source) -> pl.Expr:
    match source:
        case None:
            return pl.lit(None)
        case str():
            return pl.col(source)
        case f.Constant():
            return pl.lit(source.constant)
        case f.Sql():
            return pl.sql_expr(source.sql)
        case f.NetOfVat():
            gross, rate = (pl.col(name) for name in source.net_of_vat)
            # Half up, away from zero, in integers: a return then takes back exactly what its sale gave.
            return gross.sign() * ((gross.abs() * 20_000 + 10_000 + rate) // (20_000 + 2 * rate))
        case f.Sum():
            return pl.sum_horizontal(pl.col(source.sum).sum(), *(pl.col(name).first() for name in source.plus))


def _aggregate(source: f.Source) -> pl.Expr:
    expression = _expression(source)
    return expression if isinstance(source, f.Sum) else expression.first()


def _has_gtin_check_digit(text: pl.Expr) -> pl.Expr:
    number = pl.when(text.str.contains(_GTIN_SHAPE)).then(text).cast(pl.Int64, strict=False)
    total = pl.lit(0)
    for place in range(14):
        total = total + (number // 10**place) % 10 * (3 if place % 2 else 1)
    return (total % 10) == 0
