"""The stack that people would build instead: dlt loads the files into DuckDB, dbt builds and tests the models.

``reading``: "arrow", tuned as far as dlt goes (DuckDB reads and types, dlt takes Arrow batches and touches no row in Python), or "rows",
as its documentation shows (generators of Python rows, made canonical in the database afterwards). Both write Parquet, replace whole
tables; dbt has its partial parse from a run before, two threads, no log file. Nothing of Étalon is imported.
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
import duckdb
import stack_rows
from stack_feeds import TABLES, Drops, Queries


def cpu_s() -> float:
    """CPU-seconds of this process and of the children that ended."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in spent)


def load(given: dict[str, Any]) -> int:
    """Every feed into the schema canonical. Gives how many order lines."""
    if given["reading"] == "rows":
        source = stack_rows.files(Path(given["drops"]))
        # Dates stay text until they are made canonical, as local times must.
        source.schema.remove_type_detection("iso_timestamp")
        run(given, source, "raw")
        with duckdb.connect(given["database"], config=limits(given)) as con:
            stack_rows.transform(queries(given, con), "raw")
            return stack_rows.line_qty(con)
    # Feed after feed: in turns, dlt's default, all of them would be held in memory at once.
    dlt.config["extract.next_item_mode"] = "fifo"
    with duckdb.connect(config=limits(given)) as con:
        drops = Drops(Path(given["drops"]), queries(given, con))

        @dlt.source(name="retailer", max_table_nesting=0)
        def files() -> Iterator[Any]:
            for feed, table, key, query in TABLES:
                rows = drops.batches(feed, table, key, query)
                yield dlt.resource(rows, name=f"{feed}__{table}", table_name=table, write_disposition="replace")

        return run(given, files(), "canonical")["order_line"]


def run(given: dict[str, Any], source: Any, schema: str) -> dict[str, int]:
    """Load a source; gives rows by table."""
    pipeline = dlt.pipeline(
        "retailer",
        destination=dlt.destinations.duckdb(given["database"]),
        dataset_name=schema,
        pipelines_dir=given["pipelines"],
    )
    pipeline.run(source, loader_file_format="parquet").raise_on_failed_jobs()
    counts: dict[str, int] = pipeline.last_trace.last_normalize_info.row_counts
    return counts


def limits(given: dict[str, Any]) -> dict[str, Any]:
    """DuckDB's settings."""
    return {"memory_limit": given["memory_limit"], "threads": given["threads"]}


def queries(given: dict[str, Any], con: duckdb.DuckDBPyConnection) -> Queries:
    """What makes rows canonical."""
    return Queries(con, given["columns"], bytes.fromhex(given["token_key"]))


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
    lines_qty = load(given)
    loaded = cpu_s()
    nodes = build(given)
    built = cpu_s()
    told: dict[str, float] = {"dlt CPU-s": round(loaded - started, 2), "dbt CPU-s": round(built - loaded, 2), **nodes}
    sys.stdout.write(json.dumps({"rows_qty": lines_qty, "work_cpu_s": built - started, "told": told}) + "\n")


if __name__ == "__main__":
    main()
