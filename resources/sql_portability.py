"""SQL that only one engine understands: found in a parsed model, told with the portable way to say it.

The same files are to run on DuckDB and, when a retailer outgrows one machine, on Spark; docs/architecture.md says why.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

_FORBIDDEN: tuple[tuple[type[exp.Expr], str, str], ...] = (
    (exp.Qualify, "QUALIFY", "number the rows in a CTE with row_number() and filter in the next"),
    (exp.Pivot, "PIVOT", "write one `max(case when ... then ... end)` per column"),
    (exp.Columns, "COLUMNS(...)", "write the columns out"),
    (exp.Lambda, "a lambda", "join and group rows instead of working on a list"),
    (exp.Array, "a list", "keep one value per row, or text made by string_agg"),
    (exp.ArrayAgg, "list() / array_agg()", "keep one value per row, or text made by string_agg"),
    (exp.Struct, "a struct", "use one column per field"),
    (exp.Unnest, "unnest", "join to a table that holds one value per row"),
    (exp.Explode, "unnest", "join to a table that holds one value per row"),
    (exp.Bracket, "an index into a list", "use one column per field"),
    (exp.CurrentTimestamp, "the engine's clock", "read as_of_at of meta.run_clock"),
    (exp.CurrentDate, "the engine's clock", "read as_of_at of meta.run_clock"),
    (exp.Localtimestamp, "the engine's clock", "read as_of_at of meta.run_clock"),
    (exp.Rand, "a random number", "order by something that is the same at each run"),
    (exp.Uuid, "a random id", "make the id from the row's own key"),
    (exp.TableSample, "a sample", "choose rows by a rule that gives the same ones again"),
)

# Functions that the parser has no class for.
_CLOCK_FUNCTIONS = frozenset({"now", "get_current_timestamp", "transaction_timestamp"})


def portability_mistakes(query: exp.Query) -> Iterator[str]:
    """One sentence per kind of construct that is not portable, without the file's name."""
    for kind, name, instead in _FORBIDDEN:
        if query.find(kind) is not None:
            yield f"{name} is not portable; {instead}"
    if any(call.name.lower() in _CLOCK_FUNCTIONS for call in query.find_all(exp.Anonymous)):
        yield "the engine's clock is not portable; read as_of_at of meta.run_clock"
    for join in query.find_all(exp.Join):
        if (join.args.get("method") or "").upper() == "ASOF":
            yield "ASOF JOIN is not portable; make validity ranges with lead() and join with `from <= at and at < to`"
            break
    for group in query.find_all(exp.Group):
        if group.args.get("all"):
            yield "GROUP BY ALL is not portable; write the columns out"
            break
    if any(isinstance(column, exp.Star) or column.is_star for column in query.selects):
        yield "SELECT * in the final select hides the columns; write them out"
