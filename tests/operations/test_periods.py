"""Readings by period in the operations store, on SQLite and PostgreSQL, several at the same instant."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from resources.errors import RetryableError
from resources.operations import Manifest, Operations
from resources.operations.periods import CoveredPeriod

NOW = datetime(2026, 5, 18, 10, tzinfo=UTC)
FIRST = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def operations(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Operations]:
    url = f"sqlite:///{tmp_path}/operations.sqlite"
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url").replace("postgresql://", "postgresql+psycopg2://", 1)
    store = Operations.open(url, data_dir=tmp_path)
    yield store
    store.close()


def manifest(extract_id: str, first: int | None, end: int) -> Manifest:
    """A complete reading of days after 1 May; ``first`` None: from the beginning."""
    return Manifest(
        extract_id=extract_id,
        system_code="shop",
        stream="orders",
        run_id="r",
        outcome="complete",
        announced_qty=0,
        landed_qty=0,
        quarantined_qty=0,
        since_at=None,
        watermark_at=NOW,
        is_loadable=True,
        kind="period",
        started_at=NOW,
        finished_at=NOW,
        period_from_at=None if first is None else FIRST + timedelta(days=first),
        period_to_at=FIRST + timedelta(days=end),
    )


def at_once(*calls: Callable[[], object]) -> list[object]:
    """Results of calls that all begin at the same instant; the errors of those that raise."""
    gate = threading.Barrier(len(calls))

    def after_gate(call: Callable[[], object]) -> object:
        gate.wait()
        try:
            return call()
        except RetryableError as error:
            return error.what

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(after_gate, calls))


def test_of_readings_of_one_day_that_begin_at_once_one_does(operations: Operations) -> None:
    overlapping = [manifest("a", None, 5), manifest("b", 4, 8), manifest("c", 4, 5), manifest("d", None, 9)]
    begun = at_once(*(lambda one=one: operations.begin_extract(one) for one in overlapping))
    assert sorted(begun, key=str) == [(), *["another process is reading a part of this period"] * 3]


def test_readings_of_other_days_begin_beside_each_other(operations: Operations) -> None:
    apart = [manifest("a", None, 5), manifest("b", 5, 8), manifest("c", 8, 9)]
    assert at_once(*(lambda one=one: operations.begin_extract(one) for one in apart)) == [(), (), ()]


def test_of_readings_that_end_at_once_the_last_sees_that_nothing_is_missing(operations: Operations) -> None:
    parts = [manifest("a", None, 5), manifest("b", 5, 10), manifest("c", 10, 15), manifest("d", 15, 18)]
    for one in parts:
        operations.begin_extract(one)
    at_once(*(lambda one=one: operations.finish_extract(one, settles_cursor=True) for one in parts))
    assert operations.cursor("shop", "orders") == NOW
    assert len(operations.periods.covered("shop", "orders")) == 4


def test_what_was_read_by_period_is_of_its_stream_and_complete(operations: Operations) -> None:
    whole = manifest("a", None, 18)
    others = [
        replace(whole, extract_id="b", stream="refunds"),
        replace(whole, extract_id="c", outcome="incomplete"),
        replace(whole, extract_id="d", kind="read", period_to_at=None),
    ]
    for one in (whole, *others):
        operations.begin_extract(one)
        operations.finish_extract(one)
    assert operations.periods.covered("shop", "orders") == [CoveredPeriod(None, FIRST + timedelta(days=18), NOW)]
    assert operations.cursor("shop", "orders") is None, "nobody asked to settle it"
