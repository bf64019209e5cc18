"""`etalon incidents`: what is wrong now, what it touches, what to do, and what was told about it."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime, timedelta

import typer
from rich.markup import escape

from assets.operations import look_around
from orchestration.cli.environment import open_runtime
from orchestration.cli.terminal import console, table
from orchestration.definitions import asset_impact
from resources.errors import ConfigurationError, Where
from resources.operations.incidents import Incident

app = typer.Typer(help="What is wrong now, since when, what it touches and what to do.", invoke_without_command=True)

_COLOUR = {"error": "[bold red]error[/]", "warning": "[yellow]warning[/]"}
_ID = typer.Argument(help="The incident's number, from `etalon incidents`.", metavar="ID")
_BY = typer.Option("", "--by", help="Who decides; the user of this machine when left out.")


@app.callback()
def default(context: typer.Context) -> None:
    """Look at how things stand and list what is wrong; the same as `etalon incidents list`.

    \b
    Exit code: 0 nothing is wrong (or it is muted); 1 something is.

    \b
    Examples:
      etalon incidents
      etalon incidents list --all
      etalon incidents show 12
    """
    if context.invoked_subcommand is None:
        list_(is_all=False, days=7, look=True)


@app.command("list")
def list_(
    is_all: bool = typer.Option(False, "--all", help="Also those that are over."),
    days: int = typer.Option(7, min=1, help="With --all: seen in the last so many days."),
    look: bool = typer.Option(
        True, "--look/--no-look", help="Look at how things stand first, or show what was found last."
    ),
) -> None:
    """List what is wrong: where it lies, since when, and what to do.

    \b
    Exit code: 0 nothing is wrong (or it is muted); 1 something is.

    \b
    Examples:
      etalon incidents list
      etalon incidents list --all --days 30
    """
    runtime = open_runtime()
    if look:
        look_around(runtime, asset_impact(runtime))
    now = runtime.settings.clock()()
    found = runtime.operations.incidents.find(
        status=None if is_all else "open", since_at=now - timedelta(days=days) if is_all else None
    )
    is_wrong = any(one.status == "open" and not one.is_muted(now) for one in found)
    if not found:
        console.print("Nothing is wrong.")
        return
    listed = table("Incidents", "id", "severity", "kind", "where", "since (UTC)", "what", "what to do", right=("id",))
    for one in sorted(found, key=lambda one: (one.status != "open", one.severity, -one.incident_id)):
        state = _state(one, now)
        listed.add_row(
            str(one.incident_id),
            _COLOUR[one.severity] if state == "open" else f"[dim]{state}[/]",
            one.kind,
            escape(one.origin),
            f"{one.since_at:%Y-%m-%d %H:%M}",
            escape(one.what),
            escape(one.action),
        )
    console.print(listed)
    console.print("`etalon incidents show ID` shows what one touches and what was told about it.")
    if is_wrong:
        raise typer.Exit(1)


@app.command()
def show(incident_id: int = _ID) -> None:
    """Show one incident: its origin, what it touches downstream, its evidence, and what was told about it.

    \b
    Example:
      etalon incidents show 12
    """
    runtime = open_runtime()
    one = runtime.operations.incidents.get(incident_id)
    if one is None:
        raise _unknown(incident_id)
    now = runtime.settings.clock()()
    facts = table(f"Incident {one.incident_id}", "what", "value")
    for name, value in (
        ("state", _state(one, now)),
        ("kind", one.kind),
        ("severity", one.severity),
        ("where", one.origin),
        ("what", one.what),
        ("what to do", one.action),
        ("since", one.since_at),
        ("noticed", one.opened_at),
        ("last seen", one.last_seen_at),
        ("over", one.closed_at),
        ("times", one.occurrences_qty),
        ("came back", one.reopened_qty or None),
        ("muted until", one.muted_until_at),
        ("by", one.handled_by),
        ("note", one.note),
        *((f"touches {part.partition(' ')[0]}", part) for part in str(one.impact).split("; ") if part),
        *one.evidence.items(),
    ):
        if value not in (None, ""):
            facts.add_row(str(name), escape(str(value)))
    console.print(facts)
    changes = table("What changed", "change", "at (UTC)", "told")
    for change, at, state in runtime.operations.incidents.changes(incident_id):
        changes.add_row(change, f"{at:%Y-%m-%d %H:%M:%S}", state)
    if changes.row_count:
        console.print(changes)


@app.command()
def mute(
    incident_id: int = _ID,
    hours: float = typer.Option(8.0, min=0.1, help="For how long."),
    until: str = typer.Option("", help="Instead of --hours: until an instant with its zone, like 2026-05-18T08:00Z."),
    note: str = typer.Option("", help="Why; kept beside it."),
    by: str = _BY,
) -> None:
    """Send no message about an incident for some time. It stays open, and if it lasts, a reminder comes when the time is over.

    \b
    Examples:
      etalon incidents mute 12 --hours 4 --note "the shop is being moved"
      etalon incidents mute 12 --until 2026-05-18T08:00Z
    """
    runtime = open_runtime()
    now = runtime.settings.clock()()
    until_at = _instant(until) if until else now + timedelta(hours=hours)
    if until_at <= now:
        raise ConfigurationError(
            "the instant is past", where=Where(field="--until"), action="name one that is still to come"
        )
    if not runtime.operations.incidents.mute(incident_id, until_at=until_at, by=by or getpass.getuser(), note=note):
        raise _unknown(incident_id, "open ")
    console.print(f"Incident {incident_id} is muted until {until_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC.")


@app.command()
def accept(
    incident_id: int = _ID,
    note: str = typer.Option(..., help="Why it is dealt with; kept beside it."),
    by: str = _BY,
) -> None:
    """Say that an incident is dealt with although its condition lasts: a refused file that came again under another number, say.
    It stays silent until the same trouble begins anew.

    \b
    Example:
      etalon incidents accept 12 --note "sent again as number 43"
    """
    runtime = open_runtime()
    done = runtime.operations.incidents.accept(
        incident_id, by=by or getpass.getuser(), note=note, now=runtime.settings.clock()()
    )
    if not done:
        raise _unknown(incident_id, "open ")
    console.print(f"Incident {incident_id} is accepted as dealt with.")


def _state(one: Incident, now: datetime) -> str:
    return "muted" if one.status == "open" and one.is_muted(now) else one.status


def _instant(text: str) -> datetime:
    try:
        instant: datetime | None = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise ConfigurationError(
            f"{text!r} is no instant with a zone",
            where=Where(field="--until"),
            action="write it like 2026-05-18T08:00Z",
        )
    return instant


def _unknown(incident_id: int, which: str = "") -> ConfigurationError:
    return ConfigurationError(
        f"there is no {which}incident {incident_id}",
        where=Where(field="ID"),
        action="`etalon incidents list --all` lists them",
    )
