"""Measured against the truth: every row of every published table that the sandbox's truth file tells, exactly.

Belongs here: comparing. The truth is a plain dictionary, so that tests and the demo use the same function and nothing
here knows the sandbox.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from resources.operations import Operations
from resources.report.data import open_published


class Difference(NamedTuple):
    """One figure that is not the truth's. ``row`` names the row; ``column`` is empty when the whole row is missing or too much."""

    where: str
    row: str
    column: str
    truth: Any
    found: Any


@dataclass(frozen=True)
class Subject:
    """One table compared. ``rows_qty``: rows that the truth tells."""

    name: str
    rows_qty: int
    differences_qty: int


@dataclass(frozen=True)
class Comparison:
    """Everything that was compared, and all that differs."""

    subjects: tuple[Subject, ...]
    differences: tuple[Difference, ...]


def compare_with_truth(bi_path: Path, operations: Operations, truth: Mapping[str, Any]) -> Comparison:
    """Compare what was published and what operations kept with a sandbox's truth (`sandbox.world.truth` tells its keys).

    KPI values by day and month are compared for the dimensions `all` and `channel`, which are those the truth works out.
    """
    # a KPI that somebody added is not wrong for being there
    known = {row["kpi_code"] for row in truth["kpi_value"]}
    with open_published(bi_path) as con:
        parts = [
            _values(con, truth["kpi_value"], known),
            _exclusions(con, truth["kpi_exclusion"], known),
            *(_work_list(con, kpi, rows) for kpi, rows in sorted(truth["worklists"].items())),
        ]
    parts += [
        _quarantine(operations, truth["quarantine"]),
        _files(operations, truth["files"]),
        _streams(operations, truth),
    ]
    return Comparison(
        subjects=tuple(Subject(name, rows, len(differences)) for name, rows, differences in parts),
        differences=tuple(difference for _, _, differences in parts for difference in differences),
    )


Part = tuple[str, int, list[Difference]]


def _values(con: duckdb.DuckDBPyConnection, truth: Sequence[Mapping[str, Any]], known: set[str]) -> Part:
    keys = ("kpi_code", "measure", "period_kind", "period_start_on", "dimension_kind", "dimension_code")
    told = "period_kind = 'all' OR dimension_kind IN ('all', 'channel')"
    rows = _rows(con, f"SELECT * FROM kpis.kpi_value WHERE {told}")
    found = [row for row in rows if row["kpi_code"] in known]
    return "KPI values", len(truth), compare_rows("kpi_value", keys, truth, found)


def _exclusions(con: duckdb.DuckDBPyConnection, truth: Sequence[Mapping[str, Any]], known: set[str]) -> Part:
    keys = ("kpi_code", "measure", "dimension_kind", "dimension_code", "reason")
    rows = _rows(con, "SELECT * FROM kpis.kpi_exclusion WHERE excluded_qty <> 0")
    found = [row for row in rows if row["kpi_code"] in known]
    told = [row for row in truth if row["excluded_qty"]]
    return "exclusions", len(told), compare_rows("kpi_exclusion", keys, told, found)


def _work_list(con: duckdb.DuckDBPyConnection, kpi: str, truth: Sequence[Mapping[str, Any]]) -> Part:
    name = f"{kpi}_worklist"
    found = _rows(con, f"SELECT * FROM kpis.{name}")
    columns = tuple(truth[0]) if truth else ()
    if not columns:  # nothing to do, says the truth: any row is one too much
        return f"work list {kpi}", 0, [Difference(name, str(row), "", "no row", "a row") for row in found]
    expected = [tuple(row[column] for column in columns) for row in truth]
    actual = [tuple(row[column] for column in columns) for row in found]
    return f"work list {kpi}", len(truth), compare_bags(name, expected, actual)


def _quarantine(operations: Operations, truth: Sequence[Mapping[str, Any]]) -> Part:
    expected = [(row["system"], row["feed"], row["file"], row["line"]) for row in truth]
    actual = [
        (row.system_code, row.stream, row.part or row.position, row.line)
        for row in operations.quarantined(status="pending")
        if row.is_root
    ]
    return "rows in quarantine", len(truth), compare_bags("quarantine", expected, actual)


def _files(operations: Operations, truth: Sequence[Mapping[str, Any]]) -> Part:
    feeds = sorted({(row["system"], row["feed"]) for row in truth})
    found = [
        {
            "system": receipt.system_code,
            "feed": receipt.stream,
            "file": receipt.name,
            "outcome": receipt.outcome,
            "quarantined": receipt.quarantined_qty,
        }
        for system, feed in feeds
        for receipt in operations.file_receipts(system, feed)
    ]
    keys = ("system", "feed", "file")
    expected = [{name: row[name] for name in (*keys, "outcome", "quarantined")} for row in truth]
    return "files", len(truth), compare_rows("file", keys, expected, found)


def _streams(operations: Operations, truth: Mapping[str, Any]) -> Part:
    """Streams whose last reading is not complete: those the truth names, and feeds of which a file is refused."""
    expected = {(row["system"], row["stream"]) for row in truth["streams"]}
    expected |= {(row["system"], row["feed"]) for row in truth["files"] if row["outcome"] == "refused"}
    last = {(manifest.system_code, manifest.stream): manifest.outcome for manifest in operations.manifests()}
    actual = {stream for stream, outcome in last.items() if outcome != "complete"}
    return "incomplete readings", len(expected), compare_bags("stream", expected, actual)


def _rows(con: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    """Rows as the truth writes them: dates and instants as ISO text, instants in UTC and whole seconds."""
    cursor = con.execute(query)
    columns = [column[0] for column in cursor.description or ()]
    return [dict(zip(columns, map(_as_json, row), strict=True)) for row in cursor.fetchall()]


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return value.isoformat() if isinstance(value, date) else value


def compare_rows(
    where: str,
    keys: Sequence[str],
    truth: Iterable[Mapping[str, Any]],
    found: Iterable[Mapping[str, Any]],
) -> list[Difference]:
    """Differences between two sets of rows with unique ``keys``, in the columns that the truth has. Equality is exact."""
    expected = _by_key(where, keys, truth)
    actual = _by_key(where, keys, found)
    differences = []
    for key in sorted(expected.keys() | actual.keys(), key=str):
        name = " ".join(str(part) for part in key)
        if key not in actual:
            differences.append(Difference(where, name, "", "a row", "no row"))
        elif key not in expected:
            differences.append(Difference(where, name, "", "no row", "a row"))
        else:
            differences += [
                Difference(where, name, column, value, actual[key].get(column))
                for column, value in expected[key].items()
                if value != actual[key].get(column)
            ]
    return differences


def compare_bags(where: str, truth: Iterable[tuple[Any, ...]], found: Iterable[tuple[Any, ...]]) -> list[Difference]:
    """Differences between two collections of rows that have no key: how often each occurs."""
    expected, actual = Counter(truth), Counter(found)
    return [
        Difference(where, " ".join(str(part) for part in row), "occurrences", expected[row], actual[row])
        for row in sorted(expected.keys() | actual.keys(), key=str)
        if expected[row] != actual[row]
    ]


def _by_key(
    where: str, keys: Sequence[str], rows: Iterable[Mapping[str, Any]]
) -> dict[tuple[Any, ...], Mapping[str, Any]]:
    found: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for row in rows:
        key = tuple(row[name] for name in keys)
        if key in found:
            raise ValueError(f"{where}: two rows have the key {key}")
        found[key] = row
    return found
