"""Sending changes through WooCommerce's batch routes, and what came of each item. What the changes mean is known elsewhere.

A batch answers 200 whatever happens inside: an item that was refused carries its own error, and the others are done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeVar

import msgspec

from resources.connectors.sdk.decode import plain
from resources.connectors.woocommerce.client import LARGEST_PAGE, WooClient
from resources.errors import EtalonError, PermanentError, RetryableError

R = TypeVar("R")

LARGEST_BATCH = LARGEST_PAGE  # 413 above
_KEY_REFUSED = ("HTTP 401 ", "HTTP 403 ")
_TOO_MANY = "HTTP 413 "
_LONGEST_REASON = 300

Body = dict[str, Any]


class _ItemError(msgspec.Struct):
    """The error of one item."""

    code: str = ""
    message: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")


class _ItemReply(msgspec.Struct):
    """The part of an item's reply that is looked at. The row itself is read again through its list."""

    id: int = 0
    error: _ItemError | None = None
    stock_quantity: int | None = None


class _Reply(msgspec.Struct):
    """A batch's reply."""

    update: list[_ItemReply] = []


class _Status(msgspec.Struct):
    """The status inside an item's error; absent or of another type in some of them."""

    status: int | None = None


_REPLY = msgspec.json.Decoder(_Reply)
_STATUS = msgspec.json.Decoder(_Status)


@dataclass(frozen=True)
class Sent:
    """What is known of one item after its batch.

    `accepted`: the shop says it is done. `refused`: it never will. `later`: it was not done and may be another time. `unclear`: no
    whole answer came, so it may or may not be done.
    """

    state: Literal["accepted", "refused", "later", "unclear"]
    request_id: str | None = None
    reason: str = ""
    retry_after_s: float | None = None
    stock_quantity: int | None = None
    error: EtalonError | None = None

    @property
    def is_nothing_done(self) -> bool:
        """Whether the whole batch was turned away at the door: the key is refused, or the shop asks to come back later."""
        return self.error is not None and self.state == "later"

    @property
    def is_maybe_done(self) -> bool:
        """Whether the shop did it, or may have."""
        return self.state in ("accepted", "unclear")


@dataclass(frozen=True)
class Batch:
    """At most `LARGEST_BATCH` changes for one route, by the id of the row they change."""

    path: str
    bodies: Mapping[int, Body]


def batches_of(path: str, bodies: Mapping[int, Body], *, size: int = LARGEST_BATCH) -> list[Batch]:
    """Changes for one route in as few batches of ``size`` as it takes."""
    ids = list(bodies)
    return [
        Batch(path, {number: bodies[number] for number in ids[start : start + size]})
        for start in range(0, len(ids), size)
    ]


def send(client: WooClient, batch: Batch, *, stream: str) -> dict[int, Sent]:
    """Send one batch once, in halves where it is too large; row id -> what came of it.

    Raises nothing for what the shop or the network does.
    """
    update = [{"id": number, **body} for number, body in batch.bodies.items()]
    try:
        answer = client.post(batch.path, {"update": update}, _REPLY.decode, stream=stream)
    except RetryableError as error:
        # a server that asks to come back later has not begun
        state: Literal["later", "unclear"] = "unclear" if error.retry_after_s is None else "later"
        failed = Sent(state, error.where.request_id, error.what, error.retry_after_s, error=error)
        return dict.fromkeys(batch.bodies, failed)
    except PermanentError as error:
        if error.what.startswith(_TOO_MANY) and len(batch.bodies) > 1:
            # a plugin may lower the limit (woocommerce_rest_batch_items_limit); nothing of the batch was looked at
            halves = batches_of(batch.path, batch.bodies, size=-(-len(batch.bodies) // 2))
            return {number: one for half in halves for number, one in send(client, half, stream=stream).items()}
        # an answer of an unknown shape came with 200: the shop did something
        state_of: Literal["refused", "later", "unclear"] = "refused" if error.what.startswith("HTTP ") else "unclear"
        if error.what.startswith(_KEY_REFUSED):
            state_of = "later"  # it is the key that is refused, or a firewall's mood, and not the change: that waits for a person
        reason = f"{error.what} -> {error.action}" if error.action else error.what
        return dict.fromkeys(batch.bodies, Sent(state_of, error.where.request_id, reason, error=error))
    request_id = answer.headers.get("X-Request-Id") or answer.request_id
    return _by_item(batch, answer.value.update, request_id)


def send_all(
    client: WooClient, batches: Sequence[Batch], before: Iterable[Sent], *, stream: str, pool: Executor | None
) -> dict[int, Sent]:
    """Send batches, some at once; row id -> what came of it.

    A key that is refused once is not tried on, and a shop that fails once is left alone for now: what was not sent yet is left for
    later, with the same reason. Raises the error of the first batch when nothing at all was changed by it or ``before`` it.
    """
    if not batches:
        return {}
    # the first alone: it shows whether the key may write at all, and whether the shop is there
    sent = send(client, batches[0], stream=stream)
    trouble = next((one for one in sent.values() if one.error is not None), None)
    if trouble is not None and trouble.is_nothing_done and not any(one.is_maybe_done for one in before):
        assert trouble.error is not None  # noqa: S101
        raise trouble.error
    stopped = [trouble] if trouble is not None else []

    def next_batch(batch: Batch) -> dict[int, Sent]:
        if stopped:
            return dict.fromkeys(batch.bodies, _not_sent(stopped[0]))
        answer = send(client, batch, stream=stream)
        stopped.extend(one for one in answer.values() if one.error is not None)
        return answer

    for answer in run(pool, [partial(next_batch, batch) for batch in batches[1:]]):
        sent |= answer
    return sent


def _not_sent(trouble: Sent) -> Sent:
    return Sent("later", trouble.request_id, f"not sent, for another failed: {trouble.reason}", trouble.retry_after_s)


def run(pool: Executor | None, jobs: Sequence[Callable[[], R]]) -> list[R]:
    """Do jobs at once where there is a pool and more than one; results in their order. A single one keeps the caller's connection."""
    if pool is None or len(jobs) < 2:
        return [job() for job in jobs]
    waiting = [pool.submit(job) for job in jobs]
    return [future.result() for future in waiting]


def _by_item(batch: Batch, replies: Sequence[_ItemReply], request_id: str) -> dict[int, Sent]:
    known = {reply.id: reply for reply in replies}
    sent = {}
    for number in batch.bodies:
        reply = known.get(number)
        if reply is None:
            sent[number] = Sent("unclear", request_id, "the shop's answer does not speak of this item")
        elif reply.error is None:
            sent[number] = Sent("accepted", request_id, stock_quantity=reply.stock_quantity)
        else:
            sent[number] = _failed(reply.error, request_id)
    return sent


def _failed(error: _ItemError, request_id: str) -> Sent:
    try:
        status = _STATUS.decode(error.data).status
    except msgspec.DecodeError:
        status = None
    reason = f"{error.code}: {plain(error.message)}"[:_LONGEST_REASON]
    is_business = error.code.startswith(("woocommerce_rest_", "rest_", "product_"))
    is_later = status in (408, 425, 429) or ((status or 0) >= 500 and not is_business)
    return Sent("later" if is_later else "refused", request_id, reason)
