"""What the main job leaves for the transmission, so that it never opens the warehouse: orders to send, answers, cancellations.

Grain and columns: :data:`TABLES`. All tables of one export carry its id; a reader never mixes two exports.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import polars as pl

from resources.errors import PermanentError, RetryableError, Where

_INSTANT = pl.Datetime("us", "UTC")

ORDERS, LINES, ANSWERS, CANCELLED = (
    "orders_to_send",
    "orders_to_send_lines",
    "orders_answered",
    "orders_cancelled",
)
TABLES: dict[str, dict[str, pl.DataType | type[pl.DataType]]] = {
    # One row per order that the system does not know yet.
    ORDERS: {
        "order_id": pl.String,
        "system_code": pl.String,
        "order_external_id": pl.String,
        "channel_code": pl.String,
        "order_number": pl.String,
        "ordered_at": _INSTANT,
        "payable_at": _INSTANT,
        "promised_ship_by_at": _INSTANT,
        "fulfilment_method": pl.String,
        "location_code": pl.String,
        "country_code": pl.String,
        "currency_code": pl.String,
        "shipping_minor": pl.Int64,
        "fee_minor": pl.Int64,
        "discount_minor": pl.Int64,
        "total_minor": pl.Int64,
    },
    # One row per line of such an order.
    LINES: {
        "order_id": pl.String,
        "line_id": pl.String,
        "sku": pl.String,
        "name": pl.String,
        "quantity": pl.Int64,
        "net_minor": pl.Int64,
        "tax_minor": pl.Int64,
    },
    # One row per order that the system booked or refused; the shop's id is null when the order is not known here.
    ANSWERS: {
        "channel_code": pl.String,
        "order_number": pl.String,
        "system_code": pl.String,
        "order_external_id": pl.String,
        "acknowledged_at": _INSTANT,
        "is_accepted": pl.Boolean,
        "refusal_reason": pl.String,
    },
    # One row per order that its shop cancelled.
    CANCELLED: {"channel_code": pl.String, "order_number": pl.String, "cancelled_at": _INSTANT},
}
_EXPORT_ID = "export_id"


@dataclass(frozen=True)
class ExportedOrders:
    """The tables of one export; columns in :data:`TABLES`."""

    orders: pl.DataFrame
    lines: pl.DataFrame
    answers: pl.DataFrame
    cancelled: pl.DataFrame
    export_id: str

    def since(self, instant: datetime | None) -> ExportedOrders:
        """The same without the orders placed before an instant; None leaves all."""
        if instant is None:
            return self
        return replace(self, orders=self.orders.filter(pl.col("ordered_at") >= pl.lit(instant).cast(_INSTANT)))


def write_export(folder: Path, tables: Mapping[str, pl.DataFrame], *, export_id: str) -> None:
    """Write every table, each renamed into place; the orders come last: they are what a reader looks for."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (LINES, ANSWERS, CANCELLED, ORDERS):
        schema = TABLES[name]
        frame = tables[name].select(pl.col(column).cast(kind) for column, kind in schema.items())
        target = folder / f"{name}.parquet"
        temporary = target.with_suffix(".part")
        frame.write_parquet(temporary, compression="zstd", metadata={_EXPORT_ID: export_id})
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(target)


def read_export(folder: Path) -> ExportedOrders:
    """The last export.

    Raises PermanentError when there was none, RetryableError while one is being replaced by the next.
    """
    paths = {name: folder / f"{name}.parquet" for name in TABLES}
    missing = [path.name for path in paths.values() if not path.is_file()]
    if missing:
        raise PermanentError(
            "no orders were exported yet",
            where=Where(file=missing[0]),
            action="run the main job first: `etalon run`",
        )
    ids = {pl.read_parquet_metadata(path).get(_EXPORT_ID, "") for path in paths.values()}
    frames = {name: pl.read_parquet(path) for name, path in paths.items()}
    again = {pl.read_parquet_metadata(path).get(_EXPORT_ID, "") for path in paths.values()}
    if len(ids | again) != 1:
        raise RetryableError(
            "the exported orders are being replaced, or their export was cut short",
            where=Where(file=paths[ORDERS].name),
            action="run again in a moment; if it stays so, run `etalon run` to export them anew",
        )
    return ExportedOrders(frames[ORDERS], frames[LINES], frames[ANSWERS], frames[CANCELLED], ids.pop())
