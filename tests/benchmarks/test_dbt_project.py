"""dbt_like_sql as a dbt project: names of tables become references, nothing else of the SQL changes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from benchmarks.dbt_project import with_references, write_dbt_project
from resources.sql_project import SqlProject, load_project

NAMES = {"staging.product": "ref", "canonical.order": "source"}
REFERENCE = re.compile(r"\{\{ (ref|source)\('(\w+)'(?:, '(\w+)')?\) \}\}")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("select * from staging.product as p", "select * from {{ ref('staging__product') }} as p"),
        ('select * from canonical."order"', "select * from {{ source('canonical', 'order') }}"),
        ("from staging.product", "from {{ ref('staging__product') }}"),
        ("select 'staging.product' from x", "select 'staging.product' from x"),
        ("-- staging.product\nselect 1 from x", "-- staging.product\nselect 1 from x"),
        ("select t.staging.product from x as t", "select t.staging.product from x as t"),
        ("select product.staging from product", "select product.staging from product"),
        ("select a from staging.other", "select a from staging.other"),
        (
            "select 'é' from staging.product join staging.product",
            "select 'é' from {{ ref('staging__product') }} join {{ ref('staging__product') }}",
        ),
    ],
)
def test_only_names_of_tables_become_references(given: str, expected: str) -> None:
    assert with_references(given, NAMES) == expected


@pytest.fixture(scope="module")
def ours() -> SqlProject:
    return load_project(Path(__file__).parents[2] / "dbt_like_sql")


@pytest.fixture(scope="module")
def written(ours: SqlProject, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dbt")
    told = write_dbt_project(
        ours,
        folder,
        database=folder / "stack.duckdb",
        loaded=["canonical.order"],
        in_files={"meta": folder / "given" / "meta"},
        memory_limit="2GB",
        threads=2,
    )
    assert told == {"models": len(ours.models), "tests": len(ours.all_checks()), "sources": len(ours.given)}
    return folder


def test_every_model_reads_what_ours_reads(ours: SqlProject, written: Path) -> None:
    for model in ours.models.values():
        text = (written / "models" / model.schema / f"{model.name.replace('.', '__')}.sql").read_text()
        found = {
            first.replace("__", ".", 1) if kind == "ref" else f"{first}.{second}"
            for kind, first, second in REFERENCE.findall(text)
        }
        assert found == set(model.refs), model.name
        # Put back, the references give our own query again.
        back = REFERENCE.sub(lambda m: m[2].replace("__", ".", 1) if m[1] == "ref" else f"{m[2]}.{m[3]}", text)
        assert back.split("\n", 1)[1].replace('"', "").strip() == model.sql.replace('"', "").strip()


def test_every_check_is_a_test_of_its_severity(ours: SqlProject, written: Path) -> None:
    texts = {path.stem: path.read_text() for path in (written / "tests").glob("*.sql")}

    assert len(texts) == len(ours.all_checks())
    assert sum("severity='warn'" in text for text in texts.values()) == sum(
        check.severity == "warn" for check in ours.all_checks()
    )
    for check in ours.all_checks():
        text = texts[f"{(check.model or 'checks').replace('.', '__')}__{check.name}"]
        assert len(set(REFERENCE.findall(text))) == len(check.refs), check.name


def test_given_tables_are_loaded_or_files_or_made_empty(ours: SqlProject, written: Path) -> None:
    hooks = "\n".join(yaml.safe_load((written / "dbt_project.yml").read_text())["on-run-start"])
    sources = {
        source["name"]: source for source in yaml.safe_load((written / "models" / "sources.yml").read_text())["sources"]
    }

    made = set(re.findall(r'create table if not exists "(\w+)"\."(\w+)"', hooks))
    given = {tuple(table.split(".")) for table in ours.given}
    assert made == {pair for pair in given if pair != ("canonical", "order") and pair[0] != "meta"}
    assert sources["meta"]["config"]["meta"]["external_location"].endswith("given/meta/{name}.parquet")
    assert "config" not in sources["canonical"]
    assert {(name, table["name"]) for name, source in sources.items() for table in source["tables"]} == given
