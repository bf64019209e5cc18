"""Orders of a WooCommerce read over HTTP to canonical headers and lines, with contracts, landing and manifest; beside dlt's REST source.

The shop runs in a process of its own, whose CPU is not counted. A first reading, not counted either, makes it draw its pages.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.environments import environment
from benchmarks.harness import (
    Goal,
    Line,
    Outcome,
    Side,
    common_arguments,
    cpu_clock,
    measure,
    measure_interleaved,
    report,
    run_job_if_asked,
)
from benchmarks.shop_key import KEY, SECRET

MODULE = "benchmarks.extraction"
GOAL_ORDERS = 100_000
MOST_ORDERS_OF_DEFAULT = 20_000
"""dlt as its documentation shows it is measured up to this size: it takes minutes beyond."""
PAGE_SIZE, BURST = 100, 10
WALL = "wall / floor"


def job(given: dict[str, Any]) -> Outcome:
    """One full reading of the shop's orders. ``floor_s``: what latency or rate limit alone would take."""
    from benchmarks.stores import connector_of, demo_retailer, read_into, told

    addresses = {"ETALON_SHOP_BE_URL": given["url"], "ETALON_SHOP_BE_KEY": KEY, "ETALON_SHOP_BE_SECRET": SECRET}
    rate = given.get("requests_per_second") or 1_000_000
    connector = connector_of(
        demo_retailer(addresses), "shop_be", workers=given["connections"], requests_per_second=rate
    )
    with tempfile.TemporaryDirectory() as folder, cpu_clock() as spent:
        started = time.perf_counter()
        manifest = read_into(Path(folder), connector, "orders")
        wall_s = time.perf_counter() - started
        floor_s = given.get("floor_s", 0.0)
        floor = {"floor s": round(floor_s, 2), WALL: round(wall_s / floor_s, 3)} if floor_s else {}
        return Outcome(manifest.landed_qty, spent(), {**told(manifest), "reading s": round(wall_s, 2), **floor})


@contextmanager
def running_shop(orders: int, *, seed: int, latency_ms: float) -> Iterator[str]:
    """A shop in another process that waits so long before each answer; gives its address."""
    with changing_shop(orders, seed=seed) as (url, wait):
        wait(latency_ms)
        yield url


@contextmanager
def changing_shop(orders: int, *, seed: int) -> Iterator[tuple[str, Callable[[float], None]]]:
    """A shop in another process; gives its address, and what sets how many milliseconds it waits before each answer."""
    command = [sys.executable, "-m", "benchmarks.shop", "--orders", str(orders), "--seed", str(seed)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as shop:
        if shop.stdin is None or shop.stdout is None:
            raise RuntimeError("the shop has no pipes")
        given, told = shop.stdin, shop.stdout

        def wait(latency_ms: float) -> None:
            given.write(f"{latency_ms}\n")
            given.flush()
            told.readline()

        try:
            yield json.loads(told.readline())["url"], wait
        finally:
            given.close()


def floor_s(orders: int, connections: int, *, latency_ms: float, requests_per_second: float) -> float:
    """Seconds that the shop alone makes a reading last: its latency over the connections, or its rate limit after the burst."""
    pages = -(-orders // PAGE_SIZE)
    limited = (pages - BURST) / requests_per_second if requests_per_second else 0.0
    return max(pages * latency_ms / 1_000 / connections, limited)


def lines_of(arguments: Namespace, url: str, wait: Callable[[float], None]) -> Iterator[Line]:
    """What is measured, one latency or rate after the other."""
    access = {"url": url, "connections": arguments.connections}
    if arguments.profile:
        runs = measure(MODULE, access, runs=1, profile=arguments.profile)
        yield Line("extraction", f"{arguments.orders:,} orders", runs)
        return
    measure(MODULE, access, runs=1)
    is_full = arguments.orders >= GOAL_ORDERS
    cases = [(latency, 0.0) for latency in arguments.latency_ms]
    cases += [(0.0, rate) for rate in arguments.requests_per_second]
    for latency_ms, rate in cases:
        wait(latency_ms)
        floor = floor_s(arguments.orders, arguments.connections, latency_ms=latency_ms, requests_per_second=rate)
        given = {**access, "requests_per_second": rate, "floor_s": floor}
        size = f"{arguments.orders:,} orders, {arguments.connections} connections, {latency_ms:g} ms"
        goals = [Goal("cpu_s", 6, applies=is_full), Goal("peak_rss_mb", 200, applies=is_full)]
        if floor:
            goals.append(Goal(f"told.{WALL}", 1.35, applies=is_full))
        if rate:
            size += f", {rate:g} calls a second"
        sides = [Side("ours", given, module=MODULE)]
        names: list[str] = []
        if arguments.baselines and not floor:
            goals.append(Goal("cpu_ratio", 5, at_least=True, applies=is_full))
            names = ["tuned"] + (["default"] if arguments.orders <= MOST_ORDERS_OF_DEFAULT else [])
            python = environment("stack", arguments.environments)
            asked = {**access, "key": KEY, "secret": SECRET}
            sides += [Side(name, asked, script=f"dlt_orders_{name}.py", python=python) for name in names]
        runs_of = measure_interleaved(sides, arguments.runs)
        baselines = [Line(f"extraction dlt {name}", size, runs_of[name]) for name in names]
        yield Line("extraction", size, runs_of["ours"], goals, baselines)


def main() -> None:
    """Run it from the command line."""
    parser = common_arguments(str(__doc__))
    parser.add_argument("--orders", type=int, default=5_000, help="orders in the shop (default 5,000)")
    parser.add_argument("--connections", type=int, default=8, help="pages read at once (default 8)")
    parser.add_argument(
        "--latency-ms",
        type=float,
        nargs="*",
        default=[0.0],
        help="how long the shop waits before each answer; several are measured one after another (default 0)",
    )
    parser.add_argument(
        "--requests-per-second", type=float, nargs="*", default=[], help="rate limits to measure as well (default none)"
    )
    arguments = parser.parse_args()
    if run_job_if_asked(arguments, job):
        return
    with changing_shop(arguments.orders, seed=arguments.seed) as (url, wait):
        lines = list(lines_of(arguments, url, wait))
    report(lines, as_json=arguments.json)


if __name__ == "__main__":
    main()
