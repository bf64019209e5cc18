"""The exchange journal and the incidents as tables of the warehouse, for analysts: `meta.exchange` and `meta.incident`."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

from resources.operations import Operations
from resources.operations.incidents import Incident

MOST_EXCHANGES = 200_000
"""Lines of the journal that analysts get at most, the last ones: a busy fast lane writes some thousands a day."""

_INSTANT = pl.Datetime("us", "UTC")
_Columns = dict[str, type[pl.DataType] | pl.DataType]

EXCHANGE: _Columns = {
    "exchange_id": pl.Int64,
    "happened_at": _INSTANT,
    "run_id": pl.String,
    "extract_id": pl.String,
    "system_code": pl.String,
    "stream": pl.String,
    "kind": pl.String,
    "direction": pl.String,
    "outcome": pl.String,
    "is_ok": pl.Boolean,
    "rows_qty": pl.Int64,
    "bytes": pl.Int64,
    "duration_s": pl.Float64,
    "request_id": pl.String,
    "file": pl.String,
    "line": pl.Int64,
    "detail": pl.String,
}
_NAMED = {"happened_at": "at"}
"""Columns whose name in the journal is a word of SQL."""

INCIDENT: _Columns = {
    "incident_id": pl.Int64,
    "kind": pl.String,
    "severity": pl.String,
    "status": pl.String,
    "system_code": pl.String,
    "stream": pl.String,
    "channel_code": pl.String,
    "file": pl.String,
    "line": pl.Int64,
    "request_id": pl.String,
    "what": pl.String,
    "action": pl.String,
    "touched_kpis": pl.String,
    "touched_work_lists": pl.String,
    "touched_channels": pl.String,
    "occurrences_qty": pl.Int64,
    "reopened_qty": pl.Int64,
    "since_at": _INSTANT,
    "opened_at": _INSTANT,
    "last_seen_at": _INSTANT,
    "closed_at": _INSTANT,
}


def journal_frames(operations: Operations, *, now: datetime, history_days: int) -> dict[str, pl.DataFrame]:
    """Both tables, of the last ``history_days``."""
    since_at = now - timedelta(days=history_days)
    lines = operations.watching.journal_rows(since_at=since_at, limit=MOST_EXCHANGES)
    incidents = operations.incidents.find(since_at=since_at)
    return {
        "exchange": pl.DataFrame(
            [tuple(line[_NAMED.get(name, name)] for name in EXCHANGE) for line in lines], schema=EXCHANGE, orient="row"
        ),
        "incident": pl.DataFrame([_row(one) for one in incidents], schema=INCIDENT, orient="row"),
    }


def _row(one: Incident) -> tuple[object, ...]:
    touched = {
        "touched_kpis": ", ".join(one.impact.kpis),
        "touched_work_lists": ", ".join(one.impact.work_lists),
        "touched_channels": ", ".join(one.impact.channels),
    }
    return tuple(touched[name] if name in touched else getattr(one, name) for name in INCIDENT)
