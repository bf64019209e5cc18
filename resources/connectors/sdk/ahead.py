"""Many calls of one reading under way at once, from one thread: sent on several kept connections, each answer taken when it is there.

While the caller works on a page the answers to the next calls arrive in the system's own buffers. Threads would do the same, and
did: beside a caller that is always busy each of their steps waits for its turn and costs two switches, in all more than the reading
itself (docs/decisions/0021). What a call asks and what an answer means is known elsewhere.
"""

from __future__ import annotations

import select
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any, Generic, TypeVar

from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar, extract_cookies_to_jar
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError
from urllib3.util.connection import is_connection_dropped

from resources.errors import EtalonError, RetryableError

Job = TypeVar("Job")
Result = TypeVar("Result")

_BROKEN = (HTTPError, HTTPException, OSError, ValueError)
"""What the libraries raise when a call goes wrong on the way."""
_LOOK_AGAIN_S = 0.05


@dataclass(frozen=True)
class Reply:
    """An answer as it came, its body unpacked. ``headers`` are looked up in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Calls(Generic[Job, Result]):
    """What the calls of a reading are, and what becomes of their answers.

    ``prepared``: a call, signed. ``taken``: what its answer gives; raises RetryableError when the call is to be made again, another
    EtalonError when it is not. ``again``: what makes a call again, alone, in a thread, after that error (None: it broke on its way
    and nothing is known); raises when it is given up. ``late``: that no answer came in time. ``wait_s``: take the right to make one
    call; seconds until it may be made.
    """

    prepared: Callable[[Job], PreparedRequest]
    taken: Callable[[Job, Reply], Result]
    again: Callable[[Job, RetryableError | None], Callable[[], Result]]
    late: Callable[[Job], RetryableError]
    wait_s: Callable[[], float]


class Line:
    """One kept connection. ``timeout_s``: seconds to connect, and seconds without a byte. ``cookies``: where the answers' go."""

    def __init__(self, connection: HTTPConnection, timeout_s: tuple[float, float], cookies: RequestsCookieJar) -> None:
        self._connection = connection
        self._timeout_s = timeout_s
        self._cookies = cookies
        self._request: PreparedRequest | None = None

    def connect(self) -> None:
        """Connect when it is not connected, or not any more."""
        connection = self._connection
        if not connection.is_closed and is_connection_dropped(connection):
            connection.close()
        if connection.is_closed:
            connection.timeout = self._timeout_s[0]
            connection.connect()

    def send(self, request: PreparedRequest) -> None:
        """Send a call; nothing is read."""
        self.connect()
        self._request = request
        self._connection.timeout = self._timeout_s[1]
        self._connection.request(
            request.method or "GET", request.path_url, headers=dict(request.headers.items()), preload_content=False
        )

    def fileno(self) -> int:
        """What the system tells readable when the answer begins."""
        return int(self._connection.sock.fileno())

    def reply(self) -> Reply:
        """The answer to the last call, whole."""
        response = self._connection.getresponse()
        if "Set-Cookie" in response.headers:
            extract_cookies_to_jar(self._cookies, self._request, response)  # type: ignore[no-untyped-call]
        return Reply(response.status, response.headers, response.read(decode_content=True))

    def close(self) -> None:
        """Hang up. It can be used again."""
        self._connection.close()


class LineAdapter(HTTPAdapter):
    """The adapter of `requests`, which can also give a connection of its own to who takes answers later."""

    def line(
        self,
        request: PreparedRequest,
        *,
        verify: bool | str,
        timeout_s: tuple[float, float],
        cookies: RequestsCookieJar,
    ) -> Line:
        """A new connection to where a request goes, with the adapter's TLS settings; not connected yet."""
        pool: Any = self.get_connection_with_tls_context(request, verify)
        self.cert_verify(pool, request.url, verify, None)  # type: ignore[no-untyped-call]
        # The library has no public name for a connection outside its pool, which would make the call in one go.
        connection: HTTPConnection = pool._new_conn()  # noqa: SLF001
        return Line(connection, timeout_s, cookies)


@dataclass
class _Flight(Generic[Job, Result]):
    job: Job
    due_at: float
    outcome: Future[Result] = field(default_factory=Future)
    line: Line | None = None
    late_at: float = 0.0


class _Ahead(Generic[Job, Result]):
    """One reading's calls. ``_order``: those not handed over yet, by their jobs' order; each is in at most one of the other lists."""

    def __init__(
        self,
        jobs: Iterable[Job],
        calls: Calls[Job, Result],
        lines: list[Line],
        *,
        timeout_s: float,
        sleep: Callable[[float], None],
    ) -> None:
        self._jobs = iter(jobs)
        self._calls = calls
        self._lines = lines
        self._timeout_s = timeout_s
        self._sleep = sleep
        self._order: deque[_Flight[Job, Result]] = deque()
        self._unsent: _Flight[Job, Result] | None = None
        self._idle = list(lines)
        self._flying: dict[int, _Flight[Job, Result]] = {}
        self._again: list[_Flight[Job, Result]] = []
        self._pool: ThreadPoolExecutor | None = None

    def results(self) -> Iterator[Result]:
        try:
            self._send()
            while self._order:
                if not self._order[0].outcome.done():
                    self._await()
                    continue
                outcome = self._order.popleft().outcome
                # Before it is handed over: whoever takes it is busy for a while, and no connection should stand idle.
                self._take(0.0)
                result = outcome.result()
                del outcome
                yield result
                del result
                self._take(0.0)
        finally:
            if self._pool is not None:
                self._pool.shutdown(wait=True, cancel_futures=True)
            for line in self._lines:
                line.close()

    def _await(self) -> None:
        head = self._order[0]
        if self._flying:
            # A call made again in a thread wakes nobody up.
            wait_s = _LOOK_AGAIN_S if self._again else self._timeout_s
            if self._unsent is not None:
                wait_s = min(wait_s, max(0.0, self._unsent.due_at - time.monotonic()))
            self._take(wait_s)
        elif head is self._unsent:
            self._sleep(max(0.0, head.due_at - time.monotonic()))
            head.due_at = 0.0
            self._send()
        else:
            wait([head.outcome])
            self._send()

    def _take(self, wait_s: float) -> None:
        """Take the answers that are there, waiting so long for the first, and send the next calls on their connections."""
        if self._flying:
            poll = select.poll()
            for number in self._flying:
                poll.register(number, select.POLLIN)
            for number, _ in poll.poll(wait_s * 1_000):
                self._land(self._flying.pop(number))
            now = time.monotonic()
            for number in [number for number, flight in self._flying.items() if flight.late_at <= now]:
                late = self._flying.pop(number)
                self._ask_again(late, self._calls.late(late.job))
        self._send()

    def _land(self, flight: _Flight[Job, Result]) -> None:
        if flight.line is None:
            raise RuntimeError("an answer without its connection")
        try:
            reply = flight.line.reply()
        except _BROKEN:
            self._ask_again(flight, None)
            return
        try:
            flight.outcome.set_result(self._calls.taken(flight.job, reply))
        except RetryableError as error:
            self._ask_again(flight, error)
            return
        except EtalonError as error:
            flight.outcome.set_exception(error)
        self._idle.append(flight.line)

    def _send(self) -> None:
        """Send calls while there are idle connections and not too many results wait to be taken."""
        for settled in [flight for flight in self._again if flight.outcome.done()]:
            self._again.remove(settled)
            self._idle.extend([settled.line] if settled.line is not None else [])
        while self._idle and (flight := self._upcoming()) is not None and flight.due_at <= time.monotonic():
            self._unsent = None
            flight.line = self._idle.pop()
            try:
                flight.line.send(self._calls.prepared(flight.job))
            except _BROKEN:
                self._ask_again(flight, None)
            else:
                flight.late_at = time.monotonic() + self._timeout_s
                self._flying[flight.line.fileno()] = flight

    def _upcoming(self) -> _Flight[Job, Result] | None:
        if self._unsent is None and len(self._order) < 2 * len(self._lines):
            for job in self._jobs:
                wait_s = self._calls.wait_s()
                self._unsent = _Flight(job, time.monotonic() + wait_s if wait_s > 0 else 0.0)
                self._order.append(self._unsent)
                break
        return self._unsent

    def _ask_again(self, flight: _Flight[Job, Result], error: RetryableError | None) -> None:
        """In a thread, since it may have to wait long. Its connection stays idle meanwhile: a system in trouble is not asked for more."""
        if flight.line is not None:
            flight.line.close()
        try:
            again = self._calls.again(flight.job, error)
        except EtalonError as final:
            flight.outcome.set_exception(final)
            self._idle.extend([flight.line] if flight.line is not None else [])
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(len(self._lines), thread_name_prefix="etalon-again")
        flight.outcome = self._pool.submit(again)
        self._again.append(flight)


def read_ahead(
    jobs: Iterable[Job],
    calls: Calls[Job, Result],
    lines: list[Line],
    *,
    timeout_s: float,
    sleep: Callable[[float], None],
) -> Iterator[Result]:
    """Make the calls of ``jobs`` on these connections; give results in the order of the jobs.

    At most ``2 * len(lines)`` results are under way or wait to be taken, so memory is bounded by as many bodies however slow the
    reader is. ``jobs`` is walked one step per result taken. An error is raised in its job's turn and stops all.
    """
    if len(lines) > 1:
        _connect(lines)
    yield from _Ahead(jobs, calls, lines, timeout_s=timeout_s, sleep=sleep).results()


def _connect(lines: list[Line]) -> None:
    """Connect all at once: over TLS each takes two or three round trips. One that fails tries again when it is used."""

    def connect(line: Line) -> None:
        try:
            line.connect()
        except _BROKEN:
            line.close()

    with ThreadPoolExecutor(len(lines)) as pool:
        list(pool.map(connect, lines))
