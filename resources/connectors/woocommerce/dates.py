"""How a WooCommerce is asked for rows by their dates. Nothing is asked here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from resources.connectors.sdk.periods import Period

# Without it a value without offset is read in the site's zone.
_UTC = {"dates_are_gmt": "true"}


def modified_since(instant: datetime) -> dict[str, str]:
    """Parameters for rows modified at ``instant`` (aware) or later. The shop compares strictly, in whole seconds."""
    return {"modified_after": _text(instant - timedelta(seconds=1)), **_UTC}


def created_in(period: Period) -> dict[str, str]:
    """Parameters for rows made in a period. The shop takes both ends strictly, in whole seconds."""
    asked = {"before": _text(period.to_at), **_UTC}
    if period.from_at is not None:
        asked["after"] = _text(period.from_at - timedelta(seconds=1))
    return asked


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
