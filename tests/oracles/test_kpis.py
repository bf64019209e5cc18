"""The SQL models and the naive oracles say the same of small random retailers: values, exclusions, work lists, row by row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import duckdb
import pytest
import sqlglot
from sqlglot import ErrorLevel, exp

from tests.oracles import k1a, k1b, k2, k3a, k3b, k4
from tests.oracles.common import Outcome, Row, Tables, as_of, threshold
from tests.oracles.models import project, rows_of, run_kpis
from tests.oracles.worlds import make_tables

SEEDS = range(20)
ORACLES: dict[str, Callable[[Tables], Outcome]] = {
    "k1a": k1a.outcome,
    "k1b": k1b.outcome,
    "k2": k2.outcome,
    "k3a": k3a.outcome,
    "k3b": k3b.outcome,
    "k4": k4.outcome,
}
WORK_LIST_COLUMNS = {
    "k1a": "location_code product_id sku count_external_id counted_at counted_qty book_qty variance_qty",
    "k1b": "channel_code product_external_id product_id sku state kind published_qty expected_qty units_at_risk "
    "value_at_risk_minor proof",
    "k2": "channel_code order_number location_code promised_ship_by_at overdue_units overdue_hours age_bucket",
    "k3a": "return_external_id line_number sku quantity receiving_location_code received_at order_number",
    "k3b": "return_external_id channel_code order_number requested_at received_at refund_due_at overdue_days units",
    "k4": "channel_code location_code product_external_id product_id sku verdict direction expected_minor observed_minor "
    "difference_minor observation_qty observed_at value_at_risk_minor",
}
FURTHER_TABLES = {
    "k1b_listing": "channel_code product_external_id product_id state kind exclusion_reason",
    "k2_unit_group": "order_id line_id part_kind shipment_id shipment_line_number units location_code carrier_code "
    "part_status stratum promised_ship_by_at promised_on done_at exclusion_reason is_on_time",
    "k3a_cohort_day": "shipped_on channel_code shipped_units returned_units shipped_net_minor returned_net_minor is_mature",
    "k3a_reason": "reason_code units",
    "k3a_top_product": "product_id sku returned_units shipped_units",
    "k3a_workload": "receiving_location_code month_start_on units",
    "k3b_return": "return_external_id channel_code units refund_initiated_at refund_due_at due_on exclusion_reason is_on_time",
    "k4_observation": "origin channel_code product_external_id order_id line_id observed_on exclusion_reason verdict direction",
}


def _comparable(rows: Iterable[Row], names: str) -> Counter[tuple[Any, ...]]:
    def plain(value: Any) -> Any:
        return value.astimezone(UTC) if isinstance(value, datetime) else value

    return Counter(tuple(plain(row[name]) for name in names.split()) for row in rows)


def _same(what: str, found: Counter[Any], expected: Counter[Any]) -> None:
    extra, missing = found - expected, expected - found
    if extra or missing:
        pytest.fail(f"{what}\nSQL only: {list(extra)[:8]}\noracle only: {list(missing)[:8]}")


def _values(kpi_code: str, outcome: Outcome, tables: Tables) -> Counter[Any]:
    minimum = threshold(tables, kpi_code)["minimum_coverage_pct"]
    known_at = outcome.data_as_of(as_of(tables))
    rows: Counter[Any] = Counter()
    for key, (numerator, denominator, covered, coverable) in outcome.values.items():
        reason = None
        if denominator == 0:
            reason = "no_observation"
        elif covered is not None and coverable is not None and covered * 100 < minimum * coverable:
            reason = "low_coverage"
        value = None if reason else float(numerator) if denominator is None else numerator / denominator
        rows[(*key, numerator, denominator, covered, coverable, reason, value, known_at)] += 1
    return rows


@pytest.fixture(scope="module", params=SEEDS)
def world(request: pytest.FixtureRequest) -> tuple[dict[str, list[Row]], duckdb.DuckDBPyConnection]:
    """Random tables, and the models built on them."""
    tables = make_tables(request.param)
    return tables, run_kpis(tables)


def test_models_equal_oracles(world: tuple[dict[str, list[Row]], duckdb.DuckDBPyConnection]) -> None:
    tables, con = world
    for kpi_code, oracle in ORACLES.items():
        outcome = oracle(tables)
        for name, rows in outcome.tables.items():
            columns = FURTHER_TABLES[name]
            _same(name, _comparable(rows_of(con, f"select * from kpis.{name}"), columns), _comparable(rows, columns))
        names = (
            "measure period_kind period_start_on dimension_kind dimension_code numerator denominator coverage_numerator"
        )
        names += " coverage_denominator not_measurable_reason value data_as_of_at"
        found = rows_of(con, f"select * from kpis.kpi_value where kpi_code = '{kpi_code}'")
        _same(f"{kpi_code} values", _comparable(found, names), _values(kpi_code, outcome, tables))
        excluded = rows_of(con, f"select * from kpis.kpi_exclusion where kpi_code = '{kpi_code}'")
        _same(
            f"{kpi_code} exclusions",
            _comparable(excluded, "dimension_kind dimension_code reason excluded_qty"),
            Counter((*key, quantity) for key, quantity in outcome.exclusions.items()),
        )
        work = rows_of(con, f"select * from kpis.{kpi_code}_worklist order by work_rank")
        columns = WORK_LIST_COLUMNS[kpi_code]
        _same(f"{kpi_code} work list", _comparable(work, columns), _comparable(outcome.work_list, columns))
        _in_the_same_order(kpi_code, work, outcome.work_list)


def _in_the_same_order(kpi_code: str, work: Sequence[Row], expected: Sequence[Row]) -> None:
    """Worst first; ties in any order, so only what the list is ordered by is compared."""
    ordered_by: dict[str, Callable[[Row], Any]] = {
        "k1a": lambda row: abs(row["variance_qty"]),
        "k1b": lambda row: (row["value_at_risk_minor"] or 0, row["units_at_risk"]),
        "k2": lambda row: row["promised_ship_by_at"],
        "k3a": lambda row: row["received_at"],
        "k3b": lambda row: row["refund_due_at"],
        "k4": lambda row: row["value_at_risk_minor"] or 0,
    }
    key = ordered_by[kpi_code]
    assert [key(row) for row in work] == [key(row) for row in expected], f"{kpi_code} work list order"


def test_checks_hold(world: tuple[dict[str, list[Row]], duckdb.DuckDBPyConnection]) -> None:
    _, con = world
    for check in project().all_checks(["kpis"]):
        if check.severity == "error":
            assert rows_of(con, check.query) == [], check.name


def test_every_reason_and_state_is_met() -> None:
    """The random worlds are nasty enough: no exclusion, verdict or state of the definitions stays untried."""
    met: set[tuple[str, Any]] = set()
    for seed in range(80):
        tables = make_tables(seed)
        for kpi_code, oracle in ORACLES.items():
            outcome = oracle(tables)
            met |= {(kpi_code, reason) for _, _, reason in outcome.exclusions}
            for rows in outcome.tables.values():
                met |= {
                    (kpi_code, row[name]) for row in rows for name in ("state", "verdict", "part_status") if name in row
                }
    expected = {
        "k1a": "unknown_location unknown_product not_stock_tracked no_book count_on_suspicion",
        "k1b": "orphan service gift_card not_stock_tracked not_managed_on_channel inactive_product not_listed "
        "no_stock_record kit_without_components stale in_flight ok wrong missing",
        "k2": "service gift_card fulfilled_by_other payment_failed not_payable refunded_before_shipping "
        "cancelled_by_customer no_handover_record no_calendar not_due done preparing open cancelled",
        "k3a": "orphan undeliverable not_received more_than_shipped refund_only",
        "k3b": "exchange store_credit none no_request_date deferred not_due",
        "k4": "orphan not_published no_observed_price no_expected_price currency_mismatch ambiguous stale in_flight ok "
        "promotion_late promotion_missing promotion_leaked wrong_depth overcharge undercharge",
    }
    untried = {(code, word) for code, words in expected.items() for word in words.split()} - met
    assert not untried


def test_versions_agree() -> None:
    """kpis.kpi_version is the one place; what the documentation of a model says must be the same."""
    con = run_kpis(make_tables(0))
    versions = dict(con.execute("select kpi_code, kpi_version from kpis.kpi_version").fetchall())
    for model in project().select(["kpis"]):
        if model.kpi_version is not None:
            code = model.name.split(".")[1].split("_")[0]
            assert model.kpi_version == versions[code], f"{model.path.with_suffix('.yml')}: kpi_version"


def test_nothing_from_nothing() -> None:
    """Empty tables give no row at all, and no error."""
    con = run_kpis({"run_clock": make_tables(0)["run_clock"]})
    assert rows_of(con, "select * from kpis.kpi_value") == []
    assert rows_of(con, "select * from kpis.kpi_exclusion") == []


def test_earlier_snapshots_are_kept() -> None:
    """K1b's days of earlier runs stay; those of today's snapshot are the new ones."""
    tables = make_tables(1)
    con = run_kpis(tables)
    today = rows_of(con, "select * from kpis.k1b_value_day")
    day = today[0]["period_start_on"]
    earlier = [{**row, "period_start_on": day.replace(year=2025), "numerator": 1} for row in today]
    again = [{**row, "numerator": 999_999} for row in today]
    con = run_kpis({**tables, "k1b_history": earlier + again})
    kept = rows_of(con, "select * from kpis.kpi_value where kpi_code = 'k1b' and period_kind = 'day'")
    names = " ".join(today[0])
    _same("history", _comparable(kept, names), _comparable(today + earlier, names))


def test_models_are_portable() -> None:
    """Every KPI model and check can be said in Spark's SQL, and uses none of the functions that only DuckDB has."""
    for model in project().select(["kpis"]):
        spark = sqlglot.transpile(model.sql, read="duckdb", write="spark", unsupported_level=ErrorLevel.RAISE)[0]
        unknown = {call.name.lower() for call in sqlglot.parse_one(spark, read="spark").find_all(exp.Anonymous)}
        assert not unknown, f"{model.path}: {unknown} is no function of Spark's that sqlglot knows"
