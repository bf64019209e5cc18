"""What is put together from the declarations of KPIs: their catalogue and the union of their values. One KPI is one file.

A model of schema kpis whose `.yml` has `measures` gives the values of a KPI; its name starts with the KPI's code (`k2_value`,
`k2_duration_value`). From all of them come two models that nobody writes: `kpis.kpi_measure` and `kpis.kpi_part`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

PART_COLUMNS: dict[str, str] = {
    "kpi_code": "The KPI's code.",
    "measure": "Which figure of the KPI; kpis.kpi_catalog explains each.",
    "period_kind": "all, day or month.",
    "period_start_on": "First local day of the period; 1970-01-01 for all.",
    "dimension_kind": "What the figure is broken down by; all for the whole.",
    "dimension_code": "Which company, channel, location, carrier, category or parity group; all for the whole, unknown when it has none.",
    "numerator": "Top of the ratio; the figure itself for sums and percentiles.",
    "denominator": "Bottom of the ratio; null for sums and percentiles.",
    "coverage_numerator": "Rows or units rated; null when the measure has no coverage.",
    "coverage_denominator": "Rated ones and those that missing data left out.",
}
MEASURE_COLUMNS: dict[str, str] = {
    "kpi_code": "The KPI's code.",
    "measure": "Which figure of the KPI.",
    "name_en": "Name in English.",
    "name_fr": "Name in French.",
    "meaning_en": "What it tells, in English.",
    "meaning_fr": "What it tells, in French.",
    "formula": "How it is computed, in words.",
    "grain": "What one counted thing is.",
    "unit": "ratio, units, seconds, minor or basis_points.",
    "better": "high or low: which way is good.",
    "is_headline": "Whether it is the KPI's leading figure, which is judged by target and alert.",
    "kpi_version": "Version of the KPI's definition; grows when its meaning changes.",
    "changed_on": "Day from which this version holds.",
}
PART_DESCRIPTION = (
    "Numerators, denominators and coverage of every KPI: all models that declare measures, put together. "
    "Grain: one row per KPI x measure x period x dimension."
)
MEASURE_DESCRIPTION = "The measures that the models of KPIs declare in their .yml. Grain: one row per KPI x measure."
_WRITTEN = ("name_en", "name_fr", "meaning_en", "meaning_fr", "formula", "grain", "unit", "better")
_UNITS, _BETTER = ("ratio", "units", "seconds", "minor", "basis_points"), ("high", "low")
_CODE = re.compile(r"(k[0-9]+[a-z]?)_")


@dataclass(frozen=True)
class Measure:
    """One figure of a KPI, as the `.yml` of its values declares it. ``values`` in the order of MEASURE_COLUMNS."""

    kpi_code: str
    name: str
    values: tuple[str | bool | int | date, ...]


def read_measures(
    content: Mapping[str, Any], model: str, selected: Sequence[str], mistakes: list[str]
) -> list[Measure]:
    """The measures of a model's `.yml`; what is wrong with them is added to ``mistakes``, without the file's name."""
    declared = content.get("measures")
    if declared is None:
        return []
    schema, _, stem = model.partition(".")
    code = _CODE.match(stem)
    if schema != "kpis" or not code:
        mistakes.append(
            f"measures are for models of schema kpis named <kpi code>_..., such as k5_value; this is {model}"
        )
        return []
    if missing := [column for column in PART_COLUMNS if column not in selected]:
        mistakes.append(f"a model with measures selects {', '.join(PART_COLUMNS)}; {', '.join(missing)} not found")
    version, changed_on = content.get("kpi_version"), content.get("changed_on")
    if not isinstance(version, int) or not isinstance(changed_on, date):
        mistakes.append("a model with measures needs kpi_version (a whole number) and changed_on (a day, 2026-05-18)")
        return []
    found = []
    for name, measure in declared.items() if isinstance(declared, dict) else ():
        told = list(_measure_mistakes(measure))
        mistakes.extend(f"measures.{name}: {mistake}" for mistake in told)
        if not told:
            written = (str(measure[key]) for key in _WRITTEN)
            found.append(
                Measure(
                    code[1],
                    str(name),
                    (code[1], str(name), *written, bool(measure.get("is_headline", False)), version, changed_on),
                )
            )
    if not declared:
        mistakes.append("measures: a mapping of measure -> what it means")
    return found


def _measure_mistakes(measure: Any) -> Iterator[str]:
    if not isinstance(measure, dict):
        yield f"expected {', '.join(_WRITTEN)}, and is_headline for the leading one"
        return
    if missing := [key for key in _WRITTEN if not measure.get(key)]:
        yield f"{', '.join(missing)} missing"
    if unknown := sorted(set(measure) - {*_WRITTEN, "is_headline"}):
        yield f"unknown key {', '.join(unknown)}; expected {', '.join(_WRITTEN)}, is_headline"
    for key, known in (("unit", _UNITS), ("better", _BETTER)):
        if measure.get(key) and measure[key] not in known:
            yield f"{key} is {measure[key]!r}, expected one of {', '.join(known)}"


def measure_query(measures: Sequence[Measure]) -> str:
    """`kpis.kpi_measure`: what was declared, as rows."""
    rows = ",\n    ".join(f"({', '.join(_literal(value) for value in measure.values)})" for measure in measures)
    typed = ", ".join(
        f"cast({name} as bigint) as {name}" if name == "kpi_version" else name for name in MEASURE_COLUMNS
    )
    return f"select {typed}\nfrom (\n    values\n    {rows}\n) as measure ({', '.join(MEASURE_COLUMNS)})"


def part_query(models: Sequence[str]) -> str:
    """`kpis.kpi_part`: the values of all these models."""
    columns = ", ".join(PART_COLUMNS)
    return "\nunion all\n".join(f"select {columns}\nfrom {model}" for model in models)


def _literal(value: str | bool | int | date) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date):
        return f"date '{value.isoformat()}'"
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"
