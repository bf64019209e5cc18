"""The declared retailer as the tables that SQL reads."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl

from resources.retailer_tables import TABLES, retailer_frames
from tests.retailer.declared import retailer

FRAMES = retailer_frames(retailer(), first_day=date(2026, 3, 28), last_day=date(2026, 4, 4))


def test_every_table_has_its_declared_columns() -> None:
    assert {name: dict(frame.schema) for name, frame in FRAMES.items()} == {
        name: dict(pl.Schema(columns)) for name, columns in TABLES.items()
    }


def test_one_row_per_location_and_day() -> None:
    days = FRAMES["location_day"]
    assert days.height == 13 * 8
    assert not days.select("location_code", "local_date").is_duplicated().any()
    row = days.row(
        by_predicate=(pl.col("location_code") == "S03") & (pl.col("local_date") == date(2026, 4, 3)), named=True
    )
    assert row["is_working_day"] is False
    assert row["opens_at"] is None
    short = days.row(
        by_predicate=(pl.col("location_code") == "WH1") & (pl.col("local_date") == date(2026, 3, 29)), named=True
    )
    assert short["day_start_at"] == datetime(2026, 3, 28, 23, tzinfo=UTC)
    assert short["day_end_at"] == datetime(2026, 3, 29, 22, tzinfo=UTC)


def test_a_channel_of_stores_publishes_no_stock() -> None:
    stores = FRAMES["channel"].row(by_predicate=pl.col("channel_code") == "stores-fr", named=True)
    assert stores["safety_stock_qty"] is None
    assert stores["ships_from_code"] is None
    assert stores["is_order_acknowledged"] is False


def test_master_rules_are_ranked() -> None:
    rules = FRAMES["master_rule"].filter((pl.col("entity") == "product") & (pl.col("attribute") == "name"))
    assert rules.select("scope_kind", "scope_code", "rank", "system_code").rows() == [
        ("everywhere", None, 1, "shop_fr"),
        ("everywhere", None, 2, "shop_be"),
        ("everywhere", None, 3, "erp"),
    ]


def test_thresholds_are_exact() -> None:
    k4 = FRAMES["kpi_threshold"].row(by_predicate=pl.col("kpi_code") == "k4", named=True)
    assert k4["target_pct"] == Decimal("99.500")
    assert k4["window_days"] is None
