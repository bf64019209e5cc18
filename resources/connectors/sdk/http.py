"""HTTP calls that survive a bad day: time-outs, bounded retries of what is read, rate limit, request ids. Nothing here knows a shop.

A connector gives a ``judge`` that tells which answers of ITS system are permanent although they look temporary (and the
other way round). Errors name the path of the URL, never its query nor a header: those may hold secrets. Of a redirect they name the
host and path it leads to.
"""

from __future__ import annotations

import random
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import urlencode, urljoin, urlsplit

import msgspec
import requests
from requests.auth import AuthBase
from requests.cookies import extract_cookies_to_jar
from requests.hooks import dispatch_hook
from requests.utils import requote_uri

from resources.connectors.sdk.ahead import Calls, LineAdapter, Reply, read_ahead
from resources.connectors.sdk.paging import in_order
from resources.errors import ConfigurationError, EtalonError, PermanentError, RetryableError, Where

T = TypeVar("T")
SessionFactory = Callable[[], requests.Session]

_READ_BYTES = 1 << 20
_RETRYABLE_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_CUT_CONNECTIONS = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
# What a firewall or a web server says in place of the system, by its status: the system's own answers are its judge's matter.
_FOREIGN_ACTIONS = {
    403: "something in front of the system refuses us (a firewall, a bot protection, a password on the site): "
    "let this machine's address or the User-Agent `{user_agent}` through",
    404: "no API is at this address: correct `url` in retailer.yaml, or turn on the URL rewriting that the API's paths need "
    "(WordPress: permalinks that are not plain; PrestaShop: friendly URLs and its .htaccess)",
    407: "give `proxy` in retailer.yaml a user and a password that the proxy knows",
}


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
        wait = self.reserve()
        if wait > 0:
            self._sleep(wait)

    def reserve(self) -> float:
        """Take the right to make one call; gives the seconds until it may be made."""
        with self._lock:
            now = self._monotonic()
            wait = max(0.0, self._paused_until - now)
            if self._per_second:
                elapsed = max(0.0, now - self._filled_at)
                self._tokens = min(self._burst, self._tokens + elapsed * self._per_second)
                self._filled_at = now
                self._tokens -= 1.0  # may go below zero: that is the queue of those who already wait
                wait = max(wait, -self._tokens / self._per_second)
        return wait

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


@dataclass(frozen=True)
class _Asked:
    """One call to make: ``path`` under the base URL, and who asks."""

    path: str
    params: Mapping[str, str]
    where: Where
    request_id: str
    markup: bool


@cache
def user_agent() -> str:
    """How Étalon presents itself: a shop's firewall can let it through by this name."""
    return f"Etalon/{version('etalon')}"


def network_options(system: Any) -> dict[str, Any]:
    """How a system of retailer.yaml is reached, as arguments of :class:`HttpClient`.

    ``system`` holds the keys of every kind of system; ``verify_tls`` is true for a kind that does not declare it.
    """
    return {
        "requests_per_second": system.requests_per_second,
        "timeout_s": system.timeout_s,
        "verify_tls": getattr(system, "verify_tls", True),
        "proxy": system.proxy.get_secret_value() if system.proxy else None,
        "ca_bundle": system.ca_bundle,
    }


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
    """Talks to one system over HTTP. Thread-safe: each thread has its own ``requests`` session.

    ``judge(status, body)`` reads the system's error answers; None means "use the status".
    ``scrub`` is applied to every body before anything else sees it, to take secrets out.
    ``proxy``: address of the HTTP proxy that every call goes through. ``ca_bundle``: PEM file of the authorities that are
    believed instead of the built-in ones. The environment's proxies and bundles are not looked at.
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
        proxy: str | None = None,
        ca_bundle: Path | None = None,
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
        self._session_factory = session_factory or _session_with_lines
        self._retry = retry or RetryPolicy()
        self._timeout = (min(10.0, timeout_s), timeout_s)
        self._verify: bool | str = str(ca_bundle) if verify_tls and ca_bundle else verify_tls
        self._proxies = {"http": proxy, "https": proxy} if proxy else {}
        self._sleep = sleep
        self._jitter = jitter
        self._bucket = TokenBucket(requests_per_second, monotonic=monotonic, sleep=sleep)
        self._address = ""
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
        retry: RetryPolicy | None = None,
    ) -> Answer[T]:
        """GET ``path`` and parse its body. ``markup`` says that XML is expected. ``retry`` for a caller in more of a hurry than usual.

        Retries what may work later. Raises RetryableError when every attempt failed, PermanentError when no attempt can work.
        ``parse`` raises msgspec.DecodeError on a body that is cut short (retried), msgspec.ValidationError on a wrong shape (not retried).
        """
        asked = self._asked(path, params, stream, markup=markup)
        return self._insist(asked, parse, retry or self._retry)

    def get_each(
        self, paths: Iterable[tuple[str, Mapping[str, str]]], *, connections: int, stream: str | None = None
    ) -> Iterator[Answer[bytes]]:
        """GET many paths with their parameters, so many at once; gives the answers in the order asked, their bodies not parsed.

        At most twice as many answers wait as there are ``connections``. Retries and raises as ``get`` does, in the turn of the call
        that failed, which stops all.
        """
        asked = (self._asked(path, params, stream) for path, params in paths)
        session = self._session()
        adapter = session.get_adapter(self._base_url)
        if connections < 2 or self._proxies or session.hooks["response"] or not isinstance(adapter, LineAdapter):
            return in_order(asked, lambda one: self._insist(one, bytes, self._retry), workers=connections)
        to_shop = self._prepared(session, "GET", self._asked("", None, stream))
        lines = [
            adapter.line(to_shop, verify=self._verify, timeout_s=self._timeout, cookies=session.cookies)
            for _ in range(connections)
        ]
        calls = Calls(
            prepared=lambda one: self._prepared(session, "GET", one),
            taken=lambda one, reply: self._taken(one, reply, bytes),
            again=self._again,
            late=lambda one: RetryableError(f"no answer in time at {self._base_path}{one.path}", where=one.where),
            wait_s=self._bucket.reserve,
        )
        return read_ahead(asked, calls, lines, timeout_s=self._timeout[1], sleep=self._sleep)

    def _again(self, asked: _Asked, error: RetryableError | None) -> Callable[[], Answer[bytes]]:
        """What goes on with a call whose first attempt failed, or broke on its way (no ``error``)."""
        failed, wait_s = 0, 0.0
        if error is not None:
            failed, wait_s = 1, self._wait_after(error, 1, self._retry, asked.where)
        return lambda: self._insist(asked, bytes, self._retry, failed=failed, wait_s=wait_s)

    def _asked(
        self, path: str, params: Mapping[str, str] | None, stream: str | None, *, markup: bool = False
    ) -> _Asked:
        request_id = f"{random.getrandbits(64):016x}"  # for logs: nothing secret
        where = Where(system_code=self._system_code, stream=stream, request_id=request_id)
        return _Asked(path, params or {}, where, request_id, markup)

    def _insist(
        self, asked: _Asked, parse: Callable[[bytes], T], policy: RetryPolicy, *, failed: int = 0, wait_s: float = 0.0
    ) -> Answer[T]:
        """Call until an answer is good or no attempt is left. ``failed``: attempts made before; ``wait_s``: before the next."""
        while True:
            if wait_s:
                self._sleep(wait_s)
            self._bucket.take()
            try:
                return self._attempt(asked, parse)
            except RetryableError as caught:
                error = caught
            failed += 1
            wait_s = self._wait_after(error, failed, policy, asked.where)

    def _wait_after(self, error: RetryableError, failed: int, policy: RetryPolicy, where: Where) -> float:
        """Seconds to wait after an attempt that failed. Raises when it was the last."""
        if failed >= policy.attempts or (error.retry_after_s or 0) > policy.longest_retry_after_s:
            raise RetryableError(
                f"{error.what} ({failed} attempt{'s' if failed > 1 else ''})",
                where=where,
                action=error.action or "the next run tries again; if it lasts, look at the system's own log",
                retry_after_s=error.retry_after_s,
            )
        wait = policy.wait_s(failed, error.retry_after_s, self._jitter())
        if error.retry_after_s:
            self._bucket.pause(wait)  # the others would be refused as well
        return wait

    def send(
        self,
        method: Literal["POST", "PUT", "PATCH", "DELETE"],
        path: str,
        body: bytes,
        *,
        content_type: str,
        parse: Callable[[bytes], T],
        params: Mapping[str, str] | None = None,
        stream: str | None = None,
        markup: bool = False,
    ) -> Answer[T]:
        """Send ``body`` once and parse the answer. ``markup`` says that XML, or nothing, is expected.

        Never tries again by itself: what was sent may have been done although no good answer came, so whoever sends looks first.
        Raises as ``get`` does; a RetryableError does not tell whether the system did what was asked.
        """
        asked = self._asked(path, params, stream, markup=markup)
        self._bucket.take()
        try:
            return self._attempt(asked, parse, method, (body, content_type))
        except RetryableError as error:
            if error.retry_after_s:
                self._bucket.pause(min(error.retry_after_s, self._retry.longest_retry_after_s))
            raise

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._session_factory()
            session.trust_env = False  # a .netrc would replace our credentials; a proxy is declared in retailer.yaml
            session.proxies = dict(self._proxies)
            if isinstance(self._verify, str) and not Path(self._verify).is_file():
                raise ConfigurationError(
                    f"the file of certificate authorities {self._verify} is not there",
                    where=Where(system_code=self._system_code, file="retailer.yaml", field="ca_bundle"),
                    action="correct ca_bundle, or take it out to believe the built-in authorities",
                )
            session.verify = self._verify
            self._local.session = session
        return session

    def _attempt(
        self,
        asked: _Asked,
        parse: Callable[[bytes], T],
        method: str = "GET",
        content: tuple[bytes, str] | None = None,
    ) -> Answer[T]:
        shown, where = self._base_path + asked.path, asked.where
        session = self._session()
        try:
            with self._called(session, method, asked, content) as response:
                # as `content` reads it, but not 10 KB at a time
                body = b"".join(response.iter_content(_READ_BYTES))
        # `from None` below: the library's own message holds the whole URL, and an OAuth URL holds a key
        except requests.exceptions.SSLError as error:
            raise _tls_error(error, shown, where) from None
        except requests.exceptions.ProxyError:
            raise RetryableError(
                f"the proxy does not let through to {shown}",
                where=where,
                action="check `proxy` in retailer.yaml, its user and password, and what the proxy allows",
            ) from None
        except requests.exceptions.Timeout:
            raise RetryableError(f"no answer in time at {shown}", where=where) from None
        except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError):
            raise RetryableError(f"the answer was cut short at {shown}", where=where) from None
        except requests.exceptions.ConnectionError:
            raise RetryableError(f"the connection failed at {shown}", where=where) from None
        except requests.exceptions.RequestException as error:
            raise PermanentError(
                f"the call cannot be made at {shown}: {type(error).__name__}",
                where=where,
                action="check `url` and `proxy` in retailer.yaml",
            ) from None
        except ValueError:  # the library looks at the address of a redirect before we do
            raise _lost_redirect(shown, where) from None
        return self._taken(asked, Reply(response.status_code, response.headers, body), parse)

    def _taken(self, asked: _Asked, reply: Reply, parse: Callable[[bytes], T]) -> Answer[T]:
        """What an answer says, secrets taken out; raises the error that it is."""
        shown, where = self._base_path + asked.path, asked.where
        body = _without_marks(reply.body)
        if self._scrub is not None:
            body = self._scrub(body)
        self._refuse_errors(reply, body, shown, where)
        if not asked.markup and not _looks_like_json(body):
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
        return Answer(value=value, body=body, headers=reply.headers, request_id=asked.request_id)

    def _called(
        self, session: requests.Session, method: str, asked: _Asked, content: tuple[bytes, str] | None
    ) -> requests.Response:
        """The answer, its body not read yet; redirects are not followed."""
        if content is not None:
            return session.request(
                method,
                self._base_url + asked.path,
                params=dict(asked.params),
                data=content[0],
                headers={**_headers(asked), "Content-Type": content[1]},
                auth=self._auth,
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
            )
        request = self._prepared(session, method, asked)
        response = session.get_adapter(request.url or self._base_url).send(
            request, stream=True, timeout=self._timeout, verify=self._verify, proxies=self._proxies
        )
        if "Set-Cookie" in response.headers:
            extract_cookies_to_jar(session.cookies, request, response.raw)  # type: ignore[no-untyped-call]
        if session.hooks["response"]:
            return dispatch_hook("response", session.hooks, response)  # type: ignore[no-untyped-call, no-any-return]
        return response

    def _prepared(self, session: requests.Session, method: str, asked: _Asked) -> requests.PreparedRequest:
        """A call without a body, signed: what the session would make of it, without what it does for redirects and the environment."""
        request = requests.PreparedRequest()
        request.prepare_method(method)
        if not self._address:
            request.prepare_url(self._base_url, None)
            self._address = (request.url or "").rstrip("/")
        # As the library does it, without taking the whole address apart again for each call.
        address = self._address + requote_uri(asked.path)
        query = urlencode(asked.params)
        request.url = f"{address}{'&' if '?' in address else '?'}{query}" if query else address
        request.prepare_headers({**session.headers, **_headers(asked)})
        if session.cookies:
            request.prepare_cookies(session.cookies)
        request.prepare_body(None, None)
        request.prepare_auth(self._auth)
        return request

    def _refuse_errors(self, reply: Reply, body: bytes, shown: str, where: Where) -> None:
        status = reply.status
        if status < 300:
            return
        if status < 400:
            try:
                target = self._target(reply.headers)
            except ValueError:
                raise _lost_redirect(shown, where) from None
            raise PermanentError(
                f"HTTP {status}, sent elsewhere from {shown}" + (f": to {target}" if target else ""),
                where=where,
                action="put the final address in retailer.yaml; a login or maintenance page is no address of a system",
            )
        verdict = self._judge(status, body)
        if verdict is None:
            verdict = Verdict(is_retryable=status in _RETRYABLE_STATUSES or status > 504, what="")
        if not verdict.action and status in _FOREIGN_ACTIONS and not _looks_like_json(body):
            action = _FOREIGN_ACTIONS[status].format(user_agent=user_agent())
            verdict = replace(verdict, what=verdict.what or "no answer of the system itself", action=action)
        what = f"HTTP {status} at {shown}" + (f": {verdict.what}" if verdict.what else "")
        if verdict.is_retryable:
            raise RetryableError(
                what,
                where=where,
                action=verdict.action,
                retry_after_s=retry_after_s(reply.headers, now=self._clock()),
            )
        raise PermanentError(what, where=where, action=verdict.action)

    def _target(self, headers: Mapping[str, str]) -> str:
        """Scheme, host and path that a redirect leads to, without the user and the query: those may hold secrets. Empty when unknown.

        Raises ValueError when the address cannot be read.
        """
        location = headers.get("Location", "")
        if not location:
            return ""
        parts = urlsplit(urljoin(f"{self._base_url}/", location))
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _session_with_lines() -> requests.Session:
    session = requests.Session()
    for scheme in ("https://", "http://"):
        session.mount(scheme, LineAdapter())
    return session


def _headers(asked: _Asked) -> dict[str, str]:
    return {"Accept": "application/json", "User-Agent": user_agent(), "X-Request-Id": asked.request_id}


def _lost_redirect(shown: str, where: Where) -> PermanentError:
    return PermanentError(
        f"sent elsewhere from {shown}: to an address that cannot be read",
        where=where,
        action="repair the redirect of the web server, or put the final address in retailer.yaml",
    )


def _looks_like_json(body: bytes) -> bool:
    return body.lstrip()[:1] in (b"{", b"[")


def _without_marks(body: bytes) -> bytes:
    """``body`` without the byte order marks before it: each PHP file that was saved with one prints it."""
    while (text := body.lstrip()).startswith(_BYTE_ORDER_MARK):
        body = text[len(_BYTE_ORDER_MARK) :]
    return body


def _tls_error(error: BaseException, shown: str, where: Where) -> EtalonError:
    """What went wrong with TLS: a connection that was cut in the handshake may work later, a refused certificate will not."""
    causes = list(_causes(error))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return PermanentError(
            f"the TLS certificate is refused at {shown}",
            where=where,
            action="repair the certificate or the address; behind a proxy of the company, name its authority in `ca_bundle`",
        )
    if any(isinstance(cause, _CUT_CONNECTIONS) for cause in causes):
        return RetryableError(f"the connection was cut in the TLS handshake at {shown}", where=where)
    return PermanentError(
        f"no TLS connection can be agreed on at {shown}",
        where=where,
        action="check that `url` is the address of an https server of today (TLS 1.2 or later)",
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """``error`` and what it came from. The HTTP libraries keep the first error as an argument or a ``reason`` of the next."""
    waiting, met = [error], set[int]()
    while waiting:
        one = waiting.pop()
        if id(one) in met:
            continue
        met.add(id(one))
        yield one
        inner = (*one.args, getattr(one, "reason", None), one.__cause__, one.__context__)
        waiting += [cause for cause in inner if isinstance(cause, BaseException)]
