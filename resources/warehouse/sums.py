"""Keeps a table of sums up to date by what went and what came: a change costs what it touches, however many rows a sum has.

For models that group rows and only add up whole numbers: what the touched keys gave before is taken off, what they give now is put
on, by the model's own query over their rows of then and of now. A group that no row belongs to any more is gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import duckdb
from sqlglot import exp

from resources.given_tables import quoted
from resources.sql_increments import Increment
from resources.sql_project import SqlModel, SqlProject
from resources.warehouse.changes import IS_ADDED
from resources.warehouse.comparing import NEW_ROWS, OLD_ROWS, hashed
from resources.warehouse.places import ROW_ID, take
from resources.warehouse.slices import Slices


def make_sums(
    con: duckdb.DuckDBPyConnection, project: SqlProject, model: SqlModel, slices: Slices, logs: Mapping[str, str]
) -> None:
    """Make the tables of the touched groups as they stand, with their row ids, and as they are to be. ``logs``: input -> its log."""
    increment = slices.increment
    if _is_row_by_row(model):
        # What the other rows of the touched keys give goes and comes alike: they need not be read.
        (table,) = logs
        named = list(project.models[table].columns)
        now, before = ({table: _logged(con, named, logs[table], is_added=is_added)} for is_added in (True, False))
    else:
        now = slices.cut()
        before = {table: _before(con, cut, logs.get(table)) for table, cut in now.items()}
    groups = [column for column in model.columns if column not in increment.sums]
    con.execute(
        f"create or replace temp table sum_changes as select {_listed(groups)}, {_summed(increment)} from ("
        f"select {_listed(groups)}, {_signed(increment, '')} from ({slices.over(now)}) union all "
        f"select {_listed(groups)}, {_signed(increment, '-')} from ({slices.over(before)})) group by all "
        f"having {' or '.join(f'sum({name}) <> 0' for name in _quoted(increment.sums))}"
    )
    same = " and ".join(f"c.{name} is not distinct from t.{name}" for name in _quoted(groups))
    columns = [*groups, *increment.sums]
    kept = ", ".join([*(f"t.{name}" for name in _quoted(columns)), hashed(columns)])
    take(con, OLD_ROWS, quoted(model.name), kept, f"semi join sum_changes as c on {same}")
    listed = _listed(columns)
    together = f"(select {listed} from {OLD_ROWS} union all select {listed} from sum_changes)"
    con.execute(
        f"create or replace temp table {NEW_ROWS} as select t.*, {hashed(columns)} from ("
        f"select {_listed(groups)}, {_summed(increment)} from {together} "
        f"group by all having {' or '.join(f'sum({name}) <> 0' for name in _quoted(increment.sums))}) as t"
    )
    for name in {*now.values(), *before.values()}:
        con.execute(f"drop table {name}")


def _is_row_by_row(model: SqlModel) -> bool:
    """Whether each row of its one input adds to the sums what it is, whatever others there are."""
    query = model.expression
    return (
        isinstance(query, exp.Select)
        and len(list(query.find_all(exp.Table))) == 1
        and query.args.get("having") is None
        and not list(query.find_all(exp.Join, exp.Window, exp.Distinct, exp.Subquery, exp.CTE))
    )


def _logged(con: duckdb.DuckDBPyConnection, columns: Iterable[str], log: str, *, is_added: bool) -> str:
    """A temporary table of the rows that came, or that went."""
    name = "rows_came" if is_added else "rows_went"
    con.execute(
        f"create or replace temp table {name} as select cast(null as bigint) as {ROW_ID}, {_listed(columns)} "
        f"from ({log}) where {'' if is_added else 'not '}{IS_ADDED}"
    )
    return name


def _before(con: duckdb.DuckDBPyConnection, cut: str, log: str | None) -> str:
    """A temporary table of an input's rows of the touched keys, as they were before what its log tells."""
    if log is None:
        return cut
    described = con.execute(f"select * exclude ({ROW_ID}) from {cut} limit 0").description or []
    columns = _listed([str(column[0]) for column in described])
    name = f"{cut}_before"
    con.execute(
        f"create or replace temp table {name} as select cast(null as bigint) as {ROW_ID}, {columns} from ("
        f"select {columns} from {cut} union all select {columns} from ({log}) where not {IS_ADDED}) "
        f"except all select cast(null as bigint) as {ROW_ID}, {columns} from ({log}) where {IS_ADDED}"
    )
    return name


def _quoted(columns: Sequence[str]) -> list[str]:
    return [f'"{column}"' for column in columns]


def _listed(columns: Iterable[str]) -> str:
    return ", ".join(f'"{column}"' for column in columns)


def _signed(increment: Increment, sign: str) -> str:
    return ", ".join(f"{sign}{name} as {name}" for name in _quoted(increment.sums))


def _summed(increment: Increment) -> str:
    return ", ".join(f"cast(sum({name}) as bigint) as {name}" for name in _quoted(increment.sums))
