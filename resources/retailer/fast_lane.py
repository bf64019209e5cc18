"""How the fast lane for stock works, as retailer.yaml declares it. docs/fast-lane.md says what it does."""

from __future__ import annotations

from resources.retailer.fields import Code, Positive
from resources.retailer.systems import Declared


class FastLane(Declared):
    """Whether and how sales change the shops' stock at once.

    ``systems``: whose sales it follows (tills and shops); None is all of them. ``poll_ms``: how often a shop without webhooks is
    asked what changed; ``check_ms``: the same for a shop with them, whose deliveries may be lost. ``writes_per_minute_max``
    and ``zeros_per_minute_max``: over one of them the lane stops for that channel until the main job has run.
    """

    is_on: bool = False
    systems: tuple[Code, ...] | None = None
    poll_ms: Positive = 250
    check_ms: Positive = 30_000
    writes_per_minute_max: Positive = 600
    zeros_per_minute_max: Positive = 60
