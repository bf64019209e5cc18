"""OAuth 1.0a as WooCommerce checks it on plain HTTP: one leg, parameters in the query, HMAC key = secret + "&".

Belongs here: the signature and what makes a server refuse it. RFC 5849
section 3.4, with WooCommerce's own habits: the URL is the site's home with scheme http, whatever host was called.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from urllib.parse import quote

WINDOW_SECONDS = 15 * 60


class OAuthRefused(Exception):
    """A signed request that is not accepted, in the shop's words."""


def _encoded(text: str) -> str:
    return quote(text, safe="-._~")


def signature(method: str, url: str, parameters: Iterable[tuple[str, str]], secret: str, algorithm: str) -> str:
    """Base64 signature of a request; ``parameters``: every query parameter but `oauth_signature`."""
    pairs = sorted((_encoded(name), _encoded(value)) for name, value in parameters)
    joined = "&".join(f"{name}={value}" for name, value in pairs)
    base = "&".join((method.upper(), _encoded(url), _encoded(joined)))
    digest = {"HMAC-SHA256": hashlib.sha256, "HMAC-SHA1": hashlib.sha1}.get(algorithm)
    if digest is None:
        raise OAuthRefused("Invalid signature - signature method is invalid.")
    return base64.b64encode(hmac.new(f"{secret}&".encode(), base.encode(), digest).digest()).decode()


class OAuthVerifier:
    """Checks signed requests and remembers nonces."""

    def __init__(self) -> None:
        self._nonces: dict[tuple[str, str], float] = {}

    def check(
        self, method: str, url: str, query: tuple[tuple[str, str], ...], secret: str, clocks: Iterable[float]
    ) -> None:
        """Raise `OAuthRefused` unless the signature, the time and the nonce are good. ``clocks``: the presents it may be signed at."""
        given = dict(query)
        rest = [(name, value) for name, value in query if name != "oauth_signature"]
        expected = signature(method, url, rest, secret, given.get("oauth_signature_method", ""))
        if not hmac.compare_digest(expected, given.get("oauth_signature", "")):
            raise OAuthRefused("Invalid signature - provided signature does not match.")
        stamp = given.get("oauth_timestamp", "")
        presents = list(clocks)
        if not stamp.isdigit() or all(abs(present - int(stamp)) > WINDOW_SECONDS for present in presents):
            raise OAuthRefused("Invalid timestamp.")
        mark = (given.get("oauth_consumer_key", ""), given.get("oauth_nonce", ""))
        if mark in self._nonces:
            raise OAuthRefused("Invalid nonce - nonce has already been used.")
        latest = max(presents)
        if len(self._nonces) > 10_000:
            self._nonces = {key: at for key, at in self._nonces.items() if at > latest - WINDOW_SECONDS}
        self._nonces[mark] = latest
