"""Python's own thresholds are back when the last reading is over, in whatever order readings end."""

from __future__ import annotations

import gc

import pytest

from resources.rarer_collections import rarer_collections


def test_readings_that_overlap_put_the_thresholds_back_once() -> None:
    usual = gc.get_threshold()
    first, second = rarer_collections(), rarer_collections()
    first.__enter__()
    second.__enter__()
    assert gc.get_threshold()[0] > usual[0]
    first.__exit__(None, None, None)
    assert gc.get_threshold()[0] > usual[0]
    second.__exit__(None, None, None)
    assert gc.get_threshold() == usual


def test_a_reading_that_fails_puts_them_back() -> None:
    usual = gc.get_threshold()
    with pytest.raises(ValueError, match="broken"), rarer_collections():
        raise ValueError("broken")
    assert gc.get_threshold() == usual
