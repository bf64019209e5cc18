"""`etalon letters`: writes that were given up, why, and their second chance."""

from __future__ import annotations

import typer
from rich.markup import escape

from orchestration.cli.environment import open_runtime
from orchestration.cli.plans import BY, login_name
from orchestration.cli.terminal import console, table
from resources.errors import PermanentError, Where
from resources.sync.guards import shown

app = typer.Typer(help="Look at writes that were given up (dead letters), replay or drop them.", no_args_is_help=True)

IDS = typer.Argument(help="Ids from `etalon letters list`.", metavar="ID...")


@app.command("list")
def list_(
    system: str = typer.Option("", "--system", help="Only of this system, by its code in retailer.yaml."),
    channel: str = typer.Option("", "--channel", help="Only of this channel."),
    limit: int = typer.Option(50, min=1, help="How many to show, oldest first."),
) -> None:
    """List writes that were given up: refused, not kept, or tried too often. The system's own words say why.

    \b
    Examples:
      etalon letters list
      etalon letters list --channel web-be
    """
    runtime = open_runtime()
    letters = runtime.operations.outbox.dead_letters(target=system or None, channel_code=channel or None)
    if not letters:
        console.print("No dead letter.")
        return
    listed = table(
        f"Dead letters ({len(letters):,}), oldest first",
        *("id", "system", "item", "attribute", "wanted", "outcome", "since", "the system's words"),
        right=("id",),
    )
    for row in letters[:limit]:
        listed.add_row(
            str(row.outbox_id),
            row.target,
            escape(row.external_id),
            row.attribute,
            escape(shown(row.after)),
            (row.outcome or "").replace("_", " "),
            f"{row.changed_at:%Y-%m-%d %H:%M} UTC",
            escape(row.error or ""),
        )
    console.print(listed)
    console.print("`etalon letters replay ID` gives it another chance, `etalon letters drop ID` gives it up.")


@app.command()
def show(letter_id: int = typer.Argument(help="The id from `etalon letters list`.", metavar="ID")) -> None:
    """Show one write and every attempt at its value: what was found, wanted, and read back.

    \b
    Example:
      etalon letters show 42
    """
    runtime = open_runtime()
    row = runtime.operations.outbox.row(letter_id)
    if row is None:
        raise PermanentError(
            f"there is no letter {letter_id}", where=Where(field="ID"), action="`etalon letters list` lists them"
        )
    facts = table(f"Letter {row.outbox_id}", "what", "value")
    for name, value in (
        ("system", row.target),
        ("channel", row.channel_code),
        ("item", f"{row.entity} {row.external_id} {row.location_code}".strip()),
        ("attribute", row.attribute),
        ("made on", shown(row.before)),
        ("wanted", shown(row.after)),
        ("why", row.reason),
        ("origin", row.origin.replace("_", " ") + (f", plan {row.plan_id}" if row.plan_id else "")),
        ("state", row.state),
        ("outcome", (row.outcome or "").replace("_", " ")),
        ("the system's words", row.error or ""),
        ("changed by", row.changed_by or ""),
    ):
        if value:
            facts.add_row(name, escape(value))
    console.print(facts)
    tries = table("Attempts", "at", "outcome", "found", "wanted", "read back", "request", "the system's words")
    for receipt in runtime.operations.receipts.of_value(row.target, row.write_key):
        tries.add_row(
            f"{receipt.written_at:%Y-%m-%d %H:%M:%S} UTC",
            receipt.outcome.replace("_", " "),
            escape(shown(receipt.found)) if receipt.is_found else "",
            escape(shown(receipt.after)),
            escape(shown(receipt.read_back)) if receipt.is_read_back else "",
            receipt.request_id or "",
            escape(receipt.reason),
        )
    console.print(tries)


@app.command()
def replay(letter_ids: list[int] = IDS, by: str = BY) -> None:
    """Give writes another chance: the next `etalon sync` sends them. A newer write to the same place wins over a letter.

    \b
    Exit code: 0 all of them wait now; 1 some were no dead letters, or a newer write took their place.

    \b
    Examples:
      etalon letters replay 42 43
      etalon sync                       sends them at once
    """
    runtime = open_runtime()
    replayed = runtime.operations.outbox.replay(letter_ids, by=by or login_name(), now=runtime.settings.clock()())
    _tell("wait for the next sync", replayed, letter_ids)


@app.command()
def drop(letter_ids: list[int] = IDS, by: str = BY) -> None:
    """Give writes up for good. If the channel still differs, the next plan proposes them again.

    \b
    Exit code: 0 all of them are dropped; 1 some were no dead letters.

    \b
    Example:
      etalon letters drop 42
    """
    runtime = open_runtime()
    dropped = runtime.operations.outbox.drop(letter_ids, by=by or login_name(), now=runtime.settings.clock()())
    _tell("are dropped", dropped, letter_ids)


def _tell(what: str, done: tuple[int, ...], asked: list[int]) -> None:
    console.print(f"{len(done)} of {len(asked)} letters {what}.")
    left = [str(letter) for letter in asked if letter not in done]
    if left:
        console.print(f"Not dead letters, or replaced by a newer write: {', '.join(left)}.")
        raise typer.Exit(1)
