"""The seam between a connector that can read one period of a stream and the rest of Étalon: what is asked of it, what it answers.

A period goes by a date that never moves: the day on which the source made the row, or the time in a file's name. So each row lies in
exactly one period, whoever reads it and when, and periods side by side show the same rows as one reading of them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Protocol, runtime_checkable

from resources.connectors.sdk.stream import Reading, SeenFile, Stream


@dataclass(frozen=True)
class Period:
    """Whole days in UTC: made at ``from_at`` or later, and before ``to_at``. ``from_at`` None: from the very beginning.

    Raises ValueError for an instant that is no midnight in UTC, and for a period without a day.
    """

    from_at: datetime | None
    to_at: datetime

    def __post_init__(self) -> None:
        for instant in (self.from_at, self.to_at):
            if instant is not None and (
                instant.tzinfo is None or instant.astimezone(UTC).time() != time(0) or instant.microsecond
            ):
                raise ValueError(f"{instant} is no midnight in UTC")
        if self.from_at is not None and self.from_at >= self.to_at:
            raise ValueError(f"a period from {self.from_at} to {self.to_at} has no day")

    @property
    def label(self) -> str:
        """`20260101-20260201` (the second day is not in it); of one from the beginning `00000000-…`. Part of file names."""
        first = "00000000" if self.from_at is None else f"{self.from_at.astimezone(UTC):%Y%m%d}"
        return f"{first}-{self.to_at.astimezone(UTC):%Y%m%d}"

    def holds(self, instant: datetime) -> bool:
        """Whether an aware instant lies in it."""
        return (self.from_at is None or self.from_at <= instant) and instant < self.to_at

    def __str__(self) -> str:
        first = "the beginning" if self.from_at is None else f"{self.from_at.astimezone(UTC):%Y-%m-%d}"
        return f"from {first} until before {self.to_at.astimezone(UTC):%Y-%m-%d}"


@runtime_checkable
class PeriodConnector(Protocol):
    """A connector that can read some streams by period: those that declare a ``period_field``."""

    def read_period(self, stream: Stream, period: Period, *, seen: Sequence[SeenFile], now: datetime) -> Reading:
        """Read the rows of a stream that lie in a period, as they are now. ``seen``: of a stream of files, those met before.

        The reading is never full: nothing can be told of rows outside of the period. What is announced is the period's.
        """
        ...
