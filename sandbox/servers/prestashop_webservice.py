"""The PrestaShop 8 Webservice over tables of rows: keys, routes, answers.

Belongs here: the part that is the same for an invented shop (`prestashop`) and for a recorded one (`replay`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import msgspec

from sandbox.servers import prestashop_format as fmt
from sandbox.servers.http import Request, Response
from sandbox.servers.prestashop_checkout import Checkout
from sandbox.servers.prestashop_query import (
    NothingThere,
    PriceCalculator,
    WebserviceError,
    closest,
    displayed_fields,
    local_text,
    price_requests,
    selected_ids,
)
from sandbox.servers.prestashop_resources import ALL, ALL_RESOURCES, READ, RESOURCES, Resource
from sandbox.servers.prestashop_writes import Writer
from sandbox.servers.table import Row, Table

VERSION = "8.2.1"
REALM = 'Basic realm="Welcome to PrestaShop Webservice, please enter the authentication key as the login. No password required."'
KEY_LENGTH = 32
Rights = Mapping[str, frozenset[str]] | None


class Webservice:
    """Answers requests under /api from tables of rows.

    ``tables``: path of the resource -> rows; ``resources`` describes those that `RESOURCES` does not. ``keys``: key -> what it may
    do, by resource; None = everything. ``clock`` gives the shop's present; ``zone`` is the one it prints.
    """

    def __init__(
        self,
        tables: dict[str, Table],
        *,
        keys: Mapping[str, Rights],
        zone: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        resources: Mapping[str, Resource] | None = None,
        shop_name: str = "Shop",
        country_id: str = "8",
    ) -> None:
        self.tables = tables
        self._resources = {**RESOURCES, **(resources or {})}
        self.keys = dict(keys)
        self._zone = zone
        self._clock = clock
        self._shop_name = shop_name
        self.lock = threading.RLock()
        for path in self._resources:
            tables.setdefault(path, Table.of_rows([]))
        self._prices = PriceCalculator(tables, self.local_now, country_id)
        self.writer = Writer(tables, self.local_now)
        self.checkout = Checkout(tables, self._prices, self.writer, self.local_now)

    def local_now(self) -> str:
        """The shop's present, as it prints it."""
        return local_text(self._clock(), self._zone)

    def answer(self, request: Request) -> Response:
        """Answer one request; never raises for what a client sends."""
        as_json = self._wants_json(request)
        content_type = fmt.JSON_TYPE if as_json else fmt.XML_TYPE
        try:
            refusal = self.refusal(request)
            if refusal is not None:
                return refusal
            with self.lock:
                status, body, content_type = self._dispatch(request, as_json, content_type)
        except NothingThere:
            return Response(404, [("PSWS-Version", VERSION), ("Content-Type", "")])
        except WebserviceError as error:
            if not error.errors:
                return Response(error.status, [("Content-Type", "text/html; charset=utf-8")])
            body = fmt.errors_body(error.errors, as_json=as_json)
            return Response(error.status, [("PSWS-Version", VERSION), ("Content-Type", content_type)], body)
        headers = [("PSWS-Version", VERSION), ("Content-Type", content_type)]
        if content_type:
            headers.append(("Content-Sha1", hashlib.sha1(body, usedforsecurity=False).hexdigest()))
        return Response(status, headers, body)

    @staticmethod
    def _wants_json(request: Request) -> bool:
        wanted = (
            request.parameter("output_format")
            or request.parameter("io_format")
            or request.headers.get("output-format", "")
            or request.headers.get("io-format", "")
        )
        return wanted.upper() == "JSON"

    def _key(self, request: Request) -> str | None:
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                return base64.b64decode(encoded).decode().partition(":")[0]
            except (binascii.Error, UnicodeDecodeError):
                return ""
        return request.parameter("ws_key") or None

    def refusal(self, request: Request) -> Response | None:
        """401 when the key is missing or wrong, else nothing."""
        as_json = self._wants_json(request)
        key = self._key(request)
        if key is None:
            return Response(
                401, [("WWW-Authenticate", REALM), ("Content-Type", "text/html; charset=utf-8")], b"401 Unauthorized"
            )
        if key in self.keys:
            return None
        errors: tuple[tuple[int, str], ...] = (
            (20, "Authentification key is not active"),
            (21, "No permission for this authentication key"),
        )
        if len(key) != KEY_LENGTH:
            errors = ((18, "Invalid authentication key format"),)
        headers = [
            ("WWW-Authenticate", REALM),
            ("PSWS-Version", "0"),
            ("Content-Type", fmt.JSON_TYPE if as_json else fmt.XML_TYPE),
        ]
        return Response(401, headers, fmt.errors_body(errors, as_json=as_json))

    def _dispatch(self, request: Request, as_json: bool, content_type: str) -> tuple[int, bytes, str]:
        parts = [part for part in request.path.split("/") if part]
        if not parts or parts[0] != "api":
            raise NothingThere
        rights = self.keys[self._key(request) or ""]
        base = f"http://{request.headers.get('host', 'shop.example')}"
        if len(parts) == 1:
            allowed = [(path, ALL if rights is None else rights.get(path, frozenset())) for path in ALL_RESOURCES]
            body = fmt.index_xml(self._shop_name, base, [(path, methods) for path, methods in allowed if methods])
            return 200, body, fmt.XML_TYPE
        path = parts[1]
        if path not in ALL_RESOURCES:
            listed = ", ".join(f'"{name}"' for name in ALL_RESOURCES)
            message = (
                f'Resource of type "{path}" does not exists. Did you mean: "{closest(path, list(ALL_RESOURCES))}"? '
                f"The full list is: {listed}"
            )
            raise WebserviceError(400, (27, message))
        self._check_rights(path, request.method, rights)
        resource = self._resources.get(path) or Resource(path, path[:-1], {"id": 0}, methods=READ)
        table = self.tables.setdefault(path, Table.of_rows([]))
        if request.method not in resource.methods:
            raise WebserviceError(405, (101, f"Method {request.method} is not allowed for the resource {path}"))
        if request.method in ("GET", "HEAD"):
            return self._read(request, resource, table, parts, as_json, content_type, base)
        if request.method == "DELETE":
            row_id = self._known_id(parts, table)
            self.writer.delete(resource, row_id)
            return 200, b"", ""
        row = self.writer.write(resource, request.method, request.body)
        status = 201 if request.method == "POST" else 200
        if as_json:
            return status, fmt.single_json(resource, row, is_write_reply=True), content_type
        return status, fmt.single_xml(resource, row, base), content_type

    @staticmethod
    def _check_rights(path: str, method: str, rights: Rights) -> None:
        if rights is None:
            return
        if path not in rights:
            message = f'Resource of type "{path}" is not allowed with this authentication key'
            raise WebserviceError(401, (26, message))
        if method not in rights[path]:
            message = f"Method {method} is not allowed for the resource {path} with this authentication key"
            raise WebserviceError(405, (25, message))

    @staticmethod
    def _known_id(parts: list[str], table: Table) -> int:
        if len(parts) < 3 or not parts[2].isdigit() or int(parts[2]) not in table:
            raise NothingThere
        return int(parts[2])

    def _read(
        self,
        request: Request,
        resource: Resource,
        table: Table,
        parts: list[str],
        as_json: bool,
        content_type: str,
        base: str,
    ) -> tuple[int, bytes, str]:
        query = request.parameters()
        if len(parts) > 2:
            row = table.row(self._known_id(parts, table))
            if as_json:
                return 200, fmt.single_json(resource, row, is_write_reply=False), content_type
            return 200, fmt.single_xml(resource, row, base), content_type
        if query.get("schema") in ("blank", "synopsis"):
            return 200, fmt.synopsis_xml(resource, base, blank=query["schema"] == "blank"), fmt.XML_TYPE
        priced = resource.path in ("products", "combinations")
        prices = price_requests(query) if priced else {}
        fields = displayed_fields(resource, query, list(prices))
        ids = selected_ids(resource, table, query)
        if not as_json:
            rows = [self._shown(resource, table, row_id, fields, prices) for row_id in ids]
            return 200, fmt.list_xml(resource, rows, fields, base), content_type
        return 200, fmt.list_json(resource, self._encoded(resource, table, ids, fields, prices)), content_type

    def _encoded(
        self,
        resource: Resource,
        table: Table,
        ids: list[int],
        fields: tuple[str, ...] | None,
        prices: Mapping[str, Mapping[str, str]],
    ) -> list[bytes]:
        if fields is None and not prices:
            return [table.encoded(row_id) for row_id in ids]
        encode = msgspec.json.Encoder().encode
        return [encode(self._shown(resource, table, row_id, fields, prices)) for row_id in ids]

    def _shown(
        self,
        resource: Resource,
        table: Table,
        row_id: int,
        fields: tuple[str, ...] | None,
        prices: Mapping[str, Mapping[str, str]],
    ) -> Row:
        if fields is not None and not prices and all(table.has_column(name) for name in fields):
            return {name: table.value(row_id, name) for name in fields}
        row = table.row(row_id)
        shown = dict(row) if fields is None else {name: row[name] for name in fields if name in row}
        for name, options in prices.items():
            if fields is None or name in fields:
                shown[name] = self._prices.price(resource.path, row, options)
        return shown
