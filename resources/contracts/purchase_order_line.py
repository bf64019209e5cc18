"""Contract of the canonical entity `purchase_order_line`."""

from resources.contracts import columns as c
from resources.contracts.entity import entity

ENTITY = entity(
    "purchase_order_line",
    "What is on order from a supplier. Grain: one row per system, purchase order and line.",
    keys=("purchase_order_number", "line_number"),
    fields={
        "purchase_order_number": c.code("Purchase order."),
        "line_number": c.integer("Line.", c.positive),
        "supplier_code": c.code("Supplier."),
        "location_code": c.code("Where it will arrive."),
        "product_external_id": c.code("Item."),
        "ordered_qty": c.units("Units ordered.", c.positive),
        "received_qty": c.units("Units received so far.", c.not_negative),
        "currency_code": c.currency(),
        "unit_cost_minor": c.minor("Cost of one unit, without VAT.", c.not_negative),
        "ordered_at": c.instant("When it was ordered."),
        "expected_at": c.instant("When it should arrive.", nullable=True),
    },
)
