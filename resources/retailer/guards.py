"""Guards: over which limits a plan waits for a person. docs/sync.md says what each of them looks at.

Belongs here: the limits as retailer.yaml declares them. Measuring a plan against them is `resources.sync.guards`.
"""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field

from resources.retailer.fields import Code, NotNegative, Percent, Positive
from resources.retailer.systems import Declared


class GuardLimits(Declared):
    """The limits of one channel. Shares and price changes are in percent.

    ``share_from_lines``: under so many lines a plan's shares are not looked at: a small shop's three lines are no mass change.
    ``max_share_pct``: share of the channel's listings that one plan may touch. ``max_price_rise_pct`` and
    ``max_price_fall_pct``: how far a price may move in one line; ``max_promotion_depth_pct``: how far under the regular price a
    promotion may be. ``max_zeroed_qty`` and ``max_zeroed_pct``: listings whose
    quantity goes to zero in one plan. ``max_unpublished_qty``: listings taken off sale in one plan. ``max_orders_lag_minutes``:
    how much older than the stock's source the channel's orders may be.
    """

    share_from_lines: Positive = 50
    max_share_pct: Percent = Decimal(25)
    max_price_rise_pct: Positive = 30
    max_price_fall_pct: Percent = Decimal(20)
    max_promotion_depth_pct: Percent = Decimal(60)
    max_zeroed_qty: NotNegative = 250
    max_zeroed_pct: Percent = Decimal(5)
    max_unpublished_qty: NotNegative = 25
    max_orders_lag_minutes: NotNegative = 60


class Guards(Declared):
    """The limits of every channel: ``default``, and what some channels have otherwise."""

    default: GuardLimits = GuardLimits()
    channels: dict[Code, GuardLimits] = Field(default_factory=dict)

    def of(self, channel_code: str) -> GuardLimits:
        """The limits of a channel: its own where it names them, else the default's."""
        own = self.channels.get(channel_code)
        if own is None:
            return self.default
        return self.default.model_copy(update={name: getattr(own, name) for name in own.model_fields_set})
