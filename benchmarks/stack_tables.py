"""Two sets of tables in DuckDB files, compared row by row; and tables put aside as Parquet. What is compared belongs to the benchmark."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from resources.given_tables import quoted


@dataclass(frozen=True)
class Difference:
    """A table that is not equal: rows here and there, and of those how many the other side does not have."""

    table: str
    ours_qty: int
    theirs_qty: int
    only_ours_qty: int
    only_theirs_qty: int
    columns: tuple[str, ...]
    """Columns whose values, taken by themselves, differ."""


def differences(
    ours: Collection[Path], theirs: Path, tables: Iterable[str], *, left_out: Collection[str] = ()
) -> list[Difference]:
    """The tables (`schema.table`) that differ between the first of our files that has each, and their file.

    Rows are compared whole, as bags, all columns but those ``left_out``; no tolerance. Raises KeyError when one has no such table.
    """
    with duckdb.connect() as con:
        for number, path in enumerate(ours):
            con.execute(f"attach '{path}' as ours{number} (read_only)")
        con.execute(f"attach '{theirs}' as theirs (read_only)")
        con.execute("set TimeZone = 'UTC'")
        aliases = [f"ours{number}" for number in range(len(ours))]
        found = [_difference(con, aliases, table, left_out) for table in tables]
    return [difference for difference in found if difference is not None]


def export_tables(database: Path, tables: Iterable[str], folder: Path) -> None:
    """Write each `schema.table` of a DuckDB file to ``folder/<schema>/<table>.parquet``."""
    with duckdb.connect(str(database), read_only=True) as con:
        con.execute("set TimeZone = 'UTC'")
        for table in tables:
            schema, _, name = table.partition(".")
            (folder / schema).mkdir(parents=True, exist_ok=True)
            con.execute(f"copy (select * from {quoted(table)}) to '{folder / schema / name}.parquet' (format parquet)")


def _difference(
    con: duckdb.DuckDBPyConnection, aliases: Collection[str], table: str, left_out: Collection[str]
) -> Difference | None:
    holding = [alias for alias in aliases if _columns(con, alias, table)]
    there = _columns(con, "theirs", table)
    if not holding or not there:
        raise KeyError(f"{table} is missing {'there' if holding else 'here'}")
    alias = holding[0]
    here = _columns(con, alias, table)
    names = [name for name in here if name not in left_out]
    if missing := set(names) - set(there):
        raise KeyError(f"{table} has no {', '.join(sorted(missing))} there")
    sides = f"{alias}.{quoted(table)}", f"theirs.{quoted(table)}"
    listed = ", ".join(f'"{name}"' for name in names)
    ours_qty, theirs_qty = (_number(con, f"select count(*) from {side}") for side in sides)
    only_ours, only_theirs = (_except(con, listed, *pair) for pair in (sides, sides[::-1]))
    if not only_ours and not only_theirs:
        return None
    columns = tuple(
        name for name in names if _except(con, f'"{name}"', *sides) or _except(con, f'"{name}"', *sides[::-1])
    )
    return Difference(table, ours_qty, theirs_qty, only_ours, only_theirs, columns)


def _columns(con: duckdb.DuckDBPyConnection, database: str, table: str) -> list[str]:
    schema, _, name = table.partition(".")
    return [
        str(row[0])
        for row in con.execute(
            "select column_name from duckdb_columns() where database_name = ? and schema_name = ? and table_name = ? "
            "order by column_index",
            [database, schema, name],
        ).fetchall()
    ]


def _except(con: duckdb.DuckDBPyConnection, listed: str, left: str, right: str) -> int:
    return _number(con, f"select count(*) from (select {listed} from {left} except all select {listed} from {right})")


def _number(con: duckdb.DuckDBPyConnection, query: str) -> int:
    return int(con.execute(query).fetchall()[0][0])
