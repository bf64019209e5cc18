"""A server that plays recorded shops: the connectors run against what a real PrestaShop or WooCommerce answered.

Belongs here: reading a folder of recorded exchanges and putting the rows of its streams together again.

A request that was recorded gets the recorded answer, the earliest where it was recorded several times. Any other read is
computed from the rows of the recorded pages (`*_page_N`), by the same rules as the invented shops: other page sizes,
fields, filters and orders work. Nothing can be written: a write is answered only as it was recorded. Rows show the shop as
it was when its streams were read; an exchange recorded after a write may show a later state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from sandbox.servers.faults import FaultPlan
from sandbox.servers.http import DropConnection, LoopbackServer, Request, Response
from sandbox.servers.prestashop_resources import ALL_RESOURCES, READ, Resource, resource_of_rows
from sandbox.servers.prestashop_webservice import Webservice
from sandbox.servers.table import Row, Table
from sandbox.servers.woocommerce_api import Api
from sandbox.servers.woocommerce_query import COLLECTIONS, ApiError
from sandbox.servers.woocommerce_shapes import API, variation_links

RECORDED_HOME = "https://shop.example"
FULL_RIGHTS = ("WSKEY_DUMMY:", "ck_DUMMY:cs_DUMMY")
_SIGNING = frozenset({"ws_key", "consumer_key", "consumer_secret"})


@dataclass(frozen=True)
class Exchange:
    """One recorded request and its answer."""

    name: str
    method: str
    path: str
    query: Mapping[str, str]
    authorization: str
    sent: bytes
    status: int
    headers: Mapping[str, str]
    document: Any
    body: bytes
    at: datetime

    @property
    def is_page(self) -> bool:
        """Whether it is one page of a stream."""
        return "_page_" in self.name and self.status == 200

    @property
    def has_full_rights(self) -> bool:
        """Whether it was asked with the shop's main key."""
        return any(key in self.authorization for key in FULL_RIGHTS)


def read_exchange(path: Path) -> Exchange:
    """One recording file; a ValueError names the file when it is none."""
    try:
        held = msgspec.json.decode(path.read_bytes())
        request, response = held["request"], held["response"]
        headers = {name.lower(): value for name, value in response["headers"].items()}
        document = response.get("json")
        body = msgspec.json.encode(document) if "json" in response else (response.get("body") or "").encode()
        sent = msgspec.json.encode(request["json"]) if "json" in request else (request.get("body") or "").encode()
        return Exchange(
            name=path.stem,
            method=request["method"],
            path=request["path"],
            query=request.get("query") or {},
            authorization=(request.get("headers") or {}).get("Authorization", ""),
            sent=sent,
            status=response["status"],
            headers=headers,
            document=document,
            body=body,
            at=parsedate_to_datetime(headers["date"]).astimezone(UTC),
        )
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: not a recorded exchange ({error!r})") from error


def read_exchanges(folder: Path) -> list[Exchange]:
    """Every recording of a folder that a client asked for, the earliest first; webhooks, which the shop sent, are left out."""
    found = [
        read_exchange(path) for path in sorted(folder.glob("*.json")) if not path.stem.startswith("webhook_delivery")
    ]
    if not found:
        raise ValueError(f"{folder}: no recorded exchange (*.json) in it")
    return sorted(found, key=lambda exchange: (exchange.at, exchange.name))


def _question(method: str, path: str, query: Mapping[str, str], sent: bytes) -> tuple[Any, ...]:
    """What makes two requests the same: credentials and the order of parameters do not."""
    kept = {name: value for name, value in query.items() if name not in _SIGNING and not name.startswith("oauth_")}
    content: Any = sent.strip()
    if content[:1] in (b"{", b"["):
        try:
            content = msgspec.json.encode(msgspec.json.decode(content), order="sorted")
        except msgspec.DecodeError:
            content = sent.strip()
    return method, path.rstrip("/"), tuple(sorted(kept.items())), content


class RecordedAnswers:
    """The recorded answers by request."""

    def __init__(self, exchanges: list[Exchange]) -> None:
        self._held: dict[tuple[Any, ...], Exchange] = {}
        # a page of a stream wins over a later read of the same rows
        for exchange in sorted(exchanges, key=lambda held: not held.is_page):
            if exchange.has_full_rights:
                question = _question(exchange.method, exchange.path, exchange.query, exchange.sent)
                self._held.setdefault(question, exchange)

    def answer(self, request: Request, home: str) -> Response | None:
        """The recorded answer, its links pointing to ``home``; None when the request was not recorded."""
        exchange = self._held.get(_question(request.method, request.path, request.parameters(), request.body))
        if exchange is None:
            return None
        headers = [
            (name.title(), value.replace(RECORDED_HOME, home))
            for name, value in exchange.headers.items()
            if name != "date"
        ]
        return Response(exchange.status, headers, exchange.body)


class ReplayServer:
    """Serves a folder of recorded exchanges; which system they are of is seen from their paths.

    ``key`` (and ``secret``, WooCommerce) are what a client must show, in any way the real system accepts. ``clock`` is by
    default the moment the streams were recorded: it decides which promotions run.
    """

    def __init__(
        self,
        folder: Path,
        *,
        key: str,
        secret: str = "",
        clock: Callable[[], datetime] | None = None,
        faults: FaultPlan | None = None,
    ) -> None:
        exchanges = read_exchanges(folder)
        self.recorded_at = max(exchange.at for exchange in exchanges if exchange.is_page)
        present = clock or (lambda: self.recorded_at)
        self._answers = RecordedAnswers(exchanges)
        self.kind = "prestashop" if any(exchange.path.startswith("/api") for exchange in exchanges) else "woocommerce"
        if self.kind == "prestashop":
            self._webservice = _prestashop(exchanges, key, present)
            handler = self._answer_prestashop
        else:
            self._api = _woocommerce(exchanges, key, secret, self._home, present)
            handler = self._answer_woocommerce
        self.faults = faults or FaultPlan()
        self._server = LoopbackServer(self.faults.around(handler), present)

    def _home(self) -> str:
        return self._server.url

    @property
    def url(self) -> str:
        """Base URL of the running server."""
        return self._server.url

    def start(self) -> str:
        """Serve in background threads; gives the base URL back."""
        return self._server.start()

    def stop(self) -> None:
        """Close every connection."""
        self._server.stop()

    def _answer_prestashop(self, request: Request) -> Response | DropConnection:
        refusal = self._webservice.refusal(request)
        if refusal is not None:
            return refusal
        return self._answers.answer(request, self._home()) or self._webservice.answer(request)

    def _answer_woocommerce(self, request: Request) -> Response | DropConnection:
        recorded = self._answers.answer(request, self._home())
        if recorded is None:
            return self._api.answer(request)
        try:
            access = self._api.access_of(request)
        except ApiError:
            access = None
        return self._api.answer(request) if access is None else recorded


# PrestaShop ---------------------------------------------------------------------------------------------------------------------------


def prestashop_rows(exchanges: list[Exchange]) -> dict[str, list[Row]]:
    """Rows of each resource, from its pages read in full."""
    found: dict[str, dict[int, Row]] = {}
    for exchange in exchanges:
        is_full_page = exchange.is_page and exchange.query.get("display") == "full"
        if is_full_page or exchange.name == "configuration_timezone":
            path = exchange.path.split("/")[-1]
            rows = found.setdefault(path, {})
            for row in _rows_of(exchange.document):
                rows.setdefault(int(row["id"]), row)
    return {path: list(rows.values()) for path, rows in found.items()}


def _rows_of(document: Any) -> list[Row]:
    if isinstance(document, dict):
        return [row for rows in document.values() if isinstance(rows, list) for row in rows]
    return document if isinstance(document, list) else []


def _prestashop(exchanges: list[Exchange], key: str, clock: Callable[[], datetime]) -> Webservice:
    rows = prestashop_rows(exchanges)
    resources: dict[str, Resource] = {path: resource_of_rows(path, held) for path, held in rows.items()}
    zone = next(
        (row["value"] for row in rows.get("configurations", []) if row["name"] == "PS_TIMEZONE"), "Europe/Paris"
    )
    return Webservice(
        {path: Table.of_rows(held) for path, held in rows.items()},
        keys={key: dict.fromkeys(ALL_RESOURCES, READ)},
        zone=zone,
        clock=clock,
        resources=resources,
        shop_name="Testbed",
    )


# WooCommerce --------------------------------------------------------------------------------------------------------------------------


def woocommerce_rows(exchanges: list[Exchange]) -> dict[str, list[Row]]:
    """Rows of each collection, from its pages and from the lists of its trash."""
    found: dict[str, dict[int, Row]] = {name: {} for name in COLLECTIONS}
    for name, row in _pieces(exchanges):
        found[name].setdefault(int(row["id"]), row)
    for row in found["variations"].values():
        row["_links"] = variation_links(RECORDED_HOME, int(row["parent_id"]), int(row["id"]))
    return {name: list(rows.values()) for name, rows in found.items()}


def _pieces(exchanges: list[Exchange]) -> Iterator[tuple[str, Row]]:
    for exchange in exchanges:
        if not (exchange.is_page or exchange.name.endswith("_trashed")) or not isinstance(exchange.document, list):
            continue
        route = exchange.path.removeprefix(f"{API}/")
        name = "variations" if route.endswith("/variations") else route
        if name in COLLECTIONS and "_fields" not in exchange.query:
            for row in exchange.document:
                yield name, dict(row)


def _woocommerce(
    exchanges: list[Exchange], key: str, secret: str, home: Callable[[], str], clock: Callable[[], datetime]
) -> Api:
    documents: dict[str, Any] = {}
    for exchange in exchanges:
        route = urlsplit(exchange.path).path.rstrip("/").removeprefix("/wp-json").removeprefix("/wc/v3").lstrip("/")
        if exchange.method == "GET" and exchange.status == 200 and exchange.has_full_rights and not exchange.is_page:
            documents.setdefault(route, exchange.document)
    zone = (documents.get("") or {}).get("timezone_string") or "UTC"
    return Api(
        {name: Table.of_rows(rows) for name, rows in woocommerce_rows(exchanges).items()},
        keys={key: (secret, "read_write")},
        home=home,
        zone=zone,
        documents=documents.get,
        clock=clock,
    )
