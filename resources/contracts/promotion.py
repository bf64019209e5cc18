"""Contract of the canonical entity `promotion`."""

from resources.contracts import columns as c
from resources.contracts.entity import entity

ENTITY = entity(
    "promotion",
    "A public price reduction with a window [starts_at, ends_at), as its master declares it."
    " Grain: one row per system, promotion and item.",
    keys=("promotion_external_id", "product_external_id"),
    fields={
        "promotion_external_id": c.code("The system's id of the promotion."),
        "product_external_id": c.code("Item."),
        "price_list_code": c.code("Price list it applies to."),
        "method": c.one_of("How the reduction is given.", "fixed_price", "amount_off", "percentage_off"),
        "amount_minor": c.minor(
            "The price (fixed_price) or the reduction (amount_off), VAT included.", c.not_negative, nullable=True
        ),
        "percentage_bp": c.basis_points("The reduction, for percentage_off.", nullable=True),
        "currency_code": c.currency(),
        "starts_at": c.instant("Start, inclusive; null: since ever.", nullable=True),
        "ends_at": c.instant("End, exclusive; null: no end.", nullable=True),
        "priority": c.integer("1 wins over 2.", c.positive),
        "is_stackable": c.flag("Whether it may be combined with another promotion."),
    },
)
