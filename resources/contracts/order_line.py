"""Contract of the canonical entity `order_line`."""

from resources.contracts import columns as c
from resources.contracts.entity import entity

ENTITY = entity(
    "order_line",
    "A line of an order or ticket. Grain: one row per system, order and line.",
    keys=("order_external_id", "line_external_id"),
    fields={
        "order_external_id": c.code("Order."),
        "line_external_id": c.code("The system's id of the line."),
        "product_external_id": c.code("Item; null when it was deleted.", nullable=True),
        "sku": c.code("SKU written on the line.", nullable=True),
        "name": c.text("Name written on the line."),
        "quantity": c.units("Units ordered; negative on a till return line."),
        "cancelled_qty": c.units("Units of it cancelled after the order.", c.not_negative),
        "cancel_reason": c.one_of("Why, for cancelled units.", "customer", "seller", "stock", "payment", nullable=True),
        "cancelled_at": c.instant("When those units were cancelled.", nullable=True),
        "net_minor": c.minor("Line total after line discounts, without VAT."),
        "tax_minor": c.minor("VAT of the line."),
        "unit_price_minor": c.minor(
            "Price charged for one unit, VAT included, before manual discount; null when the system does not give it exactly.",
            nullable=True,
        ),
        "manual_discount_minor": c.minor("Discount given by hand on one unit, VAT included.", c.not_negative),
        "return_reference": c.code("Original order number, on a till return line.", nullable=True),
    },
)
