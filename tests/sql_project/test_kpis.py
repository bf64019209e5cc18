"""One KPI is one file: its measures and values are put together from there, and a mistake in them is told."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from resources.errors import ConfigurationError
from resources.sql_project import load_project

SQL = """select 'k5' as kpi_code, 'gtin_valid' as measure, 'all' as period_kind, date '1970-01-01' as period_start_on,
    'all' as dimension_kind, 'all' as dimension_code, 1 as numerator, 2 as denominator,
    2 as coverage_numerator, 2 as coverage_denominator"""
YML = """
description: "Grain: one row."
columns:
  {kpi_code: x, measure: x, period_kind: x, period_start_on: x, dimension_kind: x, dimension_code: x, numerator: x, denominator: x,
   coverage_numerator: x, coverage_denominator: x}
kpi_version: 3
changed_on: 2026-05-18
measures:
  gtin_valid: {name_en: Valid, name_fr: Valides, meaning_en: It's valid., meaning_fr: C'est valide., formula: a / b, grain: item,
    unit: ratio, better: high, is_headline: true}
"""


def _write(folder: Path, name: str, sql: str, yml: str) -> None:
    (folder / "kpis").mkdir(parents=True, exist_ok=True)
    (folder / "kpis" / f"{name}.sql").write_text(sql)
    (folder / "kpis" / f"{name}.yml").write_text(yml)


def test_measures_and_values_are_put_together(tmp_path: Path) -> None:
    _write(tmp_path, "k5_value", SQL, YML)
    _write(tmp_path, "k6_value", SQL.replace("k5", "k6"), YML.replace("is_headline: true", "is_headline: false"))
    con = duckdb.connect()
    con.execute("create schema kpis")
    for model in load_project(tmp_path, given={}).models.values():
        con.execute(f"create table {model.name} as {model.sql}")
    told = "select kpi_code, measure, meaning_en, is_headline, kpi_version, changed_on::varchar from kpis.kpi_measure order by 1"
    assert con.execute(told).fetchall() == [
        ("k5", "gtin_valid", "It's valid.", True, 3, "2026-05-18"),
        ("k6", "gtin_valid", "It's valid.", False, 3, "2026-05-18"),
    ]
    assert con.execute("select kpi_code, numerator from kpis.kpi_part order by 1").fetchall() == [("k5", 1), ("k6", 1)]


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        (
            "k5_value",
            "unit: ratio",
            "unit: share",
            "measures.gtin_valid: unit is 'share', expected one of ratio, units",
        ),
        ("k5_value", "better: high, ", "", "measures.gtin_valid: better missing"),
        ("k5_value", "is_headline", "headline", "unknown key headline; expected name_en"),
        ("k5_value", "changed_on: 2026-05-18", "", "needs kpi_version .* and changed_on"),
        ("share_value", "", "", "measures are for models of schema kpis named <kpi code>_"),
        ("k5_value", "numerator: x", "numerator_qty: x", "column numerator is selected"),
    ],
)
def test_a_mistake_is_told(tmp_path: Path, name: str, old: str, new: str, words: str) -> None:
    _write(tmp_path, name, SQL, YML.replace(old, new, 1) if old else YML)
    with pytest.raises(ConfigurationError, match=words):
        load_project(tmp_path, given={})


def test_values_without_a_column_that_all_have_are_told(tmp_path: Path) -> None:
    _write(
        tmp_path,
        "k5_value",
        SQL.replace("2 as denominator,", ""),
        YML.replace("numerator: x, denominator: x", "numerator: x"),
    )
    with pytest.raises(ConfigurationError, match=r"a model with measures selects kpi_code, .* denominator not found"):
        load_project(tmp_path, given={})


def test_a_measure_is_declared_once(tmp_path: Path) -> None:
    _write(tmp_path, "k5_value", SQL, YML)
    _write(tmp_path, "k5_more_value", SQL, YML)
    with pytest.raises(ConfigurationError, match="two models declare the measure gtin_valid of k5"):
        load_project(tmp_path, given={})
