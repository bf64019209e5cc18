"""The Dagster instance of a retailer: its generated `dagster.yaml`, how it is opened, and how slots of dead runs come back.

Belongs here: storage (SQLite or Postgres), run limits, monitoring, retention. What runs, and when, is elsewhere.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import dagster as dg
import yaml

from assets.names import WRITER_POOL

POSTGRES_VARIABLE = "DAGSTER_POSTGRES_URL"
"""Holds the address of the instance's database, password included; `dagster.yaml` only names it."""

HOST_TAG = "etalon/host"
PROCESS_TAG = "etalon/process"

MODE_TAG, SYNC_TAG = "etalon/mode", "etalon/sync"
"""Tags of runs that read the systems (full or incremental), and of runs that write to channels or send orders."""

BACKFILL_TAG = "dagster/backfill"
"""Tag that Dagster gives each run of a backfill."""

READING_RUNS, SYNC_RUNS, OTHER_RUNS = 1, 3, 2
"""Two runs that read would only wait for each other, at the streams' locks and at the writer's."""

BACKFILL_RUNS = 4
"""Runs of backfills at a time, of all systems together; how many of one system its pool says."""

START_SECONDS = 900
"""Longest start of a run. A process that starts later than that starts for nothing, and its retry beside it: on a machine so busy that
starts take minutes, a short limit makes it busier still with runs that nobody waits for."""

MAX_RUN_SECONDS = 4 * 3600
"""Longest run before monitoring ends it: a nightly full reading of a large shop takes under an hour."""


def postgres_url_for_dagster(url: str) -> str:
    """The same address with the driver named: SQLAlchemy 2.1 takes a bare `postgresql://` for psycopg 3, Dagster ships psycopg2."""
    parts = urlsplit(url)
    if parts.scheme in ("postgres", "postgresql") or parts.scheme.startswith("postgresql+"):
        return urlunsplit(parts._replace(scheme="postgresql+psycopg2"))
    raise ValueError(f"a Postgres address starts with postgresql://, this one with {parts.scheme}://")


def instance_config(home: Path, postgres_url: str | None) -> dict[str, Any]:
    """The content of `dagster.yaml` for an instance whose files live in ``home``."""
    return {
        **(_sqlite_storage(home / "storage") if postgres_url is None else _postgres_storage()),
        "local_artifact_storage": {
            "module": "dagster._core.storage.root",
            "class": "LocalArtifactStorage",
            "config": {"base_dir": str(home / "storage")},
        },
        "compute_logs": {
            "module": "dagster._core.storage.local_compute_log_manager",
            "class": "LocalComputeLogManager",
            "config": {"base_dir": str(home / "compute_logs")},
        },
        # A pool without a limit of its own has one slot: one writer of the warehouse at a time (the file lock in resources.warehouse
        # is the belt to these braces), and one writer per channel.
        "concurrency": {
            "pools": {"granularity": "op", "default_limit": 1, "op_granularity_run_buffer": 1},
            # Runs that read, runs that write to channels and backfills each have places of their own: no kind can take them all.
            "runs": {
                "max_concurrent_runs": READING_RUNS + SYNC_RUNS + OTHER_RUNS + BACKFILL_RUNS,
                "tag_concurrency_limits": [
                    {"key": MODE_TAG, "limit": READING_RUNS},
                    {"key": SYNC_TAG, "limit": SYNC_RUNS},
                    {"key": BACKFILL_TAG, "limit": BACKFILL_RUNS},
                ],
            },
        },
        # Asked for work each second, not each fifth: a sync that a sensor wants starts without that wait.
        "run_queue": {"dequeue_interval_seconds": 1, "dequeue_use_threads": True, "dequeue_num_workers": 4},
        # A sensor that takes its time, or the start of a run, holds up no other sensor.
        "sensors": {"use_threads": True, "num_workers": 4, "num_submit_workers": 4},
        "schedules": {"use_threads": True, "num_workers": 2, "num_submit_workers": 2},
        # Dagster's own launcher cannot say that a run's process is gone; this one can.
        "run_launcher": {"module": "orchestration.run_launcher", "class": "WatchedRunLauncher"},
        # Without the last two a killed run keeps the writer's slot for ever.
        "run_monitoring": {
            "enabled": True,
            "start_timeout_seconds": START_SECONDS,
            "poll_interval_seconds": 15,
            "max_runtime_seconds": MAX_RUN_SECONDS,
            "free_slots_after_run_end_seconds": 5,
        },
        # A crashed process is worth another run; a step that failed says why, and another run would fail the same way.
        "run_retries": {"enabled": True, "max_retries": 2, "retry_on_asset_or_op_failure": False},
        "retention": {
            "schedule": {"purge_after_days": {"skipped": 7, "success": 90, "failure": 90, "started": 90}},
            "sensor": {"purge_after_days": {"skipped": 2, "success": 30, "failure": 30, "started": 30}},
        },
        "freshness": {"enabled": True},
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},
    }


def _postgres_storage() -> dict[str, Any]:
    # By name: Dagster hands this configuration to its code servers as an argument, which `ps` shows to everybody.
    return {"storage": {"postgres": {"postgres_url": {"env": POSTGRES_VARIABLE}}}}


def postgres_environment(postgres_url: str | None) -> dict[str, str]:
    """What a process that opens the instance has in its environment."""
    return {} if postgres_url is None else {POSTGRES_VARIABLE: postgres_url_for_dagster(postgres_url)}


def _sqlite_storage(base_dir: Path) -> dict[str, Any]:
    """Dagster's own files in its own places, the event log with its connections kept open."""

    def part(module: str, name: str, folder: str) -> dict[str, Any]:
        return {"module": module, "class": name, "config": {"base_dir": str(base_dir / folder)}}

    return {
        "run_storage": part("dagster._core.storage.runs", "SqliteRunStorage", "history"),
        "event_log_storage": part("orchestration.event_log", "KeptOpenSqliteEventLogStorage", "history/runs"),
        "schedule_storage": part("dagster._core.storage.schedules", "SqliteScheduleStorage", "schedules"),
    }


def write_instance_config(home: Path, postgres_url: str | None) -> Path:
    """Write `dagster.yaml` in ``home`` (readable by its owner only; it holds no password) and return ``home``."""
    home = home.absolute()
    home.mkdir(parents=True, exist_ok=True)
    text = "# Written by Étalon on every start; change the ETALON_* settings instead.\n" + yaml.safe_dump(
        instance_config(home, postgres_url), sort_keys=False
    )
    target = home / "dagster.yaml"
    if not target.exists() or target.read_text(encoding="utf-8") != text:
        partial = home / f"dagster.yaml.{os.getpid()}"
        partial.touch(mode=0o600)
        partial.write_text(text, encoding="utf-8")
        partial.replace(target)
    return home


@contextmanager
def open_instance(
    home: Path, postgres_url: str | None, *, pools: Mapping[str, int] | None = None
) -> Iterator[dg.DagsterInstance]:
    """The instance in ``home``, ready: configuration written, writer's pool limited to one, slots of dead runs freed.

    ``pools``: other pools and how many slots each has; one that nobody names has a single slot, or what it was given last.

    The database's address is put into this process's environment, where the configuration and what the process starts find it.
    """
    os.environ.update(postgres_environment(postgres_url))
    with dg.DagsterInstance.from_config(str(write_instance_config(home, postgres_url))) as instance:
        if postgres_url is not None:
            # Without a pool Dagster's Postgres storage opens a connection for every query: 15 ms an event instead of 2 to 5.
            instance.optimize_for_webserver(statement_timeout=60_000, pool_recycle=3_600, max_overflow=10)
        for pool, slots in {**(pools or {}), WRITER_POOL: 1}.items():
            instance.event_log_storage.set_concurrency_slots(pool, slots)
        free_dead_runs(instance)
        yield instance


def process_tags() -> dict[str, str]:
    """Tags by which a later process can tell that the one which ran a job is gone."""
    return {HOST_TAG: socket.gethostname(), PROCESS_TAG: json.dumps(_process_identity(os.getpid()))}


def free_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Fail the runs whose command-line process is gone, and free the pool slots held by ended runs. Returns their ids.

    The daemon does this for the runs it launches; a run of `etalon run` has only the next `etalon run`.
    """
    dead: list[str] = []
    started = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING])
    for run in instance.get_runs(started):
        if is_gone(run.tags):
            instance.report_run_failed(run, "The process that ran it ended without saying so.")
            dead.append(run.run_id)
    storage = instance.event_log_storage
    for run_id in storage.get_concurrency_run_ids():
        holder = instance.get_run_by_id(run_id)
        if holder is None or holder.is_finished:
            storage.free_concurrency_slots_for_run(run_id)
    return dead


def is_gone(tags: Mapping[str, str]) -> bool:
    """Whether the process with these tags has ended; false when it is on another machine, or the tags name none."""
    if tags.get(HOST_TAG) != socket.gethostname() or PROCESS_TAG not in tags:
        return False
    pid, started = json.loads(tags[PROCESS_TAG])
    return _process_identity(pid) != [pid, started]


def _process_identity(pid: int) -> list[Any]:
    """(pid, start time in clock ticks) where the system tells it, since a pid is used again; start time is null elsewhere."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        # The second field is the command in parentheses and may hold spaces: count from its end.
        return [pid, stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]]
    except FileNotFoundError:
        if Path("/proc").exists():
            return [pid, "gone"]
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return [pid, "gone"]
    except PermissionError:
        pass
    return [pid, None]
