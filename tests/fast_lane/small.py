"""A small retailer for tests of the lane: two shops, a warehouse and a store, a kit, and what the ERP holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from resources.connectors.sdk.stream import WriteCapability
from resources.connectors.sdk.writing import JsonValue, Write, WriteResult
from resources.fast_lane.events import OrderEvent, OrderLine
from resources.fast_lane.snapshot import Snapshot

NOW = datetime(2026, 5, 18, 10, tzinfo=UTC)
AS_OF = NOW - timedelta(hours=2)
INSTANT = pl.Datetime("us", "UTC")
SCHEMAS: Mapping[str, Mapping[str, Any]] = {
    "position": {
        "location_code": pl.String,
        "product_id": pl.String,
        "on_hand_qty": pl.Int64,
        "committed_qty": pl.Int64,
        "reserved_qty": pl.Int64,
        "damaged_qty": pl.Int64,
        "as_of_at": INSTANT,
    },
    "open_line": {
        "system_code": pl.String,
        "order_external_id": pl.String,
        "location_code": pl.String,
        "product_id": pl.String,
        "quantity": pl.Int64,
    },
    "known_order": {
        "system_code": pl.String,
        "order_external_id": pl.String,
        "channel_code": pl.String,
        "order_number": pl.String,
        "is_import": pl.Boolean,
        "observed_at": INSTANT,
    },
    "acknowledgement": {"channel_code": pl.String, "order_number": pl.String, "acknowledged_at": INSTANT},
    "channel": {
        "channel_code": pl.String,
        "system_code": pl.String,
        "kind": pl.String,
        "ships_from_code": pl.String,
        "safety_stock_qty": pl.Int64,
        "cap_qty": pl.Int64,
        "stock_stale_after_minutes": pl.Int64,
        "is_order_acknowledged": pl.Boolean,
    },
    "channel_location": {"channel_code": pl.String, "location_code": pl.String},
    "product": {"product_id": pl.String, "sku": pl.String, "kind": pl.String, "is_stock_tracked": pl.Boolean},
    "kit": {"kit_product_id": pl.String, "component_product_id": pl.String, "component_qty": pl.Int64},
    "listing": {
        "channel_code": pl.String,
        "product_external_id": pl.String,
        "product_id": pl.String,
        "published_qty": pl.Int64,
        "stock_observed_at": INSTANT,
        "expected_qty": pl.Int64,
    },
    "crosswalk": {"system_code": pl.String, "product_external_id": pl.String, "product_id": pl.String},
    "sku": {"sku": pl.String, "product_id": pl.String},
    "catalogue": {"system_code": pl.String},
}


def snapshot(version: str = "1", *, as_of_at: datetime = AS_OF, **changed: Sequence[tuple[Any, ...]]) -> Snapshot:
    """The small retailer; ``changed``: other rows for a table.

    P1 (20 in the warehouse, 3 in the store), P2 (8), and K, a kit of two P2 and a P1. The French shop sells from the warehouse, the
    Belgian one also from the store, up to 10.
    """
    rows: dict[str, Sequence[tuple[Any, ...]]] = {
        "position": [
            ("WH", "P1", 20, 0, 0, 0, AS_OF),
            ("ST", "P1", 3, 0, 0, 0, AS_OF),
            ("WH", "P2", 8, 1, 0, 1, AS_OF),
        ],
        "channel": [
            ("web-fr", "shop_fr", "web", "WH", 2, None, 1560, True),
            ("web-be", "shop_be", "web", "WH", 0, 10, 1560, True),
            ("stores", "pos", "stores", None, None, None, None, False),
        ],
        "channel_location": [("web-fr", "WH"), ("web-be", "WH"), ("web-be", "ST"), ("stores", "ST")],
        "product": [("P1", "S1", "simple", True), ("P2", "S2", "simple", True), ("K", "SK", "kit", True)],
        "kit": [("K", "P1", 1), ("K", "P2", 2)],
        "listing": [
            ("web-fr", "f1", "P1", 18, AS_OF, 18),
            ("web-fr", "f2", "P2", 4, AS_OF, 4),
            ("web-fr", "fk", "K", 2, AS_OF, 2),
            ("web-be", "b1", "P1", 10, AS_OF, 10),
            ("web-be", "b2", "P2", 6, AS_OF, 6),
        ],
        "crosswalk": [
            (system, f"{letter}{number}", product)
            for system, letter in (("shop_fr", "f"), ("shop_be", "b"))
            for number, product in (("1", "P1"), ("2", "P2"), ("k", "K"))
        ],
        "sku": [("S1", "P1"), ("S2", "P2"), ("SK", "K")],
        "catalogue": [("erp",), ("shop_fr",), ("shop_be",)],
    }
    tables = {
        name: pl.DataFrame(list({**rows, **changed}.get(name, ())), schema=dict(schema), orient="row")
        for name, schema in SCHEMAS.items()
    }
    return Snapshot(version, as_of_at, tables)


def sale(
    system: str,
    order: str,
    *lines: tuple[str, int],
    status: str = "payable",
    at: datetime = NOW,
    ordered_at: datetime = NOW - timedelta(seconds=5),
) -> OrderEvent:
    """An order of a shop, or a ticket of the store: (item or SKU, units)."""
    channel = {"shop_fr": "web-fr", "shop_be": "web-be", "pos": "stores"}[system]
    return OrderEvent(
        system_code=system,
        order_external_id=order,
        channel_code=channel,
        order_number=f"N{order}",
        origin_channel_code=None,
        origin_order_number=None,
        location_code="ST" if system == "pos" else None,
        ordered_at=ordered_at,
        is_cancelled=status == "cancelled",
        status=status,
        fulfilled_by="retailer",
        lines=tuple(
            OrderLine(str(number), item, item, units, 0) for number, (item, units) in enumerate(lines, start=1)
        ),
        observed_at=at,
    )


@dataclass(frozen=True)
class Limits:
    """What the lane may do in a minute."""

    writes_per_minute_max: int = 100
    zeros_per_minute_max: int = 10


@dataclass
class FakeShop:
    """A shop that keeps quantities, and compares before it writes."""

    system_code: str
    shows: dict[str, JsonValue]
    sent: list[tuple[str, JsonValue]] = field(default_factory=list)

    def writes(self) -> tuple[WriteCapability, ...]:
        """One thing can be written."""
        return (WriteCapability("channel_stock", "published_qty", can_compare_and_set=False),)

    def write(self, writes: Sequence[Write], *, now: datetime) -> list[WriteResult]:  # noqa: ARG002
        """Compare, then write."""
        results = []
        for write in writes:
            found = self.shows[write.external_id]
            if found == write.after:
                results.append(WriteResult(write.key, "unchanged", found=found, is_found=True))
            elif found != write.before:
                results.append(WriteResult(write.key, "moved", found=found, is_found=True))
            else:
                self.shows[write.external_id] = write.after
                self.sent.append((write.external_id, write.after))
                results.append(
                    WriteResult(
                        write.key, "applied", found=found, is_found=True, read_back=write.after, is_read_back=True
                    )
                )
        return results
