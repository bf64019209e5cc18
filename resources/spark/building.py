"""Builds models on the cluster and runs their checks there; what readers and exports need comes back to the warehouse.

A model is one query: its rows become Parquet files in the shared folder, then a view of the session for the models after it.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal

import duckdb
from msgspec import structs

from resources.errors import ConfigurationError, PermanentError, Where
from resources.given_tables import given_tables, quoted
from resources.spark.cluster import Cluster, ClusterError
from resources.spark.dialect import spark_sql, view_name
from resources.spark.exporting import ALL, export_given, export_model, write_nothing
from resources.spark.store import Part, Store
from resources.spark.types import model_schemas
from resources.sql_project import Check, SqlModel, SqlProject
from resources.warehouse import changes
from resources.warehouse.aftercare import KPI_VALUES, comment_on, create_schema, keep_history
from resources.warehouse.build import ModelFailed, ModelResult
from resources.warehouse.checking import SAMPLE_ROWS, CheckResult
from resources.warehouse.publish import literal

REVISION = 1
"""Grows when a model that an earlier release built must be built again though its query is the same."""

SEEN_WITHIN_S = 30.0
"""Shared folders (NFS, mounted object stores) show a new file within seconds."""

MART_SCHEMA, MART_DATABASE = "marts", "mart"
COPIED_SCHEMAS = ("kpis", "channels", "marts")
"""Schemas whose tables come back as tables. Those of the others are views of the files: exports read a few columns of them."""


class ClusterBuilder:
    """Builds in one session of the cluster and one writer session of the warehouse."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        cluster: Cluster,
        store: Store,
        project: SqlProject,
        *,
        is_incremental: bool = False,
        stay: Collection[str] = (),
        patience_s: float = SEEN_WITHIN_S,
    ) -> None:
        """``is_incremental``: leave models alone whose query and inputs are those of their last build.

        ``stay``: models that are not copied back, for they would outgrow this machine. ``patience_s``: how long files that the cluster
        wrote may take to show here. Raises ConfigurationError when a model that is to stay is unknown.
        """
        unknown = sorted(set(stay) - project.models.keys())
        if unknown:
            raise ConfigurationError(
                f"no model is called {', '.join(unknown)}",
                where=Where(field="ETALON_SPARK_STAY"),
                action="name models like kpis.k2_unit_group, with commas between them",
            )
        self._stay = frozenset(stay)
        self.con = con
        self._cluster, self._store, self._schemas = cluster, store, model_schemas(project)
        self._is_incremental, self._patience_s = is_incremental, patience_s
        self._shown: set[str] = set()
        self._provided: set[str] = set()
        for model in project.models.values():
            # A run was stopped between the two: the warehouse still shows files that are about to be swept.
            if model.name in store.tables and not store.tables[model.name][ALL].is_back:
                self._bring_back(model)
        store.sweep()
        # What is built by the side of the warehouse leaves no log of changes: should it build again, it begins with whole tables.
        changes.forget(con)

    def build(self, model: SqlModel) -> ModelResult:
        """Replace one model's table on the cluster, and here what is read here. Raises ModelFailed."""
        started = time.monotonic()
        columns = dict(self._schemas[model.name])
        self._provide(model.refs)
        mark = self._mark(model)
        last = self._store.tables.get(model.name, {}).get(ALL)
        if self._is_incremental and last is not None and last.mark == mark and self._is_whole(model, last):
            return ModelResult(
                model.name, last.rows, time.monotonic() - started, columns, how="left", changed_rows_qty=0
            )
        folder = self._store.new_folder(model.name, is_model=True)
        target = self._store.here / folder
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._show(model.refs)
            rows = self._cluster.write(spark_sql(model.sql), f"{self._store.there}/{folder}", columns, name=model.name)
            if not rows and not any(target.glob("*.parquet")):
                write_nothing(self.con, target, columns)
        except (ClusterError, duckdb.Error) as error:
            raise ModelFailed(
                f"model {model.name} did not run on the cluster: {error}",
                where=Where(file=str(model.path)),
                action="correct its query",
            ) from error
        self._must_be_seen(model, target, rows)
        self._store.put(model.name, {ALL: Part(folder, mark, rows, is_back=False)})
        self._shown.discard(model.name)
        self._bring_back(model)
        return ModelResult(model.name, rows, time.monotonic() - started, columns)

    def _mark(self, model: SqlModel) -> str:
        """What a model's rows are made from: its query, and the marks of what it reads."""
        read = {
            ref: sorted((period, part.mark) for period, part in self._store.tables[ref].items()) for ref in model.refs
        }
        told = (REVISION, model.sql, model.description, sorted(model.columns.items()), sorted(read.items()))
        return hashlib.sha256(repr(told).encode()).hexdigest()

    def _is_whole(self, model: SqlModel, part: Part) -> bool:
        """Whether its files are all there, and the warehouse has it: either may have been taken from a backup."""
        target = self._store.here / part.folder
        return [kind for _, kind in _found(self.con, model)] == [
            kind for kind in [self._kind(model)] if kind
        ] and self._seen(target, str(target / "*.parquet")) == part.rows

    def run_checks(self, checks: Sequence[Check]) -> list[CheckResult]:
        """The outcome of each check, in their order: counted all at once, samples of those that do not hold."""
        if not checks:
            return []
        self._show({ref for check in checks for ref in check.refs})
        counting = "\nunion all\n".join(
            f"select {number} as check_number, count(*) as failing_qty from (\n{spark_sql(check.query)}\n) as offending"
            for number, check in enumerate(checks)
        )
        try:
            counted = {int(row["check_number"]): int(row["failing_qty"]) for row in self._cluster.rows(counting)}
        except ClusterError as error:
            raise PermanentError(
                f"checks {', '.join(check.name for check in checks)} did not run on the cluster: {error}",
                where=Where(file=str(checks[0].path)),
                action="correct their queries",
            ) from error
        return [
            CheckResult(check, counted[number], self._sample(check, counted[number]))
            for number, check in enumerate(checks)
        ]

    def _sample(self, check: Check, failing_qty: int) -> tuple[dict[str, object], ...]:
        if not failing_qty:
            return ()
        query = f"select * from (\n{spark_sql(check.query)}\n) as offending limit {SAMPLE_ROWS}"
        return tuple(self._cluster.rows(query))

    def _provide(self, tables: Collection[str]) -> None:
        """Bring tables to the store: given ones as the warehouse has them now, models that the warehouse built last."""
        given = given_tables()
        missing = set(tables) - self._provided
        export_given(self.con, self._store, [table for table in missing if table in given])
        for table in sorted(missing - given.keys() - self._store.tables.keys()):
            self._export_built_here(table, self._schemas[table])
        self._provided |= missing

    def _show(self, tables: Collection[str]) -> None:
        """Make tables readable in the session, models as they were built last."""
        self._provide(tables)
        given = given_tables()
        for table in sorted(set(tables) - self._shown):
            columns = given[table] if table in given else self._schemas[table]
            self._cluster.show(view_name(table), self._store.paths_there(table), columns)
            self._shown.add(table)

    def _export_built_here(self, table: str, columns: Mapping[str, str]) -> None:
        """A model that this run does not build, and that the warehouse built last."""
        try:
            export_model(self.con, self._store, table, columns)
        except duckdb.CatalogException as error:
            raise PermanentError(
                f"model {table} was never built",
                action=f"build it first, for example with `etalon run --select '+key:\"{table.replace('.', '/')}\"'`",
            ) from error

    def _must_be_seen(self, model: SqlModel, target: Path, rows: int) -> None:
        """What the cluster wrote is all seen here before anybody relies on it: shared folders show new files late, and wrong ones never."""
        files, deadline = str(target / "*.parquet"), time.monotonic() + self._patience_s
        while (seen := self._seen(target, files)) != rows:
            if time.monotonic() > deadline:
                raise PermanentError(
                    f"model {model.name} has {rows} rows on the cluster, and {seen} are seen here",
                    where=Where(file=files, field="ETALON_SPARK_FOLDER"),
                    action="ETALON_SPARK_FOLDER and ETALON_SPARK_FOLDER_THERE must name one folder, here and on the cluster's workers",
                )
            time.sleep(0.2)

    def _seen(self, target: Path, files: str) -> int:
        """Rows of the files seen here, read from their ends."""
        if not any(target.glob("*.parquet")):
            return 0
        counted = self.con.execute("select sum(num_rows) from parquet_file_metadata(?)", [files]).fetchall()
        return int(counted[0][0] or 0)

    def _kind(self, model: SqlModel) -> Literal["table", "view"] | None:
        """What the warehouse has of a model. The marts are published as they are, and a view of our files is of no use elsewhere."""
        if model.name in self._stay:
            return None if model.schema == MART_SCHEMA else "view"
        return "table" if model.schema in COPIED_SCHEMAS else "view"

    def _bring_back(self, model: SqlModel) -> None:
        """What the cluster built takes the place of what the warehouse had, with its documentation."""
        con, table = self.con, quoted(model.name)
        listed = ", ".join(f'"{column}"' for column in self._schemas[model.name])
        files = ", ".join(literal(path) for path in self._store.paths_here(model.name))
        rows = f"select {listed} from read_parquet([{files}], hive_partitioning = false)"
        con.execute("begin")
        try:
            create_schema(con, model.schema)
            _remove(con, model)
            kind = self._kind(model)
            if kind is not None:
                con.execute(f"create {kind} {table} as {rows}")
                comment_on(con, model, kind=kind)
            if model.name == KPI_VALUES:
                keep_history(con)
            con.execute("commit")
        except BaseException:
            con.execute("rollback")
            raise
        ((period, part),) = self._store.tables[model.name].items()
        self._store.put(model.name, {period: structs.replace(part, is_back=True)})


def _remove(con: duckdb.DuckDBPyConnection, model: SqlModel) -> None:
    for database, kind in _found(con, model):
        con.execute(f'drop {kind} "{database}".{quoted(model.name)}')


def _found(con: duckdb.DuckDBPyConnection, model: SqlModel) -> list[tuple[str, str]]:
    """Where the warehouse has a model, and whether as table or view. The copies of KPIs beside the marts are not it: they are published."""
    name = [model.schema, model.name.partition(".")[2]]
    rows = con.execute(
        """select database_name, 'table' from duckdb_tables() where schema_name = ? and table_name = ?
        union all select database_name, 'view' from duckdb_views() where schema_name = ? and view_name = ?""",
        [*name, *name],
    ).fetchall()
    return [(database, kind) for database, kind in rows if model.schema == MART_SCHEMA or database != MART_DATABASE]


def take_back(con: duckdb.DuckDBPyConnection, store: Store) -> None:
    """The warehouse builds its models itself again: what it had as views of the cluster's files is dropped, and the store forgets them.

    A model that is not built now is missing until it is, never stale.
    """
    _drop_views(con)
    store.forget([table for table in store.tables if table not in given_tables()])


def clear(con: duckdb.DuckDBPyConnection, store: Store) -> int:
    """Remove every file that the cluster reads or wrote, and the views of them; the next run writes all anew. Gives how many folders."""
    _drop_views(con)
    return store.clear()


def _drop_views(con: duckdb.DuckDBPyConnection) -> None:
    """Only what a cluster built is a view here."""
    found = con.execute(
        "select schema_name, view_name from duckdb_views() where not internal and database_name = current_database()"
    ).fetchall()
    for schema, view in found:
        con.execute(f"drop view {quoted(f'{schema}.{view}')}")
