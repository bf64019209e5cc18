"""The service's own PostgreSQL: made once, closed to others, found again by every other command."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from orchestration.cli.environment import DEMO_ENV_FILE, SANDBOX_FOLDER, chosen_environment
from orchestration.service.lock import is_running, only_one
from orchestration.service.private_postgres import PrivatePostgres, find_binaries, prepare
from orchestration.service.supervisor import Supervisor
from resources import postgres_programs
from resources.errors import ConfigurationError
from resources.settings import Settings, sqlalchemy_postgres_url
from tests import postgres_server

pytestmark = pytest.mark.postgres


@pytest.fixture
def cluster(settings: Settings) -> PrivatePostgres:
    if postgres_server.find_binaries() is None:
        pytest.skip("PostgreSQL is not installed: scripts/test_services.sh installs it")
    return prepare(settings.postgres_dir)


@pytest.fixture
def running(cluster: PrivatePostgres, tmp_path: Path) -> Iterator[PrivatePostgres]:
    supervisor = Supervisor(tmp_path / "service", tmp_path / "logs")
    supervisor.add([cluster.program({"PATH": "/usr/bin:/bin"})])
    deadline = time.monotonic() + 60
    supervisor.run(until=lambda: supervisor.is_healthy or time.monotonic() > deadline)
    assert supervisor.is_healthy, (tmp_path / "logs/postgres.log").read_text()
    yield cluster
    supervisor.stop()
    supervisor.end()


def test_it_is_closed_to_others_and_found_by_every_command(running: PrivatePostgres, settings: Settings) -> None:
    environ = {"ETALON_DATA_DIR": str(settings.data_dir)}
    found = Settings.from_environment(environ, settings.root)
    assert found.postgres_url == running.url
    assert found.operations_url == sqlalchemy_postgres_url(running.url)
    assert (settings.postgres_dir / "url").stat().st_mode & 0o077 == 0
    assert running.cluster.stat().st_mode & 0o077 == 0
    engine = sa.create_engine(sqlalchemy_postgres_url(running.url))
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT current_database()")) == "etalon"
        assert connection.scalar(sa.text("SHOW listen_addresses")) == "127.0.0.1"
    engine.dispose()
    wrong = sqlalchemy_postgres_url(running.url.replace("etalon:", "etalon:x"))
    engine = sa.create_engine(wrong)
    with pytest.raises(sa.exc.OperationalError, match="password authentication failed"):
        engine.connect()
    engine.dispose()


def test_it_is_made_once_and_never_over_something_else(cluster: PrivatePostgres, settings: Settings) -> None:
    again = prepare(settings.postgres_dir)
    assert (again.url, again.cluster) == (cluster.url, cluster.cluster)
    (settings.postgres_dir / "url").unlink()
    with pytest.raises(ConfigurationError, match="no finished cluster"):
        prepare(settings.postgres_dir)


def test_a_cluster_of_another_release_is_told(cluster: PrivatePostgres, settings: Settings) -> None:
    (cluster.cluster / "PG_VERSION").write_text("9\n")
    with pytest.raises(ConfigurationError, match="made by PostgreSQL 9"):
        prepare(settings.postgres_dir)


def test_without_postgresql_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(postgres_programs, "_DEBIAN", tmp_path)
    with pytest.raises(ConfigurationError, match="apt-get install postgresql"):
        find_binaries()


def test_one_service_for_one_folder(tmp_path: Path) -> None:
    assert not is_running(tmp_path)
    with only_one(tmp_path):
        assert is_running(tmp_path)
        with pytest.raises(ConfigurationError, match="runs already"), only_one(tmp_path):
            pass
    assert not is_running(tmp_path)


def test_commands_work_on_the_sandbox_while_it_runs(tmp_path: Path) -> None:
    for folder in (DEMO_ENV_FILE.parent, SANDBOX_FOLDER):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "demo.env").touch()
    assert chosen_environment({}, tmp_path)["ETALON_ENV_FILE"] == str(tmp_path / DEMO_ENV_FILE)
    with only_one(tmp_path / SANDBOX_FOLDER / "service"):
        assert chosen_environment({}, tmp_path)["ETALON_ENV_FILE"] == str(tmp_path / SANDBOX_FOLDER / "demo.env")
        assert "ETALON_ENV_FILE" not in chosen_environment({"ETALON_SECRET_KEY": "x"}, tmp_path)
