"""Sides run in turn, each in a process of its own; what they cost and tell comes back, and so does why one failed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import harness
from benchmarks.harness import Side, measure_interleaved

TELLS = """
import json, os, sys
with open(json.loads(sys.argv[1])["seen"], "a") as seen:
    seen.write(json.loads(sys.argv[1])["name"] + " " + os.environ.get("PYTHONPATH", "none") + "\\n")
print("noise")
print(json.dumps({"rows_qty": 3, "work_cpu_s": 0.5, "told": {"a": 1}}))
"""


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of baselines, with one that tells."""
    monkeypatch.setattr(harness, "BASELINES", tmp_path)
    monkeypatch.setenv("PYTHONPATH", "ours")
    (tmp_path / "tells.py").write_text(TELLS)
    return tmp_path


def side(name: str, scripts: Path, script: str = "tells.py") -> Side:
    return Side(name, {"seen": str(scripts / "seen"), "name": name}, script=script, python=Path(sys.executable))


def test_sides_run_in_turn_and_see_nothing_of_ours(scripts: Path) -> None:
    runs = measure_interleaved([side("a", scripts), side("b", scripts)], 2)

    assert (scripts / "seen").read_text().splitlines() == ["a none", "b none", "a none", "b none"]
    assert {name: [run.rows_qty for run in measured] for name, measured in runs.items()} == {"a": [3, 3], "b": [3, 3]}
    assert runs["a"][0].told == {"a": 1}
    assert runs["a"][0].work_cpu_s == 0.5
    assert runs["a"][0].cpu_s > 0


def test_the_cost_of_children_counts(scripts: Path) -> None:
    (scripts / "parent.py").write_text(
        "import subprocess, sys\n"
        "code = 'import time\\nkept = bytearray(60 << 20)\\n"
        "while time.process_time() < 0.4: pass'\n"
        "subprocess.run([sys.executable, '-c', code], check=True)\n" + TELLS
    )

    run = measure_interleaved([side("a", scripts, "parent.py")], 1)["a"][0]

    assert run.cpu_s >= 0.4
    assert run.peak_rss_mb >= 60


def test_what_a_failed_script_said_is_told(scripts: Path) -> None:
    (scripts / "fails.py").write_text("import sys; sys.exit('no such thing as a duck')")

    with pytest.raises(RuntimeError, match=r"exit code 1.*fails\.py(.|\n)*no such thing as a duck"):
        measure_interleaved([side("a", scripts, "fails.py")], 1)


def test_a_script_that_tells_nothing_is_no_measure(scripts: Path) -> None:
    (scripts / "mute.py").write_text("print('done')")

    with pytest.raises(RuntimeError, match=r"a did not tell what came out, but: \['done'\]"):
        measure_interleaved([side("a", scripts, "mute.py")], 1)


def test_a_side_is_a_module_or_a_script() -> None:
    with pytest.raises(ValueError, match="either a module or a script"):
        Side("both", {}, module="m", script="s")


def test_sides_have_names_of_their_own(scripts: Path) -> None:
    with pytest.raises(ValueError, match="share a name"):
        measure_interleaved([side("a", scripts), side("a", scripts)], 1)
