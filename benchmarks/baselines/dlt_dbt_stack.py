"""The stack that people would build instead: dlt loads the files into DuckDB, dbt builds and tests the models.

Tuned as far as both go: dlt gets Arrow batches (its fast path: no row is touched in Python), writes Parquet, replaces whole tables; dbt
has its partial parse from a run before, two threads, no log file. Nothing of Étalon is imported.
"""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt
from stack_feeds import TABLES, Drops


def cpu_s() -> float:
    """CPU-seconds of this process and of the children that ended."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in spent)


def load(given: dict[str, Any]) -> dict[str, int]:
    """Every feed into the schema canonical. Gives rows by table."""
    # Feed after feed: in turns, dlt's default, all of them would be held in memory at once.
    dlt.config["extract.next_item_mode"] = "fifo"
    drops = Drops(
        Path(given["drops"]),
        columns=given["columns"],
        token_key=bytes.fromhex(given["token_key"]),
        memory_limit=given["memory_limit"],
    )

    @dlt.source(name="retailer", max_table_nesting=0)
    def files() -> Iterator[Any]:
        for feed, table, key, query in TABLES:
            rows = drops.batches(feed, table, key, query)
            yield dlt.resource(rows, name=f"{feed}__{table}", table_name=table, write_disposition="replace")

    pipeline = dlt.pipeline(
        "retailer",
        destination=dlt.destinations.duckdb(given["database"]),
        dataset_name="canonical",
        pipelines_dir=given["pipelines"],
    )
    pipeline.run(files(), loader_file_format="parquet").raise_on_failed_jobs()
    counts: dict[str, int] = pipeline.last_trace.last_normalize_info.row_counts
    return counts


def build(given: dict[str, Any]) -> dict[str, int]:
    """`dbt build`. Gives how many nodes ended how."""
    project = Path(given["project"])
    command = [sys.executable, "-m", "dbt.cli.main", "--log-level-file", "none", "build", "--project-dir", str(project)]
    command += ["--profiles-dir", str(project), "--threads", str(given["threads"])]
    done = subprocess.run(command, cwd=project, stdout=subprocess.PIPE, text=True, check=False)
    results = json.loads((project / "target" / "run_results.json").read_text(encoding="utf-8"))["results"]
    told: dict[str, int] = {}
    for result in results:
        told[result["status"]] = told.get(result["status"], 0) + 1
        if result["status"] in {"error", "fail"}:
            sys.stderr.write(f"{result['unique_id']}: {result['message']}\n")
    if done.returncode != 0:
        sys.stderr.write(done.stdout[-4000:])
        raise SystemExit(f"dbt ended with {done.returncode}: {told}")
    return told


def main() -> None:
    """Load and build, from nothing."""
    given = json.loads(sys.argv[1])
    started = cpu_s()
    Path(given["database"]).unlink(missing_ok=True)
    shutil.rmtree(given["pipelines"], ignore_errors=True)
    rows = load(given)
    loaded = cpu_s()
    nodes = build(given)
    built = cpu_s()
    told: dict[str, float] = {"dlt CPU-s": round(loaded - started, 2), "dbt CPU-s": round(built - loaded, 2), **nodes}
    sys.stdout.write(json.dumps({"rows_qty": rows["order_line"], "work_cpu_s": built - started, "told": told}) + "\n")


if __name__ == "__main__":
    main()
