"""One service for one data folder: a lock that goes with the process that holds it, however it ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from resources.errors import ConfigurationError, Where


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the service's lock of this folder. Raises ConfigurationError when another process has it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise ConfigurationError(
                f"the service of this data folder runs already, as process {file.read().strip() or 'unknown'}",
                where=Where(file=str(folder)),
                action="`etalon up --status` shows how it does",
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def is_running(folder: Path) -> bool:
    """Whether a service holds the lock of this folder."""
    lock = folder / "lock"
    if not lock.is_file():
        return False
    with lock.open("r", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
