"""Lets Python look for circles of dead objects less often while many rows are made. Nothing is measured or freed here."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_YOUNG, _OLDER, _OLDEST = 50_000, 20, 20
"""Containers made before the young ones are looked at (Python: 700), and rounds before the older ones are."""
_LOCK = threading.Lock()
_usual: list[tuple[int, int, int]] = []


@contextmanager
def rarer_collections() -> Iterator[None]:
    """Until it ends, in the whole process. Several may overlap, in any order: the last one out puts things back.

    Rows are lists and strings that hold nothing above them, and go when they are let go. Python looks at every 700 of them all the same,
    and at all that the process holds each few thousand orders: a seventh of the CPU of reading them.
    """
    with _LOCK:
        _usual.append(gc.get_threshold() if not _usual else _usual[0])
        gc.set_threshold(_YOUNG, _OLDER, _OLDEST)
    try:
        yield
    finally:
        with _LOCK:
            usual = _usual.pop()
            if not _usual:
                gc.set_threshold(*usual)
