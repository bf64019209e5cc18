"""A mail server and a receiver of webhooks, on 127.0.0.1, that keep what they get and can be told to refuse."""

from __future__ import annotations

import base64
import datetime as dt
import http.server
import ipaddress
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass
class MailServer:
    """``refuse``: answers to DATA before it takes one. ``tls``: offers STARTTLS. ``log``: the commands it was given, in order."""

    port: int = 0
    tls: ssl.SSLContext | None = None
    refuse: list[str] = field(default_factory=list)
    messages: list[EmailMessage] = field(default_factory=list)
    receivers: list[list[str]] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)


@contextmanager
def mail_server(**values: Any) -> Iterator[MailServer]:
    """A running mail server."""
    state = MailServer(**values)

    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            _smtp(self, state)

    with _serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session)) as server:
        state.port = server.server_address[1]
        yield state


def _smtp(session: socketserver.StreamRequestHandler, state: MailServer) -> None:
    stream: Any = session.request.makefile("rwb")
    connection = session.request
    receivers: list[str] = []

    def say(text: str) -> None:
        stream.write(text.encode() + b"\r\n")
        stream.flush()

    say("220 here")
    while line := stream.readline():
        command = line.decode().strip()
        verb = command.split(" ", 1)[0].upper()
        state.log.append(verb)
        if verb == "EHLO":
            is_tls = isinstance(connection, ssl.SSLSocket)
            offers = ["250-here"] + (["250-STARTTLS"] if state.tls and not is_tls else []) + ["250 AUTH PLAIN"]
            say("\r\n".join(offers))
        elif verb == "STARTTLS" and state.tls:
            say("220 go")
            connection = state.tls.wrap_socket(connection, server_side=True)
            stream = connection.makefile("rwb")
        elif verb == "AUTH":
            state.logins.append(base64.b64decode(command.split(" ")[2]).decode().replace("\0", "|"))
            say("235 welcome")
        elif verb == "MAIL":
            receivers = []
            say("250 ok")
        elif verb == "RCPT":
            receivers.append(command.partition("<")[2].partition(">")[0])
            say("250 ok")
        elif verb == "DATA":
            if state.refuse:
                say(state.refuse.pop(0))
                continue
            say("354 go on")
            lines = []
            while (data := stream.readline()) != b".\r\n":
                lines.append(data)
            state.messages.append(message_from_bytes(b"".join(lines), policy=policy.default))
            state.receivers.append(receivers)
            say("250 taken")
        elif verb == "QUIT":
            say("221 bye")
            return
        else:
            say("250 ok")


@dataclass
class Hook:
    """A receiver of webhooks. ``answers``: status of the next ones, then 204."""

    port: int = 0
    answers: list[int] = field(default_factory=list)
    deliveries: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook/path-that-is-a-secret"


@contextmanager
def hook(**values: Any) -> Iterator[Hook]:
    """A running receiver."""
    state = Hook(**values)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.deliveries.append((dict(self.headers), body))
            self.send_response(state.answers.pop(0) if state.answers else 204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    with _serving(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        state.port = server.server_address[1]
        yield state


@contextmanager
def _serving(server: Any) -> Iterator[Any]:
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def self_signed(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """TLS for a server at 127.0.0.1, and for a client that believes it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return server, ssl.create_default_context(cafile=str(pem))
