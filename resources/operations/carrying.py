"""Carries the rows of a data folder's own store (SQLite) over into PostgreSQL, once, when the folder becomes a service's.

Without it the service would start anew: every stream read whole, files taken twice, receipts and quarantine forgotten.
"""

from __future__ import annotations

import secrets
import sqlite3
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from resources.errors import ConfigurationError, Where
from resources.operations.engine import POSTGRES_SCHEMA, Transactions, open_engine
from resources.operations.tables import exchange, metadata

CARRIED = ".carried-over"
"""Ends the name of a store whose rows are in PostgreSQL: kept, read by nobody."""

KIND = "carried_over"
ROWS_AT_ONCE = 2_000
BUSY_S = 5.0


def carry_over(source: Path, target_url: str, *, now: datetime) -> dict[str, int]:
    """Copy every row of the SQLite store ``source`` into the empty store at ``target_url``, then rename the file.

    Gives the rows of each table that has any; nothing when there is no such file. All rows come in one transaction: a crash leaves
    PostgreSQL empty, or whole with the file not renamed yet, which the next call does. Raises ConfigurationError, and changes
    nothing, when another process has the file open, or when PostgreSQL holds rows of another store.
    """
    if not source.is_file():
        return {}
    mark = _take_alone(source)
    target = open_engine(target_url)
    origin = open_engine(f"sqlite:///{source}")  # brings a store of an earlier release to today's tables
    try:
        with Transactions(target).writing() as writing:
            writing.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('etalon.operations'))"))
            if _is_carried(writing, mark):
                copied: dict[str, int] = {}
            else:
                _must_be_empty(writing, source)
                with Transactions(origin).writing() as reading:
                    copied = _copy(reading, writing)
                writing.execute(sa.insert(exchange).values(**_note(mark, copied, now)))
    finally:
        origin.dispose()
        target.dispose()
    _take_alone(source)
    source.rename(source.with_name(source.name + CARRIED))
    return copied


def must_be_carried_over(source: Path, url: str) -> None:
    """Raises ConfigurationError when the store at ``url`` is PostgreSQL and the folder has rows of its own that are not in it."""
    if url.startswith("postgresql") and source.is_file():
        raise ConfigurationError(
            "this data folder has an operations store of its own that PostgreSQL does not know: cursors, receipts and quarantine are "
            "in it",
            where=Where(file=str(source)),
            action="`etalon up` carries it over, once; or work without ETALON_POSTGRES_URL, as before",
        )


def _take_alone(source: Path) -> int:
    """Make sure that nobody else has the file open, fold its write-ahead log in, and give the number that marks it."""
    connection = sqlite3.connect(source, timeout=BUSY_S, isolation_level=None)
    try:
        # Leaving the write-ahead log needs the file for oneself: whoever has it open holds a lock on it.
        connection.execute("PRAGMA journal_mode=DELETE")
        (mark,) = connection.execute("PRAGMA user_version").fetchone()
        if not mark:
            mark = secrets.randbelow(2**31 - 1) + 1
            connection.execute(f"PRAGMA user_version={mark}")
    except sqlite3.OperationalError as error:
        raise ConfigurationError(
            "another process works on this data folder, whose operations store is to be carried over into PostgreSQL",
            where=Where(file=str(source)),
            action="let it end, or end it (a run, `etalon ui`, `etalon worker`), and start again",
        ) from error
    finally:
        connection.close()
    return int(mark)


def _is_carried(writing: Connection, mark: int) -> bool:
    of_mark = (exchange.c.kind == KIND) & (exchange.c.run_id == str(mark))
    return writing.scalar(sa.select(sa.literal(1)).where(sa.exists().where(of_mark))) is not None


def _must_be_empty(writing: Connection, source: Path) -> None:
    filled = [
        table.name
        for table in metadata.sorted_tables
        if writing.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first() is not None
    ]
    if filled:
        raise ConfigurationError(
            f"PostgreSQL holds an operations store already ({', '.join(filled[:5])}), and this data folder has another one of its own",
            where=Where(file=str(source)),
            action="decide which one holds: name an empty database, or move this file away to go on with PostgreSQL's",
        )


def _copy(reading: Connection, writing: Connection) -> dict[str, int]:
    copied: dict[str, int] = {}
    for table in metadata.sorted_tables:
        rows = reading.execution_options(yield_per=ROWS_AT_ONCE).execute(
            sa.select(table).order_by(*table.primary_key.columns)
        )
        for chunk in rows.mappings().partitions(ROWS_AT_ONCE):
            writing.execute(sa.insert(table), [dict(row) for row in chunk])
            copied[table.name] = copied.get(table.name, 0) + len(chunk)
        _go_on_counting(writing, table)
    return copied


def _go_on_counting(writing: Connection, table: sa.Table) -> None:
    """New rows get numbers after those that were copied."""
    column = table.autoincrement_column
    if column is None:
        return
    name = f"{POSTGRES_SCHEMA}.{writing.dialect.identifier_preparer.quote(table.name)}"
    sequence = writing.scalar(sa.select(sa.func.pg_get_serial_sequence(name, column.name)))
    last = writing.scalar(sa.select(sa.func.max(column)))
    if sequence is not None and last is not None:
        writing.execute(sa.select(sa.func.setval(sequence, last)))


def _note(mark: int, copied: dict[str, int], now: datetime) -> dict[str, object]:
    return {
        "at": now,
        "run_id": str(mark),
        "system_code": "etalon",
        "kind": KIND,
        "is_ok": True,
        "detail": "the rows of the data folder's own store: "
        + ", ".join(f"{name} {qty}" for name, qty in copied.items()),
        "outcome": "carried over",
        "rows_qty": sum(copied.values()),
    }
