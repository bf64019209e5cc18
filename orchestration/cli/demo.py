"""`etalon demo`: a retailer in a box, read, measured, and compared with the truth."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import typer
from rich.markup import escape

from orchestration.cli.plans import plans_table, show_reasons
from orchestration.cli.run import show_summary
from orchestration.cli.terminal import console, errors, mark, showing_progress, table

if TYPE_CHECKING:
    from orchestration.demo import DemoOutcome
    from orchestration.demo_orders import DemoOrders
    from orchestration.demo_sync import DemoSync
    from orchestration.verification import Comparison

SHOWN_DIFFERENCES = 30


def demo(
    seed: int = typer.Option(7, help="Another seed is another retailer."),
    scale: float = typer.Option(1.0, min=0.1, help="1 is about 5,000 variants and 20,000 orders."),
    serve: bool = typer.Option(
        False,
        "--serve",
        help="Keep the sandbox's shops up until Ctrl-C, so that `etalon run` and `etalon check` can reach them.",
    ),
    recorded: bool = typer.Option(
        False,
        "--recorded",
        help="Play two recorded real shops instead (examples/recorded), and compare with figures worked out by hand.",
    ),
    folder: Path = typer.Option(Path("data/demo"), help="Where everything goes. It is emptied first."),
) -> None:
    """Invent a retailer, serve its systems, run the main job on them, compare every figure with the truth, and put its shops right.

    \b
    The sandbox plants known defects: wrong stocks and prices, late orders, broken rows, a file that lies. Some checks are
    therefore red; the comparison at the end says whether everything was found exactly.

    Then orders that the ERP does not know are sent to it and it answers, and the shops are synced: what waits for a person is
    approved by "demo", the shops are read again, and their wrong stocks and prices are gone. `etalon plans revert` puts them back.

    \b
    Exit code: 0 everything equals the truth and the shops are right; 1 something differs or the run stopped.

    \b
    Examples:
      etalon demo
      etalon demo --seed 11
      etalon demo --recorded           a real PrestaShop and a real WooCommerce, as they were recorded
      etalon demo --serve              then, in another terminal: etalon run; etalon check shop_fr
      etalon ui                        look at what the demo left
    """
    # They alone know the sandbox, which other commands do not need.
    from orchestration.demo import run_demo
    from orchestration.recorded import run_recorded

    with ExitStack() as stack:
        with showing_progress() as report:
            outcome = stack.enter_context(
                run_recorded(folder.absolute(), root=Path.cwd(), report=report)
                if recorded
                else run_demo(folder.absolute(), root=Path.cwd(), seed=seed, scale=scale, report=report)
            )
        show_outcome(outcome)
        if serve:
            errors.print("The shops are up; Ctrl-C ends them.")
            with suppress(KeyboardInterrupt):
                Event().wait()
    if not outcome.is_good:
        raise typer.Exit(1)


def show_outcome(outcome: DemoOutcome) -> None:
    """The run, then what was compared, then where to look."""
    show_summary(outcome.summary)
    if outcome.comparison is not None:
        show_comparison(outcome.comparison)
    if outcome.sync is not None:
        show_sync(outcome.sync)
    if outcome.orders is not None:
        show_orders(outcome.orders)
    verdict = (
        "[bold green]equals the truth[/]"
        if outcome.is_measured_right
        else "[bold red]stopped before it could be compared[/]"
        if outcome.comparison is None
        else "[bold red]differs from the truth[/]"
    )
    console.print(
        f"The demo {verdict}. Sandbox {outcome.sandbox_seconds:.1f} s, all in all {outcome.seconds:.1f} s. "
        f"Everything is in {outcome.folder}."
    )
    if outcome.sync is not None:
        console.print(
            "Its shops [bold green]are right now[/], and a second sync wrote nothing."
            if outcome.sync.is_good
            else "Its shops [bold red]are not right[/] after their sync."
        )
    if outcome.orders is not None:
        console.print(
            "Its ERP [bold green]knows each order once[/]; those it refused are on the work list."
            if outcome.orders.is_good
            else "Its ERP and Étalon [bold red]do not agree[/] on the orders sent."
        )
    console.print(
        "Next: `etalon kpis`, `etalon plans list --status all`, `etalon orders list`, `etalon quarantine list`, `etalon ui`."
    )


def show_sync(synced: DemoSync) -> None:
    """What was held and approved, what was written, and what a new reading of the shops says."""
    show_reasons(synced.held)
    console.print(plans_table("Written to the shops (what waited was approved by the demo)", synced.plans))
    wrong = table(
        "Wrong listings, as read from the shops", "KPI", "channel", "before", "after", right=("before", "after")
    )
    for (kpi, channel), before in synced.wrong_before.items():
        wrong.add_row(kpi, channel, f"{before:,}", f"{synced.wrong_after[kpi, channel]:,}")
    wrong.add_row("values written by a second sync", "all", "", f"{synced.again_qty:,}")
    console.print(wrong)
    for run in (synced.first, synced.reading, synced.again):
        for step, message in run.errors.items():
            console.print(f"[bold red]{step}[/]: {escape(message)}", soft_wrap=True)


def show_orders(orders: DemoOrders) -> None:
    """Orders sent to the ERP, what it decided, and what we know of them after the next reading."""
    states = orders.states or {}
    listed = table("Web orders sent to the ERP", "what", "orders", right=("orders",))
    for what, quantity in (
        ("sent, which the ERP did not know", orders.sent_qty),
        ("booked by the ERP", orders.decisions.get("booked", 0)),
        ("refused by the ERP", orders.decisions.get("refused", 0)),
        ("came twice", orders.decisions.get("duplicate", 0)),
        ("known here as acknowledged", states.get("acknowledged", 0)),
        ("known here as refused, with its reason", states.get("refused", 0)),
    ):
        listed.add_row(what, f"{quantity:,}")
    console.print(listed)
    for run in (orders.sending, orders.taken_in):
        for step, message in ({} if run is None else run.errors).items():
            console.print(f"[bold red]{step}[/]: {escape(message)}", soft_wrap=True)


def show_comparison(comparison: Comparison) -> None:
    """What was compared, and the first differences."""
    compared = table("Measured against the truth", "what", "rows", "differences", "", right=("rows", "differences"))
    for subject in comparison.subjects:
        compared.add_row(
            subject.name, f"{subject.rows_qty:,}", str(subject.differences_qty), mark(not subject.differences_qty)
        )
    console.print(compared)
    if not comparison.differences:
        return
    listed = table("Differences", "where", "row", "column", "truth", "found")
    for difference in comparison.differences[:SHOWN_DIFFERENCES]:
        listed.add_row(*(escape(str(part)) for part in difference))
    console.print(listed)
    hidden = len(comparison.differences) - SHOWN_DIFFERENCES
    if hidden > 0:
        console.print(f"… and {hidden} more, all of them in differences.tsv.")
