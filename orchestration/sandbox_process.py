"""The sandbox as a child process: `python -m orchestration.sandbox_process OPTIONS`.

It starts the sandbox, prints one JSON line that says where it is, answers each line on its standard input with a line (see
:data:`COMMANDS`), and stops when its standard input closes, so that it never outlives the process that wanted it. A living one also
answers on a socket in its folder, for who did not start it: :class:`SandboxControl`.
"""

from __future__ import annotations

import json
import os
import socket
import socketserver
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resources.errors import PermanentError, Where

if TYPE_CHECKING:
    from sandbox.live import LiveEvent, LiveRetailer

COMMANDS = ("erp_answers", "place_web_order", "ring_up_ticket", "ship_orders", "write_stock", "events", "start_traffic")
"""What a running sandbox does when asked: the ERP answers its orders, a buyer orders, a till rings, the warehouse ships, the ERP writes
its stock; `events` tells all that happened since it was last asked; `start_traffic` lets all of it happen by itself from now on."""

REFUSES_EVERY_NTH = 4
"""The sandbox's ERP refuses one new order of so many, so that there is one to see to."""


@dataclass(frozen=True)
class SandboxPlace:
    """Where a started sandbox is: the variables that retailer.yaml asks for, and the file with the truth."""

    variables: dict[str, str]
    truth_path: Path
    seconds: float
    process: subprocess.Popen[str] | None = field(default=None, repr=False)

    def ask(self, command: str, **arguments: object) -> Any:
        """Have the sandbox do something (one of COMMANDS) and give back what it tells. Raises PermanentError when it cannot."""
        if self.process is None or self.process.stdin is None or self.process.stdout is None:
            raise PermanentError("this sandbox takes no commands", where=Where(field=command))
        self.process.stdin.write(json.dumps({"command": command, "arguments": arguments}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        told = json.loads(line) if line else {"error": f"it ended (exit code {self.process.wait()})"}
        if "error" in told:
            raise PermanentError(
                f"the sandbox could not do {command}: {told['error']}", action="its own trace is above"
            )
        return told["result"]


CONTROL = "control.sock"
LONGEST_SOCKET_PATH = 100


@dataclass(frozen=True)
class SandboxControl:
    """A living sandbox that another process started in ``folder``. Its socket is its owner's only."""

    folder: Path

    def ask(self, command: str, **arguments: object) -> Any:
        """As `SandboxPlace.ask`."""
        path = self.folder / CONTROL
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(path))
                with connection.makefile("rw", encoding="utf-8") as file:
                    file.write(json.dumps({"command": command, "arguments": arguments}) + "\n")
                    file.flush()
                    line = file.readline()
        except OSError as error:
            raise PermanentError(
                "no sandbox answers there", where=Where(file=str(path)), action="start one: etalon up --sandbox"
            ) from error
        told = json.loads(line) if line else {"error": "it ended"}
        if "error" in told:
            raise PermanentError(f"the sandbox could not do {command}: {told['error']}", where=Where(file=str(path)))
        return told["result"]


@dataclass(frozen=True)
class LiveTraffic:
    """What a living sandbox does by itself. ``webhook_url``: where the Belgian shop sends its webhooks; empty for none."""

    per_minute: float = 0.0
    webhook_url: str = ""


@contextmanager
def sandbox_process(
    folder: Path,
    *,
    seed: int,
    variants: int,
    orders: int,
    now: datetime,
    live: LiveTraffic | None = None,
    tells_truth: bool = True,
) -> Iterator[SandboxPlace]:
    """A sandbox in a process of its own, so that its servers do not share Python's lock with what reads them.

    ``live``: its clocks run on from ``now``, and it lives; None: its present is ``now``. ``tells_truth``: see
    `sandbox.retailer.start_sandbox`.
    """
    options = {
        "folder": str(folder),
        "seed": seed,
        "variants": variants,
        "orders": orders,
        "now": now.isoformat(),
        "tells_truth": tells_truth,
        "live": None if live is None else {"per_minute": live.per_minute, "webhook_url": live.webhook_url},
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestration.sandbox_process", json.dumps(options)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            raise PermanentError(
                f"the sandbox did not start (exit code {process.wait()})", action="its own message is above"
            )
        told = json.loads(line)
        yield SandboxPlace(told["variables"], Path(told["truth_path"]), told["seconds"], process)
    finally:
        if process.stdin:
            process.stdin.close()
        process.wait(timeout=30)


def main(arguments: list[str]) -> None:
    """Serve until standard input closes."""
    import time

    from sandbox.erp import RefusalRules
    from sandbox.live import LiveRetailer
    from sandbox.retailer import start_sandbox  # the demo is the only command that knows the sandbox
    from sandbox.webhooks import register_webhooks

    options = json.loads(arguments[0])
    live = options.get("live")
    started = time.monotonic()
    sandbox = start_sandbox(
        Path(options["folder"]),
        variants=options["variants"],
        orders=options["orders"],
        seed=options["seed"],
        now=datetime.fromisoformat(options["now"]),
        tells_truth=options.get("tells_truth", True),
        live=live is not None,
        refuses=RefusalRules(every_nth=REFUSES_EVERY_NTH),
    )
    place = {
        "variables": {
            "ETALON_DROPS": str(sandbox.drops),
            "ETALON_SHOP_FR_URL": sandbox.url_fr,
            "ETALON_SHOP_FR_KEY": sandbox.key_fr,
            "ETALON_SHOP_BE_URL": sandbox.url_be,
            "ETALON_SHOP_BE_KEY": sandbox.key_be,
            "ETALON_SHOP_BE_SECRET": sandbox.secret_be,
            "ETALON_SHOP_BE_WEBHOOK_SECRET": sandbox.webhook_secret_be,
        },
        "truth_path": str(sandbox.truth_path),
        "seconds": time.monotonic() - started,
    }
    stop = threading.Event()
    traffic: list[threading.Thread] = []
    control: socketserver.BaseServer | None = None

    def start_traffic(*, per_minute: float) -> None:
        thread = threading.Thread(
            target=retailer.run, kwargs={"per_minute": per_minute, "stop": stop}, name="traffic", daemon=True
        )
        traffic.append(thread)
        thread.start()

    try:
        retailer = LiveRetailer(sandbox, seed=options["seed"])
        if live is not None and live["webhook_url"]:
            register_webhooks(sandbox, live["webhook_url"])
        commands = {**commands_of(retailer), "start_traffic": start_traffic}
        if live is not None:
            control = listen(Path(options["folder"]) / CONTROL, commands)
        _tell(place)
        if live is not None and live["per_minute"] > 0:
            start_traffic(per_minute=live["per_minute"])
        serve(commands)
    finally:
        stop.set()
        if control is not None:
            control.shutdown()
        for thread in traffic:
            thread.join(timeout=10)
        sandbox.stop()


def serve(commands: Mapping[str, Callable[..., Any]]) -> None:
    """Answer commands until standard input closes."""
    for line in sys.stdin:
        if line.strip():
            _tell(answered(commands, line))


def answered(commands: Mapping[str, Callable[..., Any]], line: str) -> dict[str, Any]:
    """What a command gives, or why it could not be done."""
    asked = json.loads(line)
    try:
        return {"result": commands[asked["command"]](**asked["arguments"])}
    except Exception as error:  # noqa: BLE001  whatever it is, who asked is told, and the shops stay up
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {error}"}


def listen(path: Path, commands: Mapping[str, Callable[..., Any]]) -> socketserver.BaseServer | None:
    """Answer commands on a socket too, in threads of their own; None where the path is too long for a socket."""
    if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
        return None

    class Connection(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for line in self.rfile:
                self.wfile.write(json.dumps(answered(commands, line.decode())).encode() + b"\n")

    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True

    path.unlink(missing_ok=True)
    before = os.umask(0o077)
    try:
        server = Server(str(path), Connection)
    finally:
        os.umask(before)
    threading.Thread(target=server.serve_forever, name="control", daemon=True).start()
    return server


def commands_of(retailer: LiveRetailer) -> Mapping[str, Callable[..., Any]]:
    """What each of COMMANDS does; results are plain JSON."""
    told = 0

    def events() -> list[dict[str, Any]]:
        nonlocal told
        news = retailer.events[told:]
        told += len(news)
        return [event_json(event) for event in news]

    def erp_answers(*, with_stock: bool = False) -> list[dict[str, str]]:
        return [
            {
                "channel_code": answer.order.channel_code,
                "order_number": answer.order.number,
                "decision": answer.decision,
                "reason": answer.reason,
            }
            for answer in retailer.erp_answers(with_stock=with_stock)
        ]

    return {
        "erp_answers": erp_answers,
        "place_web_order": lambda **arguments: event_json(retailer.place_web_order(**arguments)),
        "ring_up_ticket": lambda **arguments: event_json(retailer.ring_up_ticket(**arguments)),
        "ship_orders": lambda **arguments: [event_json(event) for event in retailer.ship_orders(**arguments)],
        "write_stock": lambda: retailer.erp.write_stock().name,
        "events": events,
    }


def event_json(event: LiveEvent) -> dict[str, Any]:
    """An event as plain JSON."""
    return {
        "kind": event.kind,
        "at": event.at.isoformat(),
        "system_code": event.system_code,
        "channel_code": event.channel_code,
        "reference": event.reference,
        "sold": [[units.location, units.item, units.quantity] for units in event.sold],
        "file": event.file,
        "detail": event.detail,
    }


def _tell(what: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
