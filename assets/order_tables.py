"""Orders on their way to systems as the table `meta.order_message`, which models read. Nothing of Dagster."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

from resources.operations import Operations

_INSTANT = pl.Datetime("us", "UTC")
_NAMED = {
    "target_system_code": "system_code",
    "system_code": "source_system_code",
    "order_external_id": "source_external_id",
}
ORDER_MESSAGE: dict[str, pl.DataType | type[pl.DataType]] = {
    **dict.fromkeys(
        (
            "target_system_code",
            "channel_code",
            "order_number",
            "system_code",
            "order_external_id",
            "order_id",
            "state",
            "reason",
            "file",
        ),
        pl.String,
    ),
    **dict.fromkeys(("ordered_at", "sent_at", "answered_at", "cancelled_at", "updated_at"), _INSTANT),
}


def order_frames(operations: Operations, *, now: datetime, history_days: int) -> dict[str, pl.DataFrame]:
    """One row per order that is not acknowledged, or that changed in the last ``history_days``."""
    found = operations.order_messages.recent(since_at=now - timedelta(days=history_days))
    rows = [tuple(getattr(one, _NAMED.get(name, name)) for name in ORDER_MESSAGE) for one in found]
    return {"order_message": pl.DataFrame(rows, schema=ORDER_MESSAGE, orient="row")}
