"""The copy that analysts open: `published/bi.duckdb`, swapped in whole. Readers never block and are never blocked."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import duckdb

from resources.errors import PermanentError, Where


@dataclass(frozen=True)
class Published:
    """What was published. ``tables``: `schema.table` -> rows; ``size`` in bytes; ``seconds`` of wall clock."""

    path: Path
    tables: dict[str, int]
    size: int
    seconds: float


def copy_out(mart: Path, target: Path) -> None:
    """Copy the checkpointed, closed ``mart`` to ``target``. The caller holds the writer lock.

    A child process copies: closing any descriptor of a DuckDB file in this process would drop DuckDB's own lock on it.
    """
    wal = mart.with_name(mart.name + ".wal")
    if wal.exists():
        raise PermanentError(
            "the mart still has a write-ahead log after its checkpoint, a copy would miss rows",
            where=Where(file=str(wal)),
            action="open mart.duckdb once with DuckDB, run CHECKPOINT and publish again",
        )
    done = subprocess.run(
        ["cp", "--reflink=auto", "--", str(mart), str(target)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise PermanentError(f"the copy failed: {done.stderr.strip()}", where=Where(file=str(target)))


def swap_in(copy: Path, target: Path, *, started: float) -> Published:
    """Make ``copy`` durable, open it once as a reader would, and put it in the place of ``target`` in one step."""
    _fsync(copy)
    tables = _row_counts(copy)
    copy.chmod(0o444)
    os.replace(copy, target)
    _fsync(target.parent)
    return Published(target, tables, target.stat().st_size, time.monotonic() - started)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _row_counts(path: Path) -> dict[str, int]:
    con = duckdb.connect()
    try:
        name = str(path).replace("'", "''")
        con.execute(f"attach '{name}' as published (read_only)")
        found = con.execute(
            """select schema_name, table_name from duckdb_tables()
            where database_name = 'published' order by schema_name, table_name"""
        ).fetchall()
        counts: dict[str, int] = {}
        for schema, table in found:
            row = con.execute(f'select count(*) from published."{schema}"."{table}"').fetchone()
            counts[f"{schema}.{table}"] = int(row[0]) if row else 0
        return counts
    finally:
        con.close()
