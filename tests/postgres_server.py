"""A private PostgreSQL for tests: a new cluster in a folder of its own, on a free port of 127.0.0.1, ended by its process."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from resources.postgres_programs import find_postgres_program

_START_TIMEOUT_S = 30
USER = "etalon"


class Program:
    """The server's process: started, ended, started again on the same files and the same port."""

    def __init__(self, command: list[str | Path], home: Path, account: pwd.struct_passwd | None) -> None:
        self._command, self._home, self._account = command, home, account
        self.log = home / "server.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> subprocess.Popen[bytes]:
        """Begin; it does not answer yet."""
        account = self._account
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self._command,
                cwd=self._home,
                stdout=output,
                stderr=subprocess.STDOUT,
                user=None if account is None else account.pw_uid,
                group=None if account is None else account.pw_gid,
                extra_groups=None if account is None else [],
            )
        return self.process

    def end(self, how: signal.Signals) -> None:
        """SIGTERM waits for its clients (ten seconds here), SIGINT sends them away as a restart of the service does."""
        if self.process is None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None


@dataclass(frozen=True)
class PostgresServer:
    """A running server. ``url`` is a ``postgresql://`` address of its first database."""

    port: int
    password: str = field(repr=False)
    program: Program = field(repr=False)

    def stop(self) -> None:
        """Send every client away and end."""
        self.program.end(signal.SIGINT)

    def start(self) -> None:
        """Be there again after :meth:`stop`, on the same port with the same rows."""
        _wait_until_ready(self, self.program.start(), self.program.log)

    def restart(self) -> None:
        """What an update of the package does to its clients."""
        self.stop()
        self.start()

    @property
    def url(self) -> str:
        """The database every cluster has."""
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        """The address of a database."""
        return f"postgresql://{USER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """An empty database of its own for one test; its address."""
        name = f"test_{secrets.token_hex(6)}"
        engine = sa.create_engine(self.url.replace("postgresql://", "postgresql+psycopg2://"))
        try:
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(sa.text(f"create database {name}"))
        finally:
            engine.dispose()
        return self.url_of(name)


def find_binaries() -> Path | None:
    """The folder that holds initdb and postgres: on the path, or where Debian puts them; None when not installed."""
    program = find_postgres_program("initdb")
    folder = program.resolve().parent if program is not None else None
    return folder if folder is not None and (folder / "postgres").exists() else None


@contextmanager
def running_postgres(binaries: Path) -> Iterator[PostgresServer]:
    """Start a server, hand it out, end it and remove its files. PostgreSQL refuses root, so root lends it another user."""
    home = Path(tempfile.mkdtemp(prefix="etalon-pg-"))
    account = _account() if os.geteuid() == 0 else None
    if account is not None:
        os.chown(home, account.pw_uid, account.pw_gid)
    try:
        password = secrets.token_hex(16)
        password_file = home / "password"
        password_file.write_text(password)
        password_file.chmod(0o644)  # its folder is closed to others
        _run(
            [
                binaries / "initdb",
                f"--pgdata={home / 'data'}",
                f"--username={USER}",
                f"--pwfile={password_file}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
            ],
            home,
            account,
        )
        port = _free_port()
        program = Program(
            [
                binaries / "postgres",
                "-D",
                home / "data",
                *("-c", "listen_addresses=127.0.0.1"),
                *("-c", f"port={port}"),
                *("-c", f"unix_socket_directories={home}"),
                *("-c", "fsync=off"),
                *("-c", "full_page_writes=off"),
                *("-c", "max_connections=200"),
            ],
            home,
            account,
        )
        server = PostgresServer(port, password, program)
        try:
            server.start()
            yield server
        finally:
            program.end(signal.SIGTERM)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _account() -> pwd.struct_passwd:
    """The user that Debian's package brings, else the one that owns nothing."""
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return known.get("postgres") or known["nobody"]


def _run(command: list[str | Path], home: Path, account: pwd.struct_passwd | None) -> None:
    done = subprocess.run(
        command,
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        user=None if account is None else account.pw_uid,
        group=None if account is None else account.pw_gid,
        extra_groups=None if account is None else [],
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stderr.strip()}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(server: PostgresServer, process: subprocess.Popen[bytes], log: Path) -> None:
    engine = sa.create_engine(server.url.replace("postgresql://", "postgresql+psycopg2://"))
    deadline = time.monotonic() + _START_TIMEOUT_S
    try:
        while True:
            try:
                with engine.connect():
                    return
            except sa.exc.OperationalError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text()}") from None
                time.sleep(0.05)
    finally:
        engine.dispose()
