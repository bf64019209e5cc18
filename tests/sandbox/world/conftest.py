"""Small worlds, one per seed, built once."""

from __future__ import annotations

import pytest

from sandbox.world import DEMO_NOW, World, build_world

SEEDS = (1, 7, 23)
_BUILT: dict[int, World] = {}


def small_world(seed: int) -> World:
    """A world of 600 variants and 2,500 orders."""
    if seed not in _BUILT:
        _BUILT[seed] = build_world(seed=seed, now=DEMO_NOW, variants=600, orders=2_500)
    return _BUILT[seed]


@pytest.fixture(scope="session", params=SEEDS)
def world(request: pytest.FixtureRequest) -> World:
    """Each of the small worlds in turn."""
    return small_world(request.param)
