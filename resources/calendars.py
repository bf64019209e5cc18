"""Local days, working days and opening hours as instants. Pure functions of a calendar, a zone and dates; no clock here.

Public holidays come from the `holidays` package, by country and subdivision.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import holidays

from resources.retailer.fields import WEEKDAYS
from resources.retailer.model import Calendar


@dataclass(frozen=True)
class LocalDay:
    """One local day: the half-open interval [starts_at, ends_at), in UTC. 23 or 25 hours long when clocks change."""

    local_date: date
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True)
class WorkingDay(LocalDay):
    """A local day as a location works it. The three instants are None on a day off.

    ``working_day_index``: working days from the first day of the table up to and with this one.
    ``working_seconds_before``: opening seconds of all earlier days of the table.
    """

    is_working_day: bool
    working_day_index: int
    opens_at: datetime | None
    closes_at: datetime | None
    cut_off_at: datetime | None
    working_seconds_before: int


def instant_of(local_date: date, local_time: time, zone: ZoneInfo) -> datetime:
    """The UTC instant of a local time.

    A time that the clock change skips is read with the offset before the change; one that comes twice is the first.
    """
    return datetime.combine(local_date, local_time, tzinfo=zone).astimezone(UTC)


def days_between(first_day: date, last_day: date) -> Iterator[date]:
    """Every date from first to last, both in."""
    for offset in range((last_day - first_day).days + 1):
        yield first_day + timedelta(days=offset)


def local_days(zone_name: str, first_day: date, last_day: date) -> Iterator[LocalDay]:
    """The local days of a zone, without gap or overlap. Grain: one per date."""
    zone = ZoneInfo(zone_name)
    starts_at = instant_of(first_day, time.min, zone)
    for day in days_between(first_day, last_day):
        ends_at = instant_of(day + timedelta(days=1), time.min, zone)
        yield LocalDay(day, starts_at, ends_at)
        starts_at = ends_at


@lru_cache(maxsize=256)
def public_holidays(country: str, subdivision: str | None, year: int) -> frozenset[date]:
    """Public holidays of a year: the country's and, when one is given, its subdivision's."""
    return frozenset(holidays.country_holidays(country, subdiv=subdivision, years=year))


def is_working_day(calendar: Calendar, day: date) -> bool:
    """Whether a calendar works on a date: ``closed_on`` and ``open_on`` win over holidays, holidays over weekdays."""
    if day in calendar.closed_on:
        return False
    if day in calendar.open_on:
        return True
    if day in public_holidays(calendar.country, calendar.subdivision, day.year):
        return False
    return WEEKDAYS[day.weekday()] in calendar.working_days


def working_days(calendar: Calendar, zone_name: str, first_day: date, last_day: date) -> Iterator[WorkingDay]:
    """The days of a location, worked or not. Grain: one per date; index and seconds run from ``first_day``."""
    zone = ZoneInfo(zone_name)
    index, seconds = 0, 0
    for day in local_days(zone_name, first_day, last_day):
        works = is_working_day(calendar, day.local_date)
        opens_at = closes_at = cut_off_at = None
        seconds_before = seconds
        if works:
            index += 1
            opens_at = instant_of(day.local_date, calendar.opens, zone)
            closes_at = instant_of(day.local_date, calendar.closes, zone)
            cut_off_at = instant_of(day.local_date, calendar.cut_off, zone)
            seconds += int((closes_at - opens_at).total_seconds())
        yield WorkingDay(
            local_date=day.local_date,
            starts_at=day.starts_at,
            ends_at=day.ends_at,
            is_working_day=works,
            working_day_index=index,
            opens_at=opens_at,
            closes_at=closes_at,
            cut_off_at=cut_off_at,
            working_seconds_before=seconds_before,
        )
