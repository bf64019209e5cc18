"""A baseline's environment is made once for a list of packages and a Python; nothing is installed here."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import environments
from benchmarks.environments import REQUIREMENTS, environment, environment_name


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A list that asks for nothing."""
    monkeypatch.setattr(environments, "REQUIREMENTS", tmp_path)
    (tmp_path / "none.txt").write_text("# nothing\n")
    return tmp_path


def test_another_list_is_another_environment(listed: Path) -> None:
    before = environment_name("none")
    (listed / "none.txt").write_text("dlt==1\n")

    assert environment_name("none") != before


def test_it_is_made_once_and_anew_when_it_was_not_finished(listed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []

    def make(home: Path, python: Path, requirements: Path) -> None:
        assert requirements == listed / "none.txt"
        assert not home.exists()
        python.parent.mkdir(parents=True)
        made.append(home)

    monkeypatch.setattr(environments, "_make", make)
    folder = listed / "environments"

    python = environment("none", folder)
    assert environment("none", folder) == python
    assert len(made) == 1
    (made[0] / ".ready").unlink()
    environment("none", folder)
    assert len(made) == 2


def test_without_a_list_there_is_none(listed: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"other\.txt"):
        environment("other", listed / "environments")


@pytest.mark.parametrize("path", sorted(REQUIREMENTS.glob("*.txt")), ids=lambda path: path.stem)
def test_every_package_of_a_baseline_is_pinned(path: Path) -> None:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]

    assert lines
    assert [line for line in lines if "==" not in line] == []
