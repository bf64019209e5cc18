"""Messages about changes of incidents: stored before they are sent, one row per message and means, retried until they are out.

::

    changes due -> pending -> sent
                     |  ^
                     '--'        could not be sent: waits, longer each time; the next changes wait in the same queue
                   -> failed     too old to be of use

Belongs here: the table and every move of its rows. Sending is in `resources.alerts`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from resources.operations.engine import Transactions
from resources.operations.incidents import Change, due_changes, mark_changes
from resources.operations.tables import UtcInstant, metadata

AlertState: TypeAlias = Literal["pending", "sent", "failed"]

FIRST_WAIT_S, LONGEST_WAIT_S = 30.0, 1800.0
GIVEN_UP_AFTER = timedelta(days=2)
LEASE_S = 120.0
"""How long a sender may take; after that another one tries."""

alert = sa.Table(
    "alert",
    metadata,
    sa.Column("alert_id", sa.String(64), primary_key=True),
    sa.Column("means", sa.String(16), nullable=False, comment="email, webhook"),
    sa.Column("state", sa.String(16), nullable=False, comment="pending, sent, failed"),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("payload", sa.Text, nullable=False, comment="JSON: the changes, for programs"),
    sa.Column("changes_qty", sa.Integer, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("error", sa.Text, comment="of the last attempt"),
    sa.Column("created_at", UtcInstant, nullable=False),
    sa.Column(
        "next_attempt_at", UtcInstant, nullable=False, comment="while it is being sent: when another sender may try"
    ),
    sa.Column("sent_at", UtcInstant),
    sa.Index("alert_to_send", "state", "next_attempt_at"),
    sa.Index("alert_by_means", "means", "created_at"),
)


@dataclass(frozen=True)
class Message:
    """What is told, in words and for programs."""

    subject: str
    text: str
    payload: dict[str, Any]


@dataclass(frozen=True)
class Alert:
    """One message on its way by one means."""

    alert_id: str
    means: str
    state: AlertState
    subject: str
    text: str
    payload: dict[str, Any]
    changes_qty: int
    attempts: int
    error: str | None
    created_at: datetime
    next_attempt_at: datetime
    sent_at: datetime | None


class Alerts:
    """Messages, sent and to be sent. Safe to use from several processes: two senders never hold the same message."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def queue(
        self, means: Collection[str], *, compose: Callable[[Sequence[Change]], Message], per_hour: int, now: datetime
    ) -> tuple[str, ...]:
        """Make one message per means of all changes that are due; gives their ids.

        When so many were made in the last hour, the changes wait: the message of the next free slot tells them all.
        Without any means there is nobody to tell, and the changes are dropped.
        """
        with self._moving() as connection:
            changes = due_changes(connection, now=now)
            if not changes:
                return ()
            ids = [change.change_id for change in changes]
            if not means:
                mark_changes(connection, ids, "dropped")
                return ()
            made = connection.scalar(
                sa.select(sa.func.count(sa.distinct(alert.c.created_at))).where(
                    alert.c.created_at > now - timedelta(hours=1)
                )
            )
            if (made or 0) >= per_hour:
                return ()
            message = compose(changes)
            rows = [
                {
                    "alert_id": uuid4().hex,
                    "means": one,
                    "state": "pending",
                    "subject": message.subject,
                    "text": message.text,
                    "payload": json.dumps(message.payload),
                    "changes_qty": len(changes),
                    "attempts": 0,
                    "created_at": now,
                    "next_attempt_at": now,
                }
                for one in sorted(means)
            ]
            connection.execute(sa.insert(alert), rows)
            mark_changes(connection, ids, "told")
        return tuple(str(row["alert_id"]) for row in rows)

    def claim(self, means: Collection[str], *, now: datetime, limit: int = 20) -> list[Alert]:
        """Take messages to be sent now, oldest first; nobody else gets them for two minutes. Too old ones are given up."""
        is_due = (alert.c.state == "pending") & (alert.c.next_attempt_at <= now) & alert.c.means.in_(list(means))
        with self._moving() as connection:
            connection.execute(
                sa.update(alert)
                .where(alert.c.state == "pending", alert.c.created_at < now - GIVEN_UP_AFTER)
                .values(state="failed")
            )
            rows = connection.execute(sa.select(alert).where(is_due).order_by(alert.c.created_at).limit(limit))
            found = [_record(dict(row)) for row in rows.mappings()]
            connection.execute(
                sa.update(alert)
                .where(alert.c.alert_id.in_([one.alert_id for one in found]))
                .values(next_attempt_at=now + timedelta(seconds=LEASE_S))
            )
        return found

    def sent(self, alert_id: str, *, now: datetime) -> None:
        """A message is out."""
        self._update(alert_id, state="sent", sent_at=now, error=None, attempts=alert.c.attempts + 1)

    def not_sent(self, one: Alert, *, error: str, now: datetime, was_tried: bool = True) -> None:
        """A message could not be sent: it waits, twice as long each time. One that was not even tried waits for the first time."""
        wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(one.attempts, 20))
        self._update(
            one.alert_id,
            error=error,
            attempts=alert.c.attempts + int(was_tried),
            next_attempt_at=now + timedelta(seconds=wait_s),
        )

    def find(self, *, state: AlertState | None = None, limit: int = 100) -> list[Alert]:
        """Messages, the newest first."""
        statement = sa.select(alert).order_by(alert.c.created_at.desc(), alert.c.alert_id).limit(limit)
        if state is not None:
            statement = statement.where(alert.c.state == state)
        with self._transactions.reading() as connection:
            return [_record(dict(row)) for row in connection.execute(statement).mappings()]

    def _update(self, alert_id: str, **values: Any) -> None:
        with self._transactions.writing() as connection:
            connection.execute(sa.update(alert).where(alert.c.alert_id == alert_id).values(**values))

    @contextmanager
    def _moving(self) -> Iterator[Connection]:
        with self._transactions.writing() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('etalon.alerts'))"))
            yield connection


def _record(row: dict[str, Any]) -> Alert:
    return Alert(**(row | {"payload": json.loads(row["payload"])}))
