"""Puts pages together into batches large enough for columns to pay, and small enough for memory. No mapping here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any, TypeVar

import polars as pl

from resources.connectors.sdk.decode import Page
from resources.connectors.sdk.stream import Batch
from resources.contracts.entity import entities

P = TypeVar("P", bound=Page[Any])

BATCH_ROWS = 2_500
BATCH_BYTES = 32 * 1024 * 1024


def batches(
    pages: Iterable[P],
    to_batch: Callable[[list[P]], Batch],
    *,
    rows: int = BATCH_ROWS,
    raw_bytes: int = BATCH_BYTES,
) -> Iterator[Batch]:
    """Group pages until they hold ``rows`` source rows or ``raw_bytes`` of body, and map each group."""
    group: list[P] = []
    row_qty = byte_qty = 0
    for page in pages:
        group.append(page)
        row_qty += page.decoded.received_qty
        byte_qty += len(page.body)
        if row_qty >= rows or byte_qty >= raw_bytes:
            batch = to_batch(group)
            # Before it is handed over: what was read of the pages is not needed by then.
            group, row_qty, byte_qty = [], 0, 0
            yield batch
            del batch
    if group:
        yield to_batch(group)


def entity_frame(entity: str, frame: pl.DataFrame) -> pl.DataFrame:
    """The entity's columns in their stored order plus ``source_position``, in their types. Missing columns are a mistake of the caller."""
    return frame.select_seq(_columns(entity))


@cache
def _columns(entity: str) -> tuple[pl.Expr, ...]:
    declared = entities()[entity]
    types = declared.polars_schema
    return (*(pl.col(name).cast(types[name]) for name in declared.columns), pl.col("source_position"))
