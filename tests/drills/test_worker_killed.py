"""The real worker (`etalon worker`) dies by kill -9 while buyers order in both shops of a living sandbox, and is started again.

Expected: both shops show what is left of every article, each order was kept once, and no quantity was written twice.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from resources.fast_lane.snapshot import write
from resources.operations import Operations
from sandbox.live import LiveRetailer
from sandbox.retailer import Sandbox, start_sandbox
from tests.drills.place import ROOT
from tests.fast_lane.small import snapshot

SHOPS = {"web-fr": "shop_fr", "web-be": "shop_be"}
ARTICLES, STOCK, ORDERS = 6, 50, 24
KILLED_AFTER = {5: 0.0, 11: 0.15, 17: 0.4}
"""After which order the worker dies, and how many seconds after it: the order may be unseen, decided, or on its way to a shop."""
WAIT_S = 180.0


@dataclass
class Street:
    """Two shops, one shelf: what was bought of each article, and the item by which each channel knows it."""

    sandbox: Sandbox
    live: LiveRetailer
    data_dir: Path
    environ: dict[str, str]
    items: dict[int, dict[str, str]]
    bought: Counter[int] = field(default_factory=Counter)

    def buy(self, number: int) -> None:
        """Shops in turn, articles in turn."""
        article = sorted(self.items)[number % len(self.items)]
        channel, shop = list(SHOPS.items())[number // len(self.items) % 2]
        self.live.place_web_order(shop, [(int(self.items[article][channel].rpartition("-")[2]), 1)])
        self.bought[article] += 1

    def shown(self) -> dict[int, dict[str, int | None]]:
        """What buyers see of each article."""
        in_shops: dict[str, Mapping[str, Any]] = {
            "web-fr": self.sandbox.shop_fr.shown(),
            "web-be": self.sandbox.shop_be.shown(),
        }
        return {
            article: {channel: in_shops[channel][item].quantity for channel, item in items.items()}
            for article, items in self.items.items()
        }

    def left(self) -> dict[int, dict[str, int | None]]:
        """What they should see."""
        return {article: dict.fromkeys(items, STOCK - self.bought[article]) for article, items in self.items.items()}


@pytest.fixture
def street(tmp_path: Path) -> Iterator[Street]:
    now = datetime.now(UTC)
    sandbox = start_sandbox(
        tmp_path / "sandbox", variants=500, orders=2_000, loses_rows=False, tells_truth=False, live=True, now=now
    )
    live = LiveRetailer(sandbox, seed=3)
    # No receiver of webhooks here: the Belgian shop is asked as often as the French one.
    declared = tmp_path / "retailer.yaml"
    text = (ROOT / "retailer.yaml").read_text(encoding="utf-8")
    assert "check_ms: 30000" in text
    declared.write_text(text.replace("check_ms: 30000", "check_ms: 250"), encoding="utf-8")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("ETALON_", "PYTHONDONT"))} | {
        "ETALON_DROPS": str(sandbox.drops),
        "ETALON_SHOP_FR_URL": sandbox.url_fr,
        "ETALON_SHOP_FR_KEY": sandbox.key_fr,
        "ETALON_SHOP_BE_URL": sandbox.url_be,
        "ETALON_SHOP_BE_KEY": sandbox.key_be,
        "ETALON_SHOP_BE_SECRET": sandbox.secret_be,
        "ETALON_SHOP_BE_WEBHOOK_SECRET": sandbox.webhook_secret_be,
        "ETALON_DATA_DIR": str(tmp_path / "data"),
        "ETALON_RETAILER": str(declared),
        "ETALON_SQL_DIR": str(ROOT / "dbt_like_sql"),
        "ETALON_SECRET_KEY": bytes(range(32)).hex(),
    }
    found = Street(sandbox, live, tmp_path / "data", environ, {})
    found.items = sold_in_both(live, found)
    open_book(found, now)
    yield found
    sandbox.stop()


def sold_in_both(live: LiveRetailer, street: Street) -> dict[int, dict[str, str]]:
    """Article -> channel -> its item, of some articles that both shops sell."""
    of_shop: dict[str, dict[int, str]] = {}
    for channel, shop, server in (
        ("web-fr", "shop_fr", street.sandbox.shop_fr),
        ("web-be", "shop_be", street.sandbox.shop_be),
    ):
        named: dict[int, list[str]] = defaultdict(list)
        for item, shown in server.shown().items():
            if shown.is_published and (shown.quantity or 0) >= 5:
                named[int(item.rpartition("-")[2])].append(item)
        on_sale = live._on_sale[shop]
        of_shop[channel] = {on_sale[n]: items[0] for n, items in named.items() if n in on_sale and len(items) == 1}
    both = sorted(set(of_shop["web-fr"]) & set(of_shop["web-be"]))[:ARTICLES]
    assert len(both) == ARTICLES
    return {article: {channel: items[article] for channel, items in of_shop.items()} for article in both}


def open_book(street: Street, now: datetime) -> None:
    """A stock book of these articles alone, in which every order placed so far is known."""
    shown = street.shown()
    far = now + timedelta(days=1)
    known = [
        (system, str(number), channel, f"before {number}", False, far)
        for system, channel, numbers in (
            ("shop_fr", "web-fr", street.sandbox.shop_fr.webservice.tables["orders"].ids()),
            ("shop_be", "web-be", street.sandbox.shop_be._tables["orders"].ids()),
        )
        for number in numbers
    ]
    write(
        snapshot(
            "drill",
            as_of_at=now,
            position=[("WH", f"P{article}", STOCK, 0, 0, 0, now) for article in street.items],
            known_order=known,
            channel=[
                ("web-fr", "shop_fr", "web", "WH", 0, None, 1560, True),
                ("web-be", "shop_be", "web", "WH", 0, None, 1560, True),
            ],
            channel_location=[("web-fr", "WH"), ("web-be", "WH")],
            product=[(f"P{article}", f"ML-{article}", "simple", True) for article in street.items],
            kit=[],
            listing=[
                (channel, item, f"P{article}", shown[article][channel], now, STOCK)
                for article, items in street.items.items()
                for channel, item in items.items()
            ],
            crosswalk=[
                (SHOPS[channel], item, f"P{article}")
                for article, items in street.items.items()
                for channel, item in items.items()
            ],
            sku=[(f"ML-{article}", f"P{article}") for article in street.items],
        ),
        street.data_dir,
    )


@contextmanager
def worker(environ: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`etalon worker`, its words in ``log``; killed when the context ends, if it still lives."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "orchestration.cli", "worker"],
            env=dict(environ),
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait(timeout=30)


def until(what: str, is_so: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + WAIT_S
    while not is_so():
        assert process.poll() is None, log.read_text(encoding="utf-8")
        assert time.monotonic() < deadline, f"{what}: {log.read_text(encoding='utf-8')}"
        time.sleep(0.1)


@pytest.mark.drill
@pytest.mark.slow
def test_killed_again_and_again_it_loses_and_doubles_nothing(street: Street, tmp_path: Path) -> None:
    operations = Operations.open(f"sqlite:///{street.data_dir / 'operations.sqlite'}", data_dir=street.data_dir)
    log, number = tmp_path / "worker.log", 0
    for last, wait_s in KILLED_AFTER.items():
        begun_at = datetime.now(UTC)
        with worker(street.environ, log) as process:
            until("it works", lambda at=begun_at: works(operations, at), process, log)  # type: ignore[misc]
            while number <= last:
                street.buy(number)
                number += 1
                time.sleep(0.2)
            time.sleep(wait_s)
            process.send_signal(signal.SIGKILL)
            assert process.wait(timeout=30) == -signal.SIGKILL
    while number < ORDERS - 3:
        street.buy(number)  # nobody sees these until it is started again
        number += 1
    with worker(street.environ, log) as process:
        while number < ORDERS:
            street.buy(number)
            number += 1
        until("both shops show what is left", lambda: street.shown() == street.left(), process, log)
        until("everything is settled", lambda: not operations.outbox.open_rows(), process, log)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0, log.read_text(encoding="utf-8")
    assert street.shown() == street.left()
    of_shops = [order for order in operations.lane.orders() if order.system_code in SHOPS.values()]
    assert len(of_shops) == ORDERS
    written = Counter(
        (receipt.channel_code, receipt.external_id, receipt.after)
        for receipt in operations.receipts.since(datetime.now(UTC) - timedelta(hours=1))
        if receipt.outcome == "applied"
    )
    assert written, "the shops were written to"
    assert max(written.values()) == 1, "each quantity once: the shelf only empties"
    assert operations.outbox.counts(target="shop_fr").get("dead", 0) == 0
    operations.close()


def works(operations: Operations, since: datetime) -> bool:
    """Whether a worker that was started since has its book."""
    return any(beat.started_at >= since and "orders" in beat.detail for beat in operations.lane.beats())
