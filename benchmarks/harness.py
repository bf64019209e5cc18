"""Runs measured jobs, ours and baselines in turn, each in a process of its own. What a job does belongs to each benchmark.

CPU-seconds are user and system time of that process and of its children, whatever else the machine does meanwhile.
A job of ours is a module that calls ``run_job_if_asked``; a baseline is a script of ``baselines/`` that another Python runs
(``environments.py``), takes its arguments as one JSON text and prints ``{"rows_qty", "work_cpu_s", "told"}`` as its last line.
"""

from __future__ import annotations

import json
import os
import sys
import time
from argparse import SUPPRESS, ArgumentParser, BooleanOptionalAction, Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.environments import environment
from benchmarks.processes import own_peak_rss_mb, run_measured
from benchmarks.results import Goal, Line, Measure, report

__all__ = [
    "Baseline",
    "Goal",
    "Job",
    "Line",
    "Measure",
    "Outcome",
    "Side",
    "common_arguments",
    "cpu_clock",
    "measure",
    "measure_beside",
    "measure_interleaved",
    "report",
    "run_job_if_asked",
]

BASELINES = Path(__file__).resolve().parent / "baselines"
ENVIRONMENTS = Path("data/bench-environments")

Job = Callable[[dict[str, Any]], "Outcome"]
"""What is measured: takes the job's arguments, gives what came out. It runs alone in its process."""


@dataclass(frozen=True)
class Outcome:
    """What a job did. ``work_cpu_s``: CPU-seconds of the part that grows with the rows (imports and set-up left out)."""

    rows_qty: int
    work_cpu_s: float
    told: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Side:
    """One side of a comparison: a ``module`` of ours, or a ``script`` in ``baselines/`` that ``python`` runs.

    ``given``: the job's arguments, as JSON; ``environ``: added to the process's environment.
    """

    name: str
    given: Mapping[str, Any]
    module: str | None = None
    script: str | None = None
    python: Path | None = None
    environ: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.module is None) == (self.script is None):
            raise ValueError(f"{self.name}: give either a module or a script")

    @property
    def command(self) -> list[str]:
        """What is started."""
        python = str(self.python) if self.python else sys.executable
        if self.module is not None:
            return [python, "-m", self.module, "--job", json.dumps(self.given)]
        return [python, str(BASELINES / str(self.script)), json.dumps(self.given)]


@dataclass(frozen=True)
class Baseline:
    """What people would use instead: a ``script`` of ``baselines/`` with the packages of the environment ``packages``.

    ``words``: its name beside ours; ``given``: the script's arguments.
    """

    words: str
    script: str
    packages: str
    given: Mapping[str, Any]


def common_arguments(description: str) -> ArgumentParser:
    """The arguments that every benchmark takes."""
    parser = ArgumentParser(description=description)
    parser.add_argument("--runs", type=int, default=3, help="measured runs (default 3): minimum and median are told")
    parser.add_argument("--seed", type=int, default=7, help="of the invented data (default 7)")
    parser.add_argument("--json", action="store_true", help="print a JSON document instead of a table")
    parser.add_argument(
        "--profile", type=Path, help="write a cProfile of one run to this file (its times are inflated)"
    )
    parser.add_argument(
        "--baselines",
        action=BooleanOptionalAction,
        default=True,
        help="--no-baselines measures ours alone and needs no other environment",
    )
    parser.add_argument(
        "--environments",
        type=Path,
        default=ENVIRONMENTS,
        help=f"where the baselines' environments are made, once (default {ENVIRONMENTS})",
    )
    parser.add_argument("--job", help=SUPPRESS)
    return parser


def run_job_if_asked(arguments: Namespace, job: Job) -> bool:
    """In the process of a job: do it and print what came out. Tells whether it did."""
    if arguments.job is None:
        return False
    given = json.loads(arguments.job)
    profile = given.pop("profile", None)
    outcome = _profiled(job, given, profile) if profile else job(given)
    sys.stdout.write(json.dumps({**asdict(outcome), "peak_rss_mb": own_peak_rss_mb()}) + "\n")
    return True


def measure(module: str, given: Mapping[str, Any], *, runs: int, profile: Path | None = None) -> list[Measure]:
    """Run the job of ``module`` (``python -m module --job …``) ``runs`` times, each in a new process."""
    if profile is not None:
        given, runs = {**given, "profile": str(profile)}, 1
    side = Side("ours", given, module=module)
    return measure_interleaved([side], runs)["ours"]


def measure_beside(
    arguments: Namespace,
    line: Line,
    module: str,
    given: Mapping[str, Any],
    baseline: Baseline | None,
) -> Line:
    """``line`` with the runs of ``module`` and, in turn, of its ``baseline``; without it when there is none, or a profile is asked for."""
    if baseline is None or arguments.profile or not arguments.baselines:
        return replace(line, runs=measure(module, given, runs=arguments.runs, profile=arguments.profile))
    python = environment(baseline.packages, arguments.environments)
    sides = [
        Side("ours", given, module=module),
        Side("theirs", baseline.given, script=baseline.script, python=python),
    ]
    runs = measure_interleaved(sides, arguments.runs)
    theirs = Line(f"{line.name} {baseline.words}", line.size, runs["theirs"])
    return replace(line, runs=runs["ours"], baselines=[theirs])


def measure_interleaved(sides: Sequence[Side], rounds: int) -> dict[str, list[Measure]]:
    """Run every side once a round, one after another: what the machine does meanwhile then strikes all alike.

    Each run is a new process. Gives the runs by the side's name. Raises RuntimeError when one fails.
    """
    measures: dict[str, list[Measure]] = {side.name: [] for side in sides}
    if len(measures) < len(sides):
        raise ValueError(f"sides share a name: {[side.name for side in sides]}")
    for _ in range(rounds):
        for side in sides:
            measures[side.name].append(_one_run(side))
    return measures


@contextmanager
def cpu_clock() -> Iterator[Callable[[], float]]:
    """A function that tells the CPU-seconds of this process since the context was entered."""
    started = time.process_time()
    yield lambda: time.process_time() - started


def _one_run(side: Side) -> Measure:
    spent = run_measured(side.command, environ=_environ(side))
    lines = spent.told.splitlines()
    try:
        outcome = json.loads(lines[-1])
        return Measure(
            rows_qty=outcome["rows_qty"],
            cpu_s=spent.cpu_s,
            work_cpu_s=outcome["work_cpu_s"],
            wall_s=spent.wall_s,
            peak_rss_mb=max(spent.peak_rss_mb, outcome.get("peak_rss_mb", 0.0)),
            told=outcome["told"],
        )
    except (IndexError, KeyError, json.JSONDecodeError) as error:
        raise RuntimeError(f"{side.name} did not tell what came out, but: {lines[-3:]}") from error


def _environ(side: Side) -> dict[str, str]:
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    if side.script is not None:
        # a baseline sees nothing of ours, and talks to nobody
        environ.pop("PYTHONPATH", None)
        environ |= {
            "DO_NOT_TRACK": "1",
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            "RUNTIME__DLTHUB_TELEMETRY": "false",
        }
    return {**environ, **side.environ}


def _profiled(job: Job, given: dict[str, Any], path: str) -> Outcome:
    import cProfile

    profiler = cProfile.Profile(time.process_time)  # waiting is not counted, the work of other threads is
    try:
        return profiler.runcall(job, given)
    finally:
        profiler.dump_stats(path)
