"""Given writes that wait, and runs under way, expect a run of exactly the channels whose system may be tried again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from orchestration.instance import SYNC_TAG
from orchestration.jobs import CHANNEL_SYNC
from orchestration.retries import retries_sensor
from resources.operations import Operations
from resources.operations.outbox import NewWrite, Origin

NOW = datetime(2026, 5, 18, 10, tzinfo=UTC)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def operations(tmp_path: Path) -> Iterator[Operations]:
    store = Operations.open(f"sqlite:///{tmp_path / 'operations.sqlite'}", data_dir=tmp_path)
    yield store
    store.close()


def write(target: str, origin: Origin) -> NewWrite:
    return NewWrite(
        target=target,
        channel_code=f"web of {target}",
        origin=origin,
        plan_id=None,
        entity="channel_stock",
        external_id="1",
        location_code="",
        attribute="published_qty",
        before=1,
        after=2,
        product_id="p1",
        reason="",
    )


@pytest.mark.parametrize(
    ("target", "origin", "waited_s", "run", "expected"),
    [
        ("shop_fr", "plan", 60, None, ["web-fr"]),
        ("shop_fr", "revert", 60, None, ["web-fr"]),
        ("shop_fr", "plan", 5, None, []),  # the sync that put it is just about to send it
        ("shop_fr", "fast_lane", 60, None, []),  # its worker tries again by itself
        ("shop_fr", "plan", 60, ("web-fr", dg.DagsterRunStatus.STARTED), []),
        ("shop_fr", "plan", 60, ("web-fr", dg.DagsterRunStatus.STARTING), []),
        ("shop_fr", "plan", 60, ("web-fr", dg.DagsterRunStatus.FAILURE), ["web-fr"]),
        ("shop_fr", "plan", 60, ("web-be", dg.DagsterRunStatus.STARTED), ["web-fr"]),
        ("closed", "plan", 60, None, []),  # a system that no channel names any more
    ],
)
def test_what_waits_is_sent_again_when_its_time_has_come(
    instance: dg.DagsterInstance,
    operations: Operations,
    target: str,
    origin: Origin,
    waited_s: float,
    run: tuple[str, dg.DagsterRunStatus] | None,
    expected: list[str],
) -> None:
    operations.outbox.put([write(target, origin)], now=NOW - timedelta(seconds=waited_s))
    if run is not None:
        instance.add_run(dg.DagsterRun(job_name=CHANNEL_SYNC, status=run[1], tags={SYNC_TAG: run[0]}))
    sensor = retries_sensor(
        {"shop_fr": ["web-fr"], "shop_be": ["web-be"]}, lambda: operations, clock=lambda: NOW, is_running=True
    )
    told = sensor.evaluate_tick(dg.build_sensor_context(instance=instance))
    assert [request.tags[SYNC_TAG] for request in told.run_requests or ()] == expected
    assert [[key.to_user_string() for key in request.asset_selection or ()] for request in told.run_requests or ()] == [
        [f"sync/{code}/receipts"] for code in expected
    ]
