"""The bell between the receiver and the worker: each ring is heard once by each listener, and a missing file is silence."""

from __future__ import annotations

from pathlib import Path

from resources.fast_lane.doorbell import Doorbell


def test_each_listener_hears_each_ring_once(tmp_path: Path) -> None:
    ringer, orders, items = (Doorbell(tmp_path) for _ in range(3))
    assert not orders.has_rung()
    for _ in range(3):
        ringer.ring()
        assert orders.has_rung()
        assert not orders.has_rung()
    assert items.has_rung()
    assert not items.has_rung()


def test_a_bell_that_cannot_ring_keeps_nobody_from_his_work(tmp_path: Path) -> None:
    bell = Doorbell(tmp_path / "not made yet")
    bell.ring()
    assert not bell.has_rung()
