"""The pipeline as Dagster runs it: what is materialized, which checks speak, what stops what."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple

import dagster as dg
import duckdb
import pytest

from assets.publication import publication_steps
from orchestration.definitions import build_definitions
from orchestration.in_process import QUIET
from orchestration.jobs import HOURLY_INCREMENTAL
from orchestration.runs import RunSummary, summarise
from resources.report.data import open_published
from resources.settings import Settings
from tests.orchestration.small import CATALOGUE, MemoryConnector, broken_shop, product, refused_product, small_runtime


class Ran(NamedTuple):
    """One run: what it came to, and its events."""

    summary: RunSummary
    result: dg.ExecuteInProcessResult


def run(settings: Settings, **connectors: MemoryConnector) -> Ran:
    """One hourly run without the report, on an instance in memory."""
    runtime = small_runtime(settings, **connectors)
    job = build_definitions(runtime, publications=publication_steps(runtime)[:1]).resolve_job_def(HOURLY_INCREMENTAL)
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance, raise_on_error=False, run_config=QUIET)
        return Ran(summarise(HOURLY_INCREMENTAL, result, instance), result)


def failed_checks(ran: Ran) -> set[tuple[str, str]]:
    return {(check.asset, check.check) for check in ran.summary.failed_checks}


def value(settings: Settings, query: str) -> object:
    with duckdb.connect(str(settings.warehouse_path), read_only=True) as con:
        row = con.execute(query).fetchone()
        return row[0] if row else None


def metadata(ran: Ran, key: str) -> dict[str, object]:
    for event in ran.result.get_asset_materialization_events():
        if event.asset_key == dg.AssetKey.from_user_string(key):
            return {name: entry.value for name, entry in event.materialization.metadata.items()}
    pytest.fail(f"{key} was not materialized")


def test_everything_is_materialized_and_green(settings: Settings) -> None:
    ran = run(settings)
    assert ran.summary.errors == {}
    assert failed_checks(ran) == set()
    assert metadata(ran, "erp/catalogue")["announced"] == 3
    assert metadata(ran, "erp/catalogue")["landed"] == 3
    assert metadata(ran, "canonical/product")["dagster/row_count"] == 3
    assert metadata(ran, "referentials/product")["dagster/row_count"] == 3
    assert metadata(ran, "kpis/kpi_value")["k1b exact %"] == 75.0
    assert "75.00%" in str(metadata(ran, "kpis/kpi_value")["values"])
    with open_published(settings.bi_path) as con:
        assert con.sql("select value from kpis.kpi_value where period_kind = 'all'").fetchall() == [(0.75,)]
        assert con.sql("select count(*) from marts.dim_channel").fetchall() == [(5,)]
        described = "select comment from duckdb_tables() where table_name = 'kpi_value'"
        assert con.sql(described).fetchall() == [("Values. Grain: one row per measure, period and dimension.",)]
    schema = metadata(ran, "referentials/product")["dagster/column_schema"]
    assert isinstance(schema, dg.TableSchema)
    assert {column.name: (column.type, column.description) for column in schema.columns}["weight_g"] == (
        "BIGINT",
        "Weight. Unit: g.",
    )


def test_rows_in_quarantine_warn_and_the_others_go_on(settings: Settings) -> None:
    connector = MemoryConnector("erp", (CATALOGUE,), [product("1"), product("2", weight_g=-5)], [refused_product()])
    ran = run(settings, erp=connector)
    assert ran.summary.errors == {}
    assert failed_checks(ran) == {("canonical/product", "contract")}
    source = metadata(ran, "erp/catalogue")
    assert (source["announced"], source["landed"], source["quarantined"]) == (3, 1, 2)
    assert value(settings, "select count(*) from referentials.product") == 1


def test_an_incomplete_reading_is_red_and_not_loaded(settings: Settings) -> None:
    assert run(settings).summary.errors == {}
    shrunk = MemoryConnector("erp", (CATALOGUE,), [product("1", name="Renamed")], announced_qty=3)
    ran = run(settings, erp=shrunk)
    assert ran.summary.errors == {}, "the run goes on with the last complete data"
    assert failed_checks(ran) == {("erp/catalogue", "complete")}
    assert value(settings, "select count(*) from referentials.product") == 3
    assert value(settings, "select count(*) from referentials.product where name = 'Renamed'") == 0


def test_a_system_that_cannot_be_read_does_not_stop_the_others(settings: Settings) -> None:
    ran = run(settings, shop_fr=MemoryConnector("shop_fr", (), failure=broken_shop()))
    assert ran.summary.errors == {}
    broken = MemoryConnector("erp", (CATALOGUE,), failure=broken_shop())
    ran = run(settings, erp=broken)
    assert ran.summary.errors == {}
    assert failed_checks(ran) == {("erp/catalogue", "complete")}
    assert "the key is refused" in str(metadata(ran, "erp/catalogue")["error"])
    assert value(settings, "select count(*) from referentials.product") == 3


def test_a_blocking_check_stops_what_comes_after(settings: Settings) -> None:
    ran = run(settings, erp=MemoryConnector("erp", (CATALOGUE,), [product("1", weight_g=0)]))
    assert list(ran.summary.errors) == ["build_referentials"]
    assert not ran.summary.is_good
    assert ("referentials/product", "weighs_something") in failed_checks(ran)
    assert "referentials/product" in ran.summary.materialized
    assert "kpis/kpi_value" not in ran.summary.materialized


def test_a_warning_stops_nothing(settings: Settings) -> None:
    ran = run(settings, erp=MemoryConnector("erp", (CATALOGUE,), [product("1"), product("2", sku=None)]))
    assert ran.summary.errors == {}
    assert failed_checks(ran) == {("staging/product", "sku_not_null")}
    assert "no_sku" in str(metadata(ran, "kpis/kpi_exclusion")["left out"])


def test_a_full_reading_that_would_delete_too_much_is_held_and_told(settings: Settings) -> None:
    many = [product(str(number)) for number in range(40)]
    assert run(settings, erp=MemoryConnector("erp", (CATALOGUE,), many)).summary.errors == {}
    an_hour_later = replace(settings, now=settings.clock()() + timedelta(hours=1))
    ran = run(an_hour_later, erp=MemoryConnector("erp", (CATALOGUE,), many[:10]))
    assert ("canonical/product", "deletes") in failed_checks(ran)
    assert value(settings, "select count(*) from referentials.product") == 40
