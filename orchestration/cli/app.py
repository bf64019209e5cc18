"""The command tree of `etalon`, and how errors reach a person. Each command is in its own file."""

from __future__ import annotations

import sys

import typer

from orchestration.cli import (
    backfill,
    backup,
    check,
    demo,
    exchanges,
    files,
    hooks,
    incidents,
    keys,
    kpis,
    letters,
    orders,
    plans,
    privacy,
    prune,
    quarantine,
    run,
    sync,
    systems,
    ui,
    up,
    worker,
)
from orchestration.cli.terminal import errors
from resources.errors import EtalonError

INTRODUCTION = """
Étalon reads a retailer's systems, builds one referential and measures the four KPIs.

\b
First steps:
  etalon demo             a retailer in a box, measured against its truth
  etalon ui               look at it: graph, checks, metadata
\b
Going live:
  etalon keys new         the secret that personal data depends on
  etalon systems          what each system shows, and what it hides
  etalon check shop_fr    does the key work, do the rows fit?
  etalon run --full       read everything, rebuild, publish
  etalon backfill         a long history by period, several processes at once
  etalon up               all of it as a service, with the fast lane and webhooks
  etalon worker           the fast lane alone: sales change the shops at once
  etalon hooks            the receiver of shops' webhooks alone
\b
Day to day:
  etalon run              what changed since the last run
  etalon sync             write to the channels what they should show
  etalon plans list       what waits for a person, and why
  etalon letters list     writes that were given up, and why
  etalon orders list      orders on their way to the ERP, and what became of them
  etalon incidents        what is wrong now, what it touches, what to do
  etalon exchanges list   what crossed between us and each system
  etalon kpis             values against targets
  etalon quarantine list  rows that were refused, and why
  etalon files list       what came, what was refused, what never came
  etalon prune            room on disk: what is loaded and old goes
  etalon privacy erase    forget a person, and prove it
  etalon backup FOLDER    copy everything, while it runs; `etalon restore` puts it back

Settings come from the environment and from the file .env (docs/retailer.md lists them).
"""

app = typer.Typer(
    name="etalon",
    help=INTRODUCTION,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("demo")(demo.demo)
app.command("run")(run.run)
app.command("backfill")(backfill.backfill)
app.command("systems")(systems.systems)
app.command("check")(check.check)
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(files.app, name="files")
app.command("prune")(prune.prune)
app.add_typer(privacy.app, name="privacy")
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
app.command("sync")(sync.sync)
app.add_typer(plans.app, name="plans")
app.add_typer(letters.app, name="letters")
app.add_typer(orders.app, name="orders")
app.add_typer(incidents.app, name="incidents")
app.add_typer(exchanges.app, name="exchanges")
app.command("kpis")(kpis.kpis)
app.command("ui")(ui.ui)
app.command("up")(up.up)
app.command("worker")(worker.worker)
app.add_typer(hooks.app, name="hooks")
app.add_typer(keys.app, name="keys")


def main() -> None:
    """Entry point: an expected error is told in three lines and ends with code 2, a programming error keeps its trace."""
    try:
        app()
    except EtalonError as error:
        errors.print(f"[bold red]{error.what}[/]", soft_wrap=True)
        if str(error.where):
            errors.print(f"  where: {error.where}", soft_wrap=True, markup=False)
        if error.action:
            errors.print(f"  next:  {error.action}", soft_wrap=True, markup=False)
        sys.exit(2)
