"""Goals are judged at their own size; ratios speak of the first baseline; table and JSON tell the same."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.results import Goal, Line, Measure, percentile, rows_of, table_of, told_of_goal


def run(cpu_s: float, *, rows: int = 1000, peak: float = 100, **told: Any) -> Measure:
    return Measure(rows, cpu_s, cpu_s / 2, 1.0, peak, told)


OURS = [run(2.0, peak=150, refused=4), run(1.0, refused=5)]
THEIRS = Line("theirs", "1 k", [run(8.0), run(6.0)])


@pytest.mark.parametrize(
    ("goal", "reached", "is_met"),
    [
        (Goal("cpu_s", 1.0), 1.0, True),
        (Goal("cpu_s", 0.9), 1.0, False),
        (Goal("peak_rss_mb", 149), 150, False),
        (Goal("rows_per_cpu_s", 1000, at_least=True), 1000, True),
        (Goal("work_rows_per_cpu_s", 2001, at_least=True), 2000, False),
        (Goal("cpu_ratio", 6, at_least=True), 6.0, True),
        (Goal("cpu_ratio", 6.1, at_least=True), 6.0, False),
        (Goal("told.refused", 4), 5, False),
        (Goal("told.refused", 5, at_least=True), 4, False),
        (Goal("cpu_s", 0.1, applies=False), 1.0, None),
    ],
)
def test_a_goal_is_judged_by_the_best_run_but_memory_and_what_is_told_by_the_worst(
    goal: Goal, reached: float, is_met: bool | None
) -> None:
    judged = Line("ours", "1 k", OURS, goals=[goal], baselines=[THEIRS]).document()["goals"][0]

    assert judged["reached"] == reached
    assert judged["is_met"] is is_met


def test_a_ratio_without_its_baseline_is_not_judged() -> None:
    line = Line("ours", "1 k", OURS, goals=[Goal("cpu_ratio", 5, at_least=True), Goal("cpu_s", 1)])

    assert [goal["figure"] for goal in line.document()["goals"]] == ["cpu_s"]
    with pytest.raises(KeyError, match="a ratio needs a baseline"):
        line.figure("cpu_ratio")


def test_a_figure_that_nobody_measured_is_an_error() -> None:
    with pytest.raises(KeyError, match="colour"):
        Line("ours", "1 k", OURS, goals=[Goal("told.colour", 1)]).document()


def test_the_baseline_stands_under_ours_with_its_ratio() -> None:
    document = Line("ours", "1 k", OURS, baselines=[THEIRS]).document()

    assert [(row[0], row[3], row[4], row[-1]) for row in rows_of(document)] == [
        ("ours", "1.00", "1.50", ""),
        ("  theirs", "6.00", "7.00", "6.0"),
    ]


def test_goals_and_what_was_told_stand_at_the_foot() -> None:
    document = Line("ours", "1 k", OURS, goals=[Goal("cpu_ratio", 5, at_least=True)], baselines=[THEIRS]).document()

    foot = table_of([document]).splitlines()[3:]

    assert foot == ["ours: goal cpu_ratio >= 5: 6, met", "ours: refused 5"]
    assert told_of_goal({**document["goals"][0], "is_met": False}).endswith("MISSED")


@pytest.mark.parametrize(("percent", "value"), [(50, 5), (95, 10), (99, 10), (1, 1)])
def test_a_percentile_is_the_nearest_rank(percent: int, value: int) -> None:
    assert percentile([float(number) for number in range(10, 0, -1)], percent) == value
