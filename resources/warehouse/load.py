"""Canonical Parquet files and small frames into the warehouse: upsert with a row version, tombstones with a cap.

The rule of the upsert: of two versions of a row the one seen later wins, by (observed_at, extract_id,
source_position). It is a total order, so the outcome does not depend on the order or the size of the loads, and
loading the same file again changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import duckdb
import polars as pl

from resources.contracts.entity import ENVELOPE, entities
from resources.errors import ContractBroken, Where
from resources.given_tables import given_tables, quoted
from resources.operations import KEY_SEPARATOR
from resources.warehouse import changes
from resources.warehouse.places import ROW_ID, within

# A full reading may take away this share of a stream's live rows, or this many rows where a share means little.
TOMBSTONE_CAP_SHARE = 0.2
TOMBSTONE_ALWAYS_QTY = 5

PLACED_SHARE = 0.2
"""Where a load brings at most this share of a table's rows, those it meets are looked up before they are read whole."""

_SEEN = (*(name for name in ENVELOPE if name != "system_code"), "_stream")
"""Columns that tell when and where a row was seen."""


class FullScope(NamedTuple):
    """A whole reading of one stream: what it does not show was deleted.

    Rows of it that were refused are not deleted. ``refused_keys`` names them, as `resources.operations.key_text` does; while
    there are others, ``unreadable_qty`` of them, an absent row may be one of those, and nothing is deleted.
    """

    system_code: str
    stream: str
    extract_id: str
    unreadable_qty: int = 0
    refused_keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class Held:
    """Tombstones that a full reading asked for and did not get."""

    scope: FullScope
    absent_qty: int
    live_qty: int
    reason: str


@dataclass(frozen=True)
class LoadResult:
    """What a load did to one entity. Rows; ``row_version`` is the entity's highest after it."""

    entity: str
    read_qty: int
    inserted_qty: int
    updated_qty: int
    tombstoned_qty: int
    row_version: int
    held: tuple[Held, ...] = ()


def load_entity(
    con: duckdb.DuckDBPyConnection,
    entity_name: str,
    parquet_paths: Iterable[Path],
    *,
    full_scopes: Sequence[FullScope] = (),
    cap_share: float = TOMBSTONE_CAP_SHARE,
) -> LoadResult:
    """Upsert canonical files named ``<system>.<stream>.<extract_id>.<n>.parquet`` into ``canonical.<entity_name>``.

    One transaction: all of it or nothing. A row's version grows only where a column of its contract differs; the
    envelope (when and where it was seen) is refreshed without that.
    ``full_scopes``: readings that are whole in this load; see :class:`FullScope`. Tombstones over the cap, or asked
    for by an empty reading, are held and reported.
    Raises ContractBroken when a file has not the contract's columns.
    """
    table = quoted(f"canonical.{entity_name}")
    entity = entities()[entity_name]
    files = [str(path) for path in parquet_paths]
    con.execute("begin")
    try:
        version = _number(con, f"select coalesce(max(_row_version), 0) + 1 from {table}")
        before = _number(con, f"select count(*) from {table}")
        read_qty = _read_incoming(con, entity_name, ("system_code", *entity.keys), files)
        put = _merge if before else _insert
        put(con, table, ("system_code", *entity.keys), entity.columns, version)
        inserted = _number(con, f"select count(*) from {table}") - before
        changed = _number(con, f"select count(*) from {table} where _row_version = {version}")
        tombstoned, held = _bury(con, entity_name, full_scopes, version, cap_share)
        if changes.is_followed(con):
            _follow(con, entity_name, version, has_full=bool(full_scopes))
        con.execute("drop table incoming")
        highest = _number(con, f"select coalesce(max(_row_version), 0) from {table}")
        con.execute("commit")
    except BaseException:
        con.execute("rollback")
        raise
    return LoadResult(entity_name, read_qty, inserted, changed - inserted, tombstoned, highest, held)


def load_frames(con: duckdb.DuckDBPyConnection, schema: str, frames: Mapping[str, pl.DataFrame]) -> None:
    """Make ``schema.<name>`` each frame, all in one transaction; a declared table that has these rows already is left alone.

    Raises ContractBroken when a declared table's columns are not exactly the frame's.
    """
    declared = given_tables()
    con.execute("begin")
    try:
        con.execute(f"create schema if not exists {quoted(schema)}")
        book = changes.Book(con) if changes.is_followed(con) else None
        for name, frame in frames.items():
            table = f"{schema}.{name}"
            columns = declared.get(table)
            if columns is not None and set(columns) != set(frame.columns):
                raise ContractBroken(
                    f"table {table} has columns {sorted(columns)}, the frame has {sorted(frame.columns)}",
                    action="make the frame and resources/given_tables.py agree",
                )
            con.register("incoming_frame", frame.to_arrow())
            listed = ", ".join(f'"{column}"' for column in frame.columns)
            if columns is None:
                con.execute(f"create or replace table {quoted(table)} as select {listed} from incoming_frame")
            elif _differs(con, quoted(table), listed):
                con.execute(f"delete from {quoted(table)}")
                con.execute(f"insert into {quoted(table)} ({listed}) select {listed} from incoming_frame")
                if book is not None:
                    rows = (("select * from frame_removed", False), ("select * from frame_added", True))
                    book.changed_rows(table, changes.given_columns(con, table), rows)
            con.unregister("incoming_frame")
        con.execute("commit")
    except BaseException:
        con.execute("rollback")
        raise


def _differs(con: duckdb.DuckDBPyConnection, table: str, listed: str) -> bool:
    """Whether the frame that came has other rows than the table; leaves them in two temporary tables."""
    old, new = f"(select {listed} from {table})", f"(select {listed} from incoming_frame)"
    con.execute(f"create or replace temp table frame_removed as from {old} except all from {new}")
    con.execute(f"create or replace temp table frame_added as from {new} except all from {old}")
    found = con.execute("select (select count(*) from frame_removed) + (select count(*) from frame_added)").fetchall()
    return bool(found[0][0])


def set_run_clock(con: duckdb.DuckDBPyConnection, *, as_of_at: datetime, run_id: str) -> None:
    """The instant that every model of this run takes for now."""
    con.execute("begin; delete from meta.run_clock")
    con.execute("insert into meta.run_clock values (?, ?)", [as_of_at, run_id])
    con.execute("commit")


def _number(con: duckdb.DuckDBPyConnection, query: str, parameters: Sequence[object] = ()) -> int:
    return int(con.execute(query, list(parameters)).fetchall()[0][0])


def _read_incoming(con: duckdb.DuckDBPyConnection, entity_name: str, keys: Sequence[str], files: list[str]) -> int:
    """Make the temporary table ``incoming``: the latest version of each key in the files. Returns rows read."""
    columns = list(entities()[entity_name].schema.columns)
    table = quoted(f"canonical.{entity_name}")
    con.execute(f"create or replace temp table incoming as select * from {table} limit 0")
    if not files:
        return 0
    listed = ", ".join(f'"{column}"' for column in columns)
    # The stream is the second part of the file's name.
    rows = f"select {listed}, split_part(parse_filename(filename), '.', 2) from read_parquet(?, filename = true)"
    try:
        con.execute(f"insert into incoming ({listed}, _stream) {rows}", [files])
    except duckdb.BinderException as error:
        raise ContractBroken(
            f"a canonical file of {entity_name} has not the contract's columns: {error}",
            where=Where(file=files[0]),
            action="read it again from landing with the present contract",
        ) from error
    read_qty = _number(con, "select count(*) from incoming")
    _keep_latest(con, keys)
    return read_qty


def _keep_latest(con: duckdb.DuckDBPyConnection, keys: Sequence[str]) -> None:
    """Of rows of ``incoming`` with one key keep the one seen last. Only those that come twice are sorted: they are few."""
    key_list = ", ".join(f'"{key}"' for key in keys)
    con.execute(
        f"create or replace temp table twice as select {key_list} from incoming group by all having count(*) > 1"
    )
    same = " and ".join(f'i."{key}" = twice."{key}"' for key in keys)
    con.execute(
        f"""delete from incoming where rowid in (
            select row_id from (
                select i.rowid as row_id, row_number() over (
                    partition by {key_list} order by observed_at desc, extract_id desc, source_position desc
                ) as nth
                from incoming as i semi join twice on {same}
            ) where nth > 1
        )"""
    )
    con.execute("drop table twice")


def _insert(
    con: duckdb.DuckDBPyConnection, table: str, keys: Sequence[str], columns: Sequence[str], version: int
) -> None:
    """Put ``incoming`` into a ``table`` that holds nothing to be merged with."""
    values = [column for column in columns if column not in keys]
    listed = ", ".join(f'"{name}"' for name in (*keys, *_SEEN, *values))
    con.execute(
        f"insert into {table} ({listed}, _row_version, _is_deleted) select {listed}, {version}, false from incoming"
    )


def _merge(
    con: duckdb.DuckDBPyConnection, table: str, keys: Sequence[str], columns: Sequence[str], version: int
) -> None:
    """Put ``incoming`` into ``table``. Latest wins; equal content only refreshes the envelope."""
    envelope = _SEEN
    values = [column for column in columns if column not in keys]
    seen = "({0}.observed_at, {0}.extract_id, {0}.source_position)"
    # A key-only entity differs only by coming back from the dead.
    differs = " or ".join(["t._is_deleted", *(f't."{name}" is distinct from u."{name}"' for name in values)])
    everything = [*keys, *envelope, *values]
    matched = " and ".join(f't."{key}" = u."{key}"' for key in keys)
    using, near = "incoming", ""
    rows_qty = _number(con, f"select count(*) from {table}")
    if _number(con, "select count(*) from incoming") <= PLACED_SHARE * rows_qty:
        # By their places: of the rows that are not met, only the keys are read.
        listed = ", ".join(f't."{key}"' for key in keys)
        con.execute(
            f"create or replace temp table met as select t.rowid as {ROW_ID}, {listed} from {table} as t "
            f"semi join incoming as u on {matched}"
        )
        using = f"(select u.*, t.{ROW_ID} from incoming as u left join met as t on {matched})"
        near = within(con, f"select {ROW_ID} from met", rows_qty, of="t")
        matched = f"t.rowid = u.{ROW_ID}"
    con.execute(
        f"""merge into {table} t using {using} u on {matched}{near}
        when matched and {seen.format("u")} >= {seen.format("t")} and ({differs}) then update set
            {", ".join(f'"{name}" = u."{name}"' for name in [*envelope, *values])},
            _row_version = {version}, _is_deleted = false
        when matched and {seen.format("u")} > {seen.format("t")} then update set
            {", ".join(f'"{name}" = u."{name}"' for name in envelope)}
        when not matched then insert ({", ".join(f'"{name}"' for name in everything)}, _row_version, _is_deleted)
            values ({", ".join(f'u."{name}"' for name in everything)}, {version}, false)"""
    )


def _follow(con: duckdb.DuckDBPyConnection, entity_name: str, version: int, *, has_full: bool) -> None:
    """Log the keys of the rows that came or were buried. One that came and changed nothing costs its readers a look, and no scan here."""
    table = f"canonical.{entity_name}"
    columns = changes.given_columns(con, table)
    gone = f"select * from {quoted(table)} where _row_version = {version} and _is_deleted"
    if _number(con, f"select (select count(*) from incoming) + (select count(*) from ({gone}))"):
        changes.Book(con).changed_rows(table, columns, (("select * from incoming", True), (gone, False)))
    if has_full:
        book = changes.Book(con)
        for kept in ("meta.full_reading", "meta.refused_key"):
            book.changed_rows(kept, None, ())


def _bury(
    con: duckdb.DuckDBPyConnection, entity_name: str, scopes: Sequence[FullScope], version: int, cap_share: float
) -> tuple[int, tuple[Held, ...]]:
    """Tombstone what full readings did not show. Rows they showed carry their instant, so older ones are gone."""
    held: list[Held] = []
    for scope in (FullScope(*scope) for scope in scopes):
        reason = _record_full_reading(con, entity_name, scope, cap_share)
        if reason is not None:
            held.append(reason)
    buried = con.execute(
        f"""update {quoted(f"canonical.{entity_name}")} as t
        set _is_deleted = true, _row_version = {version}, observed_at = f.observed_at, extract_id = f.extract_id,
            source_position = ''
        from meta.full_reading f
        where f.entity = ? and f.system_code = t.system_code and f.stream = t._stream
            and t.observed_at < f.observed_at and not t._is_deleted and not {_is_refused(entity_name)}""",
        [entity_name],
    ).fetchall()
    return int(buried[0][0]), tuple(held)


def _record_full_reading(
    con: duckdb.DuckDBPyConnection, entity_name: str, scope: FullScope, cap_share: float
) -> Held | None:
    """Remember the reading as the stream's last full one, unless that would delete what it should not."""
    table = quoted(f"canonical.{entity_name}")
    stream = [scope.system_code, scope.stream]
    found = con.execute(
        "select max(observed_at) from incoming where system_code = ? and _stream = ? and extract_id = ?",
        [*stream, scope.extract_id],
    ).fetchall()
    observed_at = found[0][0]
    live = f"select count(*) from {table} where system_code = ? and _stream = ? and not _is_deleted"
    live_qty = _number(con, live, stream)
    if observed_at is None:
        return Held(scope, live_qty, live_qty, "the reading shows no row at all") if live_qty else None
    con.execute("create or replace temp table refused (row_key varchar)")
    if scope.refused_keys:
        con.execute("insert into refused select unnest(?)", [list(scope.refused_keys)])
    absent = f"{live} and observed_at < ? and {_row_key(entity_name)} not in (select row_key from refused)"
    absent_qty = _number(con, absent, [*stream, observed_at])
    if absent_qty and scope.unreadable_qty:
        reason = f"{scope.unreadable_qty} of its rows were refused with no readable key and may be the absent ones"
        return Held(scope, absent_qty, live_qty, reason)
    if absent_qty > max(TOMBSTONE_ALWAYS_QTY, cap_share * live_qty):
        return Held(scope, absent_qty, live_qty, f"more than {cap_share:.0%} of the live rows are absent")
    con.execute(
        "delete from meta.full_reading where entity = ? and system_code = ? and stream = ? and observed_at < ?",
        [entity_name, *stream, observed_at],
    )
    con.execute(
        """insert into meta.full_reading select ?, ?, ?, ?, ?
        where not exists (select 1 from meta.full_reading where entity = ? and system_code = ? and stream = ?)""",
        [entity_name, *stream, scope.extract_id, observed_at, entity_name, *stream],
    )
    is_last = (
        "select count(*) from meta.full_reading where entity = ? and system_code = ? and stream = ? and extract_id = ?"
    )
    if _number(con, is_last, [entity_name, *stream, scope.extract_id]):
        con.execute(
            "delete from meta.refused_key where entity = ? and system_code = ? and stream = ?", [entity_name, *stream]
        )
        con.execute("insert into meta.refused_key select ?, ?, ?, row_key from refused", [entity_name, *stream])
    return None


def _row_key(entity_name: str) -> str:
    """SQL of a row's key as one text, as `resources.operations.key_text` makes it of text columns."""
    keys = ", ".join(f'"{key}"' for key in entities()[entity_name].keys)
    return f"concat_ws(chr({ord(KEY_SEPARATOR)}), {keys})"


def _is_refused(entity_name: str) -> str:
    """SQL: whether the last full reading of the stream of row `t` showed it and refused it."""
    return f"""exists (
        select 1 from meta.refused_key r
        where r.entity = '{entity_name}' and r.system_code = t.system_code and r.stream = t._stream
            and r.row_key = {_row_key(entity_name)}
    )"""
