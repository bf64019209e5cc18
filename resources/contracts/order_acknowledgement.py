"""Contract of the canonical entity `order_acknowledgement`."""

from resources.contracts import columns as c
from resources.contracts.entity import entity

ENTITY = entity(
    "order_acknowledgement",
    "The stock's master says that it knows an order. Grain: one row per system, channel and order number.",
    keys=("channel_code", "order_number"),
    fields={
        "channel_code": c.code("Channel of the order."),
        "order_number": c.code("Order number."),
        "acknowledged_at": c.instant("When the master booked it."),
        "is_accepted": c.flag("False when the master refused it."),
        "refusal_reason": c.text("The master's own words."),
    },
)
