"""Builds a model in part: only the keys that changes of its inputs touch are built anew, by the model's own query over their rows.

A model whose inputs stand still is left alone. One that declares nothing, or that a change touches too widely, is built whole; where
others read it, the new table is compared with the old one, so that they learn which rows really changed. Either way the table is what
a whole build would make. Belongs here: which of these it is, and putting the rows in place. Queries are in `slices`, logs in `changes`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb

from resources.given_tables import quoted
from resources.sql_increments import CLOCK, Increment
from resources.sql_project import SqlModel, SqlProject
from resources.warehouse import changes
from resources.warehouse.changes import ModelState, TableState
from resources.warehouse.slices import KEYS, ROW_ID, Slices

REVISION = 1
"""Grows when a table that an earlier release built in part must be built whole once."""

WHOLE_SHARE = 0.2
"""A change that touches more than this share of a model's rows is built whole: that is cheaper."""

COMPARED_ROWS = 2_000_000
"""Up to so many rows a table that was built whole is compared with the one before."""

WHOLE_ONLY = frozenset({"kpis.kpi_value"})
"""Models whose whole build does more than make their table."""

MART_SCHEMA = "marts"
NEW_ROWS = "new_rows"


@dataclass(frozen=True)
class Change:
    """What a build did to a table. ``how``: `left`, `part` or `whole`; ``rows_qty``: rows that went or came, None when not counted."""

    how: str
    rows_qty: int | None


@dataclass(frozen=True)
class _Work:
    """One model about to be built: its present state, and what changed of its inputs since."""

    con: duckdb.DuckDBPyConnection
    model: SqlModel
    followed: tuple[str, ...] | None
    is_read: bool
    state: ModelState | None
    inputs: Mapping[str, TableState]
    clock_at: datetime | None

    @property
    def table(self) -> str:
        return quoted(self.model.name)

    def changed_inputs(self, state: ModelState) -> list[str]:
        return [name for name, known in self.inputs.items() if state.consumed.get(name) != known.version]


def begin(con: duckdb.DuckDBPyConnection, project: SqlProject) -> None:
    """Follow, from now on, the tables that models read and none makes."""
    changes.create_state(con)
    given = {ref for model in project.models.values() for ref in model.refs if ref not in project.models} - {CLOCK}
    unknown = [table for table, state in changes.table_states(con, given).items() if state.version == 0]
    if unknown:
        con.execute("begin")
        for table in sorted(unknown):
            changes.changed_whole(con, table, changes.given_columns(con, table))
        con.execute("commit")


def build_part(con: duckdb.DuckDBPyConnection, project: SqlProject, model: SqlModel, *, share: float) -> Change | None:
    """Bring a model's table up to date in the cheapest way that gives what a whole build would; None when only a whole build does.

    The caller then builds it whole and calls :func:`note_whole`. ``share``: see WHOLE_SHARE.
    """
    work = _work(con, project, model)
    state = work.state
    if state is None or state.signature != signature(model) or not _exists(con, model.name):
        return None
    changed = work.changed_inputs(state)
    is_clock_moved = CLOCK in model.refs and state.clock_at != work.clock_at
    if not changed and not is_clock_moved:
        return Change("left", 0)
    increment = model.increment
    if increment is not None and _can_be_part(work, state, increment, changed, is_clock_moved=is_clock_moved):
        slices = Slices(con, model, increment, clock=(_instant(state.clock_at), _instant(work.clock_at)))
        logs = {table: changes.log_since(table, state.consumed[table]) for table in changed}
        if slices.has_only_added(logs):
            touched = slices.find_keys(logs, is_clock_moved=is_clock_moved)
            rows = _count(con, work.table)
            if touched <= max(1, share * rows) or touched <= 1:
                return _put_keys(work, slices, touched)
    if work.is_read and model.name not in WHOLE_ONLY and _count(con, work.table) <= COMPARED_ROWS:
        return _put_compared(work)
    return None


def note_whole(con: duckdb.DuckDBPyConnection, project: SqlProject, model: SqlModel) -> None:
    """Note that a model was built whole and that any of its rows may have changed. In the transaction of its table where it can be."""
    work = _work(con, project, model)
    changes.changed_whole(con, model.name, work.followed)
    _keep_state(work)


def end(con: duckdb.DuckDBPyConnection, project: SqlProject) -> None:
    """Remove from the logs what nobody needs any more."""
    changes.prune_logs(con, project)


def signature(model: SqlModel) -> str:
    """What a model's table depends on besides its inputs."""
    told = (REVISION, model.sql, model.increment, model.description, sorted(model.columns.items()))
    return hashlib.sha256(repr(told).encode()).hexdigest()


def is_apart(model: SqlModel) -> bool:
    """Whether a model's table is in another database than the state: one transaction writes one database."""
    return model.schema == MART_SCHEMA


def _work(con: duckdb.DuckDBPyConnection, project: SqlProject, model: SqlModel) -> _Work:
    clock = con.execute("select as_of_at from meta.run_clock").fetchall() if CLOCK in model.refs else []
    return _Work(
        con=con,
        model=model,
        followed=project.followed_columns.get(model.name),
        is_read=model.name in project.read_models,
        state=changes.model_state(con, model.name),
        inputs=changes.table_states(con, [ref for ref in model.refs if ref != CLOCK]),
        clock_at=clock[0][0] if clock else None,
    )


def _can_be_part(
    work: _Work, state: ModelState, increment: Increment, changed: list[str], *, is_clock_moved: bool
) -> bool:
    if is_clock_moved:
        is_forward = state.clock_at is not None and work.clock_at is not None and work.clock_at > state.clock_at
        if not increment.clock or not is_forward:
            return False
    for table in changed:
        if table in increment.whole or table not in state.consumed:
            return False
        if work.inputs[table].whole_version > state.consumed[table]:
            return False
        if not changes.has_log(work.con, table, {name for _, one in increment.slices_of(table) for name in one.followed_columns}):
            return False
    return True


def _put_keys(work: _Work, slices: Slices, touched: int) -> Change:
    """Build the touched keys, and put those in place whose rows differ."""
    con = work.con
    if not touched:
        _commit_state(work)
        return Change("part", 0)
    cut = slices.cut()
    con.execute(f"create or replace temp table {NEW_ROWS} as {slices.query(cut)}")
    con.execute(f"create or replace temp table old_rows as {slices.present_rows()}")
    for name in {*cut.values()}:
        con.execute(f"drop table if exists {name}")
    removed, added = _differences(con, f"(select * exclude ({ROW_ID}) from old_rows)", NEW_ROWS)
    if not removed and not added:
        _commit_state(work)
        return Change("part", 0)
    con.execute(
        f"create or replace temp table changed_keys as {slices.keys_in('removed_rows')} union {slices.keys_in('added_rows')}"
    )
    con.execute("begin")
    try:
        old = slices.rows_of("old_rows", "changed_keys").replace("select t.*", f"select t.{ROW_ID}", 1)
        con.execute(f"delete from {work.table} where rowid in ({old})")
        con.execute(f"insert into {work.table} by name {slices.rows_of(NEW_ROWS, 'changed_keys')}")
        _log(work)
    except BaseException:
        con.execute("rollback")
        raise
    return Change("part", removed + added)


def _put_compared(work: _Work) -> Change:
    """Build a model whole, and say which of its rows differ from those before."""
    con = work.con
    con.execute(f"create or replace temp table {NEW_ROWS} as\n{work.model.sql}")
    removed, added = _differences(con, work.table, NEW_ROWS)
    if not removed and not added:
        _commit_state(work)
        return Change("whole", 0)
    con.execute("begin")
    try:
        con.execute(f"delete from {work.table}")
        con.execute(f"insert into {work.table} by name select * from {NEW_ROWS}")
        _log(work)
    except BaseException:
        con.execute("rollback")
        raise
    return Change("whole", removed + added)


def _differences(con: duckdb.DuckDBPyConnection, old: str, new: str) -> tuple[int, int]:
    """Make the tables of rows that only the old, and only the new relation has; gives how many each has."""
    con.execute(f"create or replace temp table removed_rows as from {old} except all from {new}")
    con.execute(f"create or replace temp table added_rows as from {new} except all from {old}")
    return _count(con, "removed_rows"), _count(con, "added_rows")


def _log(work: _Work) -> None:
    """Note the rows that differ and the state, and commit."""
    con = work.con
    if is_apart(work.model):
        # A crash here repeats the same keys: the state still says that they are to be built.
        con.execute("commit; begin")
    changes.changed_rows(
        con,
        work.model.name,
        work.followed,
        (("select * from removed_rows", False), ("select * from added_rows", True)),
    )
    _keep_state(work)
    con.execute("commit")


def _commit_state(work: _Work) -> None:
    work.con.execute("begin")
    _keep_state(work)
    work.con.execute("commit")


def _keep_state(work: _Work) -> None:
    consumed = {table: state.version for table, state in work.inputs.items()}
    changes.keep_model_state(
        work.con, work.model.name, ModelState(signature(work.model), work.clock_at, consumed)
    )


def _exists(con: duckdb.DuckDBPyConnection, name: str) -> bool:
    schema, _, table = name.partition(".")
    found = con.execute(
        "select count(*) from duckdb_tables() where schema_name = ? and table_name = ?", [schema, table]
    ).fetchall()
    return bool(found[0][0])


def _instant(value: datetime | None) -> str:
    return "cast(null as timestamptz)" if value is None else f"timestamptz '{value.astimezone(UTC).isoformat()}'"


def _count(con: duckdb.DuckDBPyConnection, relation: str) -> int:
    return int(con.execute(f"select count(*) from {relation}").fetchall()[0][0])
