"""`etalon orders`: orders on their way to the systems that book them, sending them now, and asking for one to be sent again."""

from __future__ import annotations

import typer
from rich.markup import escape

from assets.orders import sending_systems
from assets.runtime import Runtime
from orchestration.cli.environment import open_runtime
from orchestration.cli.plans import BY, login_name
from orchestration.cli.terminal import console, showing_progress, table
from orchestration.runs import run_orders
from resources.errors import ConfigurationError, Where
from resources.operations.order_messages import OrderKey, OrderMessage

app = typer.Typer(help="Orders on their way to the ERP: look at them, send them, send one again.", no_args_is_help=True)

STATES = ("to_send", "sent", "acknowledged", "refused", "failed")
CHANNEL = typer.Argument(help="The channel that sold it, by its code.", metavar="CHANNEL")
NUMBER = typer.Argument(help="The order's number, as people quote it.", metavar="ORDER")
SYSTEM = typer.Option("", "--system", help="The system that gets it; needed only when several get orders.")


@app.command("list")
def list_(
    state: str = typer.Option("", "--state", help=f"Only those that are: {', '.join(STATES)}."),
    channel: str = typer.Option("", "--channel", help="Only of this channel."),
    system: str = typer.Option("", "--system", help="Only to this system."),
    limit: int = typer.Option(30, min=1, help="How many to show, the latest change first."),
) -> None:
    """List orders that were sent or are to be, with their state: sent, acknowledged, refused by the system, failed before they left.

    \b
    Examples:
      etalon orders list
      etalon orders list --state refused
      etalon orders list --channel web-fr --limit 100
    """
    if state and state not in STATES:
        raise ConfigurationError(
            f"{state} is no state", where=Where(field="--state"), action=f"use one of {', '.join(STATES)}"
        )
    runtime = open_runtime()
    messages = runtime.operations.order_messages
    counts = table("Orders by state", "system", *STATES, right=STATES)
    by_state = messages.counts(system or None)
    for code in sorted({code for code, _ in by_state}):
        counts.add_row(code, *(f"{by_state.get((code, name), 0):,}" for name in STATES))
    console.print(counts)
    found = messages.select(system_code=system or None, state=state or None, channel_code=channel or None, limit=limit)
    listed = table("The latest", "system", "channel", "order", "state", "since", "file", "reason")
    for order in found:
        listed.add_row(
            order.system_code,
            order.channel_code,
            escape(order.order_number),
            _state(order),
            f"{order.updated_at:%Y-%m-%d %H:%M} UTC",
            order.file or "",
            escape(order.reason),
        )
    if listed.row_count:
        console.print(listed)


@app.command()
def show(channel: str = CHANNEL, number: str = NUMBER, system: str = SYSTEM) -> None:
    """Show one order: what it is, the file it went in, and every change of its state with who made it and why.

    \b
    Example:
      etalon orders show web-fr XKBKNABJK
    """
    runtime = open_runtime()
    order = _order(runtime, channel, number, system)
    facts = table(f"Order {order.order_number}", "what", "value")
    for name, value in (
        ("system", order.system_code),
        ("channel", order.channel_code),
        ("in its shop", f"{order.source_system_code} {order.source_external_id}"),
        ("placed", f"{order.ordered_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("state", _state(order)),
        ("file", order.file or ""),
        ("times sent", str(order.attempts)),
        ("reason", order.reason),
    ):
        facts.add_row(name, escape(value))
    console.print(facts)
    history = table("What happened", "at", "state", "by", "file", "reason")
    for event in runtime.operations.order_messages.history(order.system_code, order.key):
        history.add_row(
            f"{event.at:%Y-%m-%d %H:%M:%S} UTC", event.state, escape(event.by), event.file or "", escape(event.reason)
        )
    console.print(history)


@app.command()
def resend(
    channel: str = CHANNEL,
    number: str = NUMBER,
    reason: str = typer.Option(..., help="Why it will be taken this time; kept beside it."),
    by: str = BY,
    system: str = SYSTEM,
) -> None:
    """Ask for a refused or failed order to be sent again, with the next transmission. One that is on its way or booked is never sent
    twice.

    \b
    Example:
      etalon orders resend web-fr XKBKNABJK --reason "the article is unblocked, says the ERP's team"
    """
    if not reason.strip():
        raise ConfigurationError("a reason is needed", where=Where(field="--reason"), action="say what has changed")
    runtime = open_runtime()
    order = _order(runtime, channel, number, system)
    runtime.operations.order_messages.resend(
        order.system_code,
        order.key,
        by=by or login_name(),
        reason=reason.strip(),
        now=runtime.settings.clock()(),
    )
    console.print(
        f"{order.order_number} goes out with the next file: `etalon orders send`, or by itself.", markup=False
    )


@app.command()
def send() -> None:
    """Send now what waits, instead of waiting for the sensor; take in what was answered as of the last run.

    \b
    Example:
      etalon orders send
    """
    with showing_progress() as report:
        runtime = open_runtime(report)
        summary = run_orders(runtime)
    for step, error in summary.errors.items():
        console.print(f"{step}: {error}", style="bold red", markup=False)
    counts = runtime.operations.order_messages.counts()
    told = ", ".join(f"{quantity:,} {state} ({code})" for (code, state), quantity in sorted(counts.items()))
    console.print(told or "No order was ever sent.", markup=False)
    if not summary.is_good:
        raise typer.Exit(1)


def _state(order: OrderMessage) -> str:
    return f"{order.state}, then cancelled in the shop" if order.cancelled_at is not None else order.state


def _order(runtime: Runtime, channel: str, number: str, system: str) -> OrderMessage:
    codes = [system] if system else [found.code for found in sending_systems(runtime)]
    found = [
        order
        for code in codes
        if (order := runtime.operations.order_messages.get(code, OrderKey(channel, number))) is not None
    ]
    if len(found) != 1:
        raise ConfigurationError(
            f"order {number} of {channel} is on its way to {'several systems' if found else 'no system'}",
            where=Where(field="--system" if found else "ORDER"),
            action="name the system" if found else "`etalon orders list` shows those that are",
        )
    return found[0]
