"""What a canonical entity is, and the columns every canonical row carries. One entity per sibling file, found by name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import pandera.polars as pa
import polars as pl

from resources.contracts import columns as c

ENVELOPE: dict[str, pa.Column] = {
    "system_code": c.code("System that gave the row, as named in retailer.yaml."),
    "extract_id": c.code("The extract that landed the row; key of operations.extract."),
    "observed_at": c.instant(
        "When the source was seen in this state: the extract's watermark, or the file's own time."
    ),
    "source_position": c.text(
        "Where the row stands in what was received: file and line, or page and row.", nullable=False
    ),
}


@dataclass(frozen=True)
class Entity:
    """One canonical entity: the shape that every connector maps to.

    ``keys`` are unique per ``system_code``. ``description`` ends with the grain.
    ``schema`` holds the envelope too, is strict, and lists columns in their stored order.
    """

    name: str
    description: str
    keys: tuple[str, ...]
    schema: pa.DataFrameSchema

    @property
    def columns(self) -> tuple[str, ...]:
        """Entity columns, without the envelope."""
        return tuple(name for name in self.schema.columns if name not in ENVELOPE)

    @property
    def polars_schema(self) -> dict[str, pl.DataType]:
        """Column name -> polars type, envelope included: what an empty frame of this entity looks like."""
        return {name: column.dtype.type for name, column in self.schema.columns.items()}


def entity(
    name: str,
    description: str,
    *,
    keys: tuple[str, ...],
    fields: Mapping[str, pa.Column],
    checks: tuple[pa.Check, ...] = (),
) -> Entity:
    """Declare a canonical entity. Raises ValueError if a key is not a field or is nullable."""
    for key in keys:
        if key not in fields:
            raise ValueError(f"entity {name}: key {key} is not one of its fields")
        if fields[key].nullable:
            raise ValueError(f"entity {name}: key {key} may not be null")
    schema = pa.DataFrameSchema(
        {**ENVELOPE, **fields},
        checks=list(checks),
        unique=["system_code", *keys],
        strict=True,
        ordered=True,
        name=name,
        description=description,
    )
    return Entity(name=name, description=description, keys=keys, schema=schema)


@cache
def entities() -> dict[str, Entity]:
    """Every declared entity by name: each sibling module that has a module-level ``ENTITY``."""
    from resources import contracts

    found: dict[str, Entity] = {}
    for module_info in pkgutil.iter_modules(contracts.__path__):
        declared = getattr(importlib.import_module(f"resources.contracts.{module_info.name}"), "ENTITY", None)
        if declared is None:
            continue
        if declared.name != module_info.name:
            raise ValueError(f"contracts/{module_info.name}.py declares entity {declared.name}: name the file after it")
        found[declared.name] = declared
    return found
