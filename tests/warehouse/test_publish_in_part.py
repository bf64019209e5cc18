"""A published KPI table is brought up to date by the rows that changed, where these are known, and copied whole where they are not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from resources.warehouse import Warehouse
from resources.warehouse.changes import Book, open_book

FACT = "kpis.fact"
ROWS = [("2026-05-01", "A", 1), ("2026-05-01", "B", 2), ("2026-05-02", "A", 3), (None, "C", 4)]


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    """One that has published a table, followed by its day."""
    made = Warehouse(tmp_path)
    with made.writer() as con:
        con.execute("create schema if not exists kpis; create table kpis.fact (day varchar, item varchar, units int)")
        con.executemany("insert into kpis.fact values (?, ?, ?)", ROWS)
        open_book(con).changed_whole(FACT, ["day"])
    made.publish(kpi_tables=["fact"])
    return made


@contextmanager
def mart(warehouse: Warehouse) -> Iterator[duckdb.DuckDBPyConnection]:
    with warehouse.writer() as con:
        yield con


def published(warehouse: Warehouse) -> list[tuple[object, ...]]:
    con = duckdb.connect(str(warehouse.bi_path), read_only=True)
    try:
        return sorted(con.execute("select * from kpis.fact").fetchall(), key=str)
    finally:
        con.close()


def change(warehouse: Warehouse, went: str, came: list[tuple[object, ...]]) -> None:
    """Replace rows as a build in part does, and note it."""
    with warehouse.writer() as con:
        con.execute("begin")
        con.execute(f"create temp table gone as select * from kpis.fact where {went}")
        con.execute("create temp table new as from kpis.fact limit 0")
        con.executemany("insert into new values (?, ?, ?)", came)
        con.execute(f"delete from kpis.fact where {went}")
        con.execute("insert into kpis.fact from new")
        Book(con).changed_rows(FACT, ["day"], (("select * from gone", False), ("select * from new", True)))
        con.execute("commit")


def spoil(warehouse: Warehouse) -> None:
    """Write what no build wrote where nothing changed: it stays as long as only changed rows are replaced."""
    with mart(warehouse) as con:
        con.execute("update mart.kpis.fact set units = 99 where item = 'B'")


def test_rows_of_the_keys_that_changed_are_replaced(warehouse: Warehouse) -> None:
    spoil(warehouse)
    change(
        warehouse, "day = '2026-05-02' or day is null", [("2026-05-02", "A", 7), ("2026-05-03", "A", 8), (None, "D", 9)]
    )
    warehouse.publish(kpi_tables=["fact"])
    assert published(warehouse) == [
        ("2026-05-01", "A", 1), ("2026-05-01", "B", 99), ("2026-05-02", "A", 7), ("2026-05-03", "A", 8), (None, "D", 9),
    ]  # fmt: skip


def test_a_table_that_stands_still_is_left_alone(warehouse: Warehouse) -> None:
    spoil(warehouse)
    warehouse.publish(kpi_tables=["fact"])
    assert ("2026-05-01", "B", 99) in published(warehouse)


def test_a_table_built_whole_is_copied_whole(warehouse: Warehouse) -> None:
    spoil(warehouse)
    with warehouse.writer() as con:
        Book(con).changed_whole(FACT, ["day"])
    warehouse.publish(kpi_tables=["fact"])
    assert published(warehouse) == sorted(ROWS, key=str)


def test_another_shape_is_copied_whole(warehouse: Warehouse) -> None:
    spoil(warehouse)
    with warehouse.writer() as con:
        con.execute("alter table kpis.fact alter units type bigint")
    warehouse.publish(kpi_tables=["fact"])
    assert published(warehouse) == sorted(ROWS, key=str)


def test_a_crash_before_the_note_replaces_the_same_rows_once_more(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(warehouse, "item = 'A' and day = '2026-05-01'", [("2026-05-01", "A", 5)])
    with monkeypatch.context() as crashing:
        crashing.setattr("resources.warehouse.publish._note", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            warehouse.publish(kpi_tables=["fact"])
    change(warehouse, "item = 'A' and day = '2026-05-02'", [("2026-05-02", "A", 6)])
    warehouse.publish(kpi_tables=["fact"])
    assert published(warehouse) == [
        ("2026-05-01", "A", 5), ("2026-05-01", "B", 2), ("2026-05-02", "A", 6), (None, "C", 4),
    ]  # fmt: skip


def test_a_mart_of_another_time_is_copied_whole(warehouse: Warehouse) -> None:
    with mart(warehouse) as con:
        con.execute("delete from mart.kpis.fact where item = 'B'")
    warehouse.publish(kpi_tables=["fact"])
    assert published(warehouse) == sorted(ROWS, key=str)


def test_rows_are_replaced_by_the_key_that_is_given(warehouse: Warehouse) -> None:
    """A log tells more columns than the key where a reader follows them; only the key's rows are looked for."""
    with warehouse.writer() as con:
        Book(con).changed_whole(FACT, ["day", "item"])
    warehouse.publish(kpi_tables=["fact"], keys={"fact": ["item"]})
    spoil(warehouse)
    with warehouse.writer() as con:
        con.execute("begin; update kpis.fact set units = 7 where item = 'A' and day = '2026-05-02'")
        Book(con).changed_rows(FACT, ["day", "item"], (("select '2026-05-02' as day, 'A' as item", True),))
        con.execute("update kpis.fact set units = 8 where item = 'A' and day = '2026-05-01'; commit")
    warehouse.publish(kpi_tables=["fact"], keys={"fact": ["item"]})
    assert published(warehouse) == [
        ("2026-05-01", "A", 8), ("2026-05-01", "B", 99), ("2026-05-02", "A", 7), (None, "C", 4),
    ]  # fmt: skip


def test_a_key_that_nobody_follows_is_copied_whole(warehouse: Warehouse) -> None:
    spoil(warehouse)
    change(warehouse, "item = 'A' and day = '2026-05-01'", [("2026-05-01", "A", 5)])
    warehouse.publish(kpi_tables=["fact"], keys={"fact": ["item"]})
    assert ("2026-05-01", "B", 2) in published(warehouse)
