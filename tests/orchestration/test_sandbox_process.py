"""The sandbox as a child process: it lives, does what it is asked, survives what it cannot do, and ends with its parent."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from orchestration.sandbox_process import (
    CONTROL,
    LiveTraffic,
    SandboxControl,
    SandboxPlace,
    listen,
    sandbox_process,
)
from resources.errors import PermanentError

RECEIVER = "http://127.0.0.1:9/webhooks/shop_be"
"""Nobody listens there: only that the shop knows it is looked at."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxPlace]:
    with sandbox_process(
        tmp_path_factory.mktemp("sandbox"),
        seed=5,
        variants=500,
        orders=2_000,
        now=datetime(2026, 5, 18, 10, tzinfo=UTC),
        live=LiveTraffic(webhook_url=RECEIVER),
        tells_truth=False,
    ) as found:
        yield found
    assert found.process is not None
    assert found.process.returncode == 0


def test_it_does_what_it_is_asked(place: SandboxPlace) -> None:
    ticket = place.ask("ring_up_ticket", store="S11", units=2)
    assert (Path(place.variables["ETALON_DROPS"]) / "pos" / ticket["file"]).is_file()
    assert [units[::2] for units in ticket["sold"]] == [["S11", 2]]
    orders = [place.ask("place_web_order", shop=shop) for shop in ("shop_fr", "shop_be")]
    assert [order["channel_code"] for order in orders] == ["web-fr", "web-be"]
    assert place.ask("erp_answers", with_stock=True) == []
    assert place.ask("ship_orders") == []
    assert place.ask("write_stock").startswith("INVRPT_")
    assert [event["kind"] for event in place.ask("events")] == ["ticket", "web_order", "web_order"]
    assert place.ask("events") == []


def test_what_it_cannot_do_is_told_and_it_stays_up(place: SandboxPlace) -> None:
    with pytest.raises(PermanentError, match="place_web_order: KeyError"):
        place.ask("place_web_order", shop="nobodys")
    with pytest.raises(PermanentError, match="dance: KeyError"):
        place.ask("dance")
    assert place.ask("ring_up_ticket", store="S01")["kind"] == "ticket"


def test_who_did_not_start_it_may_ask_too(tmp_path: Path) -> None:
    asked: list[str] = []

    def note(*, store: str) -> list[str]:
        asked.append(store)
        return asked

    server = listen(tmp_path / CONTROL, {"note": note})
    assert server is not None
    control = SandboxControl(tmp_path)
    try:
        assert [control.ask("note", store=store) for store in ("S01", "S02")] == [["S01"], ["S01", "S02"]]
        with pytest.raises(PermanentError, match="could not do note: TypeError"):
            control.ask("note", shop="S01")
        assert (tmp_path / CONTROL).stat().st_mode & 0o077 == 0
    finally:
        server.shutdown()
        server.server_close()
    with pytest.raises(PermanentError, match="no sandbox answers"):
        SandboxControl(tmp_path / "elsewhere").ask("note")


def test_the_shop_knows_its_webhook_receiver(place: SandboxPlace) -> None:
    user = f"{place.variables['ETALON_SHOP_BE_KEY']}:{place.variables['ETALON_SHOP_BE_SECRET']}"
    request = Request(  # noqa: S310  loopback
        f"{place.variables['ETALON_SHOP_BE_URL']}/wp-json/wc/v3/webhooks",
        headers={
            "Authorization": f"Basic {base64.b64encode(user.encode()).decode()}",
            "X-Forwarded-Proto": "https",
        },
    )
    with urlopen(request, timeout=10) as response:  # noqa: S310
        hooks = json.load(response)
    assert {hook["topic"] for hook in hooks} == {"order.created", "order.updated", "product.updated"}
    assert {hook["delivery_url"] for hook in hooks} == {RECEIVER}
    assert place.variables["ETALON_SHOP_BE_WEBHOOK_SECRET"] not in json.dumps(hooks)
