"""One demo, small, that several tests look at; they stand in one xdist group so that it is run once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestration.demo import DemoOutcome, run_demo

SCALE = 0.1  # 500 variants and 2,000 orders: every planted defect is there, and a run takes well under a minute


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory, project_root: Path) -> Iterator[DemoOutcome]:
    """The demo of seed 7 as it was measured: its shops are still up, and nothing was written to them."""
    folder = tmp_path_factory.mktemp("demo") / "data"
    with run_demo(folder, root=project_root, scale=SCALE, sync=False) as outcome:
        yield outcome


@pytest.fixture(scope="session")
def published(demo: DemoOutcome) -> Path:
    """What the demo published for analysts."""
    return demo.folder / "published" / "bi.duckdb"
