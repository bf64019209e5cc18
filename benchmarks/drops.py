"""A dropped file with its marker, written in pieces. What is in it belongs to each benchmark."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Writer:
    """Writes a file and hashes it on the way."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._hash = hashlib.sha256()

    def write(self, data: bytes) -> None:
        """Append."""
        self._file.write(data)
        self._hash.update(data)

    def close(self) -> str:
        """Close it; gives its SHA-256."""
        self._file.close()
        return self._hash.hexdigest()


@contextmanager
def drop(folder: Path, name: str, rows: int) -> Iterator[Writer]:
    """Write a file of so many rows; its marker follows when the block ends."""
    writer = Writer(folder / name)
    try:
        yield writer
    finally:
        sha256 = writer.close()
    marker = {"rows": rows, "sha256": sha256}
    (folder / f"{name}.done").write_text(json.dumps(marker), encoding="utf-8")
