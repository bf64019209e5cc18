"""Sensors of news: given what was materialized since the last tick, expect the runs that are wanted, each once."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pytest

from orchestration.instance import SYNC_TAG
from orchestration.news import CHANNEL_CHANGES, ORDERS_WAITING, ROW_COUNT, news_sensors

KEYS = [
    dg.AssetKey(["sync", code, name])
    for code, names in {
        "web_be": ("difference", "plan", "receipts", "fast_lane"),
        "web_fr": ("difference", "plan", "receipts"),
        "erp": ("orders_to_send", "orders"),
    }.items()
    for name in names
] + [dg.AssetKey(["kpis", "kpi_value"])]
REQUESTED = list[tuple[str, set[str]]]


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def sensors() -> dict[str, dg.SensorDefinition]:
    return {sensor.name: sensor for sensor in news_sensors(KEYS, is_running=True)}


def show(instance: dg.DagsterInstance, code: str, name: str, rows: int | None) -> None:
    metadata = {} if rows is None else {ROW_COUNT: rows}
    instance.report_runless_asset_event(dg.AssetMaterialization(dg.AssetKey(["sync", code, name]), metadata=metadata))


def tick(sensor: dg.SensorDefinition, instance: dg.DagsterInstance, cursor: str | None) -> tuple[REQUESTED, str | None]:
    context = dg.build_sensor_context(instance=instance, cursor=cursor)
    told = sensor.evaluate_tick(context)
    return [
        (request.tags[SYNC_TAG], {key.path[-1] for key in request.asset_selection or ()})
        for request in told.run_requests or ()
    ], told.cursor


WHOLE = {"plan", "receipts"}


def test_a_channel_is_synced_when_it_differs_and_once_more_when_it_no_longer_does(
    instance: dg.DagsterInstance, sensors: dict[str, dg.SensorDefinition]
) -> None:
    cursor: str | None = None
    steps: list[tuple[list[tuple[str, int | None]], REQUESTED]] = [
        ([], []),
        ([("web_be", 3)], [("web_be", WHOLE)]),
        ([], []),
        ([("web_be", 3), ("web_fr", 1)], [("web_be", WHOLE), ("web_fr", WHOLE)]),
        ([("web_be", 0), ("web_fr", 0)], [("web_be", WHOLE), ("web_fr", WHOLE)]),
        ([("web_be", 0), ("web_fr", None)], [("web_fr", WHOLE)]),
    ]
    for shown, expected in steps:
        for code, rows in shown:
            show(instance, code, "difference", rows)
        requested, cursor = tick(sensors[CHANNEL_CHANGES], instance, cursor)
        assert requested == expected, shown


def test_orders_are_sent_after_each_export(
    instance: dg.DagsterInstance, sensors: dict[str, dg.SensorDefinition]
) -> None:
    show(instance, "erp", "orders_to_send", 0)
    requested, cursor = tick(sensors[ORDERS_WAITING], instance, None)
    assert requested == [("erp", {"orders"})]
    assert tick(sensors[ORDERS_WAITING], instance, cursor)[0] == []


def test_a_run_key_is_never_used_for_two_materializations(
    instance: dg.DagsterInstance, sensors: dict[str, dg.SensorDefinition]
) -> None:
    keys = set()
    cursor: str | None = None
    for _ in range(3):
        show(instance, "web_fr", "difference", 1)
        told = sensors[CHANNEL_CHANGES].evaluate_tick(dg.build_sensor_context(instance=instance, cursor=cursor))
        cursor = told.cursor
        keys |= {request.run_key for request in told.run_requests or ()}
    assert len(keys) == 3


@pytest.mark.parametrize("is_running", [True, False])
def test_they_run_under_the_service_only(is_running: bool) -> None:
    wanted = dg.DefaultSensorStatus.RUNNING if is_running else dg.DefaultSensorStatus.STOPPED
    assert {sensor.default_status for sensor in news_sensors(KEYS, is_running=is_running)} == {wanted}


def test_no_sensor_without_its_assets() -> None:
    assert news_sensors([dg.AssetKey(["kpis", "kpi_value"])], is_running=True) == []
