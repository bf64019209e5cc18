"""One process of a backfill: ``python -m orchestration.backfill_worker`` reads periods that its standard input names, one JSON line each,
and answers each with one. Started by `orchestration.backfill`; each period is a run in the machine's Dagster instance.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any, TextIO

import dagster as dg

from assets.names import history_key
from assets.periods import period_assets, reading_runtime
from assets.runtime import Runtime
from orchestration.in_process import QUIET, quiet_logs, step_errors
from orchestration.instance import open_instance, process_tags
from orchestration.jobs import READ_HISTORY, history_job
from resources.settings import Settings

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
"""Tags by which Dagster knows the first and the last day of a run over several."""


def read_asked(runtime: Runtime, asked: Iterable[str], answers: TextIO) -> None:
    """Read each period that is asked for, and answer before the next is taken."""
    assets = period_assets(runtime)
    definitions = dg.Definitions(assets=assets, jobs=[history_job([key for asset in assets for key in asset.keys])])
    job = definitions.resolve_job_def(READ_HISTORY)
    settings = runtime.settings
    with (
        open_instance(settings.dagster_dir, settings.postgres_url) as instance,
        quiet_logs(),
    ):
        for line in asked:
            answers.write(json.dumps(_read(runtime, job, instance, json.loads(line))) + "\n")
            answers.flush()


def _read(
    runtime: Runtime, job: dg.JobDefinition, instance: dg.DagsterInstance, chunk: dict[str, Any]
) -> dict[str, Any]:
    started, cpu_started = time.perf_counter(), time.process_time()
    first, last = date.fromisoformat(chunk["first"]), date.fromisoformat(chunk["last"])
    result = job.execute_in_process(
        instance=instance,
        run_config=QUIET,
        tags={**process_tags(), RANGE_START: first.isoformat(), RANGE_END: last.isoformat()},
        raise_on_error=False,
        asset_selection=[history_key(chunk["system_code"], chunk["stream"])],
    )
    manifests = runtime.operations.manifests(run_id=result.run_id)
    # A reading says in its own words what was wrong; one that never began is known from its step alone.
    told = [manifest.error for manifest in manifests if manifest.error] or step_errors(result).values()
    return {
        "is_complete": result.success,
        "run_id": result.run_id,
        "error": "; ".join(told),
        "landed_qty": sum(manifest.landed_qty for manifest in manifests),
        "quarantined_qty": sum(manifest.quarantined_qty for manifest in manifests),
        "seconds": round(time.perf_counter() - started, 3),
        "cpu_s": round(time.process_time() - cpu_started, 3),
        "pid": os.getpid(),
    }


def main() -> None:
    """Answer on standard output, which is ours alone: whatever else is printed goes to the errors."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        read_asked(reading_runtime(Settings.from_environment(os.environ, Path.cwd())), sys.stdin, answers)
    except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError):
        sys.exit(130)  # who interrupts the command interrupts its processes: no trace for each


if __name__ == "__main__":
    main()
