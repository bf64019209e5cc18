"""Contract of the canonical entity `carrier_scan`."""

from resources.contracts import columns as c
from resources.contracts.entity import entity

ENTITY = entity(
    "carrier_scan",
    "A carrier saw a parcel. Grain: one row per system and scan.",
    keys=("scan_external_id",),
    fields={
        "scan_external_id": c.code("The carrier's id of the scan."),
        "carrier_code": c.code("Carrier."),
        "tracking_number": c.code("Parcel."),
        "kind": c.one_of(
            "What happened.",
            "handed_over",
            "in_transit",
            "out_for_delivery",
            "delivered",
            "exception",
            "returned_to_sender",
        ),
        "scanned_at": c.instant("When."),
    },
)
