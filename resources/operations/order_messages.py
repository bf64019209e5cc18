"""Orders that go out to a system as files: each order once, each file numbered, and what became of both.

Belongs here: the two tables, their records and every change of state. What a file holds, and writing it, is `resources.orders_out`.

States of an order: `to_send` (in a file that is being written, or asked for again), `sent` (its file is in the folder, announced),
`acknowledged`, `refused` (by the system, with its reason), `failed` (never sent: it does not hold what the message demands).
States of a file: `reserved` (number and content are kept, nothing is in the folder for sure), `renamed` (whole and under its name),
`announced` (its marker was there: the system may have taken it away since).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from resources.errors import ConfigurationError, PermanentError, Where
from resources.operations.engine import Transactions
from resources.operations.tables import UtcInstant, metadata

OrderState = Literal["to_send", "sent", "acknowledged", "refused", "failed"]
FileState = Literal["reserved", "renamed", "announced"]
RESENDABLE: tuple[OrderState, ...] = ("refused", "failed")
STATION = "etalon"
"""Who changed a state when no person did."""
_CHUNK = 400

order_message = sa.Table(
    "order_message",
    metadata,
    sa.Column("system_code", sa.String(64), primary_key=True, comment="the system that gets the order"),
    sa.Column("channel_code", sa.String(64), primary_key=True),
    sa.Column("order_number", sa.String(255), primary_key=True),
    sa.Column("message", sa.String(64), nullable=False),
    sa.Column("order_id", sa.String(64), nullable=False),
    sa.Column("source_system_code", sa.String(64), nullable=False, comment="the shop that sold it"),
    sa.Column("source_external_id", sa.String(255), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("sequence", sa.BigInteger, comment="number of the last file it went in"),
    sa.Column("file", sa.String(255)),
    sa.Column("payload", sa.Text, nullable=False, comment="the order as it was exported, without personal data"),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, comment="files it went in"),
    sa.Column("ordered_at", UtcInstant, nullable=False),
    sa.Column("first_seen_at", UtcInstant, nullable=False),
    sa.Column("sent_at", UtcInstant),
    sa.Column("answered_at", UtcInstant, comment="when the system says that it booked or refused it"),
    sa.Column("cancelled_at", UtcInstant, comment="cancelled in the shop after it was sent"),
    sa.Column("updated_at", UtcInstant, nullable=False),
    sa.Index("order_message_by_state", "system_code", "state"),
    sa.Index("order_message_by_source", "system_code", "source_system_code", "source_external_id"),
)

order_file = sa.Table(
    "order_file",
    metadata,
    sa.Column("system_code", sa.String(64), primary_key=True),
    sa.Column("message", sa.String(64), primary_key=True),
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("content", sa.LargeBinary, comment="kept until the file is announced"),
    sa.Column("orders_qty", sa.Integer, nullable=False),
    sa.Column("run_id", sa.String(64), nullable=False),
    sa.Column("reserved_at", UtcInstant, nullable=False),
    sa.Column("announced_at", UtcInstant),
)

order_message_event = sa.Table(
    "order_message_event",
    metadata,
    sa.Column("event_id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("system_code", sa.String(64), nullable=False),
    sa.Column("channel_code", sa.String(64), nullable=False),
    sa.Column("order_number", sa.String(255), nullable=False),
    sa.Column("at", UtcInstant, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("by", sa.String(128), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("file", sa.String(255)),
    sa.Index("order_message_event_of", "system_code", "channel_code", "order_number"),
)


@dataclass(frozen=True)
class OrderKey:
    """What an order is known by, in every system: its channel and the number people quote."""

    channel_code: str
    order_number: str


@dataclass(frozen=True)
class NewOrder:
    """An order that is to be sent, or that cannot be. ``payload``: JSON of what was exported, without personal data."""

    key: OrderKey
    order_id: str
    source_system_code: str
    source_external_id: str
    ordered_at: datetime
    payload: str


@dataclass(frozen=True)
class OrderMessage:
    """One order on its way to one system."""

    system_code: str
    channel_code: str
    order_number: str
    message: str
    order_id: str
    source_system_code: str
    source_external_id: str
    state: OrderState
    sequence: int | None
    file: str | None
    payload: str
    reason: str
    attempts: int
    ordered_at: datetime
    first_seen_at: datetime
    sent_at: datetime | None
    answered_at: datetime | None
    cancelled_at: datetime | None
    updated_at: datetime

    @property
    def key(self) -> OrderKey:
        """Channel and number."""
        return OrderKey(self.channel_code, self.order_number)


@dataclass(frozen=True)
class OrderFile:
    """One numbered file. ``content``: its bytes until it is announced."""

    system_code: str
    message: str
    sequence: int
    name: str
    state: FileState
    sha256: str
    content: bytes | None
    orders_qty: int
    run_id: str
    reserved_at: datetime
    announced_at: datetime | None = None


@dataclass(frozen=True)
class OrderEvent:
    """A change of state: when, by whom and why."""

    at: datetime
    state: str
    by: str
    reason: str
    file: str | None


@dataclass(frozen=True)
class Answer:
    """What the system said of an order. ``source_…``: the shop's own id of it, since the number may have changed since."""

    key: OrderKey
    answered_at: datetime
    is_accepted: bool
    reason: str = ""
    source_system_code: str | None = None
    source_external_id: str | None = None


class OrderMessages:
    """Orders sent to systems. One writer per system and message at a time: whoever transmits holds its lock."""

    def __init__(self, transactions: Transactions) -> None:
        self._writing, self._reading = transactions.writing, transactions.reading

    # -- what is known -------------------------------------------------------------------------------------------------

    def get(self, system_code: str, key: OrderKey) -> OrderMessage | None:
        """One order; None when it was never met."""
        with self._reading() as connection:
            row = connection.execute(sa.select(order_message).where(_is(system_code, key))).mappings().first()
        return None if row is None else OrderMessage(**row)

    def known(self, system_code: str, orders: Sequence[NewOrder]) -> dict[OrderKey, OrderMessage]:
        """Those of these orders that were met before, by the key they were asked for with.

        An order is also known by the shop's own id: a marketplace order that was imported under one number and is later told
        under another is the same.
        """
        columns = order_message.c
        found: dict[OrderKey, OrderMessage] = {}
        by_source: dict[tuple[str, str], OrderMessage] = {}
        with self._reading() as connection:
            for part in _chunks(orders):
                statement = sa.select(order_message).where(
                    columns.system_code == system_code,
                    sa.or_(
                        columns.order_number.in_([order.key.order_number for order in part]),
                        columns.source_external_id.in_([order.source_external_id for order in part]),
                    ),
                )
                for row in connection.execute(statement).mappings():
                    known = OrderMessage(**row)
                    found[known.key] = known
                    by_source[known.source_system_code, known.source_external_id] = known
        asked: dict[OrderKey, OrderMessage] = {}
        for order in orders:
            met = found.get(order.key) or by_source.get((order.source_system_code, order.source_external_id))
            if met is not None:
                asked[order.key] = met
        return asked

    def select(
        self,
        *,
        system_code: str | None = None,
        state: str | None = None,
        channel_code: str | None = None,
        order_number: str | None = None,
        limit: int | None = None,
    ) -> list[OrderMessage]:
        """Orders, those that changed last first."""
        columns = order_message.c
        statement = sa.select(order_message).order_by(
            columns.updated_at.desc(), columns.channel_code, columns.order_number
        )
        for column, value in (
            (columns.system_code, system_code),
            (columns.state, state),
            (columns.channel_code, channel_code),
            (columns.order_number, order_number),
        ):
            if value is not None:
                statement = statement.where(column == value)
        if limit is not None:
            statement = statement.limit(limit)
        with self._reading() as connection:
            return [OrderMessage(**row) for row in connection.execute(statement).mappings()]

    def recent(self, *, since_at: datetime) -> list[OrderMessage]:
        """Orders that are not acknowledged, and those that changed since an instant, oldest first."""
        columns = order_message.c
        with self._reading() as connection:
            rows = connection.execute(
                sa.select(order_message)
                .where(sa.or_(columns.state != "acknowledged", columns.updated_at >= since_at))
                .order_by(columns.ordered_at, columns.system_code, columns.channel_code, columns.order_number)
            ).mappings()
            return [OrderMessage(**row) for row in rows]

    def counts(self, system_code: str | None = None) -> dict[tuple[str, str], int]:
        """(system, state) -> orders."""
        columns = order_message.c
        statement = sa.select(columns.system_code, columns.state, sa.func.count()).group_by(
            columns.system_code, columns.state
        )
        if system_code is not None:
            statement = statement.where(columns.system_code == system_code)
        with self._reading() as connection:
            return {(system, state): quantity for system, state, quantity in connection.execute(statement)}

    def history(self, system_code: str, key: OrderKey) -> list[OrderEvent]:
        """Every change of state of an order, oldest first."""
        columns = order_message_event.c
        with self._reading() as connection:
            rows = connection.execute(
                sa.select(columns.at, columns.state, columns.by, columns.reason, columns.file)
                .where(
                    columns.system_code == system_code,
                    columns.channel_code == key.channel_code,
                    columns.order_number == key.order_number,
                )
                .order_by(columns.event_id)
            )
            return [OrderEvent(*row) for row in rows]

    def asked_again(self, system_code: str) -> list[OrderMessage]:
        """Orders that a person wants to be sent again and that are in no unfinished file."""
        columns = order_message.c
        with self._reading() as connection:
            rows = connection.execute(
                sa.select(order_message)
                .where(columns.system_code == system_code, columns.state == "to_send", columns.sequence.is_(None))
                .order_by(columns.ordered_at, columns.channel_code, columns.order_number)
            ).mappings()
            return [OrderMessage(**row) for row in rows]

    # -- files ---------------------------------------------------------------------------------------------------------

    def next_sequence(self, system_code: str, message: str) -> int:
        """The number of the next file; numbers are never used twice."""
        columns = order_file.c
        with self._reading() as connection:
            last = connection.scalar(
                sa.select(sa.func.max(columns.sequence)).where(
                    columns.system_code == system_code, columns.message == message
                )
            )
        return int(last or 0) + 1

    def unfinished_files(self, system_code: str, message: str) -> list[OrderFile]:
        """Files whose writing a crash may have interrupted, by number."""
        columns = order_file.c
        with self._reading() as connection:
            rows = connection.execute(
                sa.select(order_file)
                .where(columns.system_code == system_code, columns.message == message, columns.state != "announced")
                .order_by(columns.sequence)
            ).mappings()
            return [OrderFile(**row) for row in rows]

    def files(self, system_code: str, message: str) -> list[OrderFile]:
        """Every file, by number."""
        columns = order_file.c
        with self._reading() as connection:
            rows = connection.execute(
                sa.select(order_file)
                .where(columns.system_code == system_code, columns.message == message)
                .order_by(columns.sequence)
            ).mappings()
            return [OrderFile(**row) for row in rows]

    def reserve(self, file: OrderFile, orders: Sequence[NewOrder]) -> None:
        """Keep a file's number, content and orders before anything is written: from here on its orders are in no other file.

        Raises PermanentError when one of them is on its way already, and the database's error when the number is taken.
        """
        with self._writing() as connection:
            connection.execute(
                sa.insert(order_file).values(
                    system_code=file.system_code,
                    message=file.message,
                    sequence=file.sequence,
                    name=file.name,
                    state="reserved",
                    sha256=file.sha256,
                    content=file.content,
                    orders_qty=len(orders),
                    run_id=file.run_id,
                    reserved_at=file.reserved_at,
                )
            )
            for order in orders:
                present = (
                    connection.execute(sa.select(order_message).where(_is(file.system_code, order.key)))
                    .mappings()
                    .first()
                )
                if present is not None and not (
                    present["state"] == "failed" or (present["state"] == "to_send" and present["sequence"] is None)
                ):
                    raise PermanentError(
                        f"order {order.key.order_number} of {order.key.channel_code} is {present['state']} already",
                        where=Where(system_code=file.system_code, file=file.name),
                        action="nothing was written; run the transmission again",
                    )
                _put(connection, file.system_code, file.message, order, present, "to_send", "", file.reserved_at, file)

    def mark_renamed(self, file: OrderFile) -> None:
        """The file is whole and under its name; its marker may be written now."""
        with self._writing() as connection:
            connection.execute(sa.update(order_file).where(_is_file(file)).values(state="renamed"))

    def mark_announced(self, file: OrderFile, *, now: datetime) -> None:
        """The file's marker is written: its orders are sent."""
        columns = order_message.c
        mine = sa.and_(
            columns.system_code == file.system_code,
            columns.message == file.message,
            columns.sequence == file.sequence,
            columns.state == "to_send",
        )
        with self._writing() as connection:
            connection.execute(
                sa.update(order_file).where(_is_file(file)).values(state="announced", announced_at=now, content=None)
            )
            keys = [
                OrderKey(*row)
                for row in connection.execute(sa.select(columns.channel_code, columns.order_number).where(mine))
            ]
            connection.execute(
                sa.update(order_message)
                .where(mine)
                .values(state="sent", sent_at=now, updated_at=now, attempts=columns.attempts + 1)
            )
            _note(connection, file.system_code, keys, at=now, state="sent", file=file.name)

    # -- orders --------------------------------------------------------------------------------------------------------

    def fail(
        self, system_code: str, message: str, failures: Sequence[tuple[NewOrder, str]], *, now: datetime
    ) -> list[OrderKey]:
        """Note orders that cannot be sent, with the reason. Gives those whose reason is new."""
        news: list[OrderKey] = []
        with self._writing() as connection:
            for order, reason in failures:
                present = (
                    connection.execute(sa.select(order_message).where(_is(system_code, order.key))).mappings().first()
                )
                if present is not None and present["state"] == "failed" and present["reason"] == reason:
                    continue
                _put(connection, system_code, message, order, present, "failed", reason, now, None)
                news.append(order.key)
        return news

    def answer(self, system_code: str, answers: Sequence[Answer], *, now: datetime) -> dict[str, int]:
        """Let sent orders follow what the system said of them; gives orders by the state they moved to.

        An answer that an order already had (before it was sent again) is not taken for a new one.
        """
        columns = order_message.c
        moved: dict[str, int] = {}
        with self._writing() as connection:
            waiting = [
                OrderMessage(**row)
                for row in connection.execute(
                    sa.select(order_message).where(
                        columns.system_code == system_code, columns.state.in_(("sent", "refused", "failed"))
                    )
                ).mappings()
            ]
            numbers = {
                OrderKey(*row)
                for row in connection.execute(
                    sa.select(columns.channel_code, columns.order_number).where(columns.system_code == system_code)
                )
            }
            by_key = {answer.key: answer for answer in answers}
            by_source = {
                (answer.source_system_code, answer.source_external_id): answer
                for answer in answers
                # An answer is of the order that bears its number; of another one that shares it only by what the shop calls that.
                if answer.source_system_code is not None and answer.key not in numbers
            }
            for order in waiting:
                answer = by_key.get(order.key) or by_source.get((order.source_system_code, order.source_external_id))
                if answer is None or (order.answered_at is not None and answer.answered_at <= order.answered_at):
                    continue
                if order.state == "failed" and not answer.is_accepted:
                    continue  # what was never sent cannot be refused; that the system knows it by other ways can be
                state = "acknowledged" if answer.is_accepted else "refused"
                reason = answer.reason or ("" if answer.is_accepted else "refused without a reason")
                connection.execute(
                    sa.update(order_message)
                    .where(_is(system_code, order.key))
                    .values(state=state, reason=reason, answered_at=answer.answered_at, updated_at=now)
                )
                _note(connection, system_code, [order.key], at=now, state=state, by=system_code, reason=reason)
                moved[state] = moved.get(state, 0) + 1
        return moved

    def cancel(self, system_code: str, cancelled: Mapping[OrderKey, datetime], *, now: datetime) -> list[OrderKey]:
        """Note what the shop cancelled since; gives the orders for which that is news.

        A sent or acknowledged one keeps its state: a person must cancel it in the system. One that was only asked for again is
        not sent any more.
        """
        columns = order_message.c
        news: list[OrderKey] = []
        with self._writing() as connection:
            rows = connection.execute(
                sa.select(order_message).where(columns.system_code == system_code, columns.cancelled_at.is_(None))
            ).mappings()
            for order in [OrderMessage(**row) for row in rows]:
                at = cancelled.get(order.key)
                if at is None:
                    continue
                is_unsent = order.state in ("to_send", "failed") and order.sequence is None
                state = "failed" if is_unsent else order.state
                told = "cancelled in the shop before it was sent" if is_unsent else "cancelled in the shop"
                connection.execute(
                    sa.update(order_message)
                    .where(_is(system_code, order.key))
                    .values(cancelled_at=at, updated_at=now, state=state, **({"reason": told} if is_unsent else {}))
                )
                _note(
                    connection, system_code, [order.key], at=now, state=state, by=order.source_system_code, reason=told
                )
                news.append(order.key)
        return news

    def resend(self, system_code: str, key: OrderKey, *, by: str, reason: str, now: datetime) -> OrderMessage:
        """Ask for an order to be sent again; who and why are kept.

        Raises ConfigurationError for one that is unknown, on its way, booked, or cancelled in the shop.
        """
        where = Where(system_code=system_code, field=f"{key.channel_code} {key.order_number}")
        with self._writing() as connection:
            row = connection.execute(sa.select(order_message).where(_is(system_code, key))).mappings().first()
            if row is None:
                raise ConfigurationError(
                    "this order was never on its way", where=where, action="`etalon orders list` shows those that were"
                )
            order = OrderMessage(**row)
            if order.state not in RESENDABLE or order.cancelled_at is not None:
                state = "cancelled in the shop" if order.cancelled_at is not None else order.state
                raise ConfigurationError(
                    f"this order is {state}; only a refused or failed one is sent again",
                    where=where,
                    action="sending it would book it twice, or for nothing",
                )
            connection.execute(
                sa.update(order_message)
                .where(_is(system_code, key))
                .values(state="to_send", sequence=None, file=None, reason="", updated_at=now)
            )
            _note(connection, system_code, [key], at=now, state="to_send", by=by, reason=reason)
        return order


def _put(
    connection: Connection,
    system_code: str,
    message: str,
    order: NewOrder,
    present: RowMapping | None,
    state: OrderState,
    reason: str,
    now: datetime,
    file: OrderFile | None,
) -> None:
    values: dict[str, object] = {
        "message": message,
        "order_id": order.order_id,
        "source_system_code": order.source_system_code,
        "source_external_id": order.source_external_id,
        "state": state,
        "sequence": None if file is None else file.sequence,
        "file": None if file is None else file.name,
        "payload": order.payload,
        "reason": reason,
        "ordered_at": order.ordered_at,
        "updated_at": now,
    }
    if present is None:
        connection.execute(
            sa.insert(order_message).values(
                system_code=system_code,
                channel_code=order.key.channel_code,
                order_number=order.key.order_number,
                attempts=0,
                first_seen_at=now,
                **values,
            )
        )
    else:
        connection.execute(sa.update(order_message).where(_is(system_code, order.key)).values(**values))
    _note(
        connection,
        system_code,
        [order.key],
        at=now,
        state=state,
        reason=reason,
        file=None if file is None else file.name,
    )


def _note(
    connection: Connection,
    system_code: str,
    keys: Sequence[OrderKey],
    *,
    at: datetime,
    state: str,
    by: str = STATION,
    reason: str = "",
    file: str | None = None,
) -> None:
    if keys:
        connection.execute(
            sa.insert(order_message_event),
            [
                {
                    "system_code": system_code,
                    "channel_code": key.channel_code,
                    "order_number": key.order_number,
                    "at": at,
                    "state": state,
                    "by": by,
                    "reason": reason,
                    "file": file,
                }
                for key in keys
            ],
        )


def _is(system_code: str, key: OrderKey) -> sa.ColumnElement[bool]:
    columns = order_message.c
    return sa.and_(
        columns.system_code == system_code,
        columns.channel_code == key.channel_code,
        columns.order_number == key.order_number,
    )


def _is_file(file: OrderFile) -> sa.ColumnElement[bool]:
    columns = order_file.c
    return sa.and_(
        columns.system_code == file.system_code, columns.message == file.message, columns.sequence == file.sequence
    )


def _chunks(orders: Sequence[NewOrder]) -> Iterator[Sequence[NewOrder]]:
    for start in range(0, len(orders), _CHUNK):
        yield orders[start : start + _CHUNK]
