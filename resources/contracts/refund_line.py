"""Contract of the canonical entity `refund_line`."""

from resources.contracts import columns as c
from resources.contracts.entity import entity

ENTITY = entity(
    "refund_line",
    "Which lines a refund pays back; none for an amount-only refund. Grain: one row per system, refund and line.",
    keys=("refund_external_id", "line_external_id"),
    fields={
        "refund_external_id": c.code("Refund."),
        "line_external_id": c.code("The system's id of the refund line."),
        "order_line_external_id": c.code("Line of the order; null when unknown.", nullable=True),
        "product_external_id": c.code("Item.", nullable=True),
        "quantity": c.units("Units, positive; 0 for an amount on a line.", c.not_negative),
        "net_minor": c.minor("Without VAT, positive.", c.not_negative),
        "tax_minor": c.minor("VAT, positive.", c.not_negative),
    },
)
