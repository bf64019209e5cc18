"""The outbox: one open row per place, no row held twice, nothing sent without a receipt. On both databases."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest

from resources.connectors.sdk.writing import WriteOutcome, WriteResult
from resources.operations import ExchangeEntry, Operations
from resources.operations.outbox import OutboxRow, PutResult, RetryPolicy
from tests.sync.conftest import NOW, Clock
from tests.sync.given import write


def answer(row: OutboxRow, outcome: WriteOutcome = "applied", **other: object) -> WriteResult:
    """An answer to a row, with the readings that go with it."""
    seen = {"found": row.before, "is_found": True, "read_back": row.after, "is_read_back": True}
    readings = {"applied": seen, "unchanged": {"found": row.after, "is_found": True}}.get(outcome, {})
    return WriteResult(row.key, outcome, **{**readings, **other})  # type: ignore[arg-type]


def claim(operations: Operations, clock: Clock, worker: str = "w1", **other: object) -> list[OutboxRow]:
    return operations.outbox.claim("shop", worker=worker, now=clock(), limit=100, **other)  # type: ignore[arg-type]


def afters(rows: Sequence[OutboxRow]) -> list[tuple[str, object]]:
    return [(row.external_id, row.after) for row in rows]


def test_the_same_content_waits_once_and_a_newer_one_takes_its_place(either: Operations, clock: Clock) -> None:
    put = either.outbox.put
    assert put([write("a", 5), write("b", 1)], now=NOW) == PutResult(queued=2, replaced=0, already=0)
    assert put([write("a", 5)], now=NOW) == PutResult(queued=0, replaced=0, already=1)
    assert put([write("a", 4), write("a", 3)], now=NOW) == PutResult(queued=1, replaced=1, already=0)
    assert afters(claim(either, clock)) == [("b", 1), ("a", 3)]
    assert either.outbox.counts() == {"claimed": 2, "replaced": 1}


def test_a_newer_value_waits_behind_the_one_that_is_being_sent(either: Operations, clock: Clock) -> None:
    either.outbox.put([write("a", 5, before=9)], now=NOW)
    (sending,) = claim(either, clock)
    assert either.outbox.put([write("a", 5, before=9)], now=NOW).already == 1, "it is being sent already"
    assert either.outbox.put([write("a", 4, before=9)], now=NOW).queued == 1
    assert claim(either, clock, "w2") == [], "the older one is not settled yet"
    either.outbox.settle([answer(sending)], [sending], now=NOW)
    (newer,) = claim(either, clock, "w2")
    assert (newer.before, newer.after) == (5, 4), "it was made on 9, which our own write replaced by 5"


def test_what_moved_is_not_hidden_from_the_one_that_waits(either: Operations, clock: Clock) -> None:
    either.outbox.put([write("a", 5, before=9)], now=NOW)
    (sending,) = claim(either, clock)
    either.outbox.put([write("a", 4, before=9)], now=NOW)
    either.outbox.settle([answer(sending, "moved", found=7, is_found=True)], [sending], now=NOW)
    (newer,) = claim(either, clock)
    assert newer.before == 9


def test_a_lease_that_ran_out_comes_back_before_anything_newer(either: Operations, clock: Clock) -> None:
    either.outbox.put([write("a", 5)], now=NOW)
    claim(either, clock, "killed", lease_s=60)
    either.outbox.put([write("a", 4)], now=NOW)
    clock.pass_(seconds=59)
    assert claim(either, clock, "w2") == []
    clock.pass_(seconds=1)
    (again,) = claim(either, clock, "w2")
    assert (again.after, again.claims) == (5, 2)


def test_a_late_worker_moves_nothing_but_its_write_has_a_receipt(either: Operations, clock: Clock) -> None:
    either.outbox.put([write("a", 5)], now=NOW)
    (late,) = claim(either, clock, "slow", lease_s=60)
    clock.pass_(seconds=61)
    (present,) = claim(either, clock, "w2")
    assert either.outbox.settle([answer(late)], [late], now=clock()) == {}
    assert either.outbox.counts() == {"claimed": 1}
    assert either.outbox.settle([answer(present, "unchanged")], [present], now=clock()) == {"done": 1}
    assert [receipt.outcome for receipt in either.receipts.since()] == ["applied", "unchanged"]


@pytest.mark.parametrize(
    ("outcome", "state"),
    [("applied", "done"), ("unchanged", "done"), ("moved", "moved"), ("refused", "dead"), ("not_kept", "dead"), ("retry", "pending")],
)  # fmt: skip
def test_a_row_moves_by_its_result(operations: Operations, clock: Clock, outcome: WriteOutcome, state: str) -> None:
    operations.outbox.put([write("a", 5)], now=NOW)
    (row,) = claim(operations, clock)
    assert operations.outbox.settle([answer(row, outcome, reason="because")], [row], now=NOW) == {state: 1}
    (kept,) = [operations.outbox.row(row.outbox_id)]
    assert kept is not None
    assert kept.error == (None if state in ("done", "moved") else "because")


def test_retries_wait_longer_each_time_and_end_as_a_dead_letter(operations: Operations, clock: Clock) -> None:
    operations.outbox.put([write("a", 5)], now=NOW)
    waits = []
    while True:
        rows = claim(operations, clock)
        assert len(rows) == 1
        operations.outbox.settle([answer(rows[0], "retry", reason="503")], rows, now=clock())
        row = operations.outbox.row(rows[0].outbox_id)
        assert row is not None
        if row.state == "dead":
            break
        waits.append((row.next_attempt_at - clock()).total_seconds())
        assert claim(operations, clock) == [], "not before its time"
        clock.now = row.next_attempt_at
    assert len(waits) == operations.outbox.policy.failures_max - 1
    assert all(later > earlier for earlier, later in pairwise(waits[:6]))
    assert max(waits) <= operations.outbox.policy.longest_s * 1.2
    assert [letter.error for letter in operations.outbox.dead_letters()] == ["503"]


def test_the_wish_of_the_server_is_a_minimum_and_waits_are_spread() -> None:
    policy = RetryPolicy(first_s=5)
    assert policy.wait_s("k", 1, wished_s=120) == 120
    waits = {policy.wait_s(f"key {number}", 1) for number in range(50)}
    assert len(waits) > 40
    assert all(5 <= wait <= 6 for wait in waits)


def test_an_outage_kills_no_write(operations: Operations, clock: Clock) -> None:
    operations.outbox.put([write("a", 5)], now=NOW)
    for _ in range(100):
        rows = claim(operations, clock)
        operations.outbox.put_back(rows, reason="no answer", now=clock())
        row = operations.outbox.row(rows[0].outbox_id)
        assert row is not None
        assert row.state == "pending"
        clock.now = row.next_attempt_at
    assert operations.outbox.dead_letters() == []


def test_given_back_while_a_newer_one_waits_gives_way(either: Operations, clock: Clock) -> None:
    either.outbox.put([write("a", 5)], now=NOW)
    rows = claim(either, clock)
    either.outbox.put([write("a", 4)], now=NOW)
    either.outbox.put_back(rows, reason="no answer", now=NOW)
    assert afters(claim(either, clock)) == [("a", 4)]


def test_dead_letters_are_replayed_or_dropped_by_name(either: Operations, clock: Clock) -> None:
    either.outbox.put([write("a", 5), write("b", 5), write("c", 5)], now=NOW)
    rows = claim(either, clock)
    either.outbox.settle([answer(row, "refused", reason="no") for row in rows], rows, now=NOW)
    a, b, c = (letter.outbox_id for letter in either.outbox.dead_letters())
    assert either.outbox.drop([a], by="mara", now=NOW) == (a,)
    assert either.outbox.replay([a, b], by="mara", now=NOW) == (b,), "a dropped letter is gone"
    either.outbox.put([write("c", 7)], now=NOW)
    assert either.outbox.replay([c], by="mara", now=NOW) == (), "a newer write took its place"
    assert afters(claim(either, clock)) == [("b", 5), ("c", 7)]
    dropped = either.outbox.row(a)
    assert dropped is not None
    assert (dropped.state, dropped.changed_by) == ("dropped", "mara")


def test_a_claim_is_of_one_target_and_of_the_origins_asked_for(operations: Operations, clock: Clock) -> None:
    operations.outbox.put([write("a", 1), write("b", 2, origin="plan"), write("c", 3, target="other")], now=NOW)
    assert afters(claim(operations, clock, origins=["plan"])) == [("b", 2)]
    assert operations.outbox.due(NOW) == {"shop": 1, "other": 1}
    assert operations.outbox.due(NOW, origins=["plan"]) == {}


def test_what_belongs_to_one_item_is_claimed_together(either: Operations, clock: Clock) -> None:
    """Given a price and, far behind it, its promotion, expect both in one claim whatever its limit."""
    promotion = {"minor": 900, "starts_at": None, "ends_at": None}
    price = replace(write("a", 1_000), entity="channel_price", attribute="regular_minor")
    others = [write(f"other-{number}", number) for number in range(5)]
    either.outbox.put([price, *others, replace(price, attribute="promotion", after=promotion)], now=NOW)
    first = either.outbox.claim("shop", worker="w1", now=NOW, limit=2)
    assert afters(first) == [("a", 1_000), ("other-0", 0), ("a", promotion)]
    assert len(claim(either, clock, "w2")) == 4


def test_settling_writes_rows_receipts_and_journal_or_nothing(operations: Operations, clock: Clock) -> None:
    operations.outbox.put([write("a", 5)], now=NOW)
    rows = claim(operations, clock)
    bad = ExchangeEntry(NOW.replace(tzinfo=None), "", "shop", None, "write", True, "")
    with pytest.raises(Exception, match="no time zone"):
        operations.outbox.settle([answer(rows[0])], rows, now=NOW, journal=[bad])
    assert operations.receipts.since() == []
    assert operations.outbox.counts() == {"claimed": 1}


@pytest.mark.postgres
def test_many_workers_never_hold_the_same_row(either: Operations) -> None:
    either.outbox.put([write(str(number), 5) for number in range(60)], now=NOW)
    held: list[int] = []
    failures: list[Exception] = []

    def work(name: str) -> None:
        try:
            while rows := either.outbox.claim("shop", worker=name, now=NOW, limit=7):
                held.extend(row.outbox_id for row in rows)
                either.outbox.put([write(str(number), 6) for number in range(3)], now=NOW)
                either.outbox.settle([answer(row) for row in rows], rows, now=NOW)
        except Exception as error:  # noqa: BLE001  told by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(held) == len(set(held)), "a row was held twice"
    assert either.outbox.counts().keys() <= {"done", "replaced"}
    assert len(either.receipts.since()) == len(held)
