"""Ends what a supervisor started when the supervisor itself is killed: a program of its own, run by its path.

Belongs here: nothing that needs more than Python's own library, so that it starts at once and cannot fail for an import.

It reads lines from its standard input: `+PID SIGNAL` for a process that was started in a session of its own, `-PID` for one that
ended. When the input closes without the line `done`, the supervisor is gone: each process gets its signal, then all that is left of
their sessions, or carries the supervisor's mark in its environment, is killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path

MARK = "ETALON_SERVICE_MARK"
PATIENCE_S = 10.0
"""Between the polite signal and the other one: a database writes what it has, a run says that it was interrupted."""


def main(mark: str) -> None:
    """Keep the list of processes until the supervisor is done, or gone."""
    watched: dict[int, int] = {}
    for line in sys.stdin:
        words = line.split()
        if words == ["done"]:
            return
        if words[0].startswith("+"):
            watched[int(words[0])] = int(words[1])
        else:
            watched.pop(-int(words[0]), None)
    for pid, number in watched.items():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and (_living(watched) or marked(mark)):
        time.sleep(0.1)
    for pid in watched:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
    for pid in marked(mark):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _living(pids: Iterable[int]) -> bool:
    """Whether one of these sessions still has a process. They are no children of ours, so nobody waits for them."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, 0)
            return True
    return False


def marked(mark: str) -> list[int]:
    """Processes whose environment carries the mark, this one left out; none where the system does not show environments."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int(folder.name) != os.getpid() and wanted in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


if __name__ == "__main__":
    main(sys.argv[1])
