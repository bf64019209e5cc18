"""One refresh: look at how things stand, and make the incidents say so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from resources.connectors.sdk.stream import Stream
from resources.incidents.detecting import detect
from resources.incidents.facts import Facts
from resources.operations import Operations
from resources.operations.incidents import ImpactOf, Refreshed
from resources.retailer import Retailer


def refresh_incidents(
    operations: Operations,
    retailer: Retailer,
    *,
    streams: Mapping[str, Sequence[Stream]],
    impact: ImpactOf,
    now: datetime,
    at_most_every: timedelta = timedelta(0),
) -> Refreshed:
    """Open, keep and close incidents so that the open ones are what is wrong at ``now``. Sends nothing.

    ``streams``: the streams of each system. ``impact``: what a signal's origins touch. ``at_most_every``: skip when the last refresh,
    by whomever, is younger. When two refreshes overlap, the one that ends first counts.
    """
    generation, refreshed_at = operations.incidents.generation()
    if refreshed_at is not None and timedelta(0) <= now - refreshed_at < at_most_every:
        return Refreshed(is_skipped=True)
    signals = list(detect(Facts(operations, retailer, streams, now)))
    return operations.incidents.settle(
        signals,
        generation=generation,
        now=now,
        damping=timedelta(minutes=retailer.incidents.damping_minutes),
        impact=impact,
    )
