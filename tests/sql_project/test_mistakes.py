"""What a person writing a model is told, and that the message names the file and the way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from resources.errors import ConfigurationError
from resources.sql_project import SqlProject, load_project

GIVEN = {"canonical.thing": {"thing_id": "VARCHAR", "size_qty": "BIGINT"}}
SQL = "with things as (select * from canonical.thing)\n\nselect\n    thing_id,\n    size_qty\nfrom things\n"
YML = """
description: >-
  Things.
  Grain: one row per thing.
columns:
  thing_id: {description: Thing.}
  size_qty: {description: Size., unit: units}
checks:
  - {kind: unique, columns: [thing_id]}
"""


def _project(tmp_path: Path, **files: str) -> SqlProject:
    folder = tmp_path / "sql"
    for name, text in ({"staging/thing.sql": SQL, "staging/thing.yml": YML} | files).items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return load_project(folder, given=GIVEN)


def test_a_model_says_what_it_reads_and_promises(tmp_path: Path) -> None:
    project = _project(tmp_path)
    model = project.models["staging.thing"]
    assert model.refs == ("canonical.thing",)
    assert list(model.columns) == ["thing_id", "size_qty"]
    assert model.columns["size_qty"].unit == "units"
    assert model.description == "Things. Grain: one row per thing."
    assert [check.name for check in model.checks] == ["thing_id_unique"]
    assert model.checks[0].severity == "error"


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("select thing_id, size_qty from canonical.thingy", r"reads canonical\.thingy, which is unknown; known: canonical\.thing"),
        ("select thing_id from canonical.thing", r"thing\.yml: column size_qty is documented, thing\.sql does not select it"),
        ("select thing_id, size_qty, 1 as x from canonical.thing", r"column x is selected by thing\.sql and not documented"),
        ("select * from canonical.thing", r"thing\.sql: SELECT \* in the final select hides the columns; write them out"),
        ("select thing_id size_qty from from", r"thing\.sql: not readable as SQL"),
        ("create table x as select 1", r"thing\.sql: a model is one select statement"),
        (
            "select thing_id, size_qty from canonical.thing qualify row_number() over (order by size_qty) = 1",
            r"thing\.sql: QUALIFY is not portable; number the rows in a CTE with row_number\(\)",
        ),
        (
            "select a.thing_id, a.size_qty from canonical.thing a asof join canonical.thing b on a.size_qty >= b.size_qty",
            r"thing\.sql: ASOF JOIN is not portable; make validity ranges with lead\(\)",
        ),
        ("select thing_id, list(size_qty) as size_qty from canonical.thing group by all", r"list\(\) / array_agg\(\) is not portable"),
        ("select thing_id, max(size_qty) as size_qty from canonical.thing group by all", r"GROUP BY ALL is not portable"),
        ("select thing_id, [1, 2][1] as size_qty from canonical.thing", r"a list is not portable"),
        ("select thing_id, {'a': 1}.a as size_qty from canonical.thing", r"a struct is not portable"),
        ("select thing_id, unnest([1]) as size_qty from canonical.thing", r"unnest is not portable"),
        ("with p as (pivot canonical.thing on thing_id using sum(size_qty)) select thing_id, size_qty from p", r"PIVOT is not portable"),
        ("with c as (select max(columns(*)) from canonical.thing) select thing_id, size_qty from c", r"COLUMNS\(\.\.\.\) is not portable"),
        ("select thing_id, size_qty from canonical.thing where now() > '2026-01-01'", r"the engine's clock is not portable; read as_of_at"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_query(tmp_path: Path, sql: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        _project(tmp_path, **{"staging/thing.sql": sql})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("  Grain: one row per thing.\n", ""), r"thing\.yml: the description must end with `Grain: one row per \.\.\.`"),
        (("checks:", "tests:"), r"thing\.yml: unknown key tests; expected changed_on, checks, columns"),
        (("kind: unique", "kind: uniq"), r"thing\.yml: a check needs a kind, one of not_null, unique"),
        (("columns: [thing_id]", "columns: [thing]"), r"check thing_unique names column thing, which the model does not select"),
        (("columns: [thing_id]", "columns: [thing_id], severity: high"), r"severity error or warn"),
        (
            ("{kind: unique, columns: [thing_id]}", "{kind: relationship, columns: [thing_id], to: staging.lost, to_columns: [x]}"),
            r"reads staging\.lost, which is unknown; known: staging\.thing",
        ),
        (("{kind: unique, columns: [thing_id]}", "{kind: expression, sql: size_qty > 0}"), r"needs a name that says what it promises"),
        (("{description: Size., unit: units}", "{unit: units}"), r"column size_qty needs a description"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_documentation(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        _project(tmp_path, **{"staging/thing.yml": YML.replace(*change)})


def test_a_missing_half_is_told_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        _project(tmp_path, **{"staging/lonely.sql": SQL, "kpis/orphan.yml": YML, "checks/alone.sql": SQL})
    told = str(caught.value)
    assert "sql/staging/lonely.sql: there is no lonely.yml beside it" in told
    assert "sql/kpis/orphan.yml: there is no orphan.sql beside it" in told
    assert "sql/checks/alone.sql: there is no alone.yml beside it" in told
    assert told.startswith("3 mistake(s)"), "all are told at once"


def test_models_that_read_each_other_are_told(tmp_path: Path) -> None:
    files = {}
    for name, other in (("left", "right"), ("right", "left")):
        files[f"kpis/{name}.sql"] = f"select thing_id, size_qty from kpis.{other}"
        files[f"kpis/{name}.yml"] = YML
    with pytest.raises(ConfigurationError, match=r"kpis/left\.sql, sql/kpis/right\.sql: these models read each other"):
        _project(tmp_path, **files)
