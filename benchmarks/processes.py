"""One measured process: its CPU-seconds, its children's, its wall time, and the most memory they held together.

Unix only, like what it measures with.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_LOOK_EVERY_S = 0.05
_TOLD_LINES = 40
_LONG = 200


@dataclass(frozen=True)
class Spent:
    """What a process and its children cost. ``told``: what it wrote to standard output."""

    cpu_s: float
    wall_s: float
    peak_rss_mb: float
    told: str


def run_measured(command: Sequence[str], *, environ: Mapping[str, str], cwd: Path | None = None) -> Spent:
    """Run a command to its end.

    CPU is user and system time of the process and of every child that it waited for. Memory is the highest of what was seen
    every 50 ms (resident memory of the process and its children together) and of each one's own high mark.
    Raises RuntimeError with the end of what it said when it fails.
    """
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as complained:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=said, stderr=complained, env=dict(environ), cwd=cwd)
        seen = _Watch(process.pid)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        peak_rss_mb = seen.end()
        said.seek(0)
        complained.seek(0)
        told = said.read().decode()
        if process.returncode != 0:
            last = [*told.splitlines(), *complained.read().decode().splitlines()][-_TOLD_LINES:]
            named = " ".join(part for part in command if len(part) < _LONG)
            raise RuntimeError("\n".join([f"exit code {process.returncode}: {named}", *last]))
    if sys.platform == "darwin":
        peak_rss_mb = usage.ru_maxrss / (1 << 20)
    return Spent(usage.ru_utime + usage.ru_stime, wall_s, peak_rss_mb, told)


def own_peak_rss_mb() -> float:
    """The most memory that this process held so far, where the system tells; else 0."""
    # getrusage would tell the parent's peak too, which a process takes over when it starts
    return _status_mb(os.getpid(), "VmHWM:")


class _Watch:
    """Looks at a process and its children until told to end."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peak_mb = 0.0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def end(self) -> float:
        """The peak in MB."""
        self._is_over.set()
        self._thread.join()
        return self._peak_mb

    def _look(self) -> None:
        while not self._is_over.wait(_LOOK_EVERY_S):
            family = _family(self._pid)
            together = sum(_status_mb(pid, "VmRSS:") for pid in family)
            highest = max((_status_mb(pid, "VmHWM:") for pid in family), default=0.0)
            self._peak_mb = max(self._peak_mb, together, highest)


def _family(pid: int) -> list[int]:
    family, waiting = [], [pid]
    while waiting:
        member = waiting.pop()
        family.append(member)
        for children in Path(f"/proc/{member}/task").glob("*/children"):
            try:
                waiting += [int(child) for child in children.read_text(encoding="ascii").split()]
            except (FileNotFoundError, ProcessLookupError):
                continue  # a thread that ended meanwhile has no children to tell
    return family


def _status_mb(pid: int, name: str) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    for line in status.splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    return 0.0
