"""The declared retailer as the tables that SQL reads in schema ``retailer``. Shapes only; no rule is applied here."""

from __future__ import annotations

from datetime import date

import polars as pl

from resources.calendars import local_days, working_days
from resources.retailer.model import Retailer

_INSTANT = pl.Datetime("us", "UTC")
_PERCENT = pl.Decimal(6, 3)

# Table -> column -> type, in stored order.
TABLES: dict[str, dict[str, pl.DataType | type[pl.DataType]]] = {
    "company": {"company_code": pl.String, "name": pl.String, "country_code": pl.String},
    "location": {
        "location_code": pl.String,
        "name": pl.String,
        "kind": pl.String,
        "company_code": pl.String,
        "gln": pl.String,
        "time_zone": pl.String,
        "calendar_code": pl.String,
        "handling_working_days": pl.Int64,
    },
    "channel": {
        "channel_code": pl.String,
        "name": pl.String,
        "kind": pl.String,
        "company_code": pl.String,
        "system_code": pl.String,
        "time_zone": pl.String,
        "currency_code": pl.String,
        "tax_territory": pl.String,
        "price_list_code": pl.String,
        "ships_from_code": pl.String,
        "safety_stock_qty": pl.Int64,
        "cap_qty": pl.Int64,
        "sync_promise_minutes": pl.Int64,
        "stock_stale_after_minutes": pl.Int64,
        "is_order_acknowledged": pl.Boolean,
    },
    "channel_stock_location": {"channel_code": pl.String, "location_code": pl.String},
    "system": {
        "system_code": pl.String,
        "kind": pl.String,
        "role": pl.String,
        "company_code": pl.String,
        "time_zone": pl.String,
    },
    "master_rule": {
        "entity": pl.String,
        "attribute": pl.String,
        "scope_kind": pl.String,
        "scope_code": pl.String,
        "rank": pl.Int64,
        "system_code": pl.String,
    },
    "parity_group": {"parity_group_code": pl.String, "channel_code": pl.String},
    "kpi_threshold": {
        "kpi_code": pl.String,
        "target_pct": _PERCENT,
        "alert_pct": _PERCENT,
        "minimum_coverage_pct": _PERCENT,
        "window_days": pl.Int64,
        "tolerance_pct": _PERCENT,
        "legal_refund_days": pl.Int64,
    },
    "location_day": {
        "location_code": pl.String,
        "local_date": pl.Date,
        "day_start_at": _INSTANT,
        "day_end_at": _INSTANT,
        "is_working_day": pl.Boolean,
        "working_day_index": pl.Int64,
        "opens_at": _INSTANT,
        "closes_at": _INSTANT,
        "cut_off_at": _INSTANT,
        "working_seconds_before": pl.Int64,
    },
    "channel_day": {
        "channel_code": pl.String,
        "local_date": pl.Date,
        "day_start_at": _INSTANT,
        "day_end_at": _INSTANT,
    },
}


def retailer_frames(retailer: Retailer, *, first_day: date, last_day: date) -> dict[str, pl.DataFrame]:
    """Every table of :data:`TABLES` by name; ``location_day`` and ``channel_day`` run from first to last day, both in.

    ``master_rule`` holds rules as declared: `default` stands for every attribute without a rule; ``scope_code`` is null
    where ``scope_kind`` is `everywhere`; rank 1 is believed first.
    """
    rows: dict[str, list[tuple[object, ...]]] = {
        "company": [(c.code, c.name, c.country) for c in retailer.companies],
        "location": [
            (x.code, x.name, x.kind, x.company, x.gln, x.time_zone, x.calendar, x.handling_working_days)
            for x in retailer.locations
        ],
        "channel": [
            (
                c.code,
                c.name,
                c.kind,
                c.company,
                c.system,
                c.time_zone,
                c.currency,
                c.tax_territory,
                c.price_list,
                c.ships_from,
                c.safety_stock_qty,
                c.cap_qty,
                c.sync_promise_minutes,
                c.stock_stale_after_minutes,
                c.is_order_acknowledged,
            )
            for c in retailer.channels
        ],
        "channel_stock_location": [(c.code, location) for c in retailer.channels for location in c.stock_locations],
        "system": [(s.code, s.kind, s.role, s.company, s.time_zone) for s in retailer.systems],
        "master_rule": [
            (rule.entity, rule.attribute, rule.scope_kind, rule.scope_code, rank, system)
            for rule in retailer.masters
            for rank, system in enumerate(rule.systems, start=1)
        ],
        "parity_group": [(group.code, channel) for group in retailer.parity_groups for channel in group.channels],
        "kpi_threshold": [
            (
                code,
                k.target_pct,
                k.alert_pct,
                k.minimum_coverage_pct,
                k.window_days,
                k.tolerance_pct,
                k.legal_refund_days,
            )
            for code, k in retailer.kpis.items()
        ],
        "location_day": _location_days(retailer, first_day, last_day),
        "channel_day": [
            (channel.code, day.local_date, day.starts_at, day.ends_at)
            for channel in retailer.channels
            for day in local_days(channel.time_zone, first_day, last_day)
        ],
    }
    return {
        name: pl.DataFrame(table, schema=TABLES[name], orient="row", infer_schema_length=None)
        for name, table in rows.items()
    }


def _location_days(retailer: Retailer, first_day: date, last_day: date) -> list[tuple[object, ...]]:
    """Days are worked out once per (calendar, zone): most stores share theirs."""
    known: dict[tuple[str, str], list[tuple[object, ...]]] = {}
    rows: list[tuple[object, ...]] = []
    for location in retailer.locations:
        key = (location.calendar, location.time_zone)
        if key not in known:
            known[key] = [
                (
                    day.local_date,
                    day.starts_at,
                    day.ends_at,
                    day.is_working_day,
                    day.working_day_index,
                    day.opens_at,
                    day.closes_at,
                    day.cut_off_at,
                    day.working_seconds_before,
                )
                for day in working_days(retailer.calendar_of(location), location.time_zone, first_day, last_day)
            ]
        rows += [(location.code, *day) for day in known[key]]
    return rows
