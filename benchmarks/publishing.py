"""Publishing a large bi.duckdb, and ten analyst queries while publishing goes on.

The tables are those of a small retailer's real run, its facts multiplied under new keys. Publishing is the product's own
(`Warehouse.publish`): KPIs into the mart, checkpoint, copy, fsync, swap. The queries are the ten questions of docs/bi.md, each on a
connection of its own, as a tool's refresh does it; beside them a process publishes again and again. The baseline of publishing is
DuckDB's own way to copy a database, `COPY FROM DATABASE`.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.big_retailer.declared import settings
from benchmarks.big_retailer.making import make_retailer
from benchmarks.big_retailer.world import NOW
from benchmarks.harness import (
    Line,
    Outcome,
    Side,
    common_arguments,
    cpu_clock,
    measure_interleaved,
    report,
    run_job_if_asked,
)
from benchmarks.machine import ROOT
from benchmarks.results import percentile
from resources.sql_project import load_project
from resources.warehouse import Warehouse

MODULE = "benchmarks.publishing"
SEED_LINES = 20_000
FACTS = (
    "marts.fct_sales_line",
    "kpis.k2_line",
    "kpis.k2_order",
    "kpis.k2_shipped",
    "kpis.k2_unit_group",
    "kpis.k3a_return_line",
    "kpis.k3a_returned_unit",
    "kpis.k3a_shipped_part",
    "kpis.k3b_return",
    "kpis.k4_observation",
)
KEYS = ("order_id", "line_id", "shipment_id", "return_id")
_QUESTION = re.compile(r"^### \d+\. .*?```sql\n(.*?)```", re.MULTILINE | re.DOTALL)


def questions(page: str) -> list[str]:
    """The queries of docs/bi.md, in its order."""
    return [query.strip().rstrip(";") for query in _QUESTION.findall(page)]


def job(given: dict[str, Any]) -> Outcome:
    """``kind`` publish: some publications; read: the questions in turn for some seconds."""
    return _publish(given) if given["kind"] == "publish" else _read(given)


def _publish(given: dict[str, Any]) -> Outcome:
    warehouse, kpi_tables = Warehouse(Path(given["data"])), given["kpi_tables"]
    if given["until_told"]:
        asked = threading.Thread(target=sys.stdin.read, daemon=True)
        asked.start()
        while asked.is_alive():
            warehouse.publish(kpi_tables=kpi_tables)
            sys.stdout.write("published\n")
            sys.stdout.flush()
        return Outcome(0, 0.0)
    with cpu_clock() as spent:
        published = warehouse.publish(kpi_tables=kpi_tables)
        told = {"publish s": round(published.seconds, 2), "MB": round(published.size / 1e6)}
        return Outcome(sum(published.tables.values()), spent(), told)


def _read(given: dict[str, Any]) -> Outcome:
    queries = questions((ROOT / "docs" / "bi.md").read_text(encoding="utf-8"))
    path = Path(given["data"]) / "published" / "bi.duckdb"
    took_ms: list[list[float]] = [[] for _ in queries]
    copies = set()
    until = time.monotonic() + given["seconds"]
    with cpu_clock() as spent:
        while time.monotonic() < until:
            for number, query in enumerate(queries):
                started = time.perf_counter()
                with duckdb.connect(str(path), read_only=True) as con:
                    con.execute(query).fetchall()
                took_ms[number].append((time.perf_counter() - started) * 1000)
                copies.add(path.stat().st_ino)
        every = [one for times in took_ms for one in times]
        told = {
            "queries": len(queries),
            "p50 ms": round(statistics.median(every), 1),
            "p95 ms": round(percentile(every, 95), 1),
            "slowest query's p95 ms": round(max(percentile(times, 95) for times in took_ms), 1),
            "copies met": len(copies),
        }
        return Outcome(len(every), spent(), told)


def multiply(warehouse: Warehouse, factor: int) -> None:
    """Each row of the facts so many times, under keys of its own."""
    with warehouse.writer(purpose="a benchmark") as con:
        for table in FACTS:
            columns = [str(row[0]) for row in con.execute(f"describe {table}").fetchall()]
            listed = ", ".join(f"md5({name} || copy) as {name}" if name in KEYS else name for name in columns)
            con.execute(
                f"create or replace table {table} as select {listed} from {table}, "
                f"(select cast(range as varchar) as copy from range({factor}))"
            )


@contextmanager
def publishing_beside(given: dict[str, Any]) -> Iterator[None]:
    """Another process publishes again and again; it has begun."""
    command = Side("beside", {**given, "kind": "publish", "until_told": True}, module=MODULE).command
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the publishing process has no pipes")
        try:
            if process.stdout.readline() != "published\n":
                raise RuntimeError("the publishing process could not publish")
            yield
        finally:
            process.stdin.close()
            process.stdout.read()


def measured(folder: Path, arguments: Namespace) -> list[Line]:
    """Publishing, reading at rest, reading while publishing goes on."""
    make_retailer(folder, SEED_LINES, arguments.seed)
    run = Side("run", {"order_lines": SEED_LINES}, module="benchmarks.stack", environ=settings(folder, NOW.isoformat()))
    measure_interleaved([run], 1)
    data, project = folder / "data", load_project(ROOT / "dbt_like_sql")
    multiply(Warehouse(data), max(1, arguments.lines // SEED_LINES))
    kpi_tables = [model.name.split(".")[1] for model in project.models.values() if model.schema == "kpis"]
    given = {"data": str(data), "kpi_tables": kpi_tables, "until_told": False}
    ours = Side("ours", {**given, "kind": "publish"}, module=MODULE)
    measure_interleaved([ours], 1)  # the first one makes what later ones replace
    copying = Side("COPY FROM DATABASE", given, script="copy_from_database.py", python=Path(sys.executable))
    sides = [ours, copying] if arguments.baselines else [ours]
    runs = measure_interleaved(sides, arguments.runs)
    size = f"bi.duckdb of {runs['ours'][0].told['MB']:,} MB"
    baselines = [Line(side.name, size, runs[side.name]) for side in sides[1:]]
    reading = Side("ours", {**given, "kind": "read", "seconds": arguments.seconds}, module=MODULE)
    at_rest = measure_interleaved([reading], arguments.runs)["ours"]
    with publishing_beside(given):
        beside = measure_interleaved([reading], arguments.runs)["ours"]
    return [
        Line("publishing", size, runs["ours"], baselines=baselines),
        Line("ten queries at rest", size, at_rest),
        Line("ten queries while publishing", size, beside),
    ]


def main() -> None:
    """Run it from the command line."""
    parser = common_arguments(str(__doc__))
    parser.add_argument("--lines", type=int, default=400_000, help="rows of the largest fact (default 400,000)")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long queries are asked in one run (default 5)")
    arguments = parser.parse_args()
    if run_job_if_asked(arguments, job):
        return
    with tempfile.TemporaryDirectory() as folder:
        report(measured(Path(folder), arguments), as_json=arguments.json)


if __name__ == "__main__":
    main()
