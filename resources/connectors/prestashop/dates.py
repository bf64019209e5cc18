"""How a PrestaShop is asked for rows by their dates, which are its local time without an offset. Nothing is asked here."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from resources.connectors.prestashop.client import FAR_FUTURE
from resources.connectors.sdk.decode import local_filter_text
from resources.connectors.sdk.periods import Period

# Without it the Webservice refuses filters on dates.
_DATES = {"date": "1"}


def changed_since(instant: datetime, zone: ZoneInfo) -> dict[str, str]:
    """Parameters for rows changed at ``instant`` (aware) or later."""
    return {"filter[date_upd]": f"[{local_filter_text(instant, zone)},{FAR_FUTURE}]", **_DATES}


def created_in(period: Period, zone: ZoneInfo) -> dict[str, str]:
    """Parameters for rows made in a period.

    One period ends on the very text on which the next begins, less a second: so each local time, also one that the autumn has twice,
    lies in exactly one of them. The first, open at its beginning, holds rows without a date (0000-00-00) too.
    """
    end = local_filter_text(period.to_at, zone)
    if period.from_at is None:
        return {"filter[date_add]": f"<[{end}]", **_DATES}
    last = datetime.fromisoformat(end) - timedelta(seconds=1)
    return {"filter[date_add]": f"[{local_filter_text(period.from_at, zone)},{last:%Y-%m-%d %H:%M:%S}]", **_DATES}
