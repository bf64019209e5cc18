"""The published folder over HTTP: whole files of that one folder, to browsers of this machine, and nothing else."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from orchestration.published_server import serve_published


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    published = tmp_path / "published"
    (published / "inner").mkdir(parents=True)
    (published / "report.html").write_text("<p>été</p>", encoding="utf-8")
    (published / "bi.duckdb").write_bytes(b"\0" * 3_000_000)
    (published / ".hidden").write_text("no", encoding="utf-8")
    (published / "inner" / "page.html").write_text("no", encoding="utf-8")
    (tmp_path / "secret.env").write_text("no", encoding="utf-8")
    (published / "link.html").symlink_to(tmp_path / "secret.env")
    return published


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    with serve_published(folder, 0) as url:
        yield url


def ask(address: str, path: str, method: str = "GET", host: str | None = None) -> tuple[int, str | None, bytes]:
    """Status, content type and body; ``path`` goes as it is, dots and all."""
    at = urlsplit(address)
    connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=10)
    try:
        connection.request(method, path, headers={"Host": host} if host else {})
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type"), answer.read()
    finally:
        connection.close()


def test_it_gives_the_report_and_the_database(address: str, folder: Path) -> None:
    for path in ("/report.html", "/", "/report.html?x=1"):
        assert ask(address, path) == (200, "text/html; charset=utf-8", "<p>été</p>".encode())
    assert ask(address, "/bi.duckdb") == (200, "application/octet-stream", (folder / "bi.duckdb").read_bytes())
    assert ask(address, "/report.html", "HEAD")[::2] == (200, b"")


@pytest.mark.parametrize(
    "path",
    ["/../secret.env", "/%2e%2e/secret.env", "/..%2fsecret.env", "//secret.env", "/.hidden", "/inner", "/inner/page.html",
     "/link.html", "/missing.html", "/a%00b", "/."],
)  # fmt: skip
def test_nothing_but_its_own_files(address: str, path: str) -> None:
    assert ask(address, path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_it_takes_nothing(address: str, method: str) -> None:
    assert ask(address, "/report.html", method)[0] == 501


def test_a_name_of_elsewhere_that_leads_here_gets_nothing(address: str) -> None:
    assert ask(address, "/report.html", host="evil.example")[0] == 403
    assert ask(address, "/report.html", host="localhost:1")[0] == 200


def test_it_listens_on_this_machine_only_and_takes_the_next_port_when_one_is_taken(address: str, folder: Path) -> None:
    taken = urlsplit(address).port or 0
    assert urlsplit(address).hostname == "127.0.0.1"
    with serve_published(folder, taken) as other:
        assert taken < (urlsplit(other).port or 0) < taken + 20
        assert ask(other, "/")[0] == 200
    with pytest.raises(OSError, match=r"(?i)in use"), serve_published(folder, taken, ports_tried=1):
        pass


def test_a_report_swapped_in_is_the_next_one_shown(address: str, folder: Path) -> None:
    (folder / "new").write_text("new", encoding="utf-8")
    (folder / "new").replace(folder / "report.html")
    assert ask(address, "/")[2] == b"new"
