"""Writes canonical Parquet files as an extract does, for the warehouse's tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from resources.contracts.entity import entities

START = datetime(2026, 5, 18, 10, tzinfo=UTC)


def at(hour: int) -> datetime:
    """An instant, so many hours after the first reading."""
    return START + timedelta(hours=hour)


def write(
    folder: Path,
    entity: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    system: str = "shop",
    stream: str = "all",
    extract: str = "e1",
    hour: int = 0,
    part: int = 0,
) -> Path:
    """One canonical file; columns left out are null, its name is what the loader expects."""
    schema = entities()[entity].polars_schema
    envelope = {"system_code": system, "extract_id": extract, "observed_at": at(hour)}
    full = [
        dict.fromkeys(schema) | envelope | {"source_position": f"{part}:{number:06}"} | dict(row)
        for number, row in enumerate(rows)
    ]
    path = folder / f"{system}.{stream}.{extract}.{part}.parquet"
    folder.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(full, schema=schema, orient="row").write_parquet(path)
    return path


def counts(*quantities: tuple[str, int]) -> list[dict[str, Any]]:
    """Rows of stock_count_line: (item, counted)."""
    return [
        {
            "count_external_id": "C",
            "location_code": "S01",
            "product_external_id": item,
            "counted_qty": quantity,
            "counted_at": START,
            "count_reason": "cycle",
        }
        for item, quantity in quantities
    ]
