"""The event log that keeps its files open writes what Dagster's own reads, and the other way round."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import dagster as dg
from dagster._core.storage.event_log import SqliteEventLogStorage

from orchestration.event_log import KeptOpenSqliteEventLogStorage
from orchestration.instance import open_instance


@dg.asset(check_specs=[dg.AssetCheckSpec("counted", asset="thing")])
def thing() -> Iterator[dg.MaterializeResult[None]]:
    yield dg.MaterializeResult(
        metadata={"dagster/row_count": 3}, check_results=[dg.AssetCheckResult(check_name="counted", passed=True)]
    )


def kinds(entries: Sequence[dg.EventLogEntry]) -> list[str]:
    return [entry.dagster_event.event_type_value for entry in entries if entry.dagster_event]


def test_dagsters_own_class_reads_what_ours_wrote(tmp_path: Path) -> None:
    with open_instance(tmp_path / "dagster", None) as instance:
        runs = [dg.materialize([thing], instance=instance).run_id for _ in range(3)]
        ours = {run: kinds(instance.all_logs(run)) for run in runs}
        storage = instance.event_log_storage
        assert isinstance(storage, KeptOpenSqliteEventLogStorage)
        folder = storage._base_dir
    own = SqliteEventLogStorage(folder)
    for run in runs:
        theirs = kinds([record.event_log_entry for record in own.get_records_for_run(run).records])
        assert theirs == ours[run]
        assert "ASSET_CHECK_EVALUATION" in theirs
    assert own.get_latest_materialization_events([dg.AssetKey("thing")])[dg.AssetKey("thing")] is not None
    own.dispose()
