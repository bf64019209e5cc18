"""Who may write: a file lock across processes, first come first served. Nothing about DuckDB here."""

from __future__ import annotations

import fcntl
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from resources.errors import RetryableError, Where


class LockTimeout(RetryableError):
    """Somebody else wrote for longer than we wanted to wait. ``holder`` says who, as far as they told."""

    def __init__(self, path: Path, holder: str, timeout_s: float) -> None:
        self.holder = holder
        super().__init__(
            f"the writer lock was not free within {timeout_s:g} s; held by {holder}",
            where=Where(file=str(path)),
            action="wait for that process to end, or stop it if it hangs: the lock goes with it",
        )


class _Request:
    """One wait for the lock.

    A blocking flock is queued by the kernel in order of arrival, which polling is not: a poller can be starved.
    It has no time-out of its own, so a thread waits in it; a wait that was given up returns the lock by itself.
    """

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o640)
        self.is_taken = threading.Event()
        self.error: OSError | None = None
        self._is_given_up = False
        self._state = threading.Lock()

    def wait(self, timeout_s: float) -> bool:
        """Whether the lock was had in time. The descriptor is closed for the caller if it was not."""
        threading.Thread(target=self._take, daemon=True, name="writer-lock").start()
        if not self.is_taken.wait(timeout_s):
            with self._state:
                self._is_given_up = not self.is_taken.is_set()
            if self._is_given_up:
                return False
        if self.error is not None:
            os.close(self.descriptor)
            raise self.error
        return True

    def _take(self) -> None:
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX)
        except OSError as error:
            self.error = error
        with self._state:
            if self._is_given_up:
                os.close(self.descriptor)
            self.is_taken.set()


@contextmanager
def writer_lock(path: Path, *, timeout_s: float, purpose: str, clock: Callable[[], datetime]) -> Iterator[None]:
    """Hold the lock file ``path``, waiting for at most ``timeout_s`` seconds; kill -9 frees it too.

    ``purpose`` is told to whoever waits in vain. Raises LockTimeout.
    """
    request = _Request(path)
    if not request.wait(timeout_s):
        raise LockTimeout(path, _holder(path), timeout_s)
    try:
        told = (
            f"{purpose}, process {os.getpid()} on {socket.gethostname()} since {clock().isoformat(timespec='seconds')}"
        )
        os.ftruncate(request.descriptor, 0)
        os.pwrite(request.descriptor, told.encode(), 0)
        yield
    finally:
        os.close(request.descriptor)


def _holder(path: Path) -> str:
    return path.read_text(errors="replace") or "a process that has not said who it is"
