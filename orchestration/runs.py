"""Running a job in this process, and what came of it: used by `etalon run`, `etalon sync` and the demo."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

from assets.channels import RECEIPTS, sync_keys, written_channels
from assets.orders import sending_systems
from assets.publication import PublicationStep
from assets.runtime import Runtime
from orchestration.definitions import asset_impact, build_definitions
from orchestration.in_process import QUIET, quiet_logs, step_errors
from orchestration.instance import open_instance, process_tags
from orchestration.jobs import CHANNEL_SYNC, HOURLY_INCREMENTAL, NIGHTLY_FULL, ORDER_TRANSMISSION, full_config
from orchestration.watch import look_after_run
from resources.errors import ConfigurationError, Where


@dataclass(frozen=True)
class StepTime:
    """How long one step took, in seconds, and whether it ended well."""

    step: str
    seconds: float
    is_ok: bool


@dataclass(frozen=True)
class FailedCheck:
    """A check that did not pass. ``is_error``: severity error, so the run is not all good; a warning is only told."""

    asset: str
    check: str
    is_error: bool
    is_blocking: bool
    detail: str


@dataclass(frozen=True)
class RunSummary:
    """What one run did. ``errors``: message of each failed step, by step."""

    run_id: str
    job: str
    is_finished: bool
    steps: tuple[StepTime, ...]
    checks_qty: int
    failed_checks: tuple[FailedCheck, ...]
    errors: dict[str, str]
    materialized: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        """Every step ended and no check of severity error failed."""
        return self.is_finished and not any(check.is_error for check in self.failed_checks)


def run_job(
    runtime: Runtime, *, full: bool, select: str | None = None, publications: Sequence[PublicationStep] | None = None
) -> RunSummary:
    """Run the nightly (``full``) or hourly job in this process, on the machine's Dagster instance.

    ``publications``: what is published; everything by default.
    ``select``: Dagster's asset selection language, for example `kpis/kpi_value` or `+key:"referentials/*"`.
    Raises ConfigurationError when it selects nothing. A step that fails is told in the summary, not raised.
    """
    definitions = build_definitions(runtime, publications=publications)
    name = NIGHTLY_FULL if full else HOURLY_INCREMENTAL
    job = definitions.resolve_job_def(name)
    selection = _resolve(job, select) if select else None
    systems = _systems(runtime, selection) if full else ()
    tags = {"etalon/mode": "full" if full else "incremental"}
    return _execute(runtime, job, name, run_config=full_config(systems), tags=tags, selection=selection)


def run_sync(runtime: Runtime, channel_codes: Sequence[str], *, plan_only: bool = False) -> RunSummary:
    """Plan and write these channels (``plan_only``: only plan) in this process, on the machine's Dagster instance.

    Raises ConfigurationError for a channel that cannot be written. A step that fails is told in the summary, not raised.
    """
    known = {channel.code for channel in written_channels(runtime)}
    for code in channel_codes:
        if code not in known:
            runtime.retailer.channel(code)  # an unknown one has a better message
            raise ConfigurationError(
                f"channel {code} cannot be written",
                where=Where(field="CHANNEL"),
                action=f"channels that can: {', '.join(sorted(known)) or 'none'}",
            )
    wanted = [
        key
        for key in sync_keys(runtime)
        if key.path[1] in (channel_codes or known) and not (plan_only and key.path[-1] == RECEIPTS)
    ]
    if not wanted:
        raise ConfigurationError(
            "no channel can be written",
            where=Where(field="channels"),
            action="`etalon systems` lists what each system can be written",
        )
    job = build_definitions(runtime).resolve_job_def(CHANNEL_SYNC)
    return _execute(runtime, job, CHANNEL_SYNC, run_config={}, tags={"etalon/mode": "sync"}, selection=wanted)


def run_orders(runtime: Runtime) -> RunSummary:
    """Send the orders that wait to the systems that get them, in this process, on the machine's Dagster instance.

    Raises ConfigurationError when no system gets orders. A step that fails is told in the summary, not raised.
    """
    if not sending_systems(runtime):
        raise ConfigurationError(
            "no system gets orders",
            where=Where(file="retailer.yaml", field="systems"),
            action="give the system that books orders `sends` and `out_folder` (docs/orders.md)",
        )
    job = build_definitions(runtime).resolve_job_def(ORDER_TRANSMISSION)
    return _execute(runtime, job, ORDER_TRANSMISSION, run_config={}, tags={"etalon/mode": "orders"}, selection=None)


def _execute(
    runtime: Runtime,
    job: dg.JobDefinition,
    name: str,
    *,
    run_config: Mapping[str, object],
    tags: Mapping[str, str],
    selection: Sequence[dg.AssetKey] | None,
) -> RunSummary:
    with (
        open_instance(runtime.settings.dagster_dir, runtime.settings.postgres_url) as instance,
        quiet_logs(),
    ):
        result = job.execute_in_process(
            instance=instance,
            run_config={**run_config, **QUIET},
            tags={**process_tags(), **tags},
            raise_on_error=False,
            asset_selection=selection,
        )
        summary = summarise(name, result, instance)
        look_after_run(runtime, asset_impact(runtime), instance, result.run_id)
        return summary


def summarise(job: str, result: dg.ExecuteInProcessResult, instance: dg.DagsterInstance) -> RunSummary:
    """Read what a run left in its instance."""
    errors = step_errors(result)
    materialized = [
        event.asset_key.to_user_string()
        for event in result.all_events
        if event.is_step_materialization and event.asset_key is not None
    ]
    times = [
        StepTime(stats.step_key, (stats.end_time or stats.start_time) - stats.start_time, stats.step_key not in errors)
        for stats in sorted(instance.get_run_step_stats(result.run_id), key=lambda stats: stats.start_time or 0)
        if stats.start_time is not None  # a step that never started took no time
    ]
    evaluations = result.get_asset_check_evaluations()
    return RunSummary(
        run_id=result.run_id,
        job=job,
        is_finished=result.success,
        steps=tuple(times),
        checks_qty=len(evaluations),
        failed_checks=tuple(
            FailedCheck(
                asset=evaluation.asset_key.to_user_string(),
                check=evaluation.check_name,
                is_error=evaluation.severity is dg.AssetCheckSeverity.ERROR,
                is_blocking=bool(evaluation.blocking),
                detail=evaluation.description or "",
            )
            for evaluation in evaluations
            if not evaluation.passed
        ),
        errors=errors,
        materialized=tuple(materialized),
    )


def _resolve(job: dg.JobDefinition, select: str) -> Sequence[dg.AssetKey]:
    graph = job.asset_layer.asset_graph
    with warnings.catch_warnings():
        # Dagster warns about its own use of its own beta parameter.
        warnings.simplefilter("ignore", dg.BetaWarning)
        keys = dg.AssetSelection.from_string(select).resolve(graph) & graph.executable_asset_keys
    if not keys:
        raise ConfigurationError(
            f"--select {select!r} selects no asset",
            where=Where(field="--select"),
            action='`etalon systems` lists the streams; a key is written like kpis/kpi_value, key:"kpis/*" or group:kpis',
        )
    return sorted(keys)


def _systems(runtime: Runtime, selection: Sequence[dg.AssetKey] | None) -> list[str]:
    """Systems that the run reads: a step that is not in the run may not be configured."""
    keys = None if selection is None else set(selection)
    return [
        code
        for code, connector in runtime.connectors.items()
        if connector.streams()
        and (keys is None or any(dg.AssetKey([code, stream.name]) in keys for stream in connector.streams()))
    ]
