"""Runs the real SQL models on given rows in a database of its own, in memory. No KPI rule here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import duckdb
import pyarrow as pa

from resources.given_tables import create_given_tables
from resources.sql_project import SqlProject, read_project
from tests.oracles.common import Row
from tests.oracles.tables import REFERENTIALS
from tests.spec_runner import SQL_DIR

ELSEWHERE = {
    "run_clock": "meta.run_clock",
    "kpi_threshold": "retailer.kpi_threshold",
    "k1b_history": "kpis.k1b_history",
}


@cache
def project() -> SqlProject:
    """The SQL project; mistakes outside the KPIs are other tests' business."""
    return read_project(SQL_DIR)[0]


@cache
def _prepared() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'")
    con.execute("set threads = 1")
    create_given_tables(con)
    con.execute("create schema referentials")
    for name, columns in REFERENTIALS.items():
        con.execute(
            f"create table referentials.{name} ({', '.join(f'{column} {kind}' for column, kind in columns.items())})"
        )
    return con


def run_kpis(
    tables: Mapping[str, Sequence[Row]], select: Sequence[str] = ("referentials.unacknowledged_line", "kpis")
) -> duckdb.DuckDBPyConnection:
    """Load the rows and build models, by default those of schema kpis. The connection is shared: read before the next call."""
    con = _prepared()
    given = {**{name: f"referentials.{name}" for name in REFERENTIALS}, **ELSEWHERE}
    for name, table in given.items():
        con.execute(f"delete from {table}")
        rows = tables.get(name, [])
        if rows:
            given_rows = pa.Table.from_pylist(list(rows))
            con.register("given_rows", given_rows)
            names = ", ".join(given_rows.column_names)
            con.execute(f"insert into {table} ({names}) select {names} from given_rows")
            con.unregister("given_rows")
    con.execute("delete from retailer.channel")
    con.execute("insert into retailer.channel by name select * from referentials.channel")
    for model in project().select(select):
        con.execute(f"create or replace table {model.name} as {model.sql}")
    return con


def rows_of(con: duckdb.DuckDBPyConnection, query: str) -> list[Row]:
    """Rows of a query as mappings."""
    cursor = con.execute(query)
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
