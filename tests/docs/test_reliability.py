"""docs/reliability.md names tests as proof: each of them exists, and each drill is named."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs/reliability.md").read_text(encoding="utf-8"))


def names_in(path: Path) -> set[str]:
    """Names of the test functions of a module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_proof_exists() -> None:
    assert len(NAMED) > 20
    missing = [
        f"{file}::{name}" for file, name in NAMED if not (ROOT / file).exists() or name not in names_in(ROOT / file)
    ]
    assert missing == []


def test_every_drill_proves_something() -> None:
    drills = {(path.name, name) for path in (ROOT / "tests/drills").glob("test_*.py") for name in names_in(path)}
    assert drills
    assert {(Path(file).name, name) for file, name in NAMED if file.startswith("tests/drills/")} == drills
