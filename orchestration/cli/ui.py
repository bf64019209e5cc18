"""`etalon ui`: the Dagster webserver and daemon on this machine, and the published report beside them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import FrameType

import typer

from assets.periods import history_pools
from assets.runtime import build_runtime
from orchestration.cli.environment import chosen_environment, open_settings
from orchestration.cli.terminal import console, errors
from orchestration.instance import open_instance
from orchestration.published_server import serve_published
from resources.settings import IN_FILE, REPORT_URL


def ui(
    port: int = typer.Option(3000, min=1, max=65535, help="Port on 127.0.0.1."),
    host: str = typer.Option(
        "127.0.0.1",
        help="Address to listen on. The UI has no login: put a proxy that asks for one in front of any other.",
    ),
    report_port: int = typer.Option(
        0,
        min=0,
        max=65535,
        help="Port on 127.0.0.1 of the published report; the first free one after --port when left out.",
        show_default=False,
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
    with open_instance(settings.dagster_dir, settings.postgres_url, pools=history_pools(runtime)):
        pass
    # `dagster dev` starts one code server for both; each alone would start its own and load everything twice.
    program = ["dagster", "dev"] if daemon else ["dagster_webserver"]
    listen = ["--host", host, "--port", str(port), "--workspace", str(Path(__file__).parents[2] / "workspace.yaml")]
    settings.published_dir.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        try:
            report_url = stack.enter_context(_report_served(settings.published_dir, port, report_port))
        except OSError as error:
            errors.print(f"[bold red]The report cannot be served[/]: {error}. Try another --report-port.")
            raise typer.Exit(1) from error
        environ = {
            **chosen_environment(os.environ, Path.cwd()),
            "DAGSTER_HOME": str(settings.dagster_dir),
            # Runs that the UI starts link to the report where it is served, unless a proxy's address is set.
            REPORT_URL: settings.variables.get(REPORT_URL) or report_url,
            f"{REPORT_URL}{IN_FILE}": "",
        }
        console.print(f"[bold]{runtime.retailer.identity.name}[/]: http://{host}:{port}  (Ctrl-C stops it)")
        console.print(f"The published report: {report_url}/{settings.report_path.name}")
        code = _until_ended([sys.executable, "-m", *program, *listen], environ)
    if code:
        errors.print("[bold red]The UI ended by itself.[/] Is the port taken? Try --port.")
        raise typer.Exit(1)


def _report_served(folder: Path, port: int, report_port: int) -> AbstractContextManager[str]:
    """The report's server: on the port asked for, or on the first free one after the UI's own."""
    if report_port:
        return serve_published(folder, report_port, ports_tried=1)
    return serve_published(folder, min(port + 1, 65535))


def _until_ended(command: list[str], environ: Mapping[str, str]) -> int:
    """Run the UI until it ends or somebody ends it; its exit code, 0 when somebody did."""
    # A service manager ends us by SIGTERM; it is handed on, so that no webserver stays behind.
    signal.signal(signal.SIGTERM, _end)
    process = subprocess.Popen(command, env=environ)
    # Whoever ends this command (a person, a service manager) ends what it started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
        return 0


def _end(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)
