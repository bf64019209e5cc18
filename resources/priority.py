"""How much this process steps back for others on the same machine."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

HEAVY_NICENESS = 10
"""Of what reads systems whole and rebuilds the warehouse: it takes what is left over, and a sale never waits for it."""


def step_back(niceness: int = HEAVY_NICENESS) -> None:
    """Be at least so nice, with every thread of this process; threads that come later are as nice as the one that starts them.

    There is no way back: only root may take priority again. Where the system does not list threads, the calling one steps back.
    """
    tasks = Path("/proc/self/task")
    threads = [int(task.name) for task in tasks.iterdir()] if tasks.is_dir() else [0]
    for thread in threads:
        # A thread may end while it is looked at.
        with suppress(ProcessLookupError):
            if os.getpriority(os.PRIO_PROCESS, thread) < niceness:
                os.setpriority(os.PRIO_PROCESS, thread, niceness)
