"""Connection to the operations store: SQLite in WAL mode, or PostgreSQL. Creates the schema, asks no question."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, make_url

from resources.operations.tables import metadata

POSTGRES_SCHEMA = "operations"
IS_CLEAN = "is_clean"
"""Option of an execution whose parameters went through :func:`clean` already."""
_AS_THEY_ARE = frozenset({type(None), bool, int, float, bytes, datetime})
BUSY_TIMEOUT_MS = 30_000
"""How long a SQLite writer waits for another one before it gives up."""


class Transactions:
    """How every part of the store reaches the database: one transaction for each question and each change."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that will write: on SQLite it waits for the writer before it reads."""
        with self.engine.connect().execution_options(is_writing=True) as connection, connection.begin():
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads."""
        with self.engine.connect() as connection, connection.begin():
            yield connection


def open_engine(url: str) -> Engine:
    """Open the store at ``url`` and create what is missing in it, safely while others do the same."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = _sqlite(url, parsed.database)
    else:
        engine = sa.create_engine(
            url, pool_pre_ping=True, execution_options={"schema_translate_map": {None: POSTGRES_SCHEMA}}
        )
    sa.event.listen(engine, "before_cursor_execute", _writable, retval=True)
    create_schema(engine)
    return engine


def _writable(
    _connection: Connection, _cursor: Any, statement: str, parameters: Any, context: Any, _is_many: bool
) -> tuple[str, Any]:
    """Parameters that every database takes: what systems say and files are called may hold what none stores as text."""
    is_clean = context is not None and context.execution_options.get(IS_CLEAN, False)
    return statement, parameters if is_clean else clean(parameters)


def clean(value: Any) -> Any:
    """PostgreSQL refuses NUL, both refuse half characters; either would lose the whole note for one character."""
    # Quarantine brings thousands of rows at once: the values that need nothing leave first.
    kind = type(value)
    if kind in _AS_THEY_ARE or (kind is str and value.isascii() and "\0" not in value):
        return value
    if isinstance(value, str):
        cleaned = value.replace("\0", "\N{REPLACEMENT CHARACTER}")
        return cleaned if cleaned.isascii() else cleaned.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {name: clean(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)([clean(one) for one in value])
    return value


def create_schema(engine: Engine) -> None:
    """Create the tables and the columns that do not exist yet. Running it again, or from two processes at once, changes nothing.

    A store made by an earlier release keeps its rows: a column that came later is nullable, so it can be added to them.
    """
    with engine.connect().execution_options(is_writing=True) as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            # Two processes that create the same table at once would make one of them fail.
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('etalon.operations'))"))
            connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {POSTGRES_SCHEMA}"))
        metadata.create_all(connection)
        _add_missing_columns(connection)


def _add_missing_columns(connection: Connection) -> None:
    schema = POSTGRES_SCHEMA if connection.dialect.name == "postgresql" else None
    quote = connection.dialect.identifier_preparer.quote
    for name, present in sa.inspect(connection).get_multi_columns(schema=schema).items():
        table = metadata.tables.get(name[1])
        if table is None:
            continue
        there = {column["name"] for column in present}
        for column in table.columns:
            if column.name not in there:
                kind = column.type.compile(connection.dialect)
                place = f"{quote(schema)}." if schema else ""
                connection.exec_driver_sql(
                    f"ALTER TABLE {place}{quote(table.name)} ADD COLUMN {quote(column.name)} {kind}"
                )


def _sqlite(url: str, database: str | None) -> Engine:
    if database and database != ":memory:":
        Path(database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url)

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        # The driver must not open transactions by itself: ours say whether they will write (see `begin`).
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that reads first and then writes fails when another one wrote in between; IMMEDIATE waits instead.
        is_writing = connection.get_execution_options().get("is_writing", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writing else "BEGIN")

    return engine
