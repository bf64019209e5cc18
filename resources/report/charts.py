"""The report's charts as Vega-Lite specifications. Titles and words stay in the page, so that one chart serves both languages."""

from __future__ import annotations

from typing import Any

import altair as alt

from resources.report.data import Kpi

INK, MUTED, GRID = "#1f2933", "#616e7c", "#e4e7eb"
LINE, GOOD, ALERT = "#1d4ed8", "#15803d", "#b91c1c"
_CONFIG: dict[str, Any] = {
    "font": "system-ui, sans-serif",
    "background": "transparent",
    "view": {"stroke": None},
    "axis": {
        "labelColor": MUTED,
        "gridColor": GRID,
        "domain": False,
        "ticks": False,
        "labelFontSize": 11,
        "title": None,
    },
}


def trend_chart(kpi: Kpi) -> dict[str, Any] | None:
    """The KPI by day as a line, with target and alert as rules; None with fewer than two days."""
    if kpi.trend.height < 2:
        return None
    days = alt.InlineData(
        values=[
            {"day": row["day"].isoformat(), "value": row["value"], "n": row["numerator"], "d": row["denominator"]}
            for row in kpi.trend.iter_rows(named=True)
        ]
    )
    line = (
        alt.Chart(days)
        .mark_line(color=LINE, strokeWidth=1.8, point=alt.OverlayMarkDef(size=14, color=LINE))
        .encode(
            x=alt.X("day:T", axis=alt.Axis(format="%d/%m", tickCount=8, grid=False)),
            y=alt.Y("value:Q", axis=alt.Axis(format=".0%", tickCount=4), scale=alt.Scale(zero=False, nice=True)),
            tooltip=[
                alt.Tooltip("day:T", format="%d/%m/%Y", title="jour / day"),
                alt.Tooltip("value:Q", format=".2%", title="valeur / value"),
                alt.Tooltip("n:Q", format=",", title="n"),
                alt.Tooltip("d:Q", format=",", title="/"),
            ],
        )
    )
    layers = [
        line,
        *(_rule(level, colour) for level, colour in ((kpi.target, GOOD), (kpi.alert, ALERT)) if level is not None),
    ]
    return _finish(alt.layer(*layers), height=150)


def breakdown_chart(kpi: Kpi) -> dict[str, Any] | None:
    """The KPI by location or channel as bars, worst first; None without a row."""
    if kpi.breakdown.is_empty():
        return None
    bars = alt.InlineData(
        values=[
            {"code": row["code"], "value": row["value"], "n": row["numerator"], "d": row["denominator"]}
            for row in kpi.breakdown.iter_rows(named=True)
        ]
    )
    order: Any = "ascending" if kpi.is_high_better else "descending"
    base = alt.Chart(bars).encode(
        y=alt.Y("code:N", sort=alt.EncodingSortField("value", order=order), axis=alt.Axis(labelLimit=110)),
        x=alt.X("value:Q", axis=alt.Axis(format=".0%", tickCount=4), scale=alt.Scale(domainMin=0)),
        tooltip=[
            alt.Tooltip("code:N", title="code"),
            alt.Tooltip("value:Q", format=".2%", title="valeur / value"),
            alt.Tooltip("n:Q", format=",", title="n"),
            alt.Tooltip("d:Q", format=",", title="/"),
        ],
    )
    chart = base.mark_bar(color=LINE, opacity=0.75, height={"band": 0.7}) + base.mark_text(
        align="left", dx=4, color=INK, fontSize=11
    ).encode(text=alt.Text("value:Q", format=".1%"))
    return _finish(chart, height=max(60, 19 * kpi.breakdown.height))


def _rule(level: float, colour: str) -> alt.Chart:
    rule: alt.Chart = (
        alt.Chart(alt.InlineData(values=[{"level": level}]))
        .mark_rule(color=colour, strokeDash=[4, 3], strokeWidth=1.2)
        .encode(y="level:Q")
    )
    return rule


def _finish(chart: alt.LayerChart | alt.FacetChart, *, height: int) -> dict[str, Any]:
    specification: dict[str, Any] = chart.properties(width="container", height=height).configure(**_CONFIG).to_dict()
    return specification
