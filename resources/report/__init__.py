"""The KPI report: one self-contained HTML page, in French and English, made from the published `bi.duckdb`.

`build_report` is the way in. `data` reads, `charts` draws (Vega-Lite), `words` holds both languages, `page` puts it together.
"""

from resources.report.page import build_report

__all__ = ["build_report"]
