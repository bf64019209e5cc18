"""The published folder over HTTP on this machine: browsers refuse a `file://` link from the UI's page, so the report is served beside it.

Belongs here: that small server. It knows one folder, gives whole files that lie directly in it, and takes nothing.
"""

from __future__ import annotations

import mimetypes
import os
import shutil
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

LOOPBACK = "127.0.0.1"
FRONT_PAGE = "report.html"
PORTS_TRIED = 20
"""How many ports in a row are tried when the first is taken."""

_OWN_NAMES = frozenset({LOOPBACK, "localhost"})


class _PublishedServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        super().__init__((LOOPBACK, port), _Handler)


class _Handler(BaseHTTPRequestHandler):
    """GET and HEAD of one file; every other method is answered 501 by the base class."""

    server: _PublishedServer
    server_version = "Etalon"
    sys_version = ""
    timeout = 60

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the base class names it
        """Nothing: the terminal belongs to the UI."""

    def _answer(self, *, with_body: bool) -> None:
        # A page elsewhere whose host name is made to resolve to this machine sends that name: it gets nothing.
        host = urlsplit(f"//{self.headers.get('Host', '')}").hostname
        if host not in _OWN_NAMES:
            self.send_error(HTTPStatus.FORBIDDEN)
            return
        name = unquote(urlsplit(self.path).path).removeprefix("/") or FRONT_PAGE
        file = _open_published(self.server.folder, name)
        if file is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        with file:
            self.send_response(HTTPStatus.OK)
            kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
            self.send_header("Content-Type", f"{kind}; charset=utf-8" if kind.startswith("text/") else kind)
            self.send_header("Content-Length", str(os.fstat(file.fileno()).st_size))
            self.send_header("Cache-Control", "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            if with_body:
                try:
                    shutil.copyfileobj(file, self.wfile)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True  # the reader left; the file stays as it is


def _open_published(folder: Path, name: str) -> BinaryIO | None:
    """The file of that name directly in ``folder``; None for anything else: a path, a hidden file, a link, a folder."""
    if name.startswith(".") or "\0" in name or "/" in name or "\\" in name:
        return None
    try:
        # One open, then asked what it is: between two questions the file may be swapped.
        descriptor = os.open(folder / name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    return os.fdopen(descriptor, "rb")


@contextmanager
def serve_published(folder: Path, port: int, *, ports_tried: int = PORTS_TRIED) -> Iterator[str]:
    """Serve ``folder`` on loopback until the context ends; gives the address, without a slash at its end.

    The first free one of ``port`` and those after it is taken, any free one when it is 0. Raises OSError when none is free.
    """
    server = _first_free(folder, port, ports_tried)
    thread = threading.Thread(target=server.serve_forever, name="published", daemon=True)
    thread.start()
    try:
        yield f"http://{LOOPBACK}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _first_free(folder: Path, port: int, ports_tried: int) -> _PublishedServer:
    candidates = [number for number in range(port, port + ports_tried) if number <= 65535]
    for number in candidates[:-1]:
        try:
            return _PublishedServer(folder, number)
        except OSError:
            continue
    return _PublishedServer(folder, candidates[-1])
