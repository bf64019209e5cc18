"""A run killed while a cluster builds for it, and a cluster that dies under a run: what was there is whole, and run again all is well."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from resources.given_tables import create_given_tables
from resources.spark.building import ClusterBuilder
from resources.spark.cluster import ClusterGone, connected
from resources.spark.store import Store
from resources.sql_project import SqlProject, load_project
from tests.spark.test_building import KPI, STAGING, write_model
from tests.spark_server import sail_process

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.xdist_group("spark")

RUN = """
import os, signal, sys
from pathlib import Path
import duckdb
from resources.spark import building
from resources.spark.cluster import connected
from resources.spark.store import Store
from resources.sql_project import load_project

folder, remote, dies_at = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
project = load_project(folder / "sql")
store = Store(folder / "shared", str(folder / "shared"), folder / "tables.json")

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

with duckdb.connect(str(folder / "warehouse.duckdb")) as con, connected(remote) as cluster:
    con.execute("set TimeZone = 'UTC'")
    builder = building.ClusterBuilder(con, cluster, store, project)
    builder.build(project.models["staging.channel"])
    if dies_at == "written":
        store.put = die
    elif dies_at == "listed":
        building.create_schema = die
    elif dies_at == "brought back":
        building.structs.replace = die
    builder.build(project.models["kpis.place"])
"""
"""Builds two models; dies in the second, once its files are written, once they are listed, or once the warehouse shows them."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two models, and a warehouse of three channels."""
    write_model(tmp_path / "sql", "staging.channel", STAGING, "channel_code letter_qty")
    write_model(tmp_path / "sql", "kpis.place", KPI, "channel_code place share")
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as con:
        con.execute("set TimeZone = 'UTC'")
        create_given_tables(con)
        con.execute("insert into retailer.channel (channel_code) values ('web-fr'), ('web-be'), ('stores-fr')")
    return tmp_path


def store_of(folder: Path) -> Store:
    return Store(folder / "shared", str(folder / "shared"), folder / "tables.json")


def build(folder: Path, remote: str) -> dict[str, int]:
    """A run that nobody disturbs; gives what the warehouse then has."""
    project: SqlProject = load_project(folder / "sql")
    with duckdb.connect(str(folder / "warehouse.duckdb")) as con, connected(remote) as cluster:
        con.execute("set TimeZone = 'UTC'")
        builder = ClusterBuilder(con, cluster, store_of(folder), project)
        for model in project.models.values():
            builder.build(model)
        return {name: con.execute(f"select count(*) from {name}").fetchall()[0][0] for name in project.models}


@pytest.mark.parametrize("dies_at", ["written", "listed", "brought back"])
def test_a_run_killed_while_a_cluster_builds_and_run_again(folder: Path, spark_remote: str, dies_at: str) -> None:
    assert build(folder, spark_remote) == {"staging.channel": 3, "kpis.place": 3}
    with duckdb.connect(str(folder / "warehouse.duckdb")) as con:
        con.execute("insert into retailer.channel (channel_code) values ('web-nl')")
    (folder / "run.py").write_text(RUN)  # the client looks at the file of the program it is in
    command = [sys.executable, str(folder / "run.py"), str(folder), spark_remote, dies_at]
    killed = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    assert killed.returncode == -signal.SIGKILL
    # Whoever reads before the next run sees the table of before or the one of after.
    with duckdb.connect(str(folder / "warehouse.duckdb")) as con:
        assert con.execute("select count(*) from staging.channel").fetchall() == [(4,)]
        assert con.execute("select count(*) from kpis.place").fetchall() in ([(3,)], [(4,)])
    assert build(folder, spark_remote) == {"staging.channel": 4, "kpis.place": 4}
    left = store_of(folder)
    assert left.sweep() == 2  # the run before the last; nothing of the killed one is left
    assert {path.parent.parent.name for path in left.here.rglob("*.parquet")} == {
        "retailer.channel",
        "staging.channel",
        "kpis.place",
    }


@pytest.mark.filterwarnings("ignore:.RETRIES_EXCEEDED")
def test_a_cluster_that_dies_under_a_run_may_be_asked_again(
    folder: Path, spark_remote: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resources.spark.cluster.RETRIES", 2)
    build(folder, spark_remote)
    project = load_project(folder / "sql")
    with (
        sail_process(folder) as (remote, server),
        duckdb.connect(str(folder / "warehouse.duckdb")) as con,
        connected(remote) as cluster,
    ):
        builder = ClusterBuilder(con, cluster, store_of(folder), project)
        builder.build(project.models["staging.channel"])
        os.kill(server.pid, signal.SIGKILL)
        with pytest.raises(ClusterGone, match="no longer answers"):
            builder.build(project.models["kpis.place"])
        assert con.execute("select count(*) from kpis.place").fetchall() == [(3,)]
    assert build(folder, spark_remote) == {"staging.channel": 3, "kpis.place": 3}
