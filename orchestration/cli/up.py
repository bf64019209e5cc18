"""`etalon up`: the retailer as a service on this machine, until Ctrl-C or the service manager ends it."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from assets.runtime import build_runtime
from orchestration.cli.environment import SANDBOX_FOLDER, chosen_environment, open_settings
from orchestration.cli.terminal import console, errors, table
from orchestration.service.lock import is_running
from orchestration.service.programs import Ports
from orchestration.service.supervisor import ProgramState, Supervisor, read_state
from orchestration.up import run_service
from resources.settings import Settings

if TYPE_CHECKING:
    from orchestration.sandbox_process import SandboxPlace

STALE_S = 30.0
"""A supervisor writes its state every few seconds; one this old is no longer true."""
_COLOURS = {"healthy": "green", "starting": "yellow", "waiting": "yellow", "unhealthy": "bold red", "ended": "bold red"}


def up(
    port: int = typer.Option(
        3000, min=1, max=65532, help="First of four ports on 127.0.0.1: UI, report, viewers, hooks."
    ),
    sandbox: bool = typer.Option(
        False,
        "--sandbox",
        help="Also start a sandbox retailer that lives (orders, tickets, shipments), in a folder of its own, and read it whole.",
    ),
    scale: float = typer.Option(
        0.2, min=0.02, help="Size of the sandbox: 1 is about 5,000 variants and 20,000 orders."
    ),
    per_minute: float = typer.Option(
        6.0, "--per-minute", min=0.1, help="Sales in the sandbox: web orders and tickets."
    ),
    status: bool = typer.Option(False, "--status", help="Only tell how the processes of a running service do."),
) -> None:
    """Run the retailer as a service: database, UI, viewers' UI, daemon, webhooks, fast lane, report.

    Each process is watched, started again when it ends, and ended with this command. Everything listens on 127.0.0.1; other
    people come in through a proxy that asks who they are (docs/service.md). Without ETALON_POSTGRES_URL it makes a PostgreSQL
    of its own in the data folder.

    \b
    Exit code of --status: 0 all healthy; 1 something is not, or the service is not running.

    \b
    Examples:
      etalon up                    the retailer of retailer.yaml and .env
      etalon up --sandbox          a retailer in a box, alive
      etalon up --port 4000
      etalon up --status
    """
    if status:
        raise typer.Exit(0 if show_status(open_settings()) else 1)
    ports = Ports.from_first(port)
    with ExitStack() as stack:
        live: SandboxPlace | None = None
        if sandbox:
            errors.print("sandbox: inventing a retailer", markup=False)
            webhook_url = f"{ports.url(ports.hooks)}/webhooks/shop_be"
            environ, live = stack.enter_context(_sandbox(SANDBOX_FOLDER.absolute(), scale, webhook_url))
            settings = Settings.from_environment(environ, Path.cwd())
        else:
            environ, settings = chosen_environment(os.environ, Path.cwd()), open_settings(connect=False)
        runtime = build_runtime(settings)  # a mistake in retailer.yaml is told here, not in a log
        errors.print(f"starting; logs are in {settings.log_dir}", markup=False)
        started = time.monotonic()

        def ready(supervisor: Supervisor) -> None:
            show_programs(runtime.retailer.identity.name, supervisor.states)
            console.print(f"Ready after {time.monotonic() - started:.1f} s. Ctrl-C ends all of it.")
            if live is not None:
                live.ask("start_traffic", per_minute=per_minute)

        run_service(runtime, environ, ports, on_change=_tell_trouble, on_ready=ready, full_run_first=sandbox)
    console.print("Ended; nothing is left running.")


def show_status(settings: Settings) -> bool:
    """How the processes of the service do, as its supervisor last saw them. True when all is well."""
    told = read_state(settings.service_dir)
    if told is None or not is_running(settings.service_dir):
        errors.print("[bold red]The service is not running.[/] Start it: etalon up")
        return False
    written_s, states = told
    show_programs(str(settings.data_dir), states)
    age_s = time.time() - written_s
    if age_s > STALE_S:
        errors.print(f"[bold red]This is what it was {age_s:.0f} s ago:[/] its supervisor does not answer.")
        return False
    return all(state.state == "healthy" for state in states)


def show_programs(title: str, states: list[ProgramState]) -> None:
    """One row per process."""
    listed = table(title, "process", "state", "since (UTC)", "starts", "address", right=("starts",))
    for state in states:
        since = datetime.fromtimestamp(state.since_s, UTC)
        colour = _COLOURS[state.state]
        listed.add_row(
            state.name,
            f"[{colour}]{state.state}[/]",
            f"{since:%m-%d %H:%M:%S}",
            str(state.starts_qty),
            state.address,
        )
    console.print(listed)


def _tell_trouble(state: ProgramState) -> None:
    """One line for what a person may have to look at."""
    if state.state in ("waiting", "unhealthy") and state.starts_qty:
        code = "" if state.exit_code is None else f" (last ended with {state.exit_code})"
        errors.print(f"{state.name}: {state.state}{code}; its log says why", markup=False, highlight=False)


@contextmanager
def _sandbox(folder: Path, scale: float, webhook_url: str) -> Iterator[tuple[dict[str, str], SandboxPlace]]:
    """A living sandbox retailer in ``folder``, which is emptied first; gives the environment that leads to it, and itself.

    Nobody buys yet: a shop that nobody listens to switches its webhooks off.
    """
    # Only here: other retailers do not need the sandbox.
    from orchestration.demo import DEFAULT_SEED, ENV_FILE, ORDERS, VARIANTS, empty_folder, tuning, write_env_file
    from orchestration.sandbox_process import LiveTraffic, sandbox_process

    empty_folder(folder)
    with sandbox_process(
        folder / "sandbox",
        seed=DEFAULT_SEED,
        variants=int(VARIANTS * scale),
        orders=int(ORDERS * scale),
        now=datetime.now(UTC),
        live=LiveTraffic(webhook_url=webhook_url),
    ) as place:
        variables = {
            **place.variables,
            "ETALON_DATA_DIR": str(folder),
            "ETALON_SECRET_KEY": secrets.token_hex(32),
        }
        write_env_file(folder / ENV_FILE, variables)
        of_machine = {name: value for name, value in os.environ.items() if not name.startswith("ETALON_")}
        environ = {**of_machine, **tuning(os.environ), **variables, "ETALON_ENV_FILE": str(folder / ENV_FILE)}
        yield environ, place
