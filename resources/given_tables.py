"""The tables of the warehouse that no SQL model makes: canonical entities, the retailer's tables, the run's own.

Canonical tables follow the contracts. The retailer's follow :mod:`resources.retailer_tables`; the few others are declared
here. SQL models are parsed, tested and linted against these, without a retailer or a database at hand.
"""

from __future__ import annotations

import duckdb
import polars as pl

from resources.contracts.entity import Entity, entities
from resources.retailer_tables import TABLES as RETAILER

# Columns a canonical table has besides its contract's.
BOOKKEEPING: dict[str, str] = {
    "_stream": "VARCHAR",  # stream that gave the row: a full reading speaks for its own stream only
    "_row_version": "BIGINT",  # grows each time the row really changes: "what changed since N" is one comparison
    "_is_deleted": "BOOLEAN",  # tombstone: absent from a full reading
}


def duckdb_type(kind: pl.DataType | type[pl.DataType]) -> str:
    """The DuckDB type of a polars type. Raises KeyError for one that no given table uses."""
    if isinstance(kind, pl.Decimal):
        return f"DECIMAL({kind.precision}, {kind.scale})"
    return {
        pl.String: "VARCHAR",
        pl.Int64: "BIGINT",
        pl.Boolean: "BOOLEAN",
        pl.Float64: "DOUBLE",
        pl.Date: "DATE",
        pl.Datetime("us", "UTC"): "TIMESTAMPTZ",
    }[kind]


def _table(text: str) -> dict[str, str]:
    words = text.replace(",", " ").split()
    return dict(zip(words[::2], words[1::2], strict=True))


META: dict[str, dict[str, str]] = {
    "run_clock": _table("as_of_at TIMESTAMPTZ, run_id VARCHAR"),
    "extract": _table(
        "system_code VARCHAR, stream VARCHAR, extract_id VARCHAR, announced_qty BIGINT, landed_qty BIGINT, "
        "quarantined_qty BIGINT, outcome VARCHAR, since_at TIMESTAMPTZ, watermark_at TIMESTAMPTZ, bytes BIGINT, "
        "duration_s DOUBLE, error VARCHAR, kind VARCHAR, is_loadable BOOLEAN, started_at TIMESTAMPTZ, "
        "finished_at TIMESTAMPTZ"
    ),
    # The exchange journal and the incidents of the last days, as they stood when this run loaded.
    "exchange": _table(
        "exchange_id BIGINT, happened_at TIMESTAMPTZ, run_id VARCHAR, extract_id VARCHAR, system_code VARCHAR, stream VARCHAR, "
        "kind VARCHAR, direction VARCHAR, outcome VARCHAR, is_ok BOOLEAN, rows_qty BIGINT, bytes BIGINT, "
        "duration_s DOUBLE, request_id VARCHAR, file VARCHAR, line BIGINT, detail VARCHAR"
    ),
    "incident": _table(
        "incident_id BIGINT, kind VARCHAR, severity VARCHAR, status VARCHAR, system_code VARCHAR, stream VARCHAR, "
        "channel_code VARCHAR, file VARCHAR, line BIGINT, request_id VARCHAR, what VARCHAR, action VARCHAR, "
        "touched_kpis VARCHAR, touched_work_lists VARCHAR, touched_channels VARCHAR, occurrences_qty BIGINT, "
        "reopened_qty BIGINT, since_at TIMESTAMPTZ, opened_at TIMESTAMPTZ, last_seen_at TIMESTAMPTZ, closed_at TIMESTAMPTZ"
    ),
    # Orders sent to systems as files, as they stood when this run loaded: those still open, and what changed of late.
    "order_message": _table(
        "target_system_code VARCHAR, channel_code VARCHAR, order_number VARCHAR, system_code VARCHAR, order_external_id VARCHAR, "
        "order_id VARCHAR, state VARCHAR, reason VARCHAR, file VARCHAR, ordered_at TIMESTAMPTZ, sent_at TIMESTAMPTZ, "
        "answered_at TIMESTAMPTZ, cancelled_at TIMESTAMPTZ, updated_at TIMESTAMPTZ"
    ),
    # What the streams that are read now give: one row per entity.
    "stream": _table("system_code VARCHAR, stream VARCHAR, entity VARCHAR"),
    # The last full reading of each stream, per entity: what it did not show was deleted by then.
    "full_reading": _table(
        "entity VARCHAR, system_code VARCHAR, stream VARCHAR, extract_id VARCHAR, observed_at TIMESTAMPTZ"
    ),
    # Rows which that reading showed and which were refused: they are not deleted.
    "refused_key": _table("entity VARCHAR, system_code VARCHAR, stream VARCHAR, row_key VARCHAR"),
}

# Rows that outlive a rebuild of the models: the same columns as kpis.kpi_value.
HISTORY: dict[str, dict[str, str]] = {
    "k1b_history": _table(
        "kpi_code VARCHAR, kpi_version BIGINT, measure VARCHAR, period_kind VARCHAR, period_start_on DATE, "
        "dimension_kind VARCHAR, dimension_code VARCHAR, unit VARCHAR, numerator BIGINT, denominator BIGINT, "
        "value DOUBLE, coverage_numerator BIGINT, coverage_denominator BIGINT, not_measurable_reason VARCHAR, "
        "data_as_of_at TIMESTAMPTZ"
    ),
}


def canonical_columns(entity: Entity) -> dict[str, str]:
    """Column name -> DuckDB type of a canonical table, in stored order."""
    return {name: duckdb_type(kind) for name, kind in entity.polars_schema.items()} | BOOKKEEPING


def given_tables() -> dict[str, dict[str, str]]:
    """`schema.table` -> column -> DuckDB type, of every table that models read and none makes."""
    return (
        {f"canonical.{name}": canonical_columns(entity) for name, entity in entities().items()}
        | {
            f"retailer.{name}": {column: duckdb_type(kind) for column, kind in columns.items()}
            for name, columns in RETAILER.items()
        }
        | {f"meta.{name}": columns for name, columns in META.items()}
        | {f"kpis.{name}": columns for name, columns in HISTORY.items()}
    )


def quoted(table: str) -> str:
    """`canonical.order` -> `"canonical"."order"`: some names are SQL keywords."""
    return ".".join(f'"{part}"' for part in table.split("."))


def create_given_tables(con: duckdb.DuckDBPyConnection) -> None:
    """Create what is missing of :func:`given_tables` in the current database, empty, and add columns that came later, null.

    Existing rows are left alone.
    """
    present: dict[str, set[str]] = {}
    for schema, table, column in con.execute(
        "select schema_name, table_name, column_name from duckdb_columns() where database_name = current_database()"
    ).fetchall():
        present.setdefault(f"{schema}.{table}", set()).add(column)
    for table, columns in given_tables().items():
        if table not in present:
            con.execute(f"create schema if not exists {quoted(table.split('.')[0])}")
            body = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
            con.execute(f"create table if not exists {quoted(table)} ({body})")
        for name in columns.keys() - present.get(table, columns.keys()):
            con.execute(f'alter table {quoted(table)} add column "{name}" {columns[name]}')
