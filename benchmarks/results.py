"""What was measured, beside its goal and its baselines: as a table, and as JSON of one schema for all benchmarks."""

from __future__ import annotations

import json
import math
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from benchmarks.machine import machine, versions

HEADINGS = ("measured", "size", "rows", "CPU-s min", "median", "rows/CPU-s", "of it work", "wall s", "peak MB", "ratio")
"""Of the table. ratio: CPU-seconds of the baseline / ours, so that 5 means that ours costs a fifth."""


@dataclass(frozen=True)
class Measure:
    """One run. ``cpu_s``: the whole process and its children, imports included; ``work_cpu_s``: what grows with rows."""

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

    @property
    def work_rows_per_cpu_s(self) -> float:
        """Rows per CPU-second of the work."""
        return self.rows_qty / self.work_cpu_s


@dataclass(frozen=True)
class Goal:
    """What a figure should be.

    ``figure``: ``cpu_s``, ``work_cpu_s``, ``wall_s``, ``peak_rss_mb``, ``rows_per_cpu_s``, ``work_rows_per_cpu_s`` (the best of
    the runs; memory: the highest), ``cpu_ratio`` (the first baseline's CPU-seconds / ours), or ``told.<name>`` (the worst).
    ``applies``: false at a size that the goal does not speak of; it is then shown and not judged.
    """

    figure: str
    limit: float
    at_least: bool = False
    applies: bool = True

    def is_met_by(self, value: float) -> bool:
        """Whether a value keeps the goal."""
        return value >= self.limit if self.at_least else value <= self.limit


@dataclass(frozen=True)
class Line:
    """The runs of one thing that was measured, and of the ``baselines`` that do the same (the first is the one of ratios)."""

    name: str
    size: str
    runs: Sequence[Measure]
    goals: Sequence[Goal] = ()
    baselines: Sequence[Line] = field(default=())

    def figure(self, name: str, *, at_least: bool = False) -> float:
        """A figure as goals name it. Raises KeyError for one that was not measured."""
        if name == "cpu_ratio":
            if not self.baselines:
                raise KeyError(f"{self.name}: a ratio needs a baseline")
            return self.baselines[0].figure("cpu_s") / self.figure("cpu_s")
        if name.startswith("told."):
            told = [float(run.told[name.removeprefix("told.")]) for run in self.runs]
            return min(told) if at_least else max(told)
        values = [float(getattr(run, name)) for run in self.runs]
        return max(values) if name in {"peak_rss_mb", "rows_per_cpu_s", "work_rows_per_cpu_s"} else min(values)

    def document(self) -> dict[str, Any]:
        """For --json: every run, minimum and median CPU-seconds, goals with what was reached, baselines the same way."""
        return {
            "name": self.name,
            "size": self.size,
            "rows": self.runs[0].rows_qty,
            "cpu_s_min": self.figure("cpu_s"),
            "cpu_s_median": statistics.median(run.cpu_s for run in self.runs),
            "work_cpu_s_min": self.figure("work_cpu_s"),
            "rows_per_cpu_s": self.figure("rows_per_cpu_s"),
            "wall_s_min": self.figure("wall_s"),
            "peak_rss_mb": self.figure("peak_rss_mb"),
            "runs": [asdict(run) for run in self.runs],
            "goals": [self._judged(goal) for goal in self.goals if self._has(goal)],
            "baselines": [baseline.document() for baseline in self.baselines],
        }

    def _judged(self, goal: Goal) -> dict[str, Any]:
        reached = self.figure(goal.figure, at_least=goal.at_least)
        return {**asdict(goal), "reached": reached, "is_met": goal.is_met_by(reached) if goal.applies else None}

    def _has(self, goal: Goal) -> bool:
        # baselines may be left out of a run (--no-baselines), what a job tells may not
        return goal.figure != "cpu_ratio" or bool(self.baselines)


def document_of(lines: Sequence[Line]) -> dict[str, Any]:
    """The JSON of a benchmark: machine, versions, when, and its lines."""
    return {
        "machine": machine(),
        "versions": versions(),
        "measured_at": datetime.now(tz=UTC).isoformat(timespec="seconds"),
        "lines": [line.document() for line in lines],
    }


def percentile(values: Sequence[float], percent: float) -> float:
    """By the nearest rank: the least value that so many per cent of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def report(lines: Sequence[Line], *, as_json: bool) -> None:
    """Print the measures, as a table or as JSON."""
    document = document_of(lines)
    if as_json:
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
        return
    sys.stdout.write(table_of(document["lines"]))


def table_of(lines: Sequence[Mapping[str, Any]]) -> str:
    """Lines of the JSON as a text table, each followed by its baselines; goals and what the jobs told at its foot."""
    cells = [HEADINGS, *(row for line in lines for row in rows_of(line))]
    widths = [max(len(row[column]) for row in cells) for column in range(len(HEADINGS))]
    texts = []
    for row in cells:
        padded = [
            text.ljust(width) if column < 2 else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        texts.append("  ".join(padded).rstrip())
    for line in lines:
        texts += [f"{line['name']}: goal {told_of_goal(goal)}" for goal in line["goals"]]
        for measured in (line, *line["baselines"]):
            told = ", ".join(f"{name} {value}" for name, value in measured["runs"][-1]["told"].items())
            if told:
                texts.append(f"{measured['name']}: {told}")
    return "\n".join(texts) + "\n"


def rows_of(line: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """A line of the JSON and its baselines as cells of the table."""
    rows = [_cells(line, line["name"], "")]
    for baseline in line["baselines"]:
        rows.append(_cells(baseline, f"  {baseline['name']}", f"{baseline['cpu_s_min'] / line['cpu_s_min']:.1f}"))
    return rows


def told_of_goal(goal: Mapping[str, Any]) -> str:
    """A judged goal in words: ``cpu_s <= 6: 5.4, met``."""
    sign = ">=" if goal["at_least"] else "<="
    verdict = {True: "met", False: "MISSED", None: "not of this size"}[goal["is_met"]]
    name = goal["figure"].removeprefix("told.")
    return f"{name} {sign} {_number(goal['limit'])}: {_number(goal['reached'])}, {verdict}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _cells(line: Mapping[str, Any], name: str, ratio: str) -> tuple[str, ...]:
    return (
        name,
        line["size"],
        f"{line['rows']:,}",
        f"{line['cpu_s_min']:.2f}",
        f"{line['cpu_s_median']:.2f}",
        f"{line['rows_per_cpu_s']:,.0f}",
        f"{line['work_cpu_s_min']:.2f}",
        f"{line['wall_s_min']:.2f}",
        f"{line['peak_rss_mb']:.0f}",
        ratio,
    )
