"""Messages to a webhook: one POST of JSON, signed."""

from __future__ import annotations

import hashlib
import hmac
import json
from urllib.parse import urlsplit

import requests

from resources.errors import RetryableError, Where
from resources.operations.alerts import Alert

TIMEOUT_S = 10.0
SIGNATURE = "X-Etalon-Signature"
DELIVERY = "X-Etalon-Delivery"


class WebhookSender:
    """Posts to one address. Any answer of 200 to 299 is a yes.

    ``secret``: then the header `X-Etalon-Signature: sha256=<hex>` is the HMAC-SHA256 of the body. `X-Etalon-Delivery` is the same at
    each attempt for one message. Errors name the host alone: the path of such an address is often its secret.
    """

    def __init__(self, url: str, *, secret: str | None = None) -> None:
        self._url = url
        self._secret = secret
        self._host = urlsplit(url).hostname or ""

    def __repr__(self) -> str:
        return f"WebhookSender({self._host})"

    def send(self, alert: Alert) -> None:
        """Raises RetryableError when it was not taken."""
        body = json.dumps(
            {"alert_id": alert.alert_id, "subject": alert.subject, "text": alert.text, **alert.payload},
            ensure_ascii=False,
        ).encode()
        headers = {"Content-Type": "application/json", DELIVERY: alert.alert_id}
        if self._secret:
            headers[SIGNATURE] = "sha256=" + hmac.digest(self._secret.encode(), body, hashlib.sha256).hex()
        with requests.Session() as session:
            session.trust_env = False  # neither a .netrc nor a proxy that nobody declared
            try:
                answer = session.post(self._url, data=body, headers=headers, timeout=TIMEOUT_S, allow_redirects=False)
            except requests.RequestException as error:
                raise _not_sent(f"{self._host} cannot be reached ({type(error).__name__})") from None
        if not 200 <= answer.status_code < 300:
            raise _not_sent(f"{self._host} answered HTTP {answer.status_code}")


def _not_sent(what: str) -> RetryableError:
    return RetryableError(what, where=Where(field="ETALON_ALERT_WEBHOOK_URL"))
