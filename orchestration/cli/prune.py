"""`etalon prune`: room on disk and in the databases. What may go is decided by `orchestration.housekeeping`."""

from __future__ import annotations

import re
from datetime import timedelta

import typer

from orchestration.cli.environment import open_runtime
from orchestration.cli.terminal import console, table
from orchestration.housekeeping import Ages, Housekept, declared_ages, housekeep
from orchestration.instance import open_instance


def age(text: str) -> timedelta:
    """`90d` or `12w` as a duration. Raises typer.BadParameter for anything else, and for less than a day."""
    found = re.fullmatch(r"([1-9][0-9]{0,4})([dw])", text.strip())
    if found is None:
        raise typer.BadParameter(f"{text!r} is no age: days like 90d or weeks like 12w")
    quantity = int(found[1])
    return timedelta(days=quantity) if found[2] == "d" else timedelta(weeks=quantity)


def prune(
    older_than: str = typer.Option(
        "",
        "--older-than",
        help="Age from which on everything may go: 90d, 12w. Left out: the ages of the settings ETALON_KEEP_*_DAYS.",
        metavar="AGE",
        show_default=False,
    ),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only tell what would go."),
) -> None:
    """Remove what is old and done with: raw payloads, loaded canonical files, runs with their events, settled rows.

    The warehouse, quarantine, manifests and what waits for anything stay. Of an extract that the warehouse does not have yet
    nothing goes, however old it is. `etalon up` does the same each night (job `housekeeping`).

    \b
    Examples:
      etalon prune --dry-run
      etalon prune --older-than 90d
    """
    kept = age(older_than) if older_than else None
    runtime = open_runtime()
    ages = declared_ages(runtime) if kept is None else Ages(kept, kept, kept)
    with open_instance(runtime.settings.dagster_dir, runtime.settings.postgres_url) as instance:
        done = housekeep(runtime, instance, ages, only_count=dry_run)
    show_housekept(done, ages)
    console.print("Nothing was removed." if dry_run else "Removed.")


def show_housekept(done: Housekept, ages: Ages) -> None:
    """What went, by kind."""
    files = done.files
    listed = table("Old and done with", "what", "older than", "quantity", "MB", right=("quantity", "MB"))
    raw, runs, operations = (f"{kept.days} d" for kept in (ages.raw, ages.runs, ages.operations))
    listed.add_row("raw payloads, by extract", raw, f"{files.raw_extracts_qty:,}", f"{files.raw_bytes / 1e6:,.1f}")
    listed.add_row("canonical files", raw, f"{files.canonical_files_qty:,}", f"{files.canonical_bytes / 1e6:,.1f}")
    listed.add_row("runs, with their events and logs", runs, f"{done.instance.runs_qty:,}", "")
    listed.add_row("events without a run", runs, f"{done.instance.runless_events_qty:,}", "")
    for name, quantity in done.operations.items():
        if quantity:
            listed.add_row(f"rows of `{name}`", operations, f"{quantity:,}", "")
    console.print(listed)
    if files.waiting_qty:
        console.print(
            f"{files.waiting_qty} old extracts stay: the warehouse lacks rows of them; `etalon run` loads them."
        )
