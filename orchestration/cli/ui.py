"""`etalon ui`: the Dagster webserver and daemon on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

import typer

from assets.runtime import build_runtime
from orchestration.cli.environment import chosen_environment, open_settings
from orchestration.cli.terminal import console, errors
from orchestration.instance import open_instance


def ui(
    port: int = typer.Option(3000, min=1, max=65535, help="Port on 127.0.0.1."),
    host: str = typer.Option(
        "127.0.0.1",
        help="Address to listen on. The UI has no login: put a proxy that asks for one in front of any other.",
    ),
    daemon: bool = typer.Option(True, help="Also start the daemon that runs schedules, sensors and the run queue."),
) -> None:
    """Show the asset graph, the checks, the runs and their metadata in a browser, until Ctrl-C.

    \b
    Examples:
      etalon ui                        http://127.0.0.1:3000, after `etalon demo` or `etalon run`
      etalon ui --port 3001 --no-daemon    look only: nothing is started by a schedule
    """
    settings = open_settings()
    runtime = build_runtime(settings)  # a mistake in retailer.yaml is told here, not in a browser
    with open_instance(settings.dagster_dir, settings.postgres_url):
        pass
    environ = {**chosen_environment(os.environ, Path.cwd()), "DAGSTER_HOME": str(settings.dagster_dir)}
    # `dagster dev` starts one code server for both; each alone would start its own and load everything twice.
    program = ["dagster", "dev"] if daemon else ["dagster_webserver"]
    listen = ["--host", host, "--port", str(port), "--workspace", str(Path(__file__).parents[2] / "workspace.yaml")]
    console.print(f"[bold]{runtime.retailer.identity.name}[/]: http://{host}:{port}  (Ctrl-C stops it)")
    # A service manager ends us by SIGTERM; it is handed on, so that no webserver stays behind.
    signal.signal(signal.SIGTERM, _end)
    process = subprocess.Popen([sys.executable, "-m", *program, *listen], env=environ)
    # Whoever ends this command (a person, a service manager) ends what it started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = process.wait()
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
        code = 0
    if code:
        errors.print("[bold red]The UI ended by itself.[/] Is the port taken? Try --port.")
        raise typer.Exit(1)


def _end(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)
