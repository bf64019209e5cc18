"""The page between its markers is made of the figures, and nothing else of it changes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import page
from benchmarks.machine import COMMIT
from benchmarks.page import BEGIN, END, chart_svg, curves, page_with
from benchmarks.results import Goal, Line, Measure

TEXT = f"# Before\n\n{BEGIN}\nstale figures\n{END}\n\nafter\n"


def line(rows: int, cpu_s: float) -> dict[str, Any]:
    def of(cost: float) -> list[Measure]:
        return [Measure(rows, cost, cost, 1.0, 90, {"p95 ms": 4.5, "landed": rows})]

    measured = Line("reading", f"{rows:,} rows", of(cpu_s), [Goal("cpu_s", 2)], [Line("pandas", "", of(cpu_s * 4))])
    return {
        **measured.document(),
        "command": "python -m x",
        "measured_at": "2026-05-18",
        "versions": {"duckdb": "1.5.5", COMMIT: "abc+"},
    }


LINES = [line(1000, 1.5), line(10_000, 15.0)]
DOCUMENT = {"machine": {"cores": "2"}, "lines": LINES}


def test_goals_figures_and_where_they_come_from() -> None:
    made = page_with(TEXT, DOCUMENT, has_chart=True)

    assert "| reading | 10,000 rows | cpu_s <= 2 | 15 | MISSED |" in made
    assert "| **reading** | 1,000 rows | 1,000 | 1.50 | 667 | 1.00 | 90 |  |" in made
    assert "| pandas |  | 1,000 | 6.00 | 167 | 1.00 | 90 | 4.0 |" in made
    assert "- **reading**, 10,000 rows: p95 ms 4.5, landed 10,000" in made
    assert "| `python -m x` | 2026-05-18 | abc+ |" in made
    assert made.count("Versions: duckdb 1.5.5.") == 1
    assert "images/cost-against-size.svg" in made
    assert "stale figures" not in made


def test_what_is_outside_of_the_markers_stays_and_twice_changes_nothing() -> None:
    once = page_with(TEXT, DOCUMENT, has_chart=False)

    assert once.startswith("# Before\n")
    assert once.endswith("after\n")
    assert page_with(once, DOCUMENT, has_chart=False) == once


@pytest.mark.parametrize("text", ["no marker", f"{BEGIN} only", f"{END} only"])
def test_a_page_without_its_markers_is_left_alone(text: str) -> None:
    with pytest.raises(ValueError, match="needs the lines"):
        page_with(text, DOCUMENT, has_chart=False)


def test_a_curve_needs_two_sizes() -> None:
    alone = {**line(5, 1.0), "name": "alone"}

    points = curves([*LINES, alone])

    assert {point["name"] for point in points} == {"reading"}
    assert [(point["side"], point["rows"], point["cpu_s"]) for point in points] == [
        ("Étalon", 1000, 1.5),
        ("pandas", 1000, 6.0),
        ("Étalon", 10_000, 15.0),
        ("pandas", 10_000, 60.0),
    ]


def test_the_chart_shows_each_side_by_name() -> None:
    svg = chart_svg(curves(LINES))

    assert svg.startswith("<svg")
    assert "pandas" in svg
    assert "reading" in svg


def test_the_command_writes_the_page_and_its_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "figures.json").write_text(json.dumps(DOCUMENT))
    (tmp_path / "page.md").write_text(TEXT)
    monkeypatch.setattr(sys, "argv", ["page", str(tmp_path / "figures.json"), "--page", str(tmp_path / "page.md")])

    page.main()

    assert "| reading | 1,000 rows | cpu_s <= 2 | 1.5 | met |" in (tmp_path / "page.md").read_text()
    assert (tmp_path / page.CHART).read_text().startswith("<svg")


def test_the_real_page_has_its_markers() -> None:
    text = (Path(__file__).parents[2] / "docs" / "benchmarks.md").read_text(encoding="utf-8")

    assert text.count(BEGIN) == 1
    assert text.index(BEGIN) < text.index(END)
