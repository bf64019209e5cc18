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
from resources.warehouse.comparing import NEW_ROWS, OLD_ROWS, added, compare, hashed, removed, removed_places
from resources.warehouse.places import ROW_ID, within
from resources.warehouse.slices import Slices
from resources.warehouse.sums import make_sums

REVISION = 1
"""Grows when a table that an earlier release built in part must be built whole once."""

WHOLE_SHARE = 0.2
"""A change that touches more than this share of a model's rows is built whole: that is cheaper."""

COMPARED_ROWS = 5_000_000
"""Up to so many rows a table that was built whole is compared with the one before, when a model built in part comes of it: comparing
costs about a fifth of what building does.
"""

ALWAYS_COMPARED_ROWS = 1_000_000
"""Up to so many rows it is compared for any model that reads it: it may spare that one's build."""

REPLACED_SHARE = 0.3
"""Where more than this share of a table's rows differ, all of them are put anew."""

WHOLE_ONLY = frozenset({"kpis.kpi_value"})
"""Models whose whole build does more than make their table."""

ANY_ROW = "select 1"
"""Stands for the log of an input of which one row is as good as any."""

MART_SCHEMA = "marts"


@dataclass(frozen=True)
class Change:
    """What a build did to a table. ``how``: `left`, `part` or `whole`; ``rows_qty``: rows that went or came, None when not counted.

    ``changed_rows``: a temporary table of the changed keys' rows, where it was built in part and has checks; ``version_before``: the
    table's before.
    """

    how: str
    rows_qty: int | None
    changed_rows: str = ""
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
        audit = Audit(self._clock_at, 0 if is_equal else self._differences(work))
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
        """Build the touched keys, and put the rows that differ in place."""
        if not touched:
            self._commit_state(work)
            return Change("part", 0)
        slices.make_rows(self._project.followed_columns.get(work.model.name, ()))
        return self._put_differing(work, slices)

    def _put_sums(self, work: _Work, slices: Slices, logs: Mapping[str, str]) -> Change:
        """Take off what the touched keys gave, and put on what they give."""
        make_sums(self._con, self._project, work.model, slices, logs)
        return self._put_differing(work, None)

    def _put_differing(self, work: _Work, slices: Slices | None) -> Change:
        """Put the new rows that differ in the place of the old ones. ``slices``: to know by which keys, where it is by keys."""
        differing = compare(self._con)
        if not differing:
            self._commit_state(work)
            return Change("part", 0)
        model, kept = work.model, ""
        if model.checks:
            kept = f"changed_of_{model.schema}_{model.name.split('.')[1]}"
            if slices is not None:
                slices.keep_changed_rows(kept)
            else:
                self._con.execute(f"create or replace temp table {kept} as {added(self._columns(work))}")
        version = self._book.table(model.name).version
        self._replace(work)
        return Change("part", differing, kept, version)

    def _put_compared(self, work: _Work) -> Change:
        """Build a model whole, and say which of its rows differ from those before."""
        con = self._con
        hashes = hashed(work.model.columns)
        con.execute(f"create or replace temp table {NEW_ROWS} as select t.*, {hashes} from (\n{work.model.sql}\n) as t")
        followed = self._project.followed_columns.get(work.model.name, ())
        named = ", ".join([f"t.rowid as {ROW_ID}", *(f't."{column}"' for column in followed), hashes])
        con.execute(f"create or replace temp table {OLD_ROWS} as select {named} from {work.table} as t")
        differing = compare(con)
        if not differing:
            self._commit_state(work)
            return Change("whole", 0)
        is_most = differing > REPLACED_SHARE * (count_rows(con, OLD_ROWS) + count_rows(con, NEW_ROWS))
        self._replace(work, is_whole=is_most)
        return Change("whole", differing)

    def _replace(self, work: _Work, *, is_whole: bool = False) -> None:
        """Put the new rows that differ in the place of the old ones that do, or where it is ``is_whole`` all of them; note what differs."""
        con, columns = self._con, self._columns(work)
        gone, come = "", f"select {columns} from {NEW_ROWS} as t"
        if not is_whole:
            places = removed_places()
            gone = f" where rowid in ({places}){within(con, places, count_rows(con, work.table))}"
            come = added(columns)
        self.begin(work.model)
        try:
            con.execute(f"delete from {work.table}{gone}")
            con.execute(f"insert into {work.table} by name {come}")
            self._log(work)
        except BaseException:
            con.execute("rollback")
            raise

    @staticmethod
    def _columns(work: _Work) -> str:
        return ", ".join(f't."{column}"' for column in work.model.columns)

    def _differences(self, work: _Work) -> int:
        """How many rows only a table, and only the new rows have."""
        hashes = hashed(work.model.columns)
        return compare(
            self._con, f"(select {hashes} from {work.table} as t)", f"(select {hashes} from {NEW_ROWS} as t)"
        )

    def _log(self, work: _Work) -> None:
        """Note the rows that differ and the state, and commit."""
        if is_apart(work.model):
            self._con.execute("commit; begin")
        followed = self._project.followed_columns.get(work.model.name)
        named = ", ".join(f't."{column}"' for column in followed or ()) or "1"
        rows = ((removed(named), False), (added(named), True)) if followed is not None else ()
        self._book.changed_rows(work.model.name, followed, rows)
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
