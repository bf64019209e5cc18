"""What is wrong with a declaration is told, each mistake by itself."""

from __future__ import annotations

from typing import Any

import pytest

from resources.sql_increments import Slice, read_increment

REFS, SELECTED = ("staging.a", "staging.b", "meta.run_clock"), ("id", "qty")
RIGHT: dict[str, Any] = {
    "key": "id",
    "slices": [{"rows": "staging.a", "by": "id"}, {"rows": "staging.b", "by": "code", "of": "staging.a"}],
    "clock": [{"rows": "this", "where": "not is_due and due_at <= now_at"}],
}


def mistakes(declared: Any) -> list[str]:
    """What is said of a declaration."""
    found: list[str] = []
    read_increment({"incremental": declared}, REFS, SELECTED, found)
    return found


def test_a_right_one_is_read_with_what_is_short_spelt_out() -> None:
    found: list[str] = []
    increment = read_increment({"incremental": RIGHT}, REFS, SELECTED, found)
    assert found == []
    assert increment is not None
    assert increment.key == ("id",)
    assert increment.slices[1] == Slice("staging.b", ("code",), "staging.a", ("code",))


def test_no_block_is_no_mistake() -> None:
    assert read_increment({}, REFS, SELECTED, []) is None


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"key": "nr"}, "column nr is not selected"),
        ({"keys": "id"}, "unknown key keys"),
        ({"slices": RIGHT["slices"][:1]}, "nothing is said of staging.b"),
        ({"clock": None}, "nothing is said of meta.run_clock"),
        ({"whole": ["staging.c"]}, "staging.c is not read by the model"),
        ({"slices": [{"rows": "staging.a", "by": ["id", "qty"]}, RIGHT["slices"][1]]}, "by has 2 column(s), the key 1"),
        ({"slices": [*reversed(RIGHT["slices"])]}, "no slice before this one is of that table"),
        ({"slices": [{"rows": "staging.a", "by": "id +"}, RIGHT["slices"][1]]}, "is not readable as SQL"),
        ({"clock": [{"rows": "staging.z", "where": "true"}]}, "speaks of staging.z, of which there is no slice"),
        ({"sums": ["qty"]}, "sums are kept of inputs that hold the key themselves"),
        ({"sums": ["qty_all"]}, "column qty_all is not selected"),
        (
            {"sums": ["qty"]},
            "sums are kept of models, whose rows are known as they were before; meta.run_clock is none",
        ),
    ],
)
def test_each_mistake_is_told(changed: dict[str, Any], told: str) -> None:
    assert any(told in mistake for mistake in mistakes({**RIGHT, **changed}))
