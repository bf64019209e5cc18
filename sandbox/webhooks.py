"""Points the Belgian shop's webhooks at a receiver, as a shop owner would: through the shop's own API."""

from __future__ import annotations

import base64
import json
from urllib.request import Request, urlopen

from sandbox.retailer import Sandbox

TOPICS = ("order.created", "order.updated", "product.updated")
_TIMEOUT_S = 30


def register_webhooks(sandbox: Sandbox, delivery_url: str) -> list[int]:
    """Create one webhook per topic, signed with the sandbox's secret; gives their ids. Raises HTTPError when the shop refuses."""
    user = base64.b64encode(f"{sandbox.key_be}:{sandbox.secret_be}".encode()).decode()
    made = []
    for topic in TOPICS:
        body = {"name": topic, "topic": topic, "delivery_url": delivery_url, "secret": sandbox.webhook_secret_be}
        request = Request(  # noqa: S310  loopback
            f"{sandbox.url_be}/wp-json/wc/v3/webhooks",
            data=json.dumps(body).encode(),
            headers={
                "Content-Type": "application/json",
                "Authorization": f"Basic {user}",
                "X-Forwarded-Proto": "https",
            },
            method="POST",
        )
        with urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310
            made.append(int(json.load(response)["id"]))
    return made
