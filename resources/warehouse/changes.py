"""What changed in which table since when: versions, logs of changed rows, and what each model has taken in of them.

Belongs here: the schema `increment` of the warehouse. A table's version grows when its rows differ; its log names the rows that
went or came, by the columns that models built in part follow, back to the version from which on nobody knows (`whole_version`).
Who writes rows writes the log in the same transaction; who reads it notes the version in the transaction of its own table. So a
crash at any point repeats work and loses no change.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb

from resources.contracts.entity import entities
from resources.given_tables import quoted
from resources.sql_project import SqlProject

SCHEMA = "increment"
LOG_SHARE = 0.2
"""A log that holds more than this share of its table is given up: building whole is as cheap."""
LOG_ALWAYS_ROWS = 20_000
IS_ADDED, VERSION = "_is_added", "_version"

_TABLES = """
create schema if not exists increment;
create table if not exists increment.table_state (table_name varchar, version bigint, whole_version bigint);
create table if not exists increment.model_state (model varchar, signature varchar, clock_at timestamptz);
create table if not exists increment.consumed (model varchar, input varchar, version bigint);
create table if not exists increment.check_state (model varchar, name varchar, signature varchar, read_versions varchar)
"""


@dataclass(frozen=True)
class TableState:
    """A table's version, and the one from which on its log is complete. Both 0 for one that was never followed."""

    version: int = 0
    whole_version: int = 0


@dataclass(frozen=True)
class ModelState:
    """What a model was built from last. ``clock_at``: the run's clock then; ``consumed``: input -> version."""

    signature: str
    clock_at: datetime | None
    consumed: Mapping[str, int]


def create_state(con: duckdb.DuckDBPyConnection) -> None:
    """Create the schema's tables where they are missing."""
    if not is_followed(con):
        con.execute(_TABLES)


def is_followed(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether changes are followed in this warehouse: not before its first build."""
    found = con.execute(
        "select count(*) from duckdb_tables() where database_name = current_database() and schema_name = ?"
        " and table_name = 'check_state'",
        [SCHEMA],
    ).fetchall()
    return bool(found[0][0])


def forget(con: duckdb.DuckDBPyConnection) -> None:
    """Forget everything: the next run builds all models whole. For whoever writes to tables by the side of load and build."""
    con.execute(f"drop schema if exists {SCHEMA} cascade")


def table_states(con: duckdb.DuckDBPyConnection, tables: Collection[str]) -> dict[str, TableState]:
    """The states of these tables."""
    rows = con.execute(
        "select table_name, version, whole_version from increment.table_state where table_name in (select unnest(?))",
        [list(tables)],
    ).fetchall()
    known = {name: TableState(version, whole) for name, version, whole in rows}
    return {table: known.get(table, TableState()) for table in tables}


def model_state(con: duckdb.DuckDBPyConnection, model: str) -> ModelState | None:
    """How a model was built last; None when that is not known."""
    found = con.execute(
        "select signature, clock_at from increment.model_state where model = ?", [model]
    ).fetchall()
    if not found:
        return None
    consumed = con.execute("select input, version from increment.consumed where model = ?", [model]).fetchall()
    return ModelState(*found[0], consumed=dict(consumed))


def keep_model_state(con: duckdb.DuckDBPyConnection, model: str, state: ModelState) -> None:
    """Note how a model was built, in the caller's transaction."""
    con.execute("delete from increment.model_state where model = ?", [model])
    con.execute("insert into increment.model_state values (?, ?, ?)", [model, state.signature, state.clock_at])
    con.execute("delete from increment.consumed where model = ?", [model])
    if state.consumed:
        con.execute(
            "insert into increment.consumed select ?, unnest(?), unnest(?)",
            [model, list(state.consumed), list(state.consumed.values())],
        )


def changed_whole(con: duckdb.DuckDBPyConnection, table: str, columns: Collection[str] | None) -> None:
    """Note that any row of a table may have changed, and begin an empty log of ``columns``, in the caller's transaction.

    ``columns``: those by which the table is followed; None where only its version is.
    """
    _raise_version(con, table, is_whole=True)
    log = log_name(table)
    if columns is None:
        con.execute(f"drop table if exists {log}")
    elif _log_columns(con, table) == {*columns, IS_ADDED, VERSION}:
        con.execute(f"delete from {log}")
    else:
        con.execute(
            f"create or replace table {log} as select {_listed(columns)} true as {IS_ADDED}, 0::bigint as {VERSION} "
            f"from {quoted(table)} limit 0"
        )


def changed_rows(
    con: duckdb.DuckDBPyConnection, table: str, columns: Collection[str] | None, rows: Iterable[tuple[str, bool]]
) -> None:
    """Note the rows of a table that went or came, in the caller's transaction.

    ``rows``: queries of at least the columns followed, each with whether its rows came. Where they are many, the whole table is noted.
    """
    if columns is None:
        _raise_version(con, table, is_whole=False)
        return
    if _log_columns(con, table) != {*columns, IS_ADDED, VERSION}:
        # Followed by other columns than before: the old log helps nobody.
        changed_whole(con, table, columns)
        return
    version = _raise_version(con, table, is_whole=False)
    log = log_name(table)
    for query, is_added in rows:
        con.execute(
            f"insert into {log} by name select distinct {_listed(columns)} {is_added} as {IS_ADDED}, {version} as {VERSION} "
            f"from ({query})"
        )
    if _count(con, log) > max(LOG_ALWAYS_ROWS, LOG_SHARE * _count(con, quoted(table))):
        changed_whole(con, table, columns)


def log_name(table: str) -> str:
    """The log of a table, quoted."""
    return f'{SCHEMA}."log_{table.replace(".", "__")}"'


def log_since(table: str, version: int) -> str:
    """Query of the rows of a table that went or came after a version."""
    return f"select * from {log_name(table)} where {VERSION} > {version}"


def has_log(con: duckdb.DuckDBPyConnection, table: str, columns: Collection[str]) -> bool:
    """Whether a table has a log that tells these columns."""
    return set(columns) <= _log_columns(con, table)


def prune_logs(con: duckdb.DuckDBPyConnection, project: SqlProject) -> None:
    """Remove what every model that follows a table has taken in."""
    followed = project.followed_columns
    lowest = dict(
        con.execute("select input, min(version) from increment.consumed group by input").fetchall()
    )
    for table in sorted(followed):
        if table in lowest and _log_columns(con, table):
            con.execute(f"delete from {log_name(table)} where {VERSION} <= {lowest[table]}")


def given_columns(con: duckdb.DuckDBPyConnection, table: str) -> tuple[str, ...] | None:
    """How changes of a table that no model makes are followed: a canonical one by its key, a retailer's by all columns, others not."""
    schema, _, name = table.partition(".")
    if schema == "canonical":
        return ("system_code", *entities()[name].keys)
    if schema != "retailer":
        return None
    found = con.execute(
        "select column_name from duckdb_columns() where database_name = current_database() and schema_name = ? and table_name = ?",
        [schema, name],
    ).fetchall()
    return tuple(column for (column,) in found)


def _raise_version(con: duckdb.DuckDBPyConnection, table: str, *, is_whole: bool) -> int:
    state = table_states(con, [table])[table]
    version = state.version + 1
    con.execute("delete from increment.table_state where table_name = ?", [table])
    # A table that nobody followed until now has no history.
    whole = version if is_whole or state.version == 0 else state.whole_version
    con.execute("insert into increment.table_state values (?, ?, ?)", [table, version, whole])
    return version


def _listed(columns: Collection[str]) -> str:
    return "".join(f'"{column}", ' for column in columns)


def _log_columns(con: duckdb.DuckDBPyConnection, table: str) -> set[str]:
    found = con.execute(
        "select column_name from duckdb_columns() where database_name = current_database() and schema_name = ? and table_name = ?",
        [SCHEMA, f"log_{table.replace('.', '__')}"],
    ).fetchall()
    return {name for (name,) in found}


def _count(con: duckdb.DuckDBPyConnection, relation: str) -> int:
    return int(con.execute(f"select count(*) from {relation}").fetchall()[0][0])
