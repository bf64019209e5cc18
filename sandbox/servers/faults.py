"""What a server does wrong on purpose: slowness, refusals, broken answers, rows that vanish.

Belongs here: which calls a fault hits and what it does to them. Nothing here knows PrestaShop or WooCommerce.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, get_args
from urllib.parse import unquote_plus

import msgspec

from sandbox.servers.http import DropConnection, Handler, Request, Response

FaultKind = Literal[
    "slow",
    "too_many_requests",
    "server_error",
    "html_error",
    "truncated",
    "drop_connection",
    "drop_rows",
    "break_rows",
]

HTML_ERROR = (
    b"<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head>\n"
    b"<body><center><h1>502 Bad Gateway</h1></center><hr><center>nginx</center></body></html>\n"
)


@dataclass
class Fault:
    """One thing that goes wrong.

    ``pattern``: regular expression searched in "GET /path?query", the query decoded. ``first``: only the first n matching calls;
    ``probability``: each matching call with that chance, drawn from ``seed``; neither: every matching call.
    ``seconds``: how long `slow` waits, and the Retry-After of `too_many_requests`. ``status``: of `html_error`.
    `drop_rows` takes ``rows`` rows off the end of each answered page, or those whose id is in ``row_ids``; headers and totals
    still count them. `break_rows` spoils a money field of ``share`` of the rows, always of the same ones. ``fired`` counts the
    calls it hit.
    """

    kind: FaultKind
    pattern: str = ""
    first: int | None = None
    probability: float | None = None
    seed: int = 0
    seconds: float = 1.0
    status: int = 502
    rows: int = 1
    row_ids: frozenset[int] = frozenset()
    share: float = 0.01
    fired: int = 0
    _random: random.Random = field(init=False, repr=False)
    _expression: re.Pattern[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.kind not in get_args(FaultKind):
            raise ValueError(f"unknown fault {self.kind!r}: expected one of {', '.join(get_args(FaultKind))}")
        self._random = random.Random(self.seed)
        self._expression = re.compile(self.pattern)

    def hits(self, call: str) -> bool:
        """Whether it strikes this call; counts it when it does."""
        if not self._expression.search(call):
            return False
        if self.first is not None and self.fired >= self.first:
            return False
        if self.probability is not None and self._random.random() >= self.probability:
            return False
        self.fired += 1
        return True


class FaultPlan:
    """The faults of one server, to be changed while it runs. Faults are tried in the order they were added; the first that breaks
    the answer wins, `slow` and `drop_rows` add up."""

    def __init__(self, *faults: Fault, sleep: Callable[[float], None] = time.sleep) -> None:
        self._faults: list[Fault] = list(faults)
        self._lock = threading.Lock()
        self._sleep = sleep

    def add(self, fault: Fault) -> Fault:
        """Plan one more fault and give it back, so that its ``fired`` can be read later."""
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Behave again."""
        with self._lock:
            self._faults.clear()

    def around(self, handler: Handler) -> Handler:
        """The same handler, with the planned faults."""

        def answer(request: Request) -> Response | DropConnection:
            struck = self._struck(request)
            if not struck:
                return handler(request)
            for fault in struck:
                if fault.kind == "slow":
                    self._sleep(fault.seconds)
            for fault in struck:
                broken = _instead_of_an_answer(fault)
                if broken is not None:
                    return broken
            response = handler(request)
            if isinstance(response, DropConnection):
                return response
            for fault in struck:
                response = _damaged(fault, response)
            return response

        return answer

    def _struck(self, request: Request) -> list[Fault]:
        with self._lock:
            if not self._faults:
                return []
            call = f"{request.method} {unquote_plus(request.target)}"
            return [fault for fault in self._faults if fault.hits(call)]


def _instead_of_an_answer(fault: Fault) -> Response | DropConnection | None:
    """What the fault answers by itself; None when it lets the server answer."""
    if fault.kind == "drop_connection":
        return DropConnection()
    if fault.kind == "too_many_requests":
        wait = str(int(fault.seconds)) if fault.seconds == int(fault.seconds) else str(fault.seconds)
        body = b'{"code":"too_many_requests","message":"Too many requests."}'
        return Response(429, [("Content-Type", "application/json"), ("Retry-After", wait)], body)
    if fault.kind == "server_error":
        return Response(500, [("Content-Type", "text/html; charset=utf-8")])
    if fault.kind == "html_error":
        return Response(fault.status, [("Content-Type", "text/html")], HTML_ERROR)
    return None


def _damaged(fault: Fault, response: Response) -> Response:
    """The answer with the fault's damage: cut short, or rows missing."""
    if fault.kind == "truncated":
        return Response(response.status, response.headers, response.body, cut_at=len(response.body) // 2)
    if fault.kind == "drop_rows" and response.status == 200 and response.body[:1] in (b"[", b"{"):
        return Response(response.status, response.headers, _with_rows(fault, response.body, _kept))
    if fault.kind == "break_rows" and response.status == 200 and response.body[:1] in (b"[", b"{"):
        return Response(response.status, response.headers, _with_rows(fault, response.body, _broken))
    return response


def _with_rows(fault: Fault, body: bytes, change: Callable[[Fault, list[Any]], list[Any]]) -> bytes:
    """A page of rows, bare or under one key, with its rows changed."""
    page: Any = msgspec.json.decode(body)
    if isinstance(page, list):
        return msgspec.json.encode(change(fault, page))
    if len(page) == 1:
        ((key, rows),) = page.items()
        if isinstance(rows, list):
            return msgspec.json.encode({key: change(fault, rows)})
    return body


def _kept(fault: Fault, rows: list[Any]) -> list[Any]:
    if fault.row_ids:
        return [row for row in rows if int(row["id"]) not in fault.row_ids]
    return rows[: max(0, len(rows) - fault.rows)]


_MONEY = ("total", "total_paid", "regular_price", "price", "total_products")


def _broken(fault: Fault, rows: list[Any]) -> list[Any]:
    """The same rows, a money field of some of them spoilt. A row's number decides, so that a page read twice is broken alike."""
    modulus = max(1, round(1 / fault.share))
    broken = []
    for row in rows:
        name = next((name for name in _MONEY if isinstance(row, dict) and row.get(name)), None)
        is_hit = name is not None and "id" in row and int(row["id"]) * 7919 % modulus == fault.seed % modulus
        broken.append({**row, name: "beaucoup"} if is_hit else row)
    return broken
