"""What any shop connector must do on any shop: recorded, invented or live. One function per promise."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from resources.connectors.sdk.stream import Connector
from tests.connectors.support import Whole, assert_keeps_contract, read, stream_of


def assert_stream_keeps_its_promises(connector: Connector, name: str, *, now: datetime) -> Whole:
    """Announced = landed + quarantined; only declared entities; every frame keeps its contract; refusals say why."""
    stream = stream_of(connector, name)
    found = read(connector, name, now=now)
    quarantined = sum(reject.is_root for reject in found.rejects)
    assert found.reading.announced_qty == found.landed_qty + quarantined
    assert found.reading.watermark_at <= now
    assert set(found.frames) <= set(stream.entities)
    for entity, frame in found.frames.items():
        assert_keeps_contract(entity, frame)
        assert frame["source_position"].null_count() == 0
    for reject in found.rejects:
        assert reject.raw
        assert reject.reason
        assert reject.entity in stream.entities
    root = found.frames.get(stream.entities[0])
    assert (0 if root is None else root.height) == found.landed_qty, "one source row is one root row"
    return found


def assert_orders_add_up(found: Whole, *, tolerance_minor: int = 0) -> None:
    """Lines + delivery + fees - discount = total. A shop that rounds on the total only may be off by a cent a line."""
    if not found.frames:
        return
    gross = (pl.col("net_minor") + pl.col("tax_minor")).sum().alias("lines_minor")
    lines = found.frames["order_line"].group_by("order_external_id").agg(gross)
    summed = (
        pl.col("lines_minor").fill_null(0) + pl.col("shipping_minor") + pl.col("fee_minor") - pl.col("discount_minor")
    )
    off = (
        found.frames["order"]
        .join(lines, on="order_external_id", how="left")
        .filter((summed - pl.col("total_minor")).abs() > tolerance_minor)
    )
    assert off.select("order_external_id", "lines_minor", "total_minor").rows() == []
