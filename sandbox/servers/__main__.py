"""`python -m sandbox.servers FOLDER`: play a folder of recorded exchanges until interrupted."""

from __future__ import annotations

import argparse
import sys
import threading
from pathlib import Path

from sandbox.servers.replay import ReplayServer


def main(arguments: list[str] | None = None) -> int:
    """Serve recordings and say where; 0 when interrupted."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.servers", description="Play a recorded shop on 127.0.0.1.")
    parser.add_argument("folder", type=Path, help="recorded exchanges, e.g. tests/recordings/prestashop")
    parser.add_argument("--key", default="K" * 32, help="webservice key or consumer key a client must show")
    parser.add_argument("--secret", default="", help="consumer secret (WooCommerce; sign with OAuth 1.0a)")
    chosen = parser.parse_args(arguments)
    server = ReplayServer(chosen.folder, key=chosen.key, secret=chosen.secret)
    sys.stdout.write(f"{server.kind} of {chosen.folder} on {server.start()} (Ctrl-C stops it)\n")
    sys.stdout.flush()
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
