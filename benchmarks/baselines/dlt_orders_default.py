"""Orders of a WooCommerce with dlt's REST source as its documentation shows it: page after page, whole rows, into DuckDB.

It checks less than Étalon does: no contract, no quarantine, no raw pages, personal values in the clear.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import dlt
from dlt.sources.rest_api import rest_api_source


def main() -> None:
    """Read every order once."""
    given = json.loads(sys.argv[1])
    started = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        source = rest_api_source(
            {
                "client": {
                    "base_url": f"{given['url']}/wp-json/wc/v3/",
                    "auth": {"type": "http_basic", "username": given["key"], "password": given["secret"]},
                    "headers": {"X-Forwarded-Proto": "https"},
                    "paginator": {"type": "page_number", "base_page": 1, "total_path": None},
                },
                "resources": [
                    {
                        "name": "orders",
                        "endpoint": {
                            "path": "orders",
                            "params": {"status": "any", "orderby": "id", "order": "asc", "per_page": 100},
                        },
                    }
                ],
            }
        )
        pipeline = dlt.pipeline(
            "orders",
            destination=dlt.destinations.duckdb(str(Path(folder, "orders.duckdb"))),
            dataset_name="shop",
            pipelines_dir=folder,
        )
        pipeline.run(source)
        counts = pipeline.last_trace.last_normalize_info.row_counts
    told = {"order_line rows": counts["orders__line_items"], "tables": sum(not name.startswith("_") for name in counts)}
    sys.stdout.write(
        json.dumps({"rows_qty": counts["orders"], "work_cpu_s": time.process_time() - started, "told": told}) + "\n"
    )


if __name__ == "__main__":
    main()
