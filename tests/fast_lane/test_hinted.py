"""Hints: what they name is read and landed beside everything else, at once, and a hint is never lost nor answered twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from resources.connectors.sdk.stream import Reading, Stream
from resources.errors import RetryableError
from resources.extract import run_extract
from resources.fast_lane.hinted import HintReader
from resources.operations import Manifest
from resources.operations.hints import ATTEMPTS_MAX
from tests.extract.fakes import NOW, ORDERS, Row, Source, Stores


@dataclass
class NamedSource(Source):
    """A source whose rows can be read one by one."""

    def read_ids(self, stream: Stream, external_ids: Sequence[str], *, now: datetime) -> Reading:  # noqa: ARG002
        rows = [row for row in self.rows if row.number in external_ids]
        return Reading(now, len(rows), False, self._batches(rows))


@dataclass
class Stage:
    """A source, its stores, a reader of hints, and a clock."""

    stores: Stores
    source: NamedSource
    now: datetime = NOW

    @property
    def reader(self) -> HintReader:
        return HintReader(
            self.source,
            operations=self.stores.operations,
            landing=self.stores.landing,
            pii=self.stores.pii,
            clock=lambda: self.now,
            worker="test",
        )

    def hint(self, external_id: str, delivery_id: str | None = None) -> bool:
        return self.stores.operations.hints.add(
            "src", ORDERS.name, external_id, origin="webhook", topic="t", delivery_id=delivery_id, now=self.now
        )

    def extract(self, *, full: bool = False, ids: Sequence[str] | None = None) -> Manifest:
        return run_extract(
            self.source,
            ORDERS,
            operations=self.stores.operations,
            landing=self.stores.landing,
            pii=self.stores.pii,
            full=full,
            now=self.now,
            run_id="r",
            ids=ids,
        )

    @property
    def statuses(self) -> list[str]:
        return [hint.status for hint in self.stores.operations.hints.of_system("src")]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stores = Stores.open(tmp_path)
    yield Stage(stores, NamedSource([Row(str(number), NOW) for number in range(1, 6)]))
    stores.operations.close()


def test_a_hint_reading_lands_its_rows_and_moves_no_cursor(stage: Stage) -> None:
    stage.extract(full=True)
    cursor = stage.stores.operations.cursor("src", ORDERS.name)
    stage.now += timedelta(minutes=5)
    manifest = stage.extract(ids=["2", "4", "gone"])
    assert (manifest.kind, manifest.outcome, manifest.landed_qty, manifest.is_full) == ("hint", "complete", 2, False)
    assert stage.stores.operations.cursor("src", ORDERS.name) == cursor
    waiting = stage.stores.operations.loadable_extracts("order_acknowledgement")
    assert [extract.extract_id for extract in waiting][-1] == manifest.extract_id
    assert not waiting[-1].is_full
    assert stage.stores.operations.manifests(with_hints=False)[-1].kind == "read"


def test_a_hint_is_read_while_the_whole_stream_is(stage: Stage) -> None:
    with stage.stores.landing.reading_lock("src", ORDERS.name):
        assert stage.extract(ids=["1"]).outcome == "complete"
        assert stage.extract().outcome == "failed"


def test_a_hint_reading_leaves_a_running_one_of_the_whole_stream_alone(stage: Stage) -> None:
    running = Manifest("x1", "src", ORDERS.name, "r", "failed", None, 0, 0, None, NOW, started_at=NOW)
    stage.stores.operations.begin_extract(running)
    stage.extract(ids=["1"])
    assert stage.stores.operations.manifest("x1") is None, "it is still running"


def test_hints_are_answered_together_and_done_by_who_kept_the_answer(stage: Stage) -> None:
    assert [stage.hint("1", "a"), stage.hint("1", "b"), stage.hint("2", "c"), stage.hint("2", "c")] == [
        True,
        True,
        True,
        False,
    ]
    reader = stage.reader
    [(answer, hint_ids)] = list(reader.answer_due({ORDERS.name}))
    assert answer.is_good
    assert len(hint_ids) == 3
    assert stage.statuses == ["pending"] * 3, "until the answer is kept a crash must leave them"
    assert list(reader.answer_due({ORDERS.name})) == [], "and meanwhile they are not read again"
    assert len(list(stage.reader.answer_due({ORDERS.name}))) == 1, "a new process reads them again"
    stage.stores.operations.hints.done(hint_ids, now=stage.now)
    assert stage.statuses == ["done"] * 3
    assert list(stage.reader.answer_due({ORDERS.name})) == []


def test_streams_that_nobody_follows_wait_for_the_main_job(stage: Stage) -> None:
    stage.hint("1")
    assert list(stage.reader.answer_due({"other"})) == []
    assert stage.statuses == ["pending"]


def test_a_reading_that_fails_is_tried_again_ever_later_and_then_given_up(stage: Stage) -> None:
    stage.source.error = RetryableError("the shop is away")
    stage.hint("1")
    waits = []
    for attempt in range(1, ATTEMPTS_MAX + 1):
        assert list(stage.reader.answer_due({ORDERS.name})) == []
        [hint] = stage.stores.operations.hints.of_system("src")
        assert hint.attempts == attempt
        waits.append((hint.next_attempt_at - stage.now).total_seconds())
        assert list(stage.reader.answer_due({ORDERS.name})) == [], "it is not due"
        stage.now = hint.next_attempt_at
    assert waits == sorted(waits)
    assert stage.statuses == ["dead"]
    [line] = [line for line in stage.stores.operations.exchanges() if line.kind == "hint"]
    assert (line.outcome, line.is_ok) == ("dead", False)
    assert "the shop is away" in line.detail


def test_a_reading_of_the_stream_covers_what_was_hinted_at_before_it(stage: Stage) -> None:
    hints = stage.stores.operations.hints
    stage.hint("1")
    read_from_at = stage.now + timedelta(seconds=1)
    stage.now += timedelta(seconds=2)
    stage.hint("2")
    assert hints.covered("src", ORDERS.name, read_from_at=read_from_at, now=stage.now) == 1
    assert stage.statuses == ["done", "pending"]
    assert hints.waiting_streams() == [("src", ORDERS.name)]
    assert hints.prune(stage.now + timedelta(days=1)) == 1
