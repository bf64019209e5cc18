"""Given a calendar and a day, expect whether it is worked, how long it is, and its index and seconds."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from resources.calendars import instant_of, is_working_day, local_days, working_days
from tests.retailer.declared import retailer, with_change

RETAILER = retailer()


@pytest.mark.parametrize(
    ("calendar", "day", "works", "why"),
    [
        ("fr-store", date(2026, 4, 3), True, "Good Friday is worked in France"),
        ("alsace-store", date(2026, 4, 3), False, "Good Friday is a holiday in Alsace"),
        ("alsace-store", date(2026, 12, 26), False, "so is Saint Stephen's"),
        ("fr-store", date(2026, 12, 26), True, "which is worked elsewhere (a Saturday)"),
        ("reunion-store", date(2025, 12, 20), False, "abolition of slavery in La Réunion (a Saturday)"),
        ("fr-store", date(2025, 12, 20), True, "which is worked elsewhere"),
        ("fr-store", date(2026, 5, 1), False, "Labour Day"),
        ("fr-store", date(2026, 5, 8), False, "Victory Day in France"),
        ("be-store", date(2026, 5, 8), True, "no holiday in Belgium"),
        ("be-store", date(2026, 7, 21), False, "Belgium's national day"),
        ("fr-store", date(2026, 5, 14), False, "Ascension"),
        ("fr-store", date(2026, 5, 16), True, "Saturday in a store"),
        ("fr-warehouse", date(2026, 5, 16), False, "Saturday in the warehouse"),
        ("fr-store", date(2026, 5, 17), False, "Sunday"),
    ],
)
def test_working_days(calendar: str, day: date, works: bool, why: str) -> None:
    assert is_working_day(RETAILER.calendars[calendar], day) is works, why


def test_days_named_in_the_calendar_win_over_holidays() -> None:
    text = with_change(
        'alsace-store: {country: FR, subdivision: "6AE",',
        'alsace-store: {country: FR, subdivision: "6AE", open_on: [2026-05-08], closed_on: [2026-05-11],',
    )
    calendar = retailer(text).calendars["alsace-store"]
    assert is_working_day(calendar, date(2026, 5, 8))
    assert not is_working_day(calendar, date(2026, 5, 11))


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Paris", date(2026, 3, 29), 23),
        ("Europe/Paris", date(2026, 10, 25), 25),
        ("Europe/Paris", date(2026, 5, 18), 24),
        ("Indian/Reunion", date(2026, 3, 29), 24),
        ("Europe/Brussels", date(2026, 3, 29), 23),
        ("America/Santiago", date(2026, 9, 6), 23),  # its clocks change at midnight itself
    ],
)
def test_days_last_as_long_as_clocks_say(zone: str, day: date, hours: int) -> None:
    (found,) = local_days(zone, day, day)
    assert found.ends_at - found.starts_at == timedelta(hours=hours)


@pytest.mark.parametrize(
    "zone", ["Europe/Paris", "America/Santiago", "Atlantic/Azores", "Africa/Cairo", "Indian/Reunion"]
)
def test_days_of_a_year_leave_no_gap_and_no_overlap(zone: str) -> None:
    days = list(local_days(zone, date(2026, 1, 1), date(2026, 12, 31)))
    assert len(days) == 365
    assert all(day.ends_at == following.starts_at for day, following in pairwise(days))
    assert all(day.starts_at < day.ends_at for day in days)


def test_an_hour_that_the_clock_skips_is_the_instant_of_the_change_shifted() -> None:
    paris = ZoneInfo("Europe/Paris")
    assert instant_of(date(2026, 3, 29), time(2, 30), paris) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert instant_of(date(2026, 10, 25), time(2, 30), paris) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_index_and_seconds_count_working_days_only() -> None:
    calendar = RETAILER.calendars["alsace-store"]
    days = list(working_days(calendar, "Europe/Paris", date(2026, 4, 1), date(2026, 4, 8)))
    nine_hours = 9 * 3600
    assert [
        (day.local_date.day, day.is_working_day, day.working_day_index, day.working_seconds_before) for day in days
    ] == [
        (1, True, 1, 0),
        (2, True, 2, nine_hours),
        (3, False, 2, 2 * nine_hours),  # Good Friday
        (4, True, 3, 2 * nine_hours),
        (5, False, 3, 3 * nine_hours),  # Easter Sunday
        (6, False, 3, 3 * nine_hours),  # Easter Monday
        (7, True, 4, 3 * nine_hours),
        (8, True, 5, 4 * nine_hours),
    ]
    assert days[2].opens_at is None
    assert days[2].cut_off_at is None
    assert days[0].opens_at == datetime(2026, 4, 1, 8, tzinfo=UTC)
    assert days[0].closes_at == datetime(2026, 4, 1, 17, tzinfo=UTC)
    assert days[0].cut_off_at == datetime(2026, 4, 1, 14, tzinfo=UTC)
