"""Removes what Dagster itself never removes: old runs with their events, files and logs, and old events that belong to no run.

Kept whatever its age: the run, or event, that holds the last materialization of an asset. Ticks have their own retention in
`dagster.yaml`, which the daemon sees to.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import dagster as dg
import sqlalchemy as sa
from dagster._core.storage.dagster_run import FINISHED_STATUSES
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    AssetEventTagsTable,
    SqlEventLogStorageTable,
)
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._core.storage.runs.schema import RunTagsTable
from dagster._core.storage.runs.sql_run_storage import SqlRunStorage

from orchestration.event_log import KeptOpenSqliteEventLogStorage

RUNLESS = ""
"""What stands as run id on events that were reported outside of a run."""


@dataclass(frozen=True)
class PrunedInstance:
    """What went, or would go."""

    runs_qty: int
    runless_events_qty: int


def prune_instance(instance: dg.DagsterInstance, *, before: datetime, only_count: bool = False) -> PrunedInstance:
    """Remove finished runs created before ``before`` (aware) and runless events older than it.

    What the interrupted pruning of another day left is found again by the next one: the run's row goes last.
    """
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        raise TypeError(f"{type(storage).__name__} keeps no SQL tables")
    last_runs, last_events = _last_materializations(instance)
    old = dg.RunsFilter(statuses=list(FINISHED_STATUSES), created_before=before)
    run_ids = [run_id for run_id in instance.get_run_ids(old) if run_id not in last_runs]
    if not only_count:
        for run_id in run_ids:
            _delete_run(instance, storage, run_id)
    return PrunedInstance(len(run_ids), _runless(storage, before, last_events, only_count=only_count))


def _last_materializations(instance: dg.DagsterInstance) -> tuple[set[str], set[int]]:
    """Runs and event ids that hold the last materialization of an asset."""
    last = [
        record.asset_entry.last_materialization_record
        for record in instance.get_asset_records()
        if record.asset_entry.last_materialization_record is not None
    ]
    return {record.run_id for record in last} - {RUNLESS}, {record.storage_id for record in last}


def _delete_run(instance: dg.DagsterInstance, storage: SqlEventLogStorage, run_id: str) -> None:
    with storage.index_connection() as connection:
        connection.execute(AssetCheckExecutionsTable.delete().where(AssetCheckExecutionsTable.c.run_id == run_id))
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    shutil.rmtree(Path(instance.storage_directory()) / run_id, ignore_errors=True)
    storage.delete_events(run_id)
    if isinstance(storage, KeptOpenSqliteEventLogStorage):
        storage.discard_run(run_id)
    runs = instance.run_storage
    if isinstance(runs, SqlRunStorage):
        with runs.connect() as connection:
            connection.execute(RunTagsTable.delete().where(RunTagsTable.c.run_id == run_id))
    runs.delete_run(run_id)


def _runless(storage: SqlEventLogStorage, before: datetime, kept: set[int], *, only_count: bool) -> int:
    """Old events without a run. On SQLite they are in the index and in a file of their own, whose numbers differ."""
    events = SqlEventLogStorageTable.c
    # Dagster writes naive UTC.
    is_old = sa.and_(events.run_id == RUNLESS, events.timestamp < before.replace(tzinfo=None))
    with storage.index_connection() as connection:
        found = [row[0] for row in connection.execute(sa.select(events.id).where(is_old)) if row[0] not in kept]
        if only_count:
            return len(found)
        for start in range(0, len(found), 500):
            part = found[start : start + 500]
            connection.execute(AssetEventTagsTable.delete().where(AssetEventTagsTable.c.event_id.in_(part)))
            connection.execute(SqlEventLogStorageTable.delete().where(events.id.in_(part)))
    if found and isinstance(storage, KeptOpenSqliteEventLogStorage):
        with storage.run_connection(RUNLESS) as connection:
            connection.execute(SqlEventLogStorageTable.delete().where(is_old))
    return len(found)
