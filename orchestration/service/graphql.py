"""The few things that are asked of Dagster's webserver: launching a job as a person would in the UI."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.request import Request, urlopen

from orchestration.service.programs import LOCATION
from resources.errors import PermanentError

REPOSITORY = "__repository__"
_LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}
"""


def ask(base_url: str, query: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The ``data`` of an answer of the webserver at ``base_url``. Raises PermanentError when it is an error."""
    body = json.dumps({"query": query, "variables": variables or {}}).encode()
    request = Request(f"{base_url}/graphql", data=body, headers={"Content-Type": "application/json"})  # noqa: S310
    with urlopen(request, timeout=60) as response:  # noqa: S310 an address of ours on loopback
        answer: dict[str, Any] = json.load(response)
    if answer.get("errors"):
        raise PermanentError(f"the webserver refused a query: {answer['errors'][0]['message']}")
    data: dict[str, Any] = answer["data"]
    return data


def launch_job(base_url: str, job: str, run_config: Mapping[str, Any], tags: Mapping[str, str]) -> str:
    """Queue a run of a job; gives its id. Raises PermanentError when Dagster does not take it."""
    params = {
        "selector": {"repositoryLocationName": LOCATION, "repositoryName": REPOSITORY, "jobName": job},
        "runConfigData": dict(run_config),
        "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in tags.items()]},
    }
    told = ask(base_url, _LAUNCH, {"params": params})["launchRun"]
    if told["__typename"] != "LaunchRunSuccess":
        raise PermanentError(f"the job {job} could not be started: {told}", action="the log of `ui` says more")
    run_id: str = told["run"]["runId"]
    return run_id
