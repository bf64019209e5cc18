"""One run with canaries for every test that looks for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.sql_project import SqlProject
from tests.privacy.canaries import Ran, run_with_canaries


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory, project_root: Path, sql_project: SqlProject) -> Iterator[Ran]:
    """The retailer after its run; tests that change it work on a copy."""
    with run_with_canaries(tmp_path_factory.mktemp("canaries"), project_root, sql_project) as found:
        yield found
