"""Contract of the canonical entity `channel_price`."""

from resources.contracts import columns as c
from resources.contracts.entity import entity

ENTITY = entity(
    "channel_price",
    "Price that a channel shows to the public for one unit. Grain: one row per system, channel and item.",
    keys=("channel_code", "product_external_id"),
    fields={
        "channel_code": c.code("Channel, as named in retailer.yaml."),
        "product_external_id": c.code("Item, as the channel names it."),
        "currency_code": c.currency(),
        "regular_minor": c.minor("Regular price, VAT included.", c.not_negative, nullable=True),
        "effective_minor": c.minor(
            "Price a buyer pays now, promotions applied, VAT included.", c.not_negative, nullable=True
        ),
        "tax_rate_bp": c.basis_points("VAT rate in the shown price.", nullable=True),
        "promotion_starts_at": c.instant(
            "Start of the promotion that the channel holds, running, to come or over; null: none or no start.",
            nullable=True,
        ),
        "promotion_ends_at": c.instant("End, exclusive, of that promotion.", nullable=True),
        "promotion_minor": c.minor(
            "Price under that promotion, VAT included; null when the channel holds none.", c.not_negative, nullable=True
        ),
        "is_published": c.flag("Whether the item can be bought on the channel now."),
    },
)
