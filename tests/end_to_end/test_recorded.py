"""The main job on recorded real shops: every figure of `examples/recorded/expected.yml`; a second run finds nothing new."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from assets.runtime import build_runtime
from orchestration.demo import ENV_FILE, DemoOutcome
from orchestration.recorded import RECORDED_NOW, parse_table, run_recorded
from orchestration.runs import run_job
from resources.contracts.entity import entities
from resources.report.data import open_published
from resources.settings import Settings

pytestmark = pytest.mark.xdist_group("recorded")

ALWAYS_WHOLE = {
    ("prestashop", "combinations"),
    ("prestashop", "prices"),
    ("prestashop", "stock_availables"),
    ("woocommerce", "products"),
    ("woocommerce", "refunds"),
    ("woocommerce", "customers"),
}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, project_root: Path) -> Iterator[DemoOutcome]:
    """The run on the recorded shops, which stay up."""
    with run_recorded(tmp_path_factory.mktemp("recorded") / "data", root=project_root) as outcome:
        yield outcome


def test_every_figure_is_the_one_worked_out_by_hand(recorded: DemoOutcome, project_root: Path) -> None:
    assert recorded.comparison is not None, recorded.summary.errors
    assert not recorded.comparison.differences, "\n".join(map(str, recorded.comparison.differences[:40]))
    expected = yaml.safe_load((project_root / "examples" / "recorded" / "expected.yml").read_text(encoding="utf-8"))
    named = {subject.name: subject.rows_qty for subject in recorded.comparison.subjects}
    # A figure that nobody compared, or an empty table, would be equal too.
    assert set(named) == {"checks", "streams", *(figure["figure"] for figure in expected["figures"])}
    assert all(rows for name, rows in named.items() if name != "checks")


def test_the_run_is_green(recorded: DemoOutcome) -> None:
    assert recorded.summary.is_good, recorded.summary
    assert recorded.summary.checks_qty > 300


def versions(folder: Path) -> dict[str, list[tuple[str, int, bool]]]:
    """Key columns, version and tombstone of every canonical row."""
    with open_published(folder / "warehouse.duckdb") as con:
        return {
            name: sorted(
                con.execute(
                    f"SELECT concat_ws('/', system_code, {', '.join(entity.keys)}), _row_version, _is_deleted FROM canonical.\"{name}\""
                ).fetchall()
            )
            for name, entity in entities().items()
        }


def test_an_hour_later_nothing_is_new_and_no_row_changes(recorded: DemoOutcome, project_root: Path) -> None:
    before = versions(recorded.folder)
    assert sum(map(len, before.values())) > 500
    settings = Settings.from_environment(
        {
            "ETALON_ENV_FILE": str(recorded.folder / ENV_FILE),
            "ETALON_NOW": (RECORDED_NOW + timedelta(hours=1)).isoformat(),
        },
        project_root,
    )
    runtime = build_runtime(settings)
    first = {manifest.extract_id: manifest for manifest in runtime.operations.manifests()}

    summary = run_job(runtime, full=False)

    assert summary.is_good, (summary.errors, [check for check in summary.failed_checks if check.is_error])
    again = {
        (manifest.system_code, manifest.stream): manifest.landed_qty
        for manifest in runtime.operations.manifests()
        if manifest.extract_id not in first
    }
    whole = {(manifest.system_code, manifest.stream): manifest.landed_qty for manifest in first.values()}
    # Streams whose system cannot tell what changed are read whole each time; of the others nothing comes.
    assert again == {stream: landed if stream in ALWAYS_WHOLE else 0 for stream, landed in whole.items()}
    assert versions(recorded.folder) == before


def test_a_table_of_expected_rows_is_read_as_written() -> None:
    columns, rows = parse_table("a | b\n1 |\n  | x y\n")
    assert columns == ("a", "b")
    assert rows == [("1", ""), ("", "x y")]
    with pytest.raises(ValueError, match="2 cells"):
        parse_table("a | b\n1")
