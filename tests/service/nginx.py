"""A real nginx with the project's configuration, on free ports of 127.0.0.1, in front of small servers that say who they are."""

from __future__ import annotations

import http.client
import shutil
import socket
import ssl
import subprocess
import threading
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from string import Template

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "deploy/nginx/etalon.conf.template"
ADD_LOGIN = ROOT / "deploy/nginx/add-login.sh"
PASSWORDS = {"olga": "operator's long password", "vera": "viewer's long password"}
MARK = "0123456789abcdef"


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: str


@dataclass(frozen=True)
class Proxy:
    """A running nginx."""

    folder: Path
    https_port: int
    http_port: int
    certificate: Path

    @property
    def access_log(self) -> Path:
        """Its access log."""
        return self.folder / "access.log"

    def ask(
        self,
        path: str,
        *,
        who: str | None = None,
        password: str | None = None,
        method: str = "GET",
        body: str | None = None,
        headers: Mapping[str, str] | None = None,
        address: str = "127.0.0.1",
    ) -> Answer:
        """One request over TLS, the certificate checked. ``address``: the client's own, any of 127.0.0.0/8."""
        sent = dict(headers or {})
        if who is not None:
            login = f"{who}:{PASSWORDS.get(who, '') if password is None else password}"
            sent["Authorization"] = f"Basic {b64encode(login.encode()).decode()}"
        context = ssl.create_default_context(cafile=str(self.certificate))
        connection = http.client.HTTPSConnection(
            "localhost", self.https_port, context=context, timeout=20, source_address=(address, 0)
        )
        try:
            connection.request(method, path, body=body, headers=sent)
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read().decode("utf-8", "replace"))
        finally:
            connection.close()


class _Named(BaseHTTPRequestHandler):
    """Answers every request with its server's name and what it was sent."""

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        name = str(self.server.name)  # type: ignore[attr-defined]
        body = f"{name} {self.command} {self.path} authorization={self.headers.get('Authorization', '')}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _answer  # noqa: N815 the base class names them

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the base class names it
        """Nothing."""


@contextmanager
def named_server(name: str) -> Iterator[int]:
    """A server on a free port of 127.0.0.1 that says its name."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Named)
    server.name = name  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def running_nginx(program: Path, folder: Path, *, viewers_port: int | None = None) -> Iterator[Proxy]:
    """nginx with the project's template. ``viewers_port``: a real read-only webserver; one that says its name otherwise."""
    with ExitStack() as stack:
        ports = {name: stack.enter_context(named_server(name)) for name in ("ui", "report", "hooks")}
        ports["viewers"] = viewers_port or stack.enter_context(named_server("viewers"))
        https_port, http_port = free_port(), free_port()
        certificate, key = write_certificate(folder)
        for name, role in (("olga", "operator"), ("vera", "viewer")):
            add_login(folder / "logins", role, name, PASSWORDS[name])
        proxy = Proxy(folder, https_port, http_port, certificate)
        values = {
            "ETALON_SERVER_NAME": "localhost",
            "ETALON_UPSTREAM": "127.0.0.1",
            "ETALON_HTTPS_PORT": f"127.0.0.1:{https_port}",
            "ETALON_HTTP_PORT": f"127.0.0.1:{http_port}",
            "ETALON_TLS_CERTIFICATE": certificate,
            "ETALON_TLS_KEY": key,
            "ETALON_LOGINS": folder / "logins",
            "ETALON_LOGIN_MARK": MARK,
            "ETALON_ACCESS_LOG": proxy.access_log,
            **{f"ETALON_{name.upper()}_PORT": port for name, port in ports.items()},
        }
        # As `envsubst` does it with a list of names: nginx's own variables stay.
        site = TEMPLATE.read_text(encoding="utf-8")
        for name, value in values.items():
            site = site.replace(Template("$${$name}").substitute(name=name), str(value))
        (folder / "site.conf").write_text(site, encoding="utf-8")
        (folder / "nginx.conf").write_text(MAIN.substitute(folder=folder), encoding="utf-8")
        process = subprocess.Popen(
            [program, "-e", folder / "error.log", "-c", folder / "nginx.conf", "-p", folder], stderr=subprocess.PIPE
        )
        try:
            wait_for_port(https_port, process, folder)
            yield proxy
        finally:
            process.terminate()
            process.communicate(timeout=10)


MAIN = Template("""
daemon off;
user root;
worker_processes 1;
pid $folder/nginx.pid;
events { worker_connections 256; }
http {
  client_body_temp_path $folder/body;
  proxy_temp_path $folder/proxy;
  fastcgi_temp_path $folder/fastcgi;
  uwsgi_temp_path $folder/uwsgi;
  scgi_temp_path $folder/scgi;
  include $folder/site.conf;
}
""")


def add_login(folder: Path, role: str, name: str, password: str) -> subprocess.CompletedProcess[str]:
    """The project's own script, as a person runs it."""
    return subprocess.run(
        [ADD_LOGIN, folder, role, name], input=password + "\n", text=True, capture_output=True, check=True, timeout=30
    )


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, key_path = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, key_path


def find_nginx() -> Path | None:
    """The program, also where Debian puts it out of a user's path."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    return Path(found) if found else None


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    """Until something listens; fails with nginx's own words when it ended."""
    deadline = time.monotonic() + 20
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None or time.monotonic() > deadline:
            log = folder / "error.log"
            raise RuntimeError(f"nginx did not start: {log.read_text() if log.exists() else ''}")
        time.sleep(0.02)
