"""Sending recorded requests to a sandbox shop, in the order they were recorded, and keeping what came back."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import requests

from sandbox.servers.replay import Exchange, read_exchange

RECORDINGS = Path(__file__).parents[2] / "recordings"
# added after the recording run, on the state it left
LATE = ("stock_write_zero", "sale_window_with_time_of_day", "orders_batch_unknown_status_on_processing")
# headers that tell of one machine or one moment
UNCOMPARED = frozenset({"date", "connection", "content-length", "content-sha1"})


@dataclass(frozen=True)
class Answer:
    """What a sandbox shop answered to a recorded request."""

    status: int
    headers: dict[str, str]
    document: Any
    body: bytes


def exchanges(system: str) -> list[Exchange]:
    """Every recording of a system in the order of the run; webhooks, which the shop sent, left out."""
    paths = sorted((RECORDINGS / system).glob("*.json"))
    asked = [read_exchange(path) for path in paths if not path.stem.startswith("webhook_delivery")]
    return sorted(
        asked, key=lambda exchange: (exchange.name.startswith(LATE), exchange.at, _step(exchange), exchange.name)
    )


# what was done in this order inside one second
SEQUENCES = (
    """products_date_upd_before_change products_date_upd_after_stock_change product_price_write product_price_readback
    products_date_upd_after_price_change combination_price_write combination_price_readback
    products_date_upd_after_combination_change products_date_upd_after_specific_price""",
    "orders_date_upd_before_change order_state_write order_state_readback orders_date_upd_after_change",
    "order_slip_create_later orders_date_upd_after_slip order_slip_date_upd_filter",
    """specific_price_set specific_price_set_readback specific_price_set_computed specific_price_duplicate
    specific_price_clear specific_price_clear_readback specific_price_clear_computed order_cancel_write
    order_cancel_stock_readback""",
    "oauth1_ok oauth1_nonce_reused oauth1_bad_signature oauth1_old_timestamp",
)
_STEPS = {name: number for sequence in SEQUENCES for number, name in enumerate(sequence.split())}


def _step(exchange: Exchange) -> tuple[int, int]:
    """Place inside one second: by the known sequences, else writes before reads."""
    if exchange.name in _STEPS:
        return 1, _STEPS[exchange.name]
    return (0, 0) if exchange.method != "GET" else (2, 0)


def basic(pair: str) -> str:
    """An Authorization header."""
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def send(
    session: requests.Session,
    url: str,
    exchange: Exchange,
    *,
    headers: dict[str, str],
    path: str | None = None,
    query: dict[str, str] | None = None,
    sent: bytes | None = None,
) -> Answer:
    """Send a recorded request; path, query and body may be put into the sandbox's own ids."""
    asked = exchange.query if query is None else query
    target = f"{url}{path or exchange.path}" + (f"?{urlencode(asked)}" if asked else "")
    data = exchange.sent if sent is None else sent
    response = session.request(exchange.method, target, headers=headers, data=data or None, timeout=10)
    document = None
    if response.content and "json" in response.headers.get("Content-Type", ""):
        document = msgspec.json.decode(response.content)
    held = {name.lower(): value for name, value in response.headers.items() if name.lower() not in UNCOMPARED}
    return Answer(response.status_code, held, document, response.content)


def recorded_headers(exchange: Exchange) -> dict[str, str]:
    """Headers of a recorded answer that can be compared."""
    return {name: value for name, value in exchange.headers.items() if name not in UNCOMPARED}
