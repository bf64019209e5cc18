"""Dagster's SQLite event log with its connections kept open.

Dagster opens, migrates-checks and closes a connection for every event, and the close of a file's last connection folds its
write-ahead log back: 8 to 18 ms an event on two cores, 15 s for a run of 1,400 events. Kept open, an event takes 1 to 2 ms.
Same files, same tables: the instance can go back to Dagster's own class at any time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy.pool import QueuePool

OPEN_FILES = 8
"""Files kept open at once: the index, and the runs being written or looked at."""
BUSY_TIMEOUT_S = 60


class KeptOpenSqliteEventLogStorage(SqliteEventLogStorage):
    """One connection per file (the index, and one file per run), the least recently used closed when there are too many."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: OrderedDict[str, sa.Engine] = OrderedDict()
        self._known_tables: set[str] = set()
        self._has_index_columns = False
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> KeptOpenSqliteEventLogStorage:
        """Build it from `dagster.yaml`."""
        return cls(inst_data=inst_data, **config_value)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[sa.Connection]:
        # The lock is Dagster's own: one statement at a time in a process, so one connection per file is enough.
        with self._db_lock, self._engine(shard).connect() as connection, connection.begin():
            yield connection

    def has_table(self, table_name: str) -> bool:
        """Whether the index has a table. Dagster asks before every event of a check; a table that is there stays there."""
        if table_name not in self._known_tables and super().has_table(table_name):
            self._known_tables.add(table_name)
        return table_name in self._known_tables

    def _has_asset_key_index_cols_on_connection(self, conn: sa.Connection) -> bool:
        """Whether the index has a column that came with a migration. Dagster asks before every event of an asset."""
        if not self._has_index_columns:
            self._has_index_columns = super()._has_asset_key_index_cols_on_connection(conn)
        return self._has_index_columns

    def wipe(self) -> None:
        """Delete all events; files are closed first."""
        self._close_all()
        super().wipe()

    def discard_run(self, run_id: str) -> None:
        """Remove the file of a run whose events are deleted: Dagster leaves it, empty and as large as it was."""
        with self._db_lock:
            engine = self._engines.pop(run_id, None)
            if engine is not None:
                engine.dispose()
            self._initialized_dbs.discard(run_id)
            for suffix in ("", "-wal", "-shm", "-journal"):
                Path(self.path_for_shard(run_id) + suffix).unlink(missing_ok=True)

    def dispose(self) -> None:
        """Close every file."""
        super().dispose()
        self._close_all()

    def _engine(self, shard: str) -> sa.Engine:
        engine = self._engines.get(shard)
        if engine is None:
            engine = sa.create_engine(
                self.conn_string_for_shard(shard),
                poolclass=QueuePool,
                pool_size=1,
                max_overflow=0,
                connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
            )
            sa.event.listen(engine, "connect", _prepare)
            if shard not in self._initialized_dbs:
                self._create(shard)
            self._engines[shard] = engine
            while len(self._engines) > OPEN_FILES:
                self._engines.popitem(last=False)[1].dispose()
        self._engines.move_to_end(shard)
        return engine

    def _create(self, shard: str) -> None:
        """Create the file's tables, which takes two connections at once."""
        engine = sa.create_engine(self.conn_string_for_shard(shard), connect_args={"timeout": BUSY_TIMEOUT_S})
        try:
            self._initdb(engine)
        finally:
            engine.dispose()
        self._initialized_dbs.add(shard)

    def _close_all(self) -> None:
        with self._db_lock:
            while self._engines:
                self._engines.popitem()[1].dispose()


def _prepare(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    # In a write-ahead log this loses no consistency, and at worst the last events of a machine that loses power.
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.close()
