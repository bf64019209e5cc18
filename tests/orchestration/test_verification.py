"""Comparing with the truth finds what is missing, too much or different, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from orchestration.verification import Difference, compare_bags, compare_rows

TRUTH: list[dict[str, Any]] = [
    {"kpi": "k1", "day": "2026-05-01", "n": 3},
    {"kpi": "k2", "day": "2026-05-01", "n": None},
]
KEYS = ("kpi", "day")


def test_equal_rows_have_no_difference_whatever_else_they_hold() -> None:
    found = [{**row, "value": 0.5} for row in reversed(TRUTH)]
    assert compare_rows("t", KEYS, TRUTH, found) == []


def test_each_kind_of_difference_is_named() -> None:
    found = [{"kpi": "k1", "day": "2026-05-01", "n": 4}, {"kpi": "k3", "day": "2026-05-01", "n": 0}]
    assert compare_rows("t", KEYS, TRUTH, found) == [
        Difference("t", "k1 2026-05-01", "n", 3, 4),
        Difference("t", "k2 2026-05-01", "", "a row", "no row"),
        Difference("t", "k3 2026-05-01", "", "no row", "a row"),
    ]


def test_zero_is_not_null() -> None:
    assert compare_rows("t", KEYS, TRUTH[1:], [{**TRUTH[1], "n": 0}])


def test_two_rows_with_one_key_are_a_mistake_of_the_table() -> None:
    with pytest.raises(ValueError, match="two rows"):
        compare_rows("t", KEYS, TRUTH, [TRUTH[0], TRUTH[0]])


def test_rows_without_a_key_are_counted() -> None:
    assert compare_bags("w", [("a", 1), ("a", 1), ("b", None)], [("b", None), ("a", 1)]) == [
        Difference("w", "a 1", "occurrences", 2, 1)
    ]
