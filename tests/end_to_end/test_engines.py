"""The demo's models built on a cluster instead of here: every table of every model, and what is published, equal row by row."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from assets.runtime import Runtime, build_runtime
from orchestration.demo import ENV_FILE, DemoOutcome
from orchestration.runs import RunSummary, run_job
from resources.given_tables import quoted
from resources.report.data import open_published
from resources.settings import Settings

pytestmark = [pytest.mark.xdist_group("demo"), pytest.mark.slow]

BUILT = "group:staging or group:referentials or group:kpis or group:channels or group:marts or group:publication or group:channel_sync"
"""Everything but reading and loading: both engines build from the same rows, at the same clock."""

MODEL_SCHEMAS = ("staging", "referentials", "kpis", "channels", "marts")


@dataclass(frozen=True)
class Built:
    """A run on the cluster over a copy of the demo's data. ``here``: the demo as DuckDB built it."""

    here: Path
    there: Runtime
    summary: RunSummary


@pytest.fixture(scope="module")
def built(
    demo: DemoOutcome, spark_remote: str, project_root: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Built]:
    folder = tmp_path_factory.mktemp("engines") / "data"
    shutil.copytree(demo.folder, folder, ignore=shutil.ignore_patterns("sandbox", "landing", "dagster", "published"))
    environ = {
        "ETALON_ENV_FILE": str(demo.folder / ENV_FILE),
        "ETALON_DATA_DIR": str(folder),
        "ETALON_ENGINE": "spark",
        "ETALON_SPARK_REMOTE": spark_remote,
    }
    runtime = build_runtime(Settings.from_environment(environ, project_root))
    yield Built(demo.folder, runtime, run_job(runtime, full=False, select=BUILT))
    shutil.rmtree(folder)


def attached(con: duckdb.DuckDBPyConnection, folder: Path, name: str) -> None:
    for file, alias in (("warehouse", f"{name}_wh"), ("mart", f"{name}_mart")):
        con.execute(f"attach '{folder / file}.duckdb' as {alias} (read_only)")


def test_the_run_on_the_cluster_goes_as_here(demo: DemoOutcome, built: Built) -> None:
    """The same checks pass and fail, with as many offending rows."""
    assert built.summary.is_finished, built.summary.errors

    def of_models(summary: RunSummary) -> set[tuple[str, str, str]]:
        return {
            (check.asset, check.check, check.detail)
            for check in summary.failed_checks
            if check.asset.split("/")[0] in MODEL_SCHEMAS
        }

    assert of_models(demo.summary)  # the demo plants what breaks some of them
    assert of_models(built.summary) == of_models(demo.summary)


def test_every_model_has_the_same_rows_on_both_engines(built: Built) -> None:
    """Row by row, money to the cent; no tolerance, not even for the shares, which are one division of whole numbers."""
    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'")
    attached(con, built.here, "here")
    attached(con, built.there.settings.data_dir, "there")
    differences, rows = {}, 0
    for name, model in built.there.project.models.items():
        database = "mart" if model.schema == "marts" else "wh"
        here, there = (f"{side}_{database}.{quoted(name)}" for side in ("here", "there"))
        types = [
            con.execute(f"select column_name, column_type from (describe {table})").fetchall()
            for table in (here, there)
        ]
        assert types[0] == types[1], name
        found = con.execute(
            f"""select (select count(*) from {here}), (select count(*) from (from {here} except all from {there})),
            (select count(*) from (from {there} except all from {here}))"""
        ).fetchall()[0]
        rows += found[0]
        if found[1:] != (0, 0):
            differences[name] = {"rows": found[0], "only here": found[1], "only there": found[2]}
    con.close()
    assert differences == {}
    assert rows > 50_000  # tables without rows are equal too


def test_what_is_published_is_the_same(demo: DemoOutcome, built: Built) -> None:
    def published(path: Path) -> dict[str, tuple[int, str]]:
        with open_published(path) as con:
            tables = con.execute(
                "select schema_name || '.' || table_name, comment from duckdb_tables() where database_name = 'bi' order by all"
            ).fetchall()
            return {
                name: (con.execute(f"select count(*) from bi.{quoted(name)}").fetchall()[0][0], comment)
                for name, comment in tables
            }

    assert published(built.there.settings.bi_path) == published(demo.folder / "published" / "bi.duckdb")
    assert built.there.settings.report_path.stat().st_size > 10_000
