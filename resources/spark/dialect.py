"""A model's query in Spark's words: written for DuckDB, parsed and written again by sqlglot.

Belongs here: the few constructs that sqlglot words so that another value comes out, and the names of tables. What may stand in a model
at all is decided by `resources.sql_portability`.
"""

from __future__ import annotations

from functools import cache

import sqlglot
from sqlglot import exp
from sqlglot.dialects.spark import Spark
from sqlglot.generator import Generator
from sqlglot.generators.spark import SparkGenerator

DIALECT = "duckdb"


def _epoch(generator: Generator, expression: exp.TimeToUnix) -> str:
    """`epoch()` has fractions of a second; `unix_timestamp` cuts them off. A date is taken at midnight UTC by both."""
    instant = generator.sql(exp.cast(expression.this.copy(), exp.DataType.Type.TIMESTAMPTZ))
    return f"(UNIX_MICROS({instant}) / 1000000D)"


class _Words(SparkGenerator):
    TRANSFORMS = {**SparkGenerator.TRANSFORMS, exp.TimeToUnix: _epoch}  # noqa: RUF012 (sqlglot's own way)


class _Spark(Spark):
    """Spark 4 in ANSI mode, its session in UTC."""

    Generator = _Words


@cache
def spark_sql(query: str) -> str:
    """``query`` (DuckDB's dialect) for Spark: `schema.table` becomes the view `schema__table`, see :func:`view_name`."""
    parsed = sqlglot.parse_one(query, dialect=DIALECT)
    for table in parsed.find_all(exp.Table):
        if table.db:
            table.set("this", exp.to_identifier(view_name(f"{table.db}.{table.name}"), quoted=True))
            table.set("db", None)
    return parsed.sql(dialect=_Spark)


def view_name(table: str) -> str:
    """`kpis.k2_line` -> `kpis__k2_line`: views of a session live in no schema, so a cluster's own catalogue is never touched."""
    return table.replace(".", "__")
