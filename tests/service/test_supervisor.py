"""The supervisor: programs come in order, come again when they end, and never outlive it, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestration.service import guardian
from orchestration.service.supervisor import Program, Supervisor, pause_s, read_state

PYTHON = (sys.executable, "-I", "-S", "-c")
ENVIRON = {"PATH": os.environ["PATH"]}


def touching(path: Path, *, then: str = "import time; time.sleep(60)") -> tuple[str, ...]:
    """A program that writes its process number to ``path`` and then does something."""
    code = f"import os, pathlib; p = pathlib.Path({str(path)!r}); p.write_text(str(os.getpid())); {then}"
    return (*PYTHON, code)


def program(name: str, command: tuple[str, ...], probe: Callable[[], bool], *, tier: int = 1) -> Program:
    return Program(name, command, ENVIRON, probe, tier=tier, stop_timeout_s=5)


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    made = Supervisor(tmp_path / "service", tmp_path / "logs")
    yield made
    made.stop()
    made.end()


def run_until(supervisor: Supervisor, condition: Callable[[], bool], *, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    supervisor.run(until=lambda: condition() or time.monotonic() > deadline)
    assert condition()


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(condition: Callable[[], bool], *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert condition()


@pytest.mark.parametrize(("failures", "expected"), [(0, 0), (1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (400, 60)])
def test_pauses_grow_and_have_an_end(failures: int, expected: float) -> None:
    assert pause_s(failures) == expected


def test_a_tier_waits_for_the_one_below(supervisor: Supervisor, tmp_path: Path) -> None:
    database, user, gate = tmp_path / "database", tmp_path / "user", tmp_path / "gate"
    supervisor.add(
        [program("user", touching(user), user.exists), program("database", touching(database), gate.exists, tier=0)]
    )
    run_until(supervisor, database.exists)
    assert not user.exists()
    gate.touch()
    run_until(supervisor, lambda: supervisor.is_healthy)
    assert user.exists()


def test_a_program_that_ends_is_started_again(supervisor: Supervisor, tmp_path: Path) -> None:
    path = tmp_path / "pid"
    supervisor.add([program("one", touching(path), path.exists)])
    run_until(supervisor, lambda: supervisor.is_healthy)
    first = int(path.read_text())
    os.kill(first, signal.SIGKILL)
    run_until(supervisor, lambda: supervisor.states[0].starts_qty == 2 and supervisor.is_healthy)
    [state] = supervisor.states
    assert state.pid not in (None, first)
    assert state.exit_code == -signal.SIGKILL
    assert "ended with -9" in (tmp_path / "logs/one.log").read_text()


def test_a_program_that_cannot_start_does_not_stop_the_others(supervisor: Supervisor, tmp_path: Path) -> None:
    path = tmp_path / "pid"
    supervisor.add(
        [program("missing", ("/no/such/program",), lambda: False), program("one", touching(path), path.exists)]
    )
    run_until(supervisor, lambda: supervisor.states[1].state == "healthy")
    assert supervisor.states[0].state == "waiting"
    assert "cannot be started" in (tmp_path / "logs/missing.log").read_text()


def test_what_a_program_says_is_in_its_log_and_its_state_in_a_file(supervisor: Supervisor, tmp_path: Path) -> None:
    path = tmp_path / "pid"
    supervisor.add(
        [program("talker", touching(path, then="print('hello', flush=True); import time; time.sleep(60)"), path.exists)]
    )
    run_until(supervisor, lambda: supervisor.is_healthy and "hello" in (tmp_path / "logs/talker.log").read_text())
    told = read_state(tmp_path / "service")
    assert told is not None
    assert [(state.name, state.state) for state in told[1]] == [("talker", "healthy")]


def test_the_end_takes_everything_along(tmp_path: Path) -> None:
    """A polite program, one that ignores the signal, and a child that left its session."""
    polite, deaf, stray = (tmp_path / name for name in ("polite", "deaf", "stray"))
    supervisor = Supervisor(tmp_path / "service", tmp_path / "logs")
    ignoring = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    child = touching(stray)
    leaving = f"import subprocess, time; subprocess.Popen({child!r}, start_new_session=True); time.sleep(60)"
    deaf_program = Program("deaf", touching(deaf, then=ignoring), ENVIRON, deaf.exists, stop_timeout_s=0.5)
    supervisor.add([program("polite", touching(polite, then=leaving), stray.exists), deaf_program])
    run_until(supervisor, lambda: supervisor.is_healthy and all(path.stat().st_size for path in (polite, deaf, stray)))
    pids = [int(path.read_text()) for path in (polite, deaf, stray)]
    supervisor.stop()
    supervisor.end()
    wait_for(lambda: not any(map(is_alive, pids)))
    assert [state.state for state in supervisor.states] == ["ended", "ended"]


SUPERVISED = """
import sys
from pathlib import Path
from orchestration.service.supervisor import Program, Supervisor, stopped_by_signals
folder, command = Path(sys.argv[1]), tuple(sys.argv[2:])
supervisor = Supervisor(folder / "service", folder / "logs")
supervisor.add([Program("one", command, {"PATH": "/usr/bin:/bin"}, (folder / "pid").exists, niceness=5)])
with stopped_by_signals(supervisor):
    supervisor.run()
supervisor.end()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_programs_end_with_their_supervisor_however_it_ends(tmp_path: Path, number: signal.Signals) -> None:
    path = tmp_path / "pid"
    process = subprocess.Popen(
        [sys.executable, "-c", SUPERVISED, str(tmp_path), *touching(path)], cwd=Path(__file__).parents[2]
    )
    try:
        wait_for(lambda: path.exists() and path.read_text() != "")
        pid = int(path.read_text())
        assert os.getpriority(os.PRIO_PROCESS, pid) == os.getpriority(os.PRIO_PROCESS, 0) + 5
        process.send_signal(number)
        assert process.wait(timeout=20) == (0 if number != signal.SIGKILL else -signal.SIGKILL)
        wait_for(lambda: not is_alive(pid))
    finally:
        process.kill()
        process.wait()


def test_the_guardian_leaves_alone_what_ended_in_order(tmp_path: Path) -> None:
    """A number that was given back belongs to somebody else."""
    bystander = subprocess.Popen([*PYTHON, "import time; time.sleep(60)"], start_new_session=True)
    try:
        lines = f"+{bystander.pid} {int(signal.SIGTERM)}\n-{bystander.pid}\n"
        subprocess.run(
            [sys.executable, "-I", "-S", guardian.__file__, "nobody"], input=lines.encode(), check=True, timeout=20
        )
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()
