"""Assets of the KPIs, of what channels should show, and of the marts: SQL models; KPIs with values, trend and exclusions as metadata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
import duckdb

from assets.blind_spots import kpi_blind_spots
from assets.runtime import Runtime
from assets.sql_models import has_models, markdown_table, schema_assets
from resources.sql_project import SqlModel

SCHEMAS = ("kpis", "channels", "marts")
TREND_DAYS = 30

_HEADLINES = """
SELECT v.kpi_code, v.measure, c.name_en, v.numerator, v.denominator, v.value, c.target, c.alert, c.better,
       v.not_measurable_reason
FROM kpis.kpi_value AS v
INNER JOIN kpis.kpi_catalog AS c ON v.kpi_code = c.kpi_code AND v.measure = c.measure
WHERE v.period_kind = 'all' AND v.dimension_kind = 'all' AND v.unit = 'ratio'
ORDER BY v.kpi_code, v.measure
"""
_TREND = """
SELECT kpi_code, measure, period_start_on, value
FROM kpis.kpi_value
WHERE period_kind = 'day' AND dimension_kind = 'all' AND unit = 'ratio' AND value IS NOT NULL
ORDER BY kpi_code, measure, period_start_on
"""
_EXCLUSIONS = """
SELECT kpi_code, measure, reason, excluded_qty
FROM kpis.kpi_exclusion
WHERE dimension_kind = 'all' AND excluded_qty > 0
ORDER BY kpi_code, measure, excluded_qty DESC, reason
"""

_BARS = "▁▂▃▄▅▆▇█"


def kpi_assets(runtime: Runtime) -> list[dg.AssetsDefinition]:
    """One step for the KPIs, one for what channels should show, one for the marts."""
    spots = kpi_blind_spots(runtime.project, runtime.connectors)

    def kpi_metadata(con: duckdb.DuckDBPyConnection, built: Sequence[SqlModel]) -> Mapping[str, Mapping[str, Any]]:
        """What the tables say, and beside each KPI's values what they cannot see."""
        found = {name: dict(shown) for name, shown in _kpi_metadata(con, built).items()}
        for model in built:
            known = sorted({spot for measure in model.measures for spot in spots[measure.kpi_code]})
            if known:
                rows = [(spot.system_code, spot.stream, spot.text) for spot in known]
                table = markdown_table(("system", "stream", "cannot see"), rows)
                found.setdefault(model.name, {})["blind spots"] = dg.MetadataValue.md(table)
        return found

    extra = {"kpis": kpi_metadata}
    return [
        schema_assets(runtime, schema, extra_metadata=extra.get(schema))
        for schema in SCHEMAS
        if has_models(runtime.project, schema)
    ]


def sparkline(values: Sequence[float]) -> str:
    """A row of bars from the lowest value to the highest: text, since the UI removes drawings from metadata."""
    if not values:
        return ""
    low, high = min(values), max(values)
    span = high - low
    return "".join(
        _BARS[round((value - low) / span * (len(_BARS) - 1)) if span else len(_BARS) // 2] for value in values
    )


def standing(value: float | None, target: float | None, alert: float | None, better: str) -> str:
    """Where a value stands: `on target`, `watch`, `alert`; `not measurable` without a value, empty when it is not judged."""
    if value is None:
        return "not measurable"
    if target is None or alert is None:
        return ""
    sign = 1 if better == "high" else -1
    if sign * value >= sign * target:
        return "on target"
    return "alert" if sign * value <= sign * alert else "watch"


def _kpi_metadata(con: duckdb.DuckDBPyConnection, built: Sequence[SqlModel]) -> Mapping[str, Mapping[str, Any]]:
    """The table of headlines on `kpi_value`; on each KPI's own models, its shares as numbers, which the UI plots over time."""
    names = {model.name for model in built}
    if not {"kpis.kpi_value", "kpis.kpi_catalog", "kpis.kpi_exclusion"} <= names:
        return {}  # some models were built alone: what is in the tables is of an earlier run
    headlines = con.sql(_HEADLINES).fetchall()
    trends: dict[tuple[str, str], list[float]] = {}
    for code, measure, _, value in con.sql(_TREND).fetchall():
        trends.setdefault((code, measure), []).append(value)
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        own = [row for row in headlines if name.startswith(f"kpis.{row[0]}_")]
        shown = headlines if name == "kpis.kpi_value" else own
        if not shown:
            continue
        found[name] = {
            "values": dg.MetadataValue.md(_headline_table(shown, trends)),
            **{
                f"{row[0]} {row[1]} %": dg.MetadataValue.float(round(row[5] * 100, 3))
                for row in shown
                if row[5] is not None
            },
        }
    left_out = markdown_table(("KPI", "measure", "reason", "left out"), con.sql(_EXCLUSIONS).fetchall())
    found["kpis.kpi_exclusion"] = {"left out": dg.MetadataValue.md(left_out)}
    return found


def _headline_table(rows: Sequence[tuple[Any, ...]], trends: Mapping[tuple[str, str], Sequence[float]]) -> str:
    shown = [
        (
            code,
            name,
            "–" if value is None else f"{value:.2%}",
            f"{numerator} / {denominator}",
            "" if target is None else f"{target:.2%}",
            reason or standing(value, target, alert, better),
            sparkline(trends.get((code, measure), [])[-TREND_DAYS:]),
        )
        for code, measure, name, numerator, denominator, value, target, alert, better, reason in rows
    ]
    return markdown_table(("KPI", "measure", "value", "of", "target", "standing", f"last {TREND_DAYS} days"), shown)
