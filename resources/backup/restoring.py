"""Putting a backup back. Everything is verified before anything is touched; what was there is put aside, not removed."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

from resources.backup.databases import postgres_tables_qty, restore_postgres
from resources.backup.inventory import Inventory, key_print, read_inventory, verify
from resources.backup.taking import DATABASES, FILES, postgres_databases
from resources.errors import PermanentError, Where
from resources.settings import Settings
from resources.warehouse import Warehouse

_KEPT = frozenset({"postgres", "service", "logs", "writer.lock"})
"""Of the machine, not of the retailer: a restore leaves them where they are."""


def restore_backup(
    settings: Settings, warehouse: Warehouse, folder: Path, *, replace: bool, now: datetime
) -> tuple[Inventory, Path | None]:
    """Make the data folder and the databases what the backup in ``folder`` says. Nothing of Étalon may run meanwhile.

    ``replace``: put aside what is there; without it only an empty place is restored into. Returns what was restored, and where
    what was there lies now. Raises PermanentError for a backup that is not whole, was sealed with another key, is for other
    stores than those set, or when something is there and ``replace`` is not given; nothing is changed then.
    """
    inventory = read_inventory(folder)
    verify(folder, inventory)
    where = Where(file=str(folder))
    if inventory.key_print != key_print(settings.secret_key):
        raise PermanentError(
            "the backup was taken with another ETALON_SECRET_KEY: its personal values could not be opened",
            where=where,
            action="set the key that belongs to it",
        )
    databases = postgres_databases(settings)
    if tuple(sorted(databases)) != inventory.databases:
        raise PermanentError(
            f"the backup has {_told(inventory.databases)} in PostgreSQL, the settings have {_told(tuple(sorted(databases)))}",
            where=where,
            action="set ETALON_POSTGRES_URL (and ETALON_OPERATIONS_URL) as they were when it was taken",
        )
    data = settings.data_dir
    data.mkdir(parents=True, exist_ok=True)
    present = [path for path in sorted(data.iterdir()) if path.name not in _KEPT]
    tables_qty = sum(postgres_tables_qty(url) for url in databases.values())
    if (present or tables_qty) and not replace:
        raise PermanentError(
            f"the place is not empty: {len(present)} files and folders, {tables_qty} tables in PostgreSQL",
            where=Where(file=str(data)),
            action="give --replace: files are put aside, tables are replaced",
        )
    with warehouse.held(purpose="restore"):
        aside = _make_aside(data, now) if present else None
        for name, url in databases.items():
            restore_postgres(url, folder / DATABASES / f"{name}.dump")
        if aside is not None:
            for path in present:
                os.replace(path, aside / path.name)
        _put_back(folder / FILES, data)
    return inventory, aside


def _make_aside(data: Path, now: datetime) -> Path:
    """The folder for what is there, beside the data folder. Made before anything is touched: where it cannot be, nothing is restored."""
    aside = data.with_name(f"{data.name}.before-restore-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}")
    try:
        aside.mkdir(mode=0o700)
        is_near = aside.stat().st_dev == data.stat().st_dev
    except OSError as error:
        raise _cannot_put_aside(data) from error
    if not is_near:
        aside.rmdir()
        raise _cannot_put_aside(data)
    return aside


def _cannot_put_aside(data: Path) -> PermanentError:
    return PermanentError(
        "what is there cannot be put aside: the data folder is a file system of its own, or the folder above it is not ours",
        where=Where(file=str(data)),
        action="empty it yourself, or let ETALON_DATA_DIR be a folder inside that file system; nothing was restored",
    )


def _put_back(source: Path, data: Path) -> None:
    for path in sorted(source.rglob("*")):
        target = data / path.relative_to(source)
        if path.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)


def _told(names: tuple[str, ...]) -> str:
    return " and ".join(names) or "nothing"
