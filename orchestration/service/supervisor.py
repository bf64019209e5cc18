"""Starts programs, watches them, starts them again with growing pauses, and ends them all.

Belongs here: processes as such. Which programs a retailer needs is `orchestration.service.programs`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import logging.handlers
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from orchestration.service import guardian

LOG_BYTES, LOG_FILES = 5_000_000, 4
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
STEADY_S = 60.0
"""A program that lived so long starts again without a pause when it ends."""
PROBE_EVERY_S, PROBE_STARTING_S = 10.0, 0.5
STATE_EVERY_S = 2.0
SICK_PROBES = 9
"""Probes in a row without an answer after which a living program is started again: a machine under load is not a broken program."""

State = Literal["starting", "healthy", "unhealthy", "waiting", "ended"]


@dataclass(frozen=True)
class Account:
    """Another user to run a program as."""

    uid: int
    gid: int


@dataclass(frozen=True)
class Program:
    """One process to keep alive.

    ``probe``: true when it works; called often, from one thread, and never longer than a few seconds. ``tier``: programs of a lower
    tier are healthy before those of a higher one start, and end after them. ``address``: what a person opens, if anything.
    ``niceness``: how much it steps back for others, 0 to 19.
    """

    name: str
    command: tuple[str, ...]
    environ: Mapping[str, str] = field(repr=False)
    probe: Callable[[], bool]
    tier: int = 1
    address: str = ""
    stop_signal: int = signal.SIGTERM
    stop_timeout_s: float = 20.0
    start_timeout_s: float = 120.0
    niceness: int = 0
    account: Account | None = None


@dataclass
class ProgramState:
    """How one program does. ``since_s``: seconds since 1970 of the last change of ``state``; ``exit_code`` of its last end."""

    name: str
    state: State
    since_s: float
    address: str = ""
    pid: int | None = None
    starts_qty: int = 0
    exit_code: int | None = None


def pause_s(failures_qty: int) -> float:
    """Seconds to wait before the next start, after so many quick ends in a row: 0, 1, 2, 4, … 60."""
    return 0.0 if failures_qty == 0 else min(FIRST_PAUSE_S * 2 ** (failures_qty - 1), LONGEST_PAUSE_S)


class _Watched:
    """One program with its process."""

    def __init__(self, program: Program, logger: logging.Logger, clock: Callable[[], float]) -> None:
        self.program, self.logger, self.clock = program, logger, clock
        self.process: subprocess.Popen[bytes] | None = None
        self.told = ProgramState(program.name, "waiting", clock(), program.address)
        self.failures_qty = 0
        self.started_s = 0.0
        self.start_at_s = 0.0
        self.probed_s = 0.0
        self.sick_probes = 0

    def become(self, state: State) -> None:
        if self.told.state != state:
            self.told.state, self.told.since_s = state, self.clock()


class Supervisor:
    """Keeps programs alive until it is told to stop.

    ``folder``: where `state.json` is kept for `etalon up --status`; ``log_folder``: one log per program, rotated by size.
    ``on_change`` is called with a program's state each time it changes.
    """

    def __init__(
        self,
        folder: Path,
        log_folder: Path,
        *,
        clock: Callable[[], float] = time.time,
        on_change: Callable[[ProgramState], None] = lambda _state: None,
    ) -> None:
        self._folder, self._log_folder, self._clock, self._on_change = folder, log_folder, clock, on_change
        self._watched: list[_Watched] = []
        self._mark = secrets.token_hex(8)
        self._stop = threading.Event()
        self._guardian: subprocess.Popen[bytes] | None = None
        self._pumps: list[threading.Thread] = []
        self._written_s = 0.0
        folder.mkdir(parents=True, exist_ok=True)
        log_folder.mkdir(parents=True, exist_ok=True)

    @property
    def states(self) -> list[ProgramState]:
        """How each program does."""
        return [one.told for one in self._watched]

    @property
    def is_healthy(self) -> bool:
        """Whether every program works."""
        return all(one.told.state == "healthy" for one in self._watched)

    def add(self, programs: Sequence[Program]) -> None:
        """Take these programs in: tier after tier they are started, a tier when the one before it is healthy."""
        for program in programs:
            self._watched.append(_Watched(program, _file_logger(self._log_folder, program.name), self._clock))

    def stop(self) -> None:
        """Let :meth:`run` end; safe to call in a signal handler."""
        self._stop.set()

    def run(self, *, until: Callable[[], bool] = lambda: False) -> None:
        """Start what is not started, watch everything, and return when ``until`` says so or :meth:`stop` was called.

        Programs stay alive when it returns: call it again to go on watching, or :meth:`end` to end them.
        """
        while not self._stop.is_set() and not until():
            self.look()
            self._stop.wait(0.2)

    @property
    def is_stopping(self) -> bool:
        """Whether :meth:`stop` was called."""
        return self._stop.is_set()

    def look(self) -> None:
        """One look at each program: start, probe, or start again. Then write down how they do."""
        self._keep_guardian()
        before = [asdict(state) for state in self.states]
        ready_tier = min((one.program.tier for one in self._watched if one.told.starts_qty == 0), default=None)
        if ready_tier is not None and any(
            one.told.state != "healthy" for one in self._watched if one.program.tier < ready_tier
        ):
            ready_tier = None  # first starts wait for the tiers below
        for one in self._watched:
            self._look_at(one, ready_tier)
        changed = [state for state, was in zip(self.states, before, strict=True) if asdict(state) != was]
        for state in changed:
            self._on_change(state)
        if changed or self._clock() - self._written_s >= STATE_EVERY_S:
            self._write_state()

    def end(self) -> None:
        """End all programs, the highest tier first, and everything they started."""
        for tier in sorted({one.program.tier for one in self._watched}, reverse=True):
            ending = [one for one in self._watched if one.program.tier == tier and one.process is not None]
            for one in ending:
                if one.process is not None:
                    _signal(one.process, one.program.stop_signal)
            for one in ending:
                self._wait_or_kill(one)
        for pid in guardian.marked(self._mark):
            if self._guardian is None or pid != self._guardian.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        if self._guardian is not None:
            with contextlib.suppress(BrokenPipeError):
                self._guardian.communicate(b"done\n", timeout=5)
        for pump in self._pumps:
            pump.join(timeout=5)
        for one in self._watched:
            for handler in one.logger.handlers:
                handler.close()
        self._write_state()

    # -- one program ---------------------------------------------------------------------------------------------------

    def _look_at(self, one: _Watched, ready_tier: int | None) -> None:
        now = self._clock()
        if one.process is not None and _has_ended(one.process):
            self._ended(one, now)
        if one.process is None:
            may_start = one.told.starts_qty > 0 or one.program.tier == ready_tier
            if may_start and now >= one.start_at_s:
                self._start(one, now)
            return
        if now - one.probed_s >= (PROBE_STARTING_S if one.told.state == "starting" else PROBE_EVERY_S):
            one.probed_s = now
            self._probe(one, now)

    def _probe(self, one: _Watched, now: float) -> None:
        if one.program.probe():
            one.sick_probes = 0
            one.become("healthy")
            return
        if one.told.state == "starting":
            if now - one.started_s > one.program.start_timeout_s:
                self._give_up(one, f"did not become healthy in {one.program.start_timeout_s:.0f} s")
            return
        one.sick_probes += 1
        one.become("unhealthy")
        if one.sick_probes >= SICK_PROBES:
            self._give_up(one, f"has not answered for {one.sick_probes * PROBE_EVERY_S:.0f} s")

    def _give_up(self, one: _Watched, why: str) -> None:
        one.logger.error("-- %s; ended by its supervisor", why)
        if one.process is not None:
            _signal(one.process, one.program.stop_signal)
        self._wait_or_kill(one)

    def _start(self, one: _Watched, now: float) -> None:
        program = one.program
        environ = {**program.environ, guardian.MARK: self._mark}
        # Byte code is written where it is missing: Dagster starts three times slower without it.
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        command = ["nice", "-n", str(program.niceness), *program.command] if program.niceness else program.command
        one.told.starts_qty += 1
        one.started_s, one.sick_probes = now, 0
        try:
            one.process = subprocess.Popen(
                command,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=None if program.account is None else program.account.uid,
                group=None if program.account is None else program.account.gid,
                extra_groups=None if program.account is None else [],
            )
        except OSError as error:
            one.logger.error("-- cannot be started: %s", error)  # noqa: TRY400 the message says it
            self._plan_restart(one, now)
            return
        self._tell_guardian(f"+{one.process.pid} {int(program.stop_signal)}")
        one.logger.info("-- started, process %d, start %d", one.process.pid, one.told.starts_qty)
        one.told.pid = one.process.pid
        one.become("starting")
        pump = threading.Thread(target=_pump, args=(one.process, one.logger), name=f"log {program.name}", daemon=True)
        pump.start()
        self._pumps = [thread for thread in self._pumps if thread.is_alive()] + [pump]

    def _ended(self, one: _Watched, now: float) -> None:
        process = one.process
        if process is None:
            return
        _kill_session(process)  # runs of a code server that died, workers of a dead master
        self._tell_guardian(f"-{process.pid}")
        one.told.exit_code, one.told.pid, one.process = process.returncode, None, None
        one.logger.error("-- ended with %s", process.returncode)
        self._plan_restart(one, now)

    def _plan_restart(self, one: _Watched, now: float) -> None:
        one.failures_qty = 0 if now - one.started_s >= STEADY_S else one.failures_qty + 1
        one.start_at_s = now + pause_s(one.failures_qty)
        one.become("waiting")

    def _wait_or_kill(self, one: _Watched) -> None:
        process = one.process
        if process is None:
            return
        deadline = time.monotonic() + one.program.stop_timeout_s
        while not _has_ended(process) and time.monotonic() < deadline:
            time.sleep(0.02)
        if not _has_ended(process):
            one.logger.error("-- did not end in %.0f s and is killed", one.program.stop_timeout_s)
        _kill_session(process)
        if self._stop.is_set():
            self._tell_guardian(f"-{process.pid}")
            one.told.exit_code, one.told.pid, one.process = process.returncode, None, None
            one.become("ended")

    # -- guardian and state --------------------------------------------------------------------------------------------

    def _keep_guardian(self) -> None:
        if self._guardian is not None and self._guardian.poll() is None:
            return
        self._guardian = subprocess.Popen(
            [sys.executable, "-I", "-S", guardian.__file__, self._mark], stdin=subprocess.PIPE, start_new_session=True
        )
        for one in self._watched:
            if one.process is not None:
                self._tell_guardian(f"+{one.process.pid} {int(one.program.stop_signal)}")

    def _tell_guardian(self, line: str) -> None:
        if self._guardian is None or self._guardian.stdin is None:
            return
        with contextlib.suppress(BrokenPipeError):  # it is started again at the next look, with the whole list
            self._guardian.stdin.write(f"{line}\n".encode())
            self._guardian.stdin.flush()

    def _write_state(self) -> None:
        path = self._folder / "state.json"
        partial = path.with_suffix(".partial")
        self._written_s = self._clock()
        told = {
            "pid": os.getpid(),
            "written_at_s": self._written_s,
            "programs": [asdict(state) for state in self.states],
        }
        partial.write_text(json.dumps(told), encoding="utf-8")
        partial.replace(path)


def read_state(folder: Path) -> tuple[float, list[ProgramState]] | None:
    """What a supervisor last wrote in ``folder``: when (seconds since 1970), and how its programs do; None when none ever ran."""
    path = folder / "state.json"
    if not path.is_file():
        return None
    told = json.loads(path.read_text(encoding="utf-8"))
    return told["written_at_s"], [ProgramState(**state) for state in told["programs"]]


def _pump(process: subprocess.Popen[bytes], logger: logging.Logger) -> None:
    for line in process.stdout or ():
        logger.info("%s", line.decode("utf-8", errors="replace").rstrip("\n"))


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether it ended. It is not waited for, so that its number, which is its session's too, is nobody else's yet."""
    if process.returncode is not None:
        return True
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    if not _has_ended(process):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)


def _kill_session(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the session that this process led, itself included, and wait for it."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _file_logger(folder: Path, name: str) -> logging.Logger:
    """A logger of its own (in no tree), writing ``folder/name.log``."""
    logger = logging.Logger(name)
    handler = logging.handlers.RotatingFileHandler(
        folder / f"{name}.log", maxBytes=LOG_BYTES, backupCount=LOG_FILES - 1, encoding="utf-8"
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger.addHandler(handler)
    return logger


@contextlib.contextmanager
def stopped_by_signals(supervisor: Supervisor) -> Iterator[None]:
    """While inside, SIGTERM and SIGINT (Ctrl-C) stop the supervisor."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    for number in before:
        signal.signal(number, lambda _number, _frame: supervisor.stop())
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
