"""Running a job from the command line: on the machine's own instance, whole or in part, on SQLite and on Postgres."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from assets.publication import publication_steps
from assets.runtime import Runtime
from orchestration.instance import open_instance
from orchestration.proof import Proof, prove
from orchestration.runs import RunSummary, run_job
from resources.connectors.files import FilesConnector
from resources.connectors.sdk.feed import load_feeds
from resources.connectors.sdk.stream import AccessCheck
from resources.errors import ConfigurationError
from resources.operations import Operations
from resources.retailer import FilesSystem
from resources.settings import Settings, sqlalchemy_postgres_url
from tests.orchestration.small import CATALOGUE, MemoryConnector, broken_shop, product, refused_product, small_runtime
from tests.retailer.declared import retailer


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


def test_a_right_that_is_missing_hides_no_sample(settings: Settings) -> None:
    """A key that may not write is fine; a missing right and a wrong zone are told, and the samples still shown."""

    @dataclass
    class Checked(MemoryConnector):
        lines: tuple[AccessCheck, ...] = ()

        def check_access(self) -> tuple[AccessCheck, ...]:
            return (AccessCheck("connection", True, "answered"), *self.lines)

    def proof_with(*lines: AccessCheck) -> Proof:
        connector = Checked("erp", (CATALOGUE,), [product("1")], lines=lines)
        return prove(small_runtime(settings, erp=connector), "erp")

    read_only = proof_with(AccessCheck("write", None, "a key that only reads"))
    assert read_only.is_good
    assert [sample.fitting_qty for sample in read_only.samples] == [1]
    wrong_zone = proof_with(AccessCheck("time zone", False, "hours off"))
    assert not wrong_zone.is_good
    assert [sample.fitting_qty for sample in wrong_zone.samples] == [1]


def test_a_feed_without_a_file_yet_can_be_read(settings: Settings, tmp_path: Path) -> None:
    system = retailer().system("counts")
    assert isinstance(system, FilesSystem)

    def proof_of(folder: Path) -> Proof:
        connector = FilesConnector(
            "counts",
            folder,
            [load_feeds()[feed] for feed in system.feeds],
            time_zone=system.time_zone,
            tokeniser=None,
        )
        runtime = small_runtime(settings)
        return prove(replace(runtime, connectors={**runtime.connectors, "counts": connector}), "counts")

    empty = proof_of(tmp_path)
    assert empty.is_good
    assert [line.is_ok for line in empty.access] == [True, *(None for _ in system.feeds)]
    assert [sample.error for sample in empty.samples] == ["" for _ in system.feeds]
    missing = proof_of(tmp_path / "not-mounted")
    assert not missing.is_good
    assert missing.samples == ()
