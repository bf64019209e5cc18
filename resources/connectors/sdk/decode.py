"""From received bytes to typed columns: rows decoded with msgspec, then money, dates and text converted in whole columns.

A value that cannot be understood never becomes a quiet null: the row goes to quarantine with its raw text and the reason.
No shop is known here.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from operator import attrgetter
from typing import Any, Generic, TypeVar
from zoneinfo import ZoneInfo

import msgspec
import polars as pl

from resources.connectors.sdk.stream import Reject
from resources.contracts.currencies import minor_exponent as minor_exponent  # noqa: PLC0414 - connectors take it from their kit

T = TypeVar("T")

INSTANT = pl.Datetime("us", "UTC")
MICRO_DIGITS = 8
_DIVISOR = "=divisor"
_MONEY = r"^-?[0-9]{1,10}(\.[0-9]+)?$"
_BEYOND_MICRO = r"\.[0-9]{9}"
_TAG = re.compile(r"</?[a-zA-Z!][^<>]*>")
_SPACES = re.compile(r"\s+")
_NOT_FOLDED = r"\s\s|[\s&&[^ ]]|^\s|\s$"

# ---------------------------------------------------------------- rows


@dataclass(frozen=True)
class BadRow:
    """A row, or a part of one, that does not have the promised shape. ``index`` counts from 0 in the page."""

    index: int
    raw: bytes
    reason: str
    entity: str | None = None
    suffix: str = ""


@dataclass(frozen=True)
class Decoded(Generic[T]):
    """The rows of one page: ``rows[i]`` stands at ``positions[i]`` (from 0) of what was received."""

    rows: list[T]
    positions: list[int]
    bad: list[BadRow]

    @property
    def received_qty(self) -> int:
        """Rows in the page, bad ones included. A part of a row that is bad does not count again."""
        return len(self.positions) + sum(1 for row in self.bad if row.entity is None)


_NOTHING: Decoded[Any] = Decoded([], [], [])
Repair = Callable[[bytes, int], tuple[Any, list[BadRow]]]


class RowDecoder(Generic[T]):
    """Decodes one page: a JSON list of rows, or an object whose only key holds the list (``wrapped``; an empty one is ``[]``).

    A page is decoded in one go; only when that fails is it taken row by row, to keep the good ones. ``repair(raw, index)`` may
    save a row by leaving out parts of it. Raises msgspec.DecodeError when the page is not whole JSON, msgspec.ValidationError
    when it is neither a list nor the wrapper.
    """

    def __init__(
        self, row_type: type[T], *, wrapped: bool = False, strict: bool = True, repair: Repair | None = None
    ) -> None:
        self._wrapped = wrapped
        page_type: Any = dict[str, list[row_type]] if wrapped else list[row_type]  # type: ignore[valid-type]
        raw_type: Any = dict[str, list[msgspec.Raw]] if wrapped else list[msgspec.Raw]
        self._page = msgspec.json.Decoder(page_type, strict=strict)
        self._raw = msgspec.json.Decoder(raw_type)
        self._row = msgspec.json.Decoder(row_type, strict=strict)
        self._repair = repair

    def decode(self, body: bytes) -> Decoded[T]:
        """Decode a page."""
        if self._wrapped and body.strip() == b"[]":
            return Decoded([], [], [])
        try:
            page: Any = self._page.decode(body)
        except msgspec.ValidationError:
            return self._decode_one_by_one(body)
        rows: list[T] = next(iter(page.values()), []) if self._wrapped else page
        return Decoded(rows, list(range(len(rows))), [])

    def raw_rows(self, body: bytes) -> list[bytes]:
        """The raw text of each row of a page."""
        if self._wrapped and body.strip() == b"[]":
            return []
        page: Any = self._raw.decode(body)
        return [bytes(raw) for raw in (next(iter(page.values()), []) if self._wrapped else page)]

    def _decode_one_by_one(self, body: bytes) -> Decoded[T]:
        rows: list[T] = []
        positions: list[int] = []
        bad: list[BadRow] = []
        for index, raw in enumerate(self.raw_rows(body)):
            try:
                row = self._row.decode(raw)
            except msgspec.ValidationError as error:
                saved, parts = self._repair(raw, index) if self._repair else (None, [])
                if saved is None:
                    bad.append(BadRow(index, raw, str(error)))
                    continue
                bad.extend(parts)
                row = saved
            rows.append(row)
            positions.append(index)
        return Decoded(rows, positions, bad)


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page as received and decoded. ``name`` is unique in the reading; ``extra`` holds what was read beside it."""

    name: str
    body: bytes
    decoded: Decoded[T]
    extra: Mapping[str, Any] = field(default_factory=dict)
    labels: tuple[str, ...] = ()

    def position(self, index: int) -> str:
        """Where a row stands, for a person: page name and row number from 1; in a replay, the position it first had (``labels``)."""
        return self.labels[index] if self.labels else f"{self.name} row {index + 1}"


def source_positions(page: Page[Any]) -> list[str]:
    """Position texts of the good rows of a page, in order."""
    return [page.position(index) for index in page.decoded.positions]


class RawText:
    """Finds the raw text of a source row again from its position, for the few rows that end in quarantine."""

    def __init__(self, pages: Iterable[Page[Any]], decoder: RowDecoder[Any]) -> None:
        # Rows and what was read beside them are not needed for it, and would stay in memory as long as the bodies.
        self._pages = [replace(page, decoded=_NOTHING, extra={}) for page in pages]
        self._decoder = decoder
        self._rows: dict[str, bytes] | None = None

    def __call__(self, position: str) -> str:
        """Raw text of the source row at ``position`` (as :meth:`Page.position` made it; `` line n`` of it gives the whole row)."""
        if self._rows is None:
            self._rows = {
                page.position(index): raw
                for page in self._pages
                for index, raw in enumerate(self._decoder.raw_rows(page.body))
            }
        return self._rows[position.partition(" line ")[0]].decode("utf-8", "replace")


def shape_rejects(pages: Iterable[Page[Any]], *, entity: str) -> list[Reject]:
    """Rejects of the rows of these pages that do not have the promised shape; a bad part names its own entity and is no root."""
    return [
        Reject(
            position=page.position(bad.index) + bad.suffix,
            raw=bad.raw.decode("utf-8", "replace"),
            rule="shape",
            reason=bad.reason,
            entity=bad.entity or entity,
            is_root=bad.entity is None,
        )
        for page in pages
        for bad in page.decoded.bad
    ]


# ---------------------------------------------------------------- columns


@dataclass(frozen=True)
class Field:
    """One converted column. When ``source`` holds something and ``expr`` gives null, the row is refused under ``rule``."""

    name: str
    expr: pl.Expr
    source: str | None = None
    rule: str = ""
    expected: str = ""

    @cached_property
    def marked(self) -> pl.Expr:
        """The converted column under a name that cannot be its source's."""
        return self.expr.alias(f"={self.name}")


def money(name: str, source: str | None = None) -> Field:
    """Decimal text -> minor units of the row's ``currency_code``, exactly, half up; empty text is null.

    Digits beyond the minor unit (PrestaShop keeps six) are rounded half away from zero, in integers: no float is met.
    """
    column = source or name
    return Field(name, minor_units(scaled(column)), column, "money", "a decimal number with a dot, like 12.90")


def scaled(column: str) -> pl.Expr:
    """Decimal text -> integer in 1e-8 of the unit; null when it is not a plain decimal number (1105,395, 1e3, 12 EUR).

    Any number of digits may follow the dot (a price without tax divided by 1.21 has twelve): rounded at the eighth, half away from zero.
    """
    text = pl.col(column)
    return (
        pl.when(text.str.contains(_MONEY))
        .then(text.map_batches(_ties_moved_on, return_dtype=pl.String, is_elementwise=True))
        .cast(pl.Decimal(20, MICRO_DIGITS), strict=False)
        .to_physical()
        .cast(pl.Int64)
    )


def _ties_moved_on(texts: pl.Series) -> pl.Series:
    """Texts with more than eight digits after the dot get one more: a tie, which the cast rounds to even, is then above the half."""
    if not (texts.str.len_bytes() > MICRO_DIGITS + 2).any():
        return texts  # nearly every column: one look at the lengths is all it costs
    text = pl.col("text")
    return (
        texts.to_frame("text")
        .select(pl.when(text.str.contains(_BEYOND_MICRO)).then(pl.concat_str([text, pl.lit("1")])).otherwise(text))
        .to_series()
    )


def minor_units(amount: pl.Expr) -> pl.Expr:
    """Integer in 1e-8 of the unit -> minor units of the row's currency, half away from zero. For use in :func:`convert`."""
    divisor = pl.col(_DIVISOR)
    return (amount.abs() + divisor // 2) // divisor * amount.sign()


def _with_divisor(frame: pl.DataFrame) -> pl.DataFrame:
    """Add what 1e-8 of a unit is divided by to give the minor unit of each row's currency."""
    if "currency_code" not in frame.columns:
        return frame
    codes = frame["currency_code"].unique().drop_nulls().to_list()
    divisors = {code: int(10 ** (MICRO_DIGITS - minor_exponent(code))) for code in codes}
    usual = int(10 ** (MICRO_DIGITS - 2))
    if set(divisors.values()) <= {usual}:
        return frame.with_columns(pl.lit(usual, pl.Int64).alias(_DIVISOR))
    return frame.with_columns(
        pl.col("currency_code").replace_strict(divisors, default=usual, return_dtype=pl.Int64).alias(_DIVISOR)
    )


def scaled_int(text: str) -> int | None:
    """The same as :func:`scaled` for one text."""
    if not re.fullmatch(_MONEY[1:-1], text):
        return None
    whole, _, fraction = text.lstrip("-").partition(".")
    kept, beyond = fraction[:MICRO_DIGITS], fraction[MICRO_DIGITS:]
    amount = int(whole) * int(10**MICRO_DIGITS) + int(kept.ljust(MICRO_DIGITS, "0")) + (beyond[:1] >= "5")
    return -amount if text.startswith("-") else amount


def utc_instant(name: str, source: str | None = None) -> Field:
    """``2026-05-01T12:00:00`` (with or without Z), known to be UTC -> instant."""
    column = source or name
    text = pl.col(column).str.strip_suffix("Z")
    parsed = text.str.to_datetime("%Y-%m-%dT%H:%M:%S", strict=False, time_unit="us").dt.replace_time_zone("UTC")
    return Field(name, parsed, column, "date", "an instant like 2026-05-01T12:00:00")


def local_instant(name: str, zone: str, source: str | None = None) -> Field:
    """``2026-05-01 12:00:00`` in the shop's zone -> instant; ``0000-00-00`` is null.

    A time in the hour that autumn has twice is taken as the first; one in the hour that spring leaves out is read with the offset
    before the change (02:30 is 03:30 summer time), as a shop's database does.
    """
    column = source or name
    text = pl.when(pl.col(column).str.starts_with("0000-00-00")).then(None).otherwise(pl.col(column))
    naive = text.str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False, time_unit="us")

    def placed(expr: pl.Expr) -> pl.Expr:
        return expr.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null").dt.convert_time_zone("UTC")

    instant = pl.coalesce(placed(naive), placed(naive.dt.offset_by("1h")))
    return Field(name, instant, column, "date", "a local time like 2026-05-01 12:00:00")


def clean_text(name: str, source: str | None = None) -> Field:
    """Trimmed text; empty is null."""
    return Field(name, _trimmed(pl.col(source or name)))


def item_id(product: str, variant: str) -> pl.Expr:
    """``12`` for a product, ``12-34`` for its variant; null for product 0 (a deleted one)."""
    parent = pl.col(product).cast(pl.String)
    return (
        pl.when(pl.col(product) == 0)
        .then(None)
        .when(pl.col(variant) == 0)
        .then(parent)
        .otherwise(pl.concat_str([parent, pl.lit("-"), pl.col(variant).cast(pl.String)]))
    )


def _trimmed(expr: pl.Expr) -> pl.Expr:
    stripped = expr.str.strip_chars()
    return pl.when(stripped == "").then(None).otherwise(stripped)


def plain_text(values: pl.Series) -> pl.Series:
    """Text without HTML tags and entities, spaces folded, trimmed; empty is null. A lone ``<`` is kept: it is no tag."""
    folded = values
    if values.str.contains(_NOT_FOLDED).any():  # one look costs a tenth of folding texts that are folded
        folded = values.str.replace_all(r"\s+", " ").str.strip_chars()
    suspicious = folded.filter(folded.str.contains("[<&]").fill_null(False)).unique().to_list()
    if suspicious:
        folded = folded.replace({text: plain(text) for text in suspicious})
    return folded.replace({"": None})


def plain(text: str) -> str:
    """One text without HTML tags and entities, spaces folded, trimmed."""
    return _SPACES.sub(" ", html.unescape(_TAG.sub("", text))).strip()


def convert(
    frame: pl.DataFrame, fields: Sequence[Field], *, entity: str, raw_text: Callable[[str], str], is_root: bool = True
) -> tuple[pl.DataFrame, list[Reject]]:
    """Convert columns and split off the rows with a value that cannot be read.

    ``frame`` has ``source_position``. Returns the good rows (all input columns, fields replacing those of the same name) and one
    Reject per bad row and field.
    """
    checked = [field for field in fields if field.source is not None]
    # One after the other here and below: over some thousand rows, handing expressions to other threads costs more than they do.
    wide = _with_divisor(frame).with_columns_seq([field.marked for field in fields])

    def flag(field: Field) -> pl.Expr:
        # a zero date is no mistake: it says "never", so it must not be taken for a text that cannot be read
        text = pl.col(field.source or "")
        is_given = (text != "") & ~text.str.starts_with("0000-00-00")
        return (is_given & pl.col(f"={field.name}").is_null()).fill_null(False)

    rejects: list[Reject] = []
    # only a column with more nulls than its source can hold a value that was not understood
    suspects = [
        field for field in checked if wide[f"={field.name}"].null_count() > wide[field.source or ""].null_count()
    ]
    if suspects:
        flags = wide.select_seq("source_position", *[flag(field).alias(field.name) for field in suspects])
        is_bad = flags.select(pl.any_horizontal([field.name for field in suspects])).to_series()
        if is_bad.any():
            for row, why in zip(
                wide.filter(is_bad).iter_rows(named=True), flags.filter(is_bad).iter_rows(named=True), strict=True
            ):
                field = next(field for field in suspects if why[field.name])
                rejects.append(
                    Reject(
                        position=row["source_position"],
                        raw=raw_text(row["source_position"]),
                        rule=field.rule,
                        reason=f"{row[field.source or '']!r} is not {field.expected}",
                        entity=entity,
                        field=field.name,
                        is_root=is_root,
                    )
                )
            wide = wide.filter(~is_bad)
    replaced = {field.name for field in fields}
    kept = [name for name in frame.columns if name not in replaced]
    good = wide.select_seq(kept + [f"={field.name}" for field in fields])
    good.columns = kept + [field.name for field in fields]
    return good, rejects


def columns_of(rows: Sequence[Any], paths: Iterable[str]) -> list[list[Any]]:
    """Attribute columns of decoded rows: one list per dotted path. No tuple per row, so nothing for the garbage collector."""
    return [list(map(attrgetter(path), rows)) for path in paths]


def frame_of(schema: Mapping[str, Any], columns: Sequence[Sequence[Any]]) -> pl.DataFrame:
    """A frame from columns in the order of ``schema``."""
    return pl.DataFrame(
        [pl.Series(name, values, dtype=dtype) for (name, dtype), values in zip(schema.items(), columns, strict=True)]
    )


# ---------------------------------------------------------------- local time, for filters


def local_filter_text(instant: datetime, zone: ZoneInfo) -> str:
    """The local time text from which a filter on naive local dates loses nothing that happened at or after ``instant``.

    When clocks go back after ``instant``, local texts repeat: the text is moved back by the same hour, so that the second pass
    of that hour is not skipped.
    """
    local = instant.astimezone(zone)
    later = (instant + timedelta(hours=3)).astimezone(zone)
    before, after = local.utcoffset() or timedelta(), later.utcoffset() or timedelta()
    if after < before:
        local -= before - after
    return local.replace(tzinfo=None).strftime("%Y-%m-%d %H:%M:%S")
