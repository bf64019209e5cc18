"""The same models and checks on DuckDB here and on a Spark Connect endpoint, over the same loaded rows; then every table compared.

The endpoint is Sail as a cluster of two workers, started for each run and counted with it; or ``--remote``, whose processor is not counted.
What the cluster is given and what comes back are counted: it is the product's own builder. docs/scale.md uses the figures.

    python -m benchmarks.engines --lines 1000000 --runs 1 --folder data/engines
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.big_retailer.declared import settings
from benchmarks.big_retailer.making import make_retailer
from benchmarks.big_retailer.world import NOW
from benchmarks.harness import (
    Line,
    Outcome,
    Side,
    common_arguments,
    cpu_clock,
    measure_interleaved,
    report,
    run_job_if_asked,
)
from benchmarks.machine import ROOT

MODULE = "benchmarks.engines"
DUCKDB, SPARK = "duckdb", "spark"
LOADED = "group:sources or group:canonical"
MEMORY_LIMIT, THREADS = "4GB", 2


def job(given: dict[str, Any]) -> Outcome:
    """Every model, then every check, on one engine; the rows are loaded already."""
    from resources.sql_cache import remembered_project
    from resources.warehouse.build import ModelBuilder

    folder = Path(given["folder"])
    project = remembered_project(ROOT / "dbt_like_sql", folder / "cache")
    told: dict[str, Any] = {}
    with _opened(folder / given["engine"]) as con, cpu_clock() as spent:
        if given["engine"] == DUCKDB:
            builder = ModelBuilder(con, project)
            for model in project.models.values():
                builder.build(model)
            told["models here CPU-s"] = round(spent(), 1)
            failing = sum(result.failing_qty for result in builder.run_checks(project.all_checks()))
            builder.close()
        else:
            failing = _on_cluster(given, con, told)
        told |= {"here CPU-s": round(spent(), 1), "rows that break checks": failing}
        lines = con.execute("select count(*) from canonical.order_line").fetchall()[0][0]
        return Outcome(int(lines), spent(), told)


def _on_cluster(given: dict[str, Any], con: duckdb.DuckDBPyConnection, told: dict[str, Any]) -> int:
    from resources.spark.building import ClusterBuilder
    from resources.spark.cluster import connected
    from resources.spark.store import Store
    from resources.sql_cache import remembered_project
    from tests.spark_server import running_sail

    folder = Path(given["folder"])
    project = remembered_project(ROOT / "dbt_like_sql", folder / "cache")
    shared = folder / "shared"
    shutil.rmtree(shared, ignore_errors=True)
    shared.mkdir()
    (folder / "tables.json").unlink(missing_ok=True)

    def build(remote: str) -> int:
        store = Store(shared, str(shared), folder / "tables.json")
        with connected(remote) as cluster:
            builder = ClusterBuilder(con, cluster, store, project)
            for model in project.models.values():
                builder.build(model)
            failing = 0
            for model in project.models.values():
                failing += sum(result.failing_qty for result in builder.run_checks(project.all_checks([model.name])))
        told["shared folder MB"] = round(sum(path.stat().st_size for path in shared.rglob("*.parquet")) / 1e6)
        return failing

    if given["remote"]:
        return build(given["remote"])
    with running_sail(folder) as remote:
        return build(remote)


@contextmanager
def _opened(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The loaded warehouse of one engine."""
    from resources.warehouse import Warehouse

    with Warehouse(folder, memory_limit=MEMORY_LIMIT, threads=THREADS).writer(purpose="the benchmark") as con:
        yield con


def load(folder: Path, lines: int, seed: int) -> None:
    """Make the retailer, read and load it as a run does, and give each engine a warehouse of its own."""
    from assets.runtime import build_runtime
    from orchestration.runs import run_job
    from resources.settings import Settings

    make_retailer(folder / "retailer", lines, seed)
    place = folder / "retailer" / "data"
    if not (place / "warehouse.duckdb").exists():
        runtime = build_runtime(Settings.from_environment(settings(folder / "retailer", NOW.isoformat()), ROOT))
        summary = run_job(runtime, full=True, select=LOADED)
        if not summary.is_finished:
            raise RuntimeError(f"the retailer was not loaded: {summary.errors}")
    for engine in (DUCKDB, SPARK):
        (folder / engine).mkdir(parents=True, exist_ok=True)
        for name in ("warehouse.duckdb", "mart.duckdb"):
            shutil.copy(place / name, folder / engine / name)


def compare(folder: Path) -> int:
    """How many tables are equal. Raises RuntimeError with those that differ."""
    from resources.given_tables import quoted
    from resources.sql_cache import remembered_project

    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'")
    con.execute(f"set memory_limit = '{MEMORY_LIMIT}'")
    for engine in (DUCKDB, SPARK):
        for database in ("warehouse", "mart"):
            con.execute(f"attach '{folder / engine / database}.duckdb' as {engine}_{database} (read_only)")
    differing = []
    models = remembered_project(ROOT / "dbt_like_sql", folder / "cache").models
    for name, model in models.items():
        database = "mart" if model.schema == "marts" else "warehouse"
        # One pass over each: a sum of hashes is the same for the same rows, however often each is there.
        here, there = (
            con.execute(f"select count(*), sum(hash(t)) from {engine}_{database}.{quoted(name)} as t").fetchall()
            for engine in (DUCKDB, SPARK)
        )
        if here != there:
            differing.append(name)
    con.close()
    if differing:
        raise RuntimeError(f"these tables differ between the engines: {', '.join(differing)}")
    return len(models)


def measured(folder: Path, arguments: Namespace) -> Line:
    """Both engines in turn."""
    load(folder, arguments.lines, arguments.seed)
    given = {"folder": str(folder), "remote": arguments.remote}
    there = "the endpoint" if arguments.remote else "Sail, two workers"
    sides = [
        Side("DuckDB", {**given, "engine": DUCKDB}, module=MODULE),
        Side(there, {**given, "engine": SPARK}, module=MODULE),
    ]
    runs_of = measure_interleaved(sides, arguments.runs)
    print(f"{compare(folder)} tables are equal on both engines", file=sys.stderr)  # noqa: T201 (a command's own words)
    size = f"{arguments.lines:,} order lines, {os.cpu_count()} cores"
    return Line("engines DuckDB", size, runs_of["DuckDB"], [], [Line(f"engines {there}", size, runs_of[there])])


def main() -> None:
    """Run it from the command line."""
    parser = common_arguments(str(__doc__))
    parser.add_argument("--lines", type=int, default=20_000, help="order lines of the retailer (default 20,000)")
    parser.add_argument("--folder", type=Path, help="where the retailer is made and kept (default: a temporary folder)")
    parser.add_argument("--remote", default="", help="a Spark Connect endpoint that sees the folder; Sail by default")
    arguments = parser.parse_args()
    if run_job_if_asked(arguments, job):
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.folder or Path(temporary)).absolute()
        report([measured(folder, arguments)], as_json=arguments.json)


if __name__ == "__main__":
    main()
