"""`etalon privacy`: what a person may ask of a retailer under the GDPR. What is removed, and how that is proved, is `resources.erasure`."""

from __future__ import annotations

import getpass
import uuid

import sqlalchemy as sa
import typer

from assets.building import cluster_store
from assets.runtime import Runtime
from orchestration.cli.environment import open_runtime
from orchestration.cli.terminal import console, errors, table
from resources.erasure import Person, erase, find_person, find_traces
from resources.privacy import Tokeniser
from resources.settings import sqlalchemy_postgres_url

app = typer.Typer(help="What the law lets a person ask for.", no_args_is_help=True)


@app.command("erase")
def erase_(
    customer: str = typer.Argument(..., help="Their e-mail, or SYSTEM:NUMBER of a customer, for example shop_fr:1204."),
    yes: bool = typer.Option(False, "--yes", help="Do not ask before."),
    by: str = typer.Option("", "--by", help="Who asks for it; your login name when left out."),
) -> None:
    """Remove a person from landing, quarantine, personal values, canonical files, the warehouse and what is published; then prove it.

    Erase them in the shops first: a value that is still there comes back with the next reading. Orders stay, without anything
    that tells who bought. Backups taken before still hold the person until they are removed. Asking again finishes an erasure
    that was stopped.

    \b
    Examples:
      etalon privacy erase jeanne.dupont@example.com
      etalon privacy erase shop_fr:1204 --yes --by "request 2026-118"
    """
    runtime = open_runtime()
    with runtime.writer("privacy erase") as con:
        person = find_person(
            customer, con=con, tokeniser=Tokeniser(runtime.settings.secret_key), values=runtime.personal
        )
    _show(person)
    if not yes and not typer.confirm("Erase them? This cannot be undone."):
        raise typer.Exit(1)
    clock = runtime.settings.clock()
    erasure_id = f"erasure-{uuid.uuid4().hex[:12]}"
    runtime.operations.erasures.begin(erasure_id, asked_by=by or getpass.getuser(), now=clock())
    # Looked for afterwards: what they are called now is known to nobody once it is erased.
    needles = {
        **dict.fromkeys(person.emails, "e-mail"),
        **dict.fromkeys(person.phones, "phone"),
        **dict.fromkeys(person.said, "value"),
        **dict.fromkeys(person.tokens, "token"),
    }
    done = erase(
        person,
        erasure_id=erasure_id,
        warehouse=runtime.warehouse,
        operations=runtime.operations,
        landing=runtime.landing,
        values=runtime.personal,
        kpi_tables=[name.split(".")[1] for name in runtime.project.models if name.startswith("kpis.")],
        now=clock(),
        shared=cluster_store(runtime.settings),
    )
    removed = table("Removed", "what", "quantity", right=("quantity",))
    for what, quantity in done.removed.items():
        removed.add_row(what, f"{quantity:,}")
    console.print(removed)
    runtime.operations.erasures.finish(erasure_id, removed=done.removed, proved_at=None)
    with runtime.warehouse.held(purpose="privacy proof"):  # a file that another process writes cannot be looked into
        traces = find_traces(runtime.settings.data_dir, needles, sealer=runtime.sealer, engines=_engines(runtime))
    for trace in traces[:20]:
        errors.print(f"[bold red]still there[/]: {trace.what} in {trace.place}", soft_wrap=True)
    if traces:
        errors.print(f"{len(traces)} places are left; the erasure is not done. Remove them, and ask again.")
        raise typer.Exit(1)
    runtime.operations.erasures.finish(erasure_id, removed=done.removed, proved_at=clock())
    console.print(
        f"[bold]Proved[/]: none of {len(needles)} values and tokens is left below {runtime.settings.data_dir}. {erasure_id}"
    )


def _show(person: Person) -> None:
    """Who was found, told by numbers: no value is ever printed."""
    listed = table("Found", "what", "quantity", right=("quantity",))
    listed.add_row(
        "customers " + ", ".join(sorted(":".join(pair) for pair in person.customers))[:100], str(len(person.customers))
    )
    listed.add_row("orders", str(len(person.orders)))
    listed.add_row("e-mails", str(len(person.emails)))
    listed.add_row("phones", str(len(person.phones)))
    listed.add_row("values shared with another customer, which stay", str(len(person.shared_tokens)))
    console.print(listed)


def _engines(runtime: Runtime) -> list[sa.Engine]:
    """Stores that are not below the data folder."""
    settings = runtime.settings
    instance = sqlalchemy_postgres_url(settings.postgres_url) if settings.postgres_url else ""
    return [sa.create_engine(url) for url in {instance, settings.operations_url} if url.startswith("postgresql")]
