"""What changed in which table since when: versions, logs of changed rows, and what each model has taken in of them.

Belongs here: the schema `increment` of the warehouse. A table's version grows when its rows differ; its log names the rows that
went or came, by the columns that models built in part follow, back to the version from which on nobody knows (`whole_version`).
Who writes rows writes the log in the same transaction; who reads it notes the version in the transaction of its own table. So a
crash at any point repeats work and loses no change.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import duckdb

from resources.contracts.entity import entities
from resources.given_tables import quoted

SCHEMA = "increment"
LOG_SHARE = 0.2
"""A log that holds more than this share of its table is given up: building whole is as cheap."""
LOG_ALWAYS_ROWS = 20_000
IS_ADDED, VERSION = "_is_added", "_version"
PUBLICATION = "publication"
"""Under this name the book keeps what was published, as it does for a model: logs are kept until then."""

_TABLES = """
create schema if not exists increment;
create table if not exists increment.table_state (table_name varchar, version bigint, whole_version bigint);
create table if not exists increment.model_state (model varchar, signature varchar, clock_at timestamptz);
create table if not exists increment.audit (model varchar, audited_at timestamptz, differing_qty bigint);
create table if not exists increment.consumed (model varchar, input varchar, version bigint);
create table if not exists increment.check_state (
    model varchar, name varchar, signature varchar, failing_qty bigint, read_tables varchar[], read_versions bigint[]
)
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


@dataclass(frozen=True)
class Audit:
    """What a whole build found of a table that runs in part had left: rows that only one of both has. ``audited_at``: the run's clock."""

    audited_at: datetime | None
    differing_qty: int


class Book:
    """The state of all tables and models, read once per session: the session holds the writer's lock, so nobody else changes it."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        """Read it. The schema exists; see :func:`open_book`."""
        self._con = con
        self._tables = {
            name: TableState(version, whole)
            for name, version, whole in con.execute(
                "select table_name, version, whole_version from increment.table_state"
            ).fetchall()
        }
        consumed: dict[str, dict[str, int]] = {}
        for model, table, version in con.execute("select model, input, version from increment.consumed").fetchall():
            consumed.setdefault(model, {})[table] = version
        self._models = {
            model: ModelState(signature, clock_at, consumed.get(model, {}))
            for model, signature, clock_at in con.execute(
                "select model, signature, clock_at from increment.model_state"
            ).fetchall()
        }
        # What every reader had taken in by then may be gone from the logs.
        self._pruned = self._lowest_consumed()
        self._audits = {
            model: Audit(audited_at, differing_qty)
            for model, audited_at, differing_qty in con.execute(
                "select model, audited_at, differing_qty from increment.audit"
            ).fetchall()
        }
        self._logs: dict[str, set[str]] = {}
        for log, column in con.execute(
            "select table_name, column_name from duckdb_columns() where database_name = current_database() "
            "and schema_name = ? and starts_with(table_name, 'log_')",
            [SCHEMA],
        ).fetchall():
            self._logs.setdefault(log, set()).add(column)

    def table(self, name: str) -> TableState:
        """A table's state."""
        return self._tables.get(name, TableState())

    def model(self, name: str) -> ModelState | None:
        """How a model was built last; None when that is not known."""
        return self._models.get(name)

    def has_log(self, table: str, columns: Collection[str]) -> bool:
        """Whether a table has a log that tells these columns."""
        return log_table(table) in self._logs and set(columns) <= self._logs[log_table(table)]

    def is_told_since(self, table: str, version: int) -> bool:
        """Whether a table's log, where it has one, still tells all that went or came after a version."""
        return table in self._pruned and max(self._pruned[table], self.table(table).whole_version) <= version

    def log_columns(self, table: str) -> list[str]:
        """The columns by which a table's log tells its rows; none where it has no log."""
        return sorted(self._logs.get(log_table(table), set()) - {IS_ADDED, VERSION})

    def keep_model(self, name: str, state: ModelState) -> None:
        """Note how a model was built, in the caller's transaction."""
        con, before = self._con, self._models.get(name)
        if before is None or (before.signature, before.clock_at) != (state.signature, state.clock_at):
            con.execute("delete from increment.model_state where model = ?", [name])
            con.execute("insert into increment.model_state values (?, ?, ?)", [name, state.signature, state.clock_at])
        if before is None or before.consumed != state.consumed:
            con.execute("delete from increment.consumed where model = ?", [name])
            con.execute(
                "insert into increment.consumed select ?, unnest(?::varchar[]), unnest(?::bigint[])",
                [name, list(state.consumed), list(state.consumed.values())],
            )
        self._models[name] = state

    def forget_model(self, name: str) -> None:
        """Note that it is not known how a model was built, in the caller's transaction: the next build is whole."""
        self._con.execute("delete from increment.model_state where model = ?", [name])
        self._con.execute("delete from increment.consumed where model = ?", [name])
        self._models.pop(name, None)

    def forget_others(self, names: Collection[str]) -> None:
        """Forget every model but these: one that is gone would hold the logs of what it read for ever."""
        gone = sorted(self._models.keys() - set(names))
        if gone:
            self._con.execute("begin")
            for name in gone:
                self.forget_model(name)
            self._con.execute("commit")

    def audit(self, name: str) -> Audit | None:
        """What the last audit of a model found; None when there was none."""
        return self._audits.get(name)

    def keep_audit(self, name: str, audit: Audit) -> None:
        """Note what an audit found, in the caller's transaction."""
        self._con.execute("delete from increment.audit where model = ?", [name])
        self._con.execute("insert into increment.audit values (?, ?, ?)", [name, audit.audited_at, audit.differing_qty])
        self._audits[name] = audit

    def changed_whole(self, table: str, columns: Collection[str] | None) -> None:
        """Note that any row of a table may have changed, and begin an empty log of ``columns``, in the caller's transaction.

        ``columns``: those by which the table is followed; None where only its version is.
        """
        self._raise_version(table, is_whole=True)
        log, con = log_name(table), self._con
        if columns is None:
            con.execute(f"drop table if exists {log}")
            self._logs.pop(log_table(table), None)
        elif self._logs.get(log_table(table)) == {*columns, IS_ADDED, VERSION}:
            con.execute(f"delete from {log}")
        else:
            con.execute(
                f"create or replace table {log} as select {_listed(columns)} true as {IS_ADDED}, 0::bigint as {VERSION} "
                f"from {quoted(table)} limit 0"
            )
            self._logs[log_table(table)] = {*columns, IS_ADDED, VERSION}

    def changed_rows(self, table: str, columns: Collection[str] | None, rows: Iterable[tuple[str, bool]]) -> None:
        """Note the rows of a table that went or came, in the caller's transaction.

        ``rows``: queries of at least the columns followed, each with whether its rows came. Where they are many, the whole table is
        noted.
        """
        if columns is None:
            self._raise_version(table, is_whole=False)
            return
        if self._logs.get(log_table(table)) != {*columns, IS_ADDED, VERSION}:
            # Followed by other columns than before: the old log helps nobody.
            self.changed_whole(table, columns)
            return
        version = self._raise_version(table, is_whole=False)
        log = log_name(table)
        for query, is_added in rows:
            self._con.execute(
                f"insert into {log} by name select {_listed(columns)} {is_added} as {IS_ADDED}, {version} as {VERSION} "
                f"from ({query})"
            )
        if count_rows(self._con, log) > max(LOG_ALWAYS_ROWS, LOG_SHARE * count_rows(self._con, quoted(table))):
            self.changed_whole(table, columns)

    def prune_logs(self) -> None:
        """Remove what every model that reads a table has taken in."""
        for table, version in sorted(self._lowest_consumed().items()):
            if log_table(table) in self._logs and count_rows(
                self._con, f"{log_name(table)} where {VERSION} <= {version}"
            ):
                self._con.execute(f"delete from {log_name(table)} where {VERSION} <= {version}")

    def _lowest_consumed(self) -> dict[str, int]:
        lowest: dict[str, int] = {}
        for state in self._models.values():
            for table, version in state.consumed.items():
                lowest[table] = min(version, lowest.get(table, version))
        return lowest

    def _raise_version(self, table: str, *, is_whole: bool) -> int:
        state = self.table(table)
        version = state.version + 1
        # A table that nobody followed until now has no history.
        whole = version if is_whole or state.version == 0 else state.whole_version
        self._con.execute("delete from increment.table_state where table_name = ?", [table])
        self._con.execute("insert into increment.table_state values (?, ?, ?)", [table, version, whole])
        self._tables[table] = TableState(version, whole)
        return version


def count_rows(con: duckdb.DuckDBPyConnection, relation: str) -> int:
    """Rows of a table or of a subquery in brackets, as SQL."""
    return int(con.execute(f"select count(*) from {relation}").fetchall()[0][0])


def open_book(con: duckdb.DuckDBPyConnection) -> Book:
    """The book of this warehouse, begun where there is none."""
    con.execute(_TABLES)
    return Book(con)


def is_followed(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether changes are followed in this warehouse: not before its first build."""
    found = con.execute(
        "select count(*) from duckdb_tables() where database_name = current_database() and schema_name = ?"
        " and table_name = 'audit'",
        [SCHEMA],
    ).fetchall()
    return bool(found[0][0])


def forget(con: duckdb.DuckDBPyConnection) -> None:
    """Forget everything: the next run builds all models whole. For whoever writes to tables by the side of load and build."""
    con.execute(f"drop schema if exists {SCHEMA} cascade")


def log_table(table: str) -> str:
    """The name of a table's log in the schema."""
    return f"log_{table.replace('.', '__')}"


def log_name(table: str) -> str:
    """The log of a table, quoted."""
    return f'{SCHEMA}."{log_table(table)}"'


def log_since(table: str, version: int) -> str:
    """Query of the rows of a table that went or came after a version."""
    return f"select * from {log_name(table)} where {VERSION} > {version}"


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


def _listed(columns: Collection[str]) -> str:
    return "".join(f'"{column}", ' for column in columns)
