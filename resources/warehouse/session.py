"""The one way into the warehouse: short writer sessions under the lock, and publication."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import polars as pl

from resources.given_tables import create_given_tables
from resources.sql_project import SqlProject
from resources.warehouse import build, checking, load, publish
from resources.warehouse.lock import writer_lock

# Every DuckDB client since 1.2 reads this format; drivers of BI tools lag behind.
STORAGE_VERSION = "v1.2.0"
MART_SCHEMA = "marts"


def utc_now() -> datetime:
    """The real clock."""
    return datetime.now(UTC)


class Warehouse:
    """`warehouse.duckdb` (canonical rows, models) and `mart.duckdb` (schema marts), both in ``data_dir``.

    ``memory_limit``: DuckDB's own words, "2GB". Nothing is opened before :meth:`writer`.
    DuckDB files are never opened or copied elsewhere in this process while a session lasts.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        memory_limit: str = "2GB",
        threads: int = 2,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.data_dir = data_dir
        self.memory_limit = memory_limit
        self.threads = threads
        self.clock = clock
        self.warehouse_path = data_dir / "warehouse.duckdb"
        self.mart_path = data_dir / "mart.duckdb"
        self.lock_path = data_dir / "writer.lock"
        self.bi_path = data_dir / "published" / "bi.duckdb"

    @contextmanager
    def writer(self, timeout_s: float = 600.0, *, purpose: str = "a writer") -> Iterator[duckdb.DuckDBPyConnection]:
        """One short session: the warehouse attached as ``wh`` and in use, the mart as ``mart``, zone UTC.

        Canonical, retailer and meta tables exist in it, empty at first. ``purpose`` is told to whoever waits.
        Raises LockTimeout after ``timeout_s`` seconds.
        """
        self.data_dir.mkdir(parents=True, exist_ok=True)
        with writer_lock(self.lock_path, timeout_s=timeout_s, purpose=purpose, clock=self.clock):
            con = self._connect()
            try:
                self._attach(con, self.warehouse_path, "wh")
                self._attach(con, self.mart_path, "mart")
                con.execute("use wh")
                create_given_tables(con)
                con.execute(f"create schema if not exists mart.{MART_SCHEMA}")
                # `marts.x` is found in the mart, every other `schema.x` in the warehouse.
                con.execute(f"set search_path = 'wh.main,mart.{MART_SCHEMA}'")
                yield con
            finally:
                con.close()

    @contextmanager
    def held(self, timeout_s: float = 600.0, *, purpose: str) -> Iterator[None]:
        """The writer's lock with nothing opened, for whoever replaces the files. Raises LockTimeout."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        with writer_lock(self.lock_path, timeout_s=timeout_s, purpose=purpose, clock=self.clock):
            yield

    @contextmanager
    def closed(self, timeout_s: float = 600.0, *, purpose: str) -> Iterator[tuple[Path, ...]]:
        """The writer's lock with both files whole and closed, for whoever copies them (in a child process); gives their paths.

        What a killed writer left in a write-ahead log is in them by then. Raises LockTimeout.
        """
        with self.held(timeout_s, purpose=purpose):
            paths = tuple(path for path in (self.warehouse_path, self.mart_path) if path.exists())
            for path in paths:
                con = self._connect()
                try:
                    self._attach(con, path, "whole")
                    con.execute("checkpoint whole")
                finally:
                    con.close()
            yield paths

    def rewrite(self, timeout_s: float = 600.0, *, purpose: str) -> None:
        """Write both files anew, without what was updated or deleted: DuckDB leaves old values in free blocks.

        Each file is replaced in one step once its copy is whole. Costs about as much as building it. Raises LockTimeout.
        """
        with self.closed(timeout_s, purpose=purpose) as paths:
            for path in paths:
                copy = path.with_name(f"{path.name}.rewritten")
                copy.unlink(missing_ok=True)
                con = self._connect()
                try:
                    con.execute(f"attach {_literal(path)} as old (read_only)")
                    self._attach(con, copy, "new")
                    con.execute("copy from database old to new")
                    publish.copy_column_comments(con, "old", "new")
                    con.execute("checkpoint new")
                finally:
                    con.close()
                os.replace(copy, path)

    def load_entity(
        self,
        con: duckdb.DuckDBPyConnection,
        entity: str,
        parquet_paths: Iterable[Path],
        *,
        full_scopes: Sequence[load.FullScope] = (),
        cap_share: float = load.TOMBSTONE_CAP_SHARE,
    ) -> load.LoadResult:
        """See :func:`resources.warehouse.load.load_entity`."""
        return load.load_entity(con, entity, parquet_paths, full_scopes=full_scopes, cap_share=cap_share)

    def load_frames(self, con: duckdb.DuckDBPyConnection, schema: str, frames: Mapping[str, pl.DataFrame]) -> None:
        """See :func:`resources.warehouse.load.load_frames`."""
        load.load_frames(con, schema, frames)

    def set_run_clock(self, con: duckdb.DuckDBPyConnection, *, as_of_at: datetime, run_id: str) -> None:
        """See :func:`resources.warehouse.load.set_run_clock`."""
        load.set_run_clock(con, as_of_at=as_of_at, run_id=run_id)

    def run_models(
        self,
        con: duckdb.DuckDBPyConnection,
        project: SqlProject,
        select: Collection[str] | None = None,
        *,
        is_incremental: bool = False,
    ) -> list[build.ModelResult]:
        """See :func:`resources.warehouse.build.run_models`."""
        return build.run_models(con, project, select, is_incremental=is_incremental)

    def run_checks(
        self, con: duckdb.DuckDBPyConnection, project: SqlProject, select: Collection[str] | None = None
    ) -> list[checking.CheckResult]:
        """See :func:`resources.warehouse.checking.run_checks`."""
        return checking.run_checks(con, project, select)

    def publish(
        self,
        *,
        kpi_tables: Collection[str] = (),
        keys: Mapping[str, Sequence[str]] | None = None,
        timeout_s: float = 600.0,
    ) -> publish.Published:
        """Copy the mart to `published/bi.duckdb` and swap it in: open readers keep the old one, new ones see this one.

        ``kpi_tables``: tables of the schema `kpis` that go with the marts; ``keys``: see :func:`resources.warehouse.publish.copy_kpis`.
        Raises LockTimeout, and PermanentError when the copy is not whole.
        """
        started = time.monotonic()
        self.bi_path.parent.mkdir(parents=True, exist_ok=True)
        copy = self.bi_path.with_suffix(".part")
        with writer_lock(self.lock_path, timeout_s=timeout_s, purpose="publication", clock=self.clock):
            con = self._connect()
            try:
                self._attach(con, self.mart_path, "mart")
                if kpi_tables:
                    self._attach(con, self.warehouse_path, "wh")
                    con.execute("use wh")
                    publish.copy_kpis(con, kpi_tables, keys)
                con.execute("checkpoint mart")
            finally:
                con.close()
            copy.unlink(missing_ok=True)
            publish.copy_out(self.mart_path, copy)
            # Still under the lock: two publications must not swap the same copy.
            return publish.swap_in(copy, self.bi_path, started=started)

    def _connect(self) -> duckdb.DuckDBPyConnection:
        con = duckdb.connect()
        con.execute("set enable_progress_bar = false")
        con.execute("set TimeZone = 'UTC'")
        con.execute("set autoinstall_known_extensions = false")
        con.execute(f"set memory_limit = '{self.memory_limit}'")
        con.execute(f"set threads = {self.threads}")
        con.execute(f"set temp_directory = {_literal(self.data_dir / 'tmp')}")
        return con

    def _attach(self, con: duckdb.DuckDBPyConnection, path: Path, alias: str) -> None:
        options = "" if path.exists() else f" (storage_version '{STORAGE_VERSION}')"
        con.execute(f"attach {_literal(path)} as {alias}{options}")


def _literal(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
