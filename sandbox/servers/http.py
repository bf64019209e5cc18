"""A small threaded HTTP/1.1 server on loopback: requests in, answers out, connections kept alive.

Belongs here: sockets and the HTTP wire format. What an answer says belongs to the server of each system; what goes wrong on
purpose belongs to `faults`. Why not `http.server`: each answer leaves in one write with Nagle's algorithm off, so that no answer
waits 40 ms for a delayed acknowledgement, and faults can cut an answer at any byte.
"""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote

MAX_HEADER_LINES = 100


@dataclass(frozen=True)
class Request:
    """One request. ``query`` keeps the order and the repetitions; header names are in lower case."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    target: str
    headers: Mapping[str, str]
    body: bytes = b""

    def parameter(self, name: str, default: str = "") -> str:
        """Last value of a query parameter."""
        for key, value in reversed(self.query):
            if key == name:
                return value
        return default

    def parameters(self) -> dict[str, str]:
        """Query parameters, the last value of each."""
        return dict(self.query)


@dataclass
class Response:
    """One answer. Content-Length, Date and Connection are added on the wire.

    ``cut_at`` breaks the connection after that many body bytes.
    """

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    cut_at: int | None = None


@dataclass(frozen=True)
class DropConnection:
    """Instead of an answer: close the connection without a byte."""


Handler = Callable[[Request], Response | DropConnection]


def request_from(method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Request:
    """Build a `Request` from a request line's target ("/path?query") and its headers."""
    path, _, query = target.partition("?")
    return Request(
        method=method.upper(),
        path=unquote(path),
        query=tuple(parse_qsl(query, keep_blank_values=True)),
        target=target,
        headers={name.lower(): value for name, value in headers.items()},
        body=body,
    )


class _Connection(socketserver.StreamRequestHandler):
    """One client connection: requests one after the other until the client or a fault closes it."""

    disable_nagle_algorithm = True
    server: _Listener

    def setup(self) -> None:
        super().setup()
        self.server.remember(self.connection)

    def finish(self) -> None:
        self.server.forget(self.connection)
        try:
            super().finish()
        except OSError:
            return  # the client or `stop` closed it first: nothing left to flush

    def handle(self) -> None:
        try:
            while self._answer_one():
                continue
        except OSError:
            return  # a client that hangs up is no event for a shop

    def _answer_one(self) -> bool:
        """Read one request and answer it; False when the connection is over."""
        request = self._read()
        if request is None:
            return False
        answer = self.server.answer(request)
        if isinstance(answer, DropConnection):
            return False
        keep = request.headers.get("connection", "").lower() != "close" and answer.cut_at is None
        self._write(answer, keep=keep, has_body=request.method != "HEAD")
        return keep

    def _read(self) -> Request | None:
        line = self.rfile.readline(65536).decode("latin-1").rstrip("\r\n")
        if not line:
            return None
        parts = line.split(" ")
        if len(parts) != 3:
            return None
        headers: dict[str, str] = {}
        for _ in range(MAX_HEADER_LINES):
            header = self.rfile.readline(65536).decode("latin-1").rstrip("\r\n")
            if not header:
                break
            name, _, value = header.partition(":")
            headers[name.strip().lower()] = value.strip()
        length = int(headers.get("content-length", "0"))
        body = self.rfile.read(length) if length else b""
        return request_from(parts[0], parts[1], headers, body)

    def _write(self, answer: Response, *, keep: bool, has_body: bool) -> None:
        try:
            phrase = HTTPStatus(answer.status).phrase
        except ValueError:
            phrase = "Unknown"
        date = formatdate(self.server.clock().timestamp(), usegmt=True)
        lines = [f"HTTP/1.1 {answer.status} {phrase}", f"Date: {date}"]
        lines.extend(f"{name}: {value}" for name, value in answer.headers)
        lines.append(f"Content-Length: {len(answer.body)}")
        lines.append("Connection: keep-alive" if keep else "Connection: close")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        body = answer.body if has_body else b""
        if answer.cut_at is not None:
            body = body[: answer.cut_at]
        self.connection.sendall(head + body)


class _Listener(socketserver.ThreadingTCPServer):
    """Accepts connections, one thread each, and remembers them so that `stop` can close the idle ones."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128
    block_on_close = False

    def __init__(self, handler: Handler, clock: Callable[[], datetime]) -> None:
        self._handler = handler
        self.clock = clock
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Connection)

    def answer(self, request: Request) -> Response | DropConnection:
        return self._handler(request)

    def remember(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)

    def forget(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.discard(connection)

    def close_all(self) -> None:
        with self._lock:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # already closed by the client
            self._open.clear()


class LoopbackServer:
    """Serves a handler on 127.0.0.1, on a port the system chooses, from `start` to `stop`. ``clock`` dates its answers."""

    def __init__(self, handler: Handler, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._handler = handler
        self._clock = clock
        self._listener: _Listener | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Base URL, without a final slash; a RuntimeError when the server is not started."""
        if self._listener is None:
            raise RuntimeError("the server is not started: call start() first")
        return f"http://127.0.0.1:{self._listener.server_address[1]}"

    def start(self) -> str:
        """Listen and answer in background threads; gives the base URL back."""
        if self._listener is None:
            self._listener = _Listener(self._handler, self._clock)
            self._thread = threading.Thread(
                target=self._listener.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True, name="sandbox-http"
            )
            self._thread.start()
        return self.url

    def stop(self) -> None:
        """Close every connection and the port; does nothing when stopped already."""
        if self._listener is None:
            return
        self._listener.shutdown()
        self._listener.close_all()
        self._listener.server_close()
        if self._thread is not None:
            self._thread.join(timeout=5)
        self._listener = None
        self._thread = None
