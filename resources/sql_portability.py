"""SQL that only one engine understands, or that two understand differently: found in a parsed model, told with the portable way to say it.

The same files run on DuckDB and on Spark (docs/scale.md). Functions are allowed by name: those of TRAVELS gave the same on DuckDB, Apache
Spark 4 and Sail, and tests/spark/test_functions.py runs each of them on both engines. Belongs here: what is refused, and why.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from sqlglot import exp

_LISTS = "keep one value per row, or text made by string_agg"
_CLOCK = "read as_of_at of meta.run_clock"
_DAYS = "join the calendar (referentials.location_day, channel_day), which numbers its days"
_MIDDLE = "number the rows with row_number() and take the one wanted, as kpis.k2_duration_value does"
_MEAN = "sum and count in integers, and divide once where the value is shown"
_HALF_UP = "compute in integers, half up: cast(floor((2 * a + b) / (2 * b)) as bigint)"

_FORBIDDEN: tuple[tuple[type[exp.Expr], str, str], ...] = (
    (exp.Qualify, "QUALIFY", "number the rows in a CTE with row_number() and filter in the next"),
    (exp.Pivot, "PIVOT", "write one `max(case when ... then ... end)` per column"),
    (exp.Columns, "COLUMNS(...)", "write the columns out"),
    (exp.Lambda, "a lambda", "join and group rows instead of working on a list"),
    (exp.Array, "a list", _LISTS),
    (exp.ArrayAgg, "list() / array_agg()", _LISTS),
    (exp.Struct, "a struct", "use one column per field"),
    (exp.Unnest, "unnest", "join to a table that holds one value per row"),
    (exp.Explode, "unnest", "join to a table that holds one value per row"),
    (exp.Bracket, "an index into a list", "use one column per field"),
    (exp.CurrentTimestamp, "the engine's clock", _CLOCK),
    (exp.CurrentDate, "the engine's clock", _CLOCK),
    (exp.Localtimestamp, "the engine's clock", _CLOCK),
    (exp.Rand, "a random number", "order by something that is the same at each run"),
    (exp.Uuid, "a random id", "make the id from the row's own key"),
    (exp.TableSample, "a sample", "choose rows by a rule that gives the same ones again"),
    (exp.IntDiv, "`//`", "cast(floor(a / b) as bigint), exact as long as a is below 2^53"),
    (exp.Interval, "an interval", _DAYS),
    (exp.Lateral, "a lateral join", "join on the columns, or use a window function"),
    (exp.TryCast, "try_cast", "contracts refuse what cannot be read; cast what they let through"),
    (exp.IgnoreNulls, "`ignore nulls`", "leave the nulls out in a CTE before"),
    (exp.WithinGroup, "`within group`", _MIDDLE),
    (exp.SimilarTo, "SIMILAR TO", "regexp_matches with ranges like [0-9], or like"),
    (exp.Glob, "GLOB", "like"),
    (exp.Collate, "a collation", "compare the texts as they are: both engines order them by code point"),
    (exp.Pow, "a power", "multiply"),
)

TRAVELS: frozenset[type[exp.Expr]] = frozenset({
    exp.Abs, exp.And, exp.Case, exp.Cast, exp.Coalesce, exp.Count, exp.CountIf, exp.DenseRank, exp.Exists, exp.Extract, exp.FirstValue,
    exp.Floor, exp.Greatest, exp.GroupConcat, exp.If, exp.Lag, exp.LastValue, exp.Lead, exp.Least, exp.Length, exp.LogicalAnd,
    exp.LogicalOr, exp.Lower, exp.MD5, exp.Max, exp.Min, exp.Nullif, exp.Or, exp.Pad, exp.Rank, exp.RegexpLike, exp.Replace,
    exp.RowNumber, exp.SplitPart, exp.StartsWith, exp.StrPosition, exp.Substring, exp.Sum, exp.TimeToStr, exp.TimeToUnix,
    exp.TimestampTrunc, exp.Translate, exp.Trim, exp.Upper,
})  # fmt: skip
"""Functions that give the same on every engine, null by null. To add one, add its samples to the test."""

_FUNCTIONS: Mapping[type[exp.Expr], tuple[str, str]] = {
    exp.Round: ("round()", _HALF_UP),
    exp.Ceil: ("ceil()", "cast(floor((a + b - 1) / b) as bigint)"),
    exp.Sign: ("sign()", "case when a > 0 then 1 when a < 0 then -1 else 0 end"),
    exp.Avg: ("avg()", _MEAN),
    exp.Stddev: ("stddev()", _MEAN),
    exp.Variance: ("variance()", _MEAN),
    exp.Median: ("median()", _MIDDLE),
    exp.Quantile: ("quantile()", _MIDDLE),
    exp.PercentileCont: ("quantile_cont()", _MIDDLE),
    exp.PercentileDisc: ("quantile_disc()", _MIDDLE),
    exp.Mode: ("mode()", "count per value, then number the values with row_number() and a full order"),
    exp.AnyValue: ("any_value()", "min() or max(), which take the same one each time"),
    exp.First: ("first()", "row_number() with a full order in a CTE, then the first row"),
    exp.Last: ("last()", "row_number() with a full order in a CTE, then the first row"),
    exp.ArgMax: ("arg_max()", "row_number() with a full order in a CTE, then the first row"),
    exp.ArgMin: ("arg_min()", "row_number() with a full order in a CTE, then the first row"),
    exp.Concat: ("concat()", "`a || b`, with coalesce where a null is to be left out: concat skips nulls here and not there"),
    exp.ConcatWs: ("concat_ws()", "`a || ', ' || b`, with coalesce where a null is to be left out"),
    exp.DateDiff: ("date_diff()", f"{_DAYS}, or subtract epochs: cast(floor(epoch(a)) - floor(epoch(b)) as bigint)"),
    exp.DateAdd: ("date_add()", _DAYS),
    exp.DateSub: ("date_sub()", _DAYS),
    exp.DayOfWeek: ("dayofweek()", "count days from a Monday: (cast(floor(epoch(d) / 86400) as bigint) + 3) % 7 is 0 on Mondays"),
    exp.DayOfWeekIso: ("isodow()", "count days from a Monday: (cast(floor(epoch(d) / 86400) as bigint) + 3) % 7 is 0 on Mondays"),
    exp.LastDay: ("last_day()", _DAYS),
    exp.RegexpReplace: ("regexp_replace()", "translate() or replace()"),
    exp.RegexpExtract: ("regexp_extract()", "substring() with position(), or split_part()"),
    exp.GenerateSeries: ("generate_series()", _DAYS),
    exp.GenerateDateArray: ("generate_series()", _DAYS),
    exp.Sqrt: ("sqrt()", "compare squares: the last digit of a root differs between engines"),
    exp.Ln: ("ln()", "rates and shares need no logarithm; its last digit differs between engines"),
    exp.Exp: ("exp()", "rates and shares need no exponential; its last digit differs between engines"),
    exp.Left: ("left()", "substring(text, 1, n)"),
    exp.Right: ("right()", "substring(text, -n)"),
    exp.NthValue: ("nth_value()", "number the rows with row_number() and take the one wanted"),
    exp.Ntile: ("ntile()", "number the rows with row_number() and divide"),
}  # fmt: skip
"""What is refused by name, and what to write instead."""

_TYPES = frozenset({
    exp.DataType.Type.BIGINT, exp.DataType.Type.INT, exp.DataType.Type.DOUBLE, exp.DataType.Type.BOOLEAN, exp.DataType.Type.TEXT,
    exp.DataType.Type.VARCHAR, exp.DataType.Type.DATE, exp.DataType.Type.TIMESTAMPTZ, exp.DataType.Type.DECIMAL,
})  # fmt: skip
_WHOLE = frozenset({exp.DataType.Type.BIGINT, exp.DataType.Type.INT})
_TEXTS = frozenset({exp.DataType.Type.TEXT, exp.DataType.Type.VARCHAR})
_PARTS = frozenset({"YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE"})

_FORMAT_PARTS = re.compile("%[YmdHMS]")

# Functions that the parser has no class for.
_CLOCK_FUNCTIONS = frozenset({"now", "get_current_timestamp", "transaction_timestamp"})


def portability_mistakes(query: exp.Query, *, is_check: bool = False) -> Iterator[str]:
    """One sentence per kind of construct that is not portable, without the file's name.

    ``is_check``: a check's query may show all columns of the rows that break it.
    """
    yield from dict.fromkeys(_mistakes(query, is_check=is_check))


def _mistakes(query: exp.Query, *, is_check: bool) -> Iterator[str]:
    for kind, name, instead in _FORBIDDEN:
        if query.find(kind) is not None:
            yield _told(name, instead)
    for node in query.walk():
        if isinstance(node, exp.Func):
            yield from _of_function(node)
        if isinstance(node, exp.Cast):
            yield from _of_cast(node)
        elif isinstance(node, exp.Join):
            yield from _of_join(node)
        elif isinstance(node, exp.Group) and node.args.get("all"):
            yield _told("GROUP BY ALL", "write the columns out")
        elif isinstance(node, exp.With) and node.recursive:
            yield _told("a recursive CTE", "join a calendar or a table that holds the steps")
        elif isinstance(node, exp.Distinct) and node.args.get("on"):
            yield _told("DISTINCT ON", "number the rows in a CTE with row_number() and keep the first")
        elif isinstance(node, exp.SetOperation) and node.args.get("by_name"):
            yield _told("UNION BY NAME", "select the columns of both parts in one order")
        elif isinstance(node, exp.Star) and (
            node.args.get("except_") or node.args.get("replace") or node.args.get("rename")
        ):
            yield _told("`* exclude` / `* replace`", "write the columns out")
        elif (
            isinstance(node, exp.Limit)
            and not is_check
            and node.parent is not None
            and not node.parent.args.get("order")
        ):
            yield _told(
                "LIMIT without ORDER BY", "order by a full key first: which rows come is else the engine's choice"
            )
        elif isinstance(node, exp.Add | exp.Sub):
            yield from _of_sum(node)
    if not is_check and any(isinstance(column, exp.Star) or column.is_star for column in query.selects):
        yield "SELECT * in the final select hides the columns; write them out"


def _told(name: str, instead: str) -> str:
    return f"{name} is not portable; {instead}"


def _of_function(call: exp.Func) -> Iterator[str]:
    kind = type(call)
    if isinstance(call, exp.Anonymous):
        name = call.name.lower()
        instead = _CLOCK if name in _CLOCK_FUNCTIONS else _UNKNOWN
        yield _told("the engine's clock" if name in _CLOCK_FUNCTIONS else f"{name}()", instead)
    elif kind in _FUNCTIONS:
        yield _told(*_FUNCTIONS[kind])
    elif kind not in TRAVELS and not any(issubclass(kind, forbidden) for forbidden, _, _ in _FORBIDDEN):
        yield _told(f"{call.sql_name().lower()}()", _UNKNOWN)
    elif isinstance(call, exp.TimestampTrunc) and not _is_cast_to(call.parent, exp.DataType.Type.DATE):
        yield _told("date_trunc() as it is", "cast(date_trunc('month', d) as date): its type differs between engines")
    elif isinstance(call, exp.Extract) and call.name.upper() not in _PARTS:
        yield _told(
            f"extract({call.name.lower()} ...)",
            _FUNCTIONS[exp.DayOfWeek][1]
            if "DOW" in call.name.upper() or "WEEK" in call.name.upper()
            else f"use {', '.join(sorted(_PARTS)).lower()}, or epoch()",
        )
    elif isinstance(call, exp.Substring) and call.args.get("start") is not None and call.args["start"].sql() == "0":
        yield _told("substring from 0", "count characters from 1")
    elif isinstance(call, exp.RegexpLike) and not _is_plain_pattern(call.expression):
        yield _told("this regular expression", "use a literal with ranges like [0-9]: no backslash, no (? group")
    elif isinstance(call, exp.TimeToStr) and not _is_plain_format(call.args.get("format")):
        yield _told(
            "this format of strftime()",
            "use %Y %m %d %H %M %S with signs between them; put letters beside it with ||, which Spark would take for parts of a date",
        )
    elif isinstance(call, exp.Count) and isinstance(call.this, exp.Distinct) and _is_several(call.this.expressions):
        yield _told("count(distinct a, b)", "select distinct a, b in a CTE and count its rows")
    elif isinstance(call, exp.Sum) and _is_fraction(call.this):
        yield _told("a sum of fractions", f"{_MEAN}: the order of adding changes the last digit")


_UNKNOWN = (
    "use a function of TRAVELS in resources/sql_portability.py, or show by samples in tests/spark/test_functions.py that both engines "
    "give the same and add it there"
)


def _of_cast(cast: exp.Cast) -> Iterator[str]:
    if cast.to.this not in _TYPES:
        yield _told(
            f"the type {cast.to.sql('duckdb').lower()}",
            "use bigint, integer, double, decimal(p, s), varchar, boolean, date or timestamptz",
        )
    if cast.to.this in _WHOLE and _is_fraction(cast.this):
        yield _told(
            "casting a fraction to a whole number",
            "cast(floor(a / b) as bigint): one engine rounds, the other cuts off",
        )
    if cast.to.this in _TEXTS and _is_fraction(cast.this):
        yield _told("a fraction as text", "show whole numbers: engines write fractions differently")
    if cast.to.this in _TEXTS and isinstance(cast.this, exp.Column) and cast.this.name.endswith("_at"):
        yield _told(
            "an instant as text",
            "strftime(x_at, '%Y-%m-%d %H:%M:%S'): engines write its zone and fractions differently",
        )


def _of_join(join: exp.Join) -> Iterator[str]:
    method = (join.args.get("method") or "").upper()
    if method == "ASOF":
        yield _told("ASOF JOIN", "make validity ranges with lead() and join with `from <= at and at < to`")
    elif method:
        yield _told(f"{method} JOIN", "name the columns in `on`")


def _of_sum(node: exp.Add | exp.Sub) -> Iterator[str]:
    for side in (node.left, node.right):
        if isinstance(side, exp.Column) and side.name.endswith(("_on", "_at", "_date")):
            yield _told(
                "arithmetic on days and instants",
                "number the days, cast(floor(epoch(d) / 86400) as bigint), or join the calendar; for seconds subtract epochs",
            )


def _is_cast_to(node: exp.Expr | None, kind: exp.DType) -> bool:
    return isinstance(node, exp.Cast) and node.to.this == kind


def _is_fraction(node: exp.Expr) -> bool:
    """Whether a division's outcome comes through to here: not what floor(), a comparison or a cast to a whole number made of it."""
    if isinstance(node, exp.Div):
        return True
    if isinstance(node, exp.Floor | exp.Predicate) or (isinstance(node, exp.Cast) and node.to.this in _WHOLE):
        return False
    return any(_is_fraction(child) for child in node.iter_expressions() if not isinstance(child, exp.Query))


def _is_plain_pattern(pattern: exp.Expr | None) -> bool:
    return isinstance(pattern, exp.Literal) and "\\" not in pattern.name and "(?" not in pattern.name


def _is_plain_format(pattern: exp.Expr | None) -> bool:
    if not isinstance(pattern, exp.Literal):
        return False
    rest = _FORMAT_PARTS.sub("", pattern.name)
    return not any(letter.isalpha() or letter in "%'" for letter in rest)


def _is_several(columns: list[exp.Expr]) -> bool:
    return len(columns) > 1 or any(isinstance(column, exp.Tuple) for column in columns)
