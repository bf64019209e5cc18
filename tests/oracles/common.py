"""What all oracles share: rounding, local days, and a ledger that adds facts up by period and dimension."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

Row = dict[str, Any]
Tables = Mapping[str, Sequence[Row]]
Key = tuple[str, str, date, str, str]  # measure, period_kind, period_start_on, dimension_kind, dimension_code
Figure = tuple[int, int | None, int | None, int | None]  # numerator, denominator, coverage numerator and denominator
WHOLE = date(1970, 1, 1)


def seconds(instant: datetime) -> int:
    """Whole seconds since 1970."""
    return int(instant.timestamp() // 1)


def half_up(numerator: int, denominator: int) -> int:
    """Rounded half up, in integers; the denominator is positive."""
    return (2 * numerator + denominator) // (2 * denominator)


def index(rows: Iterable[Row], *names: str) -> dict[Any, Row]:
    """Rows by one column, or by a tuple of several."""
    return {row[names[0]] if len(names) == 1 else tuple(row[name] for name in names): row for row in rows}


def local_day(days: Iterable[Row], column: str, code: str | None, instant: datetime | None) -> Row | None:
    """The day row of a place that holds the instant, its start included."""
    if instant is None:
        return None
    for day in days:
        if day[column] == code and day["day_start_at"] <= instant < day["day_end_at"]:
            return day
    return None


def closing_day(days: Iterable[Row], column: str, code: str | None, instant: datetime | None) -> Row | None:
    """The day row of a place that a deadline belongs to: its end included, its start not."""
    if instant is None:
        return None
    for day in days:
        if day[column] == code and day["day_start_at"] < instant <= day["day_end_at"]:
            return day
    return None


def date_of(day: Row | None) -> date | None:
    """The local date of a day row."""
    return None if day is None else day["local_date"]


def threshold(tables: Tables, kpi_code: str) -> Row:
    """The configured thresholds of a KPI."""
    return next(row for row in tables["kpi_threshold"] if row["kpi_code"] == kpi_code)


def as_of(tables: Tables) -> datetime:
    """The run's clock."""
    return tables["run_clock"][0]["as_of_at"]  # type: ignore[no-any-return]


@dataclass
class Ledger:
    """Adds facts up by measure, period and dimension."""

    sums: dict[Key, list[int | None]] = field(default_factory=dict)

    def record(
        self,
        measure: str,
        day: date | None,
        places: Mapping[str, str | None],
        figure: Figure,
        periods: Sequence[str] = ("all", "day", "month"),
    ) -> None:
        """Add one fact. ``places``: dimension -> code, null read as unknown; `all` is added by itself."""
        for period in periods:
            if period != "all" and day is None:
                continue
            start = WHOLE if period == "all" or day is None else day if period == "day" else day.replace(day=1)
            for dimension, code in {"all": "all", **places}.items():
                key = (measure, period, start, dimension, "unknown" if code is None else code)
                known = self.sums.setdefault(key, [None if part is None else 0 for part in figure])
                for position, part in enumerate(figure):
                    if part is not None:
                        known[position] = (known[position] or 0) + part

    def figures(self) -> dict[Key, Figure]:
        """The sums."""
        return {key: (parts[0] or 0, parts[1], parts[2], parts[3]) for key, parts in self.sums.items()}


@dataclass
class Durations:
    """Collects durations with weights, for percentiles."""

    samples: dict[Key, list[int]] = field(default_factory=lambda: defaultdict(list))

    def record(
        self, measure: str, day: date | None, places: Mapping[str, str | None], duration: int, weight: int
    ) -> None:
        """Add one duration, once per unit."""
        for period in ("all", "day", "month"):
            if period != "all" and day is None:
                continue
            start = WHOLE if period == "all" or day is None else day if period == "day" else day.replace(day=1)
            for dimension, code in {"all": "all", **places}.items():
                key = (measure, period, start, dimension, "unknown" if code is None else code)
                self.samples[key].extend([duration] * weight)

    def figures(self, percentiles: Sequence[int]) -> dict[Key, Figure]:
        """Nearest-rank percentiles; the measure is named `<measure>_p<percentile>`."""
        found: dict[Key, Figure] = {}
        for (measure, *rest), sample in self.samples.items():
            ordered = sorted(sample)
            for percentile in percentiles:
                rank = -(-percentile * len(ordered) // 100)
                found[(f"{measure}_p{percentile}", *rest)] = (ordered[rank - 1], None, None, None)  # type: ignore[index]
        return found


@dataclass
class Outcome:
    """What an oracle says of one KPI. ``exclusions``: (dimension kind, code, reason) -> quantity.

    ``tables``: further tables by name, as rows in any order; ``instants`` gives data_as_of_at.
    """

    values: dict[Key, Figure] = field(default_factory=dict)
    exclusions: dict[tuple[str, str, str], int] = field(default_factory=lambda: defaultdict(int))
    work_list: list[Row] = field(default_factory=list)
    tables: dict[str, list[Row]] = field(default_factory=dict)
    instants: list[datetime | None] = field(default_factory=list)

    def exclude(self, reason: str, quantity: int, places: Mapping[str, str | None]) -> None:
        """Count what is left out."""
        for dimension, code in {"all": "all", **places}.items():
            self.exclusions[(dimension, "unknown" if code is None else code, reason)] += quantity

    def data_as_of(self, clock: datetime) -> datetime | None:
        """The latest instant known that is not after the clock."""
        return max((instant for instant in self.instants if instant is not None and instant <= clock), default=None)
