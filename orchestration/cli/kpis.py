"""`etalon kpis`: the published values against their targets."""

from __future__ import annotations

import typer
from rich.markup import escape

from assets.blind_spots import kpi_blind_spots
from assets.kpis import sparkline, standing
from assets.runtime import build_runtime
from orchestration.cli.environment import open_settings
from orchestration.cli.terminal import console, table
from resources.contracts.currencies import minor_exponent
from resources.errors import ConfigurationError, Where
from resources.report.data import open_published
from resources.retailer import load_retailer

_COLOURS = {"on target": "green", "watch": "yellow", "alert": "bold red", "not measurable": "dim"}


def kpis(
    kpi: str = typer.Argument("", help="One KPI: k1a, k1b, k2, k3a, k3b or k4; all when left out.", metavar="[KPI]"),
    every: bool = typer.Option(False, "--all", help="Every measure, not only those that have a target."),
    by: str = typer.Option(
        "all", help="Break down by: company, channel, location, carrier, category or parity_group.", metavar="DIMENSION"
    ),
) -> None:
    """Show the KPIs as published: value, target, how much was left out. Never blocks a run, and no run blocks it.

    \b
    Examples:
      etalon kpis
      etalon kpis --all
      etalon kpis k1b --by channel
      etalon kpis k2 --by location
    """
    settings = open_settings()
    if not settings.bi_path.is_file():
        raise ConfigurationError(
            "nothing has been published yet",
            where=Where(file=str(settings.bi_path)),
            action="run `etalon run --full` first",
        )
    currency = load_retailer(settings.retailer_path, settings.variables).identity.currency
    with open_published(settings.bi_path) as con:
        rows = con.execute(
            """SELECT v.kpi_code, v.measure, c.name_en, v.dimension_code, v.unit, v.numerator, v.denominator, v.value,
                      c.target, c.alert, c.better, v.not_measurable_reason
               FROM kpis.kpi_value AS v
               INNER JOIN kpis.kpi_catalog AS c ON v.kpi_code = c.kpi_code AND v.measure = c.measure
               WHERE v.period_kind = 'all' AND v.dimension_kind = $dimension AND $kpi IN ('', v.kpi_code)
                     AND ($every OR c.target IS NOT NULL)
               ORDER BY v.kpi_code, v.measure, v.dimension_code""",
            {"dimension": by, "kpi": kpi, "every": every},
        ).fetchall()
        trend = con.execute(
            """SELECT kpi_code, measure, dimension_code, list(value ORDER BY period_start_on)
               FROM kpis.kpi_value
               WHERE period_kind = 'day' AND dimension_kind = $dimension AND value IS NOT NULL
               GROUP BY kpi_code, measure, dimension_code""",
            {"dimension": by},
        ).fetchall()
        as_of = con.execute("SELECT max(data_as_of_at) FROM kpis.kpi_value").fetchone()
    if not rows:
        raise ConfigurationError(
            f"no value of {kpi or 'any KPI'} by {by}",
            action="docs/kpis.md says which dimensions each measure has; --all shows those without a target too",
        )
    lines = {(code, measure, dimension): values for code, measure, dimension, values in trend}
    shown = table(
        f"KPIs as of {as_of[0]:%Y-%m-%d %H:%M} UTC" if as_of and as_of[0] else "KPIs",
        "KPI", "measure", by, "value", "of", "target", "standing", "trend",
        right=("value", "of", "target"),
    )  # fmt: skip
    for code, measure, name, dimension, unit, numerator, denominator, value, target, alert, better, reason in rows:
        word = reason or standing(value, target, alert, better)
        colour = _COLOURS.get("not measurable" if reason else word)
        shown.add_row(
            code,
            escape(name),
            escape(dimension),
            formatted(value, unit, currency),
            f"{numerator} / {denominator}" if denominator is not None else "",
            formatted(target, unit, currency) if target is not None else "",
            f"[{colour}]{word}[/]" if colour else word,
            sparkline(lines.get((code, measure, dimension), [])[-20:]),
        )
    console.print(shown)
    if kpi:
        runtime = build_runtime(settings)
        spots = kpi_blind_spots(runtime.project, runtime.connectors).get(kpi, ())
        if spots:
            console.print(f"What {kpi} cannot see, since its sources do not show it:")
        for spot in spots:
            console.print(f"  [dim]{spot.system_code} {spot.stream}:[/] {escape(spot.text)}")


def formatted(value: float | None, unit: str, currency: str = "EUR") -> str:
    """A value in the words of its unit: shares in percent, durations in hours, money in major units of ``currency``."""
    if value is None:
        return "–"
    if unit == "ratio":
        return f"{value:.2%}"
    if unit == "seconds":
        return f"{value / 3600:.1f} h"
    if unit == "minor":
        digits = minor_exponent(currency)
        return f"{value / 10**digits:,.{digits}f}"
    if unit == "basis_points":
        return f"{value / 100:.2f} %"
    return f"{value:,.0f}"
