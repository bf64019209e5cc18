"""`etalon prune`: room on disk. What may go is decided by `resources.pruning`."""

from __future__ import annotations

import re
from datetime import timedelta

import typer

from orchestration.cli.environment import open_runtime
from orchestration.cli.terminal import console, table
from resources import pruning


def age(text: str) -> timedelta:
    """`90d` or `12w` as a duration. Raises typer.BadParameter for anything else, and for less than a day."""
    found = re.fullmatch(r"([1-9][0-9]{0,4})([dw])", text.strip())
    if found is None:
        raise typer.BadParameter(f"{text!r} is no age: days like 90d or weeks like 12w")
    quantity = int(found[1])
    return timedelta(days=quantity) if found[2] == "d" else timedelta(weeks=quantity)


def prune(
    older_than: str = typer.Option(
        ..., "--older-than", help="Age of the extracts from which on they may go: 90d, 12w.", metavar="AGE"
    ),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only tell what would go."),
) -> None:
    """Remove raw payloads and loaded canonical files of old extracts. The warehouse, quarantine and manifests stay.

    Of an extract that the warehouse does not have yet nothing goes, however old it is.

    \b
    Examples:
      etalon prune --older-than 90d --dry-run
      etalon prune --older-than 90d
    """
    kept = age(older_than)
    runtime = open_runtime()
    before = runtime.settings.clock()() - kept
    pruned = pruning.prune(runtime.operations, runtime.landing, before=before, only_count=dry_run)
    listed = table(
        f"Of extracts before {before:%Y-%m-%d %H:%M} UTC", "what", "quantity", "MB", right=("quantity", "MB")
    )
    listed.add_row("raw payloads, by extract", f"{pruned.raw_extracts_qty:,}", f"{pruned.raw_bytes / 1e6:,.1f}")
    listed.add_row("canonical files", f"{pruned.canonical_files_qty:,}", f"{pruned.canonical_bytes / 1e6:,.1f}")
    console.print(listed)
    if pruned.waiting_qty:
        console.print(
            f"{pruned.waiting_qty} old extracts stay: the warehouse lacks rows of them; `etalon run` loads them."
        )
    console.print("Nothing was removed." if dry_run else "Removed.")
