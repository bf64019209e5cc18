"""How far back the calendar reaches: an order it does not reach has no promise, and K2 and K3b cannot rate it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import duckdb
import pytest

from assets.runtime import first_calendar_day
from orchestration.definitions import build_definitions
from orchestration.in_process import QUIET
from orchestration.jobs import HOURLY_INCREMENTAL
from resources.connectors.sdk.stream import Stream
from resources.settings import Settings
from tests.orchestration.small import MemoryConnector, small_runtime

NOW = datetime(2026, 5, 18, 10, tzinfo=UTC)
ORDERS = Stream(
    name="orders", path="/orders", entities=("order",), keys=("order_external_id",), change_tracking="full_snapshot"
)


def order(external_id: str, ordered_at: datetime) -> dict[str, Any]:
    """An order row that keeps its contract."""
    return {
        "order_external_id": external_id,
        "channel_code": "web-fr",
        "order_number": external_id,
        "ordered_at": ordered_at,
        "status": "delivered",
        "currency_code": "EUR",
        "total_minor": 1000,
        "shipping_minor": 0,
        "fee_minor": 0,
        "discount_minor": 0,
        "fulfilment_method": "ship",
        "fulfilled_by": "retailer",
    }


@pytest.mark.parametrize(
    ("first_order_at", "first_day"),
    [
        (None, date(2025, 4, 13)),
        (NOW - timedelta(days=3), date(2025, 4, 13)),
        (datetime(2023, 1, 2, 0, 30, tzinfo=UTC), date(2023, 1, 1)),
        (datetime(1970, 1, 1, tzinfo=UTC), date(2020, 5, 13)),
    ],
    ids=[
        "no order: 400 days",
        "young shop: 400 days",
        "the oldest order's day and the one before",
        "six years at most",
    ],
)
def test_the_calendar_begins_with_the_oldest_order(first_order_at: datetime | None, first_day: date) -> None:
    assert first_calendar_day(NOW, first_order_at) == first_day


def test_the_first_run_of_an_old_shop_has_a_calendar_for_its_oldest_order(settings: Settings) -> None:
    old = NOW - timedelta(days=900)
    shop = MemoryConnector("shop_fr", (ORDERS,), [order("1", old), order("2", NOW - timedelta(days=1))])
    runtime = small_runtime(replace(settings, now=NOW), shop_fr=shop)
    job = build_definitions(runtime, publications=()).resolve_job_def(HOURLY_INCREMENTAL)
    with dg.DagsterInstance.ephemeral() as instance:
        assert job.execute_in_process(instance=instance, run_config=QUIET).success
    with duckdb.connect(str(settings.warehouse_path), read_only=True) as con:
        uncovered = con.execute(
            "select count(*) from canonical.\"order\" as o left join retailer.location_day as d on d.location_code = 'WH1'"
            " and o.ordered_at >= d.day_start_at and o.ordered_at < d.day_end_at where d.local_date is null"
        ).fetchone()
        orders = con.execute('select count(*) from canonical."order"').fetchone()
    assert (orders, uncovered) == ((2,), (0,))
