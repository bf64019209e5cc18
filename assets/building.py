"""What builds the models of a run and counts the rows that break their checks: the warehouse itself, or a cluster.

Belongs here: choosing by the settings, and one face for both. How each of them builds is in `resources.warehouse` and
`resources.spark`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import duckdb

from assets.runtime import Runtime
from resources.sql_project import Check, SqlModel
from resources.warehouse.build import ModelResult, build_model
from resources.warehouse.checking import CheckResult, run_check


class Builder(Protocol):
    """Builds in one writer session. ``con``: the warehouse, where the models that others read lie once they are built."""

    con: duckdb.DuckDBPyConnection

    def build(self, model: SqlModel) -> ModelResult:
        """Replace one model's table. Raises ModelFailed."""
        ...

    def run_checks(self, checks: Sequence[Check]) -> list[CheckResult]:
        """The outcome of each check, in their order. Raises PermanentError when a check's query is wrong."""
        ...


@contextmanager
def builder(runtime: Runtime, purpose: str) -> Iterator[Builder]:
    """The builder of this machine's settings, in a writer session; ``purpose`` is told to whoever waits."""
    with runtime.writer(purpose) as con:
        yield _InWarehouse(con)


class _InWarehouse:
    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self.con = con

    def build(self, model: SqlModel) -> ModelResult:
        return build_model(self.con, model)

    def run_checks(self, checks: Sequence[Check]) -> list[CheckResult]:
        return [run_check(self.con, check) for check in checks]
