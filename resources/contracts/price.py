"""Contract of the canonical entity `price`."""

from resources.contracts import columns as c
from resources.contracts.entity import entity

ENTITY = entity(
    "price",
    "A regular price in a price list, without promotions. Grain: one row per system, price list, item and start of validity.",
    keys=("price_list_code", "product_external_id", "valid_from_at"),
    fields={
        "price_list_code": c.code("Price list; a channel points at one."),
        "product_external_id": c.code("Item."),
        "currency_code": c.currency(),
        "amount_minor": c.minor("Price of one unit.", c.not_negative),
        "is_vat_included": c.flag("Whether amount_minor includes VAT."),
        "tax_rate_bp": c.basis_points("VAT rate that applies to this price."),
        "valid_from_at": c.instant("Start of validity, inclusive."),
        "valid_to_at": c.instant("End of validity, exclusive; null while it lasts.", nullable=True),
    },
)
