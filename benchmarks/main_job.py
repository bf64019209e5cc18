"""The main job at a size: all of it, and again after a day of changes; stage by stage, memory, and what Dagster takes of it.

The retailer is `big_retailer`. A run is `etalon run`'s own path, in a process of its own: settings, `run_job`, the Dagster instance.
What a stage costs is the CPU-seconds between the news that the product tells a person, so a stage holds Dagster's events of it;
``bare`` does the same work in the same order without Dagster, and the difference is Dagster's share.

    python -m benchmarks.main_job --lines 1000000 --lines 10000000 --folder data/main-job
"""

from __future__ import annotations

import math
import os
import shutil
import sys
import tempfile
from argparse import Namespace
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.big_retailer.declared import settings
from benchmarks.big_retailer.making import drop_changes, make_retailer, start_anew
from benchmarks.big_retailer.world import LATER, NOW
from benchmarks.harness import (
    Goal,
    Line,
    Measure,
    Outcome,
    Side,
    common_arguments,
    measure_interleaved,
    report,
    run_job_if_asked,
)
from benchmarks.machine import ROOT

if TYPE_CHECKING:
    from assets.progress import Progress
    from assets.runtime import Runtime

MODULE = "benchmarks.main_job"
LARGE = 10_000_000
SMALLEST = 1_000
MEMORY_MB = 4096
_DEAREST = 15
SOME_ASSETS = "group:kpis or group:marts"
"""About 60 assets with their checks: so many the goal for the smallest data speaks of."""


def _cpu_s() -> float:
    """Of this process and of the children it waited for."""
    return sum(os.times()[:4])


class Costs:
    """Takes the product's news, and books the CPU-seconds until the next one under the news."""

    def __init__(self) -> None:
        self.stages: Counter[str] = Counter()
        self.parts: Counter[str] = Counter()
        self._since = _cpu_s()
        self._now = ("start", "")

    def take(self, news: Progress) -> None:
        """Something else begins."""
        self.book()
        self._now = (news.step, news.detail)

    def book(self) -> None:
        """What was under way has cost this much."""
        until = _cpu_s()
        step, detail = self._now
        self.stages[step] += until - self._since  # type: ignore[assignment]
        if detail and not step.startswith("read_"):
            self.parts[detail.split(".")[-1] if "." in detail else detail] += until - self._since  # type: ignore[assignment]
        self._since = until

    def told(self) -> dict[str, Any]:
        """CPU-seconds by stage, and the dearest tables."""
        dearest = ", ".join(f"{name} {cost:.2f}" for name, cost in self.parts.most_common(_DEAREST))
        return {**{f"{step} CPU-s": round(cost, 2) for step, cost in self.stages.items()}, "dearest": dearest}


def job(given: dict[str, Any]) -> Outcome:
    """One run in this process. ``kind``: full, incremental, bare (a full one without Dagster), or some (SOME_ASSETS alone)."""
    from assets.runtime import build_runtime
    from resources.settings import Settings

    costs = Costs()
    environ = settings(Path(given["folder"]), given["now"]) | {"ETALON_MEMORY_LIMIT": given["memory_limit"]}
    runtime = build_runtime(Settings.from_environment(environ, ROOT), report=costs.take)
    started = _cpu_s()
    told = _bare(runtime) if given["kind"] == "bare" else _with_dagster(runtime, given["kind"])
    costs.book()
    return Outcome(given["lines"], _cpu_s() - started, told | costs.told())


def _with_dagster(runtime: Runtime, kind: str) -> dict[str, Any]:
    from orchestration.runs import run_job

    summary = run_job(runtime, full=kind != "incremental", select=SOME_ASSETS if kind == "some" else None)
    if not summary.is_good:
        wrong = [
            *summary.errors.values(),
            *(f"{one.asset} {one.check}" for one in summary.failed_checks if one.is_error),
        ]
        raise RuntimeError(f"the run is not good: {wrong}")
    return {"assets": len(summary.materialized), "checks": summary.checks_qty}


def _bare(runtime: Runtime) -> dict[str, Any]:
    """What a full run does to this retailer, which writes to no channel, by the same calls and with nothing around them."""
    from assets.kpis import SCHEMAS as KPI_SCHEMAS
    from assets.publication import publication_steps
    from assets.referentials import SCHEMAS as REFERENTIAL_SCHEMAS
    from resources.contracts.entity import entities

    for connector in runtime.connectors.values():
        for stream in connector.streams():
            manifest = runtime.extract(connector, stream, full=True, run_id="bare")
            if manifest.outcome != "complete":
                raise RuntimeError(f"{stream.name}: {manifest.error}")
    with runtime.writer("bare") as con:
        for name in sorted(entities()):
            runtime.load_entity(con, name)
        runtime.load_retailer_tables(con, run_id="bare")
    models = checks = 0
    for schema in (*REFERENTIAL_SCHEMAS, *KPI_SCHEMAS):
        with runtime.writer(schema) as con:
            models += len(runtime.warehouse.run_models(con, runtime.project, [schema]))
            checks += len(runtime.warehouse.run_checks(con, runtime.project, [schema]))
    for step in publication_steps(runtime):
        step.publish(runtime)
    return {"models": models, "checks": checks}


def measured(folder: Path, lines: int, arguments: Namespace) -> list[Line]:
    """The lines of one size: a full run, one after the changes, a bare one; ``--runs`` rounds of them.

    Of the smallest size also some of the assets alone.
    """
    made = make_retailer(folder, lines, arguments.seed)
    runs: dict[str, list[Measure]] = {kind: [] for kind in ("full", "incremental", "bare", "some")}
    for _ in range(arguments.runs):
        start_anew(folder)
        runs["full"] += _run("full", folder, lines, arguments)
        drop_changes(folder)
        runs["incremental"] += _run("incremental", folder, lines, arguments)
        if lines <= SMALLEST:
            runs["some"] += _run("some", folder, lines, arguments)
        if arguments.bare:
            start_anew(folder)
            runs["bare"] += _run("bare", folder, lines, arguments)
    if not arguments.keep:
        start_anew(folder)
    size = f"{lines:,} order lines"
    full, later = (min(one.cpu_s for one in runs[kind]) for kind in ("full", "incremental"))
    _tell(runs["incremental"], "of the full run %", 100 * later / full)
    _tell(runs["incremental"], "order lines changed", made["changed order lines"])
    if runs["bare"]:
        bare = min(one.cpu_s for one in runs["bare"])
        _tell(runs["full"], "Dagster's share %", 100 * (full - bare) / full)
    is_large = lines >= LARGE
    share = [Goal("told.Dagster's share %", 10, applies=is_large)] if runs["bare"] else []
    memory = Goal("peak_rss_mb", MEMORY_MB, applies=is_large)
    cost = Goal("told.of the full run %", 10, applies=is_large)
    baselines = [Line("the same without Dagster", size, runs["bare"])] if runs["bare"] else []
    found = [
        Line("main job, full", size, runs["full"], [memory, *share], baselines),
        Line("main job, after a day of changes", size, runs["incremental"], [cost, memory]),
    ]
    if runs["some"]:
        assets = runs["some"][0].told["assets"]
        found.append(Line(f"{assets} assets of it with their checks", size, runs["some"], [Goal("wall_s", 8)]))
    return found


def _run(kind: str, folder: Path, lines: int, arguments: Namespace) -> list[Measure]:
    now = LATER if kind in ("incremental", "some") else NOW
    given = {
        "kind": kind,
        "folder": str(folder.absolute()),
        "now": now.isoformat(),
        "lines": lines,
        "memory_limit": arguments.memory_limit,
    }
    return measure_interleaved([Side(kind, given, module=MODULE)], 1)[kind]


def _tell(runs: Sequence[Measure], name: str, value: float) -> None:
    for run in runs:
        run.told[name] = round(value, 2)  # type: ignore[index]


def tell_exponents(lines: Sequence[Line]) -> list[Line]:
    """Tell of each line how its cost grew since the size before: 1 is in proportion, less is better."""
    found: list[Line] = []
    for line in lines:
        before = next((other for other in reversed(found) if other.name == line.name), None)
        if before is not None:
            sizes = line.runs[0].rows_qty / before.runs[0].rows_qty
            exponent = math.log(line.figure("cpu_s") / before.figure("cpu_s")) / math.log(sizes)
            _tell(line.runs, "exponent", exponent)
            goals = [*line.goals, Goal("told.exponent", 1.0, applies=line.runs[0].rows_qty >= LARGE)]
            line = Line(line.name, line.size, line.runs, goals, line.baselines)  # noqa: PLW2901
        found.append(line)
    return found


def main() -> None:
    """Run it from the command line."""
    parser = common_arguments(str(__doc__).splitlines()[0])
    parser.add_argument(
        "--lines", type=int, action="append", help="order lines; may be repeated, smallest first (1000000)"
    )
    parser.add_argument("--folder", type=Path, help="where the retailer is made, and found again (default: made anew)")
    parser.add_argument("--keep", action="store_true", help="leave the data of the last run in the folder")
    parser.add_argument("--memory-limit", default="2GB", help="ETALON_MEMORY_LIMIT of the runs (default 2GB)")
    parser.add_argument("--no-bare", dest="bare", action="store_false", help="do not measure Dagster's share")
    arguments = parser.parse_args()
    if run_job_if_asked(arguments, job):
        return
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="main-job-"))
    lines: list[Line] = []
    try:
        for qty in arguments.lines or [1_000_000]:
            lines += measured(folder / str(qty), qty, arguments)
            sys.stderr.write(f"{qty:,} order lines measured\n")
    finally:
        if arguments.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
    report(tell_exponents(lines), as_json=arguments.json)


if __name__ == "__main__":
    main()
