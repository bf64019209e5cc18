"""Rows taken by place are those that a join gives; rows compared by hash are those that differ; columns left out cannot count."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import duckdb
import pytest
import sqlglot

from resources.warehouse import comparing, places
from resources.warehouse.spoken import spoken_names

ROWS = 30 * places.STRETCH_ROWS


@pytest.fixture(name="con")
def _con(monkeypatch: pytest.MonkeyPatch) -> Iterator[duckdb.DuckDBPyConnection]:
    monkeypatch.setattr(places, "SMALL_ROWS", 10)
    monkeypatch.setattr(places, "MOST_STRETCHES", 4)
    con = duckdb.connect()
    con.execute(f"create table big as select i as number, 'k' || i as code, i % 7 as rest from range({ROWS}) as r (i)")
    con.execute("delete from big where number % 5000 = 0")
    yield con
    con.close()


def keys(con: duckdb.DuckDBPyConnection, numbers: Sequence[int]) -> None:
    con.execute("create or replace temp table wanted as select 'k' || unnest(?::bigint[]) as _k0", [list(numbers)])


@pytest.mark.parametrize(
    ("numbers", "is_told_apart"),
    [
        ([], True),
        ([1], True),
        ([1, ROWS - 1], True),
        (range(1, ROWS, 8 * places.STRETCH_ROWS), True),
        (range(1, ROWS, 100), False),
        ([5000, 5001], True),
    ],
)
def test_rows_taken_by_place_are_those_of_the_keys(
    con: duckdb.DuckDBPyConnection, numbers: Sequence[int], is_told_apart: bool
) -> None:
    keys(con, numbers)
    matched = places.matching(["code"], "wanted", has_null=False)
    places.take(con, "taken", "big", "t.number, t.rest", matched)
    expected = sorted((number, number % 7) for number in numbers if number % 5000)
    assert sorted(con.execute("select number, rest from taken").fetchall()) == expected
    assert con.execute(f"select count(*) from taken join big on big.rowid = {places.ROW_ID}").fetchall() == [
        (len(expected),)
    ]
    told = places.within(con, f"select {places.ROW_ID} from taken", ROWS)
    assert bool(told) == is_told_apart
    assert told.count("between") <= 4


def test_rows_taken_by_two_ways_are_there_once(con: duckdb.DuckDBPyConnection) -> None:
    matched = places.matching(["code"], "wanted", has_null=False)
    keys(con, [1, 2, 40_001])
    places.take(con, "taken", "big", "t.number", matched)
    keys(con, [2, 3, 60_001])
    places.take_more(con, "taken", "big", "t.number", matched)
    assert sorted(con.execute("select number from taken").fetchall()) == [(1,), (2,), (3,), (40_001,), (60_001,)]


def test_a_null_key_finds_the_rows_of_null(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("insert into big values (-1, null, 0)")
    con.execute("create or replace temp table wanted as select unnest([null, 'k7']) as _k0")
    places.take(con, "taken", "big", "t.number", places.matching(["code"], "wanted", has_null=True))
    assert sorted(con.execute("select number from taken").fetchall()) == [(-1,), (7,)]


def test_rows_that_stand_more_or_less_often_differ(con: duckdb.DuckDBPyConnection) -> None:
    hashes = comparing.hashed(["a", "b"])
    rows = {
        comparing.OLD_ROWS: "(1, null), (2, 'x'), (2, 'x'), (3, 'y'), (null, 'z')",
        comparing.NEW_ROWS: "(1, null), (2, 'x'), (3, 'Y'), (null, 'z'), (null, null)",
    }
    for name, values in rows.items():
        con.execute(f"create temp table {name} as select t.*, {hashes} from (values {values}) as t (a, b)")
    assert comparing.compare(con) == 4  # one of the twins, y, Y, the row of nulls
    assert sorted(con.execute(comparing.removed("t.a, t.b")).fetchall()) == [(2, "x"), (2, "x"), (3, "y")]
    come = con.execute(comparing.added("t.a, t.b")).fetchall()
    assert sorted(come, key=str) == [(2, "x"), (3, "Y"), (None, None)]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("select x as y from s.t where z", {"x", "y", "z", "s", "t"}),
        ("with a as (select * from s.t) select a.x, count(*) as n from a group by a.x", {"a", "x", "n", "s", "t"}),
        (
            "with a as (select x from s.t), b as (select * from a) select * from b union all select x from b",
            set("abxst"),
        ),
        ("select distinct * from s.t", None),
        ("with a as (select * from s.t) select * from a union all select * from s.u", None),
        ("with recursive a as (select * from a union all select * from s.t) select x from a", None),
        ("select *, count(*) from s.t group by all", None),
        ("select a.x from s.t as a natural join s.u", None),
        ("with a as (select * from s.t) select count(distinct a) from a", None),
        ("select columns('x.*') from s.t", None),
    ],
)
def test_a_column_is_left_out_only_where_it_cannot_count(query: str, names: set[str] | None) -> None:
    found = spoken_names(sqlglot.parse_one(query, dialect="duckdb"), ())
    assert found == (None if names is None else frozenset(names))


def test_what_a_query_gives_by_a_star_is_spoken_of() -> None:
    query = sqlglot.parse_one("select * from s.t", dialect="duckdb")
    assert spoken_names(query, ["Price"]) == frozenset({"s", "t", "price"})
