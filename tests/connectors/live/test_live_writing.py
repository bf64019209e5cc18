"""Write to a live shop, and put everything back: only to the one item that ETALON_LIVE_<KIND>_ITEM names (`82`, `88-91`), else skipped.

The item should be a published one whose stock the shop manages. Somebody who buys it meanwhile makes a test fail, and is right to.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from resources.connectors.sdk.writing import JsonValue, Write, WriteResult, WritingConnector
from tests.connectors.live.test_live import MODELS, live_connector

pytestmark = pytest.mark.live

NOWHERE = -987_654_321  # what no shop shows: a write planned on it is never sent


def more(value: JsonValue) -> JsonValue:
    """Another quantity or price."""
    return int(str(value or 0)) + 1


def other_promotion(value: JsonValue) -> JsonValue:
    """Another promotion: the smallest price, next year."""
    following = datetime.now(UTC).year + 1
    fresh: dict[str, JsonValue] = {
        "minor": 1,
        "starts_at": f"{following}-03-01T08:30:00Z",
        "ends_at": f"{following}-03-15T00:00:00Z",
    }
    return fresh if value != fresh else None


VALUES: list[tuple[str, str, Callable[[JsonValue], JsonValue]]] = [
    ("channel_stock", "published_qty", more),
    ("channel_price", "regular_minor", more),
    ("channel_price", "promotion", other_promotion),
    ("channel_price", "is_published", lambda value: not value),
]


@pytest.mark.parametrize(("entity", "attribute", "change"), VALUES, ids=[attribute for _, attribute, _ in VALUES])
@pytest.mark.parametrize("kind", list(MODELS))
def test_a_value_is_written_kept_and_put_back(
    kind: str, entity: str, attribute: str, change: Callable[[JsonValue], JsonValue]
) -> None:
    name = f"ETALON_LIVE_{kind.upper()}_ITEM"
    item = os.environ.get(name)
    if not item:
        pytest.skip(f"nothing is written to a live {kind}: {name} names no item")
    connector = live_connector(kind)
    assert isinstance(connector, WritingConnector)

    def write(before: JsonValue, after: JsonValue) -> WriteResult:
        asked = Write(f"live {attribute}", entity, item, attribute, before, after)
        (result,) = connector.write([asked], now=datetime.now(UTC))
        return result

    shown = write(NOWHERE, change(None) if attribute == "promotion" else attribute == "is_published" or 0).found
    other = change(shown)
    written = write(shown, other)
    try:
        assert (written.outcome, written.read_back) == ("applied", other), written.reason
        assert write(shown, other).outcome == "unchanged"
    finally:
        back = write(other, shown)
    assert (back.outcome, back.read_back) == ("applied", shown), back.reason
