"""The file sensor: one run for what arrived, none for what was there, none for what was taken away."""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg
import pytest

from orchestration.definitions import watched
from orchestration.jobs import HOURLY_INCREMENTAL
from orchestration.sensors import FIRST_LOOK_S, WatchedFolder, file_arrival_sensor
from resources.retailer import FilesSystem, PickupConfig
from tests.retailer.declared import retailer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    drops = tmp_path / "erp"
    drops.mkdir()
    return drops


def tick(folder: Path, cursor: str | None) -> tuple[list[str], str | None]:
    """Run keys of one tick, and the cursor after it."""
    sensor = file_arrival_sensor({"erp": WatchedFolder(folder), "wms": WatchedFolder(folder.parent / "not-mounted")})
    data = sensor.evaluate_tick(dg.build_sensor_context(cursor=cursor))
    return [request.run_key or "" for request in data.run_requests or ()], data.cursor


def put(folder: Path, name: str, mtime: int = 1_000) -> None:
    path = folder / name
    path.write_text("{}")
    os.utime(path, (mtime, mtime))


def test_markers_start_one_run_and_are_remembered(folder: Path) -> None:
    assert tick(folder, None)[0] == []
    put(folder, "INVRPT_000001.csv")
    assert tick(folder, None)[0] == [], "a file without its marker is not whole"
    put(folder, "INVRPT_000001.csv.done")
    put(folder, "PRICES_000001.csv.done")
    keys, cursor = tick(folder, None)
    assert len(keys) == 1
    assert tick(folder, cursor) == ([], cursor)


def test_a_new_or_renewed_marker_starts_another_run(folder: Path) -> None:
    put(folder, "INVRPT_000001.csv.done")
    first, cursor = tick(folder, None)
    put(folder, "INVRPT_000002.csv.done", mtime=900)
    second, cursor = tick(folder, cursor)
    put(folder, "INVRPT_000002.csv.done", mtime=2_000)
    third, cursor = tick(folder, cursor)
    assert len({*first, *second, *third}) == 3


def test_arrivals_wait_while_a_run_waits_for_its_turn(folder: Path) -> None:
    put(folder, "a.done")
    sensor = file_arrival_sensor({"erp": WatchedFolder(folder)}, gap_s=300)
    with dg.DagsterInstance.ephemeral() as instance:

        @dg.job(name=HOURLY_INCREMENTAL)
        def reading() -> None: ...

        run = instance.create_run_for_job(reading, status=dg.DagsterRunStatus.NOT_STARTED)
        assert not sensor.evaluate_tick(dg.build_sensor_context(instance=instance)).run_requests
        instance.report_run_failed(run)
        assert sensor.evaluate_tick(dg.build_sensor_context(instance=instance)).run_requests


def test_arrivals_wait_until_the_last_run_is_some_time_ago_and_none_is_lost(folder: Path) -> None:
    instance = dg.DagsterInstance.ephemeral()
    cursor: str | None = None
    # (at, file that arrives, is a run asked for)
    steps = [
        (0, "a.done", True),
        (100, "b.done", False),
        (200, None, False),
        (300, None, True),
        (700, None, False),
        (800, "c.done", True),
    ]
    for at, name, expected in steps:
        if name:
            put(folder, name)
        sensor = file_arrival_sensor({"erp": WatchedFolder(folder)}, clock_s=lambda at=at: 1_000_000 + at, gap_s=300)  # type: ignore[misc]
        data = sensor.evaluate_tick(dg.build_sensor_context(instance=instance, cursor=cursor))
        cursor = data.cursor or cursor
        assert bool(data.run_requests) == expected, at


def test_housekeeping_starts_nothing(folder: Path) -> None:
    put(folder, "INVRPT_000001.csv.done")
    put(folder, "INVRPT_000002.csv.done")
    _, cursor = tick(folder, None)
    (folder / "INVRPT_000001.csv.done").unlink()
    assert tick(folder, cursor)[0] == []


def test_a_folder_that_vanishes_for_a_while_is_not_read_again_whole(folder: Path) -> None:
    put(folder, "INVRPT_000001.csv.done")
    _, cursor = tick(folder, None)
    folder.rename(folder.parent / "away")
    keys, cursor = tick(folder, cursor)
    assert keys == []
    (folder.parent / "away").rename(folder)
    assert tick(folder, cursor)[0] == []


def test_the_cursor_stays_small(folder: Path) -> None:
    for number in range(500):
        put(folder, f"INVRPT_{number:06}.csv.done")
    _, cursor = tick(folder, None)
    assert cursor is not None
    assert len(cursor) < 500


def test_a_file_without_a_marker_is_looked_at_when_it_comes_and_when_it_has_settled(folder: Path) -> None:
    """Its reading wants two looks at the same size; housekeeping in between, or a tick too early, starts nothing."""
    watched = WatchedFolder(folder, patterns=("INVRPT_*.csv",), stable_s=120)
    now_s, cursor = 1_000_000.0, None
    looks: list[tuple[str, bool]] = []

    def after(seconds: float, what: str) -> None:
        nonlocal now_s, cursor
        now_s += seconds
        data = file_arrival_sensor({"erp": watched}, clock_s=lambda: now_s).evaluate_tick(
            dg.build_sensor_context(cursor=cursor)
        )
        cursor = data.cursor
        looks.append((what, bool(data.run_requests)))

    after(0, "an empty folder")
    (folder / "INVRPT_000001_20260518100000.csv").write_text("a")
    (folder / "notes.txt").write_text("not ours")
    after(30, "it came")
    after(30, "it is there")
    (folder / "INVRPT_000001_20260518100000.csv").write_text("a;b")
    after(30, "it grew")
    after(120 + FIRST_LOOK_S - 1, "not settled yet")
    after(1, "settled")
    after(600, "nothing new")
    (folder / "INVRPT_000002_20260518110000.csv").write_text("c")
    after(30, "another came")
    (folder / "INVRPT_000001_20260518100000.csv").unlink()
    after(30, "one was taken away")
    after(600, "the other settled")
    after(600, "nothing new")
    (folder / "INVRPT_000002_20260518110000.csv").unlink()
    after(600, "the last was taken away")
    assert [what for what, is_run in looks if is_run] == [
        "it came",
        "it grew",
        "settled",
        "another came",
        "the other settled",
    ]


def test_the_feeds_that_have_no_marker_are_watched_by_size() -> None:
    counts = retailer().system("counts")
    assert isinstance(counts, FilesSystem)
    assert watched(counts).patterns == ()
    by_size = counts.model_copy(update={"pickup": PickupConfig(by="stable_size", stable_s=90)})
    assert watched(by_size) == WatchedFolder(counts.folder, patterns=("INVCNT_*.csv",), stable_s=90)
