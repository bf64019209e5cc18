"""The receiver against WooCommerce's recorded deliveries, byte for byte, and against everything that is not one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
import uvicorn

from orchestration.webhooks import LARGEST_BYTES, REFUSALS_PER_MINUTE, Receiver, webhook_app
from resources.operations import Operations

RECORDINGS = Path(__file__).parents[1] / "recordings" / "woocommerce"
NOW = datetime(2026, 11, 22, 2, tzinfo=UTC)
SECRET = "recording-webhook-secret"


class Client:
    """Calls a receiver that listens on this machine, as a shop does."""

    def __init__(self, url: str) -> None:
        self._url = url

    def post(self, path: str, content: Any = b"", headers: Any = None) -> requests.Response:
        return requests.post(self._url + path, data=content, headers=headers, timeout=10)

    def get(self, path: str) -> requests.Response:
        return requests.get(self._url + path, timeout=10)


@contextmanager
def listening(operations: Operations, clock: Any = lambda: NOW) -> Iterator[Client]:
    """A receiver on a port of its own."""
    app = webhook_app(Receiver(operations, {"shop_be": SECRET}, clock=clock))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.005)
    try:
        yield Client(f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}")
    finally:
        server.should_exit = True
        thread.join()


def recorded(name: str) -> tuple[dict[str, str], bytes]:
    """Headers and body of a recorded delivery."""
    request: dict[str, Any] = json.loads((RECORDINGS / f"webhook_delivery_{name}.json").read_text(encoding="utf-8"))[
        "request"
    ]
    return request["headers"], request["body"].encode()


@pytest.fixture
def operations(tmp_path: Path) -> Iterator[Operations]:
    store = Operations.open(f"sqlite:///{tmp_path / 'operations.sqlite'}", data_dir=tmp_path)
    yield store
    store.close()


@pytest.fixture
def client(operations: Operations) -> Iterator[Client]:
    with listening(operations) as client:
        yield client


def hinted(operations: Operations) -> list[tuple[str, str]]:
    return [(hint.stream, hint.external_id) for hint in operations.hints.of_system("shop_be")]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("order_created", ("orders", "125")),
        ("order_updated", ("orders", "125")),
        ("order_deleted", ("orders", "125")),
        ("order_refunded", ("orders", "103")),
        ("product_updated_stock", ("products", "82")),
        ("variation_updated_stock", ("products", "88-89")),
        ("customer_updated", ("customers", "14")),
    ],
)
def test_a_recorded_delivery_becomes_a_hint(
    client: Client, operations: Operations, name: str, hint: tuple[str, str]
) -> None:
    headers, body = recorded(name)
    assert client.post("/webhooks/shop_be", content=body, headers=headers).status_code == 200
    assert hinted(operations) == [hint]
    line = operations.exchanges()[-1]
    assert (line.kind, line.outcome, line.is_ok, line.bytes) == ("webhook", "accepted", True, len(body))


def test_a_ping_is_answered_and_says_nothing(client: Client, operations: Operations) -> None:
    headers, body = recorded("ping")
    assert client.post("/webhooks/shop_be", content=body, headers=headers).status_code == 200
    assert hinted(operations) == []
    assert operations.exchanges() == []


def test_a_doubled_delivery_is_taken_once(client: Client, operations: Operations) -> None:
    headers, body = recorded("order_created")
    for _ in range(3):
        assert client.post("/webhooks/shop_be", content=body, headers=headers).status_code == 200
    assert hinted(operations) == [("orders", "125")]
    assert [line.outcome for line in operations.exchanges()] == ["accepted", "doubled", "doubled"]


def test_what_a_shop_tells_in_one_second_comes_with_one_id_and_is_all_taken(
    client: Client, operations: Operations
) -> None:
    # WC_Webhook::get_new_delivery_id: wp_hash( $this->get_id() . strtotime( 'now' ) )
    bodies = [b'{"id": 125}', b'{"id": 126}', b'{"id": 125}']
    for body in bodies:
        headers = signed(body, **{"x-wc-webhook-delivery-id": "ed5d560d69617db50044ce15c84fc757"})
        assert client.post("/webhooks/shop_be", content=body, headers=headers).status_code == 200
    assert hinted(operations) == [("orders", "125"), ("orders", "126")]
    assert {line.request_id for line in operations.exchanges()} == {"ed5d560d69617db50044ce15c84fc757"}


def test_a_row_that_is_gone_before_its_turn_is_no_failed_delivery(client: Client, operations: Operations) -> None:
    # WC_Webhook::build_payload takes what the shop's own API answers, an error too; refusals switch a webhook off
    body = b'{"code":"woocommerce_rest_product_invalid_id","message":"Invalid ID.","data":{"status":404}}'
    answer = client.post(
        "/webhooks/shop_be", content=body, headers=signed(body, **{"x-wc-webhook-resource": "product"})
    )
    assert answer.status_code == 200
    assert hinted(operations) == []
    assert operations.exchanges()[-1].outcome == "ignored"


def test_any_order_of_deliveries_leaves_the_same_rows_to_read(client: Client, operations: Operations) -> None:
    for name in ("order_deleted", "order_updated", "order_created"):
        headers, body = recorded(name)
        client.post("/webhooks/shop_be", content=body, headers=headers)
    assert set(hinted(operations)) == {("orders", "125")}


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"x-wc-webhook-signature": "AAAA" * 11}, 401),
        ({"x-wc-webhook-signature": ""}, 401),
        ({"x-wc-webhook-signature": "no base64 é".encode().decode("latin-1")}, 401),
        ({"x-wc-webhook-signature": None}, 401),
    ],
)
def test_a_wrong_signature_is_refused_and_told(
    client: Client, operations: Operations, change: dict[str, str | None], status: int
) -> None:
    headers, body = recorded("order_created")
    sent = {name: value for name, value in {**headers, **change}.items() if value is not None}
    answer = client.post("/webhooks/shop_be", content=body, headers={n: v.encode("latin-1") for n, v in sent.items()})
    assert answer.status_code == status
    assert hinted(operations) == []
    [line] = operations.exchanges()
    assert (line.kind, line.outcome, line.is_ok, line.system_code) == ("webhook", "refused", False, "shop_be")
    assert "zoe" not in line.detail.lower()
    assert SECRET not in answer.text + line.detail


def test_a_changed_body_is_refused(client: Client, operations: Operations) -> None:
    headers, body = recorded("order_created")
    assert client.post("/webhooks/shop_be", content=body.replace(b"125", b"126"), headers=headers).status_code == 401
    assert hinted(operations) == []


def test_the_signature_covers_the_body_as_sent_not_as_parsed(client: Client) -> None:
    headers, body = recorded("order_created")
    respaced = json.dumps(json.loads(body)).encode()
    assert client.post("/webhooks/shop_be", content=respaced, headers=headers).status_code == 401


def signed(body: bytes, **headers: str) -> dict[str, str]:
    """Headers of a delivery that the shop itself could have sent."""
    signature = base64.b64encode(hmac.new(SECRET.encode(), body, hashlib.sha256).digest()).decode()
    return {"x-wc-webhook-resource": "order", "x-wc-webhook-topic": "order.updated", **headers} | {
        "x-wc-webhook-signature": signature
    }


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"id": "1; drop"}', b'{"id": true}', b'{"id": -4}', b"[" * 100_000]
)
def test_a_signed_body_that_names_nothing_is_refused(client: Client, operations: Operations, body: bytes) -> None:
    assert client.post("/webhooks/shop_be", content=body, headers=signed(body)).status_code == 400
    assert hinted(operations) == []


def test_a_resource_that_nobody_reads_is_taken_and_left(client: Client, operations: Operations) -> None:
    body = b'{"id": 4}'
    answer = client.post("/webhooks/shop_be", content=body, headers=signed(body, **{"x-wc-webhook-resource": "coupon"}))
    assert answer.status_code == 200
    assert hinted(operations) == []
    assert operations.exchanges()[-1].outcome == "ignored"


def test_an_unknown_system_is_not_found(client: Client, operations: Operations) -> None:
    headers, body = recorded("order_created")
    assert client.post("/webhooks/shop_fr", content=body, headers=headers).status_code == 404
    assert operations.exchanges() == []


def test_what_is_too_large_is_not_read(client: Client, operations: Operations) -> None:
    body = b" " * (LARGEST_BYTES + 1)
    assert client.post("/webhooks/shop_be", content=body, headers=signed(body)).status_code == 413

    def endless() -> Iterator[bytes]:
        for _ in range(40):
            yield b" " * 65_536

    assert client.post("/webhooks/shop_be", content=endless(), headers={}).status_code == 413
    assert [line.outcome for line in operations.exchanges()] == ["refused", "refused"]


def test_a_flood_of_refusals_does_not_fill_the_journal(operations: Operations) -> None:
    now = [NOW]
    with listening(operations, lambda: now[0]) as client:
        for _ in range(REFUSALS_PER_MINUTE + 25):
            assert client.post("/webhooks/shop_be", content=b"x").status_code == 401
        assert len(operations.exchanges()) == REFUSALS_PER_MINUTE
        now[0] = NOW.replace(minute=2)
        client.post("/webhooks/shop_be", content=b"x")
    assert "and 25 more" in operations.exchanges()[-1].detail


def test_an_unsigned_form_that_is_no_ping_is_refused(client: Client) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert client.post("/webhooks/shop_be", content=b"webhook_id=2&id=125", headers=form).status_code == 401


def test_a_store_that_does_not_answer_is_told_to_the_shop(tmp_path: Path) -> None:
    store = Operations.open(f"sqlite:///{tmp_path / 'operations.sqlite'}", data_dir=tmp_path)
    headers, body = recorded("order_created")
    with listening(store) as client:
        assert client.get("/health").status_code == 200
        with store.hints._transactions.engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE hint")
        assert client.post("/webhooks/shop_be", content=body, headers=headers).status_code == 503
        assert client.get("/health").status_code == 503
    store.close()


def test_a_body_that_trickles_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestration.webhooks.BODY_WITHIN_S", 0.2)
    operations = Operations.open(f"sqlite:///{tmp_path / 'operations.sqlite'}", data_dir=tmp_path)
    with listening(operations) as client:
        port = int(client._url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=10) as slow:
            slow.sendall(b"POST /webhooks/shop_be HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
            assert slow.recv(200).startswith(b"HTTP/1.1 408")
        assert client.get("/health").status_code == 200
    operations.close()


def test_a_number_that_no_shop_has_is_refused(tmp_path: Path) -> None:
    operations = Operations.open(f"sqlite:///{tmp_path / 'operations.sqlite'}", data_dir=tmp_path)
    body = json.dumps({"id": 10**300}).encode()
    signature = base64.b64encode(hmac.new(SECRET.encode(), body, hashlib.sha256).digest()).decode()
    headers = {
        "X-WC-Webhook-Signature": signature,
        "X-WC-Webhook-Resource": "order",
        "X-WC-Webhook-Topic": "order.created",
    }
    with listening(operations) as client:
        assert client.post("/webhooks/shop_be", body, headers).status_code == 400
        for path in ("/webhooks/", "/webhooks/shop_be/x", "/webhooks/..%2fhealth", "/webhooks/shop_fr"):
            assert client.post(path, body, headers).status_code == 404, path
    assert operations.hints.due(now=NOW) == []
    operations.close()


def test_the_worker_is_woken_once_by_each_hint(operations: Operations) -> None:
    rung: list[int] = []
    receiver = Receiver(
        operations,
        {"shop_be": SECRET},
        clock=lambda: NOW,
        on_hint=lambda: rung.append(len(hinted(operations))),
    )
    headers, body = recorded("order_created")
    small = {name.lower(): value for name, value in headers.items()}
    receiver.take("shop_be", small, body)
    receiver.take("shop_be", small, body)
    assert rung == [1], "the hint was kept before, and the doubled delivery says nothing new"
