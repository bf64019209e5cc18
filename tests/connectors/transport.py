"""A stand-in for a ``requests`` session that answers from a function: no network. The seam is the connector's ``session_factory``."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from requests.adapters import BaseAdapter
from urllib3 import HTTPResponse

RECORDINGS = Path(__file__).parent.parent / "recordings"


@dataclass(frozen=True)
class Call:
    """One request as the shop sees it."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    method: str = "GET"
    body: bytes = b""


@dataclass(frozen=True)
class Reply:
    """One answer. ``declared_length`` more than the body: the connection breaks before its end. An exception as body is raised."""

    status: int = 200
    body: bytes | Exception = b"[]"
    headers: Mapping[str, str] = field(default_factory=dict)
    declared_length: int | None = None


Shop = Callable[[Call], Reply]


class _Adapter(BaseAdapter):
    def __init__(self, shop: Shop) -> None:
        super().__init__()
        self._shop = shop

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
        parts = urlsplit(request.url or "")
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        sent = request.body or b""
        body = sent if isinstance(sent, bytes) else str(sent).encode()
        reply = self._shop(Call(parts.path, query, dict(request.headers), request.method or "GET", body))
        if isinstance(reply.body, Exception):
            raise reply.body
        length = len(reply.body) if reply.declared_length is None else reply.declared_length
        raw = HTTPResponse(
            body=io.BytesIO(reply.body),
            headers={"Content-Length": str(length), **reply.headers},
            status=reply.status,
            preload_content=False,
            request_method=request.method,
        )
        response = requests.Response()
        response.status_code = reply.status
        response.headers = requests.structures.CaseInsensitiveDict(raw.headers)
        response.raw = raw
        response.url = request.url or ""
        response.request = request
        return response

    def close(self) -> None:
        """Nothing to close."""


def session_factory(shop: Shop) -> Callable[[], requests.Session]:
    """Sessions whose every call is answered by ``shop``."""

    def make() -> requests.Session:
        session = requests.Session()
        session.mount("http://", _Adapter(shop))
        session.mount("https://", _Adapter(shop))
        return session

    return make


def recording(system: str, name: str) -> dict[str, Any]:
    """One recorded exchange."""
    loaded: dict[str, Any] = json.loads((RECORDINGS / system / f"{name}.json").read_text())
    return loaded


def recorded_reply(system: str, name: str) -> Reply:
    """The recorded answer, as a reply."""
    response = recording(system, name)["response"]
    body = response["body"] if "body" in response else json.dumps(response["json"], ensure_ascii=False)
    return Reply(response["status"], (body or "").encode(), response["headers"])


def recorded_rows(system: str, stream: str, key: str | None = None) -> list[dict[str, Any]]:
    """All rows of a recorded stream, in order: its pages put together. ``key``: the wrapper's key of PrestaShop."""
    rows: list[dict[str, Any]] = []
    number = 1
    while (RECORDINGS / system / f"{stream}_page_{number}.json").exists():
        page = recording(system, f"{stream}_page_{number}")["response"]["json"]
        rows += page if isinstance(page, list) else page[key or stream]
        number += 1
    return rows
