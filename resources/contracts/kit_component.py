"""Contract of the canonical entity `kit_component`."""

from resources.contracts import columns as c
from resources.contracts.entity import entity

ENTITY = entity(
    "kit_component",
    "A component of a kit. Grain: one row per system, kit and component.",
    keys=("kit_external_id", "component_external_id"),
    fields={
        "kit_external_id": c.code("product_external_id of the kit."),
        "component_external_id": c.code("product_external_id of the component."),
        "component_qty": c.units("Units of the component in one kit.", c.positive),
    },
)
