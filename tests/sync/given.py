"""Short ways to say a difference, a plan's line and a write in tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from resources.operations.outbox import NewWrite, Origin
from resources.operations.plans import PlanLine
from resources.operations.receipts import Json, json_text
from resources.sync.facts import COLUMNS, Difference, GuardFact
from tests.sync.conftest import NOW

CHANNEL, SYSTEM = "web-be", "shop_be"
SUBJECT_OF = {"published_qty": "stock", "regular_minor": "price", "promotion": "price", "is_published": "publication"}
ENTITY_OF = {"published_qty": "channel_stock"}


def entity(attribute: str) -> str:
    """The entity of an attribute."""
    return ENTITY_OF.get(attribute, "channel_price")


def line(item: str, attribute: str, before: Json, after: Json, **other: Any) -> PlanLine:
    """A line of a plan."""
    return PlanLine(entity(attribute), item, attribute, before, after, "expected", sku=f"SKU-{item}", **other)


def write(item: str, after: Json, *, before: Json = 0, target: str = "shop", origin: Origin = "fast_lane") -> NewWrite:
    """A write of a quantity."""
    return NewWrite(
        target, CHANNEL, origin, None, "channel_stock", item, "", "published_qty", before, after, "", "sold"
    )


def fact(subject: str, **other: Any) -> GuardFact:
    """Facts of a channel with 1,000 listings that was read five minutes ago, its orders and its stock too."""
    read_at = NOW - timedelta(minutes=5)
    values = {"listings_qty": 1000, "observed_qty": 1000, "observation_read_at": read_at, "oldest_observed_at": read_at}
    return GuardFact(subject, **{**values, "orders_read_at": read_at, "source_as_of_at": read_at, **other})


def difference(
    *rows: tuple[str, str, Json, Json],
    facts: Sequence[GuardFact] = (),
    observed_at: datetime = NOW - timedelta(minutes=5),
    regular: Mapping[str, int] | None = None,
    channel: str = CHANNEL,
    system: str = SYSTEM,
) -> Difference:
    """A channel's difference: rows of (item, attribute, before, after)."""
    known = {fact_.subject: fact_ for fact_ in facts}
    subjects = {SUBJECT_OF[attribute] for _, attribute, _, _ in rows}
    frame = pl.DataFrame(
        [
            {
                "channel_code": channel,
                "system_code": system,
                "subject": SUBJECT_OF[attribute],
                "entity": entity(attribute),
                "external_id": item,
                "location_code": "",
                "attribute": attribute,
                "product_id": f"P{item}",
                "sku": f"SKU-{item}",
                "before_value": json_text(before),
                "after_value": json_text(after),
                "reason": "expected",
                "units_at_risk": 1,
                "value_at_risk_minor": 100,
                "currency_code": "EUR",
                "observed_at": observed_at,
                "regular_minor": (regular or {}).get(item),
            }
            for item, attribute, before, after in rows
        ],
        schema=COLUMNS,
    )
    return Difference(
        channel, system, "run", NOW, frame, {each: known.get(each) or fact(each) for each in subjects | set(known)}
    )
