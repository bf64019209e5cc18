"""Given a project that was read once, expect the kept one to be the same in every detail, and none but the present one believed."""

from __future__ import annotations

import os
import shutil
from dataclasses import fields
from pathlib import Path

import pytest

from resources.errors import ConfigurationError
from resources.sql_cache import remembered_project
from resources.sql_project import SqlProject, load_project
from tests.conftest import ROOT


def parts(project: SqlProject) -> dict[str, object]:
    return {field.name: getattr(project, field.name) for field in fields(project) if field.name != "known_lineage"}


def kept_file(cache: Path) -> Path:
    return cache / "sql_project.json"


def test_what_is_kept_is_what_was_read(tmp_path: Path) -> None:
    folder = ROOT / "dbt_like_sql"
    read = load_project(folder)
    first = remembered_project(folder, tmp_path)
    again = remembered_project(folder, tmp_path)
    assert again is not first
    assert parts(again) == parts(first) == parts(read)
    assert again.lineage == read.lineage
    assert list(again.models) == list(read.models), "in the same order"
    assert again.all_checks() == read.all_checks()


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A project of its own that a test may change."""
    folder = tmp_path / "small_sql"
    shutil.copytree(ROOT / "tests" / "orchestration" / "small_sql", folder)
    return folder


def test_a_change_is_seen_whatever_its_time_says(small: Path, tmp_path: Path) -> None:
    remembered_project(small, tmp_path)
    path = next(small.glob("*/*.yml"))
    then = path.stat()
    path.write_text(path.read_text(encoding="utf-8").replace("Grain:", "The grain:"), encoding="utf-8")
    os.utime(path, ns=(then.st_atime_ns, then.st_mtime_ns))
    assert parts(remembered_project(small, tmp_path)) == parts(load_project(small))


@pytest.mark.parametrize("left", [b"", b"{", b"[]", b"null", b'{"mark": 1}', b"\xff\xfe"])
def test_a_file_that_is_none_of_ours_is_written_anew(left: bytes, small: Path, tmp_path: Path) -> None:
    remembered_project(small, tmp_path)
    kept_file(tmp_path).write_bytes(left)
    assert parts(remembered_project(small, tmp_path)) == parts(load_project(small))
    assert kept_file(tmp_path).stat().st_size > 1_000


def test_a_project_with_mistakes_is_told_each_time_and_never_kept(small: Path, tmp_path: Path) -> None:
    next(small.glob("*/*.yml")).unlink()
    for _ in range(2):
        with pytest.raises(ConfigurationError):
            remembered_project(small, tmp_path)
    assert not kept_file(tmp_path).exists()
