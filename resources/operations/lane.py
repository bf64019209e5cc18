"""What the fast lane remembers: the last state of each order that it saw before the warehouse did, and that it is alive.

Belongs here: the two tables and the questions asked of them. What an order means for stock is `resources.fast_lane`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from resources.operations.engine import Transactions
from resources.operations.tables import UtcInstant, metadata

lane_order = sa.Table(
    "lane_order",
    metadata,
    sa.Column("system_code", sa.String(64), primary_key=True),
    sa.Column("order_external_id", sa.String(255), primary_key=True),
    sa.Column("content", sa.Text, nullable=False, comment="the order as it stood, JSON; nothing personal"),
    sa.Column("source", sa.Text, nullable=False, comment="the file or the extract that showed it"),
    sa.Column("observed_at", UtcInstant, nullable=False, comment="when the system showed it so"),
    sa.Column("seen_at", UtcInstant, nullable=False, comment="when the worker had it"),
)

lane_beat = sa.Table(
    "lane_beat",
    metadata,
    sa.Column("worker", sa.String(128), primary_key=True),
    sa.Column("started_at", UtcInstant, nullable=False),
    sa.Column("beat_at", UtcInstant, nullable=False),
    sa.Column("ended_at", UtcInstant, comment="when it ended as it was asked to"),
    sa.Column("detail", sa.Text, nullable=False, comment="counts, JSON"),
)


@dataclass(frozen=True)
class LaneOrder:
    """The last state of one order that the warehouse may not have. ``content`` holds what `fast_lane.events` makes of it."""

    system_code: str
    order_external_id: str
    content: Mapping[str, Any]
    source: str
    observed_at: datetime
    seen_at: datetime


@dataclass(frozen=True)
class Beat:
    """A worker's last sign of life. ``ended_at``: it stopped because it was asked to."""

    worker: str
    started_at: datetime
    beat_at: datetime
    ended_at: datetime | None
    detail: Mapping[str, Any]


class Lane:
    """The fast lane's memory. Safe to use from several processes."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def put(self, orders: Sequence[LaneOrder]) -> list[LaneOrder]:
        """Keep the state of orders; gives those that say something new.

        A state that is older than the one that is kept, or the same, changes nothing.
        """
        fresh: list[LaneOrder] = []
        with self._transactions.writing() as connection:
            for order in orders:
                of_order = (lane_order.c.system_code == order.system_code) & (
                    lane_order.c.order_external_id == order.order_external_id
                )
                kept = (
                    connection.execute(sa.select(lane_order).where(of_order).with_for_update()).mappings().one_or_none()
                )
                content = _text(order.content)
                values = {
                    "content": content,
                    "source": order.source,
                    "observed_at": order.observed_at,
                    "seen_at": order.seen_at,
                }
                if kept is None:
                    key = {"system_code": order.system_code, "order_external_id": order.order_external_id}
                    connection.execute(sa.insert(lane_order).values(**key, **values))
                elif kept["observed_at"] > order.observed_at:
                    continue
                else:
                    connection.execute(sa.update(lane_order).where(of_order).values(**values))
                    if kept["content"] == content:
                        continue
                fresh.append(order)
        return fresh

    def orders(self) -> list[LaneOrder]:
        """Every state that is kept, by system and order."""
        statement = sa.select(lane_order).order_by(lane_order.c.system_code, lane_order.c.order_external_id)
        with self._transactions.reading() as connection:
            return [
                LaneOrder(**dict(row) | {"content": json.loads(row["content"])})
                for row in connection.execute(statement).mappings()
            ]

    def retire(self, orders: Sequence[LaneOrder]) -> None:
        """Forget states that the warehouse has; one that changed meanwhile stays."""
        with self._transactions.writing() as connection:
            for order in orders:
                connection.execute(
                    sa.delete(lane_order).where(
                        lane_order.c.system_code == order.system_code,
                        lane_order.c.order_external_id == order.order_external_id,
                        lane_order.c.observed_at <= order.observed_at,
                    )
                )

    def beat(
        self,
        worker: str,
        *,
        started_at: datetime,
        now: datetime,
        detail: Mapping[str, Any],
        ended_at: datetime | None = None,
    ) -> None:
        """Sign of life of a worker; ``ended_at`` with its last one."""
        values = {"started_at": started_at, "beat_at": now, "ended_at": ended_at, "detail": _text(detail)}
        with self._transactions.writing() as connection:
            changed = connection.execute(sa.update(lane_beat).where(lane_beat.c.worker == worker).values(**values))
            if not changed.rowcount:
                connection.execute(sa.insert(lane_beat).values(worker=worker, **values))

    def beats(self) -> list[Beat]:
        """The last sign of life of each worker, the latest first."""
        statement = sa.select(lane_beat).order_by(lane_beat.c.beat_at.desc(), lane_beat.c.worker)
        with self._transactions.reading() as connection:
            return [
                Beat(**dict(row) | {"detail": json.loads(row["detail"])})
                for row in connection.execute(statement).mappings()
            ]


def _text(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
