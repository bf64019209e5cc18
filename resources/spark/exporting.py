"""What the warehouse gives the cluster: canonical rows and the run's other given tables as Parquet, order facts by month.

Only what differs from the files of the last run is written again, month by month: a row that changed has another version, instant or
extract, and with it another mark of its month.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import duckdb

from resources.contracts.entity import entities
from resources.given_tables import BOOKKEEPING, given_tables, quoted
from resources.spark.store import Part, Store
from resources.warehouse.publish import literal

ALL = "all"
UNKNOWN = "unknown"

PERIODS: Mapping[str, str] = {
    "order": "ordered_at",
    "shipment": "coalesce(released_at, ship_confirmed_at, ready_for_pickup_at)",
    "return_line": "requested_at",
    "refund": "initiated_at",
    "stock_movement": "occurred_at",
    "carrier_scan": "scanned_at",
    "stock_count_line": "counted_at",
}
"""Canonical entity -> SQL of the instant by whose month (UTC) it is cut. What is not here is one file."""

PARENTS: Mapping[str, tuple[str, str]] = {
    "order_line": ("order", "order_external_id"),
    "shipment_line": ("shipment", "shipment_external_id"),
    "refund_line": ("refund", "refund_external_id"),
}
"""Canonical entity -> the entity whose month it takes, and the column that names it there and here."""

_ENVELOPE = ("observed_at", "extract_id", "source_position", *BOOKKEEPING)
"""With a row's keys, these tell whether it is the row that was written: its content does not change without them."""


def export_given(con: duckdb.DuckDBPyConnection, store: Store, tables: Collection[str]) -> dict[str, int]:
    """Bring these given tables of the warehouse to the store; gives the rows written per table, 0 where nothing had changed."""
    return {table: _export(con, store, table, given_tables()[table]) for table in sorted(tables)}


def export_model(con: duckdb.DuckDBPyConnection, store: Store, table: str, columns: Mapping[str, str]) -> int:
    """Bring a model that the warehouse built, and the cluster has not, to the store; gives its rows."""
    return _export(con, store, table, columns)


def _export(con: duckdb.DuckDBPyConnection, store: Store, table: str, columns: Mapping[str, str]) -> int:
    rows = _rows_by_period(table)
    marked = {
        str(period): (str(mark), int(row_qty))
        for period, mark, row_qty in con.execute(
            f"select period, sum(hash({_marking(table, columns)})), count(*) from ({rows}) as r group by period"
        ).fetchall()
    } or {ALL: ("empty", 0)}
    present = store.tables.get(table, {})
    same = {
        period: part
        for period, part in present.items()
        if period in marked and (part.mark, part.rows) == marked[period]
    }
    changed = sorted(marked.keys() - same.keys())
    if not changed and len(same) == len(present):
        return 0
    written = _written(con, store, table, columns, changed) if changed else {}
    store.put(
        table,
        same | {period: Part(folder, *marked[period]) for period, folder in written.items()},
    )
    return sum(marked[period][1] for period in changed)


def _written(
    con: duckdb.DuckDBPyConnection, store: Store, table: str, columns: Mapping[str, str], periods: Collection[str]
) -> dict[str, str]:
    """Write these periods of a table; gives the folder of each."""
    folder = store.new_folder(table, is_model=False)
    target = store.here / folder
    listed = ", ".join(f'"{name}"' for name in columns)
    if list(periods) == [ALL]:
        target.mkdir(parents=True)
        # A table without rows has a file too: it tells the columns.
        file = literal(str(target / "rows.parquet"))
        con.execute(f"copy (select {listed} from {quoted(table)}) to {file} (format parquet, compression zstd)")
        return {ALL: folder}
    target.parent.mkdir(parents=True, exist_ok=True)
    wanted = ", ".join(literal(period) for period in periods)
    con.execute(
        f"copy (select {listed}, period from ({_rows_by_period(table)}) as r where period in ({wanted})) "
        f"to {literal(str(target))} (format parquet, compression zstd, partition_by (period))"
    )
    return {period: f"{folder}/period={period}" for period in periods}


def write_nothing(con: duckdb.DuckDBPyConnection, target: Path, columns: Mapping[str, str]) -> None:
    """The file of a table without rows: it tells the columns."""
    target.mkdir(parents=True, exist_ok=True)
    listed = ", ".join(f'cast(null as {kind}) as "{name}"' for name, kind in columns.items())
    con.execute(f"copy (select {listed} limit 0) to {literal(str(target / 'rows.parquet'))} (format parquet)")


def _is_cut(table: str) -> bool:
    schema, _, entity = table.partition(".")
    return schema == "canonical" and (entity in PERIODS or entity in PARENTS)


def _rows_by_period(table: str) -> str:
    """SQL of a table's rows with the column ``period``: `2026-05`, or `unknown` where a row's instant or parent is."""
    if not _is_cut(table):
        return f"select *, '{ALL}' as period from {quoted(table)}"
    entity = table.partition(".")[2]
    if entity in PERIODS:
        return f"select *, {_month(PERIODS[entity])} as period from {quoted(table)}"
    parent, key = PARENTS[entity]
    return (
        f"select t.*, coalesce(p.period, '{UNKNOWN}') as period from {quoted(table)} as t left join ("
        f"select system_code, {key}, {_month(PERIODS[parent])} as period from {quoted(f'canonical.{parent}')}"
        f") as p on t.system_code = p.system_code and t.{key} = p.{key}"
    )


def _month(instant: str) -> str:
    return f"coalesce(strftime({instant}, '%Y-%m'), '{UNKNOWN}')"


def _marking(table: str, columns: Mapping[str, str]) -> str:
    """The columns whose values tell one state of a row from another."""
    schema, _, entity = table.partition(".")
    if schema != "canonical":
        return ", ".join(f'"{name}"' for name in columns)
    return ", ".join(f'"{name}"' for name in ("system_code", *entities()[entity].keys, *_ENVELOPE))
