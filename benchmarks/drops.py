"""A dropped file with its marker, written in pieces, and one reading of it. What is in it belongs to each benchmark."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.harness import Outcome, cpu_clock


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


def read_drop(given: Mapping[str, Any], *, system_code: str, feed: str) -> Outcome:
    """Read the feed's files in ``given["drops"]`` once, with everything a run does; rows are those landed and those refused."""
    from benchmarks.stores import connector_of, demo_retailer, read_into, told

    connector = connector_of(demo_retailer(), system_code, folder=Path(given["drops"]), feeds=(feed,))
    with tempfile.TemporaryDirectory() as folder, cpu_clock() as spent:
        manifest = read_into(Path(folder), connector, feed)
        return Outcome(manifest.landed_qty + manifest.quarantined_qty, spent(), told(manifest))
