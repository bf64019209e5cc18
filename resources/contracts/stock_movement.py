"""Contract of the canonical entity `stock_movement`."""

from resources.contracts import columns as c
from resources.contracts.entity import entity

ENTITY = entity(
    "stock_movement",
    "A booking in the stock's master; their sum is the book stock. Grain: one row per system and movement.",
    keys=("movement_external_id",),
    fields={
        "movement_external_id": c.code("The system's id."),
        "location_code": c.code("Location."),
        "product_external_id": c.code("Item."),
        "kind": c.one_of(
            "Why stock moved.",
            "opening",
            "receipt",
            "sale",
            "return",
            "transfer",
            "adjustment",
            "count_adjustment",
            "scrap",
        ),
        "quantity": c.units("Signed: plus in, minus out."),
        "occurred_at": c.instant("When it was booked."),
    },
)
