"""Which orders of a WooCommerce changed, without reading them: ids and dates, a hundred to a call."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from resources.connectors.sdk.polling import Changed
from resources.connectors.woocommerce.client import LARGEST_PAGE, WooClient
from resources.connectors.woocommerce.dates import modified_since


class _Row(msgspec.Struct, gc=False):
    """As much of an order as is asked for."""

    id: int
    date_modified_gmt: str


_ROWS = msgspec.json.Decoder(list[_Row])


def changed_orders(client: WooClient, *, since_at: datetime, stream: str) -> Changed:
    """Orders modified at ``since_at`` or later by the shop's clock."""
    asked = {
        "status": "any",
        **modified_since(since_at),
        "orderby": "id",
        "order": "asc",
        "per_page": str(LARGEST_PAGE),
        "_fields": "id,date_modified_gmt",
    }
    found: dict[str, datetime] = {}
    server_at: datetime | None = None
    page = 1
    while True:
        answer = client.get("/orders", {**asked, "page": str(page)}, _ROWS.decode, stream=stream)
        server_at = server_at or answer.server_time_at
        for row in answer.value:
            found[str(row.id)] = datetime.fromisoformat(row.date_modified_gmt.removesuffix("Z")).replace(tzinfo=UTC)
        if len(answer.value) < LARGEST_PAGE:
            return Changed(tuple(found.items()), server_at)
        page += 1
