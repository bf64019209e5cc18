"""The project as shipped: it loads quickly, runs on empty tables in order, and its checks and lineage hold together."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from sqlglot import exp, parse_one

from resources.errors import ConfigurationError
from resources.sql_lineage import ColumnSource, column_lineage
from resources.sql_project import SqlProject, load_project
from resources.warehouse import ModelFailed, Warehouse
from tests.sql_project.test_mistakes import SQL, YML


@pytest.fixture(name="project", scope="module")
def _project(sql_project: SqlProject) -> SqlProject:
    return sql_project


def test_each_model_comes_after_what_it_reads(project: SqlProject) -> None:
    done: set[str] = set()
    for model in project.models.values():
        assert {ref for ref in model.refs if ref in project.models} <= done, model.name
        done.add(model.name)


def test_it_runs_on_empty_tables_and_every_blocking_check_holds(project: SqlProject, tmp_path: Path) -> None:
    """A retailer's first run may find nothing at all."""
    warehouse = Warehouse(tmp_path, threads=1)
    with warehouse.writer() as con:
        results = warehouse.run_models(con, project, ["staging", "referentials"])
        checks = warehouse.run_checks(con, project, ["staging", "referentials"])
        comment = con.execute(
            "select comment from duckdb_tables() where schema_name = 'referentials' and table_name = 'product'"
        ).fetchall()
    assert [result.name for result in results] == [model.name for model in project.select(["staging", "referentials"])]
    assert [result.check.name for result in checks if not result.is_ok] == []
    assert "Grain: one row per sellable item" in comment[0][0]


def test_selection_names_models_or_whole_schemas(project: SqlProject) -> None:
    assert [model.name for model in project.select(["referentials.company"])] == ["referentials.company"]
    with pytest.raises(ConfigurationError, match=r"no model and no schema is called referentials\.compagny"):
        project.select(["referentials.compagny"])


def test_lineage_of_sixty_models_takes_less_than_three_seconds(project: SqlProject) -> None:
    started = time.process_time()
    lineage = load_project(project.folder).lineage
    spent = time.process_time() - started
    assert set(lineage) == set(project.models)
    # Twice the promise: a shared machine's clock is no stopwatch.
    assert spent / len(project.models) * 60 < 6.0
    assert (
        ColumnSource("referentials.unacknowledged_line", "quantity")
        in (lineage["referentials.stock_position"]["unacknowledged_qty"])
    )


def test_lineage_follows_ctes_unions_windows_and_subqueries() -> None:
    parsed = parse_one(
        """with a as (select x.k, x.v + x.w as s from s.x), b as (select k, s from a union all select k, z from s.y)
        select k, sum(s) over (partition by k) as total, (select max(q) from s.z where z.k = b.k) as top, 1 as one from b""",
        dialect="duckdb",
    )
    assert isinstance(parsed, exp.Query)
    lineage = column_lineage(parsed, {"s.x": ["k", "v", "w"], "s.y": ["k", "z"], "s.z": ["k", "q"]})
    assert lineage["k"] == (ColumnSource("s.x", "k"), ColumnSource("s.y", "k"))
    assert set(lineage["total"]) == {
        ColumnSource("s.x", "k"),
        ColumnSource("s.x", "v"),
        ColumnSource("s.x", "w"),
        ColumnSource("s.y", "k"),
        ColumnSource("s.y", "z"),
    }
    assert ColumnSource("s.z", "q") in lineage["top"]
    assert lineage["one"] == ()


def _small(tmp_path: Path, sql: str, checks: str) -> SqlProject:
    folder = tmp_path / "sql" / "kpis"
    folder.mkdir(parents=True)
    (folder / "thing.sql").write_text(sql)
    (folder / "thing.yml").write_text(YML.split("checks:")[0] + "checks:\n" + checks)
    return load_project(tmp_path / "sql", given={})


def test_each_kind_of_check_counts_its_rows_and_shows_some(tmp_path: Path) -> None:
    rows = "select 'a' as thing_id, 1 as size_qty union all select 'a', null union all select null, 7"
    project = _small(
        tmp_path,
        f"select thing_id, size_qty from ({rows}) as r",
        """
  - {kind: not_null, columns: [thing_id, size_qty]}
  - {kind: unique, column: thing_id, severity: warn}
  - {kind: accepted_values, column: size_qty, values: [1, 2]}
  - {kind: accepted_values, name: known_thing, column: thing_id, values: [b]}
  - {kind: expression, name: positive, sql: size_qty > 0, description: sizes are positive}
  - {kind: expression, name: positive_if_known, sql: size_qty > 0, where: size_qty is not null}
  - {kind: relationship, columns: [thing_id], to: kpis.thing, to_columns: [thing_id]}
  - {kind: sql, name: few_things, sql: select count(*) as n from kpis.thing having count(*) > 2}
""",
    )
    with Warehouse(tmp_path / "data", threads=1).writer() as con:
        warehouse = Warehouse(tmp_path / "data")
        warehouse.run_models(con, project)
        results = {result.check.name: result for result in warehouse.run_checks(con, project)}
    assert {name: result.failing_qty for name, result in results.items()} == {
        "thing_id_size_qty_not_null": 2,
        "thing_id_unique": 1,
        "size_qty_accepted_values": 1,
        "known_thing": 2,
        "positive": 1,
        "positive_if_known": 0,
        "thing_id_relationship_in_kpis_thing": 0,
        "few_things": 1,
    }
    assert results["few_things"].sample == ({"n": 3},)
    assert results["size_qty_accepted_values"].is_blocking
    assert not results["thing_id_unique"].is_blocking
    assert not results["thing_id_unique"].is_ok


def test_a_model_that_fails_names_its_file_and_leaves_the_old_table(tmp_path: Path) -> None:
    project = _small(tmp_path, "select 'a' as thing_id, 1 as size_qty", "  - {kind: not_null, column: thing_id}\n")
    path = tmp_path / "sql" / "kpis" / "thing.sql"
    with Warehouse(tmp_path / "data", threads=1).writer() as con:
        warehouse = Warehouse(tmp_path / "data")
        warehouse.run_models(con, project)
        path.write_text("select 'b' as thing_id, cast('x' as bigint) as size_qty")
        with pytest.raises(ModelFailed, match=r"thing\.sql: model kpis\.thing did not run: Conversion Error"):
            warehouse.run_models(con, load_project(tmp_path / "sql", given={}))
        assert con.execute("select thing_id from kpis.thing").fetchall() == [("a",)]


def test_a_model_is_read_without_its_semicolon(tmp_path: Path) -> None:
    folder = tmp_path / "sql" / "staging"
    folder.mkdir(parents=True)
    (folder / "thing.sql").write_text(SQL + ";\n")
    (folder / "thing.yml").write_text(YML)
    given = {"canonical.thing": {"thing_id": "VARCHAR", "size_qty": "BIGINT"}}
    assert not load_project(tmp_path / "sql", given=given).models["staging.thing"].sql.endswith(";")
