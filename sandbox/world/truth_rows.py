"""How figures are gathered: from rows with weights to KPI rows by period and dimension. No KPI is known here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

VALUE_COLUMNS = [
    "kpi_code",
    "measure",
    "period_kind",
    "period_start_on",
    "dimension_kind",
    "dimension_code",
    "numerator",
    "denominator",
]
EXCLUSION_COLUMNS = ["kpi_code", "measure", "dimension_kind", "dimension_code", "reason", "excluded_qty"]
EVERY = ("all", "company", "channel", "location", "carrier", "category")
Measures = dict[str, tuple[pl.Expr, pl.Expr | None]]
IN_TIME = ("all", "channel")


@dataclass
class Verdict:
    """One KPI's share of the truth."""

    values: pl.DataFrame
    exclusions: pl.DataFrame
    worklists: dict[str, pl.DataFrame] = field(default_factory=dict)


def as_json(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows with dates and instants as ISO text."""
    texts = [
        pl.col(name).dt.strftime("%Y-%m-%dT%H:%M:%SZ")
        if isinstance(dtype, pl.Datetime)
        else pl.col(name).dt.strftime("%Y-%m-%d")
        for name, dtype in frame.schema.items()
        if isinstance(dtype, pl.Datetime) or dtype == pl.Date
    ]
    return frame.with_columns(texts).to_dicts()


def groups(frame: pl.DataFrame, dimensions: Sequence[str], day: str | None) -> list[tuple[pl.DataFrame, str, str]]:
    """The frame once per period kind and dimension kind, with columns period_start_on and dimension_code."""
    found = []
    periods = ["all"] if day is None else ["all", "day", "month"]
    for period in periods:
        for dimension in dimensions:
            if period != "all" and dimension not in IN_TIME:
                continue
            start = pl.lit("1970-01-01").str.to_date()
            if period != "all" and day is not None:
                start = pl.col(day) if period == "day" else pl.col(day).dt.truncate("1mo")
            code = pl.lit("all") if dimension == "all" else pl.col(dimension).fill_null("unknown")
            rows = frame.with_columns(start.alias("period_start_on"), code.alias("dimension_code"))
            found.append(
                (rows if period == "all" or day is None else rows.filter(pl.col(day).is_not_null()), period, dimension)
            )
    return found


def only_rated(measures: Measures, is_rated: pl.Expr) -> Measures:
    """The same measures over rows of which some are left out for lack of data: these add nothing, but their groups are told."""

    def masked(expression: pl.Expr) -> pl.Expr:
        return pl.when(is_rated).then(expression.cast(pl.Int64)).otherwise(0)

    return {name: (masked(top), None if bottom is None else masked(bottom)) for name, (top, bottom) in measures.items()}


def rates(
    frame: pl.DataFrame,
    kpi: str,
    measures: Measures,
    *,
    dimensions: Sequence[str],
    day: str | None = None,
) -> pl.DataFrame:
    """KPI rows. `measures`: name -> (numerator, denominator or None for a sum), as expressions that are summed over the rows.

    `day`: column with the local day; None when the measure has no period but `all`.
    """
    found = []
    for rows, period, dimension in groups(frame, dimensions, day):
        sums = [
            expression.sum().cast(pl.Int64).alias(f"{measure}|{side}")
            for measure, pair in measures.items()
            for side, expression in zip(("n", "d"), pair, strict=True)
            if expression is not None
        ]
        grouped = rows.group_by("period_start_on", "dimension_code").agg(sums)
        for measure, (_, denominator) in measures.items():
            bottom = pl.col(f"{measure}|d") if denominator is not None else pl.lit(None, pl.Int64)
            found.append(_rows(grouped, kpi, measure, period, dimension, pl.col(f"{measure}|n"), bottom))
    return pl.concat(found)


def _rows(
    grouped: pl.DataFrame, kpi: str, measure: str, period: str, dimension: str, numerator: pl.Expr, denominator: pl.Expr
) -> pl.DataFrame:
    return grouped.select(
        pl.lit(kpi).alias("kpi_code"),
        pl.lit(measure).alias("measure"),
        pl.lit(period).alias("period_kind"),
        "period_start_on",
        pl.lit(dimension).alias("dimension_kind"),
        "dimension_code",
        numerator.alias("numerator"),
        denominator.alias("denominator"),
    ).sort("period_start_on", "dimension_code")


def percentiles(
    frame: pl.DataFrame,
    kpi: str,
    measure: str,
    *,
    seconds: str,
    weight: str,
    at: Sequence[int],
    dimensions: Sequence[str],
    day: str,
) -> pl.DataFrame:
    """Nearest-rank percentiles of `seconds`, weighted by units: the least one that at least P % of the units do not exceed."""
    found = []
    for rows, period, dimension in groups(frame.filter(pl.col(seconds).is_not_null()), dimensions, day):
        key = ["period_start_on", "dimension_code"]
        ranked = rows.sort(*key, seconds).with_columns(
            pl.col(weight).cum_sum().over(key).alias("_so_far"), pl.col(weight).sum().over(key).alias("_total")
        )
        for share in at:
            least = (
                ranked.filter(100 * pl.col("_so_far") >= share * pl.col("_total"))
                .group_by(key)
                .agg(pl.col(seconds).min().cast(pl.Int64).alias("p"))
            )
            found.append(
                _rows(least, kpi, f"{measure}_p{share}", period, dimension, pl.col("p"), pl.lit(None, pl.Int64))
            )
    return pl.concat(found)


def exclusions(
    frame: pl.DataFrame, kpi: str, measure: str, *, weight: pl.Expr | None = None, dimensions: Sequence[str]
) -> pl.DataFrame:
    """Exclusion rows from the frame's `reason` column (null: rated). `weight`: units of a row, 1 by default."""
    left_out = frame.filter(pl.col("reason").is_not_null()).with_columns(
        (pl.lit(1, pl.Int64) if weight is None else weight).alias("_weight")
    )
    found = []
    for dimension in dimensions:
        code = pl.lit("all") if dimension == "all" else pl.col(dimension).fill_null("unknown")
        found.append(
            left_out.with_columns(code.alias("dimension_code"))
            .group_by("dimension_code", "reason")
            .agg(pl.col("_weight").sum().cast(pl.Int64).alias("excluded_qty"))
            .select(
                pl.lit(kpi).alias("kpi_code"),
                pl.lit(measure).alias("measure"),
                pl.lit(dimension).alias("dimension_kind"),
                "dimension_code",
                "reason",
                "excluded_qty",
            )
            .sort("dimension_code", "reason")
        )
    return pl.concat(found)
