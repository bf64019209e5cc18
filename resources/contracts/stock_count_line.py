"""Contract of the canonical entity `stock_count_line`."""

from resources.contracts import columns as c
from resources.contracts.entity import entity

ENTITY = entity(
    "stock_count_line",
    "What a person counted. Grain: one row per system, count, location and item.",
    keys=("count_external_id", "location_code", "product_external_id"),
    fields={
        "count_external_id": c.code("The count's number."),
        "location_code": c.code("Location."),
        "product_external_id": c.code("Item."),
        "counted_qty": c.units("Units found.", c.not_negative),
        "counted_at": c.instant("When."),
        "count_reason": c.one_of(
            "Why it was counted: planned ones are rated, suspicion is biased.", "cycle", "annual", "suspicion"
        ),
    },
)
