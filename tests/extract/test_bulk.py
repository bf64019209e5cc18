"""Work in bulk leaves Python as it found it."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from resources.bulk import many_objects


@pytest.fixture(autouse=True)
def _as_found() -> Iterator[None]:
    yield
    gc.enable()


@many_objects()
def _work(*, fails: bool = False) -> bool:
    if fails:
        raise ValueError("no")
    with many_objects():
        pass
    return gc.isenabled()


def test_no_garbage_is_looked_for_meanwhile_and_again_afterwards() -> None:
    assert _work() is False
    assert gc.isenabled()
    with pytest.raises(ValueError, match="no"):
        _work(fails=True)
    assert gc.isenabled()


def test_who_looks_for_none_is_left_alone() -> None:
    gc.disable()
    assert _work() is False
    assert not gc.isenabled()
