"""Given systems that throw our own secrets back at us in every answer, expect none of them in any log, metadata, error or page."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from assets.runtime import Runtime, build_runtime
from orchestration.cli.app import app
from orchestration.definitions import build_definitions
from orchestration.runs import run_job
from resources.connectors.sdk.writing import Write, WritingConnector
from resources.errors import EtalonError
from resources.settings import Settings
from resources.sql_project import SqlProject
from tests.privacy.plain_text import files_that_show

pytestmark = pytest.mark.xdist_group("secrets")  # one run for all of them
PRESTA_KEY, WOO_KEY, WOO_SECRET = (
    "ZZCANARYPRESTAKEYZZCANARYPRESTAK",
    "ck_" + "zzcanarywoo" * 3,
    "cs_" + "zzcanarysec" * 3,
)
WEBHOOK_SECRET = "zzcanaryhook" * 3
SECRETS = (PRESTA_KEY, WOO_KEY, WOO_SECRET, WEBHOOK_SECRET)
NEEDLES = (
    *SECRETS,
    # As the basic login sends them.
    base64.b64encode(f"{PRESTA_KEY}:".encode()).decode(),
    base64.b64encode(f"{WOO_KEY}:{WOO_SECRET}".encode()).decode(),
)


class _Echo(BaseHTTPRequestHandler):
    """A debug page: whatever was asked, with which login, in the body, in a header and in a redirect."""

    def _answer(self) -> None:
        told = f"{self.path} {self.headers} {PRESTA_KEY} {WOO_KEY} {WOO_SECRET} {self.headers.get('Authorization')}"
        body = f"<html><h1>Whoops</h1><pre>{told}</pre></html>".encode()
        status = self.server.statuses[self.server.asked % len(self.server.statuses)]  # type: ignore[attr-defined]
        self.server.asked += 1  # type: ignore[attr-defined]
        self.send_response(status, f"No {WOO_KEY}")
        if status == 302:
            self.send_header("Location", f"/login?ws_key={PRESTA_KEY}&consumer_secret={WOO_SECRET}")
        self.send_header("Content-Type", "text/html")
        self.send_header("X-Debug", f"{PRESTA_KEY} {WOO_SECRET}")
        self.send_header("X-Request-Id", f"{WOO_KEY}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _answer  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing on the terminal."""


@dataclass(frozen=True)
class Told:
    """A run against such systems, and everything that it printed."""

    runtime: Runtime
    folder: Path
    printed: str


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, project_root: Path, sql_project: SqlProject) -> Iterator[Told]:
    """One run, its writes and its commands. The statuses are those that no retry follows, so it is quick."""
    folder = tmp_path_factory.mktemp("secrets")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    server.asked, server.statuses = 0, (200, 401, 403, 302, 404, 400)  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    variables = {
        "ETALON_DROPS": str(folder / "drops"),
        "ETALON_SHOP_FR_URL": url,
        "ETALON_SHOP_FR_KEY": PRESTA_KEY,
        "ETALON_SHOP_BE_URL": url,
        "ETALON_SHOP_BE_KEY": WOO_KEY,
        "ETALON_SHOP_BE_SECRET": WOO_SECRET,
        "ETALON_SHOP_BE_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "ETALON_DATA_DIR": str(folder / "data"),
        "ETALON_NOW": datetime(2026, 5, 18, 10, tzinfo=UTC).isoformat(),
        "ETALON_SECRET_KEY": bytes(range(32)).hex(),
    }
    try:
        runtime = build_runtime(Settings.from_environment(variables, project_root), project=sql_project)
        summary = run_job(runtime, full=True)
        printed = [repr(summary), repr(runtime.settings), repr(runtime.retailer), *_write_answers(runtime)]
        for command in (
            ["check", "shop_fr"],
            ["check", "shop_be"],
            ["systems"],
            ["incidents", "list"],
            ["exchanges", "list"],
            ["quarantine", "list"],
        ):
            result = CliRunner().invoke(app, command, env={**variables, "COLUMNS": "400", "TERM": "dumb"})
            printed.append(f"{command} {result.output} {result.exception!r}")
        yield Told(runtime, folder, "\n".join(printed))
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _write_answers(runtime: Runtime) -> Iterator[str]:
    """What both shops' connectors say of a write that such a system answers."""
    write = Write("k1", "channel_stock", "1", "published_qty", 1, 2)
    for code in ("shop_fr", "shop_be"):
        connector = runtime.connectors[code]
        assert isinstance(connector, WritingConnector)
        try:
            yield repr(connector.write([write], now=runtime.settings.clock()()))
        except EtalonError as error:
            yield f"{error!r} {error}"


def test_the_run_failed_as_it_was_to(told: Told) -> None:
    """Nothing would leak from a run that never met an error."""
    failed = [entry for entry in told.runtime.operations.exchanges() if not entry.is_ok]
    assert {entry.system_code for entry in failed} >= {"shop_fr", "shop_be"}


def test_no_secret_in_any_file(told: Told) -> None:
    assert files_that_show(told.folder, NEEDLES) == {needle: [] for needle in NEEDLES}


@pytest.mark.parametrize("needle", NEEDLES)
def test_no_secret_in_what_was_printed(told: Told, needle: str) -> None:
    assert needle.lower() not in told.printed.lower()


def test_no_secret_in_what_the_ui_is_told_of_the_definitions(told: Told) -> None:
    """The rest of what the UI shows is in the instance's files, searched above."""
    definitions = build_definitions(told.runtime)
    specs = [
        repr((spec.key, spec.description, spec.metadata, spec.tags)) for spec in definitions.resolve_all_asset_specs()
    ]
    jobs = [repr((job.name, job.description, job.tags, job.run_config)) for job in definitions.resolve_all_job_defs()]
    shown = "\n".join([*specs, *jobs]).lower()
    assert "shop_fr" in shown
    assert [needle for needle in NEEDLES if needle.lower() in shown] == []
