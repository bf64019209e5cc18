"""Orders as the fast lane sees them: what of an order matters for stock, from the canonical frames of any connector.

Nothing personal is in them. What they mean for stock is `book`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import polars as pl

from resources.operations.lane import LaneOrder

ORDER_COLUMNS = (
    "system_code",
    "order_external_id",
    "channel_code",
    "order_number",
    "origin_channel_code",
    "origin_order_number",
    "location_code",
    "ordered_at",
    "cancelled_at",
    "status",
    "fulfilled_by",
    "observed_at",
)
LINE_COLUMNS = (
    "system_code",
    "order_external_id",
    "line_external_id",
    "product_external_id",
    "sku",
    "quantity",
    "cancelled_qty",
)


@dataclass(frozen=True)
class OrderLine:
    """One line: units ordered, and those of them given up."""

    line_external_id: str
    product_external_id: str | None
    sku: str | None
    quantity: int
    cancelled_qty: int


@dataclass(frozen=True)
class OrderEvent:
    """An order as its system showed it at ``observed_at``. An event is the whole order: a later one replaces it."""

    system_code: str
    order_external_id: str
    channel_code: str | None
    order_number: str | None
    origin_channel_code: str | None
    origin_order_number: str | None
    location_code: str | None
    ordered_at: datetime
    is_cancelled: bool
    status: str
    fulfilled_by: str | None
    lines: tuple[OrderLine, ...]
    observed_at: datetime

    @property
    def key(self) -> tuple[str, str]:
        """(system, order)."""
        return (self.system_code, self.order_external_id)

    @property
    def sold_on(self) -> tuple[str | None, str | None]:
        """(channel, number) it is known by: of an imported order those of the channel that sold it."""
        if self.origin_channel_code is None:
            return (self.channel_code, self.order_number)
        return (self.origin_channel_code, self.origin_order_number or self.order_number)

    def kept(self, *, source: str, seen_at: datetime) -> LaneOrder:
        """The event as the operations store keeps it."""
        content = asdict(self) | {"ordered_at": self.ordered_at.isoformat()}
        del content["observed_at"], content["system_code"], content["order_external_id"]
        return LaneOrder(self.system_code, self.order_external_id, content, source, self.observed_at, seen_at)

    @classmethod
    def of(cls, kept: LaneOrder) -> OrderEvent:
        """The event that the operations store kept."""
        content: Mapping[str, Any] = kept.content
        return cls(
            **{
                **content,
                "system_code": kept.system_code,
                "order_external_id": kept.order_external_id,
                "ordered_at": datetime.fromisoformat(content["ordered_at"]),
                "lines": tuple(OrderLine(**line) for line in content["lines"]),
                "observed_at": kept.observed_at,
            }
        )


def events_of(orders: pl.DataFrame, lines: pl.DataFrame) -> Iterator[OrderEvent]:
    """The orders of canonical frames, each with its lines, in the frame's order. An order without lines has none."""
    by_order: dict[tuple[str, str], list[OrderLine]] = {}
    for row in lines.select(LINE_COLUMNS).iter_rows(named=True):
        key = (row.pop("system_code"), row.pop("order_external_id"))
        by_order.setdefault(key, []).append(OrderLine(**row))
    for row in orders.select(ORDER_COLUMNS).iter_rows(named=True):
        cancelled_at = row.pop("cancelled_at")
        key = (row["system_code"], row["order_external_id"])
        found = tuple(sorted(by_order.get(key, ()), key=lambda line: line.line_external_id))
        yield OrderEvent(**row, is_cancelled=cancelled_at is not None, lines=found)
