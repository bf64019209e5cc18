"""The proof that a person is gone: a search through everything that is kept, sealed or not, for their values and tokens.

It knows formats, not our layout: it opens every file below the data folder and every table of the stores, and looks.
"""

from __future__ import annotations

import io
import json
import sqlite3
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars as pl
import sqlalchemy as sa
import zstandard

from resources.errors import PermanentError
from resources.privacy import Sealer

_LEFT_OUT = frozenset({"sandbox", "postgres"})
TOKEN_DIGITS = 64
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True)
class Trace:
    """Where something of the person still stands: a file (and table), or a table of PostgreSQL. ``what`` is never the value itself."""

    place: str
    what: str


def find_traces(
    data_dir: Path,
    needles: dict[str, str],
    *,
    sealer: Sealer,
    engines: Sequence[sa.Engine] = (),
    leave_out: Sequence[Path] = (),
) -> list[Trace]:
    """Every place that shows one of ``needles`` (value or token -> what to call it), large and small letters alike.

    DuckDB files may not be open elsewhere in this process. ``leave_out``: files known to belong to another (a drop folder).
    Raises PermanentError for a sealed file that does not open: what cannot be looked into is not proved.
    """
    wanted = {needle: (_spellings(needle), what) for needle, what in needles.items() if needle}
    found: dict[Trace, None] = {}

    def look(place: str, data: bytes) -> None:
        lower = data.lower()
        for spellings, what in wanted.values():
            if any(spelling in lower for spelling in spellings):
                found[Trace(place, what)] = None

    for path in sorted(data_dir.rglob("*")):
        relative = path.relative_to(data_dir)
        if path.is_file() and not (set(relative.parts) & _LEFT_OUT) and path not in leave_out:
            try:
                for data in _readable(path, sealer):
                    look(relative.as_posix(), data)
            except FileNotFoundError:
                continue  # it came and went: a temporary file, a log of a database that was closed
    for engine in engines:
        _search_database(engine, sealer, look)
    return list(found)


def _spellings(needle: str) -> frozenset[bytes]:
    forms = {needle, needle.casefold(), json.dumps(needle)[1:-1]}
    return frozenset(
        encoded.lower()
        for form in forms
        for encoded in (form.encode(), form.encode("utf-16-le"), form.encode("latin-1", "replace"))
    )


def _readable(path: Path, sealer: Sealer) -> Iterator[bytes]:
    """A file's bytes, and what is packed or sealed in them."""
    data = path.read_bytes()
    yield data
    if path.name.endswith(".zst.sealed"):
        at = 0
        while at < len(data):
            (length,) = _LENGTH.unpack_from(data, at)
            at += _LENGTH.size
            yield _unpacked(sealer.open(data[at : at + length]))
            at += length
    elif path.suffix == ".zst":
        yield _unpacked(data)
    elif path.suffix == ".parquet":
        frame = pl.read_parquet(path).select(pl.col(pl.String))
        yield "\n".join(str(cell) for row in frame.iter_rows() for cell in row if cell is not None).encode()
    elif data.startswith(b"SQLite format 3\x00"):
        yield from _sqlite(path, sealer)
    elif data[8:12] == b"DUCK":
        yield from _duckdb(path)


def _unpacked(data: bytes) -> bytes:
    with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True) as reader:
        return reader.read()


def _sqlite(path: Path, sealer: Sealer) -> Iterator[bytes]:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60)
    connection.text_factory = bytes
    try:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            yield from _cells(connection.execute(f'SELECT * FROM "{name.decode()}"'), sealer)
    finally:
        connection.close()


def _duckdb(path: Path) -> Iterator[bytes]:
    with duckdb.connect(str(path), read_only=True) as connection:
        tables = connection.sql("select schema_name, table_name from duckdb_tables()").fetchall()
        for schema, name in tables:
            texts = [
                column
                for column, kind in connection.execute(
                    "select column_name, data_type from duckdb_columns() where schema_name = ? and table_name = ?",
                    [schema, name],
                ).fetchall()
                if kind == "VARCHAR"
            ]
            if texts:
                listed = ", ".join(f'"{column}"' for column in texts)
                rows = connection.sql(f'select distinct {listed} from "{schema}"."{name}"').fetchall()
                yield "\n".join(str(cell) for row in rows for cell in row if cell is not None).encode()


def _search_database(engine: sa.Engine, sealer: Sealer, look: Callable[[str, bytes], None]) -> None:
    inspector = sa.inspect(engine)
    with engine.connect() as connection:
        for schema in inspector.get_schema_names():
            if schema in ("information_schema", "pg_catalog"):
                continue
            for name in inspector.get_table_names(schema=schema):
                place = engine.dialect.identifier_preparer.quote(name)
                rows = connection.exec_driver_sql(f'SELECT * FROM "{schema}".{place}')
                for data in _cells(iter(rows), sealer):
                    look(f"{schema}.{name}", data)


def _cells(rows: Iterator[Sequence[object]], sealer: Sealer) -> Iterator[bytes]:
    for row in rows:
        cells = [found for cell in row if (found := _bytes(cell)) is not None]
        for cell in cells:
            yield cell
            if Sealer.is_sealed(cell):
                yield _opened(cell, cells, sealer)
            elif cell.startswith(b"sealed:"):
                yield sealer.open(bytes.fromhex(cell.removeprefix(b"sealed:").decode()))


def _bytes(cell: object) -> bytes | None:
    if isinstance(cell, str):
        return cell.encode("utf-8", "surrogateescape")
    return bytes(cell) if isinstance(cell, bytes | memoryview) else None


def _opened(sealed: bytes, cells: Sequence[bytes], sealer: Sealer) -> bytes:
    """What is sealed in a cell; a personal value is bound to its token, which stands beside it. Raises PermanentError."""
    for context in (cell for cell in cells if len(cell) == TOKEN_DIGITS):
        try:
            return sealer.open(sealed, context)
        except PermanentError:
            continue  # not bound to that one
    return sealer.open(sealed)
