"""Runs SQL models in dependency order, each as `create or replace table`, with its documentation as comments."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass

import duckdb

from resources.errors import PermanentError, Where
from resources.given_tables import HISTORY, quoted
from resources.sql_project import SqlModel, SqlProject

KPI_VALUES = "kpis.kpi_value"


class ModelFailed(PermanentError):
    """A model's query did not run; says which file and the engine's own words."""


@dataclass(frozen=True)
class ModelResult:
    """One model built. ``columns``: name -> DuckDB type, in order; ``seconds`` of wall clock."""

    name: str
    rows: int
    seconds: float
    columns: dict[str, str]


def run_models(
    con: duckdb.DuckDBPyConnection, project: SqlProject, select: Collection[str] | None = None
) -> list[ModelResult]:
    """Build the selected models (names or whole schemas; all by default), in dependency order.

    Each model is replaced at once, so a failure leaves every table whole: the ones before it new, the others old.
    Raises ModelFailed.
    """
    return [build_model(con, model) for model in project.select(select)]


def build_model(con: duckdb.DuckDBPyConnection, model: SqlModel) -> ModelResult:
    """Replace one model's table. Raises ModelFailed."""
    started = time.monotonic()
    table = quoted(model.name)
    con.execute("begin")
    try:
        _create_schema(con, model.schema)
        con.execute(f"create or replace table {table} as\n{model.sql}")
        _comment(con, model)
        if model.name == KPI_VALUES:
            _keep_history(con)
        con.execute("commit")
    except duckdb.Error as error:
        con.execute("rollback")
        raise ModelFailed(
            f"model {model.name} did not run: {error}", where=Where(file=str(model.path)), action="correct its query"
        ) from error
    counted = con.execute(f"select count(*) from {table}").fetchall()
    described = con.execute(f"select * from {table} limit 0").description or []
    return ModelResult(
        name=model.name,
        rows=int(counted[0][0]),
        seconds=time.monotonic() - started,
        columns={str(column[0]): str(column[1]) for column in described},
    )


def _create_schema(con: duckdb.DuckDBPyConnection, schema: str) -> None:
    """Create a schema that no attached database has: `marts` is in the mart, and one transaction writes one database."""
    found = con.execute("select 1 from duckdb_schemas() where schema_name = ?", [schema]).fetchall()
    if not found:
        con.execute(f"create schema {quoted(schema)}")


def _comment(con: duckdb.DuckDBPyConnection, model: SqlModel) -> None:
    table = quoted(model.name)
    statements = [f"comment on table {table} is {_text(model.description)}"]
    for name, column in model.columns.items():
        told = f"{column.description} [{column.unit}]" if column.unit else column.description
        statements.append(f'comment on column {table}."{name}" is {_text(told)}')
    con.execute("; ".join(statements))


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _keep_history(con: duckdb.DuckDBPyConnection) -> None:
    """Carry k1b's daily rows over: channel stock is a snapshot, its past cannot be computed again."""
    listed = ", ".join(HISTORY["k1b_history"])
    rows = f"from {KPI_VALUES} where kpi_code = 'k1b' and period_kind = 'day'"
    con.execute(f"delete from kpis.k1b_history where period_start_on in (select period_start_on {rows})")
    con.execute(f"insert into kpis.k1b_history ({listed}) select {listed} {rows}")
