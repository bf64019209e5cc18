"""Orders of a WooCommerce read over HTTP to canonical headers and lines, with contracts, landing and manifest.

The shop runs in a process of its own, whose CPU is not counted. A first reading, not counted either, makes it draw its pages.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.harness import Line, Outcome, common_arguments, cpu_clock, measure, report, run_job_if_asked

MODULE = "benchmarks.extraction"


def job(given: dict[str, Any]) -> Outcome:
    """One full reading of the shop's orders."""
    from benchmarks.shop import KEY, SECRET
    from benchmarks.stores import connector_of, demo_retailer, read_into, told

    addresses = {"ETALON_SHOP_BE_URL": given["url"], "ETALON_SHOP_BE_KEY": KEY, "ETALON_SHOP_BE_SECRET": SECRET}
    connector = connector_of(
        demo_retailer(addresses), "shop_be", workers=given["connections"], requests_per_second=1_000_000
    )
    with tempfile.TemporaryDirectory() as folder, cpu_clock() as spent:
        manifest = read_into(Path(folder), connector, "orders")
        return Outcome(manifest.landed_qty, spent(), told(manifest))


@contextmanager
def running_shop(orders: int, *, seed: int, latency_ms: float) -> Iterator[str]:
    """A shop in another process; gives its address."""
    command = [sys.executable, "-m", "benchmarks.shop", "--orders", str(orders), "--seed", str(seed)]
    command += ["--latency-ms", str(latency_ms)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as shop:
        if shop.stdin is None or shop.stdout is None:
            raise RuntimeError("the shop has no pipes")
        try:
            yield json.loads(shop.stdout.readline())["url"]
        finally:
            shop.stdin.close()


def main() -> None:
    """Run it from the command line."""
    parser = common_arguments(str(__doc__))
    parser.add_argument("--orders", type=int, default=5_000, help="orders in the shop (default 5,000)")
    parser.add_argument("--connections", type=int, default=8, help="pages read at once (default 8)")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="how long the shop waits before each answer")
    arguments = parser.parse_args()
    if run_job_if_asked(arguments, job):
        return
    with running_shop(arguments.orders, seed=arguments.seed, latency_ms=arguments.latency_ms) as url:
        given = {"url": url, "connections": arguments.connections}
        measure(MODULE, given, runs=1)
        runs = measure(MODULE, given, runs=arguments.runs, profile=arguments.profile)
    size = f"{arguments.orders:,} orders, {arguments.connections} connections, {arguments.latency_ms:g} ms"
    report([Line("extraction", size, runs)], as_json=arguments.json)


if __name__ == "__main__":
    main()
