"""The programs of the service: what each is started with, how one sees that it works, who waits for whom.

Belongs here: the list. Starting and watching is `orchestration.service.supervisor`.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from orchestration.published_server import LOOPBACK
from orchestration.service.probes import answers_http, is_fresh, serves_code
from orchestration.service.supervisor import Program
from resources.settings import Settings

LOCATION, DAEMON = "etalon", "daemon"
VIEWERS_PATH = "/viewers"
PAGES_NICENESS = 5
"""Of what people look at: it steps back for what shops wait for. Runs that read or build step back by themselves (`Runtime`); the
code server does not, since runs that write to channels start from it."""
LONGEST_SOCKET_PATH = 100


@dataclass(frozen=True)
class Ports:
    """Where the service listens, all on 127.0.0.1."""

    ui: int
    report: int
    viewers: int
    hooks: int

    @classmethod
    def from_first(cls, first: int) -> Ports:
        """Four in a row, the UI's first."""
        return cls(first, first + 1, first + 2, first + 3)

    def url(self, port: int) -> str:
        """The address of one of them."""
        return f"http://{LOOPBACK}:{port}"


def service_programs(
    settings: Settings,
    environ: Mapping[str, str],
    ports: Ports,
    *,
    daemon_beats: Callable[[], bool],
    worker_beats: Callable[[], bool] | None,
    has_webhooks: bool,
) -> list[Program]:
    """Every program but the database. ``environ``: what they are started with.

    ``worker_beats``: None for a retailer without a fast lane. ``has_webhooks``: whether a system signs webhooks.
    """
    python = (sys.executable, "-m")
    socket = code_socket(settings.service_dir)
    workspace = write_workspace(settings.service_dir, socket)
    webserver = (*python, "dagster_webserver", "--workspace", str(workspace), "--host", LOOPBACK)
    programs = [
        Program(
            name="code",
            command=(
                *(*python, "dagster", "api", "grpc", "--socket", str(socket)),
                *("--module-name", "orchestration.definitions", "--attribute", "defs", "--location-name", LOCATION),
                *("--log-level", "warning"),
            ),
            environ=environ,
            probe=serves_code(socket),
            tier=1,
        ),
        Program(
            name="ui",
            command=(*webserver, "--port", str(ports.ui)),
            environ=environ,
            probe=answers_http(f"{ports.url(ports.ui)}/server_info"),
            tier=2,
            address=ports.url(ports.ui),
            niceness=PAGES_NICENESS,
        ),
        Program(
            name="viewers",
            command=(*webserver, "--port", str(ports.viewers), "--read-only", "--path-prefix", VIEWERS_PATH),
            environ=environ,
            probe=answers_http(f"{ports.url(ports.viewers)}{VIEWERS_PATH}/server_info"),
            tier=2,
            address=f"{ports.url(ports.viewers)}{VIEWERS_PATH}",
            niceness=PAGES_NICENESS,
        ),
        Program(
            name=DAEMON,
            command=(*python, "dagster._daemon", "run", "--workspace", str(workspace), "--log-level", "info"),
            environ=environ,
            probe=daemon_beats,
            tier=2,
        ),
        Program(
            name="report",
            command=(
                *python,
                "orchestration.service.report_process",
                str(settings.published_dir),
                str(ports.report),
            ),
            environ=environ,
            probe=answers_http(ports.url(ports.report), expected=(200, 404)),  # 404 until something is published
            tier=2,
            address=ports.url(ports.report),
            niceness=PAGES_NICENESS,
        ),
    ]
    if has_webhooks:
        programs.append(
            Program(
                name="hooks",
                command=(*python, "orchestration.cli", "hooks", "--port", str(ports.hooks)),
                environ=environ,
                probe=answers_http(f"{ports.url(ports.hooks)}/health"),
                tier=2,
                address=f"{ports.url(ports.hooks)}/webhooks",
            )
        )
    if worker_beats is not None:
        programs.append(
            Program(
                name="worker",
                command=(*python, "orchestration.cli", "worker"),
                environ=environ,
                probe=worker_beats,
                tier=2,
            )
        )
    if settings.access_log is not None:
        programs.append(
            Program(
                name="logins",
                command=(*python, "orchestration.service.login_process"),
                environ=environ,
                probe=is_fresh(settings.service_dir / "logins.beat", within_s=60),
                tier=2,
            )
        )
    return programs


def code_socket(folder: Path) -> Path:
    """The code server's socket: in ``folder``, which others may not enter, or in a folder like it when that path is too long for one."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    socket = folder / "code.sock"
    if len(str(socket)) > LONGEST_SOCKET_PATH:
        digest = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
        elsewhere = Path(tempfile.gettempdir()) / f"etalon-{digest}"
        elsewhere.mkdir(mode=0o700, exist_ok=True)
        socket = elsewhere / "code.sock"
    socket.unlink(missing_ok=True)
    return socket


def write_workspace(folder: Path, socket: Path) -> Path:
    """The workspace file that leads webservers and daemon to the one code server."""
    path = folder / "workspace.yaml"
    path.write_text(
        yaml.safe_dump({"load_from": [{"grpc_server": {"socket": str(socket), "location_name": LOCATION}}]}),
        encoding="utf-8",
    )
    return path
