"""Four months of a WooCommerce's orders read by period in 1, 2 and 4 processes, as `etalon backfill` does, beside one reading of them all.

The shop runs in a process of its own, whose CPU is not counted; a first round, not counted either, makes it draw its pages. However many
processes read, the shop is asked by the same number of connections in all.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any, get_args

from benchmarks.extraction import MODULE as EXTRACTION
from benchmarks.extraction import running_shop
from benchmarks.harness import (
    Goal,
    Line,
    Outcome,
    Side,
    common_arguments,
    measure_interleaved,
    report,
    run_job_if_asked,
)

MODULE = "benchmarks.partitions"
PROCESSES = (1, 2, 4)
DAYS = 121
"""How far the shop's history reaches back."""


def job(given: dict[str, Any]) -> Outcome:
    """One backfill of the shop's orders."""
    from assets.periods import reading_runtime
    from benchmarks.stores import ROOT
    from orchestration.backfill import plan, read_chunks
    from resources.settings import Settings

    with tempfile.TemporaryDirectory() as folder:
        environ = {**os.environ, **_environ(Path(folder), given)}
        runtime = reading_runtime(Settings.from_environment(environ, ROOT))
        chunks = plan(runtime, "shop_be", ["orders"], first=None, last=None, length=given["by"], only_missing=False)
        started = time.perf_counter()
        done = read_chunks(runtime, chunks, environ, processes=given["processes"])
        wall_s = time.perf_counter() - started
        for one in done:
            if not one.is_complete:
                raise RuntimeError(f"{one.chunk}: {one.error}")
        rows: Counter[int] = Counter()
        for one in done:
            rows[one.pid] += one.landed_qty
        return Outcome(
            rows.total(),
            sum(one.cpu_s for one in done),
            {
                "periods": len(done),
                "rows of each process": ", ".join(f"{qty:,}" for qty in sorted(rows.values(), reverse=True)),
                "busy at once": round(sum(one.seconds for one in done) / wall_s, 2),
                "cursor moved": runtime.operations.cursor("shop_be", "orders") is not None,
            },
        )


def _environ(folder: Path, given: dict[str, Any]) -> dict[str, str]:
    """The settings of a data folder in ``folder``; its retailer.yaml is the project's, with the shop that is measured on."""
    from benchmarks.shop import KEY, SECRET
    from benchmarks.stores import NOW, ROOT, VARIABLES

    first = (NOW - timedelta(days=DAYS)).astimezone(UTC).date()
    shared = f"workers: {given['connections']}, history_readers: {given['processes']}, requests_per_second: 1000000"
    text = (ROOT / "retailer.yaml").read_text(encoding="utf-8")
    for old, new in (
        ("languages: [fr, en]", f"languages: [fr, en], history_from: {first}"),
        ("channel: web-be, requests_per_second: 1000", f"channel: web-be, {shared}"),
    ):
        if old not in text:
            raise RuntimeError(f"retailer.yaml no longer holds {old!r}")
        text = text.replace(old, new, 1)
    (folder / "retailer.yaml").write_text(text, encoding="utf-8")
    return {
        **VARIABLES,
        "ETALON_SHOP_BE_URL": given["url"],
        "ETALON_SHOP_BE_KEY": KEY,
        "ETALON_SHOP_BE_SECRET": SECRET,
        "ETALON_RETAILER": str(folder / "retailer.yaml"),
        "ETALON_DATA_DIR": str(folder / "data"),
        "ETALON_SECRET_KEY": "ab" * 32,
        "ETALON_NOW": NOW.isoformat(),
    }


def main() -> None:
    """Run it from the command line."""
    from orchestration.backfill import Length

    parser = common_arguments(str(__doc__))
    parser.add_argument("--orders", type=int, default=5_000, help="orders in the shop (default 5,000)")
    parser.add_argument("--connections", type=int, default=8, help="pages read at once, in all (default 8)")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="how long the shop waits before each answer")
    parser.add_argument("--by", choices=get_args(Length), default="month", help="length of a period (default month)")
    arguments = parser.parse_args()
    if run_job_if_asked(arguments, job):
        return
    with running_shop(arguments.orders, seed=arguments.seed, latency_ms=arguments.latency_ms) as url:
        given = {"url": url, "connections": arguments.connections, "by": arguments.by}
        sides = [
            Side("one reading", {"url": url, "connections": arguments.connections}, module=EXTRACTION),
            *(Side(_name(processes), {**given, "processes": processes}, module=MODULE) for processes in PROCESSES),
        ]
        measure_interleaved(sides[:2], 1)
        measures = measure_interleaved(sides, arguments.runs)
    size = f"{arguments.orders:,} orders by {arguments.by}, {arguments.connections} connections, {arguments.latency_ms:g} ms"
    goals = {_name(2): [Goal("told.busy at once", 1.5, at_least=True, applies=arguments.orders >= 20_000)]}
    lines = [Line(name, size, runs, goals.get(name, ())) for name, runs in measures.items()]
    report(lines, as_json=arguments.json)


def _name(processes: int) -> str:
    return f"by period, {processes} process{'es' if processes > 1 else ''}"


if __name__ == "__main__":
    main()
