"""The file sensor: one run for what arrived, none for what was there, none for what was taken away."""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg
import pytest

from orchestration.sensors import file_arrival_sensor


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    drops = tmp_path / "erp"
    drops.mkdir()
    return drops


def tick(folder: Path, cursor: str | None) -> tuple[list[str], str | None]:
    """Run keys of one tick, and the cursor after it."""
    sensor = file_arrival_sensor({"erp": folder, "wms": folder.parent / "not-mounted"})
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
