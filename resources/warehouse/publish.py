"""The copy that analysts open: `published/bi.duckdb`, swapped in whole. Readers never block and are never blocked."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from resources.errors import PermanentError, Where
from resources.warehouse.changes import PUBLICATION, Book, ModelState, count_rows, is_followed, log_since
from resources.warehouse.places import ROW_ID, matching, within

KPI_SCHEMA = "kpis"
REPLACED_SHARE, REPLACED_ALWAYS_ROWS = 0.2, 10_000
"""A table of whose rows a larger share, and more than so many, are replaced is copied whole: that is as cheap."""


@dataclass(frozen=True)
class Published:
    """What was published. ``tables``: `schema.table` -> rows; ``size`` in bytes; ``seconds`` of wall clock."""

    path: Path
    tables: dict[str, int]
    size: int
    seconds: float


def copy_kpis(
    con: duckdb.DuckDBPyConnection, tables: Collection[str], keys: Mapping[str, Sequence[str]] | None = None
) -> None:
    """Make the KPIs in the mart those of the warehouse, documentation included, in one transaction.

    ``con``: the warehouse attached as `wh` and in use, the mart as `mart`. ``tables``: names of the tables in `kpis` to copy. What
    else the mart's schema holds is dropped: its model is gone. A table that stood still since the last publication is left alone, and
    of one whose changes are known only the rows of the keys that changed are replaced. ``keys``: table -> the columns by which its rows
    are replaced; of one that is not named, all those by which its changes are followed.
    """
    book = Book(con) if is_followed(con) else None
    published = book.model(PUBLICATION) if book else None
    con.execute("begin")
    try:
        con.execute(f"create schema if not exists mart.{KPI_SCHEMA}")
        old = con.execute(
            "select table_name from duckdb_tables() where database_name = 'mart' and schema_name = ?", [KPI_SCHEMA]
        ).fetchall()
        for (name,) in old:
            if name not in tables:
                con.execute(f'drop table mart.{KPI_SCHEMA}."{name}"')
        for name in sorted(tables):
            since = published.consumed.get(f"{KPI_SCHEMA}.{name}") if published else None
            key = (keys or {}).get(name)
            if book is None or since is None or (name,) not in old or not _in_part(con, book, name, since, key):
                con.execute(f'create or replace table mart.{KPI_SCHEMA}."{name}" as from wh.{KPI_SCHEMA}."{name}"')
        _copy_comments(con, tables)
        con.execute("commit")
    except BaseException:
        con.execute("rollback")
        raise
    if book is not None:
        _note(con, book, tables)


def _in_part(con: duckdb.DuckDBPyConnection, book: Book, name: str, since: int, key: Sequence[str] | None) -> bool:
    """Bring a published table up to date by what changed since its version was ``since``; false where that is not known."""
    table = f"{KPI_SCHEMA}.{name}"
    now = book.table(table)
    if now.version == 0 or now.whole_version > since or _shape(con, "wh", name) != _shape(con, "mart", name):
        return False
    of_mart, of_warehouse = f'mart.{KPI_SCHEMA}."{name}"', f'wh.{KPI_SCHEMA}."{name}"'
    if now.version > since:
        columns = book.log_columns(table)
        by = columns if key is None else key
        if not by or not set(by) <= set(columns):
            return False
        named = ", ".join(f'"{column}" as _k{number}' for number, column in enumerate(by))
        con.execute(
            f"create or replace temp table published_keys as select distinct {named} from ({log_since(table, since)})"
        )
        nulls = " or ".join(f"_k{number} is null" for number in range(len(by)))
        has_null = count_rows(con, f"published_keys where {nulls}") > 0
        matched = matching([f't."{column}"' for column in by], "published_keys", has_null=has_null)
        rows_qty = count_rows(con, of_warehouse)
        come, come_qty = _places(con, "come_places", of_warehouse, matched, rows_qty)
        gone, _ = _places(con, "gone_places", of_mart, matched, count_rows(con, of_mart))
        if come_qty > max(REPLACED_ALWAYS_ROWS, REPLACED_SHARE * rows_qty):
            return False
        con.execute(f"delete from {of_mart} where {gone}")
        con.execute(f"insert into {of_mart} select * from {of_warehouse} where {come}")
    # A mart that is not the one published last, from a backup for one: it is copied whole.
    return count_rows(con, of_mart) == count_rows(con, of_warehouse)


def _places(con: duckdb.DuckDBPyConnection, found: str, table: str, matched: str, rows_qty: int) -> tuple[str, int]:
    """The condition that holds for the rows of a table that match, and how many they are; ``found`` holds their places."""
    con.execute(f"create or replace temp table {found} as select t.rowid as {ROW_ID} from {table} as t {matched}")
    places = f"select {ROW_ID} from {found}"
    return f"rowid in ({places}){within(con, places, rows_qty)}", count_rows(con, found)


def _shape(con: duckdb.DuckDBPyConnection, database: str, name: str) -> list[tuple[str, str]]:
    return con.execute(
        """select column_name, data_type from duckdb_columns()
        where database_name = ? and schema_name = ? and table_name = ? order by column_index""",
        [database, KPI_SCHEMA, name],
    ).fetchall()


def _note(con: duckdb.DuckDBPyConnection, book: Book, tables: Collection[str]) -> None:
    """Note what is published, after it is: a crash in between replaces the same rows once more."""
    versions = {name: book.table(name).version for name in (f"{KPI_SCHEMA}.{table}" for table in sorted(tables))}
    con.execute("begin")
    try:
        book.keep_model(
            PUBLICATION, ModelState("", None, {name: version for name, version in versions.items() if version})
        )
        con.execute("commit")
    except BaseException:
        con.execute("rollback")
        raise


def _copy_comments(con: duckdb.DuckDBPyConnection, names: Collection[str]) -> None:
    where = "database_name = 'wh' and schema_name = ? and list_contains(?, table_name) and comment is not null"
    given = [KPI_SCHEMA, list(names)]
    tables = con.execute(f"select table_name, comment from duckdb_tables() where {where}", given).fetchall()
    columns = con.execute(
        f"select table_name, column_name, comment from duckdb_columns() where {where}", given
    ).fetchall()
    of_mart = f"mart.{KPI_SCHEMA}"
    statements = [f'comment on table {of_mart}."{name}" is {literal(comment)}' for name, comment in tables]
    statements += [
        f'comment on column {of_mart}."{name}"."{column}" is {literal(comment)}' for name, column, comment in columns
    ]
    if statements:
        con.execute("; ".join(statements))


def copy_column_comments(con: duckdb.DuckDBPyConnection, source: str, target: str) -> None:
    """Give the columns of one attached database the comments of another, which `COPY FROM DATABASE` leaves out."""
    found = con.execute(
        """select schema_name, table_name, column_name, comment from duckdb_columns()
        where database_name = ? and comment is not null and not internal""",
        [source],
    ).fetchall()
    statements = [
        f'comment on column {target}."{schema}"."{table}"."{column}" is {literal(comment)}'
        for schema, table, column, comment in found
    ]
    if statements:
        con.execute("; ".join(statements))


def literal(text: str) -> str:
    """A text as SQL."""
    return "'" + text.replace("'", "''") + "'"


def copy_out(mart: Path, target: Path) -> None:
    """Copy the checkpointed, closed ``mart`` to ``target``. The caller holds the writer lock."""
    wal = mart.with_name(mart.name + ".wal")
    if wal.exists():
        raise PermanentError(
            "the mart still has a write-ahead log after its checkpoint, a copy would miss rows",
            where=Where(file=str(wal)),
            action="open mart.duckdb once with DuckDB, run CHECKPOINT and publish again",
        )
    copy_by_child(mart, target)


def copy_by_child(source: Path, target: Path) -> None:
    """Copy a closed DuckDB file, as a reflink where the disk can. Raises PermanentError.

    A child process copies: closing any descriptor of a DuckDB file in this process would drop DuckDB's own lock on it.
    """
    done = subprocess.run(
        ["cp", "--reflink=auto", "--", str(source), str(target)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise PermanentError(f"the copy failed: {done.stderr.strip()}", where=Where(file=str(target)))


def swap_in(copy: Path, target: Path, *, started: float) -> Published:
    """Make ``copy`` durable, open it once as a reader would, and put it in the place of ``target`` in one step."""
    _fsync(copy)
    tables = _row_counts(copy)
    copy.chmod(0o444)
    os.replace(copy, target)
    _fsync(target.parent)
    return Published(target, tables, target.stat().st_size, time.monotonic() - started)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _row_counts(path: Path) -> dict[str, int]:
    con = duckdb.connect()
    try:
        name = str(path).replace("'", "''")
        con.execute(f"attach '{name}' as published (read_only)")
        found = con.execute(
            """select schema_name, table_name from duckdb_tables()
            where database_name = 'published' order by schema_name, table_name"""
        ).fetchall()
        counts: dict[str, int] = {}
        for schema, table in found:
            row = con.execute(f'select count(*) from published."{schema}"."{table}"').fetchall()
            counts[f"{schema}.{table}"] = int(row[0][0])
        return counts
    finally:
        con.close()
