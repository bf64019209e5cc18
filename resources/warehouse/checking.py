"""Runs the checks of models: how many rows break each promise, and a sample of them."""

from __future__ import annotations

from collections.abc import Collection
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
    return [run_check(con, check) for check in project.all_checks(select)]


def run_check(con: duckdb.DuckDBPyConnection, check: Check) -> CheckResult:
    """Run one check."""
    try:
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
