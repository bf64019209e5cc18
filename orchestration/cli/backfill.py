"""`etalon backfill`: the history of a system read by period, in several processes at once."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import typer
from rich.markup import escape

from assets.periods import reading_runtime
from assets.runtime import Runtime
from orchestration.backfill import Chunk, ChunkDone, Length, plan, read_chunks
from orchestration.cli.environment import chosen_environment, open_settings
from orchestration.cli.terminal import console, errors, mark, table

SHOWN = 50
"""Periods that are listed at the end, when all went well; those that did not are always."""


def backfill(
    system: str = typer.Option(..., help="The system, by its code in retailer.yaml."),
    stream: list[str] = typer.Option(
        [], help="A stream of it that can be read by period; may be repeated. All of them when left out."
    ),
    first: datetime | None = typer.Option(
        None,
        "--from",
        formats=["%Y-%m-%d"],
        help="First day (UTC) of what to read, by the date it was made. The retailer's `history_from` when left out; that day holds "
        "everything older, too.",
        show_default=False,
    ),
    last: datetime | None = typer.Option(
        None, "--to", formats=["%Y-%m-%d"], help="Last day, included; today when left out.", show_default=False
    ),
    by: Length = typer.Option("month", help="What one process reads at a time: day, week, month or year."),
    workers: int = typer.Option(
        0,
        min=0,
        help="Processes at once; as many as the system's `history_readers` allows when left out, and never more.",
        show_default=False,
    ),
    missing: bool = typer.Option(
        False,
        "--missing",
        help="Only periods that no complete reading by period covers yet: goes on with an earlier backfill.",
    ),
) -> None:
    """Read what a system holds of some days again, or a long history for the first time, several processes at once.

    Each period is landed and accounted for by itself and shows in the UI under `history`; a killed process costs its period only. Deletes
    show only when a stream is read whole. The next `etalon run` loads what was read. When the periods reach from the beginning until
    now, the cursor of their stream moves to where they began to be read, and `etalon run` goes on from there.

    \b
    Exit code: 0 all periods were read whole; 1 some were not (`--missing` reads those again); 2 the command or the configuration is wrong.

    \b
    Examples:
      etalon backfill --system shop_fr --stream orders     all orders, by month
      etalon backfill --system shop_fr --from 2026-03-01 --to 2026-03-31
      etalon backfill --system pos --by day --missing      go on, day by day
    """
    environ = chosen_environment(os.environ, Path.cwd())
    runtime = reading_runtime(open_settings())
    chunks = plan(
        runtime,
        system,
        stream,
        first=first.date() if first else None,
        last=last.date() if last else None,
        length=by,
        only_missing=missing,
    )
    if not chunks:
        console.print("Nothing to read: complete readings cover these days already.")
        return
    allowed = runtime.retailer.system(system).history_readers
    processes = min(workers or allowed, allowed, len(chunks))
    if workers > allowed:
        errors.print(
            f"[yellow]{system} is read by {allowed} processes at most[/]: `history_readers` in retailer.yaml says so."
        )
    errors.print(f"{system}: {_of(len(chunks), 'period')} in {_of(processes, 'process', 'es')}", highlight=False)
    before = {name: runtime.operations.cursor(system, name) for name in _streams(chunks)}
    done = read_chunks(runtime, chunks, environ, processes=processes, on_done=_tell(len(chunks)))
    show(done)
    for name, cursor_at in before.items():
        _tell_cursor(runtime, system, name, cursor_at)
    if not all(one.is_complete for one in done):
        console.print(
            "[bold red]Not all good.[/] Run it again; with --missing it reads only what was never read whole."
        )
        raise typer.Exit(1)
    console.print("[bold green]All read.[/] Next: `etalon run` loads it and builds what follows from it.")


def show(done: list[ChunkDone]) -> None:
    """What came of each period, those that went wrong first, and the sums."""
    ordered = sorted(done, key=lambda one: (one.is_complete, one.chunk.stream, one.chunk.first))
    wrong_qty = sum(not one.is_complete for one in done)
    shown = ordered[: max(SHOWN, wrong_qty)]
    numbers = ("rows", "quarantined", "seconds", "CPU-s")
    found = table("Periods", "stream", "from", "to", *numbers, "", right=numbers)
    for one in shown:
        found.add_row(
            one.chunk.stream,
            str(one.chunk.first),
            str(one.chunk.last),
            f"{one.landed_qty:,}",
            f"{one.quarantined_qty:,}",
            f"{one.seconds:.1f}",
            f"{one.cpu_s:.1f}",
            mark(one.is_complete),
        )
    found.add_section()
    found.add_row(
        f"all {len(done)}",
        "",
        "",
        f"{sum(one.landed_qty for one in done):,}",
        f"{sum(one.quarantined_qty for one in done):,}",
        f"{sum(one.seconds for one in done):.1f}",
        f"{sum(one.cpu_s for one in done):.1f}",
        mark(wrong_qty == 0),
    )
    console.print(found)
    for one in ordered[:wrong_qty]:
        console.print(f"[bold red]{one.chunk}[/]: {escape(one.error)}", soft_wrap=True)


def _tell(all_qty: int) -> Callable[[ChunkDone], None]:
    ended = 0

    def tell(done: ChunkDone) -> None:
        nonlocal ended
        ended += 1
        result = f"{done.landed_qty:,} rows, {done.seconds:.1f} s" if done.is_complete else "not read"
        errors.print(f"{ended}/{all_qty} {done.chunk}: {result}", markup=False, highlight=False)

    return tell


def _of(quantity: int, what: str, plural: str = "s") -> str:
    return f"{quantity} {what}{plural if quantity != 1 else ''}"


def _streams(chunks: list[Chunk]) -> list[str]:
    return list(dict.fromkeys(chunk.stream for chunk in chunks))


def _tell_cursor(runtime: Runtime, system: str, stream: str, before: datetime | None) -> None:
    now = runtime.operations.cursor(system, stream)
    if now != before:
        console.print(
            f"{stream}: the periods stand for a whole reading, so its cursor moved to {now}.", highlight=False
        )
