"""Many rows into one table of the store at the cost of the driver. A few rows go through SQLAlchemy like everything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from resources.operations.engine import IS_CLEAN, clean

FEW_ROWS = 50
"""Up to so many rows SQLAlchemy itself costs nothing that anybody would see."""


def insert_many(connection: Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that all have the same columns.

    SQLAlchemy works out each value of each row on the way to SQLite, which costs five times what SQLite does; here each
    column's own conversion is looked up once. PostgreSQL gets SQLAlchemy's insert, which packs many rows into one statement.
    """
    if not rows:
        return
    if len(rows) <= FEW_ROWS or connection.dialect.name != "sqlite":
        connection.execute(sa.insert(table), list(rows))
        return
    dialect = connection.dialect
    names = list(rows[0])
    statement = sa.insert(table).compile(dialect=dialect, column_keys=names)
    order = [str(name) for name in statement.positiontup or names]
    columns = [_converted(table.columns[name], [row[name] for row in rows], dialect) for name in order]
    options = {IS_CLEAN: True}
    connection.exec_driver_sql(str(statement), list(zip(*columns, strict=True)), execution_options=options)


def _converted(column: sa.Column[Any], values: list[Any], dialect: sa.Dialect) -> list[Any]:
    """A column's values as the driver takes them; a value that is everywhere is converted once."""
    if values.count(values[0]) == len(values):
        return _converted_each(column, values[:1], dialect) * len(values)
    return _converted_each(column, values, dialect)


def _converted_each(column: sa.Column[Any], values: list[Any], dialect: sa.Dialect) -> list[Any]:
    convert = column.type.dialect_impl(dialect).bind_processor(dialect)
    converted = values if convert is None else [convert(value) for value in values]
    return [clean(value) for value in converted]
