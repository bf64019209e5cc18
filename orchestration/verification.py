"""Measured against the truth: every row of every published table that the sandbox's truth file tells, exactly.

Belongs here: comparing. The truth is a plain dictionary, so that tests and the demo use the same function and nothing
here knows the sandbox.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple


class Difference(NamedTuple):
    """One figure that is not the truth's. ``row`` names the row; ``column`` is empty when the whole row is missing or too much."""

    where: str
    row: str
    column: str
    truth: Any
    found: Any


@dataclass(frozen=True)
class Subject:
    """One table compared. ``rows_qty``: rows that the truth tells."""

    name: str
    rows_qty: int
    differences_qty: int


@dataclass(frozen=True)
class Comparison:
    """Everything that was compared, and all that differs."""

    subjects: tuple[Subject, ...]
    differences: tuple[Difference, ...]


def compare_rows(
    where: str,
    keys: Sequence[str],
    truth: Iterable[Mapping[str, Any]],
    found: Iterable[Mapping[str, Any]],
) -> list[Difference]:
    """Differences between two sets of rows with unique ``keys``, in the columns that the truth has. Equality is exact."""
    expected = _by_key(where, keys, truth)
    actual = _by_key(where, keys, found)
    differences = []
    for key in sorted(expected.keys() | actual.keys(), key=str):
        name = " ".join(str(part) for part in key)
        if key not in actual:
            differences.append(Difference(where, name, "", "a row", "no row"))
        elif key not in expected:
            differences.append(Difference(where, name, "", "no row", "a row"))
        else:
            differences += [
                Difference(where, name, column, value, actual[key].get(column))
                for column, value in expected[key].items()
                if value != actual[key].get(column)
            ]
    return differences


def compare_bags(where: str, truth: Iterable[tuple[Any, ...]], found: Iterable[tuple[Any, ...]]) -> list[Difference]:
    """Differences between two collections of rows that have no key: how often each occurs."""
    expected, actual = Counter(truth), Counter(found)
    return [
        Difference(where, " ".join(str(part) for part in row), "occurrences", expected[row], actual[row])
        for row in sorted(expected.keys() | actual.keys(), key=str)
        if expected[row] != actual[row]
    ]


def _by_key(
    where: str, keys: Sequence[str], rows: Iterable[Mapping[str, Any]]
) -> dict[tuple[Any, ...], Mapping[str, Any]]:
    found: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for row in rows:
        key = tuple(row[name] for name in keys)
        if key in found:
            raise ValueError(f"{where}: two rows have the key {key}")
        found[key] = row
    return found
