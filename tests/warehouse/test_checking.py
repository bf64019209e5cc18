"""Checks run together say what each says by itself: how many rows break it, and which."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from resources.errors import PermanentError
from resources.sql_project import SqlProject, load_project
from resources.warehouse.checking import CheckResult, run_check, run_together

YML = """
description: "What was sold. Grain: one row per line."
columns: {line_id: Line., status: State., quantity: Units., note: A remark.}
checks:
  - {kind: not_null, columns: [line_id]}
  - {kind: not_null, columns: [note], where: "status = 'done'", name: a_note_when_done}
  - {kind: accepted_values, column: status, values: [open, done], severity: warn}
  - {kind: expression, name: positive, sql: "quantity > 0"}
  - {kind: unique, columns: [line_id]}
"""
ROWS = [
    ("L1", "open", 1, None),
    ("L2", "done", 0, "late"),
    ("L2", "lost", None, None),
    (None, None, -3, None),
    ("L4", "done", 2, None),
]


@pytest.fixture
def project(tmp_path: Path) -> SqlProject:
    folder = tmp_path / "sql" / "staging"
    folder.mkdir(parents=True)
    (folder / "line.sql").write_text(
        "select kpi_code as line_id, kpi_code as status, target as quantity, kpi_code as note from retailer.kpi_threshold\n"
    )
    (folder / "line.yml").write_text(YML)
    return load_project(tmp_path / "sql")


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    found = duckdb.connect()
    found.execute(
        "create schema staging; create table staging.line (line_id text, status text, quantity int, note text)"
    )
    found.executemany("insert into staging.line values (?, ?, ?, ?)", ROWS)
    return found


def told(results: list[CheckResult]) -> list[tuple[str, int, object]]:
    return [(result.check.name, result.failing_qty, result.sample) for result in results]


def test_together_says_what_each_says_by_itself(project: SqlProject, con: duckdb.DuckDBPyConnection) -> None:
    checks = project.all_checks()
    together = run_together(con, checks)
    assert told(together) == told([run_check(con, check) for check in checks])
    assert {result.check.name: result.failing_qty for result in together} == {
        "line_id_not_null": 1,
        "a_note_when_done": 1,
        "status_accepted_values": 1,
        "positive": 3,
        "line_id_unique": 1,
    }


def test_the_check_that_is_wrong_is_the_one_named(project: SqlProject, con: duckdb.DuckDBPyConnection) -> None:
    con.execute("alter table staging.line drop column note")
    with pytest.raises(PermanentError, match="a_note_when_done"):
        run_together(con, project.all_checks())
