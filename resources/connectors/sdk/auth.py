"""How a request is signed: HTTP Basic, and OAuth 1.0a one-legged. No network, no secret in a repr."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Iterable
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from requests import PreparedRequest
from requests.auth import AuthBase


class BasicAuth(AuthBase):
    """``Authorization: Basic``. PrestaShop: the key as user, empty password. WooCommerce over TLS: key and secret."""

    def __init__(self, user: str, password: str = "") -> None:
        self._header = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Sign one request."""
        request.headers["Authorization"] = self._header
        return request


class OAuth1(AuthBase):
    """One-legged OAuth 1.0a with HMAC-SHA256 in the query, as WooCommerce asks over plain http.

    The signature covers the site's own address with scheme http (RFC 5849 section 3.4): where the site is reached at ``url`` but calls
    its home ``home_url``, the home is signed. Every attempt gets a new nonce: the server takes one once. ``timestamp_s`` is the Unix
    clock, the real one and not the run's, which may be set: the server accepts 15 minutes of difference.
    Source: woocommerce REST API authentication, "Authentication over HTTP".
    """

    def __init__(
        self,
        key: str,
        secret: str,
        *,
        timestamp_s: Callable[[], float] = time.time,
        nonce: Callable[[], str] = lambda: secrets.token_hex(16),
        url: str = "",
        home_url: str = "",
    ) -> None:
        self._url = url.rstrip("/")
        self._home_url = "http://" + home_url.rstrip("/").partition("://")[2] if home_url else ""
        self._key = key
        self._secret = secret
        self._timestamp_s = timestamp_s
        self._nonce = nonce

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Sign one request by adding the oauth_ parameters to its query."""
        parts = urlsplit(request.url or "")
        own = [
            ("oauth_consumer_key", self._key),
            ("oauth_nonce", self._nonce()),
            ("oauth_signature_method", "HMAC-SHA256"),
            ("oauth_timestamp", str(int(self._timestamp_s()))),
        ]
        address = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
        if self._home_url:
            address = self._home_url + address.removeprefix(self._url)
        parameters = [*parse_qsl(parts.query, keep_blank_values=True), *own]
        own.append(("oauth_signature", signature(request.method or "GET", address, parameters, self._secret)))
        query = "&".join(filter(None, (parts.query, urlencode(own, quote_via=quote, safe=""))))
        request.url = urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))
        return request


def signature(method: str, address: str, parameters: Iterable[tuple[str, str]], secret: str) -> str:
    """Base64 HMAC-SHA256 of the OAuth base string; the key is the secret followed by ``&`` (there is no token)."""
    pairs = sorted((_encode(name), _encode(value)) for name, value in parameters)
    joined = "&".join(f"{name}={value}" for name, value in pairs)
    base = "&".join((method.upper(), _encode(address), _encode(joined)))
    digest = hmac.new(f"{secret}&".encode(), base.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def _encode(text: str) -> str:
    return quote(text, safe="-._~")
