"""Proxy, certificate authorities and TLS of the HTTP client, against servers of our own on 127.0.0.1."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from socket import create_server
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from resources.connectors.sdk.http import HttpClient, RetryPolicy, network_options
from resources.errors import ConfigurationError, EtalonError, PermanentError, RetryableError
from sandbox.servers.http import LoopbackServer, Request, Response

PASSWORD = "proxypassword"


class _Answering(BaseHTTPRequestHandler):
    """Answers everything, and remembers what it was asked."""

    asked: list[tuple[str, str]]

    def do_GET(self) -> None:
        """One good answer."""
        self.asked.append((self.path, self.headers.get("Proxy-Authorization", "")))
        body = b'{"ok": true}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_CONNECT(self) -> None:
        """No tunnel."""
        self.send_error(407)

    def log_message(self, *_: Any) -> None:
        """Silent."""


class Server:
    """A web server on a free port of 127.0.0.1; ``asked``: target and proxy credentials of each call."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.asked: list[tuple[str, str]] = []
        handler = type("Handler", (_Answering,), {"asked": self.asked})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        self.address = f"127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


@pytest.fixture
def proxy() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PEM file with a key and its own certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "company.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def secure(authority: Path) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority)
    server = Server(context)
    yield server
    server.stop()


def client(url: str, **declared: Any) -> HttpClient:
    """The client of a system that is declared so."""
    system = SimpleNamespace(
        **{
            "requests_per_second": 0.0,
            "timeout_s": 5.0,
            "verify_tls": True,
            "proxy": None,
            "ca_bundle": None,
            **declared,
        }
    )
    return HttpClient(
        url,
        system_code="shop",
        auth=None,
        clock=lambda: datetime.now(UTC),
        retry=RetryPolicy(attempts=1),
        **network_options(system),
    )


def get(http: HttpClient) -> Any:
    """One call, parsed."""
    return http.get("/api/orders", parse=msgspec.json.decode).value


def test_calls_go_through_the_declared_proxy_and_no_other(proxy: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    declared = SecretStr(f"http://etalon:{PASSWORD}@{proxy.address}")
    assert get(client("http://shop.example", proxy=declared)) == {"ok": True}
    [(target, credentials)] = proxy.asked
    assert target == "http://shop.example/api/orders"
    assert credentials.startswith("Basic ")


def test_a_proxy_that_refuses_is_named_without_its_password(proxy: Server) -> None:
    declared = SecretStr(f"http://etalon:{PASSWORD}@{proxy.address}")
    with pytest.raises(RetryableError, match="the proxy does not let through") as caught:
        get(client("https://shop.example", proxy=declared))
    assert "proxy" in (caught.value.action or "")
    assert PASSWORD not in str(caught.value)


def test_a_cookie_that_the_system_sets_goes_with_the_next_readings() -> None:
    """A load balancer keeps a client on one machine by it."""
    cookies: list[str] = []

    def answer(request: Request) -> Response:
        cookies.append(request.headers.get("cookie", ""))
        return Response(200, [("Set-Cookie", "node=7; Path=/")] if len(cookies) == 1 else [], b'{"ok": true}')

    server = LoopbackServer(answer)
    http = client(server.start())
    for _ in range(3):
        get(http)
    server.stop()
    assert cookies == ["", "node=7", "node=7"]


def test_the_companys_own_authority_is_believed(secure: Server, authority: Path) -> None:
    url = f"https://{secure.address}"
    with pytest.raises(PermanentError, match="certificate is refused") as caught:
        get(client(url))
    assert "`ca_bundle`" in (caught.value.action or "")
    assert get(client(url, ca_bundle=authority)) == {"ok": True}
    assert get(client(url, verify_tls=False)) == {"ok": True}


def test_a_bundle_that_is_not_there_is_told(secure: Server, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="certificate authorities"):
        get(client(f"https://{secure.address}", ca_bundle=tmp_path / "missing.pem"))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"", RetryableError),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", PermanentError),
    ],
    ids=["cut in the handshake", "plain http where https is meant"],
)
def test_a_handshake_that_is_cut_may_work_later(answer: bytes, expected: type[EtalonError]) -> None:
    with create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65_536)  # the whole hello, so that the end is an end and no reset
                connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with pytest.raises(expected):
            get(client(f"https://127.0.0.1:{listening.getsockname()[1]}"))
        thread.join(5)
