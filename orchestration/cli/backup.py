"""`etalon backup` and `etalon restore`: one command each. What is copied, and in which order, is `resources.backup`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from orchestration.cli.environment import open_settings
from orchestration.cli.terminal import console
from orchestration.service.borrowed import private_postgres
from orchestration.service.lock import is_running
from resources.backup import read_inventory, restore_backup, take_backup
from resources.errors import PermanentError, Where
from resources.settings import Settings
from resources.warehouse import Warehouse


def backup(
    target: Path = typer.Argument(..., help="Folder that the backup's own folder is made in.", file_okay=False),
    landing: bool = typer.Option(
        True, help="Raw payloads too. Without them a restore works, and they cannot be read again."
    ),
) -> None:
    """Copy warehouse, operations store, Dagster's instance, personal values and files, while everything goes on.

    The secret key and the settings are not in it: keep them elsewhere, a backup without its key cannot be restored.

    \b
    Examples:
      etalon backup /mnt/backups
      etalon backup /mnt/backups --no-landing
    """
    with _settings_with_database() as settings:
        taken = take_backup(settings, _warehouse(settings), target, with_landing=landing, now=settings.clock()())
    console.print(
        f"[bold]{taken.folder}[/]: {taken.files_qty:,} files, {taken.size_bytes / 1e6:,.1f} MB", soft_wrap=True
    )


def restore(
    folder: Path = typer.Argument(..., help="A folder that `etalon backup` made.", exists=True, file_okay=False),
    replace: bool = typer.Option(
        False, "--replace", help="Put aside the files that are there, and replace the tables."
    ),
) -> None:
    """Put a backup back. Stop `etalon up` and `etalon ui` first. Every file is verified before anything is touched.

    \b
    Examples:
      etalon restore /mnt/backups/etalon-20260518T023000Z
      etalon restore /mnt/backups/etalon-20260518T023000Z --replace
    """
    wants_postgres = bool(read_inventory(folder).databases)
    with _settings_with_database(make=wants_postgres) as settings:
        if is_running(settings.service_dir):
            raise PermanentError(
                "the service is running on this data folder",
                where=Where(file=str(settings.data_dir)),
                action="stop `etalon up` first",
            )
        inventory, aside = restore_backup(
            settings, _warehouse(settings), folder, replace=replace, now=settings.clock()()
        )
    console.print(f"Restored what was taken at [bold]{inventory.taken_at:%Y-%m-%d %H:%M:%S} UTC[/].")
    if aside is not None:
        console.print(f"What was there is in {aside}", soft_wrap=True)


@contextmanager
def _settings_with_database(*, make: bool = False) -> Iterator[Settings]:
    """The machine's settings, the private PostgreSQL of its data folder running when it has one.

    ``make``: it is made when the machine has no PostgreSQL at all.
    """
    settings = open_settings(connect=False)
    is_given = bool(settings.variables.get("ETALON_POSTGRES_URL"))
    if is_given or not (settings.postgres_url or make):
        yield open_settings()
        return
    with private_postgres(settings.postgres_dir, os.environ):
        yield open_settings()


def _warehouse(settings: Settings) -> Warehouse:
    return Warehouse(settings.data_dir, memory_limit=settings.memory_limit, threads=settings.threads)
