"""What tests of every part share: a data folder, a secret, a PostgreSQL server, a headless browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from resources.privacy import Sealer, Tokeniser
from resources.settings import Settings
from resources.sql_project import SqlProject, load_project
from tests.postgres_server import PostgresServer, find_binaries, running_postgres
from tests.spark_server import running_sail

ROOT = Path(__file__).parents[1]
SECRET_KEY = bytes(range(32))


@pytest.fixture(scope="session")
def project_root() -> Path:
    """The folder that holds retailer.yaml."""
    return ROOT


@pytest.fixture(scope="session")
def sql_project(project_root: Path) -> SqlProject:
    """The project's own SQL models, read once: with their lineage that takes seconds."""
    return load_project(project_root / "dbt_like_sql")


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """An empty data folder of the test's own."""
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def settings(data_dir: Path) -> Settings:
    """Settings of this project with an empty data folder, a fixed clock and a known secret; no environment is read."""
    environ = {
        "ETALON_DATA_DIR": str(data_dir),
        "ETALON_NOW": "2026-05-18T10:00:00Z",
        "ETALON_SECRET_KEY": SECRET_KEY.hex(),
    }
    return Settings.from_environment(environ, ROOT)


@pytest.fixture(scope="session")
def tokeniser() -> Tokeniser:
    """Tokens under the tests' secret."""
    return Tokeniser(SECRET_KEY)


@pytest.fixture(scope="session")
def sealer() -> Sealer:
    """Envelopes under the tests' secret."""
    return Sealer(SECRET_KEY)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A private PostgreSQL server, started in about 0.6 s; one per test process."""
    binaries = find_binaries()
    if binaries is None:
        _missing("PostgreSQL")
    with running_postgres(binaries) as server:
        yield server


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> str:
    """The ``postgresql://`` address of an empty database of the test's own."""
    return postgres.new_database()


@pytest.fixture(scope="session")
def spark_remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Spark Connect endpoint of two workers; one per test process, so tests that use it stand in one xdist group."""
    with running_sail(tmp_path_factory.mktemp("spark")) as remote:
        yield remote


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The headless browser's program."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    return Path(found) if found else _missing("Chromium")


def _missing(program: str) -> NoReturn:
    """Fail where everything must run, skip on a person's machine."""
    message = f"{program} is not installed: scripts/test_services.sh installs it"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)
