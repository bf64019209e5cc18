"""The private PostgreSQL for a command that needs it while the service is down: started, used, ended."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from orchestration.service.private_postgres import can_connect, prepare
from resources.errors import PermanentError, Where

START_TIMEOUT_S = 60


@contextmanager
def private_postgres(folder: Path, environ: Mapping[str, str]) -> Iterator[str]:
    """The address of the private PostgreSQL in ``folder``, running; made when there is none.

    When the service runs it, it is left alone. Raises PermanentError when it does not start, ConfigurationError when PostgreSQL is
    not installed.
    """
    url_file = folder / "url"
    if url_file.is_file() and can_connect(url_file.read_text(encoding="utf-8").strip()):
        yield url_file.read_text(encoding="utf-8").strip()
        return
    cluster = prepare(folder)
    program = cluster.program(environ)
    account = program.account
    process = subprocess.Popen(
        program.command,
        env=dict(program.environ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        user=None if account is None else account.uid,
        group=None if account is None else account.gid,
        extra_groups=None if account is None else [],
    )
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not can_connect(cluster.url):
            if process.poll() is not None or time.monotonic() > deadline:
                raise PermanentError(
                    "the private PostgreSQL did not start",
                    where=Where(file=os.fspath(cluster.cluster)),
                    action="start it by hand to see why: "
                    f"{cluster.binaries / 'postgres'} -D {cluster.cluster} (not as root)",
                )
            time.sleep(0.1)
        yield cluster.url
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=START_TIMEOUT_S)
