"""HTTP calls that survive a bad day: time-outs, bounded retries, rate limit, request ids. Nothing here knows a shop.

A connector gives a ``judge`` that tells which answers of ITS system are permanent although they look temporary (and the
other way round). Errors name the path of the URL, never its query nor a header: those may hold secrets.
"""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Generic, TypeVar
from urllib.parse import urlsplit

import msgspec
import requests
from requests.auth import AuthBase

from resources.errors import EtalonError, PermanentError, RetryableError, Where

T = TypeVar("T")
SessionFactory = Callable[[], requests.Session]

_READ_BYTES = 1 << 20
_RETRYABLE_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Verdict:
    """What a system's own error answer means: whether trying again can help, and its text for a person."""

    is_retryable: bool
    what: str
    action: str | None = None


Judge = Callable[[int, bytes], Verdict | None]


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how long to try. Waits are in seconds: ``first_wait_s`` doubled each time, with jitter, up to ``longest_wait_s``.

    A Retry-After longer than ``longest_retry_after_s`` is not slept through: the error is raised with it, for the scheduler.
    """

    attempts: int = 5
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0
    longest_retry_after_s: float = 120.0

    def wait_s(self, attempt: int, retry_after_s: float | None, fraction: float) -> float:
        """Seconds before attempt ``attempt + 1``; ``fraction`` in [0, 1) is the jitter. Never less than the server asks."""
        backoff = min(self.longest_wait_s, self.first_wait_s * 2.0 ** (attempt - 1)) * (0.5 + 0.5 * fraction)
        return max(backoff, retry_after_s or 0.0)


class TokenBucket:
    """A rate limit shared by all threads of one client; also holds every thread back while the server asks for peace.

    ``per_second`` None or 0: no ceiling, only the pauses.
    """

    def __init__(
        self,
        per_second: float | None,
        *,
        burst: int = 10,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._per_second = per_second or 0.0
        self._burst = float(max(1, burst))
        self._tokens = self._burst
        self._monotonic = monotonic
        self._sleep = sleep
        self._lock = threading.Lock()
        self._filled_at = monotonic()
        self._paused_until = float("-inf")

    def take(self) -> None:
        """Wait for the right to make one call."""
        with self._lock:
            now = self._monotonic()
            wait = max(0.0, self._paused_until - now)
            if self._per_second:
                elapsed = max(0.0, now - self._filled_at)
                self._tokens = min(self._burst, self._tokens + elapsed * self._per_second)
                self._filled_at = now
                self._tokens -= 1.0  # may go below zero: that is the queue of those who already wait
                wait = max(wait, -self._tokens / self._per_second)
        if wait > 0:
            self._sleep(wait)

    def pause(self, seconds: float) -> None:
        """Hold back every call that starts in the next ``seconds``."""
        with self._lock:
            self._paused_until = max(self._paused_until, self._monotonic() + seconds)


@dataclass(frozen=True)
class Answer(Generic[T]):
    """A good answer: its parsed value, its body as received, its headers, and the id we sent with the request."""

    value: T
    body: bytes
    headers: Mapping[str, str]
    request_id: str

    @property
    def server_time_at(self) -> datetime | None:
        """The server's own clock when it answered (its Date header); None when it gives none or an unreadable one."""
        text = self.headers.get("Date")
        if not text:
            return None
        try:
            instant = parsedate_to_datetime(text)
        except ValueError:
            return None
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def retry_after_s(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Seconds the server asks to wait (RFC 9110: a number of seconds, or an HTTP date); None when it does not say."""
    text = (headers.get("Retry-After") or "").strip()
    if not text:
        return None
    if text.isdigit():
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return max(0.0, (until - now).total_seconds())


class HttpClient:
    """Reads one system over HTTP. Thread-safe: each thread has its own ``requests`` session.

    ``judge(status, body)`` reads the system's error answers; None means "use the status".
    ``scrub`` is applied to every body before anything else sees it, to take secrets out.
    ``clock`` gives the instant (aware, UTC), for Retry-After dates. ``sleep``, ``monotonic`` and ``jitter`` are arguments for tests.
    """

    def __init__(
        self,
        base_url: str,
        *,
        system_code: str,
        auth: AuthBase | None,
        clock: Callable[[], datetime],
        judge: Judge = lambda status, body: None,
        scrub: Callable[[bytes], bytes] | None = None,
        session_factory: SessionFactory | None = None,
        retry: RetryPolicy | None = None,
        requests_per_second: float | None = None,
        timeout_s: float = 30.0,
        verify_tls: bool = True,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._base_path = urlsplit(self._base_url).path
        self._system_code = system_code
        self._auth = auth
        self._clock = clock
        self._judge = judge
        self._scrub = scrub
        self._session_factory = session_factory or requests.Session
        self._retry = retry or RetryPolicy()
        self._timeout = (min(10.0, timeout_s), timeout_s)
        self._verify_tls = verify_tls
        self._sleep = sleep
        self._jitter = jitter
        self._bucket = TokenBucket(requests_per_second, monotonic=monotonic, sleep=sleep)
        self._local = threading.local()

    @property
    def base_url(self) -> str:
        """Address of the system, without a trailing slash."""
        return self._base_url

    def get(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        parse: Callable[[bytes], T],
        stream: str | None = None,
        markup: bool = False,
    ) -> Answer[T]:
        """GET ``path`` and parse its body. ``markup`` says that XML is expected.

        Retries what may work later. Raises RetryableError when every attempt failed, PermanentError when no attempt can work.
        ``parse`` raises msgspec.DecodeError on a body that is cut short (retried), msgspec.ValidationError on a wrong shape (not retried).
        """
        request_id = uuid.uuid4().hex[:16]
        where = Where(system_code=self._system_code, stream=stream, request_id=request_id)
        attempt = 0
        while True:
            attempt += 1
            self._bucket.take()
            error: EtalonError
            try:
                return self._attempt(path, params or {}, parse, where, request_id, markup)
            except RetryableError as caught:
                error = caught
            if attempt >= self._retry.attempts or (error.retry_after_s or 0) > self._retry.longest_retry_after_s:
                raise RetryableError(
                    f"{error.what} ({attempt} attempt{'s' if attempt > 1 else ''})",
                    where=where,
                    action=error.action or "the next run tries again; if it lasts, look at the system's own log",
                    retry_after_s=error.retry_after_s,
                )
            wait = self._retry.wait_s(attempt, error.retry_after_s, self._jitter())
            if error.retry_after_s:
                self._bucket.pause(wait)  # the others would be refused as well
            self._sleep(wait)

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._session_factory()
            session.trust_env = False  # a .netrc would replace our credentials; proxies are the network's matter
            session.verify = self._verify_tls
            self._local.session = session
        return session

    def _attempt(
        self,
        path: str,
        params: Mapping[str, str],
        parse: Callable[[bytes], T],
        where: Where,
        request_id: str,
        markup: bool,
    ) -> Answer[T]:
        shown = self._base_path + path
        try:
            with self._session().get(
                self._base_url + path,
                params=dict(params),
                headers={"Accept": "application/json", "X-Request-Id": request_id},
                auth=self._auth,
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
            ) as response:
                # as `content` reads it, but not 10 KB at a time
                body = b"".join(response.iter_content(_READ_BYTES))
        except requests.exceptions.SSLError:
            raise PermanentError(
                f"the TLS certificate is refused at {shown}",
                where=where,
                action="repair the certificate or the address",
            ) from None
        # `from None` below: the library's own message holds the whole URL, and an OAuth URL holds a key
        except requests.exceptions.Timeout:
            raise RetryableError(f"no answer in time at {shown}", where=where) from None
        except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError):
            raise RetryableError(f"the answer was cut short at {shown}", where=where) from None
        except requests.exceptions.ConnectionError:
            raise RetryableError(f"the connection failed at {shown}", where=where) from None
        except requests.exceptions.RequestException as error:
            raise PermanentError(
                f"the call cannot be made at {shown}: {type(error).__name__}", where=where, action="check the url"
            ) from None
        if self._scrub is not None:
            body = self._scrub(body)
        self._refuse_errors(response, body, shown, where)
        if not markup and body.lstrip()[:1] not in (b"{", b"["):
            kind = "an empty body" if not body.strip() else "a page that is not JSON"
            raise RetryableError(
                f"{kind} instead of JSON at {shown}",
                where=where,
                action="a maintenance page, a proxy or a login page answers in place of the system: open the address in a browser",
            )
        try:
            value = parse(body)
        except msgspec.ValidationError as error:
            raise PermanentError(
                f"an answer of an unknown shape at {shown}: {error}",
                where=where,
                action="compare the system's version with the recorded exchanges",
            ) from None
        except msgspec.DecodeError:
            raise RetryableError(f"the answer was cut short at {shown}", where=where) from None
        return Answer(value=value, body=body, headers=response.headers, request_id=request_id)

    def _refuse_errors(self, response: requests.Response, body: bytes, shown: str, where: Where) -> None:
        status = response.status_code
        if status < 300:
            return
        if status < 400:
            raise PermanentError(
                f"HTTP {status}, sent elsewhere from {shown}",
                where=where,
                action="put the final address in retailer.yaml",
            )
        verdict = self._judge(status, body)
        if verdict is None:
            verdict = Verdict(is_retryable=status in _RETRYABLE_STATUSES or status > 504, what="")
        what = f"HTTP {status} at {shown}" + (f": {verdict.what}" if verdict.what else "")
        if verdict.is_retryable:
            raise RetryableError(
                what,
                where=where,
                action=verdict.action,
                retry_after_s=retry_after_s(response.headers, now=self._clock()),
            )
        raise PermanentError(what, where=where, action=verdict.action)
