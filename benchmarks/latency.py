"""How long from a sale to the new quantity in both shops: `python -m benchmarks.latency [--events 40] [--at-rest-only]`.

A sandbox, a private PostgreSQL, one full run, then `etalon worker` and `etalon hooks` as they are in service. Sales are made one by
one: orders in either shop, tickets of a till; each shop's API is asked until it shows the quantity that must follow. Measured at rest,
and again while `etalon run --full` goes round. It says what the time is made of: seen, put, written, readable.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests

from orchestration.sandbox_process import LiveTraffic, SandboxPlace, sandbox_process
from resources.fast_lane.book import Book, Listing
from resources.fast_lane.snapshot import load
from resources.operations import Operations
from resources.settings import sqlalchemy_postgres_url
from tests.postgres_server import find_binaries, running_postgres

ROOT = Path(__file__).parents[1]
SHOPS = {"web-fr": "shop_fr", "web-be": "shop_be"}
ETALON = (sys.executable, "-m", "orchestration.cli")
ASK_EVERY_S = 0.01
LONGEST_S = 60.0
TILL = "S11"
"""A store whose stock the Belgian shop may sell."""


@dataclass(frozen=True)
class Target:
    """A product that both shops show, in a number that each sale must change. ``item``: the sandbox's article."""

    product_id: str
    item: int
    listings: Mapping[str, Listing]


@dataclass
class Sale:
    """One sale and when its quantity was readable, in seconds after it was made; ``parts`` says where they went."""

    kind: str
    seconds: dict[str, float]
    parts: dict[str, float] = field(default_factory=dict)


class Shops:
    """Both shops' APIs, asked for one quantity: as anybody would, without the connectors."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self._local = threading.local()

    def quantity(self, channel: str, external_id: str) -> int:
        """What the shop shows now."""
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
        session: requests.Session = self._local.session
        product, _, variant = external_id.partition("-")
        if channel == "web-fr":
            answer = session.get(
                f"{self._variables['ETALON_SHOP_FR_URL']}/api/stock_availables",
                params={
                    "output_format": "JSON",
                    "display": "[quantity]",
                    "filter[id_product]": product,
                    "filter[id_product_attribute]": variant or "0",
                },
                auth=(self._variables["ETALON_SHOP_FR_KEY"], ""),
                timeout=30,
            )
            answer.raise_for_status()
            return int(answer.json()["stock_availables"][0]["quantity"])
        user = f"{self._variables['ETALON_SHOP_BE_KEY']}:{self._variables['ETALON_SHOP_BE_SECRET']}"
        path = f"products/{product}" + (f"/variations/{variant}" if variant else "")
        answer = session.get(
            f"{self._variables['ETALON_SHOP_BE_URL']}/wp-json/wc/v3/{path}",
            params={"_fields": "stock_quantity"},
            headers={
                "Authorization": "Basic " + base64.b64encode(user.encode()).decode(),
                "X-Forwarded-Proto": "https",
            },
            timeout=30,
        )
        answer.raise_for_status()
        return int(answer.json()["stock_quantity"])


def targets(book: Book, shops: Shops) -> list[Target]:
    """Products that both shops show as they should, well under the cap, so that each unit sold must show in both."""
    found: list[Target] = []
    by_product: dict[str, dict[str, Listing]] = defaultdict(dict)
    twice: set[tuple[str, str]] = set()
    for listing in book.all_listings():
        if listing.channel_code in by_product[listing.product_id]:
            twice.add((listing.product_id, listing.channel_code))
        by_product[listing.product_id][listing.channel_code] = listing
    skus = book.skus()
    for product, listings in sorted(by_product.items()):
        sku = skus.get(product) or ""
        if set(listings) != set(SHOPS) or any((product, channel) in twice for channel in SHOPS):
            continue
        if not sku.startswith("ML-") or book.has_parts(product) or not book.holds(TILL, product):
            continue
        expected = {channel: book.expected(channel, product).quantity for channel in SHOPS}
        caps = {channel: book.channels[channel].cap_qty or 10**9 for channel in SHOPS}
        if not all((quantity or 0) > 4 and (quantity or 0) < caps[channel] for channel, quantity in expected.items()):
            continue
        if all(
            shops.quantity(channel, listing.external_id) == expected[channel] for channel, listing in listings.items()
        ):
            found.append(Target(product, int(sku.removeprefix("ML-")), listings))
    return found


def sell(place: SandboxPlace, kind: str, target: Target) -> None:
    """Make one sale of one unit."""
    if kind == "ticket":
        place.ask("ring_up_ticket", store=TILL, item=target.item)
        return
    shop = "shop_fr" if kind == "order in the French shop" else "shop_be"
    external_id = target.listings["web-fr" if shop == "shop_fr" else "web-be"].external_id
    place.ask("place_web_order", shop=shop, lines=[[int(external_id.rpartition("-")[2]), 1]])


def measure(place: SandboxPlace, shops: Shops, operations: Operations, kind: str, target: Target) -> Sale:
    """Sell one unit and wait until every shop that it bears on shows one less."""
    channels = ("web-be",) if kind == "ticket" else tuple(SHOPS)
    before = {channel: shops.quantity(channel, target.listings[channel].external_id) for channel in channels}
    started_at, started = datetime.now(UTC), time.perf_counter()

    def readable(channel: str) -> tuple[float, datetime]:
        while time.perf_counter() - started < LONGEST_S:
            if shops.quantity(channel, target.listings[channel].external_id) == before[channel] - 1:
                return time.perf_counter() - started, datetime.now(UTC)
            time.sleep(ASK_EVERY_S)
        raise TimeoutError(
            f"{kind}: {channel} item {target.listings[channel].external_id} did not change in {LONGEST_S:g} s"
        )

    with ThreadPoolExecutor(len(channels)) as pool:
        waiting = {channel: pool.submit(readable, channel) for channel in channels}
        sell(place, kind, target)
        found = {channel: future.result() for channel, future in waiting.items()}
    sale = Sale(kind, {channel: seconds for channel, (seconds, _) in found.items()})
    last = max(found, key=lambda channel: found[channel][0])
    sale.parts = _parts(operations, target, last, started_at, found[last][1])
    return sale


def _parts(
    operations: Operations, target: Target, channel: str, started_at: datetime, readable_at: datetime
) -> dict[str, float]:
    """Where the seconds of the slowest channel went, by the instants that the operations store holds."""
    external_id = target.listings[channel].external_id
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        receipts = [
            receipt
            for receipt in operations.receipts.since(started_at, channel_code=channel)
            if receipt.external_id == external_id and receipt.outcome == "applied"
        ]
        if receipts:
            row = operations.outbox.row(receipts[-1].outbox_id)
            seen = [order.seen_at for order in operations.lane.orders() if order.seen_at >= started_at]
            if row is None or not seen:
                return {}
            seen_at = (
                max(at for at in seen if at <= row.created_at)
                if any(at <= row.created_at for at in seen)
                else row.created_at
            )
            return {
                "seen": (seen_at - started_at).total_seconds(),
                "decided": (row.created_at - seen_at).total_seconds(),
                "written": (readable_at - row.created_at).total_seconds(),
                "receipt after": (receipts[-1].written_at - readable_at).total_seconds(),
            }
        time.sleep(0.05)
    return {}


def percentiles(values: Sequence[float]) -> tuple[float, float, float]:
    """p50, p95 and p99 by the nearest rank."""
    ordered = sorted(values)

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered) + 0.5) - 1))]

    return at(0.5), at(0.95), at(0.99)


def table(title: str, sales: Sequence[Sale]) -> str:
    """The figures of one round."""
    lines = [f"\n{title}", f"{'sale':28}{'until':>8}{'n':>5}{'p50':>8}{'p95':>8}{'p99':>8}{'longest':>9}"]
    groups: dict[tuple[str, str], list[float]] = defaultdict(list)
    for sale in sales:
        for channel, seconds in sale.seconds.items():
            groups[sale.kind, channel].append(seconds)
        groups["any sale", "all"].append(max(sale.seconds.values()))
    for (kind, channel), values in sorted(groups.items(), key=lambda group: (group[0][0] == "any sale", group[0])):
        p50, p95, p99 = percentiles(values)
        lines.append(f"{kind:28}{channel:>8}{len(values):>5}{p50:8.3f}{p95:8.3f}{p99:8.3f}{max(values):9.3f}")
    parts: dict[str, list[float]] = defaultdict(list)
    for sale in sales:
        for name, seconds in sale.parts.items():
            parts[name].append(seconds)
    told = ", ".join(
        f"{name} {percentiles(values)[0]:.3f}/{percentiles(values)[1]:.3f}" for name, values in parts.items()
    )
    lines.append(f"made of (p50/p95, s): {told}")
    return "\n".join(lines)


@contextmanager
def program(environ: Mapping[str, str], *arguments: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A command of `etalon`, ended when the context ends."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*ETALON, *arguments],
            env=dict(environ),
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(timeout=120)


def until(what: str, is_so: Callable[[], bool], timeout_s: float = 120.0) -> None:
    """Wait for something to be so. Raises TimeoutError."""
    deadline = time.monotonic() + timeout_s
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} took more than {timeout_s:g} s")
        time.sleep(0.1)


def a_round(
    place: SandboxPlace, shops: Shops, operations: Operations, data_dir: Path, events: int, pause_s: float
) -> list[Sale]:
    """Sell ``events`` times, kinds in turn."""
    snapshot = load(data_dir)
    if snapshot is None:
        raise RuntimeError("there is no stock book")
    sold: set[str] = set()
    usable = [target for target in targets(Book(snapshot), shops) if target.product_id not in sold]
    if not usable:
        raise RuntimeError("no product shows alike in both shops: ask for a larger world")
    kinds = ("order in the French shop", "order in the Belgian shop", "ticket")
    sales = []
    for number in range(events):
        sales.append(measure(place, shops, operations, kinds[number % len(kinds)], usable[number % len(usable)]))
        time.sleep(pause_s)
    return sales


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=42)
    parser.add_argument("--variants", type=int, default=2000)
    parser.add_argument("--orders", type=int, default=8000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--pause-s", type=float, default=0.3)
    parser.add_argument("--at-rest-only", action="store_true")
    parser.add_argument("--json", type=Path, help="also write every sale there")
    options = parser.parse_args()
    binaries = find_binaries()
    if binaries is None:
        raise SystemExit("PostgreSQL is not installed")
    # Ended from outside, it ends what it has started.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(1))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="etalon-latency-")))
        server = stack.enter_context(running_postgres(binaries))
        url = server.new_database()
        place = stack.enter_context(
            sandbox_process(
                folder,
                seed=options.seed,
                variants=options.variants,
                orders=options.orders,
                now=datetime.now(UTC),
                live=LiveTraffic(),
                tells_truth=False,
            )
        )
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("ETALON_", "PYTHONDONT"))}
        environ |= {
            **place.variables,
            "ETALON_SECRET_KEY": "11" * 32,
            "ETALON_DATA_DIR": str(folder / "data"),
            "ETALON_RETAILER": str(ROOT / "retailer.yaml"),
            "ETALON_POSTGRES_URL": url,
        }
        _full_run(environ, folder / "run.log")
        operations = Operations.open(sqlalchemy_postgres_url(url), data_dir=folder / "data")
        stack.callback(operations.close)
        port = _free_port()
        stack.enter_context(program(environ, "hooks", "--port", str(port), log=folder / "hooks.log"))
        until("the receiver", lambda: _answers(f"http://127.0.0.1:{port}/health"))
        subprocess.run(
            [*ETALON, "hooks", "register", "shop_be", "--url", f"http://127.0.0.1:{port}/webhooks/shop_be"],
            env=environ,
            cwd=ROOT,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        worker = stack.enter_context(program(environ, "worker", log=folder / "worker.log"))
        until("the worker", lambda: any("orders" in beat.detail for beat in operations.lane.beats()))
        time.sleep(3)
        shops = Shops(place.variables)
        rounds = {"at rest": a_round(place, shops, operations, folder / "data", options.events, options.pause_s)}
        _tell(table("at rest", rounds["at rest"]))
        if not options.at_rest_only:
            stop, runs = threading.Event(), [0]

            def go_round() -> None:
                while not stop.is_set():
                    _full_run(environ, folder / "run.log")
                    runs[0] += 1

            runner = threading.Thread(target=go_round)
            runner.start()
            try:
                time.sleep(3)
                rounds["nightly"] = a_round(place, shops, operations, folder / "data", options.events, options.pause_s)
            finally:
                stop.set()
                runner.join()
            _tell(table(f"while a full run goes round ({runs[0]} ended)", rounds["nightly"]))
        if worker.poll() is not None:
            raise RuntimeError(f"the worker ended: {(folder / 'worker.log').read_text()}")
        if options.json:
            told: dict[str, Any] = {name: [vars(sale) for sale in sales] for name, sales in rounds.items()}
            options.json.write_text(json.dumps(told, indent=1), encoding="utf-8")


def _full_run(environ: Mapping[str, str], log: Path) -> None:
    with log.open("wb") as output:
        subprocess.run(
            [*ETALON, "run", "--full"],
            env=dict(environ),
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,  # the sandbox's planted losses make its checks fail; the log tells
        )


def _tell(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=1).ok
    except requests.RequestException:
        return False


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
