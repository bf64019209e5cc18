"""How the truth gathers figures, on rows small enough to check by eye, and the identities its figures must keep."""

from __future__ import annotations

from datetime import date

import polars as pl

from sandbox.world import World
from sandbox.world.dice import half_up, net_of
from sandbox.world.truth_rows import exclusions, percentiles, rates


def test_rates_by_period_and_dimension() -> None:
    frame = pl.DataFrame(
        {
            "channel": ["a", "a", None],
            "day": [date(2026, 4, 30), date(2026, 5, 1), None],
            "n": [1, 2, 4],
            "d": [2, 2, 5],
        }
    )
    told = rates(frame, "k", {"m": (pl.col("n"), pl.col("d"))}, dimensions=("all", "channel"), day="day")
    found = {(row[2], str(row[3]), row[5]): row[6:] for row in told.iter_rows()}
    assert found[("all", "1970-01-01", "all")] == (7, 9)
    assert found[("all", "1970-01-01", "unknown")] == (4, 5)
    assert found[("day", "2026-05-01", "a")] == (2, 2)
    assert found[("month", "2026-04-01", "all")] == (1, 2)
    assert len([key for key in found if key[0] == "day"]) == 4


def test_percentiles_are_nearest_rank_weighted_by_units() -> None:
    frame = pl.DataFrame(
        {"channel": ["a"] * 3, "day": [date(2026, 5, 1)] * 3, "seconds": [10, 20, 30], "units": [5, 4, 1]}
    )
    told = percentiles(
        frame, "k", "m", seconds="seconds", weight="units", at=(50, 51, 90, 95), dimensions=("all",), day="day"
    )
    all_time = dict(told.filter(pl.col("period_kind") == "all").select("measure", "numerator").iter_rows())
    assert all_time == {"m_p50": 10, "m_p51": 20, "m_p90": 20, "m_p95": 30}


def test_exclusions_count_weights() -> None:
    frame = pl.DataFrame({"channel": ["a", None, "a"], "reason": ["x", "x", None], "units": [2, 3, 7]})
    told = exclusions(frame, "k", "m", weight=pl.col("units"), dimensions=("all", "channel"))
    assert told.select("dimension_code", "excluded_qty").rows() == [("all", 5), ("a", 2), ("unknown", 3)]


def test_money_rounds_half_up() -> None:
    frame = pl.DataFrame({"gross": [1290, 1290, -1290, 3, 1], "rate": [2000, 550, 2000, 10_000, 10_000]})
    assert frame.select(net_of(pl.col("gross"), pl.col("rate")).alias("net"))["net"].to_list() == [
        1075,
        1223,
        -1075,
        2,
        1,
    ]
    assert pl.select(half_up(pl.lit(5), 2)).item() == 3


def _value(world: World, measure: str, side: str) -> int:
    rows = [
        row
        for row in world.truth["kpi_value"]
        if row["measure"] == measure and row["period_kind"] == "all" and row["dimension_kind"] == "all"
    ]
    found: int = rows[0][side]
    return found


def test_work_lists_add_up_to_the_figures(world: World) -> None:
    lists = world.truth["worklists"]
    assert sum(row["overdue_units"] for row in lists["k2"]) == _value(world, "overdue_units", "numerator")
    assert len(lists["k3b"]) == _value(world, "refunds_overdue", "numerator")
    assert len(lists["k1a"]) == _value(world, "ira_0", "denominator") - _value(world, "ira_0", "numerator")
    at_risk = sum(row["units_at_risk"] for row in lists["k1b"] if row["state"] != "orphan")
    assert at_risk == _value(world, "oversell_units", "numerator") + _value(world, "hidden_units", "numerator")
    wrong = sum(row["observation_qty"] for row in lists["k4"] if row["verdict"] != "ambiguous")
    assert wrong == _value(world, "conformance", "denominator") - _value(world, "conformance", "numerator")


def test_channels_add_up_to_all(world: World) -> None:
    sums: dict[tuple[str, str, str, str], int] = {}
    every: dict[tuple[str, str, str, str], int] = {}
    for row in world.truth["kpi_value"]:
        key = (row["kpi_code"], row["measure"], row["period_kind"], row["period_start_on"])
        if row["dimension_kind"] == "channel" and row["denominator"] is not None:
            sums[key] = sums.get(key, 0) + row["denominator"]
        elif row["dimension_kind"] == "all" and row["denominator"] is not None:
            every[key] = row["denominator"]
    assert sums
    assert {key: every[key] for key in sums} == sums
