"""What the worker watches: folders that tills drop files in, and shops that are asked what changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchestration.worker import Poll, Wait
from resources.connectors.files import build
from resources.extract import run_extract
from resources.fast_lane.tickets import TicketFolder
from resources.landing import Landing
from resources.operations import Operations
from resources.retailer import FilesSystem

NOW = datetime(2026, 5, 18, 10, tzinfo=UTC)


def seconds(value: float) -> datetime:
    """An instant so many seconds after the start."""
    return NOW + timedelta(seconds=value)


def test_a_change_is_read_at_once_and_again_when_its_second_is_over() -> None:
    poll = Poll(NOW)
    rows = (("7", seconds(10)),)
    assert poll.unread(rows, seconds(10)) == ["7"]
    poll.was_read(["7"])
    poll.ended(seconds(10))
    assert poll.unread(rows, seconds(10)) == [], "its second is not over: nothing tells whether it changed once more"
    assert poll.unread(rows, seconds(11)) == []
    assert poll.unread(rows, seconds(12)) == ["7"]
    poll.was_read(["7"])
    assert poll.unread(rows, seconds(13)) == []
    assert poll.unread((("7", seconds(13)),), seconds(13)) == ["7"]


def test_a_question_starts_before_the_last_one_was_asked() -> None:
    poll = Poll(NOW)
    poll.unread((), seconds(60))
    poll.ended(seconds(60))
    assert seconds(50) < poll.since_at < seconds(60)


def test_waits_grow_and_begin_again() -> None:
    wait = Wait()
    first = [wait.longer() for _ in range(4)]
    assert first == sorted(set(first))
    wait.reset()
    assert wait.longer() == first[0]


TICKET = (
    '{{"ticket": "{number}", "store": "S11", "channel": "stores-be", "sold_at": "2026-05-18T09:00:00Z", "currency": "EUR", '
    '"lines": [{{"line": 1, "sku": "ML-1", "name": "n", "qty": {units}, "unit_price": "6.96", "manual_discount": "0.00", '
    '"vat_rate": "21.00", "return_of": null}}], "total": "6.96"}}\n'
)


@dataclass
class Till:
    """A folder that a till drops files in."""

    folder: Path

    def drop(self, sequence: int, text: str, *, is_whole: bool = True) -> str:
        name = f"SLSRPT_S11_{sequence:06d}_20260518090000.jsonl"
        (self.folder / name).write_text(text, encoding="utf-8")
        if is_whole:
            (self.folder / f"{name}.done").write_text("", encoding="utf-8")
        return name


@pytest.fixture
def till(tmp_path: Path) -> Till:
    folder = tmp_path / "pos"
    folder.mkdir()
    return Till(folder)


@pytest.fixture
def watched(till: Till) -> TicketFolder:
    system = FilesSystem(
        code="pos", kind="files", role="pos", company="ML", time_zone="UTC", folder=till.folder, feeds=("pos_tickets",)
    )
    folder = TicketFolder.of(build(system, retailer=None, tokeniser=None, clock=lambda: NOW), till.folder)
    assert folder is not None
    return folder


def test_each_whole_file_is_told_once_and_left_where_it_is(till: Till, watched: TicketFolder) -> None:
    assert watched.fresh_names(monotonic_s=0) == []
    name = till.drop(1, TICKET.format(number="T-1", units=2))
    till.drop(2, TICKET.format(number="T-2", units=1), is_whole=False)
    names = watched.fresh_names(monotonic_s=10)
    [ticket] = watched.tickets(names)
    assert (ticket.source, ticket.event.order_external_id, ticket.event.lines[0].quantity) == (name, "T-1", 2)
    assert watched.fresh_names(monotonic_s=20) == []
    till.drop(2, TICKET.format(number="T-2", units=1))
    assert [found.event.order_external_id for found in watched.tickets(watched.fresh_names(monotonic_s=30))] == ["T-2"]
    assert sorted(path.suffix for path in till.folder.iterdir()) == [".done", ".done", ".jsonl", ".jsonl"]


@pytest.mark.parametrize(
    ("text", "expect"),
    [
        ("not JSON\n", []),
        ("not JSON\n" + TICKET.format(number="T-9", units=1), ["T-9"]),
        (TICKET.format(number="T-8", units='"many"'), []),
    ],
)
def test_rows_that_cannot_be_read_are_left_to_the_main_jobs_quarantine(
    till: Till, watched: TicketFolder, text: str, expect: list[str]
) -> None:
    till.drop(1, text)
    found = [ticket.event for ticket in watched.tickets(watched.fresh_names(monotonic_s=0))]
    assert [event.order_external_id for event in found if event.lines] == expect


def test_what_the_main_job_read_before_the_snapshot_is_not_told(
    till: Till, watched: TicketFolder, tmp_path: Path
) -> None:
    operations = Operations.open(f"sqlite:///{tmp_path / 'operations.sqlite'}", data_dir=tmp_path)
    name = till.drop(1, TICKET.format(number="T-1", units=2))
    read = run_extract(
        watched.connector,
        watched.streams[0],
        operations=operations,
        landing=Landing(tmp_path / "data"),
        pii=None,
        full=False,
        now=NOW,
        run_id="r",
    )
    assert read.landed_qty == 1
    watched.skip_known(operations, before=NOW)
    assert watched.fresh_names(monotonic_s=0) == [name], (
        "the snapshot is older than that reading: it may lack the ticket"
    )
    watched.skip_known(operations, before=seconds(1))
    assert watched.fresh_names(monotonic_s=10) == []
    operations.close()


def test_looking_into_a_file_does_not_take_it_from_the_main_job(
    till: Till, watched: TicketFolder, tmp_path: Path
) -> None:
    operations = Operations.open(f"sqlite:///{tmp_path / 'operations.sqlite'}", data_dir=tmp_path)
    name = till.drop(1, TICKET.format(number="T-1", units=2))
    watched.tickets([name])
    read = run_extract(
        watched.connector,
        watched.streams[0],
        operations=operations,
        landing=Landing(tmp_path / "data"),
        pii=None,
        full=False,
        now=NOW,
        run_id="r",
    )
    assert (read.outcome, read.landed_qty) == ("complete", 1)
    operations.close()
