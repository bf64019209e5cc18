"""How a model's `.yml` says that it can be built in part: its key, the rows of each input that one key needs, what its clock moves.

Belongs here: the form of the declaration and the mistakes in it. What is done with it is in :mod:`resources.warehouse.incremental`;
docs/how-to/build-a-model-in-part.md explains it to who writes a model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, TokenError

THIS = "this"
CLOCK = "meta.run_clock"
BEFORE, NOW = "before_at", "now_at"
_KEYS = frozenset({"key", "slices", "whole", "clock", "sums"})
_SLICE_KEYS = frozenset({"rows", "by", "of", "its", "when", "added"})
_DIALECT = "duckdb"
_GIVEN = frozenset({"canonical", "retailer", "meta"})
"""Schemas of tables that no model makes."""


@dataclass(frozen=True)
class Slice:
    """Which rows of one input a set of keys needs, and so which keys a changed row of it touches.

    ``by``: expressions over ``rows``. Without ``of`` they are the key. With ``of``, rows are needed whose ``by`` equals ``its``
    of the rows of that table that earlier slices need. ``of`` may be `this`, the model's own present rows: then it only tells
    which keys a change touches (``when`` narrows that, over `changed` and `this`), and the input is read whole. ``added``: only
    rows may have come, and they touch the present rows that this condition holds for; the input is read whole.
    """

    rows: str
    by: tuple[str, ...] = ()
    of: str | None = None
    its: tuple[str, ...] = ()
    when: str | None = None
    added: str | None = None

    @property
    def followed_columns(self) -> frozenset[str]:
        """The columns of ``rows`` by which its changes are followed."""
        found = {column for expression in self.by for column in columns_of(expression)}
        return frozenset(found | (columns_of(self.when, "changed") if self.when is not None else set()))

    @property
    def is_read_whole(self) -> bool:
        """Whether it tells what a change touches, and restricts nothing."""
        return self.added is not None or self.of == THIS


@dataclass(frozen=True)
class ClockRule:
    """Rows of a table whose outcome may move with the run's clock alone, from `before_at` to `now_at`. ``rows`` may be `this`."""

    rows: str
    where: str


@dataclass(frozen=True)
class Increment:
    """A model that can be built for some of its keys. ``whole``: inputs of which any change rebuilds it all.

    ``sums``: the model only groups rows and adds up these columns, whole numbers of which one counts rows; its other columns name
    the group. Its key then is one of its inputs, and no column of its own.
    """

    key: tuple[str, ...]
    slices: tuple[Slice, ...]
    whole: tuple[str, ...] = ()
    clock: tuple[ClockRule, ...] = ()
    sums: tuple[str, ...] = ()

    def slices_of(self, table: str) -> list[tuple[int, Slice]]:
        """The slices of one input, each with its place."""
        return [(place, one) for place, one in enumerate(self.slices) if one.rows == table]


def columns_of(expression: str, table: str | None = None) -> set[str]:
    """The columns that an expression names; those said to be of ``table`` only, when it is given."""
    found = sqlglot.parse_one(expression, dialect=_DIALECT).find_all(exp.Column)
    return {column.name for column in found if table is None or column.table == table}


def read_increment(
    content: Mapping[str, Any], refs: Sequence[str], selected: Sequence[str], mistakes: list[str]
) -> Increment | None:
    """The block `incremental` of a model's `.yml`; what is wrong with it is added to ``mistakes``, without the file's name."""
    declared = content.get("incremental")
    if declared is None:
        return None
    found = list(_mistakes(declared, refs, selected))
    mistakes.extend(f"incremental: {mistake}" for mistake in found)
    if found:
        return None
    return Increment(
        key=_listed(declared["key"]),
        slices=tuple(_slice(one) for one in declared["slices"]),
        whole=tuple(declared.get("whole") or ()),
        clock=tuple(ClockRule(one["rows"], one["where"]) for one in declared.get("clock") or ()),
        sums=_listed(declared["sums"]) if "sums" in declared else (),
    )


def _listed(value: Any) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else (str(value),)


def _slice(declared: Mapping[str, Any]) -> Slice:
    by = _listed(declared["by"]) if "by" in declared else ()
    of = declared.get("of")
    its = _listed(declared["its"]) if "its" in declared else by if of else ()
    return Slice(declared["rows"], by, of, its, declared.get("when"), declared.get("added"))


def _mistakes(declared: Any, refs: Sequence[str], selected: Sequence[str]) -> Iterator[str]:
    if not isinstance(declared, dict) or not declared.get("key") or not isinstance(declared.get("slices"), list):
        yield "it needs a key (columns of the model) and slices (which rows of each input a key needs)"
        return
    if unknown := sorted(set(declared) - _KEYS):
        yield f"unknown key {', '.join(unknown)}; expected {', '.join(sorted(_KEYS))}"
    key = _listed(declared["key"])
    sums = _listed(declared["sums"]) if "sums" in declared else ()
    for column in sums or key:
        if column not in selected:
            yield f"column {column} is not selected"
    if sums and (
        declared.get("clock") or any(isinstance(one, dict) and set(one) != {"rows", "by"} for one in declared["slices"])
    ):
        yield "sums are kept of inputs that hold the key themselves: slices have rows and by alone, and there is no clock"
    if sums and (given := sorted(ref for ref in refs if ref.split(".")[0] in _GIVEN)):
        yield f"sums are kept of models, whose rows are known as they were before; {', '.join(given)} is none"
    named: list[str] = []
    for place, one in enumerate(declared["slices"], 1):
        problem = _slice_mistake(one, key, refs, named)
        if problem:
            yield f"slice {place}: {problem}"
        elif isinstance(one, dict):
            named.append(one["rows"])
    whole = list(declared.get("whole") or ())
    clock = declared.get("clock") or ()
    for one in clock:
        if not isinstance(one, dict) or set(one) != {"rows", "where"}:
            yield f"a clock rule has rows and where; got {one!r}"
        elif one["rows"] != THIS and one["rows"] not in named:
            yield f"a clock rule speaks of {one['rows']}, of which there is no slice"
        elif problem := _unreadable(one["where"]):
            yield problem
    known = {*named, *whole, *((CLOCK,) if clock else ())}
    if missing := sorted(set(refs) - known):
        yield f"nothing is said of {', '.join(missing)}; give slices, or name it in whole (the clock: in clock or in whole)"
    if extra := sorted({*named, *whole} - set(refs)):
        yield f"{', '.join(extra)} is not read by the model"


def _slice_mistake(one: Any, key: Sequence[str], refs: Sequence[str], earlier: Sequence[str]) -> str | None:
    if not isinstance(one, dict) or not one.get("rows") or set(one) - _SLICE_KEYS:
        return f"expected rows, by, of, its, when or added; got {one!r}"
    if one["rows"] not in refs:
        return f"{one['rows']} is not read by the model"
    if "added" in one:
        return "added goes without by and of" if set(one) - {"rows", "added"} else _unreadable(one["added"])
    if "by" not in one:
        return "it needs by: the columns that hold the key, or that join it with of"
    of = one.get("of")
    if of is None and len(_listed(one["by"])) != len(key):
        return f"by has {len(_listed(one['by']))} column(s), the key {len(key)}"
    if of not in (None, THIS) and of not in earlier:
        return f"of {of}: no slice before this one is of that table"
    if "its" in one and (of is None or len(_listed(one["its"])) != len(_listed(one["by"]))):
        return "its goes with of, with as many columns as by"
    if "when" in one and of != THIS:
        return "when goes with `of: this`"
    expressions = [*_listed(one["by"]), *(_listed(one["its"]) if "its" in one else ()), one.get("when")]
    return next((problem for text in expressions if text is not None and (problem := _unreadable(text))), None)


def _unreadable(text: Any) -> str | None:
    try:
        sqlglot.parse_one(str(text), dialect=_DIALECT)
    except (ParseError, TokenError) as error:
        return f"{text!r} is not readable as SQL: {str(error).splitlines()[0]}"
    return None
