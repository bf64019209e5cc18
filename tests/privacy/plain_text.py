"""Looks for values in everything that stands under a folder, whatever the format of the file they may hide in."""

from __future__ import annotations

import io
import json
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import zstandard


def files_that_show(folder: Path, needles: Sequence[str], *, leave_out: Sequence[str] = ()) -> dict[str, list[str]]:
    """Needle -> files below ``folder`` in which it can be read by anyone, large and small letters alike.

    Each file's bytes are searched as they are, and what zstd, Parquet, SQLite and DuckDB pack away is unpacked first.
    ``leave_out``: names of files and of folders that are not looked into.
    """
    wanted = {needle: _spellings(needle) for needle in needles}
    shown: dict[str, list[str]] = {needle: [] for needle in needles}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if not path.is_file() or set(path.relative_to(folder).parts) & set(leave_out):
            continue
        found: set[str] = set()
        for text in _texts(path):
            lower = text.lower()
            found |= {
                needle for needle, spellings in wanted.items() if any(spelling in lower for spelling in spellings)
            }
        for needle in found:
            shown[needle].append(name)
    return shown


def _spellings(needle: str) -> set[bytes]:
    """A value as files write it: UTF-8, UTF-16, Latin-1, and with JSON's escapes."""
    spellings: set[bytes] = set()
    for text in (needle, needle.lower()):
        escaped = json.dumps(text)[1:-1]
        spellings |= {form.lower() for form in (text.encode(), text.encode("utf-16-le"), escaped.encode())}
        spellings.add(text.encode("latin-1", "replace").lower())
    return spellings


def _texts(path: Path) -> Iterator[bytes]:
    data = path.read_bytes()
    yield data
    if path.suffix == ".zst":
        with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True) as reader:
            yield reader.read()
    elif path.suffix == ".parquet":
        yield _joined(row for row in pl.read_parquet(path).select(pl.col(pl.String)).iter_rows())
    elif data.startswith(b"SQLite format 3\x00"):
        yield from _sqlite(path)
    elif data[8:12] == b"DUCK":
        yield from _duckdb(path)


def _sqlite(path: Path) -> Iterator[bytes]:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    connection.text_factory = bytes
    try:
        names = [name.decode() for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            yield _joined(connection.execute(f'SELECT * FROM "{name}"'))
    finally:
        connection.close()


def _duckdb(path: Path) -> Iterator[bytes]:
    with duckdb.connect(str(path), read_only=True) as connection:
        tables = connection.execute(
            "SELECT table_schema, table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE'"
        ).fetchall()
        for schema, name in tables:
            yield _joined(connection.execute(f'SELECT COLUMNS(c -> true)::VARCHAR FROM "{schema}"."{name}"').fetchall())


def _joined(rows: Any) -> bytes:
    return b"\n".join(
        value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row if value is not None
    )
