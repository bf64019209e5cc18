"""Which KPI depends on what nobody can see: the blind spots of the streams whose rows reach it through the SQL models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from resources.connectors.sdk.stream import Connector
from resources.sql_project import SqlProject

CROSSWALK = "referentials.product_xref"
"""It reads the items of every system to tell which product each is; whoever asks it reads no fact of those systems."""


@dataclass(frozen=True, order=True)
class BlindSpot:
    """What a reader of one stream cannot see, in words."""

    system_code: str
    stream: str
    text: str


def kpi_blind_spots(project: SqlProject, connectors: Mapping[str, Connector]) -> dict[str, tuple[BlindSpot, ...]]:
    """KPI code -> blind spots of every stream that feeds an entity which the KPI's values are made from; sorted."""
    entities_of: dict[str, set[str]] = {}
    for model in project.models.values():
        for code in {measure.kpi_code for measure in model.measures}:
            entities_of.setdefault(code, set()).update(_entities(project, model.name))
    return {
        code: tuple(
            sorted(
                BlindSpot(system_code, stream.name, text)
                for system_code, connector in connectors.items()
                for stream in connector.streams()
                if entities.intersection(stream.entities)
                for text in stream.blind_spots
            )
        )
        for code, entities in sorted(entities_of.items())
    }


def _entities(project: SqlProject, name: str) -> set[str]:
    """Canonical entities that a model is made from, at any remove, the crosswalk not followed."""
    seen, pending = {CROSSWALK}, [name]
    while pending:
        for ref in project.models[pending.pop()].refs:
            if ref not in seen:
                seen.add(ref)
                if ref in project.models:
                    pending.append(ref)
    return {name for schema, _, name in (ref.partition(".") for ref in seen) if schema == "canonical"}
