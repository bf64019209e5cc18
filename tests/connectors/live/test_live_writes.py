"""Write into a live shop, and put everything back: run with `make live` when ETALON_LIVE_<KIND>_ITEMS names items to play with.

ETALON_LIVE_PRESTASHOP_ITEMS=21,1-2 (simple items or combinations, as they are named in Étalon), with the address and a key that may
write. Each value is changed, read by the stream that watches it, asked for again, and restored. Without items nothing is written.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from resources.connectors.sdk.writing import JsonValue, TargetedConnector, Write, WritingConnector
from tests.connectors.live.test_live import MODELS, live_connector
from tests.connectors.support import stream_of

pytestmark = pytest.mark.live

NOW = datetime.now(UTC).replace(microsecond=0)
WINDOW = {
    "starts_at": (NOW - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
    "ends_at": (NOW + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ"),
}
NOTHING: JsonValue = {"minor": 10**9, "starts_at": None, "ends_at": "2099-01-01T00:00:00Z"}
# attribute -> (entity, a value that no item has, another value than the one found)
CHANGES: dict[str, tuple[str, JsonValue, Callable[[Any, Any], JsonValue]]] = {
    "published_qty": ("channel_stock", -(10**6), lambda found, _: found + 1),
    "regular_minor": ("channel_price", -1, lambda found, _: found + 1),
    "promotion": ("channel_price", NOTHING, lambda _, regular: {"minor": max(0, regular - 100), **WINDOW}),
}


def _items(kind: str) -> list[str]:
    """The items to play with, else a skip."""
    named = os.environ.get(f"ETALON_LIVE_{kind.upper()}_ITEMS", "")
    if not named:
        pytest.skip(f"nothing is written: ETALON_LIVE_{kind.upper()}_ITEMS names no items")
    return [item.strip() for item in named.split(",")]


@pytest.mark.parametrize("kind", list(MODELS))
@pytest.mark.parametrize("attribute", list(CHANGES))
def test_a_value_is_written_seen_and_put_back(kind: str, attribute: str) -> None:
    items = _items(kind)
    connector = live_connector(kind)
    assert isinstance(connector, WritingConnector)
    entity, odd, other = CHANGES[attribute]

    def found(name: str, unlike: JsonValue) -> dict[str, JsonValue]:
        place = CHANGES[name][0]
        probes = [
            Write(item, place, item, name, unlike, other(0, 10**6) if name == "promotion" else 1) for item in items
        ]
        results = connector.write(probes, now=datetime.now(UTC))
        assert all(result.is_found for result in results), results
        return {result.key: result.found for result in results}

    before = found(attribute, odd)
    regular = found("regular_minor", -1) if attribute == "promotion" else dict.fromkeys(items, 0)
    wanted = {item: other(before[item], regular[item]) for item in items}
    there = [Write(item, entity, item, attribute, before[item], wanted[item]) for item in items]
    back = [Write(item, entity, item, attribute, wanted[item], before[item]) for item in items]
    try:
        results = connector.write(there, now=datetime.now(UTC))
        assert [(result.outcome, result.read_back) for result in results] == [
            ("applied", wanted[item]) for item in items
        ]
        assert {result.outcome for result in connector.write(there, now=datetime.now(UTC))} == {"unchanged"}
        _assert_streams_show(connector, entity, attribute, wanted)
    finally:
        put_back = connector.write(back, now=datetime.now(UTC))
    assert {result.outcome for result in put_back} == {"applied"}, put_back


def _assert_streams_show(connector: Any, entity: str, attribute: str, wanted: dict[str, JsonValue]) -> None:
    assert isinstance(connector, TargetedConnector)
    column = "promotion_minor" if attribute == "promotion" else attribute
    seen: dict[str, Any] = {}
    for name in [stream.name for stream in connector.streams() if entity in stream.entities]:  # type: ignore[attr-defined]
        reading = connector.read_ids(stream_of(connector, name), list(wanted), now=datetime.now(UTC))  # type: ignore[arg-type]
        for batch in reading.batches:
            if entity in batch.frames:
                seen.update(batch.frames[entity].select("product_external_id", column).iter_rows())
    for item, value in wanted.items():
        assert seen[item] == (value["minor"] if isinstance(value, dict) else value)
