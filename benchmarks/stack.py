"""The whole job beside the stack that people would build instead: dlt and dbt-duckdb on the same files.

Ours is `etalon run --full` on an empty data folder: read with contracts and landing, load, build, check, publish, report. Theirs loads the
same canonical columns with dlt and runs the same models and checks as a dbt project, which is generated from dbt_like_sql; it refuses
bad rows without telling which, keeps nothing of what was received, publishes nothing. First both run once, not counted, and every table
of theirs must equal ours row by row; then they run in turn.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from benchmarks.big_retailer.declared import SECRET_KEY, settings
from benchmarks.big_retailer.making import HISTORY_FOLDER, make_retailer
from benchmarks.big_retailer.world import NOW
from benchmarks.dbt_project import write_dbt_project
from benchmarks.environments import environment
from benchmarks.harness import (
    Goal,
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
from benchmarks.stack_tables import differences, export_tables
from resources.connectors.sdk.feed import load_feeds
from resources.contracts.entity import entities
from resources.given_tables import canonical_columns
from resources.privacy import derive_key
from resources.sql_project import SqlProject, load_project

MODULE = "benchmarks.stack"
OURS = "ours"
READINGS = {"dlt (rows) + dbt-duckdb": "rows", "dlt (arrow) + dbt-duckdb": "arrow"}
"""Theirs, two ways: as dlt's documentation shows, and tuned as far as it goes."""
THREADS, MEMORY_LIMIT = 2, "2GB"
_HANDED_OVER = ("retailer", "meta")
_BOOKKEEPING = ("extract_id", "source_position", "_row_version")
"""Columns of canonical tables that tell of our own readings; no model's result depends on them."""


def job(given: dict[str, Any]) -> Outcome:
    """`etalon run --full` on an empty data folder, but for the SQL project as it was read last (dbt keeps its own likewise)."""
    from orchestration.cli.environment import open_runtime
    from orchestration.runs import run_job

    with cpu_clock() as spent:
        empty_data(Path(os.environ["ETALON_DATA_DIR"]))
        summary = run_job(open_runtime(), full=True)
        if not summary.is_good:
            failed = [check for check in summary.failed_checks if check.is_error]
            raise RuntimeError(f"the run was not good: {summary.errors} {failed}")
        told: dict[str, float] = {"assets": len(summary.materialized), "checks": summary.checks_qty}
        told |= {f"{step.step} s": round(step.seconds, 1) for step in summary.steps}
        return Outcome(given["order_lines"], spent(), told)


@dataclass(frozen=True)
class Place:
    """Where both work: one retailer's files, a data folder of ours, a project and a database of theirs."""

    folder: Path

    @property
    def data(self) -> Path:
        """Ours."""
        return self.folder / "data"

    @property
    def database(self) -> Path:
        """Their tables."""
        return self.folder / "stack" / "stack.duckdb"

    @property
    def project(self) -> Path:
        """Their dbt project."""
        return self.folder / "stack" / "dbt"

    @property
    def handed_over(self) -> Path:
        """What the stack has no reader for, as Parquet: retailer.yaml's tables, and what our run noted of itself."""
        return self.folder / "stack" / "given"


def empty_data(data: Path) -> None:
    """Take away what a run of ours left, but the SQL project as it was read last."""
    for path in data.iterdir() if data.exists() else ():
        if path.name != "cache":
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def sides(place: Place, made: Mapping[str, int], python: Path) -> list[Side]:
    """Ours and theirs, on the same files."""
    lines = made["order lines"]
    loaded = [table.removeprefix("canonical.") for table in loaded_tables(place)]
    ours = Side(OURS, {"order_lines": lines}, module=MODULE, environ=settings(place.folder, NOW.isoformat()))
    given = {
        "drops": str(place.folder / HISTORY_FOLDER),
        "database": str(place.database),
        "pipelines": str(place.folder / "stack" / "dlt"),
        "project": str(place.project),
        "columns": {name: canonical_columns(entities()[name]) for name in loaded},
        "token_key": derive_key(bytes.fromhex(SECRET_KEY), "token email").hex(),
        "memory_limit": MEMORY_LIMIT,
        "threads": THREADS,
        "order_lines": lines,
    }
    return [
        ours,
        *(
            Side(name, {**given, "reading": reading}, script="dlt_dbt_stack.py", python=python)
            for name, reading in READINGS.items()
        ),
    ]


def prepare(place: Place, project: SqlProject) -> None:
    """Hand over what the stack does not read, and generate its dbt project."""
    tables = [table for table in project.given if table.split(".")[0] in _HANDED_OVER]
    export_tables(place.data / "warehouse.duckdb", tables, place.handed_over)
    write_dbt_project(
        project,
        place.project,
        database=place.database,
        loaded=loaded_tables(place),
        in_files={schema: place.handed_over / schema for schema in _HANDED_OVER},
        memory_limit=MEMORY_LIMIT,
        threads=THREADS,
    )


def loaded_tables(place: Place) -> list[str]:
    """The canonical tables that the retailer's feeds fill."""
    declared = yaml.safe_load((place.folder / "retailer.yaml").read_text(encoding="utf-8"))
    feeds = load_feeds()
    named = {entity for system in declared["systems"] for feed in system["feeds"] for entity in feeds[feed].entities}
    return [f"canonical.{entity}" for entity in sorted(named)]


def compare(place: Place, project: SqlProject) -> int:
    """How many tables are equal. Raises RuntimeError with those that differ, their rows and columns."""
    files = [place.data / "warehouse.duckdb", place.data / "mart.duckdb"]
    loaded = loaded_tables(place)
    found = differences(files, place.database, loaded, left_out=_BOOKKEEPING)
    found += differences(files, place.database, project.models)
    if found:
        raise RuntimeError("\n".join(["the stack's tables are not ours:", *map(str, found)]))
    return len(loaded) + len(project.models)


def measured(place: Place, made: Mapping[str, int], arguments: Namespace) -> Line:
    """Both sides, compared once and then measured in turn."""
    size = f"{made['order lines']:,} order lines in {made['files']:,} files, {made['bytes'] / 1e6:,.0f} MB"
    if not arguments.baselines:
        ours, *_ = sides(place, made, Path(sys.executable))
        return Line("stack", size, measure_interleaved([ours], arguments.runs)[OURS])
    ours, *theirs = sides(place, made, environment("stack", arguments.environments))
    measure_interleaved([ours], 1)
    project = load_project(ROOT / "dbt_like_sql")
    prepare(place, project)
    equal = {}
    for side in theirs:
        measure_interleaved([side], 1)
        equal[side.name] = compare(place, project)
    runs = measure_interleaved([ours, *theirs], arguments.runs)
    baselines = [
        Line(
            side.name,
            size,
            [replace(run, told={"tables equal to ours": equal[side.name], **run.told}) for run in runs[side.name]],
        )
        for side in theirs
    ]
    return Line("stack", size, runs[OURS], [Goal("cpu_ratio", 5, at_least=True)], baselines)


def main() -> None:
    """Run it from the command line."""
    parser = common_arguments(str(__doc__))
    parser.add_argument("--lines", type=int, default=20_000, help="order lines of the retailer (default 20,000)")
    arguments = parser.parse_args()
    if run_job_if_asked(arguments, job):
        return
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder))
        made = make_retailer(place.folder, arguments.lines, arguments.seed)
        report([measured(place, made, arguments)], as_json=arguments.json)


if __name__ == "__main__":
    main()
