"""The receiver of shops' webhooks: a small HTTP service that keeps hints and answers. It reads no shop and opens no warehouse.

A delivery is believed in one thing only: that something happened to the row it names. What happened is read from the shop. So a
delivery that is lost, doubled, late or out of order does no harm. Belongs here: the HTTP side, and what is refused.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from resources.operations import ExchangeEntry, Operations

LARGEST_BYTES = 1 << 20
"""A delivery is a row of the shop: an order of a thousand lines stays well under it."""

STREAMS: Mapping[str, str] = {"order": "orders", "product": "products", "customer": "customers"}
"""What a delivery calls its resource -> the stream that reads it."""

ITEMS_WAIT_S = 5.0
"""Items are read a moment later: each sale, and each of our own writes, tells of them too, and one reading answers all."""

REFUSALS_PER_MINUTE = 60
"""Refusals noted one by one: a flood of them must not fill the journal. The others are counted in the next note."""

BODY_WITHIN_S = 15.0
"""A shop sends a row in well under a second; who lets it trickle only keeps a connection."""

LARGEST_NUMBER = 2**63 - 1
"""Of a row: shops keep it in 64 bits."""

RUN_ID = "hooks"
_PING = re.compile(rb"webhook_id=\d{1,20}")


@dataclass(frozen=True)
class Refused(Exception):
    """A delivery that is not taken. ``reason`` goes to the journal, never to the caller."""

    status: int
    reason: str


@dataclass(frozen=True)
class Accepted:
    """What a delivery said: a row of a stream, or nothing to be read (``stream`` None).

    ``delivery_id``: as the shop calls it, for people. ``once``: what this delivery alone has, to take it once.
    """

    topic: str
    stream: str | None
    external_id: str
    delivery_id: str | None
    once: str | None = None


def signature_of(secret: str, body: bytes) -> str:
    """What a shop signs a delivery with: base64 of HMAC-SHA256 over the body as it was sent."""
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def is_ping(headers: Mapping[str, str], body: bytes) -> bool:
    """Whether it is the unsigned call by which a shop tries an address when a webhook is made. It says nothing."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return (
        kind == "application/x-www-form-urlencoded"
        and "x-wc-webhook-signature" not in headers
        and _PING.fullmatch(body) is not None
    )


def judge(headers: Mapping[str, str], body: bytes, *, secret: str) -> Accepted:
    """What a delivery says, once its signature holds. ``headers`` have names in small letters. Raises Refused."""
    given = headers.get("x-wc-webhook-signature")
    if given is None:
        raise Refused(401, "it is not signed")
    if not hmac.compare_digest(given.encode(), signature_of(secret, body).encode()):
        raise Refused(401, "its signature is wrong: the secret differs, or the body was changed on the way")
    topic = headers.get("x-wc-webhook-topic", "")[:64]
    stream = STREAMS.get(headers.get("x-wc-webhook-resource", ""))
    delivery_id = headers.get("x-wc-webhook-delivery-id", "")[:128] or None
    external_id = _named(body) if stream is not None else ""
    if not external_id:
        return Accepted(topic, None, "", delivery_id)
    return Accepted(topic, stream, external_id, delivery_id, once=_once(delivery_id, body))


def _once(delivery_id: str | None, body: bytes) -> str | None:
    """What no other delivery has. WooCommerce makes the id of the webhook and the second (`get_new_delivery_id`).

    So two orders that it tells of in one second come with one id: what they say tells them apart.
    """
    return f"{delivery_id[:64]} {hashlib.sha256(body).hexdigest()[:32]}" if delivery_id else None


def _named(body: bytes) -> str:
    """The row a delivery names; of a variation with its product, as our items are called. Empty when the shop could not show it.

    A row that is gone when its turn comes is told as an error (`code`, `message`): refusing it would count as a failed delivery.
    """
    try:
        content: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused(400, "it is signed, and its body is not JSON") from error
    if isinstance(content, dict) and "id" not in content and isinstance(content.get("code"), str):
        return ""
    number = content.get("id") if isinstance(content, dict) else None
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number <= LARGEST_NUMBER:
        raise Refused(400, "it is signed, and names no row")
    parent = content.get("parent_id")
    if content.get("type") == "variation" and isinstance(parent, int) and 0 < parent <= LARGEST_NUMBER:
        return f"{parent}-{number}"
    return str(number)


class Receiver:
    """Takes deliveries of the shops that have a secret. ``secrets``: system code -> what it signs with.

    ``on_hint`` is called when a hint was kept that may be read at once.
    """

    def __init__(
        self,
        operations: Operations,
        secrets: Mapping[str, str],
        *,
        clock: Callable[[], datetime],
        on_hint: Callable[[], None] = lambda: None,
    ) -> None:
        self._operations = operations
        self._secrets = dict(secrets)
        self._clock = clock
        self._on_hint = on_hint
        self._lock = threading.Lock()
        self._minute = clock()
        self._noted = self._unnoted = 0

    def knows(self, system_code: str) -> bool:
        """Whether deliveries of this system are taken."""
        return system_code in self._secrets

    def take(self, system_code: str, headers: Mapping[str, str], body: bytes) -> None:
        """Keep what a delivery hints at; it is kept for good when this returns. Raises Refused, which is in the journal then."""
        try:
            accepted = judge(headers, body, secret=self._secrets[system_code])
        except Refused as refused:
            self.note_refusal(system_code, refused, size=len(body), delivery_id=headers.get("x-wc-webhook-delivery-id"))
            raise
        now, is_new = self._clock(), False
        if accepted.stream is not None:
            is_new = self._operations.hints.add(
                system_code,
                accepted.stream,
                accepted.external_id,
                origin="webhook",
                topic=accepted.topic,
                delivery_id=accepted.once,
                now=now,
                wait_s=ITEMS_WAIT_S if accepted.stream == "products" else 0.0,
            )
        if is_new:
            self._on_hint()
        outcome = "ignored" if accepted.stream is None else "accepted" if is_new else "doubled"
        detail = f"{accepted.topic} {accepted.external_id}".strip() or "a delivery without a topic"
        self._journal(system_code, accepted.stream, detail, outcome, len(body), accepted.delivery_id, is_ok=True)

    def note_refusal(self, system_code: str, refused: Refused, *, size: int | None, delivery_id: str | None) -> None:
        """Note a refusal, or count it when there are too many."""
        with self._lock:
            now = self._clock()
            if now - self._minute >= timedelta(minutes=1):
                self._minute, self._noted = now, 0
            self._noted += 1
            if self._noted > REFUSALS_PER_MINUTE:
                self._unnoted += 1
                return
            unnoted, self._unnoted = self._unnoted, 0
        detail = refused.reason + (f" (and {unnoted} more before it, not noted one by one)" if unnoted else "")
        # Nothing of an unsigned call is kept but its size: anybody can make one.
        self._journal(system_code, None, detail, "refused", size, (delivery_id or "")[:128] or None, is_ok=False)

    def is_well(self) -> bool:
        """Whether the store that keeps hints answers."""
        try:
            self._operations.hints.due(now=self._clock(), limit=1)
        except SQLAlchemyError:
            return False
        return True

    def _journal(
        self,
        system_code: str,
        stream: str | None,
        detail: str,
        outcome: str,
        size: int | None,
        delivery_id: str | None,
        *,
        is_ok: bool,
    ) -> None:
        self._operations.add_exchange(
            ExchangeEntry(
                at=self._clock(),
                run_id=RUN_ID,
                system_code=system_code,
                stream=stream,
                kind="webhook",
                is_ok=is_ok,
                detail=detail,
                direction="in",
                outcome=outcome,
                rows_qty=1 if is_ok else 0,
                bytes=size,
                request_id=delivery_id,
            )
        )


def webhook_app(receiver: Receiver) -> Starlette:
    """The service: `POST /webhooks/<system>` and `GET /health`. It answers once what it took is kept."""

    async def deliver(request: Request) -> Response:
        system_code = request.path_params["system_code"]
        if not receiver.knows(system_code):
            return PlainTextResponse("unknown", 404)
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            async with asyncio.timeout(BODY_WITHIN_S):
                body = await _body(request)
        except TimeoutError:
            return PlainTextResponse("too slow", 408, headers={"Connection": "close"})
        except ClientDisconnect:
            return PlainTextResponse("gone", 400)
        try:
            if body is None:
                refused = Refused(413, f"it is larger than {LARGEST_BYTES} bytes")
                await run_in_threadpool(receiver.note_refusal, system_code, refused, size=None, delivery_id=None)
                return PlainTextResponse("too large", 413)
            if is_ping(headers, body):
                return PlainTextResponse("ok")
            await run_in_threadpool(receiver.take, system_code, headers, body)
        except Refused as refused:
            return PlainTextResponse("refused", refused.status)
        except SQLAlchemyError:
            return PlainTextResponse(
                "try again", 503
            )  # nothing is kept: the shop's own log shows the delivery as failed
        return PlainTextResponse("ok")

    async def health(_request: Request) -> Response:
        is_well = await run_in_threadpool(receiver.is_well)
        return JSONResponse({"status": "ok" if is_well else "store does not answer"}, 200 if is_well else 503)

    return Starlette(
        routes=[
            Route("/webhooks/{system_code:str}", deliver, methods=["POST"]),
            Route("/health", health, methods=["GET"]),
        ]
    )


async def _body(request: Request) -> bytes | None:
    """The body as it was sent; None when it is too large: then no more of it is read."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > LARGEST_BYTES:
        return None
    taken = bytearray()
    async for piece in request.stream():
        taken += piece
        if len(taken) > LARGEST_BYTES:
            return None
    return bytes(taken)
