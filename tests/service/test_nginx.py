"""Who may see what, asked of the real nginx with the configuration of deploy/nginx: roles, headers, limits, the log of refused logins."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from orchestration.instance import write_instance_config
from orchestration.service.login_process import follow
from resources.access_log import Place, parse, read_since
from resources.operations import Operations
from resources.settings import Settings
from tests.service.nginx import ADD_LOGIN, MARK, Proxy, add_login, find_nginx, free_port, running_nginx


@pytest.fixture(scope="module")
def nginx_program() -> Path:
    found = find_nginx()
    if found is None:
        message = "nginx is not installed: scripts/test_services.sh installs it"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return found


@pytest.fixture(scope="module")
def proxy(nginx_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with running_nginx(nginx_program, tmp_path_factory.mktemp("nginx")) as made:
        yield made


NOBODY, OPERATOR, VIEWER = None, "olga", "vera"
ROLES: list[tuple[str | None, str, str, int, str]] = [
    # who, method, path, status, the server that answers
    (NOBODY, "GET", "/", 401, ""),
    (NOBODY, "POST", "/graphql", 401, ""),
    (NOBODY, "GET", "/viewers/", 401, ""),
    (NOBODY, "GET", "/report/report.html", 401, ""),
    (NOBODY, "POST", "/webhooks/shop_be", 200, "hooks"),
    (NOBODY, "GET", "/webhooks/shop_be", 403, ""),
    (OPERATOR, "GET", "/", 200, "ui"),
    (OPERATOR, "POST", "/graphql", 200, "ui"),
    (OPERATOR, "GET", "/viewers/", 200, "viewers"),
    (OPERATOR, "GET", "/report/report.html", 200, "report"),
    (VIEWER, "GET", "/", 401, ""),
    (VIEWER, "POST", "/graphql", 401, ""),
    (VIEWER, "GET", "/assets/kpis/kpi_value", 401, ""),
    (VIEWER, "GET", "/viewers/..%2Fgraphql", 401, ""),
    (VIEWER, "POST", "/viewers/../graphql", 401, ""),
    (VIEWER, "GET", "/viewers", 302, ""),
    (VIEWER, "GET", "/viewers/", 200, "viewers"),
    (VIEWER, "POST", "/viewers/graphql", 200, "viewers"),
    (VIEWER, "GET", "/report/report.html", 200, "report"),
    (VIEWER, "POST", "/report/report.html", 403, ""),
]


@pytest.mark.parametrize(("who", "method", "path", "status", "server"), ROLES)
def test_who_may_see_what(proxy: Proxy, who: str | None, method: str, path: str, status: int, server: str) -> None:
    # An address of its own for each case, so that no case uses up another one's tries.
    address = f"127.0.1.{ROLES.index((who, method, path, status, server)) + 1}"
    answer = proxy.ask(path, who=who, method=method, body="{}" if method == "POST" else None, address=address)
    assert answer.status == status
    if server:
        assert answer.body.split()[0] == server
        assert answer.body.endswith("authorization="), "a password goes no further than the proxy"
    else:
        assert answer.body.split()[0] not in {"ui", "viewers", "report", "hooks"}


def test_a_wrong_password_is_no_login(proxy: Proxy) -> None:
    for who, path in ((OPERATOR, "/"), (VIEWER, "/viewers/"), ("nobody", "/viewers/")):
        assert proxy.ask(path, who=who, password="guessed", address="127.0.2.1").status == 401


def test_what_another_site_makes_a_browser_send_is_refused(proxy: Proxy) -> None:
    own = f"https://localhost:{proxy.https_port}"
    expected = {own: 200, "https://elsewhere.example": 403, "null": 403, f"{own}.example": 403}
    for origin, status in expected.items():
        answer = proxy.ask(
            "/graphql", who=OPERATOR, method="POST", body="{}", headers={"Origin": origin}, address="127.0.2.2"
        )
        assert answer.status == status, origin


def test_every_answer_has_the_headers_that_browsers_need(proxy: Proxy) -> None:
    for who, path in ((NOBODY, "/"), (OPERATOR, "/"), (VIEWER, "/viewers/")):
        headers = proxy.ask(path, who=who, address="127.0.2.3").headers
        assert headers["Strict-Transport-Security"].startswith("max-age=")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert len(headers["X-Request-Id"]) == 32
        assert headers["Content-Security-Policy"] == "frame-ancestors 'none'"
    report = proxy.ask("/report/report.html", who=VIEWER, address="127.0.2.3").headers
    assert report["Content-Security-Policy"].startswith("sandbox "), "no page of data acts as who reads it"
    assert "allow-same-origin" not in report["Content-Security-Policy"]


def test_plain_http_only_leads_to_tls(proxy: Proxy) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", proxy.http_port, timeout=10)
    connection.request("GET", "/viewers/", headers={"Host": "localhost"})
    response = connection.getresponse()
    assert (response.status, response.headers["Location"]) == (301, "https://localhost/viewers/")
    connection.close()
    connection = http.client.HTTPConnection("127.0.0.1", proxy.http_port, timeout=10)
    connection.request("GET", "/", headers={"Host": "elsewhere.example"})
    assert connection.getresponse().headers["Location"] == "https://localhost/"
    connection.close()


def test_guessing_stops_being_listened_to_and_a_user_is_never_counted(proxy: Proxy) -> None:
    address = "127.0.3.1"
    first = proxy.ask("/", who=OPERATOR, address=address)
    mark = first.headers["Set-Cookie"].partition(";")[0]
    assert mark == f"etalon_operator={MARK}o"
    assert {"Secure", "HttpOnly", "SameSite=Strict"} <= set(first.headers["Set-Cookie"].split("; "))
    # Requests without any login cost a try too, and are answered at once: 21 tries are quickly used up.
    statuses = [proxy.ask("/", address=address).status for _ in range(3)]
    assert statuses == [401] * 3
    until_limited = [proxy.ask("/graphql", who=OPERATOR, address=address).status for _ in range(22)]
    assert until_limited[-1] == 429
    assert proxy.ask("/", who=OPERATOR, headers={"Cookie": mark}, address=address).status == 200
    viewers = f"etalon_viewer={MARK}v"
    assert proxy.ask("/", who=OPERATOR, headers={"Cookie": viewers}, address=address).status == 429, (
        "another role's mark"
    )
    assert proxy.ask("/viewers/", who=VIEWER, address=address).status == 200, "each role counts for itself"
    assert proxy.ask("/webhooks/shop_be", method="POST", body="{}", address=address).status == 200


MARKS = [
    (NOBODY, "GET", "/viewers", None),
    (NOBODY, "GET", "//viewers", None),
    (NOBODY, "POST", "/webhooks/shop_be", None),
    (NOBODY, "POST", "//webhooks/shop_be", None),
    (NOBODY, "POST", "/viewers/../webhooks/shop_be", None),
    (VIEWER, "GET", "/viewers/", "etalon_viewer"),
    (VIEWER, "GET", "//viewers/", "etalon_viewer"),
    (VIEWER, "GET", "/x/../report/report.html", "etalon_viewer"),
    (OPERATOR, "GET", "/viewers/../graphql", "etalon_operator"),
]


@pytest.mark.parametrize(("who", "method", "path", "mark"), MARKS)
def test_a_mark_is_given_to_who_logged_in_to_that_role_alone(
    proxy: Proxy, who: str | None, method: str, path: str, mark: str | None
) -> None:
    address = f"127.0.6.{MARKS.index((who, method, path, mark)) + 1}"
    answer = proxy.ask(path, who=who, method=method, body="{}" if method == "POST" else None, address=address)
    assert answer.status in (200, 302)
    assert answer.headers.get("Set-Cookie", "").partition("=")[0] == (mark or "")


def test_webhooks_are_limited_by_address(proxy: Proxy) -> None:
    statuses = {proxy.ask("/webhooks/shop_be", method="POST", body="{}", address="127.0.4.1").status for _ in range(20)}
    assert statuses == {200}
    large = proxy.ask("/webhooks/shop_be", method="POST", body="x" * 3_000_000, address="127.0.4.2")
    assert large.status == 413


def test_refused_logins_come_into_the_journal_once(proxy: Proxy, settings: Settings) -> None:
    operations = Operations.open(settings.operations_url, data_dir=settings.data_dir)
    settings.service_dir.mkdir()
    _drain(proxy, settings, operations)
    seen = len(operations.exchanges())
    proxy.ask("/", address="127.0.5.1")  # a browser's first request: no login was tried
    proxy.ask("/viewers/", who=VIEWER, address="127.0.5.1")
    refused = proxy.ask("/", who="Tr0ub4dor&3", password="x", address="127.0.5.1")
    _drain(proxy, settings, operations, expected=1)
    [entry] = operations.exchanges()[seen:]
    assert (entry.kind, entry.is_ok, entry.outcome, entry.system_code) == ("login", False, "refused", "proxy")
    assert entry.request_id == refused.headers["X-Request-Id"]
    assert "127.0.5.1" in entry.detail
    assert "Tr0ub4dor" not in entry.detail, "people type passwords where names go"
    assert follow(settings, operations, proxy.access_log) == 0
    operations.close()


def _drain(proxy: Proxy, settings: Settings, operations: Operations, expected: int | None = None) -> None:
    """nginx writes its log after it has answered."""
    deadline, found = time.monotonic() + 5, 0
    while True:
        found += follow(settings, operations, proxy.access_log)
        if expected is None or found >= expected or time.monotonic() > deadline:
            return
        time.sleep(0.02)


def test_a_flood_of_tries_does_not_fill_the_journal(tmp_path: Path, settings: Settings) -> None:
    def line(number: int) -> str:
        told = {
            "at": "2026-11-22T03:00:00+00:00",
            "address": f"10.0.0.{number % 2}",
            "user": "x",
            "status": 429,
            "path": "/",
        }
        return json.dumps({**told, "request_id": str(number)}) + "\n"

    log = tmp_path / "access.log"
    log.write_text("".join(map(line, range(3000))), encoding="utf-8")
    operations = Operations.open(settings.operations_url, data_dir=settings.data_dir)
    settings.service_dir.mkdir()
    assert follow(settings, operations, log) == 20
    assert len(operations.exchanges()) == 20
    assert follow(settings, operations, log) == 0
    operations.close()


def test_a_log_is_read_on_where_it_was_left_and_anew_after_it_was_rotated(tmp_path: Path) -> None:
    def line(address: str) -> bytes:
        told = {
            "at": "2026-05-18T10:00:00+00:00",
            "address": address,
            "user": "",
            "status": 200,
            "path": "/",
            "request_id": "1",
        }
        return json.dumps(told).encode() + b"\n"

    def addresses(place: Place) -> tuple[list[str], Place]:
        found = []
        for lines, after in read_since(log, place):
            found += [one.address for one in lines]
            place = after
        return found, place

    log = tmp_path / "access.log"
    assert addresses(Place()) == ([], Place())
    log.write_bytes(line("a") + b"not ours\n" + line("b") + line("c")[:-10])
    found, place = addresses(Place())
    assert found == ["a", "b"]
    with log.open("ab") as file:
        file.write(line("c")[-10:])
    found, place = addresses(place)
    assert found == ["c"]
    log.rename(tmp_path / "access.log.1")
    log.write_bytes(line("d"))
    found, place = addresses(place)
    assert found == ["d"]
    assert addresses(place) == ([], place)
    assert parse(b"[1]") is None


def test_who_is_no_operator_any_more_is_one_no_longer(tmp_path: Path) -> None:
    def names(file: str) -> list[str]:
        return [line.partition(":")[0] for line in (tmp_path / file).read_text().splitlines()]

    add_login(tmp_path, "operator", "olga", "a long enough password")
    add_login(tmp_path, "viewer", "vera", "a long enough password")
    assert (names("operators"), sorted(names("everyone"))) == (["olga"], ["olga", "vera"])
    add_login(tmp_path, "viewer", "olga", "a long enough password")
    assert (names("operators"), sorted(names("everyone"))) == ([], ["olga", "vera"])
    assert "a long enough password" not in (tmp_path / "everyone").read_text()
    for role, name, password in (
        ("admin", "x", "a long enough password"),
        ("viewer", "a:b", "a long enough password"),
        ("viewer", "x", "short"),
    ):
        done = subprocess.run(
            [ADD_LOGIN, tmp_path, role, name], input=password + "\n", text=True, capture_output=True, check=False
        )
        assert done.returncode == 2, done.stderr


EMPTY_LOCATION = """
import dagster as dg

@dg.job
def nothing(): ...

defs = dg.Definitions(jobs=[nothing])
"""
LAUNCH = """mutation { launchRun(executionParams: {selector: {repositoryLocationName: "definitions.py",
repositoryName: "__repository__", jobName: "nothing"}, runConfigData: {}}) { __typename } }"""


@pytest.fixture(scope="module")
def read_only_webserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A real webserver as `etalon up` starts it for viewers."""
    home = tmp_path_factory.mktemp("read_only")
    (home / "definitions.py").write_text(EMPTY_LOCATION)
    write_instance_config(home / "dagster", None)
    port = free_port()
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [
        sys.executable,
        "-m",
        "dagster_webserver",
        "--read-only",
        "--path-prefix",
        "/viewers",
        "--port",
        str(port),
    ]
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "-f", "definitions.py"],
        cwd=home,
        env={**environ, "DAGSTER_HOME": str(home / "dagster"), "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 180  # three seconds on a quiet machine
        while not _answers(f"http://127.0.0.1:{port}/viewers/server_info"):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=20)


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5) as response:  # noqa: S310 an address of ours on loopback
            return int(response.status) == 200
    except (URLError, OSError):
        return False


@pytest.mark.slow
def test_a_viewer_sees_everything_and_changes_nothing(
    nginx_program: Path, read_only_webserver: int, tmp_path: Path
) -> None:
    with running_nginx(nginx_program, tmp_path, viewers_port=read_only_webserver) as proxy:
        page = proxy.ask("/viewers/runs", who=VIEWER)
        assert page.status == 200
        assert '"/viewers"' in page.body, "its links stay below the prefix"

        def graphql(query: str) -> dict[str, object]:
            sent = {"Content-Type": "application/json"}
            answer = proxy.ask(
                "/viewers/graphql", who=VIEWER, method="POST", body=json.dumps({"query": query}), headers=sent
            )
            told: dict[str, object] = json.loads(answer.body)
            return told

        assert graphql("{ runsOrError { ... on Runs { results { runId } } } }")["data"] == {
            "runsOrError": {"results": []}
        }
        assert graphql(LAUNCH)["data"] == {"launchRun": {"__typename": "UnauthorizedError"}}
        assert graphql("{ runsOrError { ... on Runs { results { runId } } } }")["data"] == {
            "runsOrError": {"results": []}
        }
