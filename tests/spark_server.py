"""A Spark Connect endpoint without a JVM for tests: Sail as a cluster of two workers, in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WORKERS = 2
_STARTED = re.compile(r"Starting the Spark Connect server on 127\.0\.0\.1:(\d+)")
_START_TIMEOUT_S = 60.0


@contextmanager
def running_sail(folder: Path) -> Iterator[str]:
    """The address of a new cluster, which ends with the context. ``folder``: for its log."""
    with sail_process(folder) as (remote, _):
        yield remote


@contextmanager
def sail_process(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The same with its process, for whoever ends it before its time."""
    log_path = folder / "sail.log"
    environ = {
        **os.environ,
        "SAIL_MODE": "local-cluster",
        "SAIL_CLUSTER__WORKER_INITIAL_COUNT": str(WORKERS),
        "SAIL_CLUSTER__WORKER_MAX_COUNT": str(WORKERS),
        # A query's stages all wait for a slot at once, and the widest models have dozens.
        "SAIL_CLUSTER__WORKER_TASK_SLOTS": "128",
        # Idle workers would end after a minute, and one of them come back.
        "SAIL_CLUSTER__WORKER_MAX_IDLE_TIME_SECS": "86400",
        "SAIL_EXECUTION__DEFAULT_PARALLELISM": str(WORKERS),
        "RUST_LOG": "info",
    }
    with log_path.open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "pysail", "spark", "server", "--ip", "127.0.0.1", "--port", "0"],
            env=environ,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield f"sc://127.0.0.1:{_port(server, log_path)}", server
    finally:
        server.terminate()
        server.wait(timeout=30)


def _port(server: subprocess.Popen[bytes], log_path: Path) -> int:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        started = _STARTED.search(log_path.read_text(errors="replace"))
        if started:
            return int(started[1])
        if server.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError(f"the cluster did not start:\n{log_path.read_text(errors='replace')}")
