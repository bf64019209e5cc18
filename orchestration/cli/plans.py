"""`etalon plans`: what a sync would write, what waits for a person, and the person's decision."""

from __future__ import annotations

import os
import pwd
from collections.abc import Sequence
from enum import StrEnum
from uuid import uuid4

import typer
from rich.markup import escape
from rich.table import Table

from assets.progress import Progress, Reporter
from assets.runtime import Runtime
from orchestration.cli.environment import open_runtime
from orchestration.cli.terminal import console, showing_progress, table
from resources.contracts.currencies import major_text
from resources.operations.plans import Plan, PlanLine, PlanStatus
from resources.operations.receipts import Receipt
from resources.sync.applying import ApplySummary
from resources.sync.deciding import Decider
from resources.sync.guards import shown

app = typer.Typer(help="Look at plans of the channel sync, and decide those that wait.", no_args_is_help=True)


class Shown(StrEnum):
    """Which plans to show."""

    OPEN = "open"
    HELD = "held"
    APPLIED = "applied"
    REJECTED = "rejected"
    SUPERSEDED = "superseded"
    REVERTED = "reverted"
    ALL = "all"


_STATUSES: dict[Shown, Sequence[PlanStatus] | None] = {
    Shown.OPEN: ("held", "approved", "applying", "applied_with_errors"),
    Shown.HELD: ("held",),
    Shown.APPLIED: ("applied", "applied_with_errors"),
    Shown.REJECTED: ("rejected",),
    Shown.SUPERSEDED: ("superseded",),
    Shown.REVERTED: ("reverted",),
    Shown.ALL: None,
}

PLAN = typer.Argument(help="The plan's id, or its beginning, from `etalon plans list`.", metavar="PLAN")
BY = typer.Option("", "--by", help="Who decides; your login name by default. It is recorded.")
NOTE = typer.Option("", "--note", help="Why. It is recorded.")


def login_name() -> str:
    """Who is at the terminal: the account's name, which no variable can change."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"user {os.getuid()}"  # an account without a name, as in a container


@app.command("list")
def list_(
    channel: str = typer.Option("", "--channel", help="Only of this channel, by its code in retailer.yaml."),
    status: Shown = typer.Option(
        Shown.OPEN, help="Which plans: `open` is what waits, is under way or ended with errors."
    ),
    limit: int = typer.Option(50, min=1, help="How many to show, newest first."),
) -> None:
    """List plans: what they would write or wrote, what is at risk, and what holds them.

    \b
    Examples:
      etalon plans list
      etalon plans list --channel web-be --status all
      etalon plans list --status applied        what can be reverted
    """
    runtime = open_runtime()
    plans = runtime.operations.plans.find(channel_code=channel or None, statuses=_STATUSES[status], limit=limit)
    if not plans:
        console.print("No such plan." if status is not Shown.OPEN else "No plan waits, none is under way.")
        return
    console.print(plans_table("Plans, newest first", plans))
    if any(plan.status == "held" for plan in plans):
        console.print("`etalon plans show PLAN` says what holds it; then `etalon plans approve PLAN` or `reject`.")


@app.command()
def show(
    plan_id: str = PLAN,
    limit: int = typer.Option(50, min=1, help="How many lines to show, those with most value at risk first."),
) -> None:
    """Show one plan: what holds it, its lines, and what became of each.

    \b
    Examples:
      etalon plans show web-be-price-20260518-100000-3f2a1c
      etalon plans show web-be-price --limit 500
    """
    runtime = open_runtime()
    plan = runtime.operations.plans.get(plan_id)
    facts = table(f"Plan {plan.plan_id}", "what", "value")
    for name, value in (
        ("channel", f"{plan.channel_code} (system {plan.system_code})"),
        ("subject", plan.subject),
        ("status", plan.status.replace("_", " ")),
        ("origin", plan.origin if plan.reverts_plan_id is None else f"reverts {plan.reverts_plan_id}"),
        ("lines", f"{plan.lines_qty:,}"),
        ("units at risk", f"{plan.units_at_risk:,}"),
        ("value at risk", money(plan.value_at_risk_minor, plan.currency_code)),
        ("planned at", f"{plan.created_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("decided", f"by {plan.decided_by} at {plan.decided_at:%Y-%m-%d %H:%M:%S} UTC" if plan.decided_at else ""),
        ("note", plan.note),
        ("outbox", ", ".join(f"{quantity} {state}" for state, quantity in sorted(plan.counts.items()))),
    ):
        if value:
            facts.add_row(name, escape(value))
    console.print(facts)
    show_reasons([plan])
    answers: dict[object, Receipt] = {
        receipt.value_key: receipt for receipt in runtime.operations.receipts.of_plan(plan.plan_id)
    }
    lines = runtime.operations.plans.lines(plan.plan_id)
    shown_lines = sorted(lines, key=lambda line: (-line.value_at_risk_minor, line.write_key))[:limit]
    listed = table(
        f"Lines ({len(lines):,})",
        "item",
        "sku",
        "attribute",
        "before",
        "after",
        "value",
        "why",
        "became",
        right=("value",),
    )
    for line in shown_lines:
        listed.add_row(
            escape(line.external_id),
            escape(line.sku),
            line.attribute,
            escape(shown(line.before)),
            escape(shown(line.after)),
            money(line.value_at_risk_minor, line.currency_code),
            escape(line.reason),
            escape(_became(line, answers.get(line.write_key))),
        )
    console.print(listed)
    if len(lines) > limit:
        console.print(f"… and {len(lines) - limit:,} more: --limit {len(lines)}.")


@app.command()
def approve(plan_id: str = PLAN, by: str = BY, note: str = NOTE) -> None:
    """Let a plan that waits be written, and write it now. What moved on the channel meanwhile is left alone.

    \b
    Exit code: 0 everything was written; 1 something was refused or waits; 2 the plan does not wait.

    \b
    Examples:
      etalon plans approve web-be-price-20260518-100000-3f2a1c --note "prices checked with purchasing"
    """
    with showing_progress() as report:
        runtime = open_runtime(report)
        plan, summary = _decider(runtime, by, note, report).approve(
            plan_id, retailer=runtime.retailer, data_dir=runtime.settings.data_dir
        )
    _show_written(plan, summary)


@app.command()
def reject(plan_id: str = PLAN, by: str = BY, note: str = NOTE) -> None:
    """Refuse a plan that waits: nothing of it is written. The same content is not proposed again until it changes.

    \b
    Examples:
      etalon plans reject web-be-price-20260518-100000-3f2a1c --note "the price file is wrong"
    """
    plan = _decider(open_runtime(), by, note).reject(plan_id)
    console.print(
        f"Plan {plan.plan_id} is rejected by {escape(plan.decided_by or '')}. Mend the source: it is planned anew."
    )


@app.command()
def revert(
    plan_id: str = PLAN,
    by: str = BY,
    note: str = NOTE,
    is_approved: bool = typer.Option(False, "--approve", help="Write it also when a guard would hold it."),
) -> None:
    """Take an applied plan back: write the values that it found before. Values that something else wrote since are left alone.

    \b
    Exit code: 0 everything was written back; 1 something was refused, or the revert waits; 2 there is nothing to take back.

    \b
    Examples:
      etalon plans revert web-be-stock-20260518-100000-77aa01
      etalon plans revert web-be-stock-20260518-100000-77aa01 --approve --note "wrong stock file"
    """
    with showing_progress() as report:
        runtime = open_runtime(report)
        plan, summary = _decider(runtime, by, note, report).revert(
            runtime.retailer, runtime.settings.data_dir, plan_id, is_approved=is_approved
        )
    skipped = [line for line in runtime.operations.plans.lines(plan.plan_id) if line.skipped]
    if skipped:
        listed = table("Left alone: they moved since", "item", "attribute", "why")
        for line in skipped:
            listed.add_row(escape(line.external_id), line.attribute, escape(line.skipped or ""))
        console.print(listed)
    if summary is None:
        show_reasons([plan])
        console.print(f"The revert waits: `etalon plans approve {plan.plan_id}`.")
        raise typer.Exit(1)
    _show_written(plan, summary)


def plans_table(title: str, plans: Sequence[Plan]) -> Table:
    """Plans, one a row."""
    listed = table(
        title, "plan", "subject", "status", "lines", "units", "value", "held by", right=("lines", "units", "value")
    )
    for plan in plans:
        listed.add_row(
            plan.plan_id,
            plan.subject,
            plan.status.replace("_", " "),
            f"{plan.lines_qty:,}",
            f"{plan.units_at_risk:,}",
            money(plan.value_at_risk_minor, plan.currency_code),
            ", ".join(reason.guard.replace("_", " ") for reason in plan.held_reasons) if plan.status == "held" else "",
        )
    return listed


def show_reasons(plans: Sequence[Plan]) -> None:
    """What each guard measured, its limit, some lines and what to do."""
    reasons = [(plan, reason) for plan in plans for reason in plan.held_reasons]
    if not reasons:
        return
    listed = table("Held by", "plan", "what", "measured", "limit", "examples", "what to do")
    for plan, reason in reasons:
        listed.add_row(
            plan.subject,
            reason.what,
            escape(reason.measured),
            escape(reason.limit),
            escape("\n".join(reason.examples[:3])),
            escape(reason.action),
        )
    console.print(listed)


def show_outcomes(summary: ApplySummary) -> None:
    """How many writes ended how, and what the system said of those it did not take."""
    told = ", ".join(
        f"{quantity:,} {outcome.replace('_', ' ')}" for outcome, quantity in sorted(summary.outcomes.items())
    )
    console.print(f"{summary.target}: {told or 'nothing to write'}.")
    bad = [(row, result) for row, result in summary.results if result.outcome in ("refused", "not_kept", "retry")]
    if bad:
        listed = table("Not written", "item", "attribute", "wanted", "outcome", "the system's words")
        for row, result in bad[:20]:
            listed.add_row(
                escape(row.external_id),
                row.attribute,
                escape(shown(row.after)),
                result.outcome.replace("_", " "),
                escape(result.reason),
            )
        console.print(listed)
    if summary.error:
        console.print(f"[bold red]Stopped[/]: {escape(summary.error)}", soft_wrap=True)


def money(minor: int, currency_code: str) -> str:
    """Minor units as a person reads them."""
    return f"{major_text(minor, currency_code, thousands=',')} {currency_code}".strip() if minor else ""


def _show_written(plan: Plan, summary: ApplySummary) -> None:
    show_outcomes(summary)
    console.print(f"Plan {plan.plan_id} is {plan.status.replace('_', ' ')}.")
    if not summary.is_good:
        console.print("`etalon letters list` shows what was given up; what waits is tried again by the next sync.")
        raise typer.Exit(1)


def _became(line: PlanLine, receipt: Receipt | None) -> str:
    if line.skipped:
        return f"left alone: {line.skipped}"
    if receipt is None:
        return ""
    told = receipt.outcome.replace("_", " ")
    if receipt.outcome == "moved" and receipt.is_found:
        told += f" (found {shown(receipt.found)})"
    if receipt.outcome == "not_kept" and receipt.is_read_back:
        told += f" (reads {shown(receipt.read_back)})"
    return f"{told}: {receipt.reason}" if receipt.reason else told


def _decider(runtime: Runtime, by: str, note: str, report: Reporter | None = None) -> Decider:
    def tell(done: int) -> None:
        if report is not None:
            report(Progress("write", f"{done} written", done, 0))

    return Decider(
        runtime.operations,
        runtime.connectors,
        runtime.settings.clock(),
        by=by or login_name(),
        note=note,
        run_id=f"decision-{uuid4().hex[:12]}",
        report=tell,
    )
