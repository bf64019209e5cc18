"""What every model's table gets once its rows are there, whichever engine made them: its documentation, and the history kept of it."""

from __future__ import annotations

from typing import Literal

import duckdb

from resources.given_tables import HISTORY, quoted
from resources.sql_project import SqlModel
from resources.warehouse.publish import literal

KPI_VALUES = "kpis.kpi_value"


def create_schema(con: duckdb.DuckDBPyConnection, schema: str) -> None:
    """Create a schema that no attached database has: `marts` is in the mart, and one transaction writes one database."""
    found = con.execute("select 1 from duckdb_schemas() where schema_name = ?", [schema]).fetchall()
    if not found:
        con.execute(f"create schema {quoted(schema)}")


def comment_on(con: duckdb.DuckDBPyConnection, model: SqlModel, *, kind: Literal["table", "view"] = "table") -> None:
    """Write a model's documentation beside its rows, where a BI tool shows it."""
    table = quoted(model.name)
    statements = [f"comment on {kind} {table} is {literal(model.description)}"]
    for name, column in model.columns.items():
        told = f"{column.description} [{column.unit}]" if column.unit else column.description
        statements.append(f'comment on column {table}."{name}" is {literal(told)}')
    con.execute("; ".join(statements))


def keep_history(con: duckdb.DuckDBPyConnection) -> None:
    """Carry k1b's daily rows over: channel stock is a snapshot, its past cannot be computed again."""
    listed = ", ".join(HISTORY["k1b_history"])
    rows = f"from {KPI_VALUES} where kpi_code = 'k1b' and period_kind = 'day'"
    con.execute(f"delete from kpis.k1b_history where period_start_on in (select period_start_on {rows})")
    con.execute(f"insert into kpis.k1b_history ({listed}) select {listed} {rows}")
