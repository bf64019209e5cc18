"""The graph as a whole: it loads, its keys are the ones we know, and its parts carry what a reader of the UI expects."""

from __future__ import annotations

import dagster as dg
import pytest

from assets.names import KPI_VALUE, WRITER_POOL
from orchestration.definitions import build_definitions
from orchestration.jobs import HOURLY_INCREMENTAL, NIGHTLY_FULL
from resources.settings import Settings
from tests.orchestration.small import small_runtime

SMALL_KEYS = """
erp/catalogue
kpis/kpi_catalog
kpis/kpi_exclusion
kpis/kpi_value
marts/dim_channel
operations/exchanges
operations/incidents
publication/bi
publication/report
referentials/product
retailer
shop_fr/customers
staging/product
""".split()


@pytest.fixture
def definitions(settings: Settings) -> dg.Definitions:
    return build_definitions(small_runtime(settings))


def test_it_loads(definitions: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(definitions)


def test_asset_keys(definitions: dg.Definitions) -> None:
    keys = {key.to_user_string() for key in definitions.resolve_asset_graph().get_all_asset_keys()}
    assert sorted(key for key in keys if not key.startswith("canonical/")) == SMALL_KEYS
    assert "canonical/order_line" in keys


def test_nothing_is_opened_to_define_it(settings: Settings, definitions: dg.Definitions) -> None:
    assert list(settings.data_dir.iterdir()) == []


def test_every_asset_is_described_owned_and_grouped(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for key in graph.executable_asset_keys:
        node = graph.get(key)
        assert node.description, key
        assert node.owners, key
        assert node.kinds, key
        assert node.group_name in {
            "sources",
            "canonical",
            "staging",
            "referentials",
            "kpis",
            "channels",
            "marts",
            "operations",
            "publication",
        }


def test_lineage_leads_from_a_stream_to_the_published_file(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    after = {
        key.to_user_string()
        for key in dg.AssetSelection.assets(dg.AssetKey(["erp", "catalogue"])).downstream().resolve(graph)
    }
    assert {
        "canonical/product",
        "staging/product",
        "referentials/product",
        "kpis/kpi_value",
        "publication/report",
    } <= after


def test_column_lineage_and_schema_are_on_the_definition(definitions: dg.Definitions) -> None:
    metadata = definitions.resolve_asset_graph().get(dg.AssetKey(["referentials", "product"])).metadata
    lineage = metadata["dagster/column_lineage"]
    assert lineage.deps_by_column["product_id"] == [
        dg.TableColumnDep(asset_key=dg.AssetKey(["staging", "product"]), column_name="sku")
    ]
    assert "`staging.product.weight_g`" in metadata["where columns come from"].value


def test_checks_block_when_their_severity_is_error(definitions: dg.Definitions) -> None:
    specs = {
        (spec.key.asset_key.to_user_string(), spec.key.name): spec.blocking
        for assets in definitions.assets or ()
        if isinstance(assets, dg.AssetsDefinition)
        for spec in assets.check_specs
    }
    assert specs["referentials/product", "weighs_something"]
    assert specs["referentials/product", "every_sku_is_a_product"], (
        "a check of its own hangs on the last model it reads"
    )
    assert not specs["staging/product", "sku_not_null"]
    assert not specs["erp/catalogue", "complete"], "an incomplete reading is not loaded, and the run goes on"
    assert not specs["canonical/product", "contract"]


def test_only_steps_that_write_the_warehouse_wait_for_its_writer(definitions: dg.Definitions) -> None:
    pools = {
        assets.op.name: assets.op.pool for assets in definitions.assets or () if isinstance(assets, dg.AssetsDefinition)
    }
    assert {name for name, pool in pools.items() if pool == WRITER_POOL} == {
        "load_canonical",
        "build_staging",
        "build_referentials",
        "build_kpis",
        "build_marts",
        "publish_bi",
    }


def test_kpi_values_have_a_freshness_policy(definitions: dg.Definitions) -> None:
    assert definitions.resolve_asset_graph().get(KPI_VALUE).freshness_policy is not None


def test_jobs_and_schedules(definitions: dg.Definitions) -> None:
    for name in (NIGHTLY_FULL, HOURLY_INCREMENTAL):
        job = definitions.resolve_job_def(name)
        assert job.executor_def.name == "in_process"
        schedule = definitions.resolve_schedule_def(name)
        assert schedule.execution_timezone == "Europe/Paris"
        assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    full = definitions.resolve_job_def(NIGHTLY_FULL).run_config
    assert full is not None
    assert full["ops"]["read_erp"]["config"] == {"full": True}
