"""A transmission that dies at any step: the next one finishes what was begun, and the ERP gets each order exactly once.

The ERP is the sandbox's, which notes every order that comes twice; it takes its files away, as ERPs do.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resources.errors import RetryableError
from resources.operations.order_messages import OrderFile, OrderMessages
from resources.orders_out import OutFolder
from sandbox.erp import SandboxErp
from sandbox.ledger import Ledger
from sandbox.world import World, build_world
from tests.orders_out.given import NOW, Desk, export, line, order

STEPS = ("reserve", "reserved", "put", "renamed", "announce", "announced", "finished")
GIVEN = export([order(number) for number in "ABC"])


class Killed(BaseException):
    """The process is gone at this point; nothing can catch it."""


@pytest.fixture(scope="module")
def world() -> World:
    return build_world(seed=3, now=NOW, variants=500, orders=2_000)


@pytest.fixture
def erp(world: World, tmp_path: Path) -> SandboxErp:
    (tmp_path / "drops" / "erp").mkdir(parents=True)
    found = SandboxErp(world, tmp_path / "to_erp", tmp_path / "drops" / "erp", lambda: NOW, Ledger(world))
    assert line("A")["sku"] in set(world.catalogue.items["sku"])
    return found


def dying(step: str, die: Callable[[], None]) -> tuple[type[OutFolder], dict[str, Callable[..., Any]]]:
    """A folder, and methods of the store, that die before or after a step."""

    class Dies(OutFolder):
        def put(self, file: OrderFile) -> int:
            if step == "reserved":
                die()
            size = super().put(file)
            if step == "put":
                die()
            return size

        def announce(self, file: OrderFile) -> None:
            if step == "renamed":
                die()
            super().announce(file)
            if step == "announce":
                die()

    def before(name: str) -> Callable[..., Any]:
        original = getattr(OrderMessages, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            die()
            return original(*args, **kwargs)

        return call

    def after(name: str) -> Callable[..., Any]:
        original = getattr(OrderMessages, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            die()
            return result

        return call

    changed = {
        "reserve": {"reserve": before("reserve")},
        "announced": {"mark_announced": before("mark_announced")},
        "finished": {"mark_announced": after("mark_announced")},
    }
    return Dies, changed.get(step, {})


def die_here() -> None:
    raise Killed


@pytest.mark.parametrize("erp_reads_between", [False, True], ids=["at once", "after the erp read"])
@pytest.mark.parametrize("step", STEPS)
def test_a_crash_sends_nothing_twice(
    tmp_path: Path, erp: SandboxErp, monkeypatch: pytest.MonkeyPatch, step: str, erp_reads_between: bool
) -> None:
    desk = Desk.open(tmp_path)
    folder, methods = dying(step, die_here)
    with monkeypatch.context() as patched:
        desk.out = folder("erp", tmp_path / "to_erp")
        for name, method in methods.items():
            patched.setattr(OrderMessages, name, method)
        with pytest.raises(Killed):
            desk.send(GIVEN)
    if erp_reads_between:
        erp.answer()
    again = Desk.open(tmp_path)
    again.send(GIVEN)
    again.send(GIVEN)
    erp.answer()
    assert erp.duplicates == []
    assert {key for key, booked in erp.booked.items() if booked is not None} == {("web-fr", number) for number in "ABC"}
    assert {again.state(number) for number in "ABC"} == {"sent"}
    assert [name for name in again.files() if name.startswith(".")] == []
    # One number for one sending: the crash used none up but its own.
    assert [file.sequence for file in again.messages.files("erp", "erp_orders")] == [1]


def test_a_full_disk_is_told_and_gone_on_with(tmp_path: Path, erp: SandboxErp) -> None:
    class Full(OutFolder):
        def _write(self, target: Path, data: bytes, file: OrderFile) -> None:
            target.with_name(f".{target.name}.part").write_bytes(data[:10])
            raise RetryableError("No space left on device", where=self._where(file))

    desk = Desk.open(tmp_path)
    desk.out = Full("erp", tmp_path / "to_erp")
    with pytest.raises(RetryableError, match="No space left"):
        desk.send(GIVEN)
    again = Desk.open(tmp_path)
    assert again.send(export([order("D")])).finished_qty == 1
    erp.answer()
    assert len([name for name, booked in erp.booked.items() if booked is not None]) == 4
    assert erp.duplicates == []


CHILD = """
import os, signal, sys
from pathlib import Path
from tests.orders_out.test_crash import GIVEN, dying
from tests.orders_out.given import Desk
from resources.operations.order_messages import OrderMessages
root, step = Path(sys.argv[1]), sys.argv[2]
folder, methods = dying(step, lambda: os.kill(os.getpid(), signal.SIGKILL))
for name, method in methods.items():
    setattr(OrderMessages, name, method)
desk = Desk.open(root)
desk.out = folder("erp", root / "to_erp")
desk.send(GIVEN)
"""


@pytest.mark.parametrize("step", ["put", "announce"])
def test_a_real_kill_sends_nothing_twice(tmp_path: Path, erp: SandboxErp, step: str) -> None:
    """The two steps after which the folder and the store disagree, with a process that is really killed."""
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path), step],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        timeout=60,
        check=False,
    )
    assert child.returncode == -signal.SIGKILL
    erp.answer()
    desk = Desk.open(tmp_path)
    desk.send(GIVEN)
    erp.answer()
    assert erp.duplicates == []
    assert {desk.state(number) for number in "ABC"} == {"sent"}


def test_the_trap_works(tmp_path: Path, erp: SandboxErp) -> None:
    """Two stores that know nothing of each other do send twice, and the ERP notices and books once."""
    Desk.open(tmp_path).send(GIVEN)
    erp.answer()
    other = tmp_path / "other"
    other.mkdir()
    stranger = Desk.open(other)
    stranger.out = OutFolder("erp", tmp_path / "to_erp")
    stranger.send(GIVEN)
    answers = erp.answer()
    assert [(answer.decision, answer.reason) for answer in answers] == [("duplicate", "déjà reçue")] * 3
    assert len(erp.duplicates) == 3
