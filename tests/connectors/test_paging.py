"""Walking pages: in order, with a bounded window, and losing nothing of a set that moves."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.connectors.sdk.paging import NumberedPages, id_chunks, in_order


@given(st.integers(0, 40), st.integers(1, 5))
@settings(deadline=None, max_examples=30)
def test_results_come_in_the_order_of_the_jobs(jobs: int, workers: int) -> None:
    assert list(in_order(range(jobs), lambda job: job * 2, workers=workers)) == [job * 2 for job in range(jobs)]


def test_the_window_is_bounded_whatever_the_reader_does() -> None:
    started: list[int] = []

    def jobs() -> Iterator[int]:
        for number in range(1000):
            started.append(number)
            yield number

    results = in_order(jobs(), lambda job: job, workers=3)
    for _ in range(5):
        next(results)
    assert len(started) <= 2 * 3 + 5
    results.close()  # type: ignore[attr-defined]


def test_the_first_error_stops_all_and_leaves_no_thread() -> None:
    def work(job: int) -> int:
        if job == 3:
            raise ValueError("page 3")
        return job

    before = threading.active_count()
    with pytest.raises(ValueError, match="page 3"):
        list(in_order(range(100), work, workers=4))
    assert threading.active_count() == before


def test_ids_are_cut_in_pages() -> None:
    assert [(chunk.number, chunk.ids) for chunk in id_chunks([3, 5, 8, 9, 11], 2)] == [
        (1, (3, 5)),
        (2, (8, 9)),
        (3, (11,)),
    ]


def test_a_total_that_grows_asks_for_its_new_pages() -> None:
    pages = NumberedPages(10)
    pages.update_state(15, 10)
    assert list(pages.following()) == [2]
    pages.update_state(23, 10)
    assert pages.has_more
    assert list(pages.following()) == [3]
    assert pages.announced_qty == 23
    assert not pages.needs_another_pass(23)


def test_a_page_past_the_end_does_not_announce_zero() -> None:
    pages = NumberedPages(10)
    pages.update_state(15, 10)
    pages.update_state(0, 0)
    assert pages.announced_qty == 15
    assert not pages.needs_another_pass(15)


def test_a_total_that_shrinks_reads_the_pages_again_but_not_for_ever() -> None:
    pages = NumberedPages(10)
    pages.update_state(25, 10)
    list(pages.following())
    pages.update_state(24, 10)
    assert pages.needs_another_pass(24)
    assert list(pages.following()) == [1, 2, 3]
    assert not pages.needs_another_pass(25), "nothing is missing"
    assert pages.needs_another_pass(24)
    assert not pages.needs_another_pass(24)
