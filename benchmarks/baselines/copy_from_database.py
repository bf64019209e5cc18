"""Publication as DuckDB's documentation has it: a new file, `COPY FROM DATABASE`, and a rename. It copies the mart as it is."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import duckdb


def main() -> None:
    """Copy once."""
    data = Path(json.loads(sys.argv[1])["data"])
    copy = data / "published" / "copied.part"
    copy.unlink(missing_ok=True)
    started, spent = time.monotonic(), time.process_time()
    with duckdb.connect() as con:
        con.execute("set threads = 2; set memory_limit = '2GB'")
        con.execute(f"attach '{data / 'mart.duckdb'}' as mart (read_only)")
        con.execute(f"attach '{copy}' as published (storage_version 'v1.2.0')")
        con.execute("copy from database mart to published")
        counted = con.execute("select sum(estimated_size) from duckdb_tables() where database_name = 'published'")
        rows = int(counted.fetchall()[0][0])
    os.replace(copy, data / "published" / "copied.duckdb")
    told = {"publish s": round(time.monotonic() - started, 2)}
    sys.stdout.write(json.dumps({"rows_qty": rows, "work_cpu_s": time.process_time() - spent, "told": told}) + "\n")


if __name__ == "__main__":
    main()
