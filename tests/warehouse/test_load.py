"""Upsert, row versions, tombstones: what a load may and may not change."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resources.errors import ContractBroken
from resources.given_tables import create_given_tables
from resources.operations import key_text
from resources.warehouse import FullScope, Warehouse, load, places
from resources.warehouse.load import load_entity
from tests.warehouse.canonical_files import at, counts, write

ENTITY = "stock_count_line"


@pytest.fixture(name="con", params=[0, 1_000], ids=["met_at_once", "met_by_place"])
def _con(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[duckdb.DuckDBPyConnection]:
    monkeypatch.setattr(load, "PLACED_SHARE", request.param)
    monkeypatch.setattr(places, "SMALL_ROWS", 0)
    with Warehouse(tmp_path / "data", threads=1).writer() as con:
        yield con


def _rows(con: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    return con.execute(
        f"select product_external_id, counted_qty, _row_version, _is_deleted from canonical.{ENTITY} order by 1"
    ).fetchall()


def test_only_a_row_that_differs_gets_a_new_version(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    first = load_entity(con, ENTITY, [write(tmp_path, ENTITY, counts(("A", 1), ("B", 2)))])
    second = load_entity(con, ENTITY, [write(tmp_path, ENTITY, counts(("A", 1), ("B", 3)), extract="e2", hour=1)])
    assert (first.inserted_qty, first.updated_qty) == (2, 0)
    assert (second.inserted_qty, second.updated_qty) == (0, 1)
    assert _rows(con) == [("A", 1, 1, False), ("B", 3, 2, False)]
    seen = con.execute(f"select distinct observed_at, extract_id from canonical.{ENTITY}").fetchall()
    assert seen == [(at(1), "e2")]


def test_the_same_extract_again_changes_nothing(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path = write(tmp_path, ENTITY, counts(("A", 1), ("B", 2)))
    load_entity(con, ENTITY, [path])
    before = con.execute(f"select * from canonical.{ENTITY} order by all").fetchall()
    again = load_entity(con, ENTITY, [path])
    assert (again.inserted_qty, again.updated_qty, again.tombstoned_qty) == (0, 0, 0)
    assert con.execute(f"select * from canonical.{ENTITY} order by all").fetchall() == before


def test_an_older_reading_does_not_undo_a_newer_one(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    load_entity(con, ENTITY, [write(tmp_path, ENTITY, counts(("A", 2)), extract="e2", hour=2)])
    load_entity(con, ENTITY, [write(tmp_path, ENTITY, counts(("A", 1)), extract="e1", hour=1)])
    assert _rows(con) == [("A", 2, 1, False)]


def test_what_a_full_reading_does_not_show_is_tombstoned_and_comes_back(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    load_entity(con, ENTITY, [write(tmp_path, ENTITY, counts(("A", 1), ("B", 2)))])
    other = write(tmp_path, ENTITY, counts(("Z", 9)), stream="other")
    load_entity(con, ENTITY, [other])
    full = write(tmp_path, ENTITY, counts(("A", 1)), extract="e2", hour=1)
    result = load_entity(con, ENTITY, [full], full_scopes=[FullScope("shop", "all", "e2")])
    assert result.tombstoned_qty == 1
    assert [row[0] for row in _rows(con) if row[3]] == ["B"], "another stream's rows are not its business"
    again = load_entity(con, ENTITY, [full], full_scopes=[FullScope("shop", "all", "e2")])
    assert again.tombstoned_qty == 0
    load_entity(con, ENTITY, [write(tmp_path, ENTITY, counts(("B", 2)), extract="e3", hour=2)])
    assert [row[0] for row in _rows(con) if row[3]] == []


def test_an_older_reading_does_not_revive_what_a_full_one_buried(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    full = write(tmp_path, ENTITY, counts(("A", 1)), extract="e2", hour=1)
    load_entity(con, ENTITY, [full], full_scopes=[FullScope("shop", "all", "e2")])
    load_entity(con, ENTITY, [write(tmp_path, ENTITY, counts(("A", 1), ("B", 2)))])
    assert [row[0] for row in _rows(con) if not row[3]] == ["A"]


@pytest.mark.parametrize(
    ("shown", "quarantined", "reason"),
    [
        (counts(), 0, "no row at all"),
        (counts(("item00", 1)), 0, "more than 20%"),
        (counts(*((f"item{n:02}", 1) for n in range(19))), 1, "were refused"),
    ],
)
def test_a_reading_that_would_delete_too_much_deletes_nothing(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, shown: list[dict[str, Any]], quarantined: int, reason: str
) -> None:
    load_entity(con, ENTITY, [write(tmp_path, ENTITY, counts(*((f"item{n:02}", 1) for n in range(20))))])
    full = write(tmp_path, ENTITY, shown, extract="e2", hour=1)
    result = load_entity(con, ENTITY, [full], full_scopes=[FullScope("shop", "all", "e2", quarantined)])
    assert result.tombstoned_qty == 0
    assert [reason in held.reason for held in result.held] == [True]
    assert not any(row[3] for row in _rows(con))


def test_a_refused_row_keeps_its_own_key_and_no_other(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """Given a full reading that refused B and no longer shows C, expect C gone and B there, and B gone once it is absent."""
    load_entity(con, ENTITY, [write(tmp_path, ENTITY, counts(("A", 1), ("B", 2), ("C", 3)))])
    refused = key_text(("C", "S01", "B"))
    full = write(tmp_path, ENTITY, counts(("A", 1)), extract="e2", hour=1)
    result = load_entity(con, ENTITY, [full], full_scopes=[FullScope("shop", "all", "e2", 0, (refused,))])
    assert (result.tombstoned_qty, result.held) == (1, ())
    assert [row[0] for row in _rows(con) if row[3]] == ["C"]
    load_entity(con, ENTITY, [write(tmp_path, ENTITY, counts(("Z", 9)), stream="other", extract="e3", hour=2)])
    assert [row[0] for row in _rows(con) if row[3]] == ["C"], "another load does not make it up"
    later = write(tmp_path, ENTITY, counts(("A", 1)), extract="e4", hour=3)
    load_entity(con, ENTITY, [later], full_scopes=[FullScope("shop", "all", "e4")])
    assert [row[0] for row in _rows(con) if row[3]] == ["B", "C"]


def test_a_file_without_the_contracts_columns_loads_nothing(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path = tmp_path / "shop.all.e9.0.parquet"
    pl.DataFrame({"system_code": ["shop"]}).write_parquet(path)
    with pytest.raises(ContractBroken, match="stock_count_line"):
        load_entity(con, ENTITY, [path])
    assert _rows(con) == []


def test_frames_must_fit_their_declared_table(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "data")
    company = pl.DataFrame({"company_code": ["A"], "name": ["A"], "country_code": ["FR"]})
    warehouse.load_frames(con, "retailer", {"company": company})
    warehouse.load_frames(con, "retailer", {"company": company})
    assert con.execute("select count(*) from retailer.company").fetchall() == [(1,)]
    with pytest.raises(ContractBroken, match=r"retailer\.company"):
        warehouse.load_frames(con, "retailer", {"company": company.drop("name")})
    assert con.execute("select count(*) from retailer.company").fetchall() == [(1,)]


# A history of readings: each has an hour, is full or not, and shows some items with quantities.
READINGS = st.lists(
    st.tuples(
        st.booleans(),
        st.dictionaries(st.sampled_from("ABCDEF"), st.integers(0, 3), min_size=1),
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(readings=READINGS, order=st.randoms(use_true_random=False), chunk=st.integers(1, 3))
def test_order_and_chunks_of_loads_do_not_matter(
    tmp_path_factory: pytest.TempPathFactory, readings: list[tuple[bool, dict[str, int]]], order: Any, chunk: int
) -> None:
    folder = tmp_path_factory.mktemp("readings")
    loads: list[tuple[list[Path], list[FullScope]]] = []
    for hour, (is_full, shown) in enumerate(readings):
        rows = counts(*shown.items())
        # A full reading is loaded whole; others in chunks.
        step = len(rows) if is_full else chunk
        parts = [rows[start : start + step] for start in range(0, len(rows), step)]
        scopes = [FullScope("shop", "all", f"e{hour}")] if is_full else []
        for number, part in enumerate(parts):
            path = write(folder, ENTITY, part, extract=f"e{hour}", hour=hour, part=number)
            loads.append(([path], scopes))
    shuffled = loads * 2
    order.shuffle(shuffled)
    outcomes = []
    for sequence in (loads, shuffled):
        con = duckdb.connect()
        con.execute("set TimeZone = 'UTC'")
        create_given_tables(con)
        for paths, scopes in sequence:
            load_entity(con, ENTITY, paths, full_scopes=scopes, cap_share=1.0)
        live = con.execute(
            f"select product_external_id, counted_qty, observed_at from canonical.{ENTITY} where not _is_deleted order by 1"
        )
        outcomes.append(live.fetchall())
        version = con.execute(f"select max(_row_version) from canonical.{ENTITY}").fetchall()
        for paths, scopes in loads:
            load_entity(con, ENTITY, paths, full_scopes=scopes, cap_share=1.0)
        assert con.execute(f"select max(_row_version) from canonical.{ENTITY}").fetchall() == version
        con.close()
    assert outcomes[0] == outcomes[1]
