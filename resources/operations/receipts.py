"""Receipts: what a channel answered to each write, what was there before, and what a reading showed after.

Belongs here: the table, its records and the questions asked of it. Receipts are written by the outbox, in the transaction that
settles its rows, so that a write and its receipt cannot part.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from resources.operations.engine import Transactions
from resources.operations.tables import UtcInstant, metadata

Json: TypeAlias = int | bool | str | Mapping[str, "Json"] | None
"""A canonical value as JSON holds it; see `resources.connectors.sdk.writing` for what each attribute holds."""

WriteKey: TypeAlias = tuple[str, str, str, str]
"""(entity, external id, location code or '', attribute) of one value in one system."""

receipt = sa.Table(
    "receipt",
    metadata,
    sa.Column("receipt_id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("outbox_id", sa.BigInteger, nullable=False, index=True),
    sa.Column("key", sa.String(64), nullable=False, comment="idempotency key of the write"),
    sa.Column("target", sa.String(64), nullable=False, comment="system written to"),
    sa.Column("channel_code", sa.String(64), nullable=False),
    sa.Column("origin", sa.String(16), nullable=False, comment="plan, fast_lane, revert"),
    sa.Column("plan_id", sa.String(64), index=True),
    sa.Column("entity", sa.String(64), nullable=False),
    sa.Column("external_id", sa.String(255), nullable=False),
    sa.Column("location_code", sa.String(64), nullable=False),
    sa.Column("attribute", sa.String(64), nullable=False),
    sa.Column("product_id", sa.Text, nullable=False),
    sa.Column("before", sa.Text, nullable=False, comment="what the plan was made on, JSON"),
    sa.Column("after", sa.Text, nullable=False, comment="what was wanted, JSON"),
    sa.Column("found", sa.Text, comment="what was read just before, JSON; null: no such reading"),
    sa.Column("read_back", sa.Text, comment="what was read after, JSON; null: no such reading"),
    sa.Column("outcome", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=False, comment="the channel's own words"),
    sa.Column("request_id", sa.String(128)),
    sa.Column("worker", sa.String(128), nullable=False),
    sa.Column("run_id", sa.String(64), nullable=False, index=True),
    sa.Column("written_at", UtcInstant, nullable=False),
    sa.Index("receipt_by_channel", "channel_code", "written_at"),
    sa.Index("receipt_by_value", "target", "entity", "external_id", "attribute", "location_code"),
)


def json_text(value: Json) -> str:
    """A canonical value as text: the same value is always the same text."""
    if type(value) is int:  # not a bool; a large plan has nothing else
        return str(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def json_value(text: str) -> Json:
    """The canonical value of a text of :func:`json_text`."""
    if text.isdigit() and text.isascii() and (text[0] != "0" or len(text) == 1):
        return int(text)
    value: Json = json.loads(text)
    return value


@dataclass(frozen=True)
class Receipt:
    """What became of one write, once. ``is_found`` and ``is_read_back`` tell a null value from no reading.

    ``outcome``: applied, unchanged, moved, refused, retry, not_kept (see `resources.connectors.sdk.writing`).
    """

    receipt_id: int
    outbox_id: int
    key: str
    target: str
    channel_code: str
    origin: str
    plan_id: str | None
    entity: str
    external_id: str
    location_code: str
    attribute: str
    product_id: str
    before: Json
    after: Json
    found: Json
    is_found: bool
    read_back: Json
    is_read_back: bool
    outcome: str
    reason: str
    request_id: str | None
    worker: str
    run_id: str
    written_at: datetime

    @property
    def value_key(self) -> WriteKey:
        """Which value of the system it is about."""
        return (self.entity, self.external_id, self.location_code, self.attribute)


@dataclass(frozen=True)
class Settled:
    """The last value seen in a system by a write: read back after it, or found where nothing was sent."""

    value: Json
    at: datetime
    origin: str
    outcome: str


class Receipts:
    """Everything that was written, and what came of it."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def of_plan(self, plan_id: str) -> list[Receipt]:
        """Receipts of one plan, oldest first."""
        return self._select(receipt.c.plan_id == plan_id)

    def of_run(self, run_id: str) -> list[Receipt]:
        """Receipts of one run, oldest first."""
        return self._select(receipt.c.run_id == run_id)

    def of_value(self, target: str, key: WriteKey) -> list[Receipt]:
        """The history of one value, oldest first."""
        entity, external_id, location_code, attribute = key
        return self._select(
            receipt.c.target == target,
            receipt.c.entity == entity,
            receipt.c.external_id == external_id,
            receipt.c.attribute == attribute,
            receipt.c.location_code == location_code,
        )

    def since(
        self, since_at: datetime | None = None, *, channel_code: str | None = None, origins: Sequence[str] | None = None
    ) -> list[Receipt]:
        """Receipts written at ``since_at`` or later, oldest first."""
        conditions: list[sa.ColumnElement[bool]] = []
        if since_at is not None:
            conditions.append(receipt.c.written_at >= since_at)
        if channel_code is not None:
            conditions.append(receipt.c.channel_code == channel_code)
        if origins is not None:
            conditions.append(receipt.c.origin.in_(origins))
        return self._select(*conditions)

    def settled_since(
        self, channel_code: str, since_at: datetime | None = None, *, entities: Iterable[str] | None = None
    ) -> dict[WriteKey, Settled]:
        """The last value that writes of ``since_at`` or later saw in the channel, by value.

        It is what an observation older than the write must be replaced by. A write that read nothing (refused before, or no
        answer) says nothing.
        """
        conditions = [
            receipt.c.channel_code == channel_code,
            receipt.c.read_back.is_not(None) | receipt.c.found.is_not(None),
        ]
        if since_at is not None:
            conditions.append(receipt.c.written_at >= since_at)
        if entities is not None:
            conditions.append(receipt.c.entity.in_(list(entities)))
        settled: dict[WriteKey, Settled] = {}
        for row in self._select(*conditions):
            value = row.read_back if row.is_read_back else row.found
            settled[row.value_key] = Settled(value, row.written_at, row.origin, row.outcome)
        return settled

    def reverted(self, channel_code: str) -> dict[WriteKey, Receipt]:
        """Values whose last write was a revert, with its receipt: what stood there ``before`` is what a person took back."""
        of_channel = (receipt.c.channel_code == channel_code) & receipt.c.outcome.in_(("applied", "unchanged"))
        last = (
            sa.select(sa.func.max(receipt.c.receipt_id))
            .where(of_channel)
            .group_by(receipt.c.entity, receipt.c.external_id, receipt.c.location_code, receipt.c.attribute)
        )
        found = self._select(receipt.c.receipt_id.in_(last), receipt.c.origin == "revert")
        return {row.value_key: row for row in found}

    def _select(self, *conditions: sa.ColumnElement[bool]) -> list[Receipt]:
        statement = sa.select(receipt).where(*conditions).order_by(receipt.c.receipt_id)
        with self._transactions.reading() as connection:
            return [_record(row) for row in connection.execute(statement).mappings()]


def add_receipts(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write receipts in the caller's transaction. Values are JSON text already; None where there was no reading."""
    if rows:
        connection.execute(sa.insert(receipt), list(rows))


def _record(row: Mapping[Any, Any]) -> Receipt:
    values = dict(row)
    for name in ("found", "read_back"):
        text = values[name]
        values[f"is_{name}"] = text is not None
        values[name] = None if text is None else json_value(text)
    for name in ("before", "after"):
        values[name] = json_value(values[name])
    return Receipt(**values)
