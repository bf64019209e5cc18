"""A small soak: days of ticks, runs, events and journal lines with housekeeping, after which the stores no longer grow."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.soak import Volume, Weighed, is_bounded, soak


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Dagster logs every event."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.slow
@pytest.mark.parametrize("store", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_the_stores_stop_growing(store: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url = None if store == "sqlite" else request.getfixturevalue("postgres_url")
    volume = Volume(ticks=10, runs=1, events=10, exchanges=100)
    weighed = list(soak(tmp_path, url, days=6, keep_days=1, volume=volume))
    assert {one.runs_qty for one in weighed[2:]} == {weighed[2].runs_qty}, "runs older than the kept days are gone"
    assert is_bounded(weighed, 1), weighed


def test_growth_is_told_from_a_steady_size() -> None:
    steady = [Weighed(day, 100 + day % 2, 10, 5, 0.0) for day in range(1, 11)]
    growing = [Weighed(day, 100 * day, 10, 5 * day, 0.0) for day in range(1, 11)]
    assert is_bounded(steady, 2)
    assert not is_bounded(growing, 2)
    assert not is_bounded(steady[:3], 2), "too few days to tell"
