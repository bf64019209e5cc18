"""Contract of the canonical entity `product`."""

from resources.contracts import columns as c
from resources.contracts.entity import entity

ENTITY = entity(
    "product",
    "A sellable item as one system describes it: a simple product, a variant, a parent of variants, a kit."
    " Grain: one row per system and product_external_id.",
    keys=("product_external_id",),
    fields={
        "product_external_id": c.code(
            "The system's own id of the item; a variant of product 12 is `12-34`, parent first."
        ),
        "parent_external_id": c.code("The parent's product_external_id, for a variant.", nullable=True),
        "sku": c.code("Stock keeping unit as the system gives it, trimmed; null when missing.", nullable=True),
        "gtin": c.text("GTIN / EAN / UPC as the system gives it, not yet checked; null when missing."),
        "name": c.text("Name in the retailer's main language, plain text."),
        "brand": c.text("Brand."),
        "category_code": c.code("Category code or name in that system.", nullable=True),
        "kind": c.one_of("What kind of item.", "simple", "variant", "parent", "kit", "service", "gift_card"),
        "is_stock_tracked": c.flag("Whether the system keeps a stock of it."),
        "is_active": c.flag("Whether the system offers it for sale now."),
        "tax_rate_bp": c.basis_points("VAT rate in the system's home territory.", nullable=True),
        "weight_g": c.integer("Shipping weight.", c.not_negative, unit="grams", nullable=True),
        "updated_at": c.instant("When the system last changed it; null when it does not say.", nullable=True),
    },
)
