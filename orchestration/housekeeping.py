"""Room on disk and in the databases: what one round of housekeeping removes, and the job that does it each night."""

# No `from __future__ import annotations`: Dagster reads the annotations of steps as they are.

from dataclasses import dataclass
from datetime import timedelta

import dagster as dg

from assets.runtime import Runtime
from orchestration.event_pruning import PrunedInstance, prune_instance
from resources.pruning import Pruned, prune

HOUSEKEEPING = "housekeeping"
HINTS_KEPT = timedelta(days=7)
"""How long readings of single rows stay at most: each sale makes some small files and rows, and every night reads the same whole."""


@dataclass(frozen=True)
class Ages:
    """From which age on things go."""

    runs: timedelta
    raw: timedelta
    operations: timedelta


@dataclass(frozen=True)
class Housekept:
    """What went, or would go. ``operations``: rows by table."""

    files: Pruned
    instance: PrunedInstance
    operations: dict[str, int]


def housekeep(runtime: Runtime, instance: dg.DagsterInstance, ages: Ages, *, only_count: bool = False) -> Housekept:
    """Remove what is old and done with. Started again after it was killed, it finishes what is left."""
    now = runtime.settings.clock()()
    return Housekept(
        files=prune(
            runtime.operations,
            runtime.landing,
            before=now - ages.raw,
            hints_before=now - min(ages.raw, HINTS_KEPT),
            only_count=only_count,
        ),
        instance=prune_instance(instance, before=now - ages.runs, only_count=only_count),
        operations=runtime.operations.prune(
            before=now - ages.operations,
            hints_before=now - min(ages.operations, HINTS_KEPT),
            only_count=only_count,
        ),
    )


def declared_ages(runtime: Runtime) -> Ages:
    """The ages of the settings."""
    settings = runtime.settings
    return Ages(
        timedelta(days=settings.keep_runs_days),
        timedelta(days=settings.keep_raw_days),
        timedelta(days=settings.keep_operations_days),
    )


def housekeeping_job(runtime: Runtime) -> dg.JobDefinition:
    """The job of one step. It opens no warehouse and runs beside anything."""

    @dg.op(name="remove_old", description="Old raw files, runs, events and settled rows.", out=dg.Out(dg.Nothing))
    def remove_old(context: dg.OpExecutionContext) -> None:
        done = housekeep(runtime, context.instance, declared_ages(runtime))
        context.log.info(
            "removed %d runs, %d events without a run, %d raw readings (%.1f MB), %d canonical files (%.1f MB); operations: %s",
            done.instance.runs_qty,
            done.instance.runless_events_qty,
            done.files.raw_extracts_qty,
            done.files.raw_bytes / 1e6,
            done.files.canonical_files_qty,
            done.files.canonical_bytes / 1e6,
            ", ".join(f"{name} {quantity}" for name, quantity in done.operations.items() if quantity) or "nothing",
        )

    @dg.job(
        name=HOUSEKEEPING,
        executor_def=dg.in_process_executor,
        description="Remove what is old and done with: raw files, runs with their events and logs, settled rows of the operations store.",
    )
    def housekeeping() -> None:
        remove_old()

    return housekeeping
