"""Which orders of a PrestaShop changed, without reading them: ids and dates, one short list."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec

from resources.connectors.prestashop.client import PrestaShopClient
from resources.connectors.prestashop.dates import changed_since
from resources.connectors.sdk.decode import RowDecoder
from resources.connectors.sdk.polling import Changed

LARGEST_LIST = 1_000


class _Row(msgspec.Struct, gc=False):
    """As much of an order as is asked for."""

    id: int
    date_upd: str


_ROWS: RowDecoder[_Row] = RowDecoder(_Row, wrapped=True, strict=False)


def changed_orders(client: PrestaShopClient, *, since_at: datetime, zone: str, stream: str) -> Changed:
    """Orders whose `date_upd` is ``since_at`` or later. It is the shop's local time, in whole seconds."""
    local = ZoneInfo(zone)
    asked = {
        "display": "[id,date_upd]",
        **changed_since(since_at, local),
        "sort": "[id_ASC]",
        "limit": str(LARGEST_LIST),
    }
    found: dict[str, datetime] = {}
    server_at: datetime | None = None
    while True:
        answer = client.rows("orders", asked, _ROWS.decode, stream=stream)
        server_at = server_at or answer.server_time_at
        rows = answer.value.rows
        for row in rows:
            at = datetime.strptime(row.date_upd, "%Y-%m-%d %H:%M:%S").replace(tzinfo=local)
            found[str(row.id)] = at.astimezone(UTC)
        if len(rows) < LARGEST_LIST:
            return Changed(tuple(found.items()), server_at)
        asked["filter[id]"] = f">[{rows[-1].id}]"
