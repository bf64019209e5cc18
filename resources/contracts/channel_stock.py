"""Contract of the canonical entity `channel_stock`."""

from resources.contracts import columns as c
from resources.contracts.entity import entity

ENTITY = entity(
    "channel_stock",
    "Stock that a channel shows to buyers. Grain: one row per system, channel and item.",
    keys=("channel_code", "product_external_id"),
    fields={
        "channel_code": c.code("Channel, as named in retailer.yaml."),
        "product_external_id": c.code("Item, as the channel names it."),
        "published_qty": c.units("Quantity shown; null when the channel does not track this item.", nullable=True),
        "is_stock_managed": c.flag("Whether the channel refuses to sell more than published_qty keeps track of."),
        "is_published": c.flag("Whether the item can be bought on the channel now."),
        "is_backorder_allowed": c.flag("Whether it may be sold below zero."),
    },
)
