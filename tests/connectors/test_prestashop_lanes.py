"""Several calls at once: in order, never more than allowed, and no lane waiting for a lane."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import pytest

from resources.connectors.prestashop.lanes import Lanes, Turns


def test_results_come_in_the_order_of_the_jobs() -> None:
    gate = threading.Event()

    def first() -> int:
        assert gate.wait(5)
        return 1

    def second() -> int:
        gate.set()
        return 2

    assert Lanes(2).run([first, second]) == [1, 2], "the first waits for the second: they ran at once"


def test_a_job_does_its_own_jobs_itself() -> None:
    lanes = Lanes(2)

    def outer(number: int) -> list[int]:
        return lanes.run([partial(int, number), partial(int, number * 10)])

    assert lanes.run([partial(outer, number) for number in range(1, 9)]) == [[n, n * 10] for n in range(1, 9)]


def test_the_first_error_is_raised_when_all_have_ended() -> None:
    ended: list[int] = []

    def fails() -> object:
        raise ValueError("first")

    def ends(number: int) -> object:
        ended.append(number)
        return number

    jobs: list[Callable[[], object]] = [fails, partial(ends, 1), partial(ends, 2)]
    with pytest.raises(ValueError, match="first"):
        Lanes(3).run(jobs)
    assert sorted(ended) == [1, 2]


def test_one_lane_is_the_callers_own_thread() -> None:
    jobs = [partial(threading.get_ident), partial(threading.get_ident)]
    assert set(Lanes(1).run(jobs)) == {threading.get_ident()}


def test_one_kind_of_thing_is_done_at_a_time_by_as_many_as_like() -> None:
    turns, held, deleted = Turns(), threading.Event(), threading.Event()
    told: list[str] = []

    def make(name: str) -> None:
        with turns.of("make"):
            told.append(name)

    def delete() -> None:
        held.set()
        with turns.of("delete"):
            told.append("deleted")
        deleted.set()

    with turns.of("make"):
        waiting = threading.Thread(target=delete)
        waiting.start()
        assert held.wait(5)
        beside = threading.Thread(target=make, args=("beside",))
        beside.start()
        beside.join(5)
        told.append("first")
    assert deleted.wait(5)
    waiting.join(5)
    assert told == ["beside", "first", "deleted"]


def test_a_turn_that_failed_is_over() -> None:
    turns = Turns()
    with pytest.raises(ValueError, match="broken"), turns.of("make"):
        raise ValueError("broken")
    with turns.of("delete"):
        pass
