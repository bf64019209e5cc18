"""Taking a backup while everything goes on. The order of the parts is what makes them fit together.

1. operations store, 2. Dagster's instance, 3. personal values, 4. canonical files and landing, 5. what is planned and published,
6. the warehouse, last and under its writer's lock.

The warehouse may so be newer than the operations store: rows that the store calls "not loaded yet" may be in it already. A load is
an upsert, so loading them once more changes nothing. The other order would lose rows: called loaded, and nowhere.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from resources.backup.databases import copy_sqlite, dump_postgres, is_sqlite
from resources.backup.inventory import Inventory, key_print, list_files, write_inventory
from resources.errors import PermanentError, Where
from resources.settings import Settings
from resources.warehouse import Warehouse
from resources.warehouse.publish import copy_by_child

DATABASES, FILES = "databases", "files"
INSTANCE, OPERATIONS = "instance", "operations"
_LEFT_OUT = frozenset({"postgres", "service", "logs", "cache", "tmp", "writer.lock", "sandbox"})
"""Not of the retailer's: the private PostgreSQL's own files (it is dumped), logs, caches, and what a demo reads from."""


@dataclass(frozen=True)
class Taken:
    """A finished backup: its folder, and how much is in it."""

    folder: Path
    files_qty: int
    size_bytes: int


def postgres_databases(settings: Settings) -> dict[str, str]:
    """What is kept in PostgreSQL -> its address; one address for both where they share a database."""
    found: dict[str, str] = {}
    if settings.postgres_url:
        found[INSTANCE] = settings.postgres_url
    if settings.operations_url.startswith("postgresql"):
        plain = settings.operations_url.replace("postgresql+psycopg2://", "postgresql://", 1)
        if plain != (settings.postgres_url or "").replace("postgresql+psycopg2://", "postgresql://", 1):
            found[OPERATIONS] = plain
    return found


def take_backup(settings: Settings, warehouse: Warehouse, target: Path, *, with_landing: bool, now: datetime) -> Taken:
    """Take a backup into a new folder ``etalon-<instant>`` of ``target``; it has that name only once it is whole.

    ``with_landing``: raw payloads too; without them what is restored works, and old payloads cannot be looked at again.
    Raises PermanentError when there is nothing to back up or a part cannot be copied, LockTimeout when the writer holds the
    warehouse for too long.
    """
    data = settings.data_dir
    if not settings.warehouse_path.exists() and not (data / "operations.sqlite").exists():
        raise PermanentError(
            "there is nothing to back up yet", where=Where(file=str(data)), action="run `etalon run` first"
        )
    folder = target / f"etalon-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    partial = folder.with_name(f"{folder.name}.partial")
    if folder.exists():
        raise PermanentError(
            "a backup of this second is there already", where=Where(file=str(folder)), action="run it again"
        )
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True, mode=0o700)
    databases = postgres_databases(settings)
    if OPERATIONS in databases:
        dump_postgres(databases[OPERATIONS], partial / DATABASES / f"{OPERATIONS}.dump")
    operations_file = data / "operations.sqlite"
    if operations_file.exists():
        copy_sqlite(operations_file, partial / FILES / operations_file.name)
    if INSTANCE in databases:
        dump_postgres(databases[INSTANCE], partial / DATABASES / f"{INSTANCE}.dump")
    first = [settings.dagster_dir, settings.pii_path]
    _copy_all(first, data, partial / FILES)
    done = {operations_file.name, *(path.name for path in first)}
    if not with_landing:
        done.add("landing")
    # Neither the warehouse's files nor their write-ahead logs: a log beside a file that already holds it cannot be opened.
    others = [
        path for path in sorted(data.iterdir()) if path.name not in done | _LEFT_OUT and ".duckdb" not in path.name
    ]
    _copy_all(others, data, partial / FILES)
    with warehouse.closed(purpose="backup") as files:
        for path in files:
            copy = partial / FILES / path.name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy_by_child(path, copy)
    inventory = Inventory(
        taken_at=now,
        release=version("etalon"),
        key_print=key_print(settings.secret_key),
        databases=tuple(sorted(databases)),
        files=list_files(partial),
    )
    write_inventory(partial, inventory)
    _sync(partial)
    os.replace(partial, folder)
    return Taken(folder, len(inventory.files), sum(file.size_bytes for file in inventory.files))


def _copy_all(sources: list[Path], data: Path, target: Path) -> None:
    for source in sources:
        for path in [source] if source.is_file() else sorted(source.rglob("*")):
            if path.is_file() and not _is_beside_sqlite(path):
                _copy_one(path, target / path.relative_to(data))


def _is_beside_sqlite(path: Path) -> bool:
    """The log files of a SQLite database: what they hold is in its copy."""
    return path.name.endswith(("-wal", "-shm", "-journal"))


def _copy_one(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    copy: Callable[[Path, Path], object] = shutil.copy2
    try:
        if is_sqlite(source):
            copy = copy_sqlite
        copy(source, target)
    except FileNotFoundError:
        # Temporary files, and what housekeeping removes meanwhile, come and go; what matters is renamed into place and stays.
        target.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """Make the whole folder durable before its name says that it is whole."""
    for path in [*folder.rglob("*"), folder]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
