"""One period of a stream: periods side by side show what one reading shows, and each row lies in exactly one of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from resources.connectors import prestashop, woocommerce
from resources.connectors.prestashop import dates as prestashop_dates
from resources.connectors.sdk.periods import Period, PeriodConnector
from resources.connectors.sdk.stream import Connector, Reading
from resources.connectors.woocommerce import dates as woocommerce_dates
from resources.errors import PermanentError
from sandbox.servers.prestashop import PrestaShopServer
from sandbox.servers.woocommerce import WooCommerceServer
from tests.connectors.support import TOKENISER, read, retailer, stream_of, system
from tests.connectors.tiny_shop import NOW, tiny_shop

KEY = "K" * 32
DATA = tiny_shop(orders=23)


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def days(*texts: str) -> list[Period]:
    """Periods side by side: from the beginning to the first day, from there to the second, …"""
    ends = [None, *map(day, texts)]
    return [Period(from_at, to_at) for from_at, to_at in pairwise(ends) if to_at is not None]


PERIODS = days("2026-04-19", "2026-04-20", "2026-04-25", "2026-05-19")
"""Orders were made on 18 and 19 April, refunds on the 24th and 25th."""


@pytest.fixture(scope="module", params=["prestashop", "woocommerce"])
def shop(request: pytest.FixtureRequest) -> Iterator[Connector]:
    """A running shop's connector, its pages of five rows."""
    server: Any = (
        PrestaShopServer(DATA, key=KEY, clock=lambda: NOW)
        if request.param == "prestashop"
        else WooCommerceServer(DATA, key=KEY, secret="secret", clock=lambda: NOW, country="FR")
    )
    module: Any = prestashop if request.param == "prestashop" else woocommerce
    declared = system(request.param, url=server.start(), key=KEY, secret="secret", page_size=5, workers=2)
    yield module.build(declared, retailer=retailer(), tokeniser=TOKENISER, clock=lambda: datetime.now(UTC))
    server.stop()


def read_period(connector: Connector, name: str, period: Period) -> tuple[Reading, dict[str, pl.DataFrame]]:
    assert isinstance(connector, PeriodConnector)
    reading = connector.read_period(stream_of(connector, name), period, seen=(), now=NOW)
    frames: dict[str, list[pl.DataFrame]] = {}
    received = 0
    for batch in reading.batches:
        received += batch.received_qty
        assert batch.rejects == []
        for entity, frame in batch.frames.items():
            frames.setdefault(entity, []).append(frame)
    assert reading.announced_qty == received
    assert not reading.is_full
    return reading, {entity: pl.concat(found) for entity, found in frames.items()}


def test_periods_together_show_what_one_reading_shows(shop: Connector) -> None:
    by_period = [stream.name for stream in shop.streams() if stream.period_field]
    assert {"orders"} < set(by_period)
    for name in by_period:
        whole = read(shop, name, now=NOW)
        found = [read_period(shop, name, period)[1] for period in PERIODS]
        for entity, frame in whole.frames.items():
            parts = [frames[entity] for frames in found if entity in frames]
            without_place = pl.concat(parts).drop("source_position")
            assert_frame_equal(without_place, frame.drop("source_position"), check_row_order=False)


def test_a_period_holds_its_own_rows_and_no_other(shop: Connector) -> None:
    orders = [read_period(shop, "orders", period)[1].get("order") for period in PERIODS]
    sizes = [0 if frame is None else frame.height for frame in orders]
    assert sizes == [13, 10, 0, 0]
    first = orders[0]
    assert first is not None
    assert first["ordered_at"].max() == day("2026-04-18") + timedelta(hours=23)


def test_a_stream_without_a_date_is_refused(shop: Connector) -> None:
    assert isinstance(shop, PeriodConnector)
    undated = next(stream for stream in shop.streams() if stream.period_field is None)
    with pytest.raises(PermanentError, match="of a period") as refused:
        shop.read_period(undated, PERIODS[0], seen=(), now=NOW)
    assert refused.value.action == "read the stream whole"


def test_woocommerce_is_asked_in_utc_with_both_ends_strict() -> None:
    asked = woocommerce_dates.created_in(Period(day("2026-04-19"), day("2026-04-20")))
    # Made at midnight is in: the shop gives what is later than the second before.
    assert asked == {"after": "2026-04-18T23:59:59", "before": "2026-04-20T00:00:00", "dates_are_gmt": "true"}
    assert "after" not in woocommerce_dates.created_in(Period(None, day("2026-04-20")))


PARIS = ZoneInfo("Europe/Paris")


def filter_of(period: Period) -> str:
    asked = prestashop_dates.created_in(period, PARIS)
    assert asked["date"] == "1"
    return asked["filter[date_add]"]


def test_prestashop_is_asked_in_its_own_time_and_no_second_is_in_two_periods() -> None:
    asked = [filter_of(period) for period in days("2026-04-19", "2026-04-20", "2026-04-21")]
    assert asked == [
        "<[2026-04-19 02:00:00]",
        "[2026-04-19 02:00:00,2026-04-20 01:59:59]",
        "[2026-04-20 02:00:00,2026-04-21 01:59:59]",
    ]


@pytest.mark.parametrize(
    "change", [("2026-10-24", "2026-10-25", "2026-10-26"), ("2026-03-28", "2026-03-29", "2026-03-30")]
)
def test_the_days_when_clocks_change_leave_no_gap_and_no_overlap(change: Sequence[str]) -> None:
    before, after = (filter_of(Period(day(a), day(b))) for a, b in (change[:2], change[1:]))
    end = datetime.fromisoformat(before.strip("[]").split(",")[1])
    start = datetime.fromisoformat(after.strip("[]").split(",")[0])
    assert start - end == timedelta(seconds=1)


@pytest.mark.parametrize(
    ("from_at", "to_at"),
    [
        (datetime(2026, 4, 19, 1, tzinfo=UTC), datetime(2026, 4, 20, tzinfo=UTC)),
        (datetime(2026, 4, 19, tzinfo=PARIS), datetime(2026, 4, 20, tzinfo=UTC)),
        (datetime(2026, 4, 20, tzinfo=UTC), datetime(2026, 4, 20, tzinfo=UTC)),
    ],
)
def test_a_period_is_of_whole_days_in_utc(from_at: datetime, to_at: datetime) -> None:
    with pytest.raises(ValueError, match=r"no midnight|no day"):
        Period(from_at, to_at)
