"""What the shop said of itself a moment ago: lists that hardly ever change, kept for readings of single rows.

A sale is read within a fraction of a second, and the shop's states, currencies and countries would be most of its calls. A reading
of a whole stream never asks here: it reads its lists anew.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

T = TypeVar("T")

REMEMBERED_S = 300.0
"""Seconds that a list is good for. One that lacks what a row names is read anew at once, however young it is."""


class Remembered:
    """Values by name, each with the moment it was read. Safe to use from several threads; two may read the same list at once."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._kept: dict[Hashable, tuple[float, Any]] = {}

    def get(self, name: Hashable, read: Callable[[], T], *, at_most_s: float = REMEMBERED_S) -> T:
        """The value, no older than ``at_most_s`` seconds: what is kept, or else what ``read`` gives, which is kept then."""
        now_s = self._monotonic()
        with self._lock:
            kept = self._kept.get(name)
        if kept is not None and now_s - kept[0] < at_most_s:
            return cast("T", kept[1])
        value = read()
        with self._lock:
            self._kept[name] = (now_s, value)
        return value
