"""What the drills of several modules share: the process that starts those who die, and how it is when nobody dies."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.drills.outcome import TEN, Undisturbed, published, shown
from tests.drills.place import final_state, place
from tests.drills.victim import Executioner, executioner


@pytest.fixture(scope="session")
def killer() -> Iterator[Executioner]:
    """What starts the processes that die."""
    with executioner() as found:
        yield found


@pytest.fixture(scope="session")
def undisturbed(killer: Executioner, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """A reading and a sync that nobody killed."""
    with place(tmp_path_factory.mktemp("undisturbed")) as here:
        variables = here.variables("well", TEN)
        assert killer.work("read", variables) == 0
        runtime = here.runtime("well", TEN, keep=True)
        kept = here.folder / "kept"
        shutil.copytree(here.folder / "well", kept)
        state, told = final_state(runtime), published(runtime)
        runtime.operations.close()
        before = shown(here)
        assert killer.work("sync", variables) == 0
        after = shown(here)
        assert after != before
        return Undisturbed(kept, state, told, after)
