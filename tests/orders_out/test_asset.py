"""The transmission as an asset, on the project's own retailer: what it shows, and what it does with errors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from assets.orders import order_assets, sending_systems, transmission_keys
from assets.runtime import Runtime
from resources.orders_out import ExportedOrders
from resources.settings import Settings
from resources.sql_project import SqlProject, load_project
from tests.orchestration.small import SMALL_SQL
from tests.orders_out.given import export, kept, line, order
from tests.retailer.declared import TEXT, retailer

KEY = dg.AssetKey(["sync", "erp", "orders"])


@pytest.fixture(scope="module")
def project(sql_project: SqlProject) -> SqlProject:
    return sql_project


@pytest.fixture
def runtime(settings: Settings, project: SqlProject, tmp_path: Path) -> Runtime:
    (tmp_path / "drops" / "to_erp").mkdir(parents=True)
    text = TEXT.replace("${ETALON_DROPS}/to_erp", str(tmp_path / "drops" / "to_erp"))
    return Runtime(settings, retailer(text), project, {})


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


def sent(
    runtime: Runtime, instance: dg.DagsterInstance, exported: ExportedOrders | None
) -> tuple[dg.ExecuteInProcessResult, list[str]]:
    """A run of the transmission alone, and the files in the ERP's folder."""
    if exported is not None:
        kept(runtime.settings.channels_dir, exported)
    (asset,) = (asset for asset in order_assets(runtime) if KEY in asset.keys)
    result = dg.materialize([asset], instance=instance, raise_on_error=False)
    folder = Path(str(sending_systems(runtime)[0].out_folder))
    return result, sorted(path.name for path in folder.glob("*.xml"))


def test_it_tells_what_it_did(runtime: Runtime, instance: dg.DagsterInstance) -> None:
    result, files = sent(runtime, instance, export([order("A"), order("B")], [line("A"), line("B", sku=None)]))
    assert result.success
    assert len(files) == 1
    (event,) = result.asset_materializations_for_node("send_orders_erp")
    told = {name: event.metadata[name].value for name in ("sent", "files", "dagster/row_count")}
    assert told == {"sent": 1, "files": files, "dagster/row_count": 2}
    (check,) = result.get_asset_check_evaluations()
    assert (check.check_name, check.passed, check.severity) == ("none_failed", False, dg.AssetCheckSeverity.WARN)
    again, same = sent(runtime, instance, None)
    assert again.success
    assert same == files


def test_without_an_export_it_says_what_to_do(runtime: Runtime, instance: dg.DagsterInstance) -> None:
    result, files = sent(runtime, instance, None)
    assert not result.success
    assert files == []
    (failed,) = (event for event in result.all_events if event.is_step_failure)
    assert "etalon run" in str(failed.step_failure_data.error)


def test_orders_before_the_change_over_stay(runtime: Runtime, instance: dg.DagsterInstance) -> None:
    since = replace(
        runtime,
        retailer=retailer(
            TEXT.replace(
                'out_folder: "${ETALON_DROPS}/to_erp"',
                f'out_folder: "{sending_systems(runtime)[0].out_folder}", sends_since: "2026-05-18T09:30:00Z"',
            )
        ),
    )
    result, files = sent(since, instance, export([order("A")]))
    assert result.success
    assert files == []


def test_it_is_a_job_apart_and_a_project_without_its_models_has_none(runtime: Runtime) -> None:
    assert transmission_keys(runtime) == [KEY]
    assert order_assets(replace(runtime, project=load_project(SMALL_SQL))) == []
