"""The journal of refused logins as a program of the service: `python -m orchestration.service.login_process`."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from resources.access_log import Place, read_since, refused_logins
from resources.operations import ExchangeEntry, Operations
from resources.settings import Settings

EVERY_S = 5.0
PLACE_FILE = "access_log.json"
SAME_A_LOOK = 10


def follow(settings: Settings, operations: Operations, access_log: Path) -> int:
    """Journal what came since the last time; gives how many refused logins it noted. A crash journals a batch twice at worst."""
    place_path = settings.service_dir / PLACE_FILE
    place = Place(**json.loads(place_path.read_text(encoding="utf-8"))) if place_path.is_file() else Place()
    refused_qty = 0
    noted: Counter[str] = Counter()
    for lines, after in read_since(access_log, place):
        entries = few_of_each(refused_logins(lines), noted)
        if entries:
            operations.add_exchange(*entries)
        refused_qty += len(entries)
        partial = place_path.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(after)), encoding="utf-8")
        partial.replace(place_path)
    return refused_qty


def few_of_each(entries: Sequence[ExchangeEntry], noted: Counter[str]) -> list[ExchangeEntry]:
    """The first ten of the same address and door, in one look at the log: a flood of tries must not fill the journal."""
    kept = []
    for entry in entries:
        noted[entry.detail] += 1
        if noted[entry.detail] <= SAME_A_LOOK:
            kept.append(entry)
    return kept


def main() -> None:
    """Follow the log until a signal ends it."""
    settings = Settings.from_environment(os.environ, Path.cwd())
    if settings.access_log is None:
        raise SystemExit("ETALON_ACCESS_LOG is not set")
    settings.service_dir.mkdir(parents=True, exist_ok=True)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    operations = Operations.open(settings.operations_url, data_dir=settings.data_dir)
    beat = settings.service_dir / "logins.beat"
    while not stop.is_set():
        follow(settings, operations, settings.access_log)
        beat.touch()
        stop.wait(EVERY_S)
    operations.close()


if __name__ == "__main__":
    main()
