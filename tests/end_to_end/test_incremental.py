"""A day after the demo's full run: the hourly job leaves every table as a whole build would, and the night finds it so."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from assets.runtime import Runtime, build_runtime
from orchestration.demo import ENV_FILE, DemoOutcome
from orchestration.runs import run_job
from resources.settings import Settings
from tests.incremental.test_equals_whole import differences

LATER = timedelta(days=1)
MODELS = 'group:staging or group:referentials or group:kpis or group:channels or group:marts or group:canonical or key:"*/orders"'


def a_day_later(demo: DemoOutcome, folder: Path, root: Path) -> Runtime:
    """The demo's data, copied, with the clock a day on; its shops and files are those of the demo."""
    data = folder / "data"
    shutil.copytree(demo.folder, data, ignore=shutil.ignore_patterns("sandbox"))
    lines = (demo.folder / ENV_FILE).read_text(encoding="utf-8").splitlines()
    environ = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    now = datetime.fromisoformat(environ["ETALON_NOW"]) + LATER
    return build_runtime(
        Settings.from_environment({**environ, "ETALON_DATA_DIR": str(data), "ETALON_NOW": now.isoformat()}, root)
    )


@pytest.mark.xdist_group("demo")
def test_the_hour_after_leaves_what_the_night_builds(demo: DemoOutcome, tmp_path: Path, project_root: Path) -> None:
    runtime = a_day_later(demo, tmp_path, project_root)
    hour = run_job(runtime, full=False, select=MODELS, publications=())
    assert hour.is_finished, hour.errors
    with runtime.writer("test") as con:
        assert differences(con, runtime.project) == {}
        assert con.execute("select count(*) from increment.audit").fetchall() == [(0,)]
    night = run_job(runtime, full=True, select=MODELS, publications=())
    assert night.is_finished, night.errors
    with duckdb.connect(str(runtime.settings.warehouse_path), read_only=True) as con:
        found = con.execute("select count(*), sum(differing_qty) from increment.audit").fetchall()
    audited, differing = found[0]
    assert audited > 100, "the night compared no tables"
    assert differing == 0
