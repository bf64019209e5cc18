"""Parcel numbers of an order: the custom field in which the shipment tracking extensions keep them, read and written.

WooCommerce itself has no such field. Fulfilments, an option of newer versions, are not read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from resources.connectors.woocommerce.rows import Meta

KEY = "_wc_shipment_tracking_items"


def parcels_of(meta: Sequence[Meta]) -> list[Any] | None:
    """The extension's own entries, as they are; None when the field holds something else than entries.

    Where the field is there several times, the entries of all: the extension shows those of the first, and a write by key empties all
    but the first (WC_Data::get_meta and update_meta_data), so what is written must hold them all.
    """
    entries: list[Any] = []
    for row in meta:
        value = msgspec.json.decode(row.value) if row.key == KEY else None
        if not value:
            continue
        if not isinstance(value, (list, dict)):
            return None
        # PHP prints a list with gaps as an object
        entries += [one for one in (value.values() if isinstance(value, dict) else value) if one not in entries]
    return entries


def numbers_of(meta: Sequence[Meta]) -> list[str]:
    """Every parcel number of an order, in the order they were given."""
    numbers = []
    for entry in parcels_of(meta) or []:
        number = entry.get("tracking_number") if isinstance(entry, dict) else None
        if isinstance(number, (str, int)) and not isinstance(number, bool) and str(number).strip():
            numbers.append(str(number).strip())
    return numbers


def number_of(meta: Sequence[Meta]) -> str | None:
    """The parcel number to show for an order: the latest of several; null when there is none."""
    return next(reversed(numbers_of(meta)), None)


def with_parcel(parcels: Sequence[Any], number: str, *, now: datetime) -> dict[str, Any]:
    """The custom field with one parcel more, as a write sends it. The carrier is not known, so none is named.

    The entry has every field that the extensions give one: they look at them unasked, and take an entry away by its `tracking_id`.
    """
    day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    parcel = {
        "tracking_provider": "",
        "custom_tracking_provider": "",
        "custom_tracking_link": "",
        "tracking_number": number,
        "date_shipped": str(int(day.timestamp())),
        "tracking_id": hashlib.md5(f"-{number}{now.isoformat()}".encode(), usedforsecurity=False).hexdigest(),
    }
    return {"key": KEY, "value": [*parcels, parcel]}
