"""Talks to one PrestaShop Webservice: signing, its error answers, lists by id. Nothing about what the rows mean.

Rows are always read in the LIST form: a single row leaves out every field that is empty or 0.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from resources.connectors.sdk.auth import BasicAuth
from resources.connectors.sdk.decode import Decoded, Page, RowDecoder, plain
from resources.connectors.sdk.http import Answer, HttpClient, SessionFactory, Verdict
from resources.connectors.sdk.paging import IdChunk, id_chunks, in_order

T = TypeVar("T")

FAR_FUTURE = "2099-12-31 23:59:59"
IDS_PER_LIST = 20_000
IDS_PER_CALL = 200  # ids in one filter: longer addresses are refused by some web servers
# one pattern per name: each starts with a fixed text, which is found fast
_SECRETS = tuple(
    (name, re.compile(rb'"' + name + rb'"\s*:\s*"(?:[^"\\]|\\.)*"'))
    for name in (b"passwd", b"secure_key", b"reset_password_token")
)

# what an error code says about trying again is taken from recorded answers: all of these came for a request that can never work
_ACTIONS = {
    18: "the key has the wrong length: copy it again from Advanced parameters > Webservice",
    20: "activate the key in Advanced parameters > Webservice",
    21: "the shop does not know this key: check it in retailer.yaml",
    25: "give the key this method on this resource in Advanced parameters > Webservice",
    26: "give the key this resource in Advanced parameters > Webservice",
}


class ErrorRow(msgspec.Struct):
    """One error of an answer; its message is HTML-escaped."""

    code: int = 0
    message: str = ""


class ErrorBody(msgspec.Struct):
    """``{"errors": [...]}``."""

    errors: list[ErrorRow] = []


class IdRow(msgspec.Struct, gc=False):
    """A row of a list without display."""

    id: int


_IDS: RowDecoder[IdRow] = RowDecoder(IdRow, wrapped=True, strict=False)


def scrub(body: bytes) -> bytes:
    """Take password hashes and the keys that open carts and orders out of a body, before anything else sees it."""
    for name, pattern in _SECRETS:
        if name in body:
            body = pattern.sub(b'"' + name + b'":""', body)
    return body


def judge(status: int, body: bytes) -> Verdict | None:
    """PrestaShop answers permanent mistakes with 500 and a JSON error; a failure of PHP itself is a 500 with an empty body."""
    if not body.strip().startswith(b"{"):
        if status == 401:
            return Verdict(False, "no key was seen", "check that the web server passes the Authorization header to PHP")
        return None
    try:
        errors = msgspec.json.decode(body, type=ErrorBody).errors
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    # code 3 is any PHP warning, often beside the real error
    named = [error for error in errors if error.code != 3] or errors
    what = "; ".join(f"code {error.code}, {plain(error.message)[:200]}" for error in named[:2])
    action = next((_ACTIONS[error.code] for error in named if error.code in _ACTIONS), None)
    return Verdict(is_retryable=status in (408, 425, 429, 502, 503, 504), what=what, action=action)


class PrestaShopClient:
    """Reads one shop. ``url`` is its home address; the Webservice is under ``/api``."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        system_code: str,
        clock: Callable[[], datetime],
        session_factory: SessionFactory | None = None,
        workers: int = 4,
        page_size: int = 100,
        **http: Any,
    ) -> None:
        self._http = HttpClient(
            url,
            system_code=system_code,
            auth=BasicAuth(key),
            clock=clock,
            judge=judge,
            scrub=scrub,
            session_factory=session_factory,
            **http,
        )
        self._workers = workers
        self._page_size = min(page_size, IDS_PER_CALL)

    def rows(
        self, resource: str, params: Mapping[str, str], parse: Callable[[bytes], T], *, stream: str | None = None
    ) -> Answer[T]:
        """GET one list of a resource."""
        return self._http.get(f"/api/{resource}", {**params, "output_format": "JSON"}, parse=parse, stream=stream)

    def index(self) -> bytes:
        """The XML that tells which resources and methods this key may use."""
        return self._http.get("/api/", {}, parse=lambda body: body, markup=True).value

    def ids(self, resource: str, params: Mapping[str, str] | None = None, *, stream: str) -> list[int]:
        """Every id of a resource (or of a filter on it), ascending: what the shop announces. Keyset lists, so none is lost."""
        found: list[int] = []
        while True:
            asked = {**(params or {}), "sort": "[id_ASC]", "limit": str(IDS_PER_LIST)}
            if found:
                asked["filter[id]"] = f">[{found[-1]}]"
            rows = self.rows(resource, asked, _IDS.decode, stream=stream).value.rows
            found += [row.id for row in rows]
            if len(rows) < IDS_PER_LIST:
                return found

    def pages(
        self,
        resource: str,
        ids: Sequence[int],
        decoder: RowDecoder[T],
        row_id: Callable[[T], int],
        *,
        stream: str,
        display: str = "full",
        beside: Callable[[Page[T]], Page[T]] = lambda page: page,
    ) -> Iterator[Page[T]]:
        """The rows with these ids, in order, in parallel. A row that came after the ids were listed is left to the next reading."""

        def fetch(chunk: IdChunk) -> Page[T]:
            answer = self.rows(
                resource,
                {"display": display, "filter[id]": any_of(chunk.ids), "sort": "[id_ASC]"},
                decoder.decode,
                stream=stream,
            )
            wanted = set(chunk.ids)
            decoded = answer.value
            if any(row_id(row) not in wanted for row in decoded.rows):
                kept = [index for index, row in enumerate(decoded.rows) if row_id(row) in wanted]
                decoded = Decoded(
                    [decoded.rows[index] for index in kept], [decoded.positions[index] for index in kept], decoded.bad
                )
            return beside(Page(f"{resource} page {chunk.number}", answer.body, decoded))

        return in_order(id_chunks(ids, self._page_size), fetch, workers=self._workers)

    def related(
        self,
        resource: str,
        field: str,
        ids: Iterable[int],
        decoder: RowDecoder[T],
        *,
        stream: str,
        display: str = "full",
    ) -> tuple[list[T], list[bytes]]:
        """Rows whose ``field`` is one of ``ids``, and the bodies as received. A row of an unknown shape raises: all are needed."""
        wanted = sorted(set(ids))
        rows: list[T] = []
        bodies: list[bytes] = []
        for start in range(0, len(wanted), IDS_PER_CALL):
            answer = self.rows(
                resource,
                {
                    "display": display,
                    f"filter[{field}]": any_of(wanted[start : start + IDS_PER_CALL]),
                    "sort": "[id_ASC]",
                },
                whole(decoder),
                stream=stream,
            )
            rows += answer.value
            bodies.append(answer.body)
        return rows, bodies

    def all_rows(
        self, resource: str, decoder: RowDecoder[T], *, stream: str, display: str = "full", **params: str
    ) -> list[T]:
        """A small collection, whole: rates, states, countries."""
        return self.rows(
            resource, {"display": display, "sort": "[id_ASC]", **params}, whole(decoder), stream=stream
        ).value


def any_of(ids: Iterable[int]) -> str:
    """The filter value that accepts any of these ids."""
    return f"[{'|'.join(map(str, ids))}]"


def whole(decoder: RowDecoder[T]) -> Callable[[bytes], list[T]]:
    """Decode a list that is of no use with rows missing."""

    def decode(body: bytes) -> list[T]:
        decoded = decoder.decode(body)
        if decoded.bad:
            raise msgspec.ValidationError(f"row {decoded.bad[0].index + 1}: {decoded.bad[0].reason}")
        return decoded.rows

    return decode
