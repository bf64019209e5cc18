"""Models built on a cluster: what comes back, what a failure leaves, and what is said when the cluster is not what it should be."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import duckdb
import pytest

from resources.errors import ConfigurationError, PermanentError
from resources.given_tables import create_given_tables
from resources.spark.building import ClusterBuilder, clear, take_back
from resources.spark.cluster import connected
from resources.spark.store import Part, Store
from resources.sql_project import SqlProject, load_project
from resources.warehouse.build import ModelFailed

pytestmark = pytest.mark.xdist_group("spark")

STAGING = "select channel_code, cast(length(channel_code) as bigint) as letter_qty from retailer.channel"
KPI = """select
    channel_code,
    row_number() over (order by channel_code) as place,
    cast(letter_qty as double) / 4 as share
from staging.channel"""


def write_model(folder: Path, name: str, sql: str, columns: str, checks: str = "[]") -> None:
    listed = "".join(f"\n  {column}: {{description: Its {column}.}}" for column in columns.split())
    path = folder / f"{name.replace('.', '/')}.sql"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(sql)
    path.with_suffix(".yml").write_text(
        f"description: 'Channels. Grain: one row per channel.'\ncolumns:{listed}\nchecks: {checks}\n"
    )


@pytest.fixture
def project(tmp_path: Path) -> SqlProject:
    folder = tmp_path / "sql"
    short = "[{kind: expression, name: short, sql: letter_qty < 7}, {kind: unique, columns: [channel_code]}]"
    write_model(folder, "staging.channel", STAGING, "channel_code letter_qty", short)
    write_model(folder, "kpis.place", KPI, "channel_code place share")
    return load_project(folder)


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'")
    create_given_tables(connection)
    connection.execute("insert into retailer.channel (channel_code) values ('web-fr'), ('web-be'), ('stores-fr')")
    yield connection
    connection.close()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "shared", str(tmp_path / "shared"), tmp_path / "tables.json")


Opened = Callable[..., AbstractContextManager[ClusterBuilder]]


@pytest.fixture
def opened(con: duckdb.DuckDBPyConnection, store: Store, project: SqlProject, spark_remote: str) -> Opened:
    """Opens a builder of a project, by default the test's own."""

    @contextmanager
    def builder(
        other: SqlProject = project,
        *,
        seen: Store = store,
        is_incremental: bool = False,
        stay: tuple[str, ...] = (),
    ) -> Iterator[ClusterBuilder]:
        with connected(spark_remote) as cluster:
            yield ClusterBuilder(con, cluster, seen, other, is_incremental=is_incremental, stay=stay, patience_s=0.5)

    return builder


def test_models_come_back_with_their_types_and_documentation(
    opened: Opened, con: duckdb.DuckDBPyConnection, project: SqlProject
) -> None:
    with opened() as builder:
        results = [builder.build(model) for model in project.models.values()]
    assert [(result.name, result.rows) for result in results] == [("staging.channel", 3), ("kpis.place", 3)]
    # A number of a row is a smaller whole number there; the type is the one that DuckDB gives.
    assert results[1].columns == {"channel_code": "VARCHAR", "place": "BIGINT", "share": "DOUBLE"}
    assert con.execute("select * from kpis.place order by place").fetchall() == [
        ("stores-fr", 1, 2.25),
        ("web-be", 2, 1.5),
        ("web-fr", 3, 1.5),
    ]
    comments = con.execute(
        """select table_name, column_name, comment from duckdb_columns()
        where schema_name || '.' || table_name in ('staging.channel', 'kpis.place') order by all"""
    ).fetchall()
    assert comments[0] == ("channel", "channel_code", "Its channel_code.")
    assert all(comment for _, _, comment in comments)


def test_a_check_counts_on_the_cluster_and_shows_what_breaks_it(opened: Opened, project: SqlProject) -> None:
    with opened() as builder:
        builder.build(project.models["staging.channel"])
        short, unique = builder.run_checks(project.models["staging.channel"].checks)
    assert (short.failing_qty, short.sample) == (1, ({"channel_code": "stores-fr", "letter_qty": 9},))
    assert unique.is_ok


def test_a_model_that_fails_leaves_what_was_built_before(
    opened: Opened, con: duckdb.DuckDBPyConnection, project: SqlProject, tmp_path: Path
) -> None:
    with opened() as builder:
        for model in project.models.values():
            builder.build(model)
    broken = tmp_path / "broken"
    shutil.copytree(project.folder, broken)
    write_model(
        broken,
        "kpis.place",
        KPI.replace("cast(letter_qty as double) / 4", "cast(channel_code as double)"),
        "channel_code place share",
    )
    with (
        opened(load_project(broken)) as builder,
        pytest.raises(
            ModelFailed, match=r"kpis/place\.sql: model kpis\.place did not run on the cluster: .*[Cc]annot cast"
        ),
    ):
        builder.build(load_project(broken).models["kpis.place"])
    assert con.execute("select count(*) from kpis.place").fetchall() == [(3,)]
    with opened() as builder:
        assert builder.build(project.models["kpis.place"]).rows == 3


def test_a_later_run_reads_what_an_earlier_one_built(
    opened: Opened, con: duckdb.DuckDBPyConnection, project: SqlProject
) -> None:
    with opened() as builder:
        builder.build(project.models["staging.channel"])
    con.execute("insert into retailer.channel (channel_code) values ('new')")
    with opened() as builder:
        assert builder.build(project.models["kpis.place"]).rows == 3
        assert builder.build(project.models["staging.channel"]).rows == 4
        assert builder.build(project.models["kpis.place"]).rows == 4


def built(opened: Opened, project: SqlProject) -> dict[str, str]:
    """Model -> how an incremental run built it."""
    with opened(is_incremental=True) as builder:
        return {model.name: builder.build(model).how for model in project.models.values()}


def test_an_incremental_run_leaves_alone_what_reads_the_same(
    opened: Opened, con: duckdb.DuckDBPyConnection, project: SqlProject
) -> None:
    assert built(opened, project) == {"staging.channel": "whole", "kpis.place": "whole"}
    assert built(opened, project) == {"staging.channel": "left", "kpis.place": "left"}
    con.execute("update retailer.channel set channel_code = 'web-nl' where channel_code = 'web-be'")
    assert built(opened, project) == {"staging.channel": "whole", "kpis.place": "whole"}
    assert con.execute("select count(*) from kpis.place where channel_code = 'web-nl'").fetchall() == [(1,)]


def test_what_was_built_and_not_brought_back_is_brought_back_by_the_next_run(
    opened: Opened, con: duckdb.DuckDBPyConnection, project: SqlProject, store: Store
) -> None:
    """A run killed between the two: the warehouse shows files that the list no longer names."""
    built(opened, project)
    folder = store.new_folder("staging.channel", is_model=True)
    (part,) = store.tables["staging.channel"].values()
    shutil.copytree(store.here / part.folder, store.here / folder)
    store.put("staging.channel", {"all": Part(folder, part.mark, part.rows, is_back=False)})
    with opened(is_incremental=True) as builder:
        assert not (store.here / part.folder).exists()
        assert con.execute("select count(*) from staging.channel").fetchall() == [(3,)]
        assert builder.build(project.models["staging.channel"]).how == "left"


def test_files_that_went_are_built_anew(opened: Opened, project: SqlProject, store: Store) -> None:
    built(opened, project)
    shutil.rmtree(store.here / "models" / "kpis.place")
    assert built(opened, project) == {"staging.channel": "left", "kpis.place": "whole"}


def test_a_model_that_the_warehouse_built_is_brought_to_the_cluster(
    opened: Opened, con: duckdb.DuckDBPyConnection, project: SqlProject
) -> None:
    con.execute(f"create schema staging; create table staging.channel as {STAGING}")
    with opened() as builder:
        assert builder.build(project.models["kpis.place"]).rows == 3


def test_a_model_that_stays_is_no_table_here(
    opened: Opened, con: duckdb.DuckDBPyConnection, project: SqlProject
) -> None:
    with opened(stay=("kpis.place",)) as builder:
        for model in project.models.values():
            builder.build(model)
    assert con.execute("select count(*) from duckdb_tables() where table_name = 'place'").fetchall() == [(0,)]
    assert con.execute("select count(*) from kpis.place").fetchall() == [(3,)]
    with opened(is_incremental=True) as builder:
        assert builder.build(project.models["kpis.place"]).how == "whole"
        assert con.execute("select count(*) from duckdb_tables() where table_name = 'place'").fetchall() == [(1,)]


def test_a_model_that_is_to_stay_and_is_none_is_told(opened: Opened) -> None:
    with (
        pytest.raises(ConfigurationError, match=r"ETALON_SPARK_STAY: no model is called kpis\.plaice"),
        opened(stay=("kpis.plaice",)),
    ):
        pass


def test_a_model_that_nobody_built_is_named(opened: Opened, project: SqlProject) -> None:
    with (
        opened() as builder,
        pytest.raises(PermanentError, match=r"staging\.channel was never built.*etalon run --select"),
    ):
        builder.build(project.models["kpis.place"])


def test_a_model_without_rows_is_an_empty_table(
    opened: Opened, con: duckdb.DuckDBPyConnection, project: SqlProject
) -> None:
    con.execute("delete from retailer.channel")
    with opened() as builder:
        assert [builder.build(model).rows for model in project.models.values()] == [0, 0]
    assert con.execute("select count(share) from kpis.place").fetchall() == [(0,)]


def test_a_folder_that_is_not_the_clusters_is_told_and_nothing_is_lost(
    opened: Opened, con: duckdb.DuckDBPyConnection, project: SqlProject, store: Store, tmp_path: Path
) -> None:
    with opened() as builder:
        builder.build(project.models["staging.channel"])
    # The given table is there: only what the cluster writes lands elsewhere.
    shutil.copytree(store.here, tmp_path / "other")
    apart = Store(store.here, str(tmp_path / "other"), store.list_path)
    with (
        opened(seen=apart) as builder,
        pytest.raises(
            PermanentError, match=r"has 3 rows on the cluster, and 0 are seen here.*ETALON_SPARK_FOLDER_THERE"
        ),
    ):
        builder.build(project.models["staging.channel"])
    assert con.execute("select count(*) from staging.channel").fetchall() == [(3,)]


def test_what_came_back_is_dropped_when_the_warehouse_builds_again(
    opened: Opened, con: duckdb.DuckDBPyConnection, project: SqlProject, store: Store
) -> None:
    with opened() as builder:
        for model in project.models.values():
            builder.build(model)
    take_back(con, store)
    with pytest.raises(duckdb.CatalogException):
        con.execute("select * from staging.channel")
    assert con.execute("select count(*) from kpis.place").fetchall() == [(3,)]
    con.execute(f"create or replace table staging.channel as {STAGING}")
    assert not set(store.tables) & set(project.models)


def test_clearing_leaves_no_file_and_no_view_of_one(
    opened: Opened, con: duckdb.DuckDBPyConnection, project: SqlProject, store: Store
) -> None:
    """What an erasure does: files are never changed in place."""
    with opened() as builder:
        for model in project.models.values():
            builder.build(model)
    # What a killed run left is not in the list.
    (store.here / "models" / "kpis.place" / "left").mkdir()
    assert clear(con, store) == 4
    assert list(store.here.rglob("*.parquet")) == []
    assert con.execute("select view_name from duckdb_views() where not internal").fetchall() == []
    with opened() as builder:
        assert [builder.build(model).rows for model in project.models.values()] == [3, 3]
