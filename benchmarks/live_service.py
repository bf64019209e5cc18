"""A running `etalon up --sandbox` for benchmarks: started by them, or already there; its shops, its runs, its figures.

Belongs here: what `benchmarks.latency` and `benchmarks.sensor_path` share. What is measured is theirs.
"""

from __future__ import annotations

import argparse
import base64
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

import requests

from assets.runtime import Runtime, build_runtime
from benchmarks.machine import ROOT
from benchmarks.results import percentile
from orchestration.cli.environment import SANDBOX_FOLDER
from orchestration.demo import ENV_FILE
from orchestration.sandbox_process import SandboxControl
from orchestration.service.graphql import ask
from orchestration.service.lock import is_running
from orchestration.service.supervisor import read_state
from orchestration.up import launch_full
from resources.settings import Settings

SHOPS = {"web-fr": "shop_fr", "web-be": "shop_be"}
ETALON = (sys.executable, "-m", "orchestration.cli")
START_TIMEOUT_S = 3600.0
_RUNS = "query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
_ENDED = ("SUCCESS", "FAILURE", "CANCELED")


class Shops:
    """Both shops' APIs, asked for one quantity: as anybody would, without the connectors."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self._local = threading.local()

    def quantity(self, channel: str, external_id: str) -> int:
        """What the shop shows now."""
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
        session: requests.Session = self._local.session
        product, _, variant = external_id.partition("-")
        if channel == "web-fr":
            answer = session.get(
                f"{self._variables['ETALON_SHOP_FR_URL']}/api/stock_availables",
                params={
                    "output_format": "JSON",
                    "display": "[quantity]",
                    "filter[id_product]": product,
                    "filter[id_product_attribute]": variant or "0",
                },
                auth=(self._variables["ETALON_SHOP_FR_KEY"], ""),
                timeout=30,
            )
            answer.raise_for_status()
            return int(answer.json()["stock_availables"][0]["quantity"])
        user = f"{self._variables['ETALON_SHOP_BE_KEY']}:{self._variables['ETALON_SHOP_BE_SECRET']}"
        path = f"products/{product}" + (f"/variations/{variant}" if variant else "")
        answer = session.get(
            f"{self._variables['ETALON_SHOP_BE_URL']}/wp-json/wc/v3/{path}",
            params={"_fields": "stock_quantity"},
            headers={
                "Authorization": "Basic " + base64.b64encode(user.encode()).decode(),
                "X-Forwarded-Proto": "https",
            },
            timeout=30,
        )
        answer.raise_for_status()
        return int(answer.json()["stock_quantity"])


@dataclass(frozen=True)
class LiveService:
    """A service on a sandbox. ``ui_url``: its Dagster webserver."""

    runtime: Runtime
    sandbox: SandboxControl
    shops: Shops
    ui_url: str

    def run_status(self, run_id: str) -> str:
        """How a run does, in Dagster's words."""
        status: str = ask(self.ui_url, _RUNS, {"id": run_id})["runOrError"]["status"]
        return status

    def full_run(self, stop: threading.Event | None = None) -> str:
        """Have the service run the whole main job; gives how it ended, or how far it was when ``stop`` was set."""
        run_id = launch_full(self.runtime, self.ui_url)
        while (status := self.run_status(run_id)) not in _ENDED and not (stop is not None and stop.is_set()):
            time.sleep(0.5)
        return status

    @contextmanager
    def full_runs_going_round(self) -> Iterator[list[str]]:
        """One full run after the other, until the context ends; how those that ended did is in the list."""
        stop, ended = threading.Event(), list[str]()

        def go_round() -> None:
            while not stop.is_set():
                ended.append(self.full_run(stop))

        runner = threading.Thread(target=go_round, name="full runs")
        runner.start()
        try:
            yield ended
        finally:
            stop.set()
            runner.join()


def attach(folder: Path) -> LiveService:
    """The service that runs on the sandbox in ``folder`` (`data/up`)."""
    state = read_state(folder / "service")
    if state is None or not is_running(folder / "service"):
        raise SystemExit(f"no service runs in {folder}: start one with `etalon up --sandbox`")
    variables = dict(
        line.split("=", 1)
        for line in (folder / ENV_FILE).read_text(encoding="utf-8").splitlines()
        if "=" in line and not line.startswith("#")
    )
    settings = Settings.from_environment(variables, ROOT)
    addresses = {program.name: program.address for program in state[1]}
    return LiveService(build_runtime(settings), SandboxControl(folder / "sandbox"), Shops(variables), addresses["ui"])


@contextmanager
def started(*, scale: float, port: int, per_minute: float) -> Iterator[LiveService]:
    """`etalon up --sandbox` in a folder of its own, with its first full run behind it; ended with the context."""
    with tempfile.TemporaryDirectory(prefix="etalon-") as name:
        place = Path(name)
        place.chmod(0o755)  # started as root, its database belongs to another user, who must reach it
        for shared in ("retailer.yaml", "dbt_like_sql"):
            (place / shared).symlink_to(ROOT / shared)
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("ETALON_", "PYTHONDONT"))}
        environ["PYTHONPATH"] = str(ROOT)
        with (place / "up.log").open("wb") as log:
            process = subprocess.Popen(
                [
                    *(*ETALON, "up", "--sandbox", "--scale", str(scale)),
                    *("--port", str(port), "--per-minute", str(per_minute)),
                ],
                env=environ,
                cwd=place,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            try:
                until("the service", lambda: _is_up(place / SANDBOX_FOLDER, process, place / "up.log"), START_TIMEOUT_S)
                service = attach(place / SANDBOX_FOLDER)
                until("the first full run", lambda: has_lane(service), START_TIMEOUT_S)
                yield service
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=180)


def _is_up(folder: Path, process: subprocess.Popen[bytes], log: Path) -> bool:
    if process.poll() is not None:
        raise SystemExit(f"the service ended: {log.read_text(encoding='utf-8')}")
    state = read_state(folder / "service")
    return state is not None and len(state[1]) > 1 and all(program.state == "healthy" for program in state[1])


def has_lane(service: LiveService) -> bool:
    """Whether the worker has a stock book, and no full run is on its way."""
    try:
        runs = ask(
            service.ui_url,
            "{ runsOrError(filter: {statuses: [QUEUED, STARTING, STARTED]}) { ... on Runs { results { jobName } } } }",
        )
    except (URLError, OSError):
        return False
    is_quiet = not runs["runsOrError"]["results"]
    return is_quiet and any("orders" in beat.detail for beat in service.runtime.operations.lane.beats())


def until(what: str, is_so: Callable[[], bool], timeout_s: float = 120.0) -> None:
    """Wait for something to be so. Raises TimeoutError."""
    deadline = time.monotonic() + timeout_s
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} took more than {timeout_s:g} s")
        time.sleep(0.1)


def percentiles(values: Sequence[float]) -> tuple[float, float, float]:
    """p50, p95 and p99."""
    return percentile(values, 50), percentile(values, 95), percentile(values, 99)


def arguments(parser: argparse.ArgumentParser) -> None:
    """What both benchmarks can be asked."""
    parser.add_argument("--running", action="store_true", help="measure the `etalon up --sandbox` that runs here")
    parser.add_argument("--scale", type=float, default=0.2, help="size of the sandbox that is started")
    parser.add_argument("--port", type=int, default=3900, help="first of its four ports")
    parser.add_argument(
        "--during-full-run", action="store_true", help="also while the main job reads everything, again and again"
    )
    parser.add_argument("--json", type=Path, help="also write every measurement there")


def opened(asked: argparse.Namespace, stack: ExitStack) -> LiveService:
    """The service that was asked for; ended from outside, the benchmark ends what it has started."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(1))
    if asked.running:
        return attach(Path.cwd() / SANDBOX_FOLDER)
    return stack.enter_context(started(scale=asked.scale, port=asked.port, per_minute=0.1))


def tell(text: str) -> None:
    """Say it at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def machine() -> str:
    """What the figures were measured on."""
    return f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
