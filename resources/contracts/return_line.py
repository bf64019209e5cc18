"""Contract of the canonical entity `return_line`."""

from resources.contracts import columns as c
from resources.contracts.entity import entity

ENTITY = entity(
    "return_line",
    "Units that a customer sends or brings back. Grain: one row per system, return and line.",
    keys=("return_external_id", "line_number"),
    fields={
        "return_external_id": c.code("The return's number."),
        "line_number": c.integer("Line of the return.", c.positive),
        "kind": c.one_of("Why goods come back.", "customer_return", "undeliverable"),
        "channel_code": c.code("Channel of the original order; null when unknown.", nullable=True),
        "order_number": c.code("Original order; null when unknown.", nullable=True),
        "order_line_external_id": c.code("Original line; null when only the SKU is known.", nullable=True),
        "sku": c.code("SKU.", nullable=True),
        "quantity": c.units("Units.", c.positive),
        "requested_at": c.instant("When the customer notified the withdrawal.", nullable=True),
        "proof_of_shipment_at": c.instant("When the customer proved to have sent the goods.", nullable=True),
        "received_at": c.instant("Goods received.", nullable=True),
        "inspected_at": c.instant("Goods inspected.", nullable=True),
        "restocked_at": c.instant("Goods sellable again.", nullable=True),
        "disposition": c.one_of(
            "What becomes of the goods.", "restock", "refurbish", "scrap", "return_to_vendor", nullable=True
        ),
        "reason_code": c.code("Reason given.", nullable=True),
        "resolution": c.one_of("What the customer gets.", "refund", "exchange", "store_credit", "none", nullable=True),
        "receiving_location_code": c.code("Where the goods come in.", nullable=True),
    },
)
