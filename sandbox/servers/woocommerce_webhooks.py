"""WooCommerce's webhooks: the resource, and the deliveries a shop sends for what changed in it.

Belongs here: who is told of what, how a delivery is signed, and when a webhook is switched off. What changed is told by
`woocommerce_writes`. Deliveries leave from a thread of their own, as they were when they happened: no call of the API waits for them.
A delivery that failed is never sent again.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import json
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import requests

from sandbox.servers.money import printed_one
from sandbox.servers.table import Row, Table
from sandbox.servers.woocommerce_query import ApiError, invalid_parameter, listed
from sandbox.servers.woocommerce_shapes import LOCAL, VERSION, Home, item_links

MOST_FAILURES = 5
TIMEOUT_S = 5.0
USER_AGENT = f"WooCommerce/{VERSION} Hookshot (WordPress/7.1)"
STATUSES = ("active", "paused", "disabled")
# 301 and 302 count as received
_RECEIVED = frozenset({301, 302})
TOPICS: dict[str, list[str]] = {
    "order.created": ["woocommerce_new_order"],
    "order.updated": ["woocommerce_update_order", "woocommerce_order_refunded"],
    "order.deleted": ["wp_trash_post", "woocommerce_trash_order"],
    "product.created": [
        "woocommerce_process_product_meta",
        "woocommerce_new_product",
        "woocommerce_new_product_variation",
    ],
    "product.updated": [
        "woocommerce_process_product_meta",
        "woocommerce_update_product",
        "woocommerce_update_product_variation",
    ],
    "product.deleted": ["wp_trash_post"],
    "customer.updated": ["profile_update", "woocommerce_update_customer"],
}


@dataclass(frozen=True)
class _Delivery:
    """One delivery as it leaves. ``webhook_id`` None: nobody counts whether it arrives (a ping)."""

    url: str
    headers: dict[str, str]
    body: bytes
    webhook_id: int | None = None


class Webhooks:
    """The webhooks of one shop. Callers of everything but `stop` and `settle` hold the server's lock; so does ``lock`` here."""

    def __init__(
        self, home: Home, zone: str, clock: Callable[[], datetime] = lambda: datetime.now(UTC), *, lock: Any = None
    ) -> None:
        self.table = Table.of_rows([])
        self._home = home
        self._zone = zone
        self._clock = clock
        self._lock = lock or threading.RLock()
        self._secrets: dict[int, str] = {}
        self._failures: dict[int, int] = {}
        self._queue: queue.Queue[_Delivery | None] = queue.Queue()
        self._thread: threading.Thread | None = None

    # the resource ----------------------------------------------------------------------------------------------------

    def create(self, body: Row) -> Row:
        """POST a webhook: a ping goes to its address."""
        topic = str(body.get("topic") or "")
        url = str(body.get("delivery_url") or "")
        if topic not in TOPICS:
            raise ApiError(
                400, "woocommerce_rest_webhook_invalid_topic", "Webhook topic is required and must be valid."
            )
        if not url.startswith(("http://", "https://")):
            message = "Webhook delivery URL must be a valid URL starting with http:// or https://."
            raise ApiError(400, "woocommerce_rest_webhook_invalid_delivery_url", message)
        number = self.table.next_id()
        local, gmt = self._now()
        resource, _, event = topic.partition(".")
        row: Row = {
            "id": number,
            "name": str(body.get("name") or f"Webhook created on {local}"),
            "status": _status(body.get("status", "active")),
            "topic": topic,
            "resource": resource,
            "event": event,
            "hooks": TOPICS[topic],
            "delivery_url": url,
            "date_created": local,
            "date_created_gmt": gmt,
            "date_modified": None,
            "date_modified_gmt": None,
            "_links": item_links(self._home(), f"webhooks/{number}"),
        }
        self._secrets[number] = str(body.get("secret") or "")
        self.table.put(number, row)
        headers = {"User-Agent": USER_AGENT, "Content-Type": "application/x-www-form-urlencoded"}
        self._enqueue(_Delivery(url, headers, f"webhook_id={number}".encode()))
        return row

    def update(self, number: int, body: Row) -> Row:
        """PUT a webhook. One that is made active again keeps its failures: one more switches it off."""
        row = copy.deepcopy(self.table.row(number))
        for name in ("name", "delivery_url"):
            if name in body:
                row[name] = str(body[name])
        if "status" in body:
            row["status"] = _status(body["status"])
        if "secret" in body:
            self._secrets[number] = str(body["secret"])
        row["date_modified"], row["date_modified_gmt"] = self._now()
        self.table.put(number, row)
        return row

    def delete(self, number: int, *, is_forced: bool) -> Row:
        """DELETE a webhook: there is no trash for them."""
        if not is_forced:
            raise ApiError(501, "woocommerce_rest_trash_not_supported", "Webhooks do not support trashing.")
        row = self.table.row(number)
        self.table.delete(number)
        return row

    def _now(self) -> tuple[str, str]:
        now = self._clock()
        return printed_one(now, self._zone, LOCAL), printed_one(now, "UTC", LOCAL)

    # deliveries ------------------------------------------------------------------------------------------------------

    def is_heard(self, topic: str) -> bool:
        """Whether anybody is told of a topic."""
        return any(self._is_for(number, topic) for number in self.table.ids())

    def _is_for(self, number: int, topic: str) -> bool:
        row = self.table.row(number)
        return bool(row["topic"] == topic and row["status"] == "active")

    def tell(self, topic: str, payload: Row) -> None:
        """Send a row, as it is now, to everybody who wants to know of the topic."""
        body = _php_json(payload)
        for number in self.table.ids():
            if not self._is_for(number, topic):
                continue
            row = self.table.row(number)
            seed = f"{number}{int(self._clock().timestamp())}"  # all of one webhook and one second share an id
            headers = {
                "User-Agent": USER_AGENT,
                "Content-Type": "application/json",
                "X-WC-Webhook-Source": f"{self._home()}/",
                "X-WC-Webhook-Topic": topic,
                "X-WC-Webhook-Resource": row["resource"],
                "X-WC-Webhook-Event": row["event"],
                "X-WC-Webhook-Signature": signature(self._secrets.get(number, ""), body),
                "X-WC-Webhook-ID": str(number),
                "X-WC-Webhook-Delivery-ID": hashlib.md5(seed.encode(), usedforsecurity=False).hexdigest(),
            }
            self._enqueue(_Delivery(row["delivery_url"], headers, body, number))

    def _enqueue(self, delivery: _Delivery) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._deliver_all, daemon=True, name="sandbox-webhooks")
            self._thread.start()
        self._queue.put(delivery)

    def _deliver_all(self) -> None:
        with requests.Session() as session:
            session.trust_env = False
            while (delivery := self._queue.get()) is not None:
                is_received = _is_received(session, delivery)
                with self._lock:
                    self._count(delivery, is_received=is_received)
                self._queue.task_done()
            self._queue.task_done()

    def _count(self, delivery: _Delivery, *, is_received: bool) -> None:
        """Remember a failure; the one after too many in a row switches the webhook off (WC_Webhook::failed_delivery)."""
        number = delivery.webhook_id
        if number is None or number not in self.table:
            return
        row = copy.deepcopy(self.table.row(number))
        failures = self._failures.get(number, 0)
        if is_received:
            self._failures[number] = 0
        elif failures > MOST_FAILURES:
            row["status"] = "disabled"
        else:
            self._failures[number] = failures + 1
        row["date_modified"], row["date_modified_gmt"] = self._now()
        self.table.put(number, row)

    def settle(self) -> None:
        """Wait until every delivery so far has left: for tests. Not to be called with the server's lock held."""
        if self._thread is not None:
            self._queue.join()

    def stop(self) -> None:
        """Send nothing more once the deliveries so far are out."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(timeout=TIMEOUT_S)
            self._thread = None


def signature(secret: str, body: bytes) -> str:
    """Base64 of HMAC-SHA256 over the raw body."""
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def _php_json(payload: Row) -> bytes:
    r"""JSON as PHP prints it: ASCII only, slashes escaped (``\/``)."""
    return json.dumps(payload, ensure_ascii=True, separators=(",", ":")).replace("/", "\\/").encode()


def _is_received(session: requests.Session, delivery: _Delivery) -> bool:
    try:
        response = session.post(
            delivery.url, data=delivery.body, headers=delivery.headers, timeout=TIMEOUT_S, allow_redirects=False
        )
    except requests.RequestException:
        return False
    return response.ok or response.status_code in _RECEIVED


def _status(value: Any) -> str:
    if value not in STATUSES:
        raise invalid_parameter("status", "rest_not_in_enum", f"status is not one of {listed(STATUSES)}.")
    return str(value)
