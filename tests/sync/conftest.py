"""What the tests of the sync share: stores on both databases, a clock that is moved by hand, a declared retailer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from resources.operations import Operations
from resources.retailer import Retailer, load_retailer
from tests.retailer.declared import VARIABLES

NOW = datetime(2026, 5, 18, 10, tzinfo=UTC)


@dataclass
class Clock:
    """A clock that only a test moves."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **duration: float) -> datetime:
        """Let time pass."""
        self.now += timedelta(**duration)
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def operations(tmp_path: Path) -> Iterator[Operations]:
    store = Operations.open(f"sqlite:///{tmp_path}/operations.sqlite", data_dir=tmp_path)
    yield store
    store.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Operations]:
    """The store on SQLite, then on PostgreSQL."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/either.sqlite"
    else:
        given = os.environ.get("ETALON_TEST_POSTGRES_URL") or request.getfixturevalue("postgres_url")
        url = given.replace("postgresql://", "postgresql+psycopg2://", 1)
    store = Operations.open(url, data_dir=tmp_path)
    yield store
    store.close()


@pytest.fixture(scope="session")
def retailer(project_root: Path) -> Retailer:
    """The retailer of the project's retailer.yaml."""
    return load_retailer(project_root / "retailer.yaml", VARIABLES)
