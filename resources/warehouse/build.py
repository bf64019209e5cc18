"""Runs SQL models in dependency order, each whole as `create or replace table` or in part, with its documentation as comments."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass

import duckdb

from resources.errors import PermanentError, Where
from resources.given_tables import HISTORY, quoted
from resources.sql_project import SqlModel, SqlProject
from resources.warehouse import changes, incremental

KPI_VALUES = "kpis.kpi_value"


class ModelFailed(PermanentError):
    """A model's query did not run; says which file and the engine's own words."""


@dataclass(frozen=True)
class ModelResult:
    """One model built. ``columns``: name -> DuckDB type, in order; ``seconds`` of wall clock.

    ``how``: `whole`, `part` (the keys that changed) or `left` (nothing it reads changed). ``changed_rows_qty``: rows that went or came;
    None where nobody compared.
    """

    name: str
    rows: int
    seconds: float
    columns: dict[str, str]
    how: str = "whole"
    changed_rows_qty: int | None = None


def run_models(
    con: duckdb.DuckDBPyConnection,
    project: SqlProject,
    select: Collection[str] | None = None,
    *,
    is_incremental: bool = False,
    whole_share: float = incremental.WHOLE_SHARE,
) -> list[ModelResult]:
    """Build the selected models (names or whole schemas; all by default), in dependency order.

    ``is_incremental``: only what changed since the last build, with the same outcome; a change of more than ``whole_share`` of a
    model's rows builds it whole. Each model is replaced at once, so a failure leaves every table whole: the ones before it new, the
    others old. Raises ModelFailed.
    """
    incremental.begin(con, project)
    results = [
        build_model(con, project, model, is_incremental=is_incremental, whole_share=whole_share)
        for model in project.select(select)
    ]
    incremental.end(con, project)
    return results


def build_model(
    con: duckdb.DuckDBPyConnection,
    project: SqlProject,
    model: SqlModel,
    *,
    is_incremental: bool = False,
    whole_share: float = incremental.WHOLE_SHARE,
) -> ModelResult:
    """Bring one model's table up to date. Raises ModelFailed."""
    started = time.monotonic()
    table = quoted(model.name)
    try:
        change = incremental.build_part(con, project, model, share=whole_share) if is_incremental else None
        if change is None:
            change = _build_whole(con, project, model)
    except duckdb.Error as error:
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
        how=change.how,
        changed_rows_qty=change.rows_qty,
    )


def _build_whole(con: duckdb.DuckDBPyConnection, project: SqlProject, model: SqlModel) -> incremental.Change:
    con.execute("begin")
    try:
        _create_schema(con, model.schema)
        con.execute(f"create or replace table {quoted(model.name)} as\n{model.sql}")
        _comment(con, model)
        if model.name == KPI_VALUES:
            _keep_history(con)
        if incremental.is_apart(model):
            # One transaction writes one database. A crash between the two builds the model once more.
            con.execute("commit; begin")
        incremental.note_whole(con, project, model)
        con.execute("commit")
    except BaseException:
        con.execute("rollback")
        raise
    return incremental.Change("whole", None)


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
    changes.changed_rows(con, "kpis.k1b_history", None, ())
