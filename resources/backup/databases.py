"""How one database is copied while others use it, and put back. What is copied is said elsewhere."""

from __future__ import annotations

import sqlite3
import subprocess
from pathlib import Path
from urllib.parse import unquote, urlsplit

from resources.errors import PermanentError, Where
from resources.postgres_programs import find_postgres_program

_SQLITE_MAGIC = b"SQLite format 3\x00"


def is_sqlite(path: Path) -> bool:
    """Whether a file is a SQLite database, whatever its name."""
    with path.open("rb") as file:
        return file.read(len(_SQLITE_MAGIC)) == _SQLITE_MAGIC


def copy_sqlite(source: Path, target: Path) -> None:
    """Copy a SQLite database as it stands between two transactions, its write-ahead log included; writers go on."""
    target.parent.mkdir(parents=True, exist_ok=True)
    reading = sqlite3.connect(f"file:{source}?mode=ro", uri=True, timeout=60)
    writing = sqlite3.connect(target)
    try:
        reading.backup(writing)
    finally:
        writing.close()
        reading.close()


def dump_postgres(url: str, target: Path) -> None:
    """Dump one PostgreSQL database, all its schemas, at one instant. Raises PermanentError with the program's own words."""
    target.parent.mkdir(parents=True, exist_ok=True)
    _run(url, ["pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={target}"], "dump")


def restore_postgres(url: str, source: Path) -> None:
    """Make a PostgreSQL database what a dump says, in one transaction: as dumped, or as it was when something fails."""
    _run(
        url,
        ["pg_restore", "--clean", "--if-exists", "--no-owner", "--no-privileges", "--single-transaction", str(source)],
        "restore",
    )


def postgres_tables_qty(url: str) -> int:
    """Tables that a database holds beside the system's own."""
    query = "select count(*) from pg_tables where schemaname not in ('pg_catalog', 'information_schema')"
    return int(
        _run(url, ["psql", "--no-psqlrc", "--tuples-only", "--no-align", "--command", query], "question").strip()
    )


def find_program(name: str) -> Path:
    """A program of PostgreSQL: on the path, or where Debian puts them. Raises PermanentError when it is not installed."""
    found = find_postgres_program(name)
    if found is None:
        raise PermanentError(
            f"the program {name} is not installed",
            action="install PostgreSQL's client: apt-get install postgresql-client",
        )
    return found


def _run(url: str, command: list[str], what: str) -> str:
    """Run a program on the database at ``url``; the password goes by the environment, where `ps` does not show it."""
    parts = urlsplit(url)
    program = find_program(command[0])
    environment = {"PATH": "/usr/bin:/bin", "PGCONNECT_TIMEOUT": "30"}
    if parts.password:
        environment["PGPASSWORD"] = unquote(parts.password)
    address = [
        *(["--host", parts.hostname] if parts.hostname else []),
        *(["--port", str(parts.port)] if parts.port else []),
        *(["--username", unquote(parts.username)] if parts.username else []),
        "--dbname",
        parts.path.lstrip("/"),
    ]
    done = subprocess.run(
        [str(program), "--no-password", *address, *command[1:]],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    if done.returncode:
        raise PermanentError(
            f"{command[0]} could not {what} the database: {done.stderr.strip()[:500]}",
            where=Where(system_code="postgres"),
            action="a client older than its server cannot dump it: install the server's own version of PostgreSQL's client"
            if "version mismatch" in done.stderr
            else None,
        )
    return done.stdout
