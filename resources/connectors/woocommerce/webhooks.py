"""Makes the webhooks of a WooCommerce that tell us what changed. Receiving them is not the connector's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from ipaddress import ip_address
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from resources.connectors.woocommerce.client import WooClient
from resources.errors import ConfigurationError, RetryableError, Where

TOPICS = ("order.created", "order.updated", "product.updated")
CALLED_PORTS = (80, 443, 8080)
"""The ports that WordPress calls of its own accord (wp_http_validate_url)."""


class _Row(msgspec.Struct):
    """As much of a webhook as is looked at; its secret is never shown."""

    id: int
    topic: str
    delivery_url: str
    status: str = "active"


@dataclass(frozen=True)
class MadeWebhook:
    """One webhook of the shop: whether it was made now, was there, or was there and switched off until now."""

    topic: str
    webhook_id: int
    outcome: Literal["made", "there", "switched on"]


def doubts(url: str, system_code: str) -> Iterator[str]:
    """Why a shop may never reach an address, as far as the address tells; the shop itself says nothing of it.

    WooCommerce delivers with WordPress's safe requests (wp_safe_remote_request), follows no redirect, and takes one for a success.
    """
    parts = urlsplit(url)
    if not parts.path.endswith(f"/webhooks/{system_code}"):
        yield f"it does not end with /webhooks/{system_code}: the receiver answers nowhere else"
    if parts.scheme != "https":
        yield "it is not https: orders come with names and addresses; and a redirect to https is a success to the shop"
    if parts.username is not None:
        yield "WordPress calls no address with a user in it"
    if (parts.port or 443) not in CALLED_PORTS:
        ports = ", ".join(map(str, CALLED_PORTS))
        yield f"WordPress calls the ports {ports} only, unless the shop filters `http_allowed_safe_ports`"
    if _is_private(parts.hostname or ""):
        yield "WordPress calls no private address but its own, unless the shop filters `http_request_host_is_external`"


def _is_private(host: str) -> bool:
    try:
        return not ip_address(host).is_global
    except ValueError:
        return host == "localhost" or "." not in host


def register(client: WooClient, *, url: str, secret: str, system_code: str) -> tuple[MadeWebhook, ...]:
    """Have the shop tell ``url`` of orders and items, signed with ``secret``. Done again, it changes nothing.

    A shop switches a webhook off after seven deliveries that failed in a row: it is switched on again. One that is there gets the
    secret once more, for no shop shows which one it has.
    """
    if unescape(secret) != secret:
        # WC_Webhook::generate_signature signs with wp_specialchars_decode( secret )
        raise ConfigurationError(
            "WooCommerce would sign with another secret: it takes what looks like an HTML entity in it for the character",
            where=Where(system_code=system_code, file="retailer.yaml", field="webhook_secret"),
            action="choose a secret without `&`",
        )
    listed = client.get(
        "/webhooks", {"per_page": "100", "status": "all"}, msgspec.json.Decoder(list[_Row]).decode
    ).value
    there = {row.topic: row for row in listed if row.delivery_url == url}
    one = msgspec.json.Decoder(_Row)
    made: list[MadeWebhook] = []
    for topic in TOPICS:
        row = there.get(topic)
        body = {"name": f"Étalon {topic}", "topic": topic, "delivery_url": url, "secret": secret, "status": "active"}
        answer = client.post("/webhooks" if row is None else f"/webhooks/{row.id}", body, one.decode).value
        if answer.status != "active":
            raise RetryableError(
                f"the shop made the webhook {topic} and keeps it {answer.status}",
                where=Where(system_code=system_code, field=topic),
                action="is the address reachable from the shop? WooCommerce > Settings > Advanced > Webhooks shows its log",
            )
        made.append(
            MadeWebhook(
                topic, answer.id, "made" if row is None else "there" if row.status == "active" else "switched on"
            )
        )
    return tuple(made)
