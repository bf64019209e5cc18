"""Given a run and what its process or its code server says, expect what the daemon is told of its health."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher.base import WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._grpc.types import CanCancelExecutionResult
from dagster._serdes import serialize_value

from orchestration import run_launcher
from orchestration.instance import open_instance, process_tags
from orchestration.run_launcher import WatchedRunLauncher

SOCKET = "/run/code.sock"
HOSTED = {GRPC_INFO_TAG: json.dumps({"host": "localhost", "socket": SOCKET})}


def run_with(tags: Mapping[str, str]) -> dg.DagsterRun:
    return dg.DagsterRun(job_name="nightly_full", status=dg.DagsterRunStatus.STARTED, tags=dict(tags))


@pytest.mark.parametrize(
    ("can_cancel", "expected"),
    [(True, WorkerStatus.RUNNING), (False, WorkerStatus.FAILED), (None, WorkerStatus.RUNNING)],
    ids=["its code server has a process for it", "its code server has none", "its code server does not answer"],
)
def test_the_code_server_knows_its_runs(
    monkeypatch: pytest.MonkeyPatch, can_cancel: bool | None, expected: WorkerStatus
) -> None:
    run, asked = run_with(HOSTED), []

    class Server:
        def __init__(self, **place: Any) -> None:
            asked.append((place["socket"], place["host"]))

        def can_cancel_execution(self, request: Any, timeout: int) -> str:
            assert (request.run_id, timeout > 0) == (run.run_id, True)
            if can_cancel is None:
                raise DagsterUserCodeUnreachableError("nobody there")
            return serialize_value(CanCancelExecutionResult(can_cancel=can_cancel))

    monkeypatch.setattr(run_launcher, "DagsterGrpcClient", Server)
    assert WatchedRunLauncher().check_run_worker_health(run).status == expected
    assert asked == [(SOCKET, "localhost")]


def test_a_run_of_the_command_line_lives_as_long_as_its_process() -> None:
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "import json; from orchestration.instance import process_tags; print(json.dumps(process_tags()))",
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
        env={"PATH": os.environ["PATH"]},
    )
    launcher, ended = WatchedRunLauncher(), json.loads(told.stdout)
    assert launcher.check_run_worker_health(run_with(process_tags())).status == WorkerStatus.RUNNING
    assert launcher.check_run_worker_health(run_with(ended)).status == WorkerStatus.FAILED
    elsewhere = {**ended, "etalon/host": "another machine"}
    assert launcher.check_run_worker_health(run_with(elsewhere)).status == WorkerStatus.RUNNING, "nobody here can tell"


def test_the_instance_has_it_and_the_daemon_asks_it(tmp_path: Path) -> None:
    with open_instance(tmp_path, None) as instance:
        assert isinstance(instance.run_launcher, WatchedRunLauncher)
        assert instance.run_launcher.supports_check_run_worker_health
        assert instance.run_monitoring_enabled
