"""Processes that die in the middle of their work: `python -m tests.drills.victim`, and what starts it.

It reads the project once, then takes orders, one a line of standard input, and does each in a child of its own (a fork: nothing but
memory is shared), so that a drill costs no start of Python. Its answer is the child's exit code: -9 after a kill. An order is JSON:
``variables`` (the environment), ``work`` (a name in ``WORK``), and perhaps ``stop``: which call of ours ends the child. No handler runs,
nothing is flushed: what a power cut leaves. A ``stop`` with a ``pause`` does not kill: the child makes the file ``<pause>.paused`` and
waits until it is gone, as long as something else is broken. ``file_bytes``: no file may grow beyond, as on a full disk.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import wraps
from pathlib import Path
from typing import Any

from assets.runtime import Runtime
from orchestration.runs import run_job, run_sync
from orchestration.worker import Worker
from resources.sync.deciding import Decider
from tests.drills.place import ROOT, project, runtime_of

WAIT_S = 600
TOO_LONG = 124


@dataclass(frozen=True)
class Stop:
    """Before or after the ``nth`` call of ``name``; ``owner`` is `module:Class` or a module."""

    owner: str
    name: str
    when: str = "after"
    nth: int = 1
    pause: str | None = None


def arm(stop: Stop) -> None:
    """End (or pause) this process at that call."""
    module, _, inside = stop.owner.partition(":")
    holder: Any = importlib.import_module(module)
    if inside:
        holder = getattr(holder, inside)
    original, lock, calls = getattr(holder, stop.name), threading.Lock(), [0]

    def end() -> None:
        if stop.pause is None:
            os.kill(os.getpid(), signal.SIGKILL)
        else:
            pause(Path(stop.pause))

    @wraps(original)
    def ends(*arguments: Any, **named: Any) -> Any:
        with lock:
            calls[0] += 1
            is_it = calls[0] == stop.nth
        if is_it and stop.when == "before":
            end()
        result = original(*arguments, **named)
        if is_it and stop.when == "after":
            end()
        return result

    setattr(holder, stop.name, ends)


def pause(name: Path) -> None:
    """Say that we wait, and wait."""
    waiting = name.with_suffix(".paused")
    waiting.touch()
    deadline = time.monotonic() + WAIT_S
    while waiting.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"nobody ended the pause {waiting}")
        time.sleep(0.02)


def read(runtime: Runtime) -> None:
    """Everything of the main job, publication included."""
    run_job(runtime, full=True)


def sync(runtime: Runtime) -> None:
    """A sync of every channel; what waits for a person is approved."""
    summary = run_sync(runtime, [])
    operations = runtime.operations
    decider = Decider(
        operations, runtime.connectors, runtime.settings.clock(), by="drill", note="", run_id=summary.run_id
    )
    for plan in operations.plans.find(statuses=("held",)):
        decider.approve(plan.plan_id)


def worker(runtime: Runtime) -> None:
    """The fast lane, until SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda _signal, _frame: stop.set())
    Worker(runtime, stop=stop).run()


WORK: Mapping[str, Callable[[Runtime], None]] = {"read": read, "sync": sync, "worker": worker}


class Executioner:
    """Gives orders to such a process. One at a time; ``errors``: where its children write what went wrong."""

    def __init__(self, process: subprocess.Popen[str], errors: Path) -> None:
        self._process = process
        self.errors = errors

    def start(
        self, work: str, variables: Mapping[str, str], stop: Stop | None = None, *, file_bytes: int | None = None
    ) -> int:
        """Begin; gives the child's process id."""
        order = {
            "work": work,
            "variables": dict(variables),
            "stop": stop and asdict(stop),
            "file_bytes": file_bytes,
            "errors": str(self.errors),
        }
        assert self._process.stdin is not None
        self.errors.write_text("")
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def wait(self) -> int:
        """The exit code of what was begun; its errors are in ``errors``."""
        return self._answer()

    def work(self, work: str, variables: Mapping[str, str], stop: Stop | None = None) -> int:
        """Do one thing; its exit code: 0 or that of a kill. Anything else fails the drill with the child's own words."""
        self.start(work, variables, stop)
        code = self.wait()
        assert code in (0, -signal.SIGKILL), self.errors.read_text()
        return code

    def _answer(self) -> int:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the process that starts the others has ended"
        return int(line)


@contextmanager
def executioner() -> Iterator[Executioner]:
    """Start the process, hand it out, end it."""
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("ETALON_", "PYTHONDONTWRITE"))
    } | {"OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.drills.victim"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield Executioner(process, Path(folder) / "errors")
        finally:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.close()
            try:
                process.wait(timeout=WAIT_S)
            finally:
                process.stdout.close()


def child(order: Mapping[str, Any]) -> int:
    """The work itself, in a process of its own; its exit code."""
    # Standard output is for answers alone.
    errors = os.open(order["errors"], os.O_WRONLY | os.O_APPEND)
    os.dup2(errors, 1)
    os.dup2(errors, 2)
    try:
        if order["file_bytes"] is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (order["file_bytes"], order["file_bytes"]))
        runtime = runtime_of(order["variables"])
        if order["stop"]:
            arm(Stop(**order["stop"]))
        WORK[order["work"]](runtime)
    except BaseException:  # noqa: BLE001  the parent's loop must not be entered again
        traceback.print_exc()
        return 1
    return 0


def main() -> None:
    """Take orders until there are none."""
    project()
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os._exit(child(order))
        tell(pid)
        tell(ended(pid))


def ended(pid: int) -> int:
    """The exit code of a child; `TOO_LONG` for one that had to be ended."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return TOO_LONG


def tell(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
