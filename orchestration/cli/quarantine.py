"""`etalon quarantine`: rows that were refused, why, and their second chance."""

from __future__ import annotations

from enum import StrEnum
from uuid import uuid4

import typer
from rich.markup import escape

from orchestration.cli.environment import open_runtime
from orchestration.cli.terminal import console, showing_progress, table
from resources import quarantine

app = typer.Typer(help="Look at refused rows and give them a second chance.", no_args_is_help=True)


class Shown(StrEnum):
    """Which rows of the quarantine to show."""

    PENDING = "pending"
    REPLAYED = "replayed"
    SUPERSEDED = "superseded"
    ERASED = "erased"
    ALL = "all"


_STATUS: dict[Shown, quarantine.Status | None] = {
    Shown.PENDING: "pending",
    Shown.REPLAYED: "replayed",
    Shown.SUPERSEDED: "superseded",
    Shown.ERASED: "erased",
    Shown.ALL: None,
}

SYSTEM = typer.Option("", "--system", help="Only of this system, by its code in retailer.yaml.")
STREAM = typer.Option("", "--stream", help="Only of this stream of the system.")


@app.command("list")
def list_(
    system: str = SYSTEM,
    stream: str = STREAM,
    status: Shown = typer.Option(Shown.PENDING, help="Which rows."),
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
    wanted = _STATUS[status]
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
    shown = quarantine.show(runtime.operations, runtime.landing, quarantine_id)
    row = shown.row
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
        ("context", shown.context),
        ("raw", shown.raw),
    ):
        if value not in (None, ""):
            facts.add_row(name, escape(str(value)))
    console.print(facts)


@app.command()
def replay(
    quarantine_ids: list[int] = typer.Argument(
        None, help="Ids of rows, from `etalon quarantine list`; without any, all pending rows.", metavar="[ID]..."
    ),
    system: str = SYSTEM,
    stream: str = STREAM,
) -> None:
    """Map refused rows again with the present mapping and feed declarations. Rows that fit now are loaded by the next run.

    \b
    Exit code: 0 every row fits now; 1 some are refused again.

    \b
    Examples:
      etalon quarantine replay 42 43
      etalon quarantine replay --system erp --stream erp_stock
      etalon run --select group:canonical+      then load them and rebuild
    """
    with showing_progress() as report:
        runtime = open_runtime(report)
        outcomes = quarantine.replay(
            runtime.operations,
            runtime.landing,
            runtime.connectors,
            pii=runtime.personal,
            now=runtime.settings.clock()(),
            run_id=f"replay-{uuid4().hex[:12]}",
            quarantine_ids=quarantine_ids or None,
            system_code=system or None,
            stream=stream or None,
        )
    if not outcomes:
        console.print("No pending row matches.")
        return
    refused = [outcome for outcome in outcomes if outcome.outcome != "replayed"]
    if refused:
        listed = table("Still refused", "id", "outcome", "reason", right=("id",))
        for outcome in refused:
            listed.add_row(str(outcome.quarantine_id), outcome.outcome, escape(outcome.reason))
        console.print(listed)
    console.print(f"{len(outcomes) - len(refused)} of {len(outcomes)} rows fit now; the next run loads them.")
    if refused:
        raise typer.Exit(1)
