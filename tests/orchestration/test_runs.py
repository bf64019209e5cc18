"""Running a job from the command line: on the machine's own instance, whole or in part, on SQLite and on Postgres."""

from __future__ import annotations

from dataclasses import replace

import pytest

from assets.publication import publication_steps
from assets.runtime import Runtime
from orchestration.instance import open_instance
from orchestration.proof import prove
from orchestration.runs import RunSummary, run_job
from resources.errors import ConfigurationError
from resources.operations import Operations
from resources.settings import Settings, sqlalchemy_postgres_url
from tests.orchestration.small import CATALOGUE, MemoryConnector, broken_shop, product, refused_product, small_runtime


def ran(runtime: Runtime, *, full: bool) -> RunSummary:
    """A run of everything but the report, whose KPIs the small pipeline does not all have."""
    return run_job(runtime, full=full, publications=publication_steps(runtime)[:1])


def test_a_run_is_kept_and_a_selection_runs_nothing_else(settings: Settings) -> None:
    whole = ran(small_runtime(settings), full=True)
    assert whole.errors == {}
    assert whole.is_good
    part = run_job(small_runtime(settings), full=True, select='key:"kpis/*"')
    assert sorted(part.materialized) == ["kpis/kpi_catalog", "kpis/kpi_exclusion", "kpis/kpi_value"]
    with open_instance(settings.dagster_dir, None) as instance:
        runs = instance.get_runs()
        assert [run.run_id for run in runs] == [part.run_id, whole.run_id]
        assert {run.job_name for run in runs} == {"nightly_full"}


def test_full_and_incremental_read_differently(settings: Settings) -> None:
    runtime = small_runtime(settings)
    customers = runtime.connectors["shop_fr"]
    assert isinstance(customers, MemoryConnector)
    for full in (True, False, True):
        assert run_job(runtime, full=full, select="group:sources").errors == {}
    since = [since_at for _, since_at in customers.readings]
    assert since[0] is None
    assert since[1] is not None
    assert since[2] is None


def test_a_selection_of_nothing_is_a_mistake(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="selects no asset"):
        run_job(small_runtime(settings), full=False, select='key:"nowhere"')


@pytest.mark.postgres
def test_the_pipeline_runs_on_postgres(settings: Settings, postgres_url: str) -> None:
    on_postgres = replace(settings, postgres_url=postgres_url, operations_url=sqlalchemy_postgres_url(postgres_url))
    summary = ran(small_runtime(on_postgres), full=True)
    assert summary.errors == {}
    assert summary.is_good
    assert not (settings.dagster_dir / "storage" / "history").exists(), "nothing of it went to SQLite"
    operations = Operations.open(on_postgres.operations_url, data_dir=settings.data_dir)
    assert {manifest.stream for manifest in operations.manifests(run_id=summary.run_id)} == {"catalogue", "customers"}
    operations.close()


def test_the_proof_reads_a_sample_and_keeps_nothing(settings: Settings) -> None:
    connector = MemoryConnector("erp", (CATALOGUE,), [product("1"), product("2", weight_g=-1)], [refused_product()])
    proof = prove(small_runtime(settings, erp=connector), "erp")
    assert proof.is_good
    sample = proof.samples[0]
    assert (sample.announced_qty, sample.read_qty, sample.fitting_qty, sample.refused_qty) == (3, 3, 1, 2)
    assert sample.reasons == ("product.weight_g: number (1)", "product.weight_g: not_negative (1)")
    assert proof.blind_spots == {"catalogue": ("a price that changes within the hour",)}
    assert list(settings.data_dir.iterdir()) == []


def test_the_proof_says_why_a_system_cannot_be_read(settings: Settings) -> None:
    connector = MemoryConnector("erp", (CATALOGUE,), failure=broken_shop())
    proof = prove(small_runtime(settings, erp=connector), "erp")
    assert not proof.is_good
    assert "the key is refused" in proof.access[0].detail
    assert proof.samples == (), "without access every stream would only say the same"
