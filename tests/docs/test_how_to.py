"""Every how-to page with steps is carried out, step by step, in a copy of the project: a page that no longer works fails here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.how_to import carry_out, copy_project, steps

ROOT = Path(__file__).parents[2]
PAGES = sorted(page for page in (ROOT / "docs" / "how-to").glob("*.md") if any(steps(page.read_text(encoding="utf-8"))))
"""The others explain, and have nothing to carry out: what they say is held by the tests of what they speak of."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_steps_of_the_page_work(page: Path, tmp_path: Path) -> None:
    assert carry_out(page, copy_project(ROOT, tmp_path)) >= 3


def test_the_four_newcomer_paths_have_a_page_with_steps() -> None:
    assert {page.stem for page in PAGES} >= {"add-a-channel", "add-a-file", "add-a-kpi", "add-a-check"}
