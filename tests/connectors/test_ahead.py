"""Calls that are under way at once on kept connections: in order, bounded, made again when they fail. A real server on loopback."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from resources.connectors.sdk.auth import BasicAuth
from resources.connectors.sdk.http import HttpClient, RetryPolicy
from resources.errors import EtalonError, PermanentError, RetryableError
from sandbox.servers.http import DropConnection, LoopbackServer, Request, Response

Answers = Callable[[Request, int], Response | DropConnection]
QUICK = RetryPolicy(attempts=3, first_wait_s=0.001, longest_wait_s=0.002)


def good(request: Request) -> Response:
    """The number that was asked for."""
    return Response(200, [("Content-Type", "application/json")], json.dumps([int(request.parameter("n"))]).encode())


@contextmanager
def reading(answer: Answers, **changes: Any) -> Iterator[tuple[HttpClient, list[Request]]]:
    """A client of a server that answers so; ``answer`` is told how often the same call came before. And what was asked."""
    asked: list[Request] = []
    lock = threading.Lock()

    def handle(request: Request) -> Response | DropConnection:
        with lock:
            before = sum(request.target == other.target for other in asked)
            asked.append(request)
        return answer(request, before)

    server = LoopbackServer(handle)
    arguments: dict[str, Any] = {"system_code": "shop", "auth": BasicAuth("topsecret"), "retry": QUICK}
    try:
        yield HttpClient(server.start(), clock=lambda: datetime.now(UTC), **{**arguments, **changes}), asked
    finally:
        server.stop()


def numbers(http: HttpClient, qty: int, *, connections: int = 4) -> Iterator[int]:
    """Ask for 0, 1, … and give what came."""
    calls = (("/rows", {"n": str(number)}) for number in range(qty))
    return (json.loads(answer.body)[0] for answer in http.get_each(calls, connections=connections))


def test_answers_come_in_the_order_asked_on_as_many_connections() -> None:
    threads: set[int] = set()

    def answer(request: Request, before: int) -> Response:
        threads.add(threading.get_ident())  # the server has one for each connection
        time.sleep(0.002 * (int(request.parameter("n")) % 3))
        return good(request)

    with reading(answer) as (http, asked):
        assert list(numbers(http, 40)) == list(range(40))
    assert len(asked) == 40
    assert len(threads) == 4


def test_no_more_is_asked_than_is_taken_soon() -> None:
    with reading(lambda request, before: good(request)) as (http, asked):
        results = numbers(http, 1_000, connections=3)
        for _ in range(5):
            next(results)
        time.sleep(0.02)
        assert len(asked) <= 2 * 3 + 5
        results.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "trouble",
    [
        Response(503),
        Response(429, [("Retry-After", "0")]),
        Response(200, [], b"<html>maintenance</html>"),
        Response(200, [], b"[1, 2, 3]", cut_at=4),
        DropConnection(),
    ],
    ids=["503", "429", "html", "cut", "dropped"],
)
def test_what_may_pass_is_asked_again_and_nothing_is_lost(trouble: Response | DropConnection) -> None:
    def answer(request: Request, before: int) -> Response | DropConnection:
        return trouble if int(request.parameter("n")) % 4 == 1 and before == 0 else good(request)

    with reading(answer) as (http, asked):
        assert list(numbers(http, 20)) == list(range(20))
    assert len(asked) == 25


def test_a_server_that_closes_every_connection_is_read_all_the_same() -> None:
    def answer(request: Request, before: int) -> Response:
        return Response(200, [("Connection", "close")], good(request).body)

    with reading(answer) as (http, _):
        assert list(numbers(http, 12)) == list(range(12))


@pytest.mark.parametrize(
    ("trouble", "error", "times"),
    [
        (Response(404, [], b"{}"), PermanentError, 1),
        (Response(500), RetryableError, 3),
        (Response(302), PermanentError, 1),
    ],
)
def test_what_fails_for_good_is_told_in_its_turn_and_stops_all(
    trouble: Response, error: type[EtalonError], times: int
) -> None:
    with reading(lambda request, before: trouble if request.parameter("n") == "7" else good(request)) as (http, asked):
        taken: list[int] = []
        with pytest.raises(error, match="/rows") as caught:
            taken.extend(numbers(http, 1_000))
    assert "topsecret" not in str(caught.value)
    assert sum(request.parameter("n") == "7" for request in asked) == times
    assert taken == list(range(7))
    assert len(asked) < 40
    assert threading.active_count() < 20


def test_a_shop_that_asks_for_peace_is_left_in_peace_by_all() -> None:
    at: list[float] = []

    def answer(request: Request, before: int) -> Response:
        at.append(time.monotonic())
        return Response(429, [("Retry-After", "1")]) if len(at) == 6 else good(request)

    with reading(answer) as (http, _):
        assert list(numbers(http, 24)) == list(range(24))
    after = [instant for instant in at if instant > at[5] + 0.1]
    assert len(after) >= 10
    assert after[0] - at[5] > 0.9


def test_the_rate_limit_holds() -> None:
    with reading(lambda request, before: good(request), requests_per_second=100.0) as (http, _):
        started = time.monotonic()
        assert list(numbers(http, 30)) == list(range(30))
        assert time.monotonic() - started >= 0.19, "ten at once, then a hundred a second"


def test_an_answer_that_does_not_come_is_asked_for_again() -> None:
    def answer(request: Request, before: int) -> Response:
        if request.parameter("n") == "3" and before == 0:
            time.sleep(0.5)
        return good(request)

    with reading(answer, timeout_s=0.2) as (http, asked):
        assert list(numbers(http, 12)) == list(range(12))
    assert len(asked) == 13


def test_cookies_of_a_shop_come_back_to_it() -> None:
    def answer(request: Request, before: int) -> Response:
        return Response(200, [("Set-Cookie", "node=a7; Path=/")], good(request).body)

    with reading(answer) as (http, asked):
        list(numbers(http, 30))
    assert asked[-1].headers["cookie"] == "node=a7"
