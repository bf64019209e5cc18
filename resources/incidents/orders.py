"""Orders sent to the ERP that it refuses, or does not answer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta

from resources.incidents.detecting import detector
from resources.incidents.facts import Facts, stream_asset
from resources.incidents.texts import numbered, shortened
from resources.operations.incidents import Impact, Signal
from resources.operations.order_messages import OrderMessage

NUMBERS_SHOWN = 5


@detector("order_refused")
def refused(facts: Facts) -> Iterator[Signal]:
    """The ERP refused an order, or it could not be sent at all: its units stay promised to nobody's work."""
    messages = facts.operations.order_messages
    found = [one for state in ("refused", "failed") for one in messages.select(state=state) if one.cancelled_at is None]
    for (system_code, channel_code), orders in _grouped(found).items():
        first = min(orders, key=_changed_at)
        yield Signal(
            kind="order_refused",
            severity="error",
            system_code=system_code,
            stream="orders",
            channel_code=channel_code,
            file=first.file,
            what=f"{numbered(len(orders), 'order', 'orders')} of {channel_code} not taken by {system_code} ({_numbers(orders)}): "
            f"{shortened(first.reason)}",
            action="mend what the reason says, then `etalon orders resend`; until then nobody prepares them",
            since_at=_changed_at(first),
            occurrences_qty=len(orders),
            evidence={"orders": len(orders)},
            origins=_origins(facts, system_code),
            touches=Impact(channels=(channel_code,), work_lists=("channels.order_worklist",)),
        )


@detector("order_unanswered")
def unanswered(facts: Facts) -> Iterator[Signal]:
    """The ERP says nothing about orders that were sent to it."""
    limit = timedelta(minutes=facts.rules.order_unanswered_after_minutes)
    late = [
        one
        for one in facts.operations.order_messages.select(state="sent")
        if one.sent_at is not None and facts.now - one.sent_at > limit and one.cancelled_at is None
    ]
    for (system_code, channel_code), orders in _grouped(late).items():
        first = min(orders, key=lambda order: order.sent_at or order.updated_at)
        sent_at = first.sent_at or first.updated_at
        yield Signal(
            kind="order_unanswered",
            severity="error",
            system_code=system_code,
            stream="orders",
            channel_code=channel_code,
            file=first.file,
            what=f"{system_code} has not answered {numbered(len(orders), 'order', 'orders')} of {channel_code} ({_numbers(orders)}), "
            f"the first since {sent_at:%Y-%m-%d %H:%M} UTC",
            action=f"see whether {system_code} reads its folder of orders and writes its answers; no order is lost: "
            "what is not acknowledged keeps lowering the stock that channels may sell",
            since_at=sent_at + limit,
            occurrences_qty=len(orders),
            evidence={"orders": len(orders)},
            origins=_origins(facts, system_code),
            touches=Impact(channels=(channel_code,), work_lists=("channels.order_worklist",)),
        )


def _grouped(orders: list[OrderMessage]) -> dict[tuple[str, str], list[OrderMessage]]:
    groups: defaultdict[tuple[str, str], list[OrderMessage]] = defaultdict(list)
    for order in orders:
        groups[order.system_code, order.channel_code].append(order)
    return dict(groups)


def _changed_at(order: OrderMessage) -> datetime:
    return order.answered_at or order.updated_at


def _numbers(orders: list[OrderMessage]) -> str:
    shown = sorted(order.order_number for order in orders)
    return ", ".join(shown[:NUMBERS_SHOWN]) + (", …" if len(shown) > NUMBERS_SHOWN else "")


def _origins(facts: Facts, system_code: str) -> tuple[str, ...]:
    """Where the system's answers are read: what depends on them is what its silence touches."""
    return tuple(
        stream_asset(system_code, stream.name)
        for stream in facts.streams.get(system_code, ())
        if "order_acknowledgement" in stream.entities
    )
