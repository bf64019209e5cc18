"""Flat files with dlt's filesystem source, as its documentation reads them: its CSV or JSON Lines reader, typed and written as Parquet.

It checks less than Étalon does: no control total, no schema of a document, no contract. A CSV's bad lines are left out without a word.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path

import dlt
from dlt.sources.filesystem import filesystem, read_csv, read_jsonl


def main() -> None:
    """Read the files that match once."""
    given = json.loads(sys.argv[1])
    os.environ["DATA_WRITER__BUFFER_MAX_ITEMS"] = "50000"
    files = filesystem(bucket_url=Path(given["drops"]).as_uri(), file_glob=given["pattern"])
    if given["pattern"].endswith(".csv"):
        options = {"sep": ";", "encoding": "latin-1", "decimal": ",", "on_bad_lines": "skip"}
        rows = files | read_csv(chunksize=100_000, **options)
    else:
        rows = files | read_jsonl(chunksize=10_000)
    started = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        destination = dlt.destinations.filesystem(bucket_url=Path(folder, "out").as_uri())
        pipeline = dlt.pipeline("files", destination=destination, dataset_name="files", pipelines_dir=folder)
        pipeline.run(rows.with_name("rows"), loader_file_format="parquet", write_disposition="replace")
        counts = pipeline.last_trace.last_normalize_info.row_counts
    told = {"rows of all tables": sum(qty for name, qty in counts.items() if not name.startswith("_dlt"))}
    sys.stdout.write(
        json.dumps({"rows_qty": counts["rows"], "work_cpu_s": time.process_time() - started, "told": told}) + "\n"
    )


if __name__ == "__main__":
    main()
