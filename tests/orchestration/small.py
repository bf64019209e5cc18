"""A small pipeline for tests: the project's retailer with two systems that answer from memory, and seven SQL models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from assets.runtime import Runtime
from resources.connectors.sdk.stream import AccessCheck, Batch, Reading, Reject, Stream, WriteCapability
from resources.contracts.entity import ENVELOPE, entities
from resources.errors import PermanentError
from resources.settings import Settings
from resources.sql_project import load_project
from tests.retailer.declared import retailer

SMALL_SQL = Path(__file__).parent / "small_sql"

CATALOGUE = Stream(
    name="catalogue",
    path="/catalogue",
    entities=("product",),
    keys=("product_external_id",),
    change_tracking="full_snapshot",
    blind_spots=("a price that changes within the hour",),
)
CUSTOMERS = Stream(
    name="customers",
    path="/customers",
    entities=("customer",),
    keys=("customer_external_id",),
    change_tracking="updated_at",
    cursor_field="updated_at",
    has_personal_data=True,
)


def product(external_id: str, **values: Any) -> dict[str, Any]:
    """A catalogue row that keeps its contract; ``values`` change it."""
    return {
        "product_external_id": external_id,
        "sku": f"SKU-{external_id}",
        "name": f"Article {external_id}",
        "kind": "simple",
        "is_stock_tracked": True,
        "is_active": True,
        "weight_g": 100,
        **values,
    }


@dataclass
class MemoryConnector:
    """A system that answers from memory. ``announced_qty`` lies when it is not the number of rows."""

    system_code: str
    declared: tuple[Stream, ...] = ()
    rows: list[dict[str, Any]] = field(default_factory=list)
    rejects: Sequence[Reject] = ()
    announced_qty: int | None = None
    failure: Exception | None = None
    readings: list[tuple[str, datetime | None]] = field(default_factory=list)

    def streams(self) -> tuple[Stream, ...]:
        """What was declared."""
        return self.declared

    def writes(self) -> tuple[WriteCapability, ...]:
        """One capability, so that a table has a row."""
        return (WriteCapability("channel_stock", "published_qty", False),) if self.declared else ()

    def check_access(self) -> tuple[AccessCheck, ...]:
        """Granted, unless it is to fail."""
        return (AccessCheck("connection", self.failure is None, str(self.failure or "answered")),)

    def read(self, stream: Stream, *, since_at: datetime | None, now: datetime) -> Reading:
        """All rows, in one batch."""
        self.readings.append((stream.name, since_at))
        if self.failure is not None:
            raise self.failure
        received = len(self.rows) + len(self.rejects)
        return Reading(
            watermark_at=now,
            announced_qty=received if self.announced_qty is None else self.announced_qty,
            is_full=True,
            batches=self._batches(stream, received),
        )

    def _batches(self, stream: Stream, received: int) -> Iterator[Batch]:
        entity = entities()[stream.entities[0]]
        columns = {name: kind for name, kind in entity.polars_schema.items() if name not in ENVELOPE}
        frame = pl.DataFrame(self.rows, schema=columns).with_columns(
            source_position=pl.format("row {}", pl.int_range(pl.len()))
        )
        yield Batch(received, frames={entity.name: frame}, rejects=self.rejects)


def small_runtime(settings: Settings, **connectors: MemoryConnector) -> Runtime:
    """The small pipeline; systems that are not given have no stream."""
    declared = retailer()
    catalogue = MemoryConnector("erp", (CATALOGUE,), [product("1"), product("2"), product("3")])
    customers = MemoryConnector("shop_fr", (CUSTOMERS,))
    given = {"erp": catalogue, "shop_fr": customers, **connectors}
    return Runtime(
        settings=settings,
        retailer=declared,
        project=load_project(SMALL_SQL),
        connectors={system.code: given.get(system.code, MemoryConnector(system.code)) for system in declared.systems},
    )


def refused_product() -> Reject:
    """A row that its connector could not map."""
    return Reject("row 9", '{"id": 9, "weight": "heavy"}', "number", "weight_g is not a number", "product", "weight_g")


def later(now: datetime) -> datetime:
    """The next hour."""
    return now + timedelta(hours=1)


def broken_shop() -> PermanentError:
    """What a shop says to a wrong key."""
    return PermanentError("the key is refused", action="make a new key")
