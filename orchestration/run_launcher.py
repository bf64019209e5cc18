"""The run launcher: Dagster's own, that can also tell whether a run's process is still there.

Without an answer to that, a run whose process was killed stays "started" until the longest run time is over.
"""

from __future__ import annotations

import json

from dagster import DagsterRun
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import DefaultRunLauncher
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._grpc.client import DagsterGrpcClient
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
from dagster._serdes import deserialize_value

from orchestration.instance import is_gone

__all__ = ["WatchedRunLauncher"]


class WatchedRunLauncher(DefaultRunLauncher):
    """Runs are processes of the code server, which knows those that live; when it is started again, it has none left."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Yes."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Whether the run's process lives. A code server that does not answer says nothing about its runs: asked again later."""
        if GRPC_INFO_TAG not in run.tags:  # a run of the command line, in a process of its own
            if is_gone(run.tags):
                return CheckRunHealthResult(WorkerStatus.FAILED, "the process that ran it has ended")
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        place = json.loads(run.tags[GRPC_INFO_TAG])
        client = DagsterGrpcClient(
            port=place.get("port"), socket=place.get("socket"), host=place.get("host") or "localhost"
        )
        try:
            answer = client.can_cancel_execution(CanCancelExecutionRequest(run_id=run.run_id), timeout=5)
        except DagsterUserCodeUnreachableError:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "its code server does not answer")
        if deserialize_value(answer, CanCancelExecutionResult).can_cancel:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, "the code server has no process for it")
