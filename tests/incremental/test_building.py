"""What a run builds anew, what it leaves, and what it does when it was cut short, when a declaration is wrong, when the clock goes back."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest
import sqlglot

from resources.sql_increments import Increment, Slice
from resources.sql_project import Check, SqlProject, load_project
from resources.warehouse import Warehouse, changes, check_scope, checking
from resources.warehouse.build import ModelBuilder, ModelResult
from resources.warehouse.checking import CheckResult
from resources.warehouse.load import FullScope, load_entity, set_run_clock
from tests.incremental.test_equals_whole import differences
from tests.warehouse.canonical_files import START, at, write

MODELS = {
    "staging/counted": (
        """select system_code, count_external_id, location_code, product_external_id, counted_qty, counted_at
        from canonical.stock_count_line where not _is_deleted""",
        """incremental:
  key: [system_code, count_external_id, location_code, product_external_id]
  slices:
    - {rows: canonical.stock_count_line, by: [system_code, count_external_id, location_code, product_external_id]}
checks:
  - {kind: expression, name: not_negative, sql: "counted_qty >= 0", severity: warn}
  - {kind: unique, columns: [system_code, count_external_id, location_code, product_external_id]}
""",
    ),
    "referentials/place": (
        "select location_code, cast(sum(counted_qty) as bigint) as qty from staging.counted group by location_code",
        """incremental:
  key: location_code
  slices:
    - {rows: staging.counted, by: location_code}
""",
    ),
    "referentials/counted_item": (
        "select distinct product_external_id from staging.counted",
        "",
    ),
    "kpis/past": (
        """select counted.location_code, counted.product_external_id, counted.counted_at <= run_clock.as_of_at as is_past,
            counted.counted_at
        from staging.counted as counted cross join meta.run_clock as run_clock""",
        """incremental:
  key: location_code
  slices:
    - {rows: staging.counted, by: location_code}
  clock:
    - {rows: this, where: not is_past and counted_at <= now_at}
""",
    ),
    "kpis/item_sum": (
        """select product_external_id, cast(sum(counted_qty) as bigint) as qty, cast(count(*) as bigint) as row_qty
        from staging.counted group by product_external_id""",
        """incremental:
  key: location_code
  sums: [qty, row_qty]
  slices:
    - {rows: staging.counted, by: location_code}
""",
    ),
    "marts/fct_place": (
        "select location_code, qty from referentials.place",
        """incremental:
  key: location_code
  slices:
    - {rows: referentials.place, by: location_code}
""",
    ),
}


def sql_folder(
    folder: Path,
    changed: Mapping[str, str] | None = None,
    *,
    more: Mapping[str, tuple[str, str]] | None = None,
    without: Collection[str] = (),
) -> SqlProject:
    """The project of these models; ``changed``: model -> another query; ``more``: model -> query, declarations; ``without``: models."""
    for name, (query, declared) in {**MODELS, **(more or {})}.items():
        if name in without:
            continue
        path = folder / f"{name}.sql"
        path.parent.mkdir(parents=True, exist_ok=True)
        text = (changed or {}).get(name, query)
        path.write_text(text, encoding="utf-8")
        columns = duckdb_columns(text)
        path.with_suffix(".yml").write_text(
            "description: 'A table. Grain: one row.'\ncolumns:\n"
            + "".join(f"  {one}: '.'\n" for one in columns)
            + declared,
            encoding="utf-8",
        )
    return load_project(folder)


def duckdb_columns(query: str) -> list[str]:
    """The columns that a query selects."""
    parsed = sqlglot.parse_one(query, dialect="duckdb")
    return [str(name) for name in getattr(parsed, "named_selects", ())]


@pytest.fixture(name="project")
def _project(tmp_path: Path) -> SqlProject:
    return sql_folder(tmp_path / "sql")


@pytest.fixture(name="con")
def _con(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with Warehouse(tmp_path / "data", threads=1).writer() as con:
        set_run_clock(con, as_of_at=at(0), run_id="r")
        yield con


def count(
    con: duckdb.DuckDBPyConnection,
    folder: Path,
    hour: int,
    *lines: tuple[str, str, int],
    counted_at: datetime = START,
) -> None:
    """Count lines arrive: (location, item, quantity)."""
    rows = [line_of(*line, counted_at=counted_at) for line in lines]
    load_entity(con, "stock_count_line", [write(folder, "stock_count_line", rows, extract=f"e{hour}", hour=hour)])


def line_of(place: str, item: str, quantity: int, *, counted_at: datetime = START) -> dict[str, object]:
    """A count line."""
    return {
        "count_external_id": "C",
        "location_code": place,
        "product_external_id": item,
        "counted_qty": quantity,
        "counted_at": counted_at,
        "count_reason": "cycle",
    }


def run(
    con: duckdb.DuckDBPyConnection, project: SqlProject, *, is_audited: bool = False
) -> tuple[dict[str, ModelResult], dict[str, int]]:
    """A run in part, or a night's: model -> what was done, check -> rows that break it. Every table is right afterwards."""
    builder = ModelBuilder(con, project, is_incremental=not is_audited, is_audited=is_audited, whole_share=10)
    results = {model.name: builder.build(model) for model in project.models.values()}
    told = {check.name: builder.run_check(check).failing_qty for check in project.all_checks()}
    builder.close()
    assert differences(con, project) == {}
    return results, told


def how(results: Mapping[str, ModelResult]) -> dict[str, str]:
    """Model -> how it was built."""
    return {name: result.how for name, result in results.items()}


def test_a_run_after_which_nothing_changed_builds_nothing(
    con: duckdb.DuckDBPyConnection, project: SqlProject, tmp_path: Path
) -> None:
    count(con, tmp_path, 0, ("S01", "A", 1), ("S02", "B", 2))
    first, _ = run(con, project)
    second, _ = run(con, project)
    assert set(how(first).values()) == {"whole"}
    assert set(how(second).values()) == {"left"}


def test_a_change_is_built_where_it_is_read_and_nowhere_else(
    con: duckdb.DuckDBPyConnection, project: SqlProject, tmp_path: Path
) -> None:
    count(con, tmp_path, 0, ("S01", "A", 1), ("S02", "B", 2))
    run(con, project)
    count(con, tmp_path, 1, ("S01", "A", 5), ("S02", "B", 2))
    results, _ = run(con, project)
    rows = {name: (result.how, result.changed_rows_qty) for name, result in results.items()}
    assert rows == {
        "staging.counted": ("part", 2),  # its row of before, and of now
        "referentials.place": ("part", 2),
        "referentials.counted_item": ("whole", None),  # it declares nothing, and nobody reads it
        "kpis.past": ("part", 0),  # it does not read the quantity
        "kpis.item_sum": ("part", 2),
        "marts.fct_place": ("part", 2),
    }
    assert con.execute("select qty from marts.fct_place order by location_code").fetchall() == [(5,), (2,)]


def test_what_a_load_only_saw_again_changes_nothing_further(
    con: duckdb.DuckDBPyConnection, project: SqlProject, tmp_path: Path
) -> None:
    count(con, tmp_path, 0, ("S01", "A", 1))
    run(con, project)
    count(con, tmp_path, 1, ("S01", "A", 1))
    results, _ = run(con, project)
    assert how(results) == {name: "part" if name == "staging.counted" else "left" for name in project.models}


def test_another_query_builds_its_table_whole(
    con: duckdb.DuckDBPyConnection, project: SqlProject, tmp_path: Path
) -> None:
    count(con, tmp_path, 0, ("S01", "A", 1))
    run(con, project)
    other = sql_folder(
        tmp_path / "sql",
        {"referentials/place": MODELS["referentials/place"][0].replace("sum(", "max(")},
    )
    results, _ = run(con, other)
    assert how(results)["referentials.place"] == "whole"
    assert how(results)["staging.counted"] == "left"


def test_another_version_of_the_engine_builds_all_whole(
    con: duckdb.DuckDBPyConnection, project: SqlProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count(con, tmp_path, 0, ("S01", "A", 1))
    run(con, project)
    monkeypatch.setattr(duckdb, "__version__", "99.0.0")
    results, _ = run(con, project)
    assert set(how(results).values()) == {"whole"}


@pytest.mark.parametrize(("hours", "expected"), [(3, "part"), (1, "part"), (-1, "whole")])
def test_the_clock_moves_what_it_alone_decides(
    con: duckdb.DuckDBPyConnection, project: SqlProject, tmp_path: Path, hours: int, expected: str
) -> None:
    count(con, tmp_path, 0, ("S01", "A", 1), counted_at=START + timedelta(hours=2))
    run(con, project)
    set_run_clock(con, as_of_at=at(hours), run_id="r2")
    results, _ = run(con, project)
    assert how(results)["kpis.past"] == expected
    assert how(results)["referentials.place"] == "left"
    assert con.execute("select is_past from kpis.past").fetchall() == [(hours >= 2,)]


def test_a_run_that_was_cut_short_is_made_up_for(
    con: duckdb.DuckDBPyConnection, project: SqlProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a crash leaves, the state says what is still to be built: rows and state are written together."""
    count(con, tmp_path, 0, ("S01", "A", 1))
    run(con, project)
    count(con, tmp_path, 1, ("S01", "A", 5))
    keep = changes.Book.keep_model

    for broken in project.models:

        def fail(book: changes.Book, name: str, state: changes.ModelState, broken: str = broken) -> None:
            if name == broken:
                raise RuntimeError("the power went")
            keep(book, name, state)

        monkeypatch.setattr(changes.Book, "keep_model", fail)
        with pytest.raises(RuntimeError, match="the power went"):
            run(con, project)
        monkeypatch.setattr(changes.Book, "keep_model", keep)
    run(con, project)
    assert con.execute("select qty from marts.fct_place").fetchall() == [(5,)]


def test_the_night_tells_of_rows_that_are_not_as_built_whole_and_mends_them(
    con: duckdb.DuckDBPyConnection, project: SqlProject, tmp_path: Path
) -> None:
    count(con, tmp_path, 0, ("S01", "A", 1), ("S02", "B", 2))
    run(con, project)
    con.execute("update referentials.place set qty = 77 where location_code = 'S01'")
    results, _ = run(con, project, is_audited=True)
    told = {name: result.audit.differing_qty for name, result in results.items() if result.audit is not None}
    assert told["referentials.place"] == 2  # the wrong row, and the right one
    assert told["staging.counted"] == 0
    again, _ = run(con, project, is_audited=True)
    assert {result.audit.differing_qty for result in again.values() if result.audit is not None} == {0}


def test_a_wrong_declaration_shows_as_a_difference(
    con: duckdb.DuckDBPyConnection, project: SqlProject, tmp_path: Path
) -> None:
    """What the property test looks at finds a model that declares less than it reads."""
    wrong = Increment(key=("location_code",), slices=(Slice("staging.counted", ("location_code",)),))
    query = "select location_code, (select cast(sum(counted_qty) as bigint) from staging.counted) as qty from staging.counted group by 1"
    model = replace(project.models["referentials.place"], sql=query, increment=wrong)
    broken = replace(project, models={**project.models, model.name: model})
    count(con, tmp_path, 0, ("S01", "A", 1), ("S02", "B", 2))
    run(con, broken)
    count(con, tmp_path, 1, ("S01", "A", 5))
    with pytest.raises(AssertionError, match=r"referentials\.place"):
        run(con, broken)


def test_a_check_that_does_not_hold_is_told_until_it_does(
    con: duckdb.DuckDBPyConnection, project: SqlProject, tmp_path: Path
) -> None:
    count(con, tmp_path, 0, ("S01", "A", -1), ("S02", "B", 2))
    assert run(con, project)[1]["not_negative"] == 1
    count(con, tmp_path, 1, ("S02", "B", 3))
    assert run(con, project)[1]["not_negative"] == 1  # its row stands still
    count(con, tmp_path, 2, ("S01", "A", 1))
    assert run(con, project)[1]["not_negative"] == 0
    count(con, tmp_path, 3, ("S03", "C", -4))
    assert run(con, project)[1]["not_negative"] == 1


def test_a_check_of_each_value_looks_at_those_that_changed_and_tells_of_all(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sums that disagree at one place are found when it changes, and told with the others; nothing else is looked through."""
    query, declared = MODELS["referentials/place"]
    sums = (
        "select p.location_code from referentials.place as p inner join staging.counted as c "
        "on p.location_code = c.location_code group by p.location_code having max(c.counted_qty) > 5"
    )
    checks = f'checks:\n  - {{kind: sql, name: few, each: [location_code], severity: warn, sql: "{sums}"}}\n'
    project = sql_folder(tmp_path / "sql", more={"referentials/place": (query, declared + checks)})
    whole: list[str] = []
    run_whole = checking.run_together

    def noted(con: duckdb.DuckDBPyConnection, checks: Sequence[Check]) -> list[CheckResult]:
        whole.extend(check.name for check in checks)
        return run_whole(con, checks)

    monkeypatch.setattr(check_scope, "run_together", noted)
    lines = [(f"S{number:02}", "A", 1) for number in range(9)]
    count(con, tmp_path, 0, *lines)
    assert run(con, project)[1]["few"] == 0
    whole.clear()
    count(con, tmp_path, 1, ("S01", "A", 2))
    assert run(con, project)[1]["few"] == 0
    assert "few" not in whole
    count(con, tmp_path, 2, ("S02", "A", 7))
    assert run(con, project)[1]["few"] == 1
    count(con, tmp_path, 3, ("S03", "A", 8))
    assert run(con, project)[1]["few"] == 2


def test_a_value_that_must_be_unique_is_looked_for_in_the_whole_table(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """The row that is in its way may stand still, under another key."""
    query, declared = MODELS["referentials/place"]
    checks = "checks:\n  - {kind: unique, columns: [qty], severity: warn, name: one_each}\n"
    project = sql_folder(tmp_path / "sql", more={"referentials/place": (query, declared + checks)})
    count(con, tmp_path, 0, ("S01", "A", 1), ("S02", "A", 2))
    assert run(con, project)[1]["one_each"] == 0
    count(con, tmp_path, 1, ("S02", "A", 3))
    assert run(con, project)[1]["one_each"] == 0
    count(con, tmp_path, 2, ("S02", "A", 1))
    assert run(con, project)[1]["one_each"] == 1


def test_what_was_forgotten_is_built_whole(con: duckdb.DuckDBPyConnection, project: SqlProject, tmp_path: Path) -> None:
    count(con, tmp_path, 0, ("S01", "A", 1))
    run(con, project)
    changes.forget(con)
    results, _ = run(con, project)
    assert set(how(results).values()) == {"whole"}


def test_logs_hold_only_what_somebody_still_needs(
    con: duckdb.DuckDBPyConnection, project: SqlProject, tmp_path: Path
) -> None:
    count(con, tmp_path, 0, ("S01", "A", 1))
    run(con, project)
    for hour in range(1, 4):
        count(con, tmp_path, hour, ("S01", "A", hour))
        run(con, project)
    logs = con.execute(
        "select table_name from duckdb_tables() where schema_name = 'increment' and starts_with(table_name, 'log_')"
    ).fetchall()
    held = {name: con.execute(f'select count(*) from increment."{name}"').fetchall()[0][0] for (name,) in logs}
    assert "log_staging__counted" in held
    # Those of KPIs wait for the next publication.
    assert {rows_qty for name, rows_qty in held.items() if not name.startswith("log_kpis__")} == {0}


@contextmanager
def power_goes(monkeypatch: pytest.MonkeyPatch, name: str) -> Iterator[None]:
    """The process dies just before it notes how a model was built."""
    keep = changes.Book.keep_model

    def fail(book: changes.Book, one: str, state: changes.ModelState) -> None:
        if one == name:
            raise RuntimeError("the power went")
        keep(book, one, state)

    with monkeypatch.context() as patched:
        patched.setattr(changes.Book, "keep_model", fail)
        with pytest.raises(RuntimeError, match="the power went"):
            yield


NOT_NEGATIVE_MART = {
    "marts/fct_place": (
        MODELS["marts/fct_place"][0],
        MODELS["marts/fct_place"][1]
        + """checks:
  - {kind: expression, name: mart_not_negative, sql: "qty >= 0", severity: warn}
""",
    )
}


def test_a_crash_between_both_files_hides_nothing_from_the_checks(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mart's rows are written, and the warehouse does not know: they are looked at by the next run."""
    project = sql_folder(tmp_path / "sql", more=NOT_NEGATIVE_MART)
    count(con, tmp_path, 0, ("S01", "A", 1))
    run(con, project)
    count(con, tmp_path, 1, ("S01", "A", -1))
    with power_goes(monkeypatch, "marts.fct_place"):
        run(con, project)
    assert run(con, project)[1]["mart_not_negative"] == 1


def test_a_crash_between_both_files_and_the_release_before_give_its_rows(
    con: duckdb.DuckDBPyConnection, project: SqlProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count(con, tmp_path, 0, ("S01", "A", 1))
    run(con, project)
    query = "select location_code, qty + 1 as qty from referentials.place"
    other = sql_folder(tmp_path / "other", {"marts/fct_place": query})
    with power_goes(monkeypatch, "marts.fct_place"):
        run(con, other)
    results, _ = run(con, project)
    assert how(results)["marts.fct_place"] == "whole"


@pytest.mark.parametrize("sums", ["[qty, row_qty]", "[row_qty, qty]"])
def test_sums_are_told_apart_in_whatever_order_they_are_declared(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, sums: str
) -> None:
    query, declared = MODELS["kpis/item_sum"]
    more = {"kpis/item_sum": (query, declared.replace("[qty, row_qty]", sums))}
    project = sql_folder(tmp_path / "sql", more=more)
    count(con, tmp_path, 0, ("S01", "A", 2))
    run(con, project)
    count(con, tmp_path, 1, ("S01", "A", 1), ("S02", "A", 0))
    run(con, project)
    assert con.execute("select qty, row_qty from kpis.item_sum").fetchall() == [(1, 2)]


def test_a_check_that_reads_the_clock_is_run_when_only_the_clock_moved(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    late = (
        "select place.location_code from referentials.place as place cross join meta.run_clock as run_clock "
        f"where run_clock.as_of_at > timestamptz '{at(1).isoformat()}'"
    )
    query, declared = MODELS["referentials/place"]
    checks = f'checks:\n  - {{kind: sql, name: not_late, severity: warn, sql: "{late}"}}\n'
    project = sql_folder(tmp_path / "sql", more={"referentials/place": (query, declared + checks)})
    count(con, tmp_path, 0, ("S01", "A", 1))
    assert run(con, project)[1]["not_late"] == 0
    set_run_clock(con, as_of_at=at(2), run_id="r2")
    assert run(con, project)[1]["not_late"] == 1


def test_a_check_looks_at_all_where_the_log_does_not_reach_back_to_its_last_look(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """Every reader of the table pointed at took its change in a step before, and the log was pruned by then."""
    more = {
        "staging/reader": ("select location_code from staging.counted", ""),
        "kpis/pointing": (
            "select 'S01' as location_code, count(*) as quantity from canonical.product",
            """checks:
  - {kind: relationship, columns: [location_code], to: staging.counted, to_columns: [location_code], severity: warn, name: is_counted}
""",
        ),
    }
    project = sql_folder(
        tmp_path / "sql", more=more, without=[name for name in MODELS if not name.startswith("staging/")]
    )
    lines = ("S01", "A", 1), ("S02", "B", 1)
    count(con, tmp_path, 0, *lines)
    assert run(con, project)[1]["is_counted"] == 0
    rows = [line_of("S02", "B", 1)]
    load_entity(
        con,
        "stock_count_line",
        [write(tmp_path, "stock_count_line", rows, extract="e1", hour=1)],
        full_scopes=[FullScope("shop", "all", "e1")],
    )
    assert con.execute("select count(*) from canonical.stock_count_line where _is_deleted").fetchall() == [(1,)]
    for schema in ("staging", "kpis"):
        builder = ModelBuilder(con, project, is_incremental=True, whole_share=10)
        models = project.select([schema])
        for model in models:
            builder.build(model)
        told = {check.name: builder.run_check(check).failing_qty for model in models for check in model.checks}
        builder.close()
    assert told == {"is_counted": 1}


def test_a_model_that_is_gone_holds_no_log(con: duckdb.DuckDBPyConnection, project: SqlProject, tmp_path: Path) -> None:
    count(con, tmp_path, 0, ("S01", "A", 1))
    run(con, project)
    fewer = sql_folder(tmp_path / "fewer", without=["kpis/past", "kpis/item_sum"])
    for hour in range(1, 4):
        count(con, tmp_path, hour, ("S01", "A", hour))
        run(con, fewer)
    assert con.execute("select count(*) from increment.log_staging__counted").fetchall() == [(0,)]
    results, _ = run(con, project)
    assert how(results)["kpis.past"] == how(results)["kpis.item_sum"] == "whole"


def test_a_table_that_only_the_mart_has_a_copy_of_is_built(
    con: duckdb.DuckDBPyConnection, project: SqlProject, tmp_path: Path
) -> None:
    count(con, tmp_path, 0, ("S01", "A", 1))
    run(con, project)
    con.execute("create schema mart.kpis; create table mart.kpis.past as from kpis.past; drop table wh.kpis.past")
    results, _ = run(con, project)
    assert how(results)["kpis.past"] == "whole"
    assert con.execute("select count(*) from wh.kpis.past").fetchall() == [(1,)]


def test_what_reads_the_last_full_readings_is_built_after_one(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    more = {"staging/full": ("select entity, system_code, stream, observed_at from meta.full_reading", "")}
    project = sql_folder(tmp_path / "sql", more=more)
    count(con, tmp_path, 0, ("S01", "A", 1))
    run(con, project)
    file = write(tmp_path, "stock_count_line", [line_of("S01", "A", 1)], extract="e1", hour=1)
    load_entity(con, "stock_count_line", [file], full_scopes=[FullScope("shop", "all", "e1")])
    run(con, project)
    assert con.execute("select observed_at from staging.full").fetchall() == [(at(1),)]
