"""What readings by period have covered of a stream. No query but these, and no change: `store` moves the cursor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from resources.operations import tables as t
from resources.operations.engine import Transactions


@dataclass(frozen=True)
class CoveredPeriod:
    """One complete reading of a period: the days from ``from_at`` (None: the beginning) to before ``to_at``, as of ``watermark_at``."""

    from_at: datetime | None
    to_at: datetime
    watermark_at: datetime


class Periods:
    """Complete readings by period."""

    def __init__(self, transactions: Transactions) -> None:
        self._reading = transactions.reading

    def covered(self, system_code: str, stream: str) -> list[CoveredPeriod]:
        """Every complete reading of a period of a stream."""
        with self._reading() as connection:
            return covered_periods(connection, system_code, stream)


def covered_periods(connection: Connection, system_code: str, stream: str) -> list[CoveredPeriod]:
    """Every complete reading of a period of a stream."""
    columns = t.extract.c
    rows = connection.execute(
        sa.select(columns.period_from_at, columns.period_to_at, columns.watermark_at).where(
            columns.system_code == system_code,
            columns.stream == stream,
            columns.kind == "period",
            columns.outcome == "complete",
        )
    )
    return [CoveredPeriod(*row) for row in rows]


def whole_since(periods: Sequence[CoveredPeriod]) -> datetime | None:
    """The latest instant W of which these readings together stand for one whole reading; None when they do not.

    They do when those with a watermark of W or later cover every day from the beginning until W. What was made before W was then read
    as it was at W or later, and whatever was made or changed after W, a cursor that stands on W shows.
    """
    by_watermark = sorted(periods, key=lambda period: period.watermark_at, reverse=True)
    # With a lower W there are more readings and fewer days to cover, so one search by halves finds the latest.
    low, high = 0, len(by_watermark)
    while low < high:
        middle = (low + high) // 2
        if _reaches(by_watermark[: middle + 1], by_watermark[middle].watermark_at):
            high = middle
        else:
            low = middle + 1
    return by_watermark[low].watermark_at if low < len(by_watermark) else None


def is_covered(periods: Sequence[CoveredPeriod], from_at: datetime | None, to_at: datetime) -> bool:
    """Whether the readings together cover every day from ``from_at`` (None: the beginning) to before ``to_at``, whenever they were made."""
    if from_at is None:
        return _reaches(periods, to_at)
    return _led_to(from_at, [(period.from_at or from_at, period.to_at) for period in periods]) >= to_at


def _reaches(periods: Sequence[CoveredPeriod], instant: datetime) -> bool:
    """Whether the periods cover every day from the beginning until ``instant``."""
    reached = max((period.to_at for period in periods if period.from_at is None), default=None)
    if reached is None:
        return False
    return _led_to(reached, [(one.from_at, one.to_at) for one in periods if one.from_at is not None]) >= instant


def _led_to(start: datetime, spans: Sequence[tuple[datetime, datetime]]) -> datetime:
    """How far one comes from ``start`` over days that follow on each other without a gap."""
    reached = start
    for first, last in sorted(spans):
        if first > reached:
            break
        reached = max(reached, last)
    return reached
