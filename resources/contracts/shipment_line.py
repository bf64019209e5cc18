"""Contract of the canonical entity `shipment_line`."""

from resources.contracts import columns as c
from resources.contracts.entity import entity

ENTITY = entity(
    "shipment_line",
    "What a shipment holds. Grain: one row per system, shipment and line.",
    keys=("shipment_external_id", "line_number"),
    fields={
        "shipment_external_id": c.code("Shipment."),
        "line_number": c.integer("Position in the shipment.", c.positive),
        "order_line_external_id": c.code("Line of the order; null when only the SKU is known.", nullable=True),
        "sku": c.code("SKU.", nullable=True),
        "quantity": c.units("Units.", c.positive),
    },
)
