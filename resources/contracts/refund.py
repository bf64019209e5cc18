"""Contract of the canonical entity `refund`."""

from resources.contracts import columns as c
from resources.contracts.entity import entity

ENTITY = entity(
    "refund",
    "Money given back. Grain: one row per system and refund.",
    keys=("refund_external_id",),
    fields={
        "refund_external_id": c.code("The system's id."),
        "channel_code": c.code("Channel of the order."),
        "order_external_id": c.code(
            "The system's id of the order refunded; null when only its number is known.", nullable=True
        ),
        "order_number": c.code("Number of the order refunded; null when only its id is known.", nullable=True),
        "return_external_id": c.code("Return it pays back; null when unknown.", nullable=True),
        "currency_code": c.currency(),
        "amount_minor": c.minor("Amount given back, VAT included, positive.", c.not_negative),
        "shipping_minor": c.minor("Part of it that is the delivery fee, VAT included.", c.not_negative),
        "initiated_at": c.instant("When it was ordered."),
        "settled_at": c.instant("When the buyer's bank had it; null when unknown.", nullable=True),
    },
)
