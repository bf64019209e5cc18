"""All benchmarks into one file: each has its sizes, a line replaces its older self, a failure does not lose the others."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.results import Line, Measure, document_of
from benchmarks.run import chosen, merged, must_be_of, run_all
from benchmarks.suite import SUITE

MACHINE = {"cores": "2"}


def measured(name: str, size: str, cpu_s: float, at: str = "monday") -> dict[str, Any]:
    lines = [Line(name, size, [Measure(10, cpu_s, cpu_s, 1.0, 1, {})]).document()]
    return {"machine": MACHINE, "versions": {"python": at}, "measured_at": at, "lines": lines}


def test_a_newer_figure_replaces_the_one_of_its_name_and_size_only() -> None:
    first = merged(None, measured("a", "small", 1.0), command="x")
    second = merged(first, measured("a", "large", 9.0), command="x")
    third = merged(second, measured("a", "small", 2.0, "tuesday"), command="y")

    assert [(line["size"], line["cpu_s_min"], line["measured_at"], line["command"]) for line in third["lines"]] == [
        ("small", 2.0, "tuesday", "y"),
        ("large", 9.0, "monday", "x"),
    ]


def test_figures_of_two_machines_are_not_mixed(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    must_be_of(out, MACHINE)
    out.write_text(json.dumps(measured("a", "small", 1.0)))

    must_be_of(out, MACHINE)
    with pytest.raises(ValueError, match=r"figures\.json holds figures of another machine \(2\)"):
        must_be_of(out, {"cores": "64"})


def test_one_failure_does_not_lose_the_others(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    good = f"print({json.dumps(json.dumps(measured('good', 'small', 1.0)))})"

    failed = run_all(
        [("bad", [sys.executable, "-c", "raise SystemExit(1)"]), ("good", [sys.executable, "-c", good])], out
    )

    assert failed == ["bad"]
    assert [line["name"] for line in json.loads(out.read_text())["lines"]] == ["good"]


def test_one_can_be_chosen_and_an_unknown_one_cannot() -> None:
    name = SUITE[0].name

    assert [entry.name for entry in chosen(SUITE, [name])] == [name]
    assert chosen(SUITE, []) == list(SUITE)
    with pytest.raises(ValueError, match="no such benchmark: nonsense"):
        chosen(SUITE, ["nonsense"])


@pytest.mark.parametrize("entry", SUITE, ids=lambda entry: entry.name)
def test_every_entry_is_a_module_with_sizes(entry: Any) -> None:
    assert importlib.util.find_spec(f"benchmarks.{entry.name}") is not None
    assert entry.small
    assert entry.full


def test_a_document_tells_machine_and_versions() -> None:
    document = document_of([])

    assert set(document["machine"]) == {"processor", "cores", "memory", "system"}
    assert document["versions"]["duckdb"][0].isdigit()
