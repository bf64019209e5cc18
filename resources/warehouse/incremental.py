"""Builds a model in part: only the keys that changes of its inputs touch are built anew, by the model's own query over their rows.

A model whose inputs stand still is left alone. One that declares nothing, or that a change touches too widely, is built whole; where
others read it, the new table is compared with the old one, so that they learn which rows really changed. Either way the table is what
a whole build would make. Belongs here: which of these it is, and putting the rows in place. Queries are in `slices`, logs in `changes`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb

from resources.given_tables import quoted
from resources.sql_increments import CLOCK, Increment
from resources.sql_project import SqlModel, SqlProject
from resources.warehouse.changes import (
    PUBLICATION,
    Audit,
    Book,
    ModelState,
    TableState,
    count_rows,
    given_columns,
    log_since,
)
from resources.warehouse.slices import NEW_ROWS, OLD_ROWS, ROW_ID, Slices
from resources.warehouse.sums import make_sums

REVISION = 1
"""Grows when a table that an earlier release built in part must be built whole once."""

WHOLE_SHARE = 0.2
"""A change that touches more than this share of a model's rows is built whole: that is cheaper."""

COMPARED_ROWS = 300_000
"""Up to so many rows a table that was built whole is compared with the one before, when a model built in part comes of it: comparing
costs about four times what building does.
"""

ALWAYS_COMPARED_ROWS = 50_000
"""Up to so many rows it is compared for any model that reads it: it may spare that one's build."""

WHOLE_ONLY = frozenset({"kpis.kpi_value"})
"""Models whose whole build does more than make their table."""

CHANGED_ROWS = "changed_rows"
"""Temporary table of the changed keys' rows, as the model built last has them now."""

ANY_ROW = "select 1"
"""Stands for the log of an input of which one row is as good as any."""

MART_SCHEMA = "marts"


@dataclass(frozen=True)
class Change:
    """What a build did to a table. ``how``: `left`, `part` or `whole`; ``rows_qty``: rows that went or came, None when not counted.

    ``version_before``: the table's, where it was built in part; the changed keys' rows are then in CHANGED_ROWS.
    """

    how: str
    rows_qty: int | None
    version_before: int = 0


@dataclass(frozen=True)
class _Work:
    """One model about to be built, and the state of what it reads."""

    model: SqlModel
    signature: str
    inputs: Mapping[str, TableState]
    clock_at: datetime | None

    @property
    def table(self) -> str:
        return quoted(self.model.name)

    def changed_inputs(self, state: ModelState) -> list[str]:
        return [name for name, known in self.inputs.items() if state.consumed.get(name) != known.version]

    @property
    def done(self) -> ModelState:
        """The state once it is built."""
        return ModelState(self.signature, self.clock_at, {table: state.version for table, state in self.inputs.items()})


class PartBuilder:
    """Brings models' tables up to date in one writer session."""

    def __init__(self, con: duckdb.DuckDBPyConnection, project: SqlProject, book: Book, *, whole_share: float) -> None:
        """Follow, from now on, the tables that models read and none makes. ``whole_share``: see WHOLE_SHARE."""
        self._con = con
        self._project = project
        self._book = book
        self._whole_share = whole_share
        clock = con.execute("select as_of_at from meta.run_clock").fetchall()
        self._clock_at: datetime | None = clock[0][0] if clock else None
        self._tables = _tables(con)
        book.forget_others({*project.models, PUBLICATION})
        given = {ref for model in project.models.values() for ref in model.refs if ref not in project.models} - {CLOCK}
        unknown = sorted(table for table in given if book.table(table).version == 0)
        if unknown:
            con.execute("begin")
            for table in unknown:
                book.changed_whole(table, given_columns(con, table))
            con.execute("commit")

    def build(self, model: SqlModel) -> Change | None:
        """Bring a table up to date in the cheapest way that gives what a whole build would; None when only a whole build does.

        The caller then builds it whole and calls :meth:`note_whole`.
        """
        work = self._work(model)
        state = self._book.model(model.name)
        if state is None or state.signature != work.signature or model.name not in self._tables:
            return None
        changed = work.changed_inputs(state)
        is_clock_moved = CLOCK in model.refs and state.clock_at != work.clock_at
        if not changed and not is_clock_moved:
            return Change("left", 0)
        increment = model.increment
        if increment is not None and self._can_be_part(work, state, increment, changed, is_clock_moved=is_clock_moved):
            slices = Slices(self._con, model, increment, clock=(_instant(state.clock_at), _instant(work.clock_at)))
            logs = {
                table: ANY_ROW if _touches_one_key(increment, table) else log_since(table, state.consumed[table])
                for table in changed
            }
            if slices.has_only_added(logs):
                touched = slices.find_keys(logs, is_clock_moved=is_clock_moved)
                if touched <= max(1, self._whole_share * self._rows_of_keys(work)):
                    return (
                        self._put_sums(work, slices, logs) if increment.sums else self._put_keys(work, slices, touched)
                    )
        return self._put_compared(work) if self._is_worth_comparing(model) else None

    def _is_worth_comparing(self, model: SqlModel) -> bool:
        if model.name in WHOLE_ONLY or model.name not in self._project.read_models:
            return False
        limit = COMPARED_ROWS if model.name in self._project.leads_to_parts else ALWAYS_COMPARED_ROWS
        return count_rows(self._con, quoted(model.name)) <= limit

    def audit(self, model: SqlModel) -> Audit:
        """Build a model whole beside its table, and compare. Where they differ the whole build stands in its place, and is noted as such.

        Equal tables are known by the number of their rows and the sum of the rows' hashes.
        """
        con, work = self._con, self._work(model)
        con.execute(f"create or replace temp table {NEW_ROWS} as\n{model.sql}")
        is_equal = self._fingerprint(model, work.table) == self._fingerprint(model, NEW_ROWS)
        audit = Audit(self._clock_at, 0 if is_equal else self._differences(work.table))
        if audit.differing_qty:
            self.begin(model)
        else:
            con.execute("begin")
        try:
            if audit.differing_qty:
                con.execute(f"delete from {work.table}")
                con.execute(f"insert into {work.table} by name select * from {NEW_ROWS}")
                if is_apart(model):
                    con.execute("commit; begin")
                self.note_whole(model)
            self._book.keep_audit(model.name, audit)
            con.execute("commit")
        except BaseException:
            con.execute("rollback")
            raise
        con.execute(f"drop table {NEW_ROWS}")
        return audit

    def _fingerprint(self, model: SqlModel, relation: str) -> tuple[int, ...]:
        columns = ", ".join(f'"{column}"' for column in model.columns)
        return tuple(
            self._con.execute(
                f"select count(*), coalesce(sum(cast(hash({columns}) as hugeint)), 0) from {relation}"
            ).fetchall()[0]
        )

    def begin(self, model: SqlModel) -> None:
        """Begin the transaction that writes a model's table.

        Where the state is in another database, it is unknown until both are written: a crash in between builds the model whole.
        """
        if is_apart(model) and self._book.model(model.name) is not None:
            self._con.execute("begin")
            self._book.forget_model(model.name)
            self._con.execute("commit")
        self._con.execute("begin")

    def note_whole(self, model: SqlModel) -> None:
        """Note that a model was built whole and that any of its rows may have changed, in the caller's transaction."""
        self._book.changed_whole(model.name, self._project.followed_columns.get(model.name))
        self._book.keep_model(model.name, self._work(model).done)
        self._tables = self._tables | {model.name}

    def _work(self, model: SqlModel) -> _Work:
        inputs = {ref: self._book.table(ref) for ref in model.refs if ref != CLOCK}
        return _Work(model, signature(model), inputs, self._clock_at if CLOCK in model.refs else None)

    def _can_be_part(
        self, work: _Work, state: ModelState, increment: Increment, changed: Collection[str], *, is_clock_moved: bool
    ) -> bool:
        if is_clock_moved:
            is_forward = state.clock_at is not None and work.clock_at is not None and work.clock_at > state.clock_at
            if not increment.clock or not is_forward:
                return False
        return all(
            table not in increment.whole
            and table in state.consumed
            and (
                _touches_one_key(increment, table)
                or (
                    work.inputs[table].whole_version <= state.consumed[table]
                    and self._book.has_log(
                        table, {name for _, one in increment.slices_of(table) for name in one.followed_columns}
                    )
                )
            )
            for table in changed
        )

    def _put_keys(self, work: _Work, slices: Slices, touched: int) -> Change:
        """Build the touched keys, and put those in place whose rows differ."""
        version = self._book.table(work.model.name).version
        if not touched:
            self._commit_state(work)
            return Change("part", 0)
        slices.make_rows()
        differing = self._differences(f"(select * exclude ({ROW_ID}) from {OLD_ROWS})")
        if not differing:
            self._commit_state(work)
            return Change("part", 0)
        con = self._con
        slices.find_changed_keys("removed_rows", "added_rows")
        con.execute(f"create or replace temp table {CHANGED_ROWS} as {slices.changed_rows()}")
        self._replace(work, CHANGED_ROWS, gone=f" where rowid in ({slices.changed_row_ids()})")
        return Change("part", differing, version)

    def _put_sums(self, work: _Work, slices: Slices, logs: Mapping[str, str]) -> Change:
        """Take off what the touched keys gave, and put on what they give."""
        con = self._con
        make_sums(con, self._project, work.model, slices, logs)
        differing = self._differences(f"(select * exclude ({ROW_ID}) from {OLD_ROWS})")
        if not differing:
            self._commit_state(work)
            return Change("part", 0)
        version = self._book.table(work.model.name).version
        con.execute(f"create or replace temp table {CHANGED_ROWS} as from {NEW_ROWS}")
        self._replace(work, NEW_ROWS, gone=f" where rowid in (select {ROW_ID} from {OLD_ROWS})")
        return Change("part", differing, version)

    def _put_compared(self, work: _Work) -> Change:
        """Build a model whole, and say which of its rows differ from those before."""
        con = self._con
        con.execute(f"create or replace temp table {NEW_ROWS} as\n{work.model.sql}")
        differing = self._differences(work.table)
        if not differing:
            self._commit_state(work)
            return Change("whole", 0)
        self._replace(work, NEW_ROWS)
        return Change("whole", differing)

    def _replace(self, work: _Work, new: str, *, gone: str = "") -> None:
        """Put the rows of a relation in the place of those that the clause ``gone`` names, all without one, and note what differs."""
        self.begin(work.model)
        try:
            self._con.execute(f"delete from {work.table}{gone}")
            self._con.execute(f"insert into {work.table} by name select * from {new}")
            self._log(work)
        except BaseException:
            self._con.execute("rollback")
            raise

    def _differences(self, old: str) -> int:
        """Make the tables of rows that only the old relation, and only the new rows have; gives how many they are."""
        con = self._con
        con.execute(f"create or replace temp table removed_rows as from {old} except all from {NEW_ROWS}")
        con.execute(f"create or replace temp table added_rows as from {NEW_ROWS} except all from {old}")
        return count_rows(self._con, "removed_rows") + count_rows(self._con, "added_rows")

    def _log(self, work: _Work) -> None:
        """Note the rows that differ and the state, and commit."""
        if is_apart(work.model):
            self._con.execute("commit; begin")
        rows = (("select * from removed_rows", False), ("select * from added_rows", True))
        self._book.changed_rows(work.model.name, self._project.followed_columns.get(work.model.name), rows)
        self._book.keep_model(work.model.name, work.done)
        self._con.execute("commit")

    def _commit_state(self, work: _Work) -> None:
        self._con.execute("begin")
        try:
            self._book.keep_model(work.model.name, work.done)
            self._con.execute("commit")
        except BaseException:
            self._con.execute("rollback")
            raise

    def _rows_of_keys(self, work: _Work) -> int:
        """About how many keys there are: rows of the table, or where it holds sums, of what it sums up."""
        increment = work.model.increment
        tables = (
            [one.rows for one in increment.slices] if increment is not None and increment.sums else [work.model.name]
        )
        return max(count_rows(self._con, quoted(table)) for table in tables)


def signature(model: SqlModel) -> str:
    """What a model's table depends on besides its inputs; the engine too, whose functions may give something else in another version."""
    told = (REVISION, duckdb.__version__, model.sql, model.increment, model.description, sorted(model.columns.items()))
    return hashlib.sha256(repr(told).encode()).hexdigest()


def is_apart(model: SqlModel) -> bool:
    """Whether a model's table is in another database than the state: one transaction writes one database."""
    return model.schema == MART_SCHEMA


def _touches_one_key(increment: Increment, table: str) -> bool:
    """Whether any change of an input touches one and the same key, whatever its rows: no log is needed of it."""
    return not increment.sums and all(
        one.of is None and one.added is None and not one.followed_columns for _, one in increment.slices_of(table)
    )


def _tables(con: duckdb.DuckDBPyConnection) -> frozenset[str]:
    # The copies of KPIs beside the marts are not the models' tables.
    found = con.execute(
        "select schema_name || '.' || table_name from duckdb_tables() "
        "where not temporary and (database_name = current_database() or schema_name = ?)",
        [MART_SCHEMA],
    ).fetchall()
    return frozenset(name for (name,) in found)


def _instant(value: datetime | None) -> str:
    return "cast(null as timestamptz)" if value is None else f"timestamptz '{value.astimezone(UTC).isoformat()}'"
