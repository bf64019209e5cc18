"""Doing several things with one shop at once, on threads that stay: each keeps its connection to the shop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


class Lanes:
    """At most ``workers`` jobs at once. A job that has jobs of its own does them one after the other: no lane waits for a lane."""

    def __init__(self, workers: int) -> None:
        self._workers = max(1, workers)
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        self._lane = threading.local()

    def run(self, jobs: Sequence[Callable[[], T]]) -> list[T]:
        """The results in the order of the jobs; the first error is raised when all have ended."""
        if len(jobs) < 2 or self._workers == 1 or getattr(self._lane, "is_busy", False):
            return [job() for job in jobs]
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="etalon-write")
        running = [self._pool.submit(self._in_lane, job) for job in jobs]
        for done in running:
            done.exception()
        return [done.result() for done in running]

    def _in_lane(self, job: Callable[[], T]) -> T:
        self._lane.is_busy = True
        return job()


class Turns:
    """Many may do the same kind of thing at once; who would do another kind waits until they are done. Thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._kind = ""
        self._busy = 0

    @contextmanager
    def of(self, kind: str) -> Iterator[None]:
        """Do something of this kind inside. Nobody may ask for a second turn inside his own."""
        with self._changed:
            self._changed.wait_for(lambda: self._busy == 0 or self._kind == kind)
            self._kind = kind
            self._busy += 1
        try:
            yield
        finally:
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()
