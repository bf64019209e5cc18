"""Makes the webhooks of a WooCommerce that tell us what changed. Receiving them is not the connector's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

from resources.connectors.woocommerce.client import WooClient
from resources.errors import RetryableError, Where

TOPICS = ("order.created", "order.updated", "product.updated")


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


def register(client: WooClient, *, url: str, secret: str, system_code: str) -> tuple[MadeWebhook, ...]:
    """Have the shop tell ``url`` of orders and items, signed with ``secret``. Done again, it changes nothing.

    A shop switches a webhook off after five deliveries that failed in a row: it is switched on again, with the present secret.
    """
    listed = client.get(
        "/webhooks", {"per_page": "100", "status": "all"}, msgspec.json.Decoder(list[_Row]).decode
    ).value
    there = {row.topic: row for row in listed if row.delivery_url == url}
    one = msgspec.json.Decoder(_Row)
    made: list[MadeWebhook] = []
    for topic in TOPICS:
        row = there.get(topic)
        if row is not None and row.status == "active":
            made.append(MadeWebhook(topic, row.id, "there"))
            continue
        body = {"name": f"Étalon {topic}", "topic": topic, "delivery_url": url, "secret": secret, "status": "active"}
        path = "/webhooks" if row is None else f"/webhooks/{row.id}"
        answer = client.post(path, body, one.decode).value
        if answer.status != "active":
            raise RetryableError(
                f"the shop made the webhook {topic} and keeps it {answer.status}",
                where=Where(system_code=system_code, field=topic),
                action="is the address reachable from the shop? WooCommerce > Settings > Advanced > Webhooks shows its log",
            )
        made.append(MadeWebhook(topic, answer.id, "made" if row is None else "switched on"))
    return tuple(made)
