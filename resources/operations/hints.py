"""Hints: word that something changed in a system, by a webhook or a poll. What changed is read, never taken from the word.

::

    add -> pending -> done      read, or covered by a reading of the whole stream that began later
             ^   |--> dead      tried too often: a dead letter, which a later reading of the stream covers too
             '---'              failed for now: waits, longer each time

Belongs here: the table, and every move of its rows. Nothing is read from a system here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from resources.operations.engine import Transactions
from resources.operations.tables import UtcInstant, metadata

HintOrigin: TypeAlias = Literal["webhook", "poll"]

FIRST_WAIT_S, LONGEST_WAIT_S, ATTEMPTS_MAX = 0.5, 300.0, 12
"""A hint is tried for about half an hour; after that the next reading of the stream covers it."""

hint = sa.Table(
    "hint",
    metadata,
    sa.Column("hint_id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("system_code", sa.String(64), nullable=False),
    sa.Column("stream", sa.String(64), nullable=False),
    sa.Column("external_id", sa.String(255), nullable=False, comment="the row to read, as the system names it"),
    sa.Column("origin", sa.String(16), nullable=False, comment="webhook, poll"),
    sa.Column("topic", sa.String(64), nullable=False, comment="what the system said had happened"),
    sa.Column("delivery_id", sa.String(128), comment="the system's id of the delivery; null where it has none"),
    sa.Column("status", sa.String(16), nullable=False, comment="pending, done, dead"),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("error", sa.Text),
    sa.Column("received_at", UtcInstant, nullable=False),
    sa.Column("next_attempt_at", UtcInstant, nullable=False),
    sa.Column("handled_at", UtcInstant),
    sa.UniqueConstraint("system_code", "delivery_id", name="hint_delivered_once"),
    sa.Index("hint_waiting", "status", "next_attempt_at"),
)


@dataclass(frozen=True)
class Hint:
    """One word that a row of a stream changed. ``attempts``: how often reading it failed."""

    hint_id: int
    system_code: str
    stream: str
    external_id: str
    origin: str
    topic: str
    delivery_id: str | None
    status: str
    attempts: int
    error: str | None
    received_at: datetime
    next_attempt_at: datetime
    handled_at: datetime | None


class Hints:
    """Hints of every system. Safe to use from several processes."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def add(
        self,
        system_code: str,
        stream: str,
        external_id: str,
        *,
        origin: HintOrigin,
        topic: str,
        delivery_id: str | None,
        now: datetime,
        wait_s: float = 0.0,
    ) -> bool:
        """Keep a hint, to be read ``wait_s`` seconds from now; False when this delivery was kept before.

        It is kept for good when this returns.
        """
        row = {
            "system_code": system_code,
            "stream": stream,
            "external_id": external_id,
            "origin": origin,
            "topic": topic,
            "delivery_id": delivery_id,
            "status": "pending",
            "attempts": 0,
            "received_at": now,
            "next_attempt_at": now + timedelta(seconds=wait_s),
        }
        try:
            with self._transactions.writing() as connection:
                connection.execute(sa.insert(hint).values(row))
        except IntegrityError:
            if delivery_id is None:
                raise
            return False  # the unique delivery id is the one constraint that such a row can break
        return True

    def due(self, *, now: datetime, limit: int = 500, system_code: str | None = None) -> list[Hint]:
        """Hints that may be read now, oldest first."""
        statement = (
            sa.select(hint)
            .where(hint.c.status == "pending", hint.c.next_attempt_at <= now)
            .order_by(hint.c.hint_id)
            .limit(limit)
        )
        if system_code is not None:
            statement = statement.where(hint.c.system_code == system_code)
        return self._select(statement)

    def done(self, hint_ids: Sequence[int], *, now: datetime) -> None:
        """What they named was read."""
        if hint_ids:
            with self._transactions.writing() as connection:
                connection.execute(
                    sa.update(hint)
                    .where(hint.c.hint_id.in_(hint_ids), hint.c.status != "done")
                    .values(status="done", handled_at=now, error=None)
                )

    def failed(self, hints: Sequence[Hint], *, error: str, now: datetime) -> list[Hint]:
        """Reading them failed: they wait, twice as long each time. Gives those that are given up with this failure."""
        dead = [each for each in hints if each.attempts + 1 >= ATTEMPTS_MAX]
        with self._transactions.writing() as connection:
            for each in hints:
                wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0**each.attempts)
                connection.execute(
                    sa.update(hint)
                    .where(hint.c.hint_id == each.hint_id, hint.c.status == "pending")
                    .values(
                        attempts=each.attempts + 1,
                        error=error,
                        status="dead" if each in dead else "pending",
                        next_attempt_at=now + timedelta(seconds=wait_s),
                    )
                )
        return dead

    def covered(self, system_code: str, stream: str, *, read_from_at: datetime, now: datetime) -> int:
        """A reading of the stream that began at ``read_from_at`` was loaded: older hints are answered by it. Gives how many."""
        with self._transactions.writing() as connection:
            return connection.execute(
                sa.update(hint)
                .where(
                    hint.c.system_code == system_code,
                    hint.c.stream == stream,
                    hint.c.status != "done",
                    hint.c.received_at < read_from_at,
                )
                .values(status="done", handled_at=now)
            ).rowcount

    def waiting_streams(self) -> list[tuple[str, str]]:
        """(system, stream) that have hints which nobody has answered."""
        with self._transactions.reading() as connection:
            found = connection.execute(
                sa.select(hint.c.system_code, hint.c.stream).where(hint.c.status != "done").distinct()
            )
            return sorted((system_code, stream) for system_code, stream in found)

    def dead_letters(self) -> list[Hint]:
        """Hints that were given up, oldest first."""
        return self._select(sa.select(hint).where(hint.c.status == "dead").order_by(hint.c.hint_id))

    def of_system(self, system_code: str) -> list[Hint]:
        """Every hint that is kept of a system, oldest first."""
        return self._select(sa.select(hint).where(hint.c.system_code == system_code).order_by(hint.c.hint_id))

    def counts(self) -> dict[tuple[str, str], int]:
        """(system, status) -> hints."""
        with self._transactions.reading() as connection:
            found = connection.execute(
                sa.select(hint.c.system_code, hint.c.status, sa.func.count()).group_by(
                    hint.c.system_code, hint.c.status
                )
            )
            return {(system_code, status): quantity for system_code, status, quantity in found}

    def prune(self, before_at: datetime) -> int:
        """Forget hints that were answered before an instant; gives how many. Their delivery ids are forgotten with them."""
        with self._transactions.writing() as connection:
            return connection.execute(
                sa.delete(hint).where(hint.c.status == "done", hint.c.handled_at < before_at)
            ).rowcount

    def _select(self, statement: sa.Select[tuple[object, ...]]) -> list[Hint]:
        with self._transactions.reading() as connection:
            return [Hint(**row) for row in connection.execute(statement).mappings()]
