"""Looks only at what changed where a check held before: the rows that stand still were looked at then.

A check's promise stays what it is: it holds for the whole table. It is run whole when it did not hold the last time, when what it
reads changed in a way that the changed rows alone do not show, and whenever it finds something in them, so that the number and the
sample told are always those of the whole table. Belongs here: when the changed rows are enough, and the memory of the last outcomes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import duckdb
import sqlglot
from sqlglot import exp

from resources.given_tables import quoted
from resources.sql_project import DIALECT, Check, SqlProject
from resources.warehouse.changes import IS_ADDED, Book, count_rows, log_since
from resources.warehouse.checking import CheckResult, run_together
from resources.warehouse.places import matching

_BY_ROW = frozenset({"not_null", "accepted_values", "expression"})


@dataclass(frozen=True)
class Seen:
    """A check's last outcome: the query's digest, the rows that broke it, and table -> version of what it read."""

    signature: str
    failing_qty: int
    versions: Mapping[str, int]


@dataclass(frozen=True)
class ChangedRows:
    """A model that this session built in part: the temporary table of its changed keys' rows, and its version before."""

    table: str
    version_before: int


class ScopedChecks:
    """The checks of one session's models."""

    def __init__(
        self, con: duckdb.DuckDBPyConnection, project: SqlProject, book: Book, *, is_incremental: bool
    ) -> None:
        """``is_incremental``: whether changed rows may be enough; else every check is run whole."""
        self._con, self._project, self._book = con, project, book
        self._is_incremental = is_incremental
        self._changed: dict[str, ChangedRows] = {}
        self._new: dict[tuple[str, str], Seen] = {}
        self._seen = {
            (model, name): Seen(signature, failing, dict(zip(tables, versions, strict=True)))
            for model, name, signature, failing, tables, versions in con.execute(
                "select model, name, signature, failing_qty, read_tables, read_versions from increment.check_state"
            ).fetchall()
        }

    def built_in_part(self, model: str, rows: ChangedRows) -> None:
        """A model was built in part, and these are its changed keys' rows."""
        self._changed[model] = rows

    def run(self, checks: Sequence[Check]) -> list[CheckResult]:
        """The outcome of each check, in their order. Raises PermanentError when a query is wrong."""
        results: dict[int, CheckResult] = {}
        seen = [self._now(check) for check in checks]
        for place, (check, now) in enumerate(zip(checks, seen, strict=True)):
            before = self._seen.get(_key(check))
            if self._is_incremental and before is not None and self._still_holds(check, before, now):
                results[place] = CheckResult(check, 0, ())
        due = [place for place in range(len(checks)) if place not in results]
        results |= zip(due, run_together(self._con, [checks[place] for place in due]), strict=True)
        for place, now in enumerate(seen):
            self._new[_key(checks[place])] = Seen(now.signature, results[place].failing_qty, now.versions)
        return [results[place] for place in range(len(checks))]

    def _now(self, check: Check) -> Seen:
        return Seen(
            hashlib.sha256(check.query.encode()).hexdigest(),
            0,
            {ref: self._book.table(ref).version for ref in check.refs},
        )

    def keep(self) -> None:
        """Remember the outcomes of this session."""
        rows = [
            (model, name, seen.signature, seen.failing_qty, list(seen.versions), list(seen.versions.values()))
            for (model, name), seen in self._new.items()
            if self._seen.get((model, name)) != seen
        ]
        if not rows:
            return
        columns = [list(column) for column in zip(*rows, strict=True)]
        con = self._con
        con.execute("begin")
        con.execute(
            "delete from increment.check_state where (model, name) in (select unnest(?::varchar[]), unnest(?::varchar[]))",
            columns[:2],
        )
        con.execute(
            "insert into increment.check_state select unnest(?::varchar[]), unnest(?::varchar[]), unnest(?::varchar[]), "
            "unnest(?::bigint[]), unnest(?::varchar[][]), unnest(?::bigint[][])",
            columns,
        )
        con.execute("commit")

    def _still_holds(self, check: Check, before: Seen, now: Seen) -> bool:
        if before.failing_qty or before.signature != now.signature:
            return False
        if not all(now.versions.values()):
            # Nobody follows one of these tables: the run's clock for one.
            return False
        moved = {table for table, version in now.versions.items() if before.versions.get(table) != version}
        if not moved:
            return True
        if check.kind == "sql":
            return self._holds_for_each(check, before, moved)
        model = check.model
        if model is None or not moved <= {model, check.to}:
            return False
        if check.to is not None and check.to in moved and not self._still_found(check, before):
            return False
        return model not in moved or self._holds_in_changed(check, before)

    def _holds_for_each(self, check: Check, before: Seen, moved: Collection[str]) -> bool:
        """Whether the check judges each value of some columns by itself, and holds for those of the rows that went or came."""
        if not check.columns or not all(
            self._book.is_told_since(table, before.versions.get(table, 0)) and self._book.has_log(table, check.columns)
            for table in moved
        ):
            return False
        named = ", ".join(f'"{column}" as _k{number}' for number, column in enumerate(check.columns))
        keys = " union ".join(
            f"select {named} from ({log_since(table, before.versions.get(table, 0))})" for table in sorted(moved)
        )
        return self._holds_over(check, {table: self._among(table, check.columns, keys) for table in check.refs})

    def _holds_in_changed(self, check: Check, before: Seen) -> bool:
        """Whether the check may be judged by the changed keys' rows, and holds in them."""
        model = str(check.model)
        rows = self._changed.get(model)
        if rows is None or rows.version_before != before.versions.get(model):
            return False
        if check.kind == "unique":
            increment = self._project.models[model].increment
            # Rows of two keys never stand in each other's way where the key is part of what is unique.
            if increment is None or not set(increment.key) <= set(check.columns):
                named = ", ".join(f'"{column}" as _k{number}' for number, column in enumerate(check.columns))
                keys = f"select distinct {named} from {rows.table}"
                return self._holds_over(check, {model: self._among(model, check.columns, keys, is_null_a_key=True)})
        elif check.kind not in _BY_ROW and check.kind != "relationship":
            return False
        return self._holds_over(check, {model: rows.table})

    @staticmethod
    def _among(table: str, columns: Sequence[str], keys: str, *, is_null_a_key: bool = False) -> str:
        """Query of the rows of a table that have the values of a query of keys in some columns."""
        quoted_columns = [f't."{column}"' for column in columns]
        return f"(select t.* from {quoted(table)} as t {matching(quoted_columns, f'({keys})', has_null=is_null_a_key)})"

    def _holds_over(self, check: Check, instead: Mapping[str, str]) -> bool:
        """Whether the check holds where other rows stand instead of the tables it reads; not where it reads one of them twice."""
        query = sqlglot.parse_one(check.query, dialect=DIALECT)
        for name, rows in instead.items():
            own = [table for table in query.find_all(exp.Table) if f"{table.db}.{table.name}" == name]
            if len(own) != 1:
                return False
            read = sqlglot.parse_one(f"select * from {rows}", dialect=DIALECT).find(exp.Subquery, exp.Table)
            if read is None:
                return False
            alias = own[0].args.get("alias") or exp.TableAlias(this=exp.to_identifier(own[0].name))
            read.set("alias", alias)
            own[0].replace(read)
        return count_rows(self._con, f"({query.sql(dialect=DIALECT)})") == 0

    def _still_found(self, check: Check, before: Seen) -> bool:
        """Whether no row went of the table that a relationship points at, or none that anything points at."""
        to, since = str(check.to), before.versions.get(str(check.to), 0)
        if not self._book.is_told_since(to, since) or not self._book.has_log(to, check.to_columns):
            return False
        listed = ", ".join(f'"{column}"' for column in check.to_columns)
        # Of what went from a model and came again there are as many rows as there were; a load also tells of rows that it only saw.
        fewer = (
            f"sum(case when {IS_ADDED} then 1 else -1 end) < 0"
            if to in self._project.models
            else f"not bool_and({IS_ADDED})"
        )
        gone = f"(select {listed} from ({log_since(to, since)}) group by {listed} having {fewer})"
        if not count_rows(self._con, gone):
            return True
        same = " and ".join(
            f'g."{there}" = m."{here}"' for here, there in zip(check.columns, check.to_columns, strict=True)
        )
        there = " and ".join(
            f't."{there}" = m."{here}"' for here, there in zip(check.columns, check.to_columns, strict=True)
        )
        pointing = f"(select * from {quoted(str(check.model))} as m semi join {gone} as g on {same})"
        return (
            count_rows(self._con, f"{pointing} as m where not exists (select 1 from {quoted(to)} as t where {there})")
            == 0
        )


def _key(check: Check) -> tuple[str, str]:
    return check.model or "", check.name
