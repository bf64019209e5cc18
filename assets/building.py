"""What builds the models of a run and counts the rows that break their checks: the warehouse itself, or a cluster.

Belongs here: choosing by the settings, and one face for both. How each of them builds is in `resources.warehouse` and
`resources.spark`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import duckdb

from assets.runtime import Runtime
from resources.settings import SPARK, Settings
from resources.spark.building import ClusterBuilder, take_back
from resources.spark.cluster import connected
from resources.spark.store import Store
from resources.sql_project import Check, SqlModel
from resources.warehouse.build import ModelBuilder, ModelResult
from resources.warehouse.checking import CheckResult


class Builder(Protocol):
    """Builds in one writer session. ``con``: the warehouse, where the models that others read lie once they are built."""

    con: duckdb.DuckDBPyConnection

    def build(self, model: SqlModel) -> ModelResult:
        """Replace one model's table. Raises ModelFailed."""
        ...

    def run_checks(self, checks: Sequence[Check]) -> list[CheckResult]:
        """The outcome of each check, in their order. Raises PermanentError when a check's query is wrong."""
        ...


@contextmanager
def builder(
    runtime: Runtime, purpose: str, *, is_incremental: bool = False, is_audited: bool = False
) -> Iterator[Builder]:
    """The builder of this machine's settings, in a writer session; ``purpose`` is told to whoever waits.

    ``is_incremental``: build only what changed since the last build, with the same outcome: a cluster leaves whole models alone,
    the warehouse keys too.
    Raises RetryableError when it is a cluster that does not answer.
    """
    settings = runtime.settings
    store = cluster_store(settings)
    if settings.engine == SPARK:
        # Asked before the lock is taken: nobody waits for a cluster that is not there.
        with connected(settings.spark_remote) as cluster, runtime.writer(purpose) as con:
            yield ClusterBuilder(
                con, cluster, store, runtime.project, is_incremental=is_incremental, stay=settings.spark_stay
            )
        return
    with runtime.writer(purpose) as con:
        take_back(con, store)
        session = _InWarehouse(
            con, ModelBuilder(con, runtime.project, is_incremental=is_incremental, is_audited=is_audited)
        )
        yield session
        session.close()


def cluster_store(settings: Settings) -> Store:
    """What lies in the folder that this machine and the cluster share."""
    return Store(settings.spark_folder, settings.spark_folder_there, settings.data_dir / "spark_tables.json")


class _InWarehouse:
    def __init__(self, con: duckdb.DuckDBPyConnection, models: ModelBuilder) -> None:
        self.con = con
        self._models = models

    def build(self, model: SqlModel) -> ModelResult:
        return self._models.build(model)

    def close(self) -> None:
        self._models.close()

    def run_checks(self, checks: Sequence[Check]) -> list[CheckResult]:
        return self._models.run_checks(checks)
