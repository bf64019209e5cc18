"""`etalon sync`: plan what the channels need, write what no guard holds, read it back."""

from __future__ import annotations

from collections import Counter

import typer
from rich.markup import escape

from assets.channels import written_channels
from assets.runtime import Runtime
from orchestration.cli.environment import open_runtime
from orchestration.cli.plans import show_reasons
from orchestration.cli.terminal import console, showing_progress, table
from orchestration.runs import RunSummary, run_sync

OUTCOMES = ("applied", "unchanged", "moved", "refused", "not_kept", "retry")


def sync(
    channels: list[str] = typer.Argument(
        None,
        help="Channels by their codes in retailer.yaml; without any, all that can be written.",
        metavar="[CHANNEL]...",
    ),
    plan_only: bool = typer.Option(False, "--plan-only", help="Plan and hold; write nothing."),
) -> None:
    """Write to the channels what they should show: plan, guards, write, read back. `etalon run` must have read them before.

    \b
    Exit code: 0 everything that may be written is written; 1 a plan waits for a person, or something was refused or failed;
    2 the command or the configuration is wrong.

    \b
    Examples:
      etalon sync                       every channel
      etalon sync web-be                only this one
      etalon sync --plan-only           what would be written; then: etalon plans list
    """
    with showing_progress() as report:
        runtime = open_runtime(report)
        summary = run_sync(runtime, channels or [], plan_only=plan_only)
    if not show_sync(runtime, summary, channels or [], plan_only=plan_only):
        raise typer.Exit(1)


def show_sync(runtime: Runtime, summary: RunSummary, codes: list[str], *, plan_only: bool) -> bool:
    """One row per channel and subject, then what holds plans and what failed. Whether all is well."""
    operations = runtime.operations
    plans = operations.plans.find(run_id=summary.run_id)
    held = [plan for plan in operations.plans.find(statuses=("held",)) if not codes or plan.channel_code in codes]
    written = operations.receipts.of_run(summary.run_id)
    listed = table(
        f"Sync {summary.run_id[:8]}",
        "channel",
        "planned",
        "held",
        *(outcome.replace("_", " ") for outcome in OUTCOMES),
        right=("planned", "held", *(outcome.replace("_", " ") for outcome in OUTCOMES)),
    )
    for channel in written_channels(runtime):
        if codes and channel.code not in codes:
            continue
        outcomes = Counter(receipt.outcome for receipt in written if receipt.channel_code == channel.code)
        listed.add_row(
            channel.code,
            f"{sum(plan.lines_qty for plan in plans if plan.channel_code == channel.code):,}",
            f"{sum(plan.lines_qty for plan in held if plan.channel_code == channel.code):,}",
            *(f"{outcomes[outcome]:,}" for outcome in OUTCOMES),
        )
    console.print(listed)
    show_reasons(held)
    for plan in held:
        console.print(f"Waits for a person: {plan.plan_id} (`etalon plans show`, then `approve` or `reject`).")
    for step, message in summary.errors.items():
        console.print(f"[bold red]{step}[/]: {escape(message)}", soft_wrap=True)
    for check in summary.failed_checks:
        if check.is_error:
            console.print(f"[bold red]{check.asset}[/]: {escape(check.detail)}", soft_wrap=True)
    if plan_only:
        console.print("Nothing was written: `etalon sync` writes what no guard holds.")
    return summary.is_good and not held
