"""Where the sandbox's retailer sells and keeps stock, and when each place works.

These are the sandbox's own constants: the pipeline reads retailer.yaml, and a test holds the two equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import holidays
import polars as pl

from sandbox.world.dice import INSTANT

PARIS = "Europe/Paris"


@dataclass(frozen=True)
class Calendar:
    """Working days (0 = Monday), hours and cut-off in local time, and whose public holidays."""

    country: str
    subdivision: str | None
    weekdays: tuple[int, ...]
    opens: time
    closes: time
    cut_off: time


@dataclass(frozen=True)
class Location:
    """A place that holds stock."""

    code: str
    company: str
    zone: str
    calendar: str
    handling_days: int


@dataclass(frozen=True)
class Channel:
    """A place that sells; `pool` is the stock it may sell from."""

    code: str
    kind: str
    company: str
    system: str
    zone: str
    territory: str
    price_list: str
    pool: tuple[str, ...]
    ships_from: str | None = None
    safety_qty: int = 0
    cap_qty: int = 0
    promise_minutes: int = 0
    stale_minutes: int = 0
    is_acknowledged: bool = False


_SIX = (0, 1, 2, 3, 4, 5)
CALENDARS = {
    "fr-warehouse": Calendar("FR", None, (0, 1, 2, 3, 4), time(6), time(20), time(14)),
    "fr-store": Calendar("FR", None, _SIX, time(10), time(19), time(16)),
    "alsace-store": Calendar("FR", "6AE", _SIX, time(10), time(19), time(16)),
    "reunion-store": Calendar("FR", "974", _SIX, time(9), time(18), time(15)),
    "be-store": Calendar("BE", None, _SIX, time(10), time(18, 30), time(16)),
}
WAREHOUSE = "WH1"
STORES_FR = tuple(f"S{number:02d}" for number in range(1, 11))
STORES_BE = ("S11", "S12")
STORES = STORES_FR + STORES_BE


def _store(code: str) -> Location:
    if code in STORES_BE:
        return Location(code, "ML-BE", "Europe/Brussels", "be-store", 0)
    calendar = {"S03": "alsace-store", "S10": "reunion-store"}.get(code, "fr-store")
    return Location(code, "ML-FR", "Indian/Reunion" if code == "S10" else PARIS, calendar, 0)


LOCATIONS = {
    WAREHOUSE: Location(WAREHOUSE, "ML-FR", PARIS, "fr-warehouse", 1),
    **{code: _store(code) for code in STORES},
}
CHANNELS = {
    channel.code: channel
    for channel in (
        Channel("web-fr", "web", "ML-FR", "shop_fr", PARIS, "FR", "WEB-FR", ("WH1",), "WH1", 2, 50, 15, 1560, True),
        Channel(
            "web-be",
            "web",
            "ML-BE",
            "shop_be",
            "Europe/Brussels",
            "BE",
            "WEB-BE",
            ("WH1", "S11"),
            "WH1",
            1,
            20,
            30,
            1560,
            True,
        ),
        Channel(
            "marketplace",
            "marketplace",
            "ML-FR",
            "marketplace",
            PARIS,
            "FR",
            "MKP",
            ("WH1",),
            "WH1",
            5,
            10,
            60,
            1560,
            True,
        ),
        Channel("stores-fr", "stores", "ML-FR", "pos", PARIS, "FR", "STORE-FR", STORES_FR),
        Channel("stores-be", "stores", "ML-BE", "pos", "Europe/Brussels", "BE", "STORE-BE", STORES_BE),
    )
}
PARITY_GROUPS = {"france": ("web-fr", "stores-fr"), "europe": ("web-fr", "web-be")}
RETURN_WINDOW_DAYS = 30
LEGAL_REFUND_DAYS = 14
ZONE_OF_PLACE = {
    **{code: place.zone for code, place in LOCATIONS.items()},
    **{c.code: c.zone for c in CHANNELS.values()},
}
COMPANY_OF_PLACE = {
    **{code: place.company for code, place in LOCATIONS.items()},
    **{c.code: c.company for c in CHANNELS.values()},
}


def company_of(place: str) -> pl.Expr:
    """Company of the location or channel in that column."""
    return pl.col(place).replace_strict(COMPANY_OF_PLACE, default=None, return_dtype=pl.String)


def in_zone_of(place: str, expression: pl.Expr) -> pl.Expr:
    """The wall clock, without zone, of an instant at the location or channel in column `place`; unknown places keep Paris time."""
    result = expression.dt.convert_time_zone(PARIS).dt.replace_time_zone(None)
    reunion = [code for code, zone in ZONE_OF_PLACE.items() if zone == "Indian/Reunion"]
    return (
        pl.when(pl.col(place).is_in(reunion))
        .then(expression.dt.convert_time_zone("Indian/Reunion").dt.replace_time_zone(None))
        .otherwise(result)
    )


def local_day(place: str, instant: pl.Expr) -> pl.Expr:
    """Local date of an instant at the place in that column."""
    return in_zone_of(place, instant).dt.date()


def deadline_day(place: str, instant: pl.Expr) -> pl.Expr:
    """Local date that a deadline closes: midnight belongs to the day that ends there."""
    return in_zone_of(place, instant - pl.duration(microseconds=1)).dt.date()


def midnight(day: date, zone: str = PARIS) -> datetime:
    """The instant at which a local day begins."""
    return datetime.combine(day, time(), tzinfo=ZoneInfo(zone)).astimezone(UTC)


def location_days(first: date, last: date) -> pl.DataFrame:
    """Every local day of every location, bounds and hours in UTC.

    Grain: location x local date. `working_index` counts working days so far, `working_seconds` the opening seconds of earlier days.
    """
    years = range(first.year, last.year + 1)
    off = {
        name: holidays.country_holidays(calendar.country, subdiv=calendar.subdivision, years=years)
        for name, calendar in CALENDARS.items()
    }
    rows = []
    for location in LOCATIONS.values():
        calendar = CALENDARS[location.calendar]
        zone = ZoneInfo(location.zone)
        index = seconds = 0
        for offset in range((last - first).days + 1):
            day = first + timedelta(days=offset)
            works = day.weekday() in calendar.weekdays and day not in off[location.calendar]
            index += works
            opens, closes, cut_off = (
                datetime.combine(day, hour, tzinfo=zone).astimezone(UTC) if works else None
                for hour in (calendar.opens, calendar.closes, calendar.cut_off)
            )
            bounds = (midnight(day, location.zone), midnight(day + timedelta(days=1), location.zone))
            rows.append((location.code, day, *bounds, works, index, opens, closes, cut_off, seconds))
            if opens is not None and closes is not None:
                seconds += int((closes - opens).total_seconds())
    schema: dict[str, pl.DataType | type[pl.DataType]] = {
        "location": pl.String,
        "local_date": pl.Date,
        "day_start_at": INSTANT,
        "day_end_at": INSTANT,
        "is_working": pl.Boolean,
        "working_index": pl.Int64,
        "opens_at": INSTANT,
        "closes_at": INSTANT,
        "cut_off_at": INSTANT,
        "working_seconds": pl.Int64,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def with_promise(
    frame: pl.DataFrame, days: pl.DataFrame, *, place: str, start: str, own: str, into: str
) -> pl.DataFrame:
    """Add the hand-over promise: the channel's own, else cut-off and handling time in working days of the place.

    Null when there is no start and no promise of the channel's own.
    """
    handling = {code: location.handling_days for code, location in LOCATIONS.items()}
    ends = days.filter("is_working").select(
        pl.col("location").alias(place),
        pl.col("working_index").alias("_due_index"),
        pl.col("day_end_at").alias("_due_at"),
    )
    started = days.select(
        pl.col("location").alias(place), pl.col("local_date").alias("_day"), "is_working", "working_index", "cut_off_at"
    )
    same_day = pl.col("is_working") & (pl.col(start) <= pl.col("cut_off_at"))
    return (
        frame.with_columns(local_day(place, pl.col(start)).alias("_day"))
        .join(started, on=[place, "_day"], how="left", maintain_order="left")
        .with_columns(
            (
                pl.col("working_index")
                + pl.when(same_day).then(0).otherwise(1)
                + pl.col(place).replace_strict(handling, default=0, return_dtype=pl.Int64)
            ).alias("_due_index")
        )
        .join(ends, on=[place, "_due_index"], how="left", maintain_order="left")
        .with_columns(pl.coalesce(own, "_due_at").alias(into))
        .drop("_day", "is_working", "working_index", "cut_off_at", "_due_index", "_due_at")
    )
