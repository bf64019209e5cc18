"""Orders to send, as small as they come, and everything a transmission needs to send them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from resources.operations import Operations
from resources.operations.order_messages import OrderKey, OrderMessages
from resources.orders_out import (
    ExportedOrders,
    OutFolder,
    OutgoingMessage,
    TransmissionSummary,
    load_messages,
    transmit,
)
from resources.orders_out.exported import ANSWERS, CANCELLED, LINES, ORDERS, TABLES, read_export, write_export

NOW = datetime(2026, 5, 18, 10, tzinfo=UTC)
MESSAGE = load_messages()["erp_orders"]


def order(number: str, **values: Any) -> dict[str, Any]:
    """An order that the ERP takes; ``values`` change it."""
    return {
        "order_id": f"O-{number}",
        "system_code": "shop_fr",
        "order_external_id": f"1{number}",
        "channel_code": "web-fr",
        "order_number": number,
        "ordered_at": NOW - timedelta(hours=1),
        "payable_at": NOW - timedelta(minutes=50),
        "promised_ship_by_at": None,
        "fulfilment_method": "ship",
        "location_code": "WH1",
        "country_code": "FR",
        "currency_code": "EUR",
        "shipping_minor": 490,
        "fee_minor": 0,
        "discount_minor": 0,
        "total_minor": 1690,
        **values,
    }


def line(number: str, place: int = 1, **values: Any) -> dict[str, Any]:
    """A line of that order; ``values`` change it."""
    return {
        "order_id": f"O-{number}",
        "line_id": f"L-{number}-{place}",
        "sku": "ML-0000001",
        "name": "Tasse en grès",
        "quantity": 1,
        "net_minor": 1000,
        "tax_minor": 200,
        **values,
    }


def frame(table: str, rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    """Rows of an exported table."""
    return pl.DataFrame(list(rows), schema=TABLES[table], orient="row")


def export(
    orders: Sequence[dict[str, Any]],
    lines: Sequence[dict[str, Any]] | None = None,
    *,
    answers: Sequence[dict[str, Any]] = (),
    cancelled: Sequence[dict[str, Any]] = (),
) -> ExportedOrders:
    """An export; without lines each order has one."""
    told = [line(row["order_id"].removeprefix("O-")) for row in orders] if lines is None else lines
    return ExportedOrders(
        frame(ORDERS, orders), frame(LINES, told), frame(ANSWERS, answers), frame(CANCELLED, cancelled), "run-1"
    )


def answer(number: str, *, accepted: bool = True, at: datetime = NOW, reason: str | None = None) -> dict[str, Any]:
    """The ERP's answer to an order."""
    return {
        "channel_code": "web-fr",
        "order_number": number,
        "system_code": "shop_fr",
        "order_external_id": f"1{number}",
        "acknowledged_at": at,
        "is_accepted": accepted,
        "refusal_reason": reason,
    }


@dataclass
class Desk:
    """A place that sends orders: its store, the ERP's folder, and the clock."""

    root: Path
    operations: Operations
    out: OutFolder
    message: OutgoingMessage = MESSAGE
    now: datetime = NOW
    summaries: list[TransmissionSummary] = field(default_factory=list)

    @classmethod
    def open(cls, root: Path, url: str | None = None) -> Desk:
        """A desk in an empty folder; on SQLite unless a URL says otherwise."""
        folder = root / "to_erp"
        folder.mkdir(exist_ok=True)
        operations = Operations.open(url or f"sqlite:///{root / 'operations.sqlite'}", data_dir=root)
        return cls(root, operations, OutFolder("erp", folder))

    @property
    def messages(self) -> OrderMessages:
        """What is known of orders sent."""
        return self.operations.order_messages

    def send(self, exported: ExportedOrders, *, later: timedelta = timedelta(minutes=1)) -> TransmissionSummary:
        """One transmission, a minute after the last."""
        self.now += later
        summary = transmit(
            self.message,
            self.out,
            exported,
            operations=self.operations,
            lock_dir=self.root / "locks",
            clock=lambda: self.now,
            run_id="run",
        )
        self.summaries.append(summary)
        return summary

    def state(self, number: str, channel: str = "web-fr") -> str | None:
        """State of an order."""
        found = self.messages.get("erp", OrderKey(channel, number))
        return None if found is None else found.state

    def files(self) -> list[str]:
        """Names in the ERP's folder, markers and what is half written included."""
        return sorted(path.name for path in self.out.folder.iterdir() if path.is_file())


def kept(folder: Path, exported: ExportedOrders) -> ExportedOrders:
    """The same export by way of its files."""
    tables = {
        ORDERS: exported.orders,
        LINES: exported.lines,
        ANSWERS: exported.answers,
        CANCELLED: exported.cancelled,
    }
    write_export(folder, tables, export_id=exported.export_id)
    return read_export(folder)
