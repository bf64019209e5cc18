"""Given a data folder that the service made, and no service running, expect backup and restore to work by one command each."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from orchestration.cli.app import app
from orchestration.service.borrowed import private_postgres
from orchestration.service.private_postgres import can_connect
from resources.operations import Operations
from resources.settings import sqlalchemy_postgres_url

pytestmark = pytest.mark.postgres


def test_the_service_s_own_database_is_started_used_and_ended(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    environment = {
        "ETALON_DATA_DIR": str(data_dir),
        "ETALON_SECRET_KEY": bytes(range(32)).hex(),
        "ETALON_POSTGRES_URL": "",
    }
    with private_postgres(data_dir / "postgres", os.environ) as url:
        operations = Operations.open(sqlalchemy_postgres_url(url), data_dir=data_dir)
        operations.erasures.begin("erasure-1", asked_by="a test", now=datetime(2026, 5, 18, tzinfo=UTC))
        operations.close()
    assert not can_connect(url)
    with duckdb.connect(str(data_dir / "warehouse.duckdb")) as con:
        con.execute("create table kept as select 42 as answer")

    taken = CliRunner().invoke(app, ["backup", str(tmp_path / "backups")], env=environment)
    assert taken.exit_code == 0, taken.output
    (folder,) = (tmp_path / "backups").iterdir()
    elsewhere = environment | {"ETALON_DATA_DIR": str(tmp_path / "elsewhere")}
    restored = CliRunner().invoke(app, ["restore", str(folder)], env=elsewhere)
    assert restored.exit_code == 0, restored.output

    with private_postgres(tmp_path / "elsewhere" / "postgres", os.environ) as url:
        operations = Operations.open(sqlalchemy_postgres_url(url), data_dir=tmp_path / "elsewhere")
        assert [record.erasure_id for record in operations.erasures.all()] == ["erasure-1"]
        operations.close()
    with duckdb.connect(str(tmp_path / "elsewhere" / "warehouse.duckdb"), read_only=True) as con:
        assert con.sql("select answer from kept").fetchall() == [(42,)]
