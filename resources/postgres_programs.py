"""Where PostgreSQL's own programs are: on the path, or where Debian puts them, which is not on the path."""

from __future__ import annotations

import shutil
from pathlib import Path

_DEBIAN = Path("/usr/lib/postgresql")


def find_postgres_program(name: str) -> Path | None:
    """The program ``name`` (``initdb``, ``pg_dump``, …) of the newest release that is installed; None without it."""
    on_path = shutil.which(name)
    if on_path:
        return Path(on_path)  # not what it links to: Debian's wrapper tells by its name what it is to be
    found = sorted(_DEBIAN.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return found[-1] if found else None
