"""Contract of the canonical entity `shipment`."""

from resources.contracts import columns as c
from resources.contracts.entity import entity

ENTITY = entity(
    "shipment",
    "A parcel or a pick-up preparation. Grain: one row per system and shipment.",
    keys=("shipment_external_id",),
    fields={
        "shipment_external_id": c.code("The system's id."),
        "channel_code": c.code("Channel of the order."),
        "order_number": c.code("Order number."),
        "location_code": c.code("Location that prepares it."),
        "carrier_code": c.code("Carrier; null for a pick-up.", nullable=True),
        "tracking_number": c.code("Carrier's parcel number.", nullable=True),
        "released_at": c.instant("Given to the floor.", nullable=True),
        "picked_at": c.instant("Picked.", nullable=True),
        "packed_at": c.instant("Packed.", nullable=True),
        "label_printed_at": c.instant("Label printed: this is not shipped.", nullable=True),
        "ship_confirmed_at": c.instant("Warehouse says it left.", nullable=True),
        "ready_for_pickup_at": c.instant("Ready for the customer, for a pick-up.", nullable=True),
        "cancelled_at": c.instant("Preparation given up.", nullable=True),
    },
)
