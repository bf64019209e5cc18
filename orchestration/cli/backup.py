"""`etalon backup` and `etalon restore`: one command each. What is copied, and in which order, is `resources.backup`."""

from __future__ import annotations

from pathlib import Path

import typer

from orchestration.cli.environment import open_settings
from orchestration.cli.terminal import console
from resources.backup import restore_backup, take_backup
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
    settings = open_settings()
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
    settings = open_settings()
    inventory, aside = restore_backup(settings, _warehouse(settings), folder, replace=replace, now=settings.clock()())
    console.print(f"Restored what was taken at [bold]{inventory.taken_at:%Y-%m-%d %H:%M:%S} UTC[/].")
    if aside is not None:
        console.print(f"What was there is in {aside}", soft_wrap=True)


def _warehouse(settings: Settings) -> Warehouse:
    return Warehouse(settings.data_dir, memory_limit=settings.memory_limit, threads=settings.threads)
