"""Splits a frame by its entity's contract: good rows, and refused rows each with its rule and reason.

The pandera schema is the contract. Its checks are compiled to polars expressions and run in one pass; what cannot be compiled
is left to pandera itself. A test holds that both refuse the same rows. Mapping and I/O do not belong here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any, NamedTuple

import pandera.backends.polars.builtin_checks  # noqa: F401  registers the built-in checks that the compiler reads
import pandera.polars as pa
import polars as pl
from pandera.api.polars.types import PolarsData
from pandera.errors import SchemaError, SchemaErrors

from resources.contracts.entity import Entity
from resources.contracts.key_order import is_any_twice
from resources.errors import ContractBroken, Where

NOT_NULL, UNIQUE = "not_null", "unique"
_ROW, _WITHIN = "_row", "_within"
_SHOWN_CHARACTERS = 80


class RefusedRow(NamedTuple):
    """A row that breaks its contract. ``row`` is its index in the frame; ``rule``, ``column`` of the first rule it breaks.

    ``reason`` tells all of them, with the values.
    """

    row: int
    position: str
    rule: str
    column: str | None
    reason: str


@dataclass(frozen=True)
class ContractSplit:
    """``good`` rows in their order, and the ``refused`` ones."""

    good: pl.DataFrame
    refused: tuple[RefusedRow, ...]


@dataclass(frozen=True)
class _Rule:
    name: str
    column: str | None
    expected: str
    is_bad: pl.Expr


class _Broken(NamedTuple):
    """A rule and, for each row of the frame, whether it breaks it."""

    rule: _Rule
    is_bad: pl.Series


class _NotCompilableError(Exception):
    """A check that is not one expression."""


class _Capture:
    """Stands where pandera's checks expect a LazyFrame and keeps the expression they select."""

    def select(self, *expressions: Any) -> pl.Expr:
        if len(expressions) == 1 and isinstance(expressions[0], pl.Expr):
            return expressions[0]
        return pl.all_horizontal(*expressions)


def split_by_contract(
    entity: Entity,
    frame: pl.DataFrame,
    *,
    where: Where | None = None,
    unique_within: pl.Expr | None = None,
    keeps_duplicates: bool = False,
) -> ContractSplit:
    """Split an eager frame that has all columns of ``entity``, envelope included, in the contract's order.

    Of rows with the same key the first good one is kept and the later ones are refused. ``unique_within``: what tells apart
    readings that may each hold the key, such as the files of one batch. ``keeps_duplicates``: the caller settles them.
    Raises ContractBroken when the frame does not have the contract's columns and types: then no row can be trusted.
    """
    _check_shape(entity, frame, where)
    if frame.is_empty():
        return ContractSplit(frame, ())
    try:
        rules = _compiled(entity.schema)
    except _NotCompilableError:
        broken = _told_by_pandera(frame, pandera_failures(entity, frame, where=where))
    else:
        broken = _broken_rules(frame, rules)
    if entity.schema.unique and not keeps_duplicates:
        broken.extend(_duplicates(frame, list(entity.schema.unique), unique_within, _any(broken)))
    is_refused = _any(broken)
    if is_refused is None:
        return ContractSplit(frame, ())
    return ContractSplit(frame.filter(~is_refused), _refused_rows(frame, broken, is_refused))


def pandera_failures(entity: Entity, frame: pl.DataFrame, *, where: Where | None = None) -> dict[int, list[_Rule]]:
    """Row index -> rules it breaks, as pandera's lazy validation tells them; key uniqueness left out.

    Raises ContractBroken for a failure without a row: it is one of the batch.
    """
    failures: dict[int, list[_Rule]] = defaultdict(list)
    try:
        entity.schema.validate(frame, lazy=True)
    except SchemaErrors as errors:
        for case in errors.failure_cases.iter_rows(named=True):
            if case["check"] == "multiple_fields_uniqueness":
                continue
            if case["index"] is None:
                raise _broken(entity, f"{case['column']}: {case['check']} ({case['failure_case']})", where) from errors
            name = NOT_NULL if case["check"] == "not_nullable" else str(case["check"])
            column = str(case["column"]) if case["schema_context"] == "Column" else None
            rule = _Rule(name, column, "not null" if name == NOT_NULL else name, pl.lit(True))
            failures[int(case["index"])].append(rule)
    return failures


def _check_shape(entity: Entity, frame: pl.DataFrame, where: Where | None) -> None:
    expected = entity.polars_schema
    if list(frame.columns) == list(expected) and all(frame.schema[name] == dtype for name, dtype in expected.items()):
        return
    try:
        entity.schema.validate(frame.clear(), lazy=True)
    except (SchemaErrors, SchemaError) as errors:
        missing = [name for name in expected if name not in frame.columns]
        extra = [name for name in frame.columns if name not in expected]
        types = [
            f"{name} is {frame.schema[name]} instead of {dtype}"
            for name, dtype in expected.items()
            if name in frame.columns and frame.schema[name] != dtype
        ]
        parts = [
            f"{label}: {', '.join(names)}"
            for label, names in (("missing columns", missing), ("unknown columns", extra), ("types", types))
            if names
        ]
        raise _broken(
            entity, "; ".join(parts) or f"columns out of order: {', '.join(frame.columns)}", where
        ) from errors


def _broken(entity: Entity, what: str, where: Where | None) -> ContractBroken:
    return ContractBroken(
        f"the rows do not have the shape of {entity.name}: {what}",
        where=where,
        action="nothing of this batch was loaded; fix the mapping or the feed, then read again",
    )


# By id of the schema, which is kept beside so that its id is not given to another: a schema has no hash.
_COMPILED: dict[int, tuple[pa.DataFrameSchema, tuple[_Rule, ...]]] = {}


def _compiled(schema: pa.DataFrameSchema) -> tuple[_Rule, ...]:
    if id(schema) not in _COMPILED:
        _COMPILED[id(schema)] = (schema, _compile(schema))
    return _COMPILED[id(schema)][1]


def _compile(schema: pa.DataFrameSchema) -> tuple[_Rule, ...]:
    rules = []
    for name, column in schema.columns.items():
        if not column.nullable:
            rules.append(_Rule(NOT_NULL, name, "not null", pl.col(name).is_null()))
        rules.extend(_rule(check, name) for check in column.checks)
    rules.extend(_rule(check, None) for check in schema.checks)
    return tuple(rules)


def _rule(check: pa.Check, column: str | None) -> _Rule:
    # pandera offers no public way to a check's function; a test compares with pandera's own validation.
    function = check._check_fn  # noqa: SLF001
    name = getattr(function, "__name__", None)
    if name and pa.Check.is_builtin_check(name):
        # pandera itself looks the function up again at this point: the one on the check is a dispatcher.
        function = pa.Check.get_builtin_check_fn(name)
    captured = PolarsData(_Capture(), column or "*")  # type: ignore[arg-type]
    result = function(captured, **(check._check_kwargs or {}))  # noqa: SLF001
    if not isinstance(result, pl.Expr):
        raise _NotCompilableError(str(check.name))
    return _Rule(str(check.name), column, str(check.error or check.name), ~result)


def _broken_rules(frame: pl.DataFrame, rules: tuple[_Rule, ...]) -> list[_Broken]:
    # A null breaks not_null only: pandera ignores nulls in every other check. Null counts are known without a look.
    nulls = {name: frame[name].null_count() for name in frame.columns}
    possible = [rule for rule in rules if _may_fail(rule, nulls, frame.height)]
    if not possible:
        return []
    found = frame.lazy().select(rule.is_bad.any().alias(str(number)) for number, rule in enumerate(possible)).collect()
    broken = [number for number, is_broken in enumerate(found.row(0)) if is_broken]
    if not broken:
        return []
    masks = frame.select(possible[number].is_bad.fill_null(False).alias(str(number)) for number in broken)
    return [_Broken(possible[number], masks[str(number)]) for number in broken]


def _told_by_pandera(frame: pl.DataFrame, failures: Mapping[int, Sequence[_Rule]]) -> list[_Broken]:
    rows_of: dict[tuple[str, str | None], tuple[_Rule, list[int]]] = {}
    for row, rules in failures.items():
        for rule in rules:
            rows_of.setdefault((rule.name, rule.column), (rule, []))[1].append(row)
    return [_Broken(rule, _mask(frame, rows)) for rule, rows in rows_of.values()]


def _mask(frame: pl.DataFrame, rows: Sequence[int] | pl.Series) -> pl.Series:
    return pl.repeat(False, frame.height, eager=True).scatter(rows, True)


def _any(broken: Sequence[_Broken]) -> pl.Series | None:
    """Rows that break any of the rules; None where nothing is broken."""
    return reduce(or_, (each.is_bad for each in broken)) if broken else None


def _may_fail(rule: _Rule, nulls: Mapping[str, int], height: int) -> bool:
    if rule.column is None:
        return True
    return nulls[rule.column] > 0 if rule.name == NOT_NULL else nulls[rule.column] < height


def _duplicates(
    frame: pl.DataFrame, key: list[str], within: pl.Expr | None, is_refused: pl.Series | None
) -> list[_Broken]:
    # One system and extract per frame is the rule, and then its column says nothing; two systems are still told apart.
    systems = frame["system_code"]
    is_one_system = systems.eq_missing(systems[0]).all()
    varying = [name for name in key if name != "system_code" or not is_one_system]
    keyed = frame.select(varying if within is None else [*varying, within.alias(_WITHIN)])
    if not is_any_twice(keyed):
        return []
    rows = keyed.with_row_index(_ROW)
    if is_refused is not None:
        rows = rows.filter(~is_refused)
    later = rows.filter(~pl.struct(keyed.columns).is_first_distinct())
    if later.is_empty():
        return []
    rule = _Rule(
        UNIQUE, ",".join(varying), "the first row with this key is kept, this later one is refused", pl.lit(True)
    )
    return [_Broken(rule, _mask(frame, later[_ROW]))]


def _refused_rows(frame: pl.DataFrame, broken: Sequence[_Broken], is_refused: pl.Series) -> tuple[RefusedRow, ...]:
    """The refused rows in their order. Their reasons are made column by column: one row in a hundred is many rows."""
    names = [name for name in frame.columns if any(name in _columns_of(each.rule) for each in broken)]
    values = frame.select(names).filter(is_refused)
    masks = [each.is_bad.filter(is_refused) for each in broken]
    told = pl.select(
        pl.coalesce(pl.when(mask).then(pl.lit(number, pl.UInt32)) for number, mask in enumerate(masks)).alias("first"),
        pl.concat_str(
            [pl.when(mask).then(_told(each.rule, values)) for mask, each in zip(masks, broken, strict=True)],
            separator="; ",
            ignore_nulls=True,
        ).alias("reason"),
    )
    rules = [each.rule for each in broken]
    return tuple(
        RefusedRow(row, position, rules[first].name, rules[first].column, reason)
        for row, position, first, reason in zip(
            is_refused.arg_true().to_list(),
            frame["source_position"].filter(is_refused).to_list(),
            told["first"].to_list(),
            told["reason"].to_list(),
            strict=True,
        )
    )


def _columns_of(rule: _Rule) -> list[str]:
    return [] if rule.column is None else rule.column.split(",")


def _told(rule: _Rule, values: pl.DataFrame) -> pl.Expr:
    """What each row is told of a rule, with its values."""
    if rule.column is None:
        return pl.lit(rule.expected)
    shown = [pl.lit(f"{name} is ") + _shown(values[name]) for name in _columns_of(rule) if name in values.columns]
    return pl.concat_str(shown, separator=", ") + pl.lit(f": {rule.expected}")


def _shown(values: pl.Series) -> pl.Series:
    """Values as :func:`shortened` shows each."""
    if values.dtype == pl.String:
        is_long = values.str.len_chars() > _SHOWN_CHARACTERS
        if is_long.any():
            values = (values.str.slice(0, _SHOWN_CHARACTERS) + "…").zip_with(is_long.fill_null(False), values)
    elif values.dtype.is_integer():
        values = values.cast(pl.String)
    else:
        values = pl.Series([shortened(value) for value in values.to_list()], dtype=pl.String)
    return values.fill_null("empty")


def shortened(value: object) -> str:
    """A value as a message shows it: at most 80 characters of it; null reads `empty`."""
    if value is None:
        return "empty"
    text = str(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
