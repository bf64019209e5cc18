"""Keeps a table of sums up to date by what went and what came: a change costs what it touches, however many rows a sum has.

For models that group rows and only add up whole numbers: what the touched keys gave before is taken off, what they give now is put
on, by the model's own query over their rows of then and of now. A group that no row belongs to any more is gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import duckdb

from resources.given_tables import quoted
from resources.sql_increments import Increment
from resources.sql_project import SqlModel, SqlProject
from resources.warehouse.changes import IS_ADDED
from resources.warehouse.slices import NEW_ROWS, OLD_ROWS, ROW_ID, Slices


def make_sums(
    con: duckdb.DuckDBPyConnection, project: SqlProject, model: SqlModel, slices: Slices, logs: Mapping[str, str]
) -> None:
    """Make the tables of the touched groups as they stand, with their row ids, and as they are to be. ``logs``: input -> its log."""
    increment = slices.increment
    now = slices.cut()
    before = {table: _before(con, project, table, cut, logs.get(table)) for table, cut in now.items()}
    groups = [column for column in model.columns if column not in increment.sums]
    con.execute(
        f"create or replace temp table sum_changes as select {_listed(groups)}, {_summed(increment)} from ("
        f"select {_listed(groups)}, {_signed(increment, '')} from ({slices.over(now)}) union all "
        f"select {_listed(groups)}, {_signed(increment, '-')} from ({slices.over(before)})) group by all "
        f"having {' or '.join(f'sum({name}) <> 0' for name in _quoted(increment.sums))}"
    )
    same = " and ".join(f"t.{name} is not distinct from c.{name}" for name in _quoted(groups))
    con.execute(
        f"create or replace temp table {OLD_ROWS} as select t.rowid as {ROW_ID}, "
        # In the order of the new rows: both are compared column by column.
        f"{', '.join(f't.{name}' for name in _quoted([*groups, *increment.sums]))} "
        f"from {quoted(model.name)} as t semi join sum_changes as c on {same}"
    )
    together = f"(from (select * exclude ({ROW_ID}) from {OLD_ROWS}) union all by name from sum_changes)"
    con.execute(
        f"create or replace temp table {NEW_ROWS} as select {_listed(groups)}, {_summed(increment)} from {together} "
        f"group by all having {' or '.join(f'sum({name}) <> 0' for name in _quoted(increment.sums))}"
    )
    for name in {*now.values(), *before.values()}:
        con.execute(f"drop table {name}")


def _before(con: duckdb.DuckDBPyConnection, project: SqlProject, table: str, cut: str, log: str | None) -> str:
    """A temporary table of an input's rows of the touched keys, as they were before what its log tells."""
    if log is None:
        return cut
    columns = _listed(project.models[table].columns)
    name = f"{cut}_before"
    con.execute(
        f"create or replace temp table {name} as select {columns} from (select {columns} from {cut} union all "
        f"select {columns} from ({log}) where not {IS_ADDED}) except all select {columns} from ({log}) where {IS_ADDED}"
    )
    con.execute(f"alter table {name} add column {ROW_ID} bigint")
    return name


def _quoted(columns: Sequence[str]) -> list[str]:
    return [f'"{column}"' for column in columns]


def _listed(columns: Sequence[str] | Mapping[str, object]) -> str:
    return ", ".join(f'"{column}"' for column in columns)


def _signed(increment: Increment, sign: str) -> str:
    return ", ".join(f"{sign}{name} as {name}" for name in _quoted(increment.sums))


def _summed(increment: Increment) -> str:
    return ", ".join(f"cast(sum({name}) as bigint) as {name}" for name in _quoted(increment.sums))
