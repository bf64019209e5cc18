"""The sandbox's own constants against retailer.yaml, and its working calendar on days worked out by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from sandbox.world.dice import INSTANT
from sandbox.world.places import (
    CALENDARS,
    CHANNELS,
    LEGAL_REFUND_DAYS,
    LOCATIONS,
    PARITY_GROUPS,
    RETURN_WINDOW_DAYS,
    deadline_day,
    local_day,
    location_days,
    with_promise,
)

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@pytest.fixture(scope="module")
def declared() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((Path(__file__).parents[3] / "retailer.yaml").read_text(encoding="utf-8"))
    return loaded


def test_locations_are_those_of_the_retailer(declared: dict[str, Any]) -> None:
    ours = [
        (place.code, place.company, place.zone, place.calendar, place.handling_days) for place in LOCATIONS.values()
    ]
    theirs = [
        (row["code"], row["company"], row["time_zone"], row["calendar"], row["handling_working_days"])
        for row in declared["locations"]
    ]
    assert ours == theirs


def test_calendars_are_those_of_the_retailer(declared: dict[str, Any]) -> None:
    for name, row in declared["calendars"].items():
        ours = CALENDARS[name]
        assert (ours.country, ours.subdivision) == (row["country"], row.get("subdivision"))
        assert [DAYS[day] for day in ours.weekdays] == row["working_days"]
        assert [f"{hour:%H:%M}" for hour in (ours.opens, ours.closes, ours.cut_off)] == [
            row["opens"],
            row["closes"],
            row["cut_off"],
        ]
    assert CALENDARS.keys() == declared["calendars"].keys()


def test_channels_are_those_of_the_retailer(declared: dict[str, Any]) -> None:
    for row in declared["channels"]:
        ours = CHANNELS[row["code"]]
        assert (ours.kind, ours.company, ours.system, ours.zone, ours.territory, ours.price_list) == (
            row["kind"],
            row["company"],
            row["system"],
            row["time_zone"],
            row["tax_territory"],
            row["price_list"],
        )
        assert (list(ours.pool), ours.ships_from) == (row["stock_locations"], row.get("ships_from"))
        assert (ours.safety_qty, ours.cap_qty, ours.promise_minutes, ours.stale_minutes, ours.is_acknowledged) == (
            row.get("safety_stock_qty", 0),
            row.get("cap_qty", 0),
            row.get("sync_promise_minutes", 0),
            row.get("stock_stale_after_minutes", 0),
            row.get("is_order_acknowledged", False),
        )
    assert CHANNELS.keys() == {row["code"] for row in declared["channels"]}


def test_thresholds_and_groups_are_those_of_the_retailer(declared: dict[str, Any]) -> None:
    assert {row["code"]: tuple(row["channels"]) for row in declared["parity_groups"]} == PARITY_GROUPS
    assert declared["kpis"]["k3a"]["window_days"] == RETURN_WINDOW_DAYS
    assert declared["kpis"]["k3b"]["legal_refund_days"] == LEGAL_REFUND_DAYS


@pytest.mark.parametrize(
    ("place", "start", "promise"),
    [
        # before the cut-off (14:00 in Orléans) on a Tuesday: handed over by the end of Wednesday
        ("WH1", datetime(2026, 5, 5, 11, 59, tzinfo=UTC), datetime(2026, 5, 6, 22, tzinfo=UTC)),
        # the cut-off itself still counts
        ("WH1", datetime(2026, 5, 5, 12, 0, tzinfo=UTC), datetime(2026, 5, 6, 22, tzinfo=UTC)),
        # one second later it is Wednesday's work
        ("WH1", datetime(2026, 5, 5, 12, 0, 1, tzinfo=UTC), datetime(2026, 5, 7, 22, tzinfo=UTC)),
        # Thursday 7 May after the cut-off: the 8th is a holiday, then a week-end
        ("WH1", datetime(2026, 5, 7, 12, 30, tzinfo=UTC), datetime(2026, 5, 12, 22, tzinfo=UTC)),
        # Good Friday is a holiday in Strasbourg, not in Lyon
        ("S03", datetime(2026, 4, 3, 9, 0, tzinfo=UTC), datetime(2026, 4, 4, 22, tzinfo=UTC)),
        ("S02", datetime(2026, 4, 3, 9, 0, tzinfo=UTC), datetime(2026, 4, 3, 22, tzinfo=UTC)),
        # La Réunion keeps UTC+4 all year
        ("S10", datetime(2026, 5, 5, 10, 0, tzinfo=UTC), datetime(2026, 5, 5, 20, tzinfo=UTC)),
        # Saturday before the change of clocks: Sunday is closed, Monday ends at 22:00 UTC and no longer at 23:00
        ("S01", datetime(2026, 3, 28, 16, 0, tzinfo=UTC), datetime(2026, 3, 30, 22, tzinfo=UTC)),
        ("S01", datetime(2026, 3, 27, 9, 0, tzinfo=UTC), datetime(2026, 3, 27, 23, tzinfo=UTC)),
    ],
)
def test_promise(place: str, start: datetime, promise: datetime) -> None:
    days = location_days(date(2026, 3, 1), date(2026, 6, 30))
    asked = pl.DataFrame(
        {"place": [place], "start": [start], "own": [None]},
        schema={"place": pl.String, "start": INSTANT, "own": INSTANT},
    )
    assert with_promise(asked, days, place="place", start="start", own="own", into="promise")["promise"].to_list() == [
        promise
    ]


def test_a_deadline_at_midnight_belongs_to_the_day_that_ends() -> None:
    frame = pl.DataFrame(
        {"place": ["S10", "S01"], "at": [datetime(2026, 5, 5, 20, tzinfo=UTC), datetime(2026, 5, 5, 22, tzinfo=UTC)]}
    )
    at = pl.col("at").cast(INSTANT)
    told = frame.select(deadline_day("place", at).alias("closes"), local_day("place", at).alias("begins"))
    assert told["closes"].to_list() == [date(2026, 5, 5), date(2026, 5, 5)]
    assert told["begins"].to_list() == [date(2026, 5, 6), date(2026, 5, 6)]
