"""Tables of two DuckDB files are equal as bags of rows, or it is said which are not, and where."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from benchmarks.stack_tables import differences, export_tables


def database(path: Path, rows: str, columns: str = "a, b, seen") -> Path:
    with duckdb.connect(str(path)) as con:
        con.execute("create schema s")
        con.execute(f'create table s."order" as select * from (values {rows}) as t ({columns})')
    return path


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    return database(tmp_path / "ours.duckdb", "(1, 'x', 10), (1, 'x', 10), (2, null, 10)")


@pytest.mark.parametrize(
    "rows",
    ["(2, null, 10), (1, 'x', 10), (1, 'x', 10)", "(2, null, 99), (1, 'x', 98), (1, 'x', 97)"],
    ids=["another order", "a column left out"],
)
def test_equal(ours: Path, tmp_path: Path, rows: str) -> None:
    theirs = database(tmp_path / "theirs.duckdb", rows)

    assert differences([ours], theirs, ["s.order"], left_out=["seen"]) == []


@pytest.mark.parametrize(
    ("rows", "only_ours", "only_theirs", "columns"),
    [
        ("(1, 'x', 10), (2, null, 10)", 1, 0, ("a", "b", "seen")),
        ("(1, 'x', 10), (1, 'y', 10), (2, null, 10)", 1, 1, ("b",)),
        ("(1, 'x', 10), (1, 'x', 10), (2, '', 10)", 1, 1, ("b",)),
        ("(1, 'x', 10), (1, 'x', 10), (2, null, 10), (3, 'z', 10)", 0, 1, ("a", "b", "seen")),
    ],
    ids=["a double is missing", "a value differs", "null is not empty", "a row too many"],
)
def test_different(
    ours: Path, tmp_path: Path, rows: str, only_ours: int, only_theirs: int, columns: tuple[str, ...]
) -> None:
    theirs = database(tmp_path / "theirs.duckdb", rows)

    (found,) = differences([ours], theirs, ["s.order"])

    assert (found.table, found.only_ours_qty, found.only_theirs_qty, found.columns) == (
        "s.order",
        only_ours,
        only_theirs,
        columns,
    )


def test_a_table_or_a_column_that_is_not_there_is_no_equality(ours: Path, tmp_path: Path) -> None:
    theirs = database(tmp_path / "theirs.duckdb", "(1, 'x')", "a, b")

    with pytest.raises(KeyError, match=r"s\.order has no seen there"):
        differences([ours], theirs, ["s.order"])
    with pytest.raises(KeyError, match=r"s\.nothing is missing here"):
        differences([ours], theirs, ["s.nothing"])


def test_a_table_is_taken_from_the_file_that_has_it(ours: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.duckdb"
    duckdb.connect(str(empty)).close()

    copy = database(tmp_path / "copy.duckdb", "(1, 'x', 10), (1, 'x', 10), (2, null, 10)")
    assert differences([empty, ours], copy, ["s.order"]) == []


def test_tables_put_aside_keep_their_rows(ours: Path, tmp_path: Path) -> None:
    export_tables(ours, ["s.order"], tmp_path / "given")

    with duckdb.connect() as con:
        rows = con.execute(f"select a, b from '{tmp_path}/given/s/order.parquet' order by a").fetchall()
    assert rows == [(1, "x"), (1, "x"), (2, None)]
