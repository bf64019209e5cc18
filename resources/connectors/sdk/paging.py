"""Walking a collection page by page: pagination as objects, and pages fetched in parallel but handed over in order.

Nothing here makes a request: the caller brings the function that does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


def in_order(jobs: Iterable[Job], work: Callable[[Job], Result], *, workers: int) -> Iterator[Result]:
    """Do ``jobs`` on ``workers`` threads; give results in the order of the jobs.

    At most ``2 * workers`` jobs are under way or waiting to be taken, so memory is bounded by as many pages however slow the
    reader is. ``jobs`` is walked in the caller's thread, one step per result taken. The first error stops all.
    """
    if workers <= 1:
        yield from map(work, jobs)
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="etalon-page")
    waiting: deque[Future[Result]] = deque()
    upcoming = iter(jobs)
    try:
        for job in upcoming:
            waiting.append(pool.submit(work, job))
            if len(waiting) >= 2 * workers:
                break
        while waiting:
            result = waiting.popleft().result()
            for job in upcoming:
                waiting.append(pool.submit(work, job))
                break
            yield result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True)
class IdChunk:
    """Some consecutive ids of an announced list, read with one call. ``number`` starts at 1."""

    number: int
    ids: tuple[int, ...]


def id_chunks(ids: Sequence[int], size: int) -> Iterator[IdChunk]:
    """Keyset pages over ids known beforehand: a row that comes or goes meanwhile moves no other row."""
    for number, start in enumerate(range(0, len(ids), size), start=1):
        yield IdChunk(number, tuple(ids[start : start + size]))


@dataclass
class NumberedPages:
    """Pages 1..n of a collection that tells its total with every page, sorted by id ascending.

    The set may move while it is read. Rows that appear push others to later pages: ``update_state`` sees the higher total and
    ``following`` goes on to the new last page. Rows that disappear pull others to pages already read: ``needs_another_pass``
    says so, and the pages are read again (the caller skips the rows it has).
    """

    size: int
    announced_qty: int | None = None
    _last_page: int = 1
    _lowest_total: int | None = None
    _next_page: int = 2
    _passes: int = field(default=1)

    def params(self, page: int) -> dict[str, str]:
        """Query parameters of one page."""
        return {"page": str(page), "per_page": str(self.size)}

    def update_state(self, total: int, row_qty: int) -> None:
        """Learn from one page: the total it announces and how many rows it held.

        The total of an empty page is not believed: on some collections a page past the end announces 0.
        """
        if self.announced_qty is None:
            self.announced_qty = total
        elif row_qty == 0:
            return
        self.announced_qty = max(self.announced_qty, total)
        self._lowest_total = total if self._lowest_total is None else min(self._lowest_total, total)
        self._last_page = max(self._last_page, -(-total // self.size))

    def following(self) -> Iterator[int]:
        """Page numbers not asked for yet, up to the last page known at that moment."""
        while self._next_page <= self._last_page:
            page = self._next_page
            self._next_page += 1
            yield page

    @property
    def left_qty(self) -> int:
        """Pages not asked for yet, as far as is known."""
        return self._last_page - self._next_page + 1

    @property
    def has_more(self) -> bool:
        """Whether a page appeared that was not asked for."""
        return self._next_page <= self._last_page

    def needs_another_pass(self, distinct_qty: int, *, most_passes: int = 3) -> bool:
        """Whether rows went away meanwhile, so that others may have slipped between two pages; starts the pages again."""
        has_shrunk = self._lowest_total is not None and self._lowest_total < (self.announced_qty or 0)
        if not has_shrunk or distinct_qty >= (self.announced_qty or 0) or self._passes >= most_passes:
            return False
        self._passes += 1
        self._next_page = 1
        return True
