"""Runs SQL models in dependency order, each whole as `create or replace table` or in part, with its documentation as comments."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import duckdb

from resources.errors import PermanentError, Where
from resources.given_tables import quoted
from resources.sql_project import Check, SqlModel, SqlProject
from resources.warehouse.aftercare import KPI_VALUES, comment_on, create_schema, keep_history
from resources.warehouse.changes import Audit, open_book
from resources.warehouse.check_scope import ChangedRows, ScopedChecks
from resources.warehouse.checking import CheckResult
from resources.warehouse.incremental import WHOLE_SHARE, Change, PartBuilder, is_apart

HISTORY_TABLE = "kpis.k1b_history"


class ModelFailed(PermanentError):
    """A model's query did not run; says which file and the engine's own words."""


@dataclass(frozen=True)
class ModelResult:
    """One model built. ``columns``: name -> DuckDB type, in order; ``seconds`` of wall clock.

    ``how``: `whole`, `part` (the keys that changed) or `left` (nothing it reads changed). ``changed_rows_qty``: rows that went or came;
    None where nobody compared. ``audit``: what the last whole build found of what runs in part had left; None before the first.
    """

    name: str
    rows: int
    seconds: float
    columns: dict[str, str]
    how: str = "whole"
    changed_rows_qty: int | None = None
    audit: Audit | None = None


class ModelBuilder:
    """Builds models in one writer session, in any order that puts each after what it reads."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        project: SqlProject,
        *,
        is_incremental: bool = False,
        is_audited: bool = False,
        whole_share: float = WHOLE_SHARE,
    ) -> None:
        """``is_incremental``: build only what changed since the last build, with the same outcome; a change that touches more than
        ``whole_share`` of a model's rows builds it whole. ``is_audited``: build in part, then whole, and compare both.
        """
        self._con = con
        self._book = open_book(con)
        self._parts = PartBuilder(con, project, self._book, whole_share=whole_share)
        self._checks = ScopedChecks(con, project, self._book, is_incremental=is_incremental)
        self._is_in_part = is_incremental or is_audited
        self._is_audited = is_audited

    def build(self, model: SqlModel) -> ModelResult:
        """Bring one model's table up to date, at once: a failure leaves the old one. Raises ModelFailed."""
        started = time.monotonic()
        table = quoted(model.name)
        try:
            change = self._parts.build(model) if self._is_in_part else None
            if change is None:
                change = self._build_whole(model)
            elif self._is_audited and change.how != "whole":
                self._parts.audit(model)
                change = replace(change, how="whole")
            if change.changed_rows:
                self._checks.built_in_part(model.name, ChangedRows(change.changed_rows, change.version_before))
        except duckdb.Error as error:
            raise ModelFailed(
                f"model {model.name} did not run: {error}",
                where=Where(file=str(model.path)),
                action="correct its query",
            ) from error
        counted = self._con.execute(f"select count(*) from {table}").fetchall()
        described = self._con.execute(f"select * from {table} limit 0").description or []
        return ModelResult(
            name=model.name,
            rows=int(counted[0][0]),
            seconds=time.monotonic() - started,
            columns={str(column[0]): str(column[1]) for column in described},
            how=change.how,
            changed_rows_qty=change.rows_qty,
            audit=self._book.audit(model.name),
        )

    def run_check(self, check: Check) -> CheckResult:
        """Run one check; see :meth:`run_checks`."""
        return self.run_checks([check])[0]

    def run_checks(self, checks: Sequence[Check]) -> list[CheckResult]:
        """Run checks, over what changed where that is enough. Raises PermanentError when a query is wrong."""
        return self._checks.run(checks)

    def close(self) -> None:
        """Keep the checks' outcomes, and remove what nobody needs any more of what was noted."""
        self._checks.keep()
        self._book.prune_logs()

    def _build_whole(self, model: SqlModel) -> Change:
        con = self._con
        self._parts.begin(model)
        try:
            create_schema(con, model.schema)
            con.execute(f"create or replace table {quoted(model.name)} as\n{model.sql}")
            comment_on(con, model)
            if model.name == KPI_VALUES:
                keep_history(con)
                self._book.changed_rows(HISTORY_TABLE, None, ())
            if is_apart(model):
                # One transaction writes one database.
                con.execute("commit; begin")
            self._parts.note_whole(model)
            con.execute("commit")
        except BaseException:
            con.execute("rollback")
            raise
        return Change("whole", None)


def run_models(
    con: duckdb.DuckDBPyConnection,
    project: SqlProject,
    select: Collection[str] | None = None,
    *,
    is_incremental: bool = False,
    whole_share: float = WHOLE_SHARE,
) -> list[ModelResult]:
    """Build the selected models (names or whole schemas; all by default), in dependency order; see :class:`ModelBuilder`.

    Each model is replaced at once, so a failure leaves every table whole: the ones before it new, the others old.
    Raises ModelFailed.
    """
    builder = ModelBuilder(con, project, is_incremental=is_incremental, whole_share=whole_share)
    results = [builder.build(model) for model in project.select(select)]
    builder.close()
    return results
