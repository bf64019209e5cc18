"""A PostgreSQL of the service's own, when nobody gives it one: a cluster in the data folder, on loopback, closed to others.

Belongs here: making the cluster, the program that runs it, its address. It uses the PostgreSQL programs of the machine.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from orchestration.service.supervisor import Account, Program
from resources.errors import ConfigurationError, PermanentError, Where
from resources.postgres_programs import find_postgres_program
from resources.settings import sqlalchemy_postgres_url

USER, DATABASE = "etalon", "etalon"
URL_FILE = "url"
OF_ROOT = Path("/var/lib/etalon")
"""Where the cluster of a data folder goes that PostgreSQL's user cannot reach (root's home, for instance)."""


@dataclass(frozen=True)
class PrivatePostgres:
    """A cluster that exists. ``url``: the `postgresql://` address of the service's database; secret, it holds the password."""

    cluster: Path
    binaries: Path
    port: int
    account: Account | None
    url: str = field(repr=False)

    def program(self, environ: Mapping[str, str]) -> Program:
        """The server as a program to keep alive. SIGINT ends it quickly and cleanly: clients are cut, everything is written."""
        return Program(
            name="postgres",
            command=(
                str(self.binaries / "postgres"),
                *("-D", str(self.cluster)),
                *("-c", "listen_addresses=127.0.0.1"),
                *("-c", f"port={self.port}"),
                *("-c", f"unix_socket_directories={self.cluster}"),
                *("-c", "max_connections=200"),
            ),
            environ={name: environ[name] for name in ("PATH", "LANG", "TZ") if name in environ},
            probe=lambda: can_connect(self.url),
            tier=0,
            stop_signal=signal.SIGINT,
            account=self.account,
        )


def find_binaries() -> Path:
    """The folder with `initdb` and `postgres`: on the path, or where Debian puts them. Raises ConfigurationError without them."""
    program = find_postgres_program("initdb")
    if program is not None and (program.resolve().parent / "postgres").exists():
        return program.resolve().parent
    raise ConfigurationError(
        "PostgreSQL is not installed, and no address of one is given",
        where=Where(field="ETALON_POSTGRES_URL"),
        action="install it (Debian, Ubuntu: sudo apt-get install postgresql; macOS: brew install postgresql), "
        "or set ETALON_POSTGRES_URL to a database of yours",
    )


def prepare(folder: Path) -> PrivatePostgres:
    """The cluster of ``folder``, made when it is not there yet (about a second), with a password of its own.

    The address is in ``folder/url``, readable by its owner only; its port is a free one of 127.0.0.1, chosen anew when taken.
    """
    binaries = find_binaries()
    folder.mkdir(parents=True, exist_ok=True)
    url_file = folder / URL_FILE
    account = _account() if os.geteuid() == 0 else None
    cluster = _cluster_folder(folder, account)
    if url_file.is_file() and (cluster / "PG_VERSION").is_file():
        address = sa.make_url(url_file.read_text(encoding="utf-8").strip())
        password, port = str(address.password), int(address.port or 0)
        _check_version(binaries, cluster)
    else:
        password, port = secrets.token_hex(24), 0
        _make_cluster(
            binaries,
            cluster,
            password,
            account,
            before_it_is_there=lambda: write_private(url_file, _url(password, port)),
        )
    if not _is_free(port):
        port = _free_port()
    url = _url(password, port)
    write_private(url_file, url)
    return PrivatePostgres(cluster, binaries, port, _as_account(account), url)


def ensure_database(url: str) -> None:
    """Create the service's database in a running cluster where it is missing."""
    engine = sa.create_engine(sqlalchemy_postgres_url(url.removesuffix(f"/{DATABASE}") + "/postgres"))
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            query = sa.text("SELECT 1 FROM pg_database WHERE datname = :name")
            if connection.scalar(query, {"name": DATABASE}) is None:
                connection.execute(sa.text(f"CREATE DATABASE {DATABASE}"))
    finally:
        engine.dispose()


def can_connect(url: str) -> bool:
    """Whether the server answers and the service's database is there; it is made the first time that the server answers."""
    engine = sa.create_engine(sqlalchemy_postgres_url(url), connect_args={"connect_timeout": 3})
    try:
        with engine.connect() as connection:
            connection.execute(sa.text("SELECT 1"))
    except sa.exc.OperationalError as error:
        if f'database "{DATABASE}" does not exist' in str(error):
            ensure_database(url)
        return False  # not yet: asked again soon
    finally:
        engine.dispose()
    return True


def write_private(path: Path, text: str) -> None:
    """Write a file that its owner alone can read, whole or not at all."""
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.touch(mode=0o600)
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def _url(password: str, port: int) -> str:
    return f"postgresql://{USER}:{password}@127.0.0.1:{port}/{DATABASE}"


def _make_cluster(
    binaries: Path,
    cluster: Path,
    password: str,
    account: pwd.struct_passwd | None,
    *,
    before_it_is_there: Callable[[], None],
) -> None:
    if cluster.exists():
        if any(cluster.iterdir()):
            raise ConfigurationError(
                "this folder holds something that is no finished cluster of the service",
                where=Where(file=str(cluster)),
                action="move it away: it is made again",
            )
        cluster.rmdir()
    # Made beside and renamed: a start that was killed half way leaves no half cluster behind.
    making = cluster.with_name(f"{cluster.name}.making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(mode=0o700)
    password_file = making.with_name(f"{making.name}.password")
    write_private(password_file, password)
    try:
        if account is not None:
            os.chown(making, account.pw_uid, account.pw_gid)
            os.chown(password_file, account.pw_uid, account.pw_gid)
        done = subprocess.run(
            [
                binaries / "initdb",
                f"--pgdata={making}",
                f"--username={USER}",
                f"--pwfile={password_file}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            cwd="/",
            user=None if account is None else account.pw_uid,
            group=None if account is None else account.pw_gid,
            extra_groups=None if account is None else [],
        )
    finally:
        password_file.unlink()
    if done.returncode:
        shutil.rmtree(making, ignore_errors=True)
        raise PermanentError(
            f"initdb ended with {done.returncode}: {done.stderr.strip()}",
            where=Where(file=str(cluster)),
            action="mend what it says, or set ETALON_POSTGRES_URL to a database of yours",
        )
    before_it_is_there()
    making.rename(cluster)


def _cluster_folder(folder: Path, account: pwd.struct_passwd | None) -> Path:
    """``folder/cluster``, or a place that PostgreSQL's own user can reach when that one is root's alone."""
    if account is None:
        return folder / "cluster"
    folder.chmod(0o711)
    if _can_reach(folder, account):
        return folder / "cluster"
    OF_ROOT.mkdir(mode=0o711, parents=True, exist_ok=True)
    return OF_ROOT / f"postgres-{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]}"


def _can_reach(folder: Path, account: pwd.struct_passwd) -> bool:
    tried = subprocess.run(
        ["test", "-x", folder], check=False, cwd="/", user=account.pw_uid, group=account.pw_gid, extra_groups=[]
    )
    return tried.returncode == 0


def _check_version(binaries: Path, cluster: Path) -> None:
    """A cluster is opened by the major version that made it."""
    wanted = (cluster / "PG_VERSION").read_text(encoding="utf-8").strip()
    told = subprocess.run([binaries / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    installed = told.split()[2]  # postgres (PostgreSQL) 15.18 …
    if installed.partition(".")[0] != wanted:
        raise ConfigurationError(
            f"the cluster was made by PostgreSQL {wanted}, and {installed} is installed",
            where=Where(file=str(cluster)),
            action=f"install PostgreSQL {wanted} beside it, or move the data with pg_upgrade",
        )


def _account() -> pwd.struct_passwd:
    """PostgreSQL refuses root: the user that Debian's package brings, else the one that owns nothing."""
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return known.get("postgres") or known["nobody"]


def _as_account(account: pwd.struct_passwd | None) -> Account | None:
    return None if account is None else Account(account.pw_uid, account.pw_gid)


def _is_free(port: int) -> bool:
    if port == 0:
        return False
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
