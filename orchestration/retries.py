"""What starts a run when writes that wait for another attempt may be tried again. Those of the fast lane are its worker's own."""

# No `from __future__ import annotations`: Dagster reads the annotations of steps as they are.

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import dagster as dg

from assets.names import sync_key
from orchestration.instance import SYNC_TAG
from orchestration.jobs import CHANNEL_SYNC
from resources.operations import Operations
from resources.operations.outbox import Origin

RETRIES_DUE = "retries_due"
RECEIPTS = "receipts"
INTERVAL_S = 15
GRACE = timedelta(seconds=15)
"""How long a row may be due before it is missed: the sync that put it there is just about to send it."""

ORIGINS: tuple[Origin, ...] = ("plan", "revert")
UNDER_WAY = (
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
)


def retries_sensor(
    channels: Mapping[str, Sequence[str]],
    operations: Callable[[], Operations],
    *,
    clock: Callable[[], datetime],
    is_running: bool = False,
) -> dg.SensorDefinition:
    """One run of a channel's receipts when a write to its system is due that no run is about to send.

    ``channels``: system code -> its channels; any of them sends what waits for the system, so one is enough. ``operations`` opens the
    store on first use.
    """

    @dg.sensor(
        name=RETRIES_DUE,
        job_name=CHANNEL_SYNC,
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING if is_running else dg.DefaultSensorStatus.STOPPED,
        description="Writes that a shop did not take are sent again when their wait is over, without waiting for the next sync.",
    )
    def retries_due(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        now = clock()
        waiting = operations().outbox.due(now - GRACE, origins=ORIGINS)
        requests = []
        for system, quantity in sorted(waiting.items()):
            codes = channels.get(system, ())
            if not codes or any(_is_under_way(context.instance, code) for code in codes):
                continue
            requests.append(
                dg.RunRequest(
                    run_key=f"{codes[0]}:{now:%Y%m%dT%H%M%S}",
                    asset_selection=[sync_key(codes[0], RECEIPTS)],
                    tags={SYNC_TAG: codes[0], "etalon/due": str(quantity)},
                )
            )
        if not requests:
            return dg.SkipReason("no write waits for another attempt" if not waiting else "a run sends them already")
        return dg.SensorResult(run_requests=requests)

    return retries_due


def _is_under_way(instance: dg.DagsterInstance, channel_code: str) -> bool:
    runs = dg.RunsFilter(job_name=CHANNEL_SYNC, tags={SYNC_TAG: channel_code}, statuses=list(UNDER_WAY))
    return instance.get_runs_count(runs) > 0
