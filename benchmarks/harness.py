"""Runs a measured job in a process of its own, several times, and tells what it cost. What a job does belongs to each benchmark.

CPU-seconds are user and system time of that process and of its children, whatever else the machine does meanwhile.
Unix only, like what it measures with.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from argparse import SUPPRESS, ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

Job = Callable[[dict[str, Any]], "Outcome"]
"""What is measured: takes the job's arguments, gives what came out. It runs alone in its process."""


@dataclass(frozen=True)
class Outcome:
    """What a job did. ``work_cpu_s``: CPU-seconds of the part that grows with the rows (imports and set-up left out)."""

    rows_qty: int
    work_cpu_s: float
    told: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Measure:
    """One run. ``cpu_s``: the whole process, imports included; ``work_cpu_s``: the part that grows with the rows."""

    rows_qty: int
    cpu_s: float
    work_cpu_s: float
    wall_s: float
    peak_rss_mb: float
    told: Mapping[str, Any]

    @property
    def rows_per_cpu_s(self) -> float:
        """Rows per CPU-second of the whole process."""
        return self.rows_qty / self.cpu_s


@dataclass(frozen=True)
class Line:
    """The runs of one thing that was measured."""

    name: str
    size: str
    runs: Sequence[Measure]

    def document(self) -> dict[str, Any]:
        """For --json: every run, and minimum and median CPU-seconds."""
        cpu = [run.cpu_s for run in self.runs]
        return {
            "name": self.name,
            "size": self.size,
            "rows": self.runs[0].rows_qty,
            "cpu_s_min": min(cpu),
            "cpu_s_median": statistics.median(cpu),
            "rows_per_cpu_s": max(run.rows_per_cpu_s for run in self.runs),
            "peak_rss_mb": max(run.peak_rss_mb for run in self.runs),
            "runs": [asdict(run) for run in self.runs],
        }


def common_arguments(description: str) -> ArgumentParser:
    """The arguments that every benchmark takes."""
    parser = ArgumentParser(description=description)
    parser.add_argument("--runs", type=int, default=3, help="measured runs (default 3): minimum and median are told")
    parser.add_argument("--seed", type=int, default=7, help="of the invented data (default 7)")
    parser.add_argument("--json", action="store_true", help="print a JSON document instead of a table")
    parser.add_argument(
        "--profile", type=Path, help="write a cProfile of one run to this file (its times are inflated)"
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
    sys.stdout.write(json.dumps({**asdict(outcome), "peak_rss_mb": _peak_rss_mb()}) + "\n")
    return True


def measure(module: str, given: Mapping[str, Any], *, runs: int, profile: Path | None = None) -> list[Measure]:
    """Run the job of ``module`` (``python -m module --job …``) ``runs`` times, each in a new process."""
    if profile is not None:
        given, runs = {**given, "profile": str(profile)}, 1
    return [_one_run(module, given) for _ in range(runs)]


def report(lines: Sequence[Line], *, as_json: bool) -> None:
    """Print the measures, as a table or as JSON."""
    if as_json:
        sys.stdout.write(json.dumps([line.document() for line in lines], indent=2) + "\n")
        return
    headings = ("measured", "size", "rows", "CPU-s min", "median", "rows/CPU-s", "of it work", "wall s", "peak MB")
    cells = [headings, *(_cells(line) for line in lines)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headings))]
    for row in cells:
        texts = [
            text.ljust(width) if column < 2 else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        sys.stdout.write("  ".join(texts).rstrip() + "\n")
    for line in lines:
        told = ", ".join(f"{name} {value}" for name, value in line.runs[-1].told.items())
        if told:
            sys.stdout.write(f"{line.name}: {told}\n")


@contextmanager
def cpu_clock() -> Iterator[Callable[[], float]]:
    """A function that tells the CPU-seconds of this process since the context was entered."""
    started = time.process_time()
    yield lambda: time.process_time() - started


def _cells(line: Line) -> tuple[str, ...]:
    cpu = [run.cpu_s for run in line.runs]
    best = min(line.runs, key=lambda run: run.cpu_s)
    return (
        line.name,
        line.size,
        f"{best.rows_qty:,}",
        f"{best.cpu_s:.2f}",
        f"{statistics.median(cpu):.2f}",
        f"{best.rows_per_cpu_s:,.0f}",
        f"{best.work_cpu_s:.2f}",
        f"{min(run.wall_s for run in line.runs):.2f}",
        f"{max(run.peak_rss_mb for run in line.runs):.0f}",
    )


def _one_run(module: str, given: Mapping[str, Any]) -> Measure:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", module, "--job", json.dumps(given)], stdout=subprocess.PIPE, text=True, check=True
    )
    wall_s = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    outcome = json.loads(done.stdout.splitlines()[-1])
    return Measure(
        rows_qty=outcome["rows_qty"],
        cpu_s=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        work_cpu_s=outcome["work_cpu_s"],
        wall_s=wall_s,
        peak_rss_mb=outcome["peak_rss_mb"],
        told=outcome["told"],
    )


def _peak_rss_mb() -> float:
    status = Path("/proc/self/status")
    if status.exists():
        # getrusage would tell the parent's peak too, which a process takes over when it starts
        for line in status.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def _profiled(job: Job, given: dict[str, Any], path: str) -> Outcome:
    import cProfile

    profiler = cProfile.Profile(time.process_time)  # waiting is not counted, the work of other threads is
    try:
        return profiler.runcall(job, given)
    finally:
        profiler.dump_stats(path)
