"""The register of erasures: who asked for one and when, what it removed. It holds no value and no number of the person."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from resources.operations import tables as t
from resources.operations.engine import Transactions
from resources.operations.tables import UtcInstant, metadata

erasure = sa.Table(
    "erasure",
    metadata,
    sa.Column("erasure_id", sa.String(64), primary_key=True),
    sa.Column("asked_by", sa.String(128), nullable=False),
    sa.Column("started_at", UtcInstant, nullable=False),
    sa.Column(
        "proved_at", UtcInstant, comment="when the search found nothing any more; null: not finished, run it again"
    ),
    sa.Column("removed", sa.Text, nullable=False, comment="what was removed, as JSON: kind -> quantity"),
)


@dataclass(frozen=True)
class ErasureRecord:
    """One erasure. ``proved_at`` None: it did not finish."""

    erasure_id: str
    asked_by: str
    started_at: datetime
    proved_at: datetime | None
    removed: Mapping[str, int]


class Erasures:
    """The register, and the change that an erasure makes to quarantine."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def begin(self, erasure_id: str, *, asked_by: str, now: datetime) -> None:
        """Note that an erasure starts."""
        with self._transactions.writing() as connection:
            connection.execute(
                sa.insert(erasure).values(erasure_id=erasure_id, asked_by=asked_by, started_at=now, removed="{}")
            )

    def finish(self, erasure_id: str, *, removed: Mapping[str, int], proved_at: datetime | None) -> None:
        """Note what it removed, and that it is proved."""
        with self._transactions.writing() as connection:
            connection.execute(
                sa.update(erasure)
                .where(erasure.c.erasure_id == erasure_id)
                .values(removed=json.dumps(dict(removed), sort_keys=True), proved_at=proved_at)
            )

    def all(self) -> list[ErasureRecord]:
        """Every erasure, oldest first."""
        with self._transactions.reading() as connection:
            rows = connection.execute(sa.select(erasure).order_by(erasure.c.started_at)).mappings().all()
        return [ErasureRecord(**{**row, "removed": json.loads(row["removed"])}) for row in rows]

    def empty_quarantined(self, quarantine_id: int, *, raw: bytes, now: datetime) -> None:
        """Take the payload out of one quarantined row: it stays listed and can no longer be replayed."""
        with self._transactions.writing() as connection:
            connection.execute(
                sa.update(t.quarantine)
                .where(t.quarantine.c.quarantine_id == quarantine_id)
                .values(raw=raw, context="", is_sealed=False, status="erased", resolved_at=now)
            )
