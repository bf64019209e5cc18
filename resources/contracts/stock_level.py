"""Contract of the canonical entity `stock_level`."""

from resources.contracts import columns as c
from resources.contracts.entity import entity

ENTITY = entity(
    "stock_level",
    "Stock of an item at a location, as the stock's master sees it. Grain: one row per system, location and item.",
    keys=("location_code", "product_external_id"),
    fields={
        "location_code": c.code("Location, as named in retailer.yaml."),
        "product_external_id": c.code("Item."),
        "on_hand_qty": c.units("Physically there; may be negative in a wrong book."),
        "committed_qty": c.units("Promised to acknowledged orders not yet shipped.", c.not_negative),
        "reserved_qty": c.units("Set aside for other reasons: displays, transfers.", c.not_negative),
        "damaged_qty": c.units("There but not sellable.", c.not_negative),
        "is_net": c.flag(
            "Whether on_hand_qty already has committed and reserved taken off; then they are not subtracted again."
        ),
        "as_of_at": c.instant("When the master computed this row."),
        "changed_at": c.instant("Last movement the master had booked on this row; null when unknown.", nullable=True),
    },
)
