"""Assets of what is read by period: one per stream that can be, its partitions the days on which its rows were made.

Belongs here: turning partitions into a period and a manifest into metadata. What a reading of one period is, is `resources.extract`; when
it is done, and in how many processes, is `orchestration.backfill`.
"""

# No `from __future__ import annotations`: Dagster reads the annotations of steps as they are.

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta

import dagster as dg

from assets.names import HISTORY, history_key, history_pool, history_step
from assets.progress import Progress
from assets.runtime import Runtime, build_runtime
from assets.sources import OWNER, manifest_metadata
from resources.connectors.sdk.periods import Period
from resources.connectors.sdk.stream import Connector, Stream
from resources.retailer import SystemConfig
from resources.settings import Settings
from resources.sql_project import SqlProject

DAYS_PER_RUN = 31
"""Longest run that the UI makes of a backfill. A run reads its days as one period: a month of one stream."""


def reading_runtime(settings: Settings) -> Runtime:
    """The retailer for a process that only reads. It has no SQL models: reading them anew takes seconds."""
    return build_runtime(settings, project=SqlProject(settings.sql_dir, models={}, checks=(), given={}))


def history_days(runtime: Runtime) -> dg.DailyPartitionsDefinition:
    """The days in UTC from the retailer's first until today, today included."""
    first = runtime.retailer.identity.history_from
    fixed = runtime.settings.now
    if fixed is None:
        return dg.DailyPartitionsDefinition(start_date=first.isoformat(), end_offset=1)
    end = fixed.astimezone(UTC).date() + timedelta(days=1)
    # A replay lives on its own day. Dagster counts days to its machine's own, so those that lie between are told.
    ahead = max(1, (end - datetime.now(UTC).date()).days + 1)
    return dg.DailyPartitionsDefinition(start_date=first.isoformat(), end_date=end.isoformat(), end_offset=ahead)


def period_streams(connector: Connector) -> tuple[Stream, ...]:
    """The streams of a system that can be read by period."""
    return tuple(stream for stream in connector.streams() if stream.period_field is not None)


def history_pools(runtime: Runtime) -> dict[str, int]:
    """Pool -> how many processes may read periods of its system at once."""
    return {
        history_pool(system.code): system.history_readers
        for system in runtime.retailer.systems
        if period_streams(runtime.connectors[system.code])
    }


def period_of(runtime: Runtime, from_at: datetime, to_at: datetime) -> Period:
    """The period from one midnight in UTC to before another. That of the retailer's first day holds everything older too."""
    first = runtime.retailer.identity.history_from
    is_first = from_at <= datetime.combine(first, time(0), UTC)
    return Period(None if is_first else from_at, to_at)


def period_assets(runtime: Runtime) -> list[dg.AssetsDefinition]:
    """One multi-asset per system that has such streams. They are in no job but their own: a run of the others reads streams whole."""
    days = history_days(runtime)
    return [
        _system_history(runtime, system, streams, days)
        for system in runtime.retailer.systems
        if (streams := period_streams(runtime.connectors[system.code]))
    ]


def _system_history(
    runtime: Runtime, system: SystemConfig, streams: tuple[Stream, ...], days: dg.DailyPartitionsDefinition
) -> dg.AssetsDefinition:
    by_key = {history_key(system.code, stream.name): stream for stream in streams}

    @dg.multi_asset(
        name=history_step(system.code),
        specs=[_spec(system, key, stream, days) for key, stream in by_key.items()],
        can_subset=True,
        pool=history_pool(system.code),
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=DAYS_PER_RUN),
        description=f"Read periods of {system.code} ({system.kind}), up to {system.history_readers} at the same time.",
        op_tags={"etalon/system": system.code},
    )
    def read_history(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        window = context.partition_time_window
        period = period_of(runtime, window.start.astimezone(UTC), window.end.astimezone(UTC))
        connector = runtime.history_connector(system.code)
        selected = [(key, stream) for key, stream in by_key.items() if key in context.selected_asset_keys]
        wrong: list[str] = []
        for number, (key, stream) in enumerate(selected):
            runtime.report(Progress(history_step(system.code), f"{stream.name} {period}", number, len(selected)))
            manifest = runtime.extract(connector, stream, full=False, run_id=context.run.run_id, period=period)
            if manifest.outcome == "complete":
                yield dg.MaterializeResult(asset_key=key, metadata=manifest_metadata(manifest))
            else:
                # Not materialized: a day that the UI shows as read was read whole.
                wrong.append(f"{stream.name} {period}: {manifest.error}")
        if wrong:
            raise dg.Failure(description="\n".join(wrong), allow_retries=False)

    return read_history


def _spec(system: SystemConfig, key: dg.AssetKey, stream: Stream, days: dg.DailyPartitionsDefinition) -> dg.AssetSpec:
    return dg.AssetSpec(
        key,
        group_name=HISTORY,
        description=f"`{stream.path}` of **{system.code}** by day, told by its {stream.period_field}. Days can be read again one by one, "
        "and many at the same time; the next run loads what was read. Deleted rows show only when the stream is read whole.",
        kinds={system.kind},
        owners=[OWNER],
        tags={"etalon/system": system.code, "etalon/role": system.role},
        partitions_def=days,
        metadata={"path": stream.path, "day told by": stream.period_field, "personal data": stream.has_personal_data},
    )
