"""The sandbox as a child process of the demo: `python -m orchestration.sandbox_process OPTIONS`.

It starts the sandbox, prints one JSON line that says where it is, and stops when its standard input closes, so that it
never outlives the process that wanted it.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from resources.errors import PermanentError


@dataclass(frozen=True)
class SandboxPlace:
    """Where a started sandbox is: the variables that retailer.yaml asks for, and the file with the truth."""

    variables: dict[str, str]
    truth_path: Path
    seconds: float


@contextmanager
def sandbox_process(folder: Path, *, seed: int, variants: int, orders: int, now: datetime) -> Iterator[SandboxPlace]:
    """A sandbox in a process of its own, so that its servers do not share Python's lock with what reads them."""
    options = {"folder": str(folder), "seed": seed, "variants": variants, "orders": orders, "now": now.isoformat()}
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
        yield SandboxPlace(told["variables"], Path(told["truth_path"]), told["seconds"])
    finally:
        if process.stdin:
            process.stdin.close()
        process.wait(timeout=30)


def main(arguments: list[str]) -> None:
    """Serve until standard input closes."""
    import time

    from sandbox.retailer import start_sandbox  # the demo is the only command that knows the sandbox

    options = json.loads(arguments[0])
    started = time.monotonic()
    sandbox = start_sandbox(
        Path(options["folder"]),
        variants=options["variants"],
        orders=options["orders"],
        seed=options["seed"],
        now=datetime.fromisoformat(options["now"]),
    )
    place = {
        "variables": {
            "ETALON_DROPS": str(sandbox.drops),
            "ETALON_SHOP_FR_URL": sandbox.url_fr,
            "ETALON_SHOP_FR_KEY": sandbox.key_fr,
            "ETALON_SHOP_BE_URL": sandbox.url_be,
            "ETALON_SHOP_BE_KEY": sandbox.key_be,
            "ETALON_SHOP_BE_SECRET": sandbox.secret_be,
            "ETALON_SHOP_BE_WEBHOOK_SECRET": secrets.token_hex(16),
        },
        "truth_path": str(sandbox.truth_path),
        "seconds": time.monotonic() - started,
    }
    sys.stdout.write(json.dumps(place) + "\n")
    sys.stdout.flush()
    try:
        sys.stdin.read()
    finally:
        sandbox.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
