"""What starts a run when an asset has news: a channel's difference, orders that wait to be sent.

Belongs here: sensors that look at materializations. Those that look at folders are `orchestration.sensors`.
"""

# No `from __future__ import annotations`: Dagster reads the annotations of steps as they are.

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import dagster as dg

from assets.names import SYNC, sync_key
from orchestration.instance import SYNC_TAG
from orchestration.jobs import CHANNEL_SYNC, ORDER_TRANSMISSION

CHANNEL_CHANGES, ORDERS_WAITING = "channel_changes", "orders_waiting"
DIFFERENCE, PLAN, RECEIPTS = "difference", "plan", "receipts"
ROW_COUNT = "dagster/row_count"
INTERVAL_S = 1
"""The daemon looks at sensors every five seconds, and passes one over that it looked at less than this ago: with five, every other look."""


@dataclass(frozen=True)
class News:
    """What a new materialization of ``watched`` starts: ``wanted`` assets of the sensor's job, when ``is_due`` says so of its metadata.

    ``name`` tells the runs of one sensor apart: the channel's or system's code.
    """

    name: str
    watched: dg.AssetKey
    wanted: Sequence[dg.AssetKey]
    is_due: Callable[[Mapping[str, object]], bool] = field(default=lambda _metadata: True)


def has_rows(metadata: Mapping[str, object]) -> bool:
    """Whether a materialization says that it has rows. One that says nothing has: a run too many changes nothing."""
    return metadata.get(ROW_COUNT) != 0


def news_sensors(keys: Iterable[dg.AssetKey], *, is_running: bool) -> list[dg.SensorDefinition]:
    """The sensors for what is among these asset keys; none for what is not."""
    of_code: dict[str, set[str]] = {}
    for key in keys:
        if len(key.path) == 3 and key.path[0] == SYNC:
            of_code.setdefault(key.path[1], set()).add(key.path[2])
    channels = [
        News(code, sync_key(code, DIFFERENCE), (sync_key(code, PLAN), sync_key(code, RECEIPTS)), has_rows)
        for code, names in sorted(of_code.items())
        if {DIFFERENCE, PLAN, RECEIPTS} <= names
    ]
    orders = [
        News(code, sync_key(code, "orders_to_send"), (sync_key(code, "orders"),))
        for code, names in sorted(of_code.items())
        if {"orders_to_send", "orders"} <= names
    ]
    made = []
    if channels:
        made.append(
            news_sensor(
                CHANNEL_CHANGES,
                CHANNEL_SYNC,
                channels,
                is_running=is_running,
                description="A channel differs from what it should show: plan and write exactly that channel.",
            )
        )
    if orders:
        made.append(
            news_sensor(
                ORDERS_WAITING,
                ORDER_TRANSMISSION,
                orders,
                is_running=is_running,
                description="The main job has exported the orders to send and what was answered: send and settle them.",
            )
        )
    return made


def news_sensor(
    name: str, job_name: str, news: Sequence[News], *, is_running: bool, description: str
) -> dg.SensorDefinition:
    """One run per item of ``news`` whose asset was materialized since the last tick; the cursor is the last one seen of each.

    All items share the tick: a run for one channel never waits for another.
    """

    @dg.sensor(
        name=name,
        job_name=job_name,
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING if is_running else dg.DefaultSensorStatus.STOPPED,
        description=description,
    )
    def look(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        seen: dict[str, dict[str, int | bool]] = json.loads(context.cursor) if context.cursor else {}
        records = {
            record.asset_entry.asset_key: record.asset_entry
            for record in context.instance.get_asset_records([item.watched for item in news])
        }
        requests = []
        for item in news:
            entry = records.get(item.watched)
            last = None if entry is None else entry.last_materialization_record
            before = seen.get(item.name, {})
            if last is None or last.asset_materialization is None or before.get("id") == last.storage_id:
                continue
            metadata = {key: value.value for key, value in last.asset_materialization.metadata.items()}
            is_due = item.is_due(metadata)
            seen[item.name] = {"id": last.storage_id, "due": is_due}
            # Once more after the last time: what waited for a person may have come right by itself.
            if is_due or before.get("due"):
                requests.append(
                    dg.RunRequest(
                        run_key=f"{item.name}:{last.storage_id}",
                        asset_selection=list(item.wanted),
                        tags={SYNC_TAG: item.name},
                    )
                )
        skip = None if requests else dg.SkipReason(f"no news of {', '.join(item.name for item in news)}")
        return dg.SensorResult(run_requests=requests, skip_reason=skip, cursor=json.dumps(seen, sort_keys=True))

    return look
