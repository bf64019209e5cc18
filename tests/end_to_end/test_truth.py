"""The main job against the sandbox's truth: every KPI value, exclusion, work list, quarantined row and file, exactly."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.demo import DemoOutcome, run_demo
from orchestration.verification import Comparison
from tests.end_to_end.conftest import SCALE


def told(comparison: Comparison | None) -> str:
    """The first differences, one a line, for the message of a failed assertion."""
    assert comparison is not None, "the run stopped before it published"
    return "\n".join(map(str, comparison.differences[:20]))


@pytest.mark.xdist_group("demo")
def test_the_demo_equals_its_truth(demo: DemoOutcome) -> None:
    assert demo.is_good, told(demo.comparison)
    assert demo.comparison is not None
    rows = {subject.name: subject.rows_qty for subject in demo.comparison.subjects}
    # A comparison of nothing would be equal too.
    assert all(rows.values()), rows
    assert rows["KPI values"] > 1_000


@pytest.mark.xdist_group("demo")
def test_what_lies_is_told_and_nothing_else_is_red(demo: DemoOutcome) -> None:
    """The sandbox plants three readings that cannot be complete; each is red, and no other check of severity error is."""
    red = {(check.asset, check.check) for check in demo.summary.failed_checks if check.is_error}
    assert red == {
        ("counts/stock_counts", "complete"),  # a file without a column
        ("erp/erp_purchase_orders", "complete"),  # a control total that does not match
        ("shop_be/customers", "complete"),  # a shop that announces more customers than it gives
    }


@pytest.mark.slow
@pytest.mark.parametrize("seed", [11, 23])
def test_other_retailers_equal_their_truth_too(seed: int, tmp_path: Path, project_root: Path) -> None:
    with run_demo(tmp_path / "data", root=project_root, seed=seed, scale=SCALE) as outcome:
        assert outcome.is_good, told(outcome.comparison)
