"""Talks to one PrestaShop Webservice: signing, its error answers, lists by id, XML in. Nothing about what the rows mean.

Rows are always read in the LIST form: a single row leaves out every field that is empty or 0.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

import msgspec

from resources.connectors.prestashop.lenient import raw_number
from resources.connectors.sdk.auth import BasicAuth
from resources.connectors.sdk.decode import Decoded, Page, RowDecoder, plain
from resources.connectors.sdk.http import Answer, HttpClient, SessionFactory, Verdict
from resources.connectors.sdk.paging import IdChunk, id_chunks, in_order
from resources.errors import PermanentError, RetryableError, Where

T = TypeVar("T")

FAR_FUTURE = "2099-12-31 23:59:59"
IDS_PER_LIST = 5_000
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
    23: "PATCH is known from PrestaShop 8 on: Étalon reads older shops, and does not write into them",
    25: "give the key this method on this resource in Advanced parameters > Webservice",
    26: "give the key this resource in Advanced parameters > Webservice",
}


_NOT_PERMITTED = re.compile(r"\bcode (25|26|27),")


def is_not_permitted(error: PermanentError) -> bool:
    """Whether a call was refused because this key may not read this resource, or because the shop has no such resource."""
    return _NOT_PERMITTED.search(error.what) is not None


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
    """Reads and writes one shop. ``url`` is its home address; the Webservice is under ``/api``.

    ``shop_id``: which shop of an installation with several is asked; None for the only one.
    """

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
        shop_id: int | None = None,
        **http: Any,
    ) -> None:
        self._system_code = system_code
        self._scope = {} if shop_id is None else {"id_shop": str(shop_id)}
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
        return self._http.get(
            f"/api/{resource}", {**params, **self._scope, "output_format": "JSON"}, parse=parse, stream=stream
        )

    def index(self) -> bytes:
        """The XML that tells which resources and methods this key may use."""
        return self._http.get("/api/", {}, parse=lambda body: body, markup=True).value

    def write(self, method: Literal["POST", "PATCH"], resource: str, body: bytes, row_id: str | None = None) -> str:
        """Send XML once; the id of the request. ``row_id``: of the only row in it. What is answered shows one row and leaves out
        what is 0, so nothing is read of it: who writes reads back.

        Raises as `HttpClient.send` does: after a RetryableError it may have been done.
        """
        path = f"/api/{resource}/{row_id}" if row_id else f"/api/{resource}"
        params = {**self._scope, "output_format": "JSON"}
        answer = self._http.send(
            method, path, body, content_type="text/xml", params=params, parse=msgspec.json.decode, stream=resource
        )
        return answer.request_id

    def delete(self, resource: str, row_id: int) -> str:
        """Delete one row; the id of the request. A good answer has no body."""
        params = {**self._scope, "output_format": "JSON"}
        answer = self._http.send(
            "DELETE",
            f"/api/{resource}/{row_id}",
            b"",
            content_type="text/xml",
            params=params,
            parse=lambda body: body,
            stream=resource,
            markup=True,
        )
        return answer.request_id

    @property
    def workers(self) -> int:
        """How many calls may be under way at once."""
        return self._workers

    def ids(self, resource: str, params: Mapping[str, str] | None = None, *, stream: str) -> list[int]:
        """Every id of a resource (or of a filter on it), ascending: what the shop announces. Keyset lists, so none is lost.

        A short list is not taken for the last one: a web server or a module may cut lists. Only an empty one is.
        """
        found: list[int] = []
        is_named = "filter[id]" in (params or {})  # some ids, no more than one filter takes
        while True:
            asked = {**(params or {}), "sort": "[id_ASC]", "limit": str(IDS_PER_LIST)}
            if found:
                asked["filter[id]"] = f">[{found[-1]}]"
            rows = self.rows(resource, asked, _IDS.decode, stream=stream).value.rows
            fresh = [row.id for row in rows if not found or row.id > found[-1]]
            found += fresh
            if not fresh or is_named:
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
        gone: list[int] | None = None,
        is_whole: bool = False,
    ) -> Iterator[Page[T]]:
        """The rows with these ids, in order, in parallel. A row that came after the ids were listed is left to the next reading.

        A row that does not come is asked for once more. ``gone`` receives the ids that the shop does not list any more; a row
        that it lists and does not show is missing, which is an error when the rows are of no use without it (``is_whole``).
        """

        def fetch(chunk: IdChunk) -> Page[T]:
            body, decoded = self._chunk(resource, chunk.ids, decoder, row_id, stream, display)
            missing = _missing(chunk.ids, decoded, row_id)
            if missing:
                listed = self.ids_among(resource, missing, stream=stream)
                if gone is not None:
                    gone.extend(sorted(set(missing) - set(listed)))
                if listed:
                    more, _ = self._chunk(resource, listed, decoder, row_id, stream, display)
                    raw_rows = decoder.raw_rows(body) + decoder.raw_rows(more)
                    body = b'{"rows":[' + b",".join(raw_rows) + b"]}"
                    decoded = _only(chunk.ids, decoder.decode(body), row_id)
                    hidden = set(_missing(chunk.ids, decoded, row_id)) & set(listed)
                    if hidden and is_whole:
                        raise RetryableError(
                            f"the shop lists {resource} {', '.join(map(str, sorted(hidden)))} and does not show them",
                            where=Where(system_code=self._system_code, stream=stream),
                        )
            return beside(Page(f"{resource} page {chunk.number}", body, decoded))

        return in_order(id_chunks(ids, self._page_size), fetch, workers=self._workers)

    def ids_among(self, resource: str, ids: Sequence[int], *, stream: str) -> list[int]:
        """Those of some ids (no more than one filter takes) that the shop still lists."""
        asked = {"filter[id]": any_of(ids), "sort": "[id_ASC]"}
        return [row.id for row in self.rows(resource, asked, _IDS.decode, stream=stream).value.rows]

    def _chunk(
        self,
        resource: str,
        ids: Sequence[int],
        decoder: RowDecoder[T],
        row_id: Callable[[T], int],
        stream: str,
        display: str,
    ) -> tuple[bytes, Decoded[T]]:
        asked = {"display": display, "filter[id]": any_of(ids), "sort": "[id_ASC]"}
        answer = self.rows(resource, asked, decoder.decode, stream=stream)
        return answer.body, _only(ids, answer.value, row_id)

    def related(
        self,
        resource: str,
        field: str,
        ids: Iterable[int],
        decoder: RowDecoder[T],
        *,
        stream: str,
        display: str = "full",
    ) -> Related[T]:
        """Rows whose ``field`` is one of ``ids``. One of an unknown shape is told by the value of ``field`` that it has."""
        wanted = sorted(set(ids))
        found: Related[T] = Related()
        for start in range(0, len(wanted), IDS_PER_CALL):
            asked = {
                "display": display,
                f"filter[{field}]": any_of(wanted[start : start + IDS_PER_CALL]),
                "sort": "[id_ASC]",
            }
            answer = self.rows(resource, asked, decoder.decode, stream=stream)
            found.rows += answer.value.rows
            found.bodies.append(answer.body)
            for bad in answer.value.bad:
                owner = raw_number(bad.raw, field)
                if owner is None:
                    raise PermanentError(
                        f"a row of {resource} does not say to what it belongs: {bad.reason}",
                        where=Where(system_code=self._system_code, stream=stream, field=field),
                        action="compare the shop's version with the recorded exchanges",
                    )
                number = raw_number(bad.raw, "id")
                found.bad[owner] = f"{resource} {'?' if number is None else number}: {bad.reason}"
        return found

    def all_rows(
        self, resource: str, decoder: RowDecoder[T], *, stream: str, display: str = "full", **params: str
    ) -> list[T]:
        """A small collection, whole: rates, states, countries."""
        return self.rows(
            resource, {"display": display, "sort": "[id_ASC]", **params}, whole(decoder), stream=stream
        ).value


@dataclass
class Related(Generic[T]):
    """What was read beside a page: rows, the bodies as received, and why a row of an owner cannot be read, by that owner."""

    rows: list[T] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    bad: dict[int, str] = field(default_factory=dict)


def _only(ids: Sequence[int], decoded: Decoded[T], row_id: Callable[[T], int]) -> Decoded[T]:
    """The rows with these ids."""
    wanted = set(ids)
    if all(row_id(row) in wanted for row in decoded.rows):
        return decoded
    kept = [index for index, row in enumerate(decoded.rows) if row_id(row) in wanted]
    return Decoded([decoded.rows[index] for index in kept], [decoded.positions[index] for index in kept], decoded.bad)


def _missing(ids: Sequence[int], decoded: Decoded[T], row_id: Callable[[T], int]) -> list[int]:
    """The ids of which no row came; a row that cannot be read and does not tell its id stands for one of them."""
    if decoded.received_qty >= len(ids):
        return []
    seen = {row_id(row) for row in decoded.rows} | {raw_number(bad.raw, "id") for bad in decoded.bad}
    return [number for number in ids if number not in seen]


def any_of(ids: Iterable[int]) -> str:
    """The filter value that accepts any of these ids."""
    return f"[{'|'.join(map(str, ids))}]"


def filters_on(field: str, ids: Iterable[int]) -> list[dict[str, str]]:
    """Filters that together accept any of these ids, each short enough for one call."""
    wanted = sorted(set(ids))
    return [
        {f"filter[{field}]": any_of(wanted[start : start + IDS_PER_CALL])}
        for start in range(0, len(wanted), IDS_PER_CALL)
    ]


def whole(decoder: RowDecoder[T]) -> Callable[[bytes], list[T]]:
    """Decode a list that is of no use with rows missing."""

    def decode(body: bytes) -> list[T]:
        decoded = decoder.decode(body)
        if decoded.bad:
            raise msgspec.ValidationError(f"row {decoded.bad[0].index + 1}: {decoded.bad[0].reason}")
        return decoded.rows

    return decode
