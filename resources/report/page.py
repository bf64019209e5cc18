"""Puts the report page together: data, charts and words into one HTML file that needs no network."""

from __future__ import annotations

import json
import os
from datetime import date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import jinja2
import vl_convert

from resources.report.charts import breakdown_chart, trend_chart
from resources.report.data import Kpi, ReportData, read_report_data
from resources.report.words import COLUMNS, LANGUAGES, REASONS, label, word

_NARROW_SPACE = "\u202f"


def build_report(
    bi_path: Path, out_path: Path, *, time_zone: str = "Europe/Paris", cache_dir: Path | None = None
) -> Path:
    """Write the report of the published database to ``out_path`` (renamed into place when whole) and return it.

    ``time_zone`` is that of the shown instants. ``cache_dir`` keeps the chart library's JavaScript between runs: making
    it costs two CPU-seconds.
    """
    data = read_report_data(bi_path)
    html = render(data, script=_chart_library(cache_dir), time_zone=time_zone)
    out_path.parent.mkdir(parents=True, exist_ok=True)
    temporary = out_path.with_suffix(".tmp")
    temporary.write_text(html, encoding="utf-8")
    os.replace(temporary, out_path)
    return out_path


def render(data: ReportData, *, script: str, time_zone: str) -> str:
    """The page as HTML text."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
    )
    zone = ZoneInfo(time_zone)
    environment.filters.update(
        share=_share,
        count=_count,
        cell=lambda value, language, column="": _cell(value, language, zone, column),
        column=lambda code, language: label(COLUMNS, code, language),
        reason=lambda code, language: label(REASONS, code, language),
    )
    charts: dict[str, dict[str, Any]] = {}
    for kpi in data.kpis:
        for kind, chart in (("trend", trend_chart(kpi)), ("breakdown", breakdown_chart(kpi))):
            if chart is not None:
                charts[f"{kpi.kpi_code}-{kind}"] = chart
    return environment.get_template("template.html.j2").render(
        data=data,
        languages=LANGUAGES,
        word=word,
        charts=charts,
        charts_json=_script_safe(json.dumps(charts, ensure_ascii=False, separators=(",", ":"))),
        script=script.replace("</script", "<\\/script"),
        status_word=_status_word,
    )


def _chart_library(cache_dir: Path | None) -> str:
    if cache_dir is None:
        return _bundle()
    cached = cache_dir / f"vega-{version('vl-convert-python')}.js"
    if not cached.exists():
        cache_dir.mkdir(parents=True, exist_ok=True)
        temporary = cached.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(_bundle(), encoding="utf-8")
        os.replace(temporary, cached)
    return cached.read_text(encoding="utf-8")


def _bundle() -> str:
    # The published stub asks for a snippet, which is optional.
    return str(vl_convert.javascript_bundle())  # type: ignore[call-arg]


def _script_safe(text: str) -> str:
    """JSON that may stand inside a script element, whatever product names it holds."""
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _status_word(kpi: Kpi, language: str) -> str:
    return word({"alert": "status_alert"}.get(kpi.status, kpi.status), language)


def _share(value: float | None, language: str, digits: int = 1) -> str:
    if value is None:
        return "–"
    text = f"{value * 100:.{digits}f}"
    return text.replace(".", ",") + "\u00a0%" if language == "fr" else text + "%"


def _count(value: int | None, language: str) -> str:
    if value is None:
        return "–"
    return f"{value:,}".replace(",", _NARROW_SPACE if language == "fr" else ",")


def _money(minor: int, language: str) -> str:
    """Minor units with two decimals. Every currency of the retailer model has two."""
    sign = "-" if minor < 0 else ""
    whole, cents = divmod(abs(minor), 100)
    decimal = "," if language == "fr" else "."
    return f"{sign}{_count(whole, language)}{decimal}{cents:02d}"


def _cell(value: Any, language: str, zone: ZoneInfo, column: str = "") -> str:
    if value is None:
        return "–"
    if column.endswith("_minor") and isinstance(value, int):
        return _money(value, language)
    if isinstance(value, bool):
        return ("oui" if value else "non") if language == "fr" else ("yes" if value else "no")
    if isinstance(value, int):
        return _count(value, language)
    if isinstance(value, datetime):
        return value.astimezone(zone).strftime("%d/%m/%Y %H:%M" if language == "fr" else "%Y-%m-%d %H:%M")
    if isinstance(value, date):
        return value.strftime("%d/%m/%Y" if language == "fr" else "%Y-%m-%d")
    return str(value)
