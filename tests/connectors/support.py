"""What connector tests share: a declared system, a clock, a way to read a stream whole, and the contract check."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import polars as pl

from resources.connectors.sdk.stream import Connector, Reading, Reject, Stream
from resources.contracts.entity import entities
from resources.privacy import Tokeniser

NOW = datetime(2026, 11, 21, 22, 0, tzinfo=UTC)
TOKENISER = Tokeniser(b"0123456789abcdef0123456789abcdef")


def clock() -> datetime:
    """A clock that stands still."""
    return NOW


def retailer(territory: str = "FR") -> Any:
    """As much of a retailer as a connector asks for."""
    return SimpleNamespace(channel=lambda code: SimpleNamespace(code=code, tax_territory=territory))


def system(kind: str, **changes: Any) -> Any:
    """A system as retailer.yaml declares it."""
    declared: dict[str, Any] = {
        "code": "shop",
        "kind": kind,
        "url": "https://shop.example",
        "key": "ck_DUMMY" if kind == "woocommerce" else "WSKEY_DUMMY",
        "secret": "cs_DUMMY",
        "channel": "web-fr",
        "time_zone": "Europe/Paris",
        "language_id": 2,
        "shop_id": None,
        "imported_orders": SimpleNamespace(module="mkpconnector", channel="marketplace", number_tag="mkp"),
        "order_tags": True,
        "home_url": None,
        "permalinks": "pretty",
        "statuses": {},
        "tracking_note": None,
        "verify_tls": True,
        "page_size": 7,
        "workers": 3,
        "timeout_s": 5.0,
        "requests_per_second": 0.0,
        "proxy": None,
        "ca_bundle": None,
    }
    return SimpleNamespace(**{**declared, **changes})


@dataclass
class Whole:
    """A whole reading: its frames put together."""

    reading: Reading
    frames: dict[str, pl.DataFrame]
    received_qty: int = 0
    rejects: list[Reject] = field(default_factory=list)
    personal: set[tuple[str, str, str]] = field(default_factory=set)
    raw: list[tuple[str, bytes]] = field(default_factory=list)

    @property
    def landed_qty(self) -> int:
        """Source rows that were not refused."""
        return self.received_qty - sum(1 for reject in self.rejects if reject.is_root)


def stream_of(connector: Connector, name: str) -> Stream:
    """A declared stream by name."""
    return next(stream for stream in connector.streams() if stream.name == name)


def read(connector: Connector, name: str, *, since_at: datetime | None = None, now: datetime = NOW) -> Whole:
    """Read a stream to its end."""
    reading = connector.read(stream_of(connector, name), since_at=since_at, now=now)
    collected: dict[str, list[pl.DataFrame]] = {}
    whole = Whole(reading, {})
    for batch in reading.batches:
        whole.received_qty += batch.received_qty
        whole.rejects += batch.rejects
        whole.personal.update(batch.personal)
        whole.raw += batch.raw
        for entity, frame in batch.frames.items():
            collected.setdefault(entity, []).append(frame)
    whole.frames = {entity: pl.concat(frames) for entity, frames in collected.items()}
    return whole


def assert_keeps_contract(entity: str, frame: pl.DataFrame) -> None:
    """Validate a frame with its entity's own contract, envelope added as the runner does."""
    declared = entities()[entity]
    enveloped = frame.with_columns(
        pl.lit("shop").alias("system_code"),
        pl.lit("extract").alias("extract_id"),
        pl.lit(NOW).cast(pl.Datetime("us", "UTC")).alias("observed_at"),
    ).select(list(declared.schema.columns))
    declared.schema.validate(enveloped, lazy=True)


def row(frame: pl.DataFrame, **key: Any) -> dict[str, Any]:
    """The one row with these values."""
    return frame.row(by_predicate=pl.all_horizontal(pl.col(name) == value for name, value in key.items()), named=True)


def orders_off_their_total(orders: Whole) -> list[tuple[Any, ...]]:
    """Orders whose lines, delivery and fees less the reduction are not the total: id, sum, total, in minor units."""
    lines = (
        orders.frames["order_line"]
        .group_by("order_external_id")
        .agg((pl.col("net_minor") + pl.col("tax_minor")).sum().alias("lines_minor"))
    )
    off = (
        orders.frames["order"]
        .join(lines, on="order_external_id", how="left")
        .with_columns(
            (
                pl.col("lines_minor").fill_null(0)
                + pl.col("shipping_minor")
                + pl.col("fee_minor")
                - pl.col("discount_minor")
            ).alias("sum_minor")
        )
        .filter(pl.col("sum_minor") != pl.col("total_minor"))
    )
    return off.select("order_external_id", "sum_minor", "total_minor").rows()
