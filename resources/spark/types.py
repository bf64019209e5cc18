"""Which type a column has on both engines. DuckDB's is the law; Spark's is what Parquet gives back as the same.

Belongs here: the list of types, and the schemas of models that nobody has built yet.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

import duckdb

from resources.errors import ConfigurationError, Where
from resources.given_tables import create_given_tables, quoted
from resources.sql_project import SqlProject

_SPARK: Mapping[str, str] = {
    "VARCHAR": "string",
    "BIGINT": "bigint",
    "INTEGER": "int",
    "DOUBLE": "double",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "TIMESTAMP WITH TIME ZONE": "timestamp",
    "TIMESTAMPTZ": "timestamp",
}
_DECIMAL = re.compile(r"DECIMAL\((\d+), ?(\d+)\)")


def spark_type(table: str, column: str, duckdb_type: str) -> str:
    """Spark's name of a DuckDB type. Raises ConfigurationError for one that does not travel."""
    if duckdb_type in _SPARK:
        return _SPARK[duckdb_type]
    if decimal := _DECIMAL.fullmatch(duckdb_type):
        return f"decimal({decimal[1]},{decimal[2]})"
    raise ConfigurationError(
        f"column {column} of {table} is a {duckdb_type}, which Spark does not keep",
        where=Where(file=f"{table.replace('.', '/')}.sql"),
        action=f"cast it to one of {', '.join(name.lower() for name in _SPARK if name != 'TIMESTAMPTZ')}, decimal(p, s)",
    )


def model_schemas(project: SqlProject) -> Mapping[str, Mapping[str, str]]:
    """`schema.model` -> column -> DuckDB type of every model, in order: each is made empty in a database in memory."""
    return _schemas(tuple((name, model.sql, str(model.path)) for name, model in project.models.items()))


@lru_cache(maxsize=1)
def _schemas(models: tuple[tuple[str, str, str], ...]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    con = duckdb.connect()
    try:
        con.execute("set threads = 1")
        con.execute("set TimeZone = 'UTC'")
        create_given_tables(con)
        for name, sql, path in models:
            con.execute(f"create schema if not exists {quoted(name.partition('.')[0])}")
            try:
                con.execute(f"create table {quoted(name)} as select * from (\n{sql}\n) as model limit 0")
            except duckdb.Error as error:
                raise ConfigurationError(
                    f"model {name} is no valid query: {error}",
                    where=Where(file=path),
                    action="correct its query",
                ) from error
            described = con.execute(f"describe {quoted(name)}").fetchall()
            found[name] = {str(row[0]): str(row[1]) for row in described}
    finally:
        con.close()
    return found
