"""Carries out a how-to page: what it says to write is written, what it says to run is run, in a copy of the project.

A page marks its blocks with a comment on the line before the fence:

    <!-- write: path/in/project -->     the block becomes that file
    <!-- append: path/in/project -->    the block is added to the end of that file
    <!-- replace: path/in/project -->   the block's first half (up to a line `=====`) is replaced by its second half
    <!-- run -->                        the block is run by bash from the project's folder and must succeed
    <!-- fail -->                       the block is run the same way and must not succeed
    <!-- expect -->                     every line of the block must be in what the last run printed, spaces aside
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

_BLOCK = re.compile(
    r"^<!-- (?P<kind>write|append|replace|run|fail|expect)(?:: (?P<path>\S+))? -->\n```[a-z]*\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Step:
    """One marked block of a page."""

    kind: str
    path: str | None
    text: str


def steps(page: str) -> Iterator[Step]:
    """The marked blocks of a page, in order."""
    for match in _BLOCK.finditer(page):
        yield Step(match["kind"], match["path"], match["text"])


def copy_project(root: Path, target: Path) -> Path:
    """A copy of the project without its history and all that .gitignore names."""
    ignored = [line.strip("/") for line in (root / ".gitignore").read_text(encoding="utf-8").splitlines()] + [".git"]

    def left_out(folder: str, names: list[str]) -> set[str]:
        inside = Path(folder).relative_to(root)
        return {
            name
            for name in names
            if any(fnmatch(name, pattern) or (inside / name).as_posix() == pattern for pattern in ignored)
        }

    shutil.copytree(root, target, ignore=left_out, dirs_exist_ok=True)
    return target


def carry_out(page: Path, project: Path) -> int:
    """Do every step of ``page`` in ``project``; return how many there were. Raises AssertionError with the step that failed."""
    printed = ""
    count = 0
    for step in steps(page.read_text(encoding="utf-8")):
        count += 1
        if step.kind in ("run", "fail"):
            printed = _run(step.text, project, page, must_fail=step.kind == "fail")
        elif step.kind == "expect":
            for line in filter(None, map(_folded, step.text.splitlines())):
                assert line in _folded(printed), (
                    f"{page.name}: {line!r} is not in what the last command printed:\n{printed}"
                )
        else:
            assert step.path, f"{page.name}: a {step.kind} block names no file"
            _edit(step, project / step.path, page)
    return count


def _edit(step: Step, path: Path, page: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if step.kind == "write":
        path.write_text(step.text, encoding="utf-8")
    elif step.kind == "append":
        path.write_text(path.read_text(encoding="utf-8") + step.text, encoding="utf-8")
    else:
        before, after = step.text.split("=====\n")
        text = path.read_text(encoding="utf-8")
        assert text.count(before) == 1, (
            f"{page.name}: the text to replace stands {text.count(before)} times in {step.path}"
        )
        path.write_text(text.replace(before, after), encoding="utf-8")


def _folded(text: str) -> str:
    """Without the frames of tables and with single spaces, so that a page need not repeat a table's widths."""
    return " ".join(re.sub("[│┃]", " ", text).split())


def _run(script: str, project: Path, page: Path, *, must_fail: bool) -> str:
    environment = {
        **os.environ,
        "PYTHONPATH": str(project),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "200",
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    outcome = "did not fail" if must_fail else "failed"
    assert (done.returncode != 0) == must_fail, f"{page.name}: this {outcome}:\n{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr
