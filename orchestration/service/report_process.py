"""The published folder as a program of the service: `python -m orchestration.service.report_process FOLDER PORT`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from orchestration.published_server import serve_published


def main(folder: Path, port: int) -> None:
    """Serve until a signal ends it."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder.mkdir(parents=True, exist_ok=True)
    with serve_published(folder, port, ports_tried=1):
        try:
            while True:
                signal.pause()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
