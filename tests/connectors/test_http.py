"""Retries, back-off, rate limit and refusals of the HTTP client: with a clock that does not wait and a shop that misbehaves on demand."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
import requests

from resources.connectors.prestashop.client import judge as judge_prestashop
from resources.connectors.sdk.auth import BasicAuth, OAuth1
from resources.connectors.sdk.http import HttpClient, RetryPolicy, SessionFactory, TokenBucket, retry_after_s
from resources.connectors.woocommerce.client import judge as judge_woocommerce
from resources.errors import EtalonError, PermanentError, RetryableError
from tests.connectors.transport import Call, Reply, recorded_reply, session_factory

GOOD = Reply(200, b'{"ok": true}')
HTML = Reply(200, b"<html><body>Maintenance</body></html>", {"Content-Type": "text/html"})


@dataclass
class Time:
    """A clock that moves only when somebody sleeps."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        """Pass the time."""
        self.slept.append(seconds)
        self.now += seconds

    def monotonic(self) -> float:
        """The time."""
        return self.now


def client(
    replies: list[Reply],
    time: Time,
    spied: Callable[[SessionFactory], SessionFactory] = lambda factory: factory,
    **changes: Any,
) -> tuple[HttpClient, list[Call]]:
    """A client of a shop that gives these replies, the last one again and again. ``spied`` may watch its sessions."""
    calls: list[Call] = []

    def shop(call: Call) -> Reply:
        calls.append(call)
        return replies[min(len(calls), len(replies)) - 1]

    arguments: dict[str, Any] = {
        "system_code": "shop",
        "auth": BasicAuth("topsecretkey"),
        "clock": lambda: datetime(2026, 5, 18, 10, 0, tzinfo=UTC),
        "session_factory": spied(session_factory(shop)),
        "sleep": time.sleep,
        "monotonic": time.monotonic,
        "jitter": lambda: 0.0,
        **changes,
    }
    return HttpClient("https://shop.example", **arguments), calls


def get(http: HttpClient) -> Any:
    """One call, parsed."""
    return http.get("/api/orders", {"filter[id]": "[1|2]"}, parse=msgspec.json.decode, stream="orders").value


@pytest.mark.parametrize(
    "trouble",
    [
        Reply(429),
        Reply(500),
        Reply(502),
        Reply(503, b"<html>busy</html>"),
        Reply(504),
        Reply(520),
        HTML,
        Reply(200, b""),
        Reply(200, b'{"ok": tr'),
        Reply(200, b'{"ok"', declared_length=12),
        Reply(body=requests.exceptions.ConnectionError("reset by peer")),
        Reply(body=requests.exceptions.ReadTimeout("slow")),
        Reply(body=requests.exceptions.ChunkedEncodingError("cut")),
    ],
    ids=lambda reply: f"{reply.status} {reply.body!r}"[:40],
)
def test_what_may_pass_is_tried_again(trouble: Reply) -> None:
    time = Time()
    http, calls = client([trouble, trouble, GOOD], time)
    assert get(http) == {"ok": True}
    assert len(calls) == 3
    assert time.slept == [0.25, 0.5], "back-off doubles; jitter 0 is the shortest"


@pytest.mark.parametrize("status", [301, 302, 400, 401, 403, 404, 405, 410])
def test_what_cannot_pass_is_not_tried_again(status: int) -> None:
    http, calls = client([Reply(status, b"{}")], Time())
    with pytest.raises(PermanentError):
        get(http)
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("system", "name", "is_retried"),
    [
        ("prestashop", "error_bad_display_field", False),
        ("prestashop", "error_bad_filter_field", False),
        ("prestashop", "error_bad_sort", False),
        ("prestashop", "error_duplicate_email", False),
        ("prestashop", "error_malformed_xml", False),
        ("prestashop", "error_bad_credentials", False),
        ("prestashop", "error_no_credentials", False),
        ("prestashop", "error_bad_key_format", False),
        ("prestashop", "error_resource_not_permitted", False),
        ("prestashop", "error_unknown_resource", False),
        ("prestashop", "error_unknown_order", False),
        (
            "prestashop",
            "stock_availables_date_filter_refused",
            True,
        ),  # 500 with an empty body: PHP may also have failed
        ("woocommerce", "refund_error_full_by_line_off_by_a_cent", False),
        ("woocommerce", "refund_error_amount_over_remaining", False),
        ("woocommerce", "error_bad_credentials", False),
        ("woocommerce", "error_bad_secret", False),
        ("woocommerce", "error_customer_delete_without_force", False),
        ("woocommerce", "error_unknown_route", False),
        ("woocommerce", "error_per_page_101", False),
        ("woocommerce", "webhook_delivery_answered_500", True),
    ],
)
def test_recorded_refusals(system: str, name: str, is_retried: bool) -> None:
    judge = judge_prestashop if system == "prestashop" else judge_woocommerce
    http, calls = client([recorded_reply(system, name)], Time(), judge=judge)
    with pytest.raises(RetryableError if is_retried else PermanentError) as caught:
        get(http)
    assert len(calls) == (5 if is_retried else 1)
    assert "/api/orders" in str(caught.value)
    assert "&quot;" not in str(caught.value), "messages come HTML-escaped"


def test_a_wordpress_crash_is_tried_again() -> None:
    crash = Reply(500, b'{"code":"internal_server_error","message":"<p>There has been a critical error.</p>"}')
    http, calls = client([crash, GOOD], Time(), judge=judge_woocommerce)
    assert get(http) == {"ok": True}
    assert len(calls) == 2


def test_attempts_are_bounded_and_html_names_the_path() -> None:
    http, calls = client([HTML], Time(), retry=RetryPolicy(attempts=3))
    with pytest.raises(RetryableError, match=r"not JSON instead of JSON at /api/orders \(3 attempts\)") as caught:
        get(http)
    assert len(calls) == 3
    assert caught.value.where.stream == "orders"
    assert caught.value.where.request_id == calls[0].headers["X-Request-Id"]


def test_retry_after_is_honoured_and_holds_the_other_threads_back() -> None:
    time = Time()
    http, _ = client([Reply(429, b"", {"Retry-After": "7"}), GOOD], time)
    get(http)
    assert time.slept == [7.0]
    date = "Mon, 18 May 2026 10:00:20 GMT"
    assert retry_after_s({"Retry-After": date}, now=datetime(2026, 5, 18, 10, 0, tzinfo=UTC)) == 20.0
    assert retry_after_s({"Retry-After": "soon"}, now=datetime(2026, 5, 18, 10, 0, tzinfo=UTC)) is None


def test_a_very_long_retry_after_is_left_to_the_scheduler() -> None:
    time = Time()
    http, calls = client([Reply(503, b"", {"Retry-After": "86400"})], time)
    with pytest.raises(RetryableError) as caught:
        get(http)
    assert caught.value.retry_after_s == 86400.0
    assert (len(calls), time.slept) == (1, [])


def test_back_off_grows_to_its_ceiling_with_jitter() -> None:
    policy = RetryPolicy(first_wait_s=1.0, longest_wait_s=5.0)
    assert [policy.wait_s(attempt, None, 0.0) for attempt in (1, 2, 3, 4)] == [0.5, 1.0, 2.0, 2.5]
    assert [policy.wait_s(attempt, None, 0.999) for attempt in (1, 4)] == pytest.approx([1.0, 5.0], abs=0.01)
    assert policy.wait_s(1, 9.0, 0.5) == 9.0


def test_the_rate_limit_spaces_calls() -> None:
    time = Time()
    bucket = TokenBucket(2.0, burst=2, monotonic=time.monotonic, sleep=time.sleep)
    for _ in range(6):
        bucket.take()
    assert time.now - 1000.0 == pytest.approx(2.0), "two at once, then two a second"
    bucket.pause(10)
    bucket.take()
    assert time.slept[-1] == 10.0


@pytest.mark.parametrize(
    "auth", [BasicAuth("topsecretkey"), OAuth1("topsecretkey", "topsecret", timestamp_s=lambda: 1)]
)
@pytest.mark.parametrize(
    "trouble",
    [Reply(401, b"{}"), Reply(500), Reply(body=requests.exceptions.ConnectionError("https://x/?k=topsecretkey"))],
)
def test_an_error_never_holds_a_secret(auth: Any, trouble: Reply) -> None:
    http, _ = client([trouble], Time(), auth=auth, retry=RetryPolicy(attempts=1))
    with pytest.raises((PermanentError, RetryableError)) as caught:
        get(http)
    error: BaseException | None = caught.value
    while error is not None:
        assert "topsecret" not in str(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    assert "topsecret" not in repr(auth)


def test_each_thread_has_its_own_session_and_time_outs_are_always_given(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    sessions: list[requests.Session] = []

    def spied(factory: SessionFactory) -> SessionFactory:
        def make() -> requests.Session:
            session = factory()
            sessions.append(session)
            adapter = session.get_adapter("https://shop.example")
            send = adapter.send

            def spy(request: requests.PreparedRequest, **options: Any) -> requests.Response:
                seen.append((options["timeout"], options["verify"], dict(options["proxies"])))
                return send(request, **options)

            monkeypatch.setattr(adapter, "send", spy)
            return session

        return make

    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    http, _ = client([GOOD] * 3, Time(), timeout_s=30.0, spied=spied)
    get(http)
    http.send("POST", "/api/orders", b"{}", content_type="application/json", parse=msgspec.json.decode)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(get, http).result()
    assert seen == [((10.0, 30.0), True, {})] * 3
    assert [session.trust_env for session in sessions] == [False, False]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(503), RetryableError),
        (Reply(429, headers={"Retry-After": "2"}), RetryableError),
        (Reply(200, b"<html>"), RetryableError),
        (Reply(200, b'{"a": 1'), RetryableError),
        (Reply(body=requests.exceptions.ReadTimeout()), RetryableError),
        (Reply(301, headers={"Location": "https://www.shop.example/"}), PermanentError),
        (Reply(401, b"{}"), PermanentError),
    ],
)
def test_what_writes_is_sent_once(reply: Reply, error: type[EtalonError]) -> None:
    http, calls = client([reply, GOOD], Time())
    with pytest.raises(error):
        http.send("PUT", "/api/orders/1", b'{"a":1}', content_type="application/json", parse=msgspec.json.decode)
    assert [(call.method, call.body, call.headers["Content-Type"]) for call in calls] == [
        ("PUT", b'{"a":1}', "application/json")
    ]


def test_an_answer_of_another_shape_is_permanent() -> None:
    http, calls = client([Reply(200, b'{"rows": 1}')], Time())
    decode: Callable[[bytes], Any] = msgspec.json.Decoder(list[int]).decode
    with pytest.raises(PermanentError, match="unknown shape at /api/orders"):
        http.get("/api/orders", parse=decode)
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("https://www.shop.example/api/orders?consumer_key=topsecret", ": to https://www.shop.example/api/orders"),
        ("https://user:topsecret@shop.example:8443/login", ": to https://shop.example:8443/login"),
        ("/fr/api/orders?next=topsecret", ": to https://shop.example/fr/api/orders"),
        ("https://[broken", "to an address that cannot be read"),
        (None, "sent elsewhere from /api/orders ->"),
    ],
)
def test_a_redirect_says_where_it_leads_to_and_holds_no_query(location: str | None, told: str) -> None:
    http, _ = client([Reply(301, b"", {"Location": location} if location else {})], Time())
    with pytest.raises(PermanentError) as caught:
        get(http)
    assert told in str(caught.value)
    assert "topsecret" not in str(caught.value)
    assert "consumer_key" not in str(caught.value)


@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b"\n\xef\xbb\xbf\xef\xbb\xbf ", b"\r\n"])
def test_a_byte_order_mark_before_json_is_taken_off(before: bytes) -> None:
    http, calls = client([Reply(200, before + b'{"ok": true}')], Time())
    assert get(http) == {"ok": True}
    assert len(calls) == 1
    answer = http.get("/api/", parse=bytes, markup=True)
    assert answer.body.lstrip() == b'{"ok": true}'


def test_calls_say_who_they_are() -> None:
    http, calls = client([GOOD], Time())
    get(http)
    assert re.fullmatch(r"Etalon/\d+\.\d+\.\d+\S*", calls[0].headers["User-Agent"])


@pytest.mark.parametrize("judge", [judge_prestashop, judge_woocommerce])
@pytest.mark.parametrize(
    ("status", "page", "action"),
    [
        (404, b"<html>Not Found</html>", "URL rewriting"),
        (403, b"<html>Attention Required!</html>", "User-Agent `Etalon/"),
        (403, b"", "User-Agent `Etalon/"),
        (407, b"<html>Proxy</html>", "`proxy` in retailer.yaml"),
    ],
)
def test_who_answers_in_place_of_the_system_is_told_apart(judge: Any, status: int, page: bytes, action: str) -> None:
    http, calls = client([Reply(status, page)], Time(), judge=judge)
    with pytest.raises(PermanentError, match="no answer of the system itself") as caught:
        get(http)
    assert action in (caught.value.action or "")
    assert len(calls) == 1


def test_the_systems_own_refusal_keeps_its_words() -> None:
    http, _ = client([recorded_reply("woocommerce", "error_unknown_route")], Time(), judge=judge_woocommerce)
    with pytest.raises(PermanentError) as caught:
        get(http)
    assert "no answer of the system itself" not in str(caught.value)
