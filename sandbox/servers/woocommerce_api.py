"""WooCommerce REST v3 over tables of rows: keys, routes, headers.

Belongs here: the part that is the same for an invented shop (`woocommerce`) and for a recorded one (`replay`).
"""

from __future__ import annotations

import base64
import binascii
import re
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import quote

import msgspec

from sandbox.servers.http import Request, Response
from sandbox.servers.oauth1 import OAuthRefused, OAuthVerifier
from sandbox.servers.table import Row, Table
from sandbox.servers.woocommerce_query import COLLECTIONS, ApiError, Page, only_fields, page_of
from sandbox.servers.woocommerce_shapes import API, Home, bare_variation_links
from sandbox.servers.woocommerce_webhooks import Webhooks
from sandbox.servers.woocommerce_writes import Writer

JSON_TYPE = "application/json; charset=UTF-8"
ITEM = "GET, POST, PUT, PATCH, DELETE"
BATCH = "POST, PUT, PATCH"
Access = Literal["read", "read_write"]


class Api:
    """Answers requests under /wp-json from tables of rows and a few single documents.

    ``keys``: consumer key -> (secret, access). Basic is accepted only over TLS: with ``is_behind_tls_header`` a request is
    over TLS when it carries X-Forwarded-Proto: https; plain HTTP wants OAuth 1.0a, signed over ``home``. ``documents``:
    path under the API -> what it answers. ``clock`` gives the shop's present; signatures may carry its time or the
    machine's.
    """

    def __init__(
        self,
        tables: dict[str, Table],
        *,
        keys: Mapping[str, tuple[str, Access]],
        home: Home,
        zone: str,
        writer: Writer | None = None,
        webhooks: Webhooks | None = None,
        lock: Any = None,
        documents: Callable[[str], Any] = lambda _: None,
        is_behind_tls_header: bool = True,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._tables = tables
        for name in COLLECTIONS:
            tables.setdefault(name, Table.of_rows([]))
        self._keys = dict(keys)
        self._home = home
        self._zone = zone
        self._writer = writer
        self._webhooks = webhooks
        self._documents = documents
        self._is_behind_tls_header = is_behind_tls_header
        self._clock = clock
        self._oauth = OAuthVerifier()
        self._lock = lock or threading.RLock()

    def answer(self, request: Request) -> Response:
        """Answer one request; never raises for what a client sends."""
        allow: list[str] = []
        try:
            access = self.access_of(request)
            with self._lock:
                return self._dispatch(request, access, allow)
        except ApiError as error:
            headers = self._headers(allow[0] if allow and error.is_routed else None)
            return Response(error.status, headers, msgspec.json.encode(error.body()))

    def _headers(self, allow: str | None) -> list[tuple[str, str]]:
        headers = [("Content-Type", JSON_TYPE), ("Link", f'<{self._home()}/wp-json/>; rel="https://api.w.org/"')]
        if allow:
            headers.append(("Allow", allow))
        return headers

    def _answer(
        self, value: Any, allow: str, *, status: int = 200, extra: list[tuple[str, str]] | None = None
    ) -> Response:
        body = value if isinstance(value, bytes) else msgspec.json.encode(value)
        return Response(status, [*self._headers(None), *(extra or []), ("Allow", allow)], body)

    # who asks --------------------------------------------------------------------------------------------------------

    def access_of(self, request: Request) -> Access | None:
        """What the caller may do; None = nobody known. `ApiError` 401 for a wrong secret or signature."""
        is_tls = self._is_behind_tls_header and request.headers.get("x-forwarded-proto", "").lower() == "https"
        pair = self._basic(request) if is_tls else None
        if pair is not None:
            known = self._keys.get(pair[0])
            if known is None:
                return None
            if known[0] != pair[1]:
                raise _unauthenticated("Consumer secret is invalid.")
            return self._allowed(known[1], request)
        key = request.parameter("oauth_consumer_key")
        if not is_tls and key:
            known = self._keys.get(key)
            if known is None:
                raise _unauthenticated("Consumer key is invalid.")
            url = f"{self._home().replace('https://', 'http://', 1)}{request.path}"
            try:
                with self._lock:
                    self._oauth.check(
                        request.method, url, request.query, known[0], (self._clock().timestamp(), time.time())
                    )
            except OAuthRefused as refusal:
                raise _unauthenticated(str(refusal)) from refusal
            return self._allowed(known[1], request)
        return None

    @staticmethod
    def _basic(request: Request) -> tuple[str, str] | None:
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                key, _, secret = base64.b64decode(encoded).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                return None
            return key, secret
        if request.parameter("consumer_key"):
            return request.parameter("consumer_key"), request.parameter("consumer_secret")
        return None

    @staticmethod
    def _allowed(access: Access, request: Request) -> Access:
        if access == "read" and request.method not in ("GET", "HEAD"):
            raise _unauthenticated("The API key provided does not have write permissions.")
        return access

    # where it goes ---------------------------------------------------------------------------------------------------

    def _dispatch(self, request: Request, access: Access | None, allow: list[str]) -> Response:
        path = request.path.rstrip("/")
        if path == "/wp-json":
            document = self._documents("")
            fields = request.parameter("_fields")
            return self._answer(only_fields(document, fields) if fields else document, "GET")
        if not path.startswith(f"{API}/"):
            raise _no_route()
        route = path.removeprefix(f"{API}/")
        handler = self._route(route, request.method)
        if handler is None:
            raise _no_route()
        if access is None:
            raise _forbidden(request.method, route)
        allow.append(handler[0])
        return handler[1](request, handler[0])

    def _route(self, route: str, method: str) -> tuple[str, Callable[[Request, str], Response]] | None:
        """The Allow header of a route and what answers it; None when the method or the route is unknown."""
        reads = method in ("GET", "HEAD")
        if route in COLLECTIONS:
            allow = COLLECTIONS[route].methods
            if reads:
                return allow, lambda request, allowed: self._list(route, request, allowed)
            if method == "POST" and "POST" in allow:
                return allow, lambda request, allowed: self._create(route, None, request, allowed)
            return None
        if match := re.fullmatch(r"(products|orders|customers)/batch", route):
            name = match[1]
            return (BATCH, lambda request, _: self._batch(name, None, request)) if method in BATCH else None
        if match := re.fullmatch(r"products/(\d+)/variations(/batch|/(\d+))?", route):
            return self._variation_route(int(match[1]), match[2], match[3], method, reads=reads)
        if match := re.fullmatch(r"orders/(\d+)/(refunds|notes)(?:/(\d+))?", route):
            return self._order_route(int(match[1]), match[2], match[3], method, reads=reads)
        if match := re.fullmatch(
            r"(products/categories|products|orders|customers|taxes|coupons|variations|webhooks)/(\d+)", route
        ):
            name, number = match[1], int(match[2])
            if reads:
                return ITEM, lambda request, allowed: self._one(name, number, None, request, allowed)
            if method in ("PUT", "PATCH", "POST"):
                return ITEM, lambda request, allowed: self._update(name, number, None, request, allowed)
            return (
                (ITEM, lambda request, allowed: self._delete(name, number, None, request, allowed))
                if method == "DELETE"
                else None
            )
        document = self._documents(route)
        if document is not None and reads:
            return "GET, POST" if route == "taxes/classes" else "GET", lambda request, allowed: self._document(
                route, document, request, allowed
            )
        return None

    def _variation_route(
        self, parent: int, tail: str | None, number: str | None, method: str, *, reads: bool
    ) -> tuple[str, Callable[[Request, str], Response]] | None:
        if tail is None:
            if reads:
                return "GET, POST", lambda request, allowed: self._list("variations", request, allowed, parent)
            if method == "POST":
                return "GET, POST", lambda request, allowed: self._create("variations", parent, request, allowed)
            return None
        if number is None:
            return (BATCH, lambda request, _: self._batch("variations", parent, request)) if method in BATCH else None
        if reads:
            return ITEM, lambda request, allowed: self._one("variations", int(number), parent, request, allowed)
        if method in ("PUT", "PATCH", "POST"):
            return ITEM, lambda request, allowed: self._update("variations", int(number), parent, request, allowed)
        return (
            (ITEM, lambda request, allowed: self._delete("variations", int(number), parent, request, allowed))
            if method == "DELETE"
            else None
        )

    def _order_route(
        self, order_id: int, kind: str, number: str | None, method: str, *, reads: bool
    ) -> tuple[str, Callable[[Request, str], Response]] | None:
        if kind == "notes":
            if number is None and reads:
                return "GET, POST", lambda request, allowed: self._notes(order_id, request, allowed)
            if number is None and method == "POST":
                return "GET, POST", lambda request, allowed: self._add_note(order_id, request, allowed)
            return None
        if number is None:
            if reads:
                return "GET, POST", lambda request, allowed: self._list("refunds", request, allowed, order_id)
            if method == "POST":
                return "GET, POST", lambda request, allowed: self._create("refunds", order_id, request, allowed)
            return None
        return (
            ("GET, DELETE", lambda request, allowed: self._one("refunds", int(number), order_id, request, allowed))
            if reads
            else None
        )

    # reading ---------------------------------------------------------------------------------------------------------

    def _list(self, name: str, request: Request, allow: str, parent: int | None = None) -> Response:
        table = self._tables[name]
        query = request.parameters()
        within = None
        if parent is not None:
            self._known("products" if name == "variations" else "orders", parent)
            within = table.where("parent_id", parent)
        page = page_of(name, table, query, self._zone, within)
        fields = query.get("_fields", "")
        if fields or (parent is None and name == "variations") or (parent is not None and name == "refunds"):
            rows = [self._shown(name, table.row(row_id), parent) for row_id in page.ids]
            body = msgspec.json.encode([only_fields(row, fields) for row in rows] if fields else rows)
        else:
            body = b"[" + b",".join([table.encoded(row_id) for row_id in page.ids]) + b"]"
        extra = [("X-WP-Total", str(page.total)), ("X-WP-TotalPages", str(page.pages))]
        extra.extend(self._page_links(name, request, page))
        return self._answer(body, allow, extra=extra)

    def _shown(self, name: str, row: Row, parent: int | None) -> Row:
        if name == "variations" and parent is None:
            home = str(row["_links"]["self"][0]["href"]).partition("/wp-json")[0]
            return {**row, "_links": bare_variation_links(home, int(row["id"]))}
        if name == "refunds" and parent is not None:
            return {key: value for key, value in row.items() if key != "parent_id"}
        return row

    def _page_links(self, name: str, request: Request, page: Page) -> list[tuple[str, str]]:
        dropped = COLLECTIONS[name].drops_from_links
        kept = [
            f"{quote(key, safe='')}={quote(value.rstrip('='), safe='')}"
            for key, value in request.query
            if key != "page" and key not in dropped
        ]

        def link(number: int, relation: str) -> tuple[str, str]:
            query = "&".join([*kept, f"page={number}"])
            return "Link", f'<{self._home()}{request.path}?{query}>; rel="{relation}"'

        links = []
        if page.number > 1:
            links.append(link(min(page.number - 1, page.pages), "prev"))
        if page.number < page.pages:
            links.append(link(page.number + 1, "next"))
        if len(links) == 2:
            return [("Link", f"{links[0][1]}, {links[1][1]}")]
        return links

    def _known(self, name: str, number: int, *, status: int = 404, parent: int | None = None) -> Row:
        table = self._tables[name]
        if number in table and (parent is None or table.value(number, "parent_id") == parent):
            return table.row(number)
        raise invalid_id(name, status)

    def _one(self, name: str, number: int, parent: int | None, request: Request, allow: str) -> Response:
        row = self._shown(name, self._known(name, number, parent=parent), parent)
        fields = request.parameter("_fields")
        return self._answer(only_fields(row, fields, keeps_links=True) if fields else row, allow)

    def _document(self, route: str, document: Any, request: Request, allow: str) -> Response:
        fields = request.parameter("_fields")
        if fields:
            rows = document if isinstance(document, list) else [document]
            cut = [only_fields(row, fields) for row in rows]
            document = cut if isinstance(document, list) else cut[0]
        extra = [("X-WP-Total", str(len(document))), ("X-WP-TotalPages", "1")] if route == "taxes/classes" else []
        return self._answer(document, allow, extra=extra)

    def _notes(self, order_id: int, _request: Request, allow: str) -> Response:
        self._known("orders", order_id)
        return self._answer(self._writing().notes_of(order_id), allow)

    # writing ---------------------------------------------------------------------------------------------------------

    def _writing(self) -> Writer:
        if self._writer is None:
            raise ApiError(405, "rest_read_only", "This shop is a recording: it can only be read.")
        return self._writer

    def _created(self, row: Row, allow: str) -> Response:
        # WooCommerce forgets to put the order's id into a new refund's address
        location = re.sub(
            r"/orders/\d+/refunds/", r"/orders/(?P<order_id>[\\d]+)/refunds/", row["_links"]["self"][0]["href"]
        )
        return self._answer(row, allow, status=201, extra=[("Location", location)])

    def _create(self, name: str, parent: int | None, request: Request, allow: str) -> Response:
        if name == "webhooks" and self._webhooks is not None:
            return self._created(self._webhooks.create(_json(request)), allow)
        row = self._writing().create(name, parent, _json(request), is_strict=True)
        return self._created(self._shown(name, row, parent), allow)

    def _add_note(self, order_id: int, request: Request, allow: str) -> Response:
        self._known("orders", order_id)
        return self._created(self._writing().add_note(order_id, _json(request)), allow)

    def _update(self, name: str, number: int, parent: int | None, request: Request, allow: str) -> Response:
        writer = self._writing()
        body = _json(request)
        self._known(name, number, status=400, parent=parent)
        if name == "webhooks" and self._webhooks is not None:
            return self._answer(self._webhooks.update(number, body), allow)
        return self._answer(writer.update(name, number, body, is_strict=True), allow)

    def _delete(self, name: str, number: int, parent: int | None, request: Request, allow: str) -> Response:
        self._known(name, number, parent=parent)
        is_forced = request.parameter("force") in ("1", "true")
        if name == "webhooks" and self._webhooks is not None:
            return self._answer(self._webhooks.delete(number, is_forced=is_forced), allow)
        return self._answer(self._writing().delete(name, number, is_forced=is_forced), allow)

    def _batch(self, name: str, parent: int | None, request: Request) -> Response:
        return self._answer(self._writing().batch(name, parent, _json(request)), BATCH)


def invalid_id(name: str, status: int) -> ApiError:
    """What an unknown id answers: 404 when read, 400 when written."""
    if name == "variations":
        return ApiError(status, "woocommerce_rest_product_variation_invalid_id", "Invalid ID.", is_routed=status != 404)
    codes = {
        "products": "woocommerce_rest_product_invalid_id",
        "orders": "woocommerce_rest_shop_order_invalid_id",
        "customers": "woocommerce_rest_invalid_id",
        "refunds": "woocommerce_rest_invalid_order_refund_id",
        "taxes": "woocommerce_rest_invalid_id",
        "coupons": "woocommerce_rest_shop_coupon_invalid_id",
        "products/categories": "woocommerce_rest_term_invalid",
        "webhooks": "woocommerce_rest_shop_webhook_invalid_id",
    }
    return ApiError(status, codes[name], "Invalid ID.")


def _json(request: Request) -> Row:
    try:
        body = msgspec.json.decode(request.body or b"{}")
    except msgspec.DecodeError as error:
        data = {"status": 400, "json_error_code": 4, "json_error_message": "Syntax error"}
        raise ApiError(400, "rest_invalid_json", "Invalid JSON body passed.", data) from error
    return body if isinstance(body, dict) else {}


def _unauthenticated(message: str) -> ApiError:
    return ApiError(401, "woocommerce_rest_authentication_error", message, is_routed=False)


def _forbidden(method: str, route: str) -> ApiError:
    if method in ("GET", "HEAD"):
        is_item = re.search(r"/\d+$", route) is not None
        message = "Sorry, you cannot view this resource." if is_item else "Sorry, you cannot list resources."
        return ApiError(401, "woocommerce_rest_cannot_view", message, is_routed=False)
    verb = {"POST": "create", "DELETE": "delete"}.get(method, "edit")
    if route.endswith("/batch"):
        verb = "batch"
    message = f"Sorry, you are not allowed to {verb} resources."
    return ApiError(401, f"woocommerce_rest_cannot_{verb}", message, is_routed=False)


def _no_route() -> ApiError:
    message = "No route was found matching the URL and request method."
    return ApiError(404, "rest_no_route", message, is_routed=False)
