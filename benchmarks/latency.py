"""How long from a sale to the new quantity in both shops, under `etalon up --sandbox`.

    python -m benchmarks.latency --during-full-run            a service and a sandbox of its own, at rest and during full runs
    python -m benchmarks.latency --running --events 100       the `etalon up --sandbox` that runs in this folder

Sales are made one by one: orders in either shop, tickets of a till; each shop's API is asked until it shows the quantity that must
follow. It says what the time is made of: seen, decided, written, and when the receipt was kept.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime

from benchmarks.live_service import SHOPS, LiveService, Shops, arguments, machine, opened, percentiles, tell
from resources.fast_lane.book import Book, Listing
from resources.fast_lane.events import OrderEvent
from resources.fast_lane.snapshot import load
from resources.operations import Operations

KINDS = ("order in the French shop", "order in the Belgian shop", "ticket")
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


def usable_targets(service: LiveService) -> list[Target]:
    """Targets by the last stock book and what was sold since."""
    snapshot = load(service.runtime.settings.data_dir)
    if snapshot is None:
        raise SystemExit("there is no stock book yet: let the first full run end")
    book = Book(snapshot)
    book.apply([OrderEvent.of(order) for order in service.runtime.operations.lane.orders()], now=datetime.now(UTC))
    found = targets(book, service.shops)
    if not found:
        raise SystemExit("no product shows alike in both shops: ask for a larger sandbox (--scale)")
    return found


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


def sell(service: LiveService, kind: str, target: Target) -> None:
    """Make one sale of one unit."""
    if kind == "ticket":
        service.sandbox.ask("ring_up_ticket", store=TILL, item=target.item)
        return
    channel = "web-fr" if kind == "order in the French shop" else "web-be"
    external_id = target.listings[channel].external_id
    service.sandbox.ask("place_web_order", shop=SHOPS[channel], lines=[[int(external_id.rpartition("-")[2]), 1]])


def measure(service: LiveService, kind: str, target: Target) -> Sale:
    """Sell one unit and wait until every shop that it bears on shows less: one, or more when the sandbox sells as well."""
    channels = ("web-be",) if kind == "ticket" else tuple(SHOPS)
    shops = service.shops
    before = {channel: shops.quantity(channel, target.listings[channel].external_id) for channel in channels}
    started_at, started = datetime.now(UTC), time.perf_counter()

    def readable(channel: str) -> tuple[float, datetime]:
        while time.perf_counter() - started < LONGEST_S:
            if shops.quantity(channel, target.listings[channel].external_id) < before[channel]:
                return time.perf_counter() - started, datetime.now(UTC)
            time.sleep(ASK_EVERY_S)
        raise TimeoutError(
            f"{kind}: {channel} item {target.listings[channel].external_id} did not change in {LONGEST_S:g} s"
        )

    with ThreadPoolExecutor(len(channels)) as pool:
        waiting = {channel: pool.submit(readable, channel) for channel in channels}
        sell(service, kind, target)
        found = {channel: future.result() for channel, future in waiting.items()}
    sale = Sale(kind, {channel: seconds for channel, (seconds, _) in found.items()})
    last = max(found, key=lambda channel: found[channel][0])
    sale.parts = _parts(service.runtime.operations, target, last, started_at, found[last][1])
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
    for name, values in parts.items():
        p50, p95, p99 = percentiles(values)
        lines.append(f"{name:28}{'slowest':>8}{len(values):>5}{p50:8.3f}{p95:8.3f}{p99:8.3f}{max(values):9.3f}")
    return "\n".join(lines)


def a_round(service: LiveService, events: int, pause_s: float) -> list[Sale]:
    """Sell ``events`` times, kinds in turn."""
    usable = usable_targets(service)
    sales = []
    for number in range(events):
        sales.append(measure(service, KINDS[number % len(KINDS)], usable[number % len(usable)]))
        time.sleep(pause_s)
    return sales


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments(parser)
    parser.add_argument("--events", type=int, default=60, help="sales in each round")
    parser.add_argument("--pause-s", type=float, default=0.3, help="between two sales")
    asked = parser.parse_args()
    with ExitStack() as stack:
        service = opened(asked, stack)
        rounds = {"at rest": a_round(service, asked.events, asked.pause_s)}
        tell(table(f"at rest ({machine()})", rounds["at rest"]))
        if asked.during_full_run:
            with service.full_runs_going_round() as ended:
                time.sleep(5)
                rounds["full run"] = a_round(service, asked.events, asked.pause_s)
                told = f"while full runs go round ({len(ended)} ended: {', '.join(sorted(set(ended))) or 'none'}; {machine()})"
            tell(table(told, rounds["full run"]))
        if asked.json:
            of_rounds = {name: [vars(sale) for sale in sales] for name, sales in rounds.items()}
            asked.json.write_text(json.dumps(of_rounds, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
