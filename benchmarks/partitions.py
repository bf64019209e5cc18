"""A history read by period in 1, 2 and 4 processes, as `etalon backfill` does, beside one reading of it all: the orders of a WooCommerce
(``--orders``), or the tickets of a retailer's tills, a file per store and day (``--lines`` order lines in all).

The shop runs in a process of its own, whose CPU is not counted; a first round, not counted either, makes it draw its pages. However many
processes read, it is asked by the same number of connections in all.
"""

from __future__ import annotations

import os
import tempfile
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

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
from benchmarks.processes import own_peak_rss_mb

MODULE = "benchmarks.partitions"
PROCESSES = (0, 1, 2, 4)
"""0: one reading of all, in the process that is measured."""
DAYS = 121
"""How far the shop's history reaches back."""
LARGE_ORDERS, LARGE_LINES = 100_000, 1_000_000


def job(given: dict[str, Any]) -> Outcome:
    """One backfill, or one reading of all."""
    from assets.periods import reading_runtime
    from benchmarks.machine import ROOT
    from resources.settings import Settings

    with tempfile.TemporaryDirectory() as folder:
        environ = {**os.environ, **(_shop(Path(folder), given) if "url" in given else _tills(Path(folder), given))}
        runtime = reading_runtime(Settings.from_environment(environ, ROOT))
        if given["processes"]:
            return _by_period(runtime, environ, given)
        connector = runtime.connectors[given["system"]]
        [stream] = [stream for stream in connector.streams() if stream.name == given["stream"]]
        started = time.process_time()
        manifest = runtime.extract(connector, stream, full=True, run_id="benchmark")
        if manifest.outcome != "complete":
            raise RuntimeError(manifest.error)
        told = {"entity rows": sum(manifest.entity_rows.values()), "own peak MB": round(own_peak_rss_mb())}
        return Outcome(manifest.landed_qty, time.process_time() - started, told)


def _by_period(runtime: Any, environ: dict[str, str], given: dict[str, Any]) -> Outcome:
    from orchestration.backfill import plan, read_chunks

    chunks = plan(
        runtime,
        given["system"],
        [given["stream"]],
        first=None,
        last=None,
        length=given["by"],
        only_missing=False,
    )
    ended: list[float] = []
    started = time.perf_counter()
    done = read_chunks(
        runtime,
        chunks,
        environ,
        processes=given["processes"],
        on_done=lambda _done: ended.append(time.perf_counter()),
    )
    begun = min(end - one.seconds for end, one in zip(ended, done, strict=True))
    rows: Counter[int] = Counter()
    for one in done:
        if not one.is_complete:
            raise RuntimeError(f"{one.chunk}: {one.error}")
        rows[one.pid] += one.landed_qty
    manifests = runtime.operations.manifests(system_code=given["system"], stream=given["stream"])
    return Outcome(
        rows.total(),
        sum(one.cpu_s for one in done),
        {
            "entity rows": sum(sum(manifest.entity_rows.values()) for manifest in manifests),
            "periods": len(done),
            "rows of each process": ", ".join(f"{qty:,}" for qty in sorted(rows.values(), reverse=True)),
            "start-up s": round(begun - started, 2),
            "reading s": round(max(ended) - begun, 2),
            "busy at once": round(sum(one.seconds for one in done) / (max(ended) - begun), 2),
        },
    )


def _shop(folder: Path, given: dict[str, Any]) -> dict[str, str]:
    """Settings of a data folder in ``folder``; its retailer.yaml is the project's, with the shop that is measured on."""
    from benchmarks.machine import ROOT
    from benchmarks.shop_key import KEY, SECRET
    from benchmarks.stores import NOW, VARIABLES

    shared = f"workers: {given['connections']}, history_readers: {max(1, given['processes'])}"
    _declare(
        folder,
        ROOT / "retailer.yaml",
        (
            ("languages: [fr, en]", f"languages: [fr, en], history_from: {(NOW - timedelta(days=DAYS)).date()}"),
            (
                "channel: web-be, requests_per_second: 1000",
                f"channel: web-be, {shared}, requests_per_second: 1000000",
            ),
        ),
    )
    return {
        **VARIABLES,
        "ETALON_SHOP_BE_URL": given["url"],
        "ETALON_SHOP_BE_KEY": KEY,
        "ETALON_SHOP_BE_SECRET": SECRET,
        "ETALON_SECRET_KEY": "ab" * 32,
        "ETALON_NOW": NOW.isoformat(),
        "ETALON_RETAILER": str(folder / "retailer.yaml"),
        "ETALON_DATA_DIR": str(folder / "data"),
    }


def _tills(folder: Path, given: dict[str, Any]) -> dict[str, str]:
    """Settings of a data folder in ``folder`` on the files of the big retailer that lies in ``given["retailer"]``."""
    from benchmarks.big_retailer.declared import settings
    from benchmarks.big_retailer.world import NOW

    retailer = Path(given["retailer"])
    _declare(
        folder,
        retailer / "retailer.yaml",
        (
            ("languages: [fr]", f"languages: [fr], history_from: {_first_day(retailer / 'drops' / 'pos')}"),
            ("feeds: [pos_tickets]", f"feeds: [pos_tickets], history_readers: {max(1, given['processes'])}"),
        ),
    )
    return {
        **settings(retailer, NOW.isoformat()),
        "ETALON_RETAILER": str(folder / "retailer.yaml"),
        "ETALON_DATA_DIR": str(folder / "data"),
    }


def _first_day(folder: Path) -> date:
    """The day of the oldest file, by its name."""
    stamps = (path.stem.rpartition("_")[2] for path in folder.glob("*.jsonl"))
    return datetime.strptime(min(stamps), "%Y%m%d%H%M%S").date()  # noqa: DTZ007  only its day


def _declare(folder: Path, declared: Path, changes: tuple[tuple[str, str], ...]) -> None:
    """Write ``folder/retailer.yaml``: what is declared, with changes. Raises RuntimeError when it does not hold what is changed."""
    text = declared.read_text(encoding="utf-8")
    for old, new in changes:
        if old not in text:
            raise RuntimeError(f"{declared} no longer holds {old!r}")
        text = text.replace(old, new, 1)
    (folder / "retailer.yaml").write_text(text, encoding="utf-8")


@contextmanager
def _source(arguments: Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """What is read: words for its size, and what the jobs must know of it."""
    from benchmarks.big_retailer.making import make_retailer
    from benchmarks.extraction import running_shop

    if arguments.lines:
        with tempfile.TemporaryDirectory() as folder:
            retailer = Path(folder) / "retailer"
            made = make_retailer(retailer, arguments.lines, arguments.seed)
            given = {"retailer": str(retailer), "system": "pos", "stream": "pos_tickets"}
            yield f"{made['pos_tickets rows']:,} tickets", given
        return
    with running_shop(arguments.orders, seed=arguments.seed, latency_ms=arguments.latency_ms) as url:
        given = {"url": url, "system": "shop_be", "stream": "orders", "connections": arguments.connections}
        words = f"{arguments.orders:,} orders, {arguments.connections} connections, {arguments.latency_ms:g} ms"
        yield words, given


def main() -> None:
    """Run it from the command line."""
    from orchestration.backfill import Length

    parser = common_arguments(str(__doc__))
    parser.add_argument("--orders", type=int, default=4_000, help="orders in the shop (default 4,000)")
    parser.add_argument("--connections", type=int, default=8, help="pages read at once, in all (default 8)")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="how long the shop waits before each answer")
    parser.add_argument(
        "--lines", type=int, default=0, help="read tickets instead, of a retailer of that many order lines"
    )
    parser.add_argument("--by", choices=get_args(Length), default="month", help="length of a period (default month)")
    arguments = parser.parse_args()
    if run_job_if_asked(arguments, job):
        return
    with _source(arguments) as (size, given):
        sides = [
            Side(_name(processes), {**given, "processes": processes, "by": arguments.by}, module=MODULE)
            for processes in PROCESSES
        ]
        if "url" in given:
            measure_interleaved(sides[:2], 1)
        measures = measure_interleaved(sides, arguments.runs)
    is_large = arguments.lines >= LARGE_LINES or (not arguments.lines and arguments.orders >= LARGE_ORDERS)
    goals = {_name(2): [Goal("told.busy at once", 1.5, at_least=True, applies=is_large)]}
    lines = [
        Line(f"history, {name}", f"{size} by {arguments.by}", runs, goals.get(name, ()))
        for name, runs in measures.items()
    ]
    report(lines, as_json=arguments.json)


def _name(processes: int) -> str:
    if not processes:
        return "one reading"
    return f"{processes} process{'es' if processes > 1 else ''}"


if __name__ == "__main__":
    main()
