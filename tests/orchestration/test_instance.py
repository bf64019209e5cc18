"""The Dagster instance: its configuration, its writer's pool, and slots that dead processes leave behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import dagster as dg
import pytest
import yaml

from assets.names import WRITER_POOL
from orchestration.instance import (
    HOST_TAG,
    POSTGRES_VARIABLE,
    PROCESS_TAG,
    free_dead_runs,
    open_instance,
    postgres_url_for_dagster,
    process_tags,
    write_instance_config,
)


def test_configuration_is_valid_private_and_written_once(tmp_path: Path) -> None:
    home = write_instance_config(tmp_path / "dagster", None)
    target = home / "dagster.yaml"
    written = target.stat()
    assert written.st_mode & 0o077 == 0
    config = yaml.safe_load(target.read_text())
    assert config["run_monitoring"]["free_slots_after_run_end_seconds"] == 5
    assert config["run_retries"]["retry_on_asset_or_op_failure"] is False
    write_instance_config(home, None)
    assert target.stat().st_mtime_ns == written.st_mtime_ns


def test_the_writers_pool_has_one_slot(tmp_path: Path) -> None:
    with open_instance(tmp_path / "dagster", None) as instance:
        assert instance.event_log_storage.get_concurrency_info(WRITER_POOL).slot_count == 1
        assert not instance.telemetry_enabled


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_postgres_gets_the_driver_that_dagster_ships(scheme: str) -> None:
    assert postgres_url_for_dagster(f"{scheme}://u:p@h:5/d?x=1") == "postgresql+psycopg2://u:p@h:5/d?x=1"


def test_another_database_is_refused() -> None:
    with pytest.raises(ValueError, match="mysql"):
        postgres_url_for_dagster("mysql://u:p@h/d")


def _run(instance: dg.DagsterInstance, tags: dict[str, str]) -> str:
    @dg.job
    def nothing() -> None: ...

    run = instance.create_run_for_job(nothing, tags=tags, status=dg.DagsterRunStatus.STARTED)
    storage = instance.event_log_storage
    assert storage.claim_concurrency_slot(WRITER_POOL, run.run_id, "step").is_claimed
    return run.run_id


def test_the_slot_of_a_killed_process_comes_back(tmp_path: Path) -> None:
    with open_instance(tmp_path / "dagster", None) as instance:
        dead = subprocess.Popen([sys.executable, "-c", ""])
        tags = {**process_tags(), PROCESS_TAG: json.dumps([dead.pid, "1"])}
        dead.wait()
        run_id = _run(instance, tags)
        assert free_dead_runs(instance) == [run_id]
        run = instance.get_run_by_id(run_id)
        assert run is not None
        assert run.status is dg.DagsterRunStatus.FAILURE
        assert instance.event_log_storage.get_concurrency_info(WRITER_POOL).active_slot_count == 0


def test_a_living_process_and_another_machine_keep_theirs(tmp_path: Path) -> None:
    with open_instance(tmp_path / "dagster", None) as instance:
        _run(instance, process_tags())
        assert free_dead_runs(instance) == []
        assert instance.event_log_storage.get_concurrency_info(WRITER_POOL).active_slot_count == 1


def test_a_pid_used_again_is_not_the_same_process(tmp_path: Path) -> None:
    with open_instance(tmp_path / "dagster", None) as instance:
        run_id = _run(instance, {**process_tags(), PROCESS_TAG: json.dumps([os.getpid(), "1"])})
        assert free_dead_runs(instance) == [run_id]
    with open_instance(tmp_path / "other", None) as instance:
        _run(instance, {**process_tags(), HOST_TAG: "elsewhere", PROCESS_TAG: json.dumps([1, "1"])})
        assert free_dead_runs(instance) == []


def test_the_configuration_names_the_databases_address_and_does_not_hold_it(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dagster gives the configuration to its code servers as an argument: what stands in it, `ps` shows."""
    monkeypatch.setenv(POSTGRES_VARIABLE, "")
    password = str(urlsplit(postgres_url).password)
    with open_instance(tmp_path / "dagster", postgres_url) as instance:
        assert instance.get_runs_count() == 0
        assert password not in dg.serialize_value(instance.get_ref())
    assert password not in (tmp_path / "dagster/dagster.yaml").read_text(encoding="utf-8")
