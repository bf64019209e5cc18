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
NEAR_ROWS = 400
"""Rows prepared at a time: with fewer each table costs more than the values in it, with more their texts are fetched from memory again."""


def batches(
    pages: Iterable[P],
    to_batch: Callable[[list[P]], Batch],
    *,
    prepare: Callable[[list[P]], list[P]] = lambda pages: pages,
    rows: int = BATCH_ROWS,
    raw_bytes: int = BATCH_BYTES,
) -> Iterator[Batch]:
    """Group pages until they hold ``rows`` source rows or ``raw_bytes`` of body, and map each group.

    ``prepare`` is given some pages of the group at a time, while what was decoded of them is still near; it may free it.
    """
    group: list[P] = []
    near: list[P] = []
    row_qty = byte_qty = near_qty = 0
    for page in pages:
        near.append(page)
        row_qty += page.decoded.received_qty
        near_qty += page.decoded.received_qty
        byte_qty += len(page.body)
        del page
        is_whole = row_qty >= rows or byte_qty >= raw_bytes
        if is_whole or near_qty >= NEAR_ROWS:
            group += prepare(near)
            near, near_qty = [], 0
        if is_whole:
            batch = to_batch(group)
            # Before it is handed over: what was read of the pages is not needed by then.
            group, row_qty, byte_qty = [], 0, 0
            yield batch
            del batch
    if near:
        group += prepare(near)
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
