"""`etalon run`: one run of the main job, here and now."""

from __future__ import annotations

import typer
from rich.markup import escape

from assets.runtime import build_runtime
from orchestration.cli.environment import open_settings
from orchestration.cli.terminal import console, mark, showing_progress, table
from orchestration.runs import RunSummary, run_job


def run(
    full: bool = typer.Option(
        False, "--full/--incremental", help="Read every system whole, or what changed since the last complete reading."
    ),
    select: str = typer.Option(
        "",
        help='Only these assets, in Dagster\'s selection language: kpis/kpi_value, group:referentials, +key:"publication/bi" '
        "(with everything before it).",
        metavar="SELECTION",
    ),
    engine: str = typer.Option(
        "",
        help="What builds the SQL models: duckdb (here) or spark (docs/scale.md). By default ETALON_ENGINE, else duckdb.",
        metavar="duckdb|spark",
    ),
    remote: str = typer.Option(
        "", help="Address of the Spark Connect endpoint. By default ETALON_SPARK_REMOTE.", metavar="sc://HOST:PORT"
    ),
) -> None:
    """Read the systems, load, build, check, publish. The run shows in the UI like any other.

    \b
    Exit code: 0 all good; 1 something was read incompletely, failed, or a check of severity error did not pass;
    2 the command or the configuration is wrong.

    \b
    Examples:
      etalon run                              what changed, in one hour's rhythm
      etalon run --full                       everything, deletes included
      etalon run --select group:sources       only read
      etalon run --select 'key:"kpis/*"'      only rebuild the KPIs
      etalon run --engine spark --remote sc://spark.example.org:15002
    """
    with showing_progress() as report:
        settings = open_settings().with_engine(engine or None, remote or None)
        summary = run_job(build_runtime(settings, report=report), full=full, select=select or None)
    show_summary(summary)
    if not summary.is_good:
        raise typer.Exit(1)


def show_summary(summary: RunSummary) -> None:
    """Stages with their times, then what did not pass, then one line that says it all."""
    stages = table(f"Run {summary.run_id[:8]} ({summary.job})", "stage", "seconds", "", right=("seconds",))
    for step in summary.steps:
        stages.add_row(step.step, f"{step.seconds:.1f}", mark(step.is_ok))
    stages.add_section()
    stages.add_row("all", f"{sum(step.seconds for step in summary.steps):.1f}", "")
    console.print(stages)
    for step_name, message in summary.errors.items():
        console.print(f"[bold red]{step_name}[/]: {escape(message)}", soft_wrap=True)
    if summary.failed_checks:
        failed = table("Checks that did not pass", "severity", "asset", "check", "what")
        for check in sorted(summary.failed_checks, key=lambda check: (not check.is_error, check.asset, check.check)):
            severity = "[bold red]error[/]" if check.is_error else "[yellow]warning[/]"
            failed.add_row(severity, check.asset, check.check, escape(check.detail))
        console.print(failed)
    errors_qty = sum(check.is_error for check in summary.failed_checks)
    warnings_qty = len(summary.failed_checks) - errors_qty
    verdict = "[bold green]All good[/]" if summary.is_good else "[bold red]Not all good[/]"
    console.print(
        f"{verdict}: {len(summary.materialized)} assets, {summary.checks_qty} checks, {errors_qty} errors, {warnings_qty} warnings."
        + ("" if summary.is_finished else " The run stopped early; what was published before is still there.")
    )
