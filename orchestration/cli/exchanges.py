"""`etalon exchanges`: what crossed between Étalon and each system."""

from __future__ import annotations

from datetime import timedelta

import typer
from rich.markup import escape

from orchestration.cli.environment import open_runtime
from orchestration.cli.terminal import console, mark, table

app = typer.Typer(help="Look at what was exchanged with systems.", no_args_is_help=True)


@app.command("list")
def list_(
    system: str = typer.Option(
        "", "--system", help="Only with this system, by its code in retailer.yaml; `etalon` is our own."
    ),
    failed: bool = typer.Option(False, "--failed", help="Only what did not work."),
    hours: float = typer.Option(24.0, "--since", min=0.1, help="In the last so many hours.", metavar="HOURS"),
    limit: int = typer.Option(100, min=1, help="How many to show, the last ones; the totals are always of all."),
) -> None:
    """List what crossed: totals by system, then the last exchanges, the newest last.

    \b
    Examples:
      etalon exchanges list
      etalon exchanges list --system shop_fr --since 2
      etalon exchanges list --failed --since 168
    """
    runtime = open_runtime()
    since_at = runtime.settings.clock()() - timedelta(hours=hours)
    totals = table("Exchanges by system", "system", "direction", "kind", "exchanges", "failed", "rows", "bytes", "seconds",
                   right=("exchanges", "failed", "rows", "bytes", "seconds"))  # fmt: skip
    for total in runtime.operations.watching.totals(since_at=since_at):
        if system in ("", total.system_code):
            totals.add_row(
                total.system_code,
                total.direction,
                total.kind,
                f"{total.exchanges_qty:,}",
                f"{total.failed_qty:,}",
                f"{total.rows_qty:,}",
                f"{total.bytes:,}",
                f"{total.duration_s:,.1f}",
            )
    console.print(totals)
    entries = runtime.operations.watching.journal(
        since_at=since_at, system_code=system or None, only_failed=failed, limit=limit
    )
    if not entries:
        console.print("No exchange matches.")
        return
    listed = table(
        "The last ones",
        "at (UTC)",
        "system",
        "stream or target",
        "kind",
        "",
        "rows",
        "request",
        "what",
        right=("rows",),
    )
    for entry in entries:
        listed.add_row(
            f"{entry.at:%Y-%m-%d %H:%M:%S}",
            entry.system_code,
            entry.stream or "",
            entry.kind,
            mark(entry.is_ok),
            "" if entry.rows_qty is None else f"{entry.rows_qty:,}",
            entry.request_id or "",
            escape(entry.detail),
        )
    console.print(listed)
