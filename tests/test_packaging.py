"""What a newcomer installs: every dependency pinned within its range, with hashes, from no particular index."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
CONSTRAINTS = (ROOT / "constraints.txt").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PINNED = {
    canonicalize_name(match["name"]): Version(match["version"])
    for match in re.finditer(r"(?m)^(?P<name>[A-Za-z0-9._-]+)(\[[^]]*\])?==(?P<version>[^ ;\\]+)", CONSTRAINTS)
}


def test_every_declared_dependency_is_pinned_within_its_range() -> None:
    declared = [Requirement(text) for text in (*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"])]
    pins = {requirement: PINNED.get(canonicalize_name(requirement.name)) for requirement in declared}
    assert {
        str(requirement): pin for requirement, pin in pins.items() if pin is None or pin not in requirement.specifier
    } == {}


def test_every_pin_has_hashes() -> None:
    blocks = re.split(r"(?m)^(?=[A-Za-z0-9])", CONSTRAINTS)
    assert [block.split()[0] for block in blocks if block.strip() and "--hash=sha256:" not in block] == []


def test_no_index_and_no_file_is_named() -> None:
    assert re.findall(r"(?m)^--\S+.*|\S*(?:https?|file)://\S*", CONSTRAINTS) == []


def test_dagster_moves_as_one() -> None:
    core = PINNED[canonicalize_name("dagster")]
    together = ("dagster-webserver", "dagster-graphql", "dagster-pipes", "dagster-shared")
    assert {name: PINNED[canonicalize_name(name)] for name in together} == dict.fromkeys(together, core)
    # Libraries number their releases 16 minors ahead of the core: 1.13.27 goes with 0.29.27.
    assert PINNED[canonicalize_name("dagster-postgres")] == Version(f"0.{core.minor + 16}.{core.micro}")
