"""What the report shows, read from the published database. No drawing and no words here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import duckdb
import polars as pl

Status = Literal["good", "watch", "alert", "not_measurable"]

# The measure each KPI is judged by, and the dimension its bar chart is broken down by.
HEADLINES: tuple[tuple[str, str, str], ...] = (
    ("k1a", "ira_0", "location"),
    ("k1b", "exact", "channel"),
    ("k2", "on_time_units", "location"),
    ("k3a", "cohort_units", "channel"),
    ("k3b", "refund_on_time", "channel"),
    ("k4", "conformance", "channel"),
)


@dataclass(frozen=True)
class WorkList:
    """The top of a work list. ``rows`` are as the table orders them; ``total_qty`` counts all of them."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    total_qty: int


@dataclass(frozen=True)
class Kpi:
    """One KPI as the report shows it. Shares are 0..1; ``trend`` and ``breakdown``: day, code, value, numerator, denominator."""

    kpi_code: str
    measure: str
    names: dict[str, str]
    meanings: dict[str, str]
    formula: str
    is_high_better: bool
    target: float | None
    alert: float | None
    version: int
    value: float | None
    numerator: int | None
    denominator: int | None
    coverage: float | None
    not_measurable_reason: str | None
    trend: pl.DataFrame
    breakdown_kind: str
    breakdown: pl.DataFrame
    exclusions: tuple[tuple[str, int], ...]
    work_list: WorkList

    @property
    def status(self) -> Status:
        """Where the value stands against target and alert; never good without a value."""
        if self.value is None:
            return "not_measurable"
        sign = 1 if self.is_high_better else -1
        if self.target is not None and sign * self.value >= sign * self.target:
            return "good"
        if self.alert is not None and sign * self.value <= sign * self.alert:
            return "alert"
        return "watch"


@dataclass(frozen=True)
class ReportData:
    """Everything on the page. ``as_of_at`` is the run's clock, UTC."""

    as_of_at: datetime
    kpis: tuple[Kpi, ...]


@contextmanager
def open_published(bi_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A fresh in-memory connection with the published file attached read-only as ``bi``, and used.

    Each call attaches anew: within one process DuckDB would otherwise go on showing the copy it opened first.
    """
    connection = duckdb.connect()
    try:
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        connection.execute(f"ATTACH '{str(bi_path).replace(chr(39), chr(39) * 2)}' AS bi (READ_ONLY); USE bi")
        yield connection
    finally:
        connection.close()


def read_report_data(bi_path: Path, *, work_list_rows: int = 10) -> ReportData:
    """Read all the report shows. Raises duckdb.Error when the file is not a published Étalon database."""
    with open_published(bi_path) as connection:
        row = connection.execute("SELECT max(data_as_of_at) FROM kpis.kpi_value").fetchone()
        if row is None or row[0] is None:
            raise ValueError(f"{bi_path} holds no KPI value: run `etalon run` first")
        kpis = tuple(_read_kpi(connection, *headline, work_list_rows) for headline in HEADLINES)
        return ReportData(as_of_at=row[0], kpis=kpis)


def _read_kpi(
    connection: duckdb.DuckDBPyConnection, kpi_code: str, measure: str, breakdown_kind: str, work_list_rows: int
) -> Kpi:
    catalog = _one(
        connection,
        """SELECT name_en, name_fr, meaning_en, meaning_fr, formula, better, target, alert, kpi_version
           FROM kpis.kpi_catalog WHERE kpi_code = ? AND measure = ?""",
        [kpi_code, measure],
    )
    if catalog is None:
        raise ValueError(f"kpis.kpi_catalog has no row for {kpi_code} {measure}")
    headline = _one(
        connection,
        """SELECT value, numerator, denominator, coverage_numerator, coverage_denominator, not_measurable_reason
           FROM kpis.kpi_value
           WHERE kpi_code = ? AND measure = ? AND period_kind = 'all' AND dimension_kind = 'all'""",
        [kpi_code, measure],
    ) or (None, None, None, None, None, "no_observation")
    value, numerator, denominator, covered, coverable, reason = headline
    return Kpi(
        kpi_code=kpi_code,
        measure=measure,
        names={"en": catalog[0], "fr": catalog[1]},
        meanings={"en": catalog[2], "fr": catalog[3]},
        formula=catalog[4],
        is_high_better=catalog[5] == "high",
        target=catalog[6],
        alert=catalog[7],
        version=catalog[8],
        value=value,
        numerator=numerator,
        denominator=denominator,
        coverage=covered / coverable if coverable else None,
        not_measurable_reason=reason,
        trend=_values(connection, kpi_code, measure, "day", "all"),
        breakdown_kind=breakdown_kind,
        breakdown=_values(connection, kpi_code, measure, "all", breakdown_kind),
        exclusions=_exclusions(connection, kpi_code, measure),
        work_list=_work_list(connection, f"kpis.{kpi_code}_worklist", work_list_rows),
    )


def _one(connection: duckdb.DuckDBPyConnection, sql: str, parameters: list[Any]) -> tuple[Any, ...] | None:
    row: tuple[Any, ...] | None = connection.execute(sql, parameters).fetchone()
    return row


def _values(
    connection: duckdb.DuckDBPyConnection, kpi_code: str, measure: str, period_kind: str, dimension_kind: str
) -> pl.DataFrame:
    rows = connection.execute(
        """SELECT period_start_on, dimension_code, value, numerator, denominator
           FROM kpis.kpi_value
           WHERE kpi_code = ? AND measure = ? AND period_kind = ? AND dimension_kind = ? AND value IS NOT NULL
           ORDER BY period_start_on, dimension_code""",
        [kpi_code, measure, period_kind, dimension_kind],
    ).fetchall()
    return pl.DataFrame(
        rows,
        schema={"day": pl.Date, "code": pl.String, "value": pl.Float64, "numerator": pl.Int64, "denominator": pl.Int64},
        orient="row",
    )


def _exclusions(connection: duckdb.DuckDBPyConnection, kpi_code: str, measure: str) -> tuple[tuple[str, int], ...]:
    rows = connection.execute(
        """SELECT reason, excluded_qty FROM kpis.kpi_exclusion
           WHERE kpi_code = ? AND measure = ? AND dimension_kind = 'all' AND excluded_qty > 0
           ORDER BY excluded_qty DESC, reason""",
        [kpi_code, measure],
    ).fetchall()
    return tuple((str(reason), int(qty)) for reason, qty in rows)


def _work_list(connection: duckdb.DuckDBPyConnection, table: str, limit: int) -> WorkList:
    cursor = connection.execute(f"SELECT * FROM {table} ORDER BY work_rank LIMIT {limit}")
    columns = tuple(column[0] for column in cursor.description or ())
    rows = tuple(tuple(row) for row in cursor.fetchall())
    total = _one(connection, f"SELECT count(*) FROM {table}", [])
    return WorkList(columns=columns, rows=rows, total_qty=int(total[0]) if total else 0)
