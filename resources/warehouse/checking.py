"""Runs the checks of models: how many rows break each promise, and a sample of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from resources.errors import PermanentError, Where
from resources.sql_project import Check, SqlProject

SAMPLE_ROWS = 5


@dataclass(frozen=True)
class CheckResult:
    """One check's outcome. ``sample``: a few offending rows; empty when it holds."""

    check: Check
    failing_qty: int
    sample: tuple[dict[str, Any], ...]

    @property
    def is_ok(self) -> bool:
        """Whether no row breaks it."""
        return self.failing_qty == 0

    @property
    def is_blocking(self) -> bool:
        """Whether what comes after must not run."""
        return not self.is_ok and self.check.severity == "error"


def run_checks(
    con: duckdb.DuckDBPyConnection, project: SqlProject, select: Collection[str] | None = None
) -> list[CheckResult]:
    """Run the checks of the selected models (all by default). Raises PermanentError when a check's query is wrong."""
    return run_together(con, project.all_checks(select))


def run_check(con: duckdb.DuckDBPyConnection, check: Check) -> CheckResult:
    """Run one check."""
    return run_together(con, [check])[0]


def run_together(con: duckdb.DuckDBPyConnection, checks: Sequence[Check]) -> list[CheckResult]:
    """The outcome of each check, in their order, as if each were run by itself: those that judge row by row share a scan of their table.

    Raises PermanentError when a check's query is wrong.
    """
    counted = _counted_together(con, checks)
    return [_outcome(con, check, counted.get(place)) for place, check in enumerate(checks)]


def _counted_together(con: duckdb.DuckDBPyConnection, checks: Sequence[Check]) -> dict[int, int]:
    """Place of a check -> rows that break it, of those that share a scan with another."""
    by_table: dict[str, dict[int, str]] = {}
    for place, check in enumerate(checks):
        condition = check.row_condition
        if check.model is not None and condition is not None:
            by_table.setdefault(check.model, {})[place] = condition
    counted: dict[int, int] = {}
    for table, conditions in by_table.items():
        if len(conditions) == 1:
            continue
        counts = ",\n".join(f"count(*) filter (where (\n{condition}\n))" for condition in conditions.values())
        try:
            found = con.execute(f"select {counts} from {table}").fetchall()[0]
        except duckdb.Error:
            continue  # run by itself, the one that is wrong says so
        counted |= dict(zip(conditions, map(int, found), strict=True))
    return counted


def _outcome(con: duckdb.DuckDBPyConnection, check: Check, failing: int | None) -> CheckResult:
    """A check's outcome; ``failing``: how many rows break it, where that is known."""
    try:
        if failing is None:
            # fetchall: since DuckDB 2.0 a result that is not read to its end bars the connection.
            counted = con.execute(f"select count(*) from (\n{check.query}\n) as offending").fetchall()
            failing = int(counted[0][0])
        sample = (
            con.sql(f"select * from (\n{check.query}\n) as offending limit {SAMPLE_ROWS}").pl().to_dicts()
            if failing
            else []
        )
    except duckdb.Error as error:
        raise PermanentError(
            f"check {check.name} did not run: {error}", where=Where(file=str(check.path)), action="correct its query"
        ) from error
    return CheckResult(check, failing, tuple(sample))
