"""The zone of a retailer as a whole does not hang on which location is listed first."""

from __future__ import annotations

from resources.home_zone import home_time_zone
from tests.retailer.declared import retailer


def test_it_is_the_zone_of_most_locations_wherever_they_are_listed() -> None:
    declared = retailer()
    overseas_first = sorted(declared.locations, key=lambda location: location.time_zone == "Europe/Paris")
    assert overseas_first[0].time_zone != "Europe/Paris"
    assert home_time_zone(declared.model_copy(update={"locations": tuple(overseas_first)})) == "Europe/Paris"


def test_of_as_many_it_is_the_one_declared_first() -> None:
    declared = retailer()
    one_of_each = {location.time_zone: location for location in reversed(declared.locations)}
    last_zone_first = tuple(one_of_each.values())
    assert len(last_zone_first) > 1
    found = home_time_zone(declared.model_copy(update={"locations": last_zone_first}))
    assert found == last_zone_first[0].time_zone
