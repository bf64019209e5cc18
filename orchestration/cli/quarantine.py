"""`etalon quarantine`: rows that were refused, why, and their second chance."""

from __future__ import annotations

import typer
from rich.markup import escape

from orchestration.cli.environment import open_runtime
from orchestration.cli.terminal import console, showing_progress, table
from resources import quarantine
from resources.errors import ConfigurationError, Where

app = typer.Typer(help="Look at refused rows and give them a second chance.", no_args_is_help=True)

SYSTEM = typer.Option("", "--system", help="Only of this system, by its code in retailer.yaml.")
STREAM = typer.Option("", "--stream", help="Only of this stream of the system.")


@app.command("list")
def list_(
    system: str = SYSTEM,
    stream: str = STREAM,
    status: str = typer.Option("pending", help="pending, replayed or superseded; `all` for every one."),
    limit: int = typer.Option(50, min=1, help="How many rows to show; the counts are always of all of them."),
) -> None:
    """List refused rows: how many by rule, then the rows themselves. Nothing is dropped silently: it is here.

    \b
    Examples:
      etalon quarantine list
      etalon quarantine list --system erp --stream erp_stock
      etalon quarantine list --status all --limit 500
    """
    runtime = open_runtime()
    wanted = None if status == "all" else status
    counts = table("Refused rows", "system", "stream", "rule", "status", "rows", right=("rows",))
    for of_system, of_stream, rule, of_status, quantity in runtime.operations.quarantine_counts():
        if system in ("", of_system) and stream in ("", of_stream) and wanted in (None, of_status):
            counts.add_row(of_system, of_stream, rule, of_status, f"{quantity:,}")
    if not counts.row_count:
        console.print("No row is in quarantine.")
        return
    console.print(counts)
    rows = runtime.operations.quarantined(system_code=system or None, stream=stream or None, status=wanted, limit=limit)
    listed = table("Rows, oldest first", "id", "system", "stream", "where", "field", "rule", "reason", right=("id",))
    for row in rows:
        listed.add_row(
            str(row.quarantine_id),
            row.system_code,
            row.stream,
            escape(row.position),
            row.field or "",
            row.rule,
            escape(row.reason),
        )
    console.print(listed)
    console.print("`etalon quarantine show ID` shows a row as it was received.")


@app.command()
def show(
    quarantine_id: int = typer.Argument(help="The row's id, from `etalon quarantine list`.", metavar="ID"),
) -> None:
    """Show one refused row as it was received, and why it was refused. It may hold personal data: mind your screen.

    \b
    Example:
      etalon quarantine show 42
    """
    runtime = open_runtime()
    found = runtime.operations.quarantined(quarantine_ids=[quarantine_id])
    if not found:
        raise ConfigurationError(
            f"no row in quarantine has the id {quarantine_id}",
            where=Where(field="ID"),
            action="`etalon quarantine list --status all` lists them",
        )
    row = found[0]
    facts = table(f"Row {row.quarantine_id}", "what", "value")
    for name, value in (
        ("system", row.system_code),
        ("stream", row.stream),
        ("entity", row.entity),
        ("where", row.position),
        ("line", row.line),
        ("column", row.column_number),
        ("field", row.field),
        ("rule", row.rule),
        ("reason", row.reason),
        ("status", row.status),
        ("replays so far", row.attempts),
        ("refused at", row.created_at),
        ("extract", row.extract_id),
        ("context", row.context),
        ("raw", quarantine.raw_text(row, runtime.sealer)),
    ):
        if value not in (None, ""):
            facts.add_row(name, escape(str(value)))
    console.print(facts)
