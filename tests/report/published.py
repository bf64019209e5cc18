"""A small published database, with just the tables that the report reads."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import duckdb

AS_OF = "2026-05-18 10:00:00+00"
KPIS = {
    "k1a": ("ira_0", "location", ["WH1", "S01", "S03"], "high", 0.97, 0.90),
    "k1b": ("exact", "channel", ["web-fr", "web-be"], "high", 0.99, 0.95),
    "k2": ("on_time_units", "location", ["WH1", "S01"], "high", 0.95, 0.90),
    "k3a": ("cohort_units", "channel", ["web-fr", "web-be", "stores-fr"], "low", 0.08, 0.12),
    "k3b": ("refund_on_time", "channel", ["web-fr", "web-be"], "high", 0.98, 0.95),
    "k4": ("conformance", "channel", ["web-fr", "stores-fr"], "high", 0.995, 0.98),
}


def publish_sample(path: Path, *, days: int = 30, nasty_name: str = "Bougie </script><b>x</b>") -> Path:
    """Six KPIs over ``days`` days; k3b is not measurable; the first work list holds ``nasty_name``."""
    connection = duckdb.connect(str(path))
    connection.execute("SET TimeZone = 'UTC'; CREATE SCHEMA kpis")
    connection.execute(
        """CREATE TABLE kpis.kpi_catalog (kpi_code VARCHAR, measure VARCHAR, name_en VARCHAR, name_fr VARCHAR, meaning_en VARCHAR,
           meaning_fr VARCHAR, formula VARCHAR, better VARCHAR, target DOUBLE, alert DOUBLE, kpi_version INTEGER);
           CREATE TABLE kpis.kpi_value (kpi_code VARCHAR, measure VARCHAR, period_kind VARCHAR, period_start_on DATE,
           dimension_kind VARCHAR, dimension_code VARCHAR, numerator BIGINT, denominator BIGINT, value DOUBLE,
           coverage_numerator BIGINT, coverage_denominator BIGINT, not_measurable_reason VARCHAR, data_as_of_at TIMESTAMPTZ);
           CREATE TABLE kpis.kpi_exclusion (kpi_code VARCHAR, measure VARCHAR, dimension_kind VARCHAR, dimension_code VARCHAR,
           reason VARCHAR, excluded_qty BIGINT)"""
    )
    for number, (code, (measure, kind, members, better, target, alert)) in enumerate(KPIS.items()):
        connection.execute(
            "INSERT INTO kpis.kpi_catalog VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)",
            [
                code,
                measure,
                f"{code} name",
                f"{code} nom",
                "What it means.",
                "Ce que cela dit.",
                "a / b",
                better,
                target,
                alert,
            ],
        )
        rows = [("all", date(1970, 1, 1), "all", "all", 900 + 10 * number, 1000)]
        rows += [("all", date(1970, 1, 1), kind, member, 90 + i, 100) for i, member in enumerate(members)]
        rows += [("day", date(2026, 5, 17) - timedelta(days=i), "all", "all", 90 + i % 9, 100) for i in range(days)]
        for period, start, dimension, member, numerator, denominator in rows:
            missing = code == "k3b" and period == "all"
            connection.execute(
                "INSERT INTO kpis.kpi_value VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    code, measure, period, start, dimension, member, numerator, denominator,
                    None if missing else numerator / denominator, 60 if missing else denominator, denominator,
                    "low_coverage" if missing else None, AS_OF,
                ],
            )  # fmt: skip
        connection.execute(
            f"""CREATE TABLE kpis.{code}_worklist AS SELECT i::BIGINT AS work_rank, 'SKU-' || i AS sku, ? AS name, 10 - i AS units_at_risk,
                TIMESTAMPTZ '{AS_OF}' AS observed_at FROM range(1, 4) AS r(i)""",
            [nasty_name],
        )
    connection.execute("INSERT INTO kpis.kpi_exclusion VALUES ('k1a', 'ira_0', 'all', 'all', 'count_on_suspicion', 12)")
    connection.close()
    return path
