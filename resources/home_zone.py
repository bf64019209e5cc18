"""The time zone in which a retailer as a whole lives: when its nights are, and in which zone a page for everyone shows instants."""

from __future__ import annotations

from collections import Counter

from resources.retailer import Retailer


def home_time_zone(retailer: Retailer) -> str:
    """The IANA zone of most locations; of zones with as many, the one that is declared first."""
    # `most_common` keeps the order of first sight among equals.
    return Counter(location.time_zone for location in retailer.locations).most_common(1)[0][0]
