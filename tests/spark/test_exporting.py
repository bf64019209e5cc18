"""What the warehouse gives the cluster: months of order facts, each written again only when a row of it changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from resources.given_tables import create_given_tables
from resources.spark.exporting import export_given
from resources.spark.store import Store

ORDERS, LINES, CHANNELS = "canonical.order", "canonical.order_line", "retailer.channel"


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'")
    create_given_tables(connection)
    yield connection
    connection.close()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "shared", str(tmp_path / "shared"), tmp_path / "tables.json")


def add_order(con: duckdb.DuckDBPyConnection, number: str, ordered_at: str | None, *, lines: int = 0) -> None:
    con.execute(
        """insert into canonical."order" (system_code, order_external_id, ordered_at, _row_version, _is_deleted)
        values ('shop', ?, ?, 1, false)""",
        [number, ordered_at],
    )
    for line in range(lines):
        con.execute(
            """insert into canonical.order_line (system_code, order_external_id, line_external_id, _row_version, _is_deleted)
            values ('shop', ?, ?, 1, false)""",
            [number, str(line)],
        )


def exported(con: duckdb.DuckDBPyConnection, store: Store, table: str, columns: str) -> list[tuple[object, ...]]:
    """What the files of a table hold."""
    return con.execute(
        f"select {columns} from read_parquet(?, hive_partitioning = false) order by all", [store.paths_here(table)]
    ).fetchall()


def test_orders_and_their_lines_lie_by_month(con: duckdb.DuckDBPyConnection, store: Store) -> None:
    add_order(con, "1", "2026-04-30 23:59:59+00", lines=1)
    add_order(con, "2", "2026-05-01 00:00:00+00", lines=2)
    add_order(con, "3", None, lines=1)
    assert export_given(con, store, [ORDERS, LINES]) == {ORDERS: 3, LINES: 4}
    for table, rows in ((ORDERS, (1, 1, 1)), (LINES, (1, 2, 1))):
        assert {period: part.rows for period, part in store.tables[table].items()} == dict(
            zip(("2026-04", "2026-05", "unknown"), rows, strict=True)
        )
    assert exported(con, store, LINES, "order_external_id, line_external_id") == [
        ("1", "0"),
        ("2", "0"),
        ("2", "1"),
        ("3", "0"),
    ]


def test_only_the_month_of_a_changed_row_is_written_again(con: duckdb.DuckDBPyConnection, store: Store) -> None:
    add_order(con, "1", "2026-04-10 00:00:00+00")
    add_order(con, "2", "2026-05-10 00:00:00+00")
    export_given(con, store, [ORDERS])
    before = dict(store.tables[ORDERS])
    assert export_given(con, store, [ORDERS]) == {ORDERS: 0}

    con.execute("""update canonical."order" set status = 'shipped', _row_version = 2 where order_external_id = '2'""")
    assert export_given(con, store, [ORDERS]) == {ORDERS: 1}
    assert store.tables[ORDERS]["2026-04"] == before["2026-04"]
    assert store.tables[ORDERS]["2026-05"].folder != before["2026-05"].folder
    assert exported(con, store, ORDERS, "order_external_id, status") == [("1", None), ("2", "shipped")]


def test_an_envelope_that_moved_alone_is_written_again(con: duckdb.DuckDBPyConnection, store: Store) -> None:
    """A row seen again keeps its version and gets a new instant, which models read."""
    add_order(con, "1", "2026-04-10 00:00:00+00")
    export_given(con, store, [ORDERS])
    con.execute("""update canonical."order" set observed_at = timestamptz '2026-05-18 10:00:00+00'""")
    assert export_given(con, store, [ORDERS]) == {ORDERS: 1}


def test_lines_follow_their_order_to_another_month(con: duckdb.DuckDBPyConnection, store: Store) -> None:
    add_order(con, "1", "2026-04-10 00:00:00+00", lines=2)
    export_given(con, store, [ORDERS, LINES])
    con.execute("""update canonical."order" set ordered_at = timestamptz '2026-05-10 00:00:00+00', _row_version = 2""")
    export_given(con, store, [ORDERS, LINES])
    assert set(store.tables[LINES]) == {"2026-05"}
    assert exported(con, store, LINES, "line_external_id") == [("0",), ("1",)]


def test_a_table_that_lost_all_its_rows_is_empty_there_too(con: duckdb.DuckDBPyConnection, store: Store) -> None:
    add_order(con, "1", "2026-04-10 00:00:00+00")
    con.execute("insert into retailer.channel (channel_code) values ('web-fr')")
    export_given(con, store, [ORDERS, CHANNELS])
    con.execute("""delete from canonical."order"; delete from retailer.channel""")
    export_given(con, store, [ORDERS, CHANNELS])
    assert exported(con, store, ORDERS, "order_external_id") == []
    assert exported(con, store, CHANNELS, "channel_code") == []
    add_order(con, "2", "2026-05-10 00:00:00+00")
    export_given(con, store, [ORDERS])
    assert exported(con, store, ORDERS, "order_external_id") == [("2",)]
