"""Talks to one WooCommerce: paths, signing, its error answers, its pages. Nothing about what the rows mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from itertools import tee
from typing import Any, Literal, TypeVar

import msgspec

from resources.connectors.sdk.auth import BasicAuth, OAuth1
from resources.connectors.sdk.decode import Decoded, Page, RowDecoder, plain
from resources.connectors.sdk.http import Answer, HttpClient, Judge, RetryPolicy, SessionFactory, Verdict
from resources.connectors.sdk.paging import NumberedPages, in_order
from resources.errors import PermanentError, Where

T = TypeVar("T")

API = "/wc/v3"
# Without pretty permalinks the route goes in the query. Until 11.1 WooCommerce looks at a key only where its prefix stands in the
# address (woocommerce issue 41191), so the address names it: WordPress itself ignores that parameter.
_ROOTS = {"pretty": "/wp-json", "plain": "/index.php?etalon=/wp-json/wc/&rest_route="}
LARGEST_PAGE = 100  # the API refuses more: 400 rest_invalid_param
_SECRETS = (b'"order_key"', b'"payment_url"')
_STRETCH = 16_384
_ANY_SECRET = re.compile(rb'"(order_key|payment_url)"\s*:\s*"(?:[^"\\]|\\.)*"')


class ErrorBody(msgspec.Struct):
    """``{"code", "message"}`` of an error answer."""

    code: str = ""
    message: str = ""


def scrub(body: bytes) -> bytes:
    """Take out what opens an order to anybody: its key, and the payment address that holds it."""
    # Every pass over a page counts. In stretches, since for each search of more Python prepares a method that pays on long texts only,
    # and here the next secret is never far.
    find, size = body.find, len(body)
    spans: list[tuple[int, int]] = []
    for name in _SECRETS:
        before, start = len(name) + 2, 0
        while start < size:
            at = find(name, start, start + _STRETCH)
            if at < 0:
                start += _STRETCH - len(name) + 1
                continue
            opening = at + before
            closing = find(b'"', opening)  # neither text holds a quote, unless a plugin put it there
            if body[opening - 2 : opening] != b':"' or (closing > 0 and body[closing - 1 : closing] == b"\\"):
                return _ANY_SECRET.sub(rb'"\1":""', body)  # printed with spaces, by some proxy, or with a quote
            start = size if closing < 0 else closing  # cut short within a secret
            spans.append((opening, start))
    if not spans:
        return body
    pieces: list[bytes] = []
    done = 0
    for opening, closing in sorted(spans):
        pieces.append(body[done:opening])
        done = closing
    return b"".join([*pieces, body[done:]])


_NO_KEY_SEEN = (
    "the shop saw no key: give the key read access; if it has, either the web server drops the Authorization header (PHP as CGI: let it "
    "through, for Apache `CGIPassAuth On`), or a proxy before the shop does not say that it was called by https (X-Forwarded-Proto)"
)
_KEY_REFUSED = (
    "check key and secret in retailer.yaml; over http, where requests are signed, also that `home_url` is the shop's own address "
    "(WordPress > Settings > General), which the signature covers, and that the clocks agree"
)
# The same code tells a wrong secret and a key without the right to write; a key that has just read has the right secret.
_MAY_ONLY_READ = (
    "this key may only read: give it Read/Write under WooCommerce > Settings > Advanced > REST API; if it cannot read either, check "
    "key and secret in retailer.yaml"
)
_USER_MAY_NOT = (
    "the WordPress user of this key may not do that: give the key a user who is shop manager or administrator"
)
_NOT_THE_API = (
    "no API is at this address: check that the url is the shop's home and that its web server has URL rewriting on; where WordPress "
    "has plain permalinks, put `permalinks: plain` in retailer.yaml"
)


def judge(status: int, body: bytes) -> Verdict | None:
    """WooCommerce answers some refusals with 500 (``woocommerce_rest_...``): those are permanent. A 401 says what is wrong."""
    try:
        error = msgspec.json.decode(body, type=ErrorBody)
    except (msgspec.DecodeError, UnicodeDecodeError):
        if status != 404:
            return None
        return Verdict(is_retryable=False, what="no answer of the system itself", action=_NOT_THE_API)
    what = f"{error.code}: {plain(error.message)[:300]}" if error.code else ""
    is_business = error.code.startswith(("woocommerce_rest_", "rest_"))
    action = None
    if status == 401:
        action = _NO_KEY_SEEN if error.code == "woocommerce_rest_cannot_view" else _KEY_REFUSED
    elif error.code == "rest_no_route":
        action = "this WooCommerce has no such route: it may be too old, or switched off"
    return Verdict(
        is_retryable=status in (408, 425, 429) or (status >= 500 and not is_business), what=what, action=action
    )


def has_no_route(what: str) -> bool:
    """Whether an error says that the route does not exist in this version."""
    return "rest_no_route" in what


class WooClient:
    """Talks to one shop at ``url``. Over plain http, where Basic is not looked at, requests are signed with OAuth 1.0a.

    ``home_url``: what the shop calls its home, when it is reached at another address. ``permalinks``: `plain` puts routes in the query.
    """

    def __init__(
        self,
        url: str,
        key: str,
        secret: str,
        *,
        system_code: str,
        clock: Callable[[], datetime],
        session_factory: SessionFactory | None = None,
        workers: int = 4,
        page_size: int = LARGEST_PAGE,
        home_url: str | None = None,
        permalinks: Literal["pretty", "plain"] = "pretty",
        **http: Any,
    ) -> None:
        auth = (
            BasicAuth(key, secret)
            if url.startswith("https://")
            else OAuth1(key, secret, url=url, home_url=home_url or url)
        )
        judged: Judge = judge
        self._http = HttpClient(
            url,
            system_code=system_code,
            auth=auth,
            clock=clock,
            judge=judged,
            scrub=scrub,
            session_factory=session_factory,
            **http,
        )
        self._system_code = system_code
        self._root = _ROOTS[permalinks]
        self._workers = workers
        self._page_size = min(page_size, LARGEST_PAGE)

    def get(
        self,
        path: str,
        params: Mapping[str, str],
        parse: Callable[[bytes], T],
        *,
        stream: str | None = None,
        retry: RetryPolicy | None = None,
    ) -> Answer[T]:
        """GET a path of the API."""
        return self._http.get(self._root + API + path, params, parse=parse, stream=stream, retry=retry)

    def post(self, path: str, body: object, parse: Callable[[bytes], T], *, stream: str | None = None) -> Answer[T]:
        """POST a path of the API, once: what to do after a failure is for the caller to say, who knows whether it may be done twice."""
        try:
            return self._http.send(
                "POST",
                self._root + API + path,
                msgspec.json.encode(body),
                content_type="application/json",
                parse=parse,
                stream=stream,
            )
        except PermanentError as error:
            action = error.action
            if "woocommerce_rest_authentication_error" in error.what:
                action = _MAY_ONLY_READ
            elif error.what.startswith("HTTP 403 ") and "woocommerce_rest_cannot_" in error.what:
                action = _USER_MAY_NOT
            if action == error.action:
                raise
            raise PermanentError(error.what, where=error.where, action=action) from None

    @property
    def workers(self) -> int:
        """How many calls may be under way at once."""
        return self._workers

    def site_index(self, parse: Callable[[bytes], T]) -> Answer[T]:
        """GET the site's own description: its name and zone."""
        return self._http.get(
            self._root + "/", {"_fields": "name,url,home,gmt_offset,timezone_string,namespaces"}, parse=parse
        )

    def first_page(
        self, path: str, params: Mapping[str, str], decoder: RowDecoder[T], *, name: str, stream: str
    ) -> tuple[NumberedPages, Page[T]]:
        """Page 1 of a collection, and its paging, which knows the total it announces."""
        pages = NumberedPages(self._page_size)
        page = self._page(1, path, params, decoder, pages, name, stream)[0]
        return pages, page

    def all_pages(
        self,
        path: str,
        params: Mapping[str, str],
        decoder: RowDecoder[T],
        *,
        name: str,
        stream: str,
        first: tuple[NumberedPages, Page[T]],
        row_id: Callable[[T], int],
        announce: Callable[[int], None] = lambda qty: None,
        beside: Callable[[Page[T]], Page[T]] | None = None,
    ) -> Iterator[Page[T]]:
        """Every page, in order, each row once, whatever appears or disappears meanwhile.

        ``beside`` reads, in the page's own thread, what the page needs from elsewhere. Without it there are no threads: calls are
        under way while the caller works, and pages are decoded as they are taken.
        ``announce`` is told the total again when the shop raises it while we read.
        """
        pages, page_one = first
        seen: set[int] = set()

        def whole(number: int) -> tuple[Page[T], int, int]:
            return self._page(number, path, params, decoder, None, name, stream)

        def with_beside(number: int) -> tuple[Page[T], int, int]:
            page, total, row_qty = whole(number)
            return (beside(page) if beside else page), total, row_qty

        def decoded(answer: Answer[bytes], number: int) -> tuple[Page[T], int, int]:
            try:
                value = decoder.decode(answer.body)
            except msgspec.DecodeError:
                return whole(number)  # cut short or of another shape: asked again, as often as that helps
            page = Page(f"{name} page {number}", answer.body, value)
            return page, self._total(answer, path, stream), value.received_qty

        def following() -> Iterator[tuple[Page[T], int, int]]:
            if beside is not None:
                return in_order(pages.following(), with_beside, workers=self._workers)
            numbers, asked = tee(pages.following())
            calls = ((self._root + API + path, self._paged(params, number)) for number in asked)
            connections = min(self._workers, pages.left_qty)
            return map(decoded, self._http.get_each(calls, connections=connections, stream=stream), numbers)

        yield self._unseen(beside(page_one) if beside else page_one, row_id, seen)
        while True:
            while pages.has_more:
                for page, total, row_qty in following():
                    pages.update_state(total, row_qty)
                    yield self._unseen(page, row_id, seen)
            announce(pages.announced_qty or 0)
            if not pages.needs_another_pass(len(seen)):
                return

    @staticmethod
    def _unseen(page: Page[T], row_id: Callable[[T], int], seen: set[int]) -> Page[T]:
        decoded = page.decoded
        ids = [row_id(row) for row in decoded.rows]
        if seen.isdisjoint(ids) and len(set(ids)) == len(ids):
            seen.update(ids)
            return page
        rows: list[T] = []
        positions: list[int] = []
        for row, position, identity in zip(decoded.rows, decoded.positions, ids, strict=True):
            if identity not in seen:
                seen.add(identity)
                rows.append(row)
                positions.append(position)
        return Page(page.name, page.body, Decoded(rows, positions, decoded.bad), page.extra)

    def _page(
        self,
        number: int,
        path: str,
        params: Mapping[str, str],
        decoder: RowDecoder[T],
        pages: NumberedPages | None,
        name: str,
        stream: str,
    ) -> tuple[Page[T], int, int]:
        answer = self._asked(number, path, params, decoder.decode, stream)
        row_qty = answer.value.received_qty
        total = self._total(answer, path, stream)
        if pages is not None:
            pages.update_state(total, row_qty)
        return Page(f"{name} page {number}", answer.body, answer.value), total, row_qty

    def _asked(
        self, number: int, path: str, params: Mapping[str, str], parse: Callable[[bytes], T], stream: str
    ) -> Answer[T]:
        return self.get(path, self._paged(params, number), parse, stream=stream)

    def _paged(self, params: Mapping[str, str], number: int) -> dict[str, str]:
        return {**params, "orderby": "id", "order": "asc", "page": str(number), "per_page": str(self._page_size)}

    def _total(self, answer: Answer[Any], path: str, stream: str) -> int:
        total_text = answer.headers.get("X-WP-Total", "")
        if not total_text.isdigit():
            raise PermanentError(
                f"the shop does not tell how many rows {path} has: its answer came without X-WP-Total",
                where=Where(system_code=self._system_code, stream=stream, request_id=answer.request_id),
                action="something between us and the shop (a cache, a proxy, a security plugin) removes X-WP-Total: let it through",
            )
        return int(total_text)
