"""Orders of a WooCommerce with dlt's REST source, tuned as far as its settings go. Nothing of Étalon is imported.

Tuned: as many ranges of pages read at once as Étalon has connections, rows cut to the fields that Étalon maps before dlt looks at
them, two tables and not a dozen, no load ids for rows of lists, no guessing of dates, large buffers, Parquet files as the
destination and no database. dlt takes orjson by itself. It still checks less than Étalon does: no contract, no quarantine, no raw
pages, personal values in the clear.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import requests

PAGE_SIZE = 100
ORDER = (
    "id",
    "number",
    "status",
    "currency",
    "customer_id",
    "total",
    "total_tax",
    "shipping_total",
    "shipping_tax",
    "date_created_gmt",
    "date_modified_gmt",
    "date_paid_gmt",
    "date_completed_gmt",
)
LINE = (
    "id",
    "name",
    "product_id",
    "variation_id",
    "quantity",
    "subtotal",
    "subtotal_tax",
    "total",
    "total_tax",
    "sku",
)
BILLING = ("first_name", "last_name", "email", "phone", "country")
NUMBERS = ("id", "customer_id", "product_id", "variation_id", "quantity")


def kept(order: dict[str, Any]) -> dict[str, Any]:
    """The fields of an order that are mapped, its lines as a list."""
    row = {name: order[name] for name in ORDER}
    billing = order["billing"]
    for name in BILLING:
        row[f"billing_{name}"] = billing[name]
    row["shipping_country"] = order["shipping"]["country"]
    row["line_items"] = [{name: line[name] for name in LINE} for line in order["line_items"]]
    return row


def typed(names: tuple[str, ...]) -> dict[str, Any]:
    """Declared columns: nothing is guessed from the values."""
    return {name: {"name": name, "data_type": "bigint" if name in NUMBERS else "text"} for name in names}


def page_qty(given: dict[str, Any]) -> int:
    """How many pages the shop has."""
    answer = requests.get(
        f"{given['url']}/wp-json/wc/v3/orders",
        params={"status": "any", "orderby": "id", "order": "asc", "page": "1", "per_page": str(PAGE_SIZE)},
        auth=(given["key"], given["secret"]),
        headers={"X-Forwarded-Proto": "https"},
        timeout=60,
    )
    return int(answer.headers["X-WP-TotalPages"])


def ranges(pages: int, parts: int) -> list[tuple[int, int]]:
    """First and last page of each part."""
    edges = [round(pages * part / parts) for part in range(parts + 1)]
    return [(first + 1, last) for first, last in pairwise(edges) if last > first]


def main() -> None:
    """Read every order once."""
    given = json.loads(sys.argv[1])
    os.environ |= {
        "EXTRACT__WORKERS": str(given["connections"]),
        "EXTRACT__MAX_PARALLEL_ITEMS": str(2 * given["connections"]),
        "NORMALIZE__WORKERS": "1",  # a second process costs more CPU than it saves wall time
        "DATA_WRITER__BUFFER_MAX_ITEMS": "50000",
        "SCHEMA__DETECTIONS": "[]",
    }
    import dlt
    from dlt.sources.rest_api import rest_api_source

    started = time.process_time()
    resources = [
        {
            "name": f"orders_{number}",
            "table_name": "orders",
            "parallelized": True,
            "columns": typed((*ORDER, *(f"billing_{name}" for name in BILLING), "shipping_country")),
            "nested_hints": {"line_items": {"columns": typed(LINE)}},
            "processing_steps": [{"map": kept}],
            "endpoint": {
                "path": "orders",
                "params": {"status": "any", "orderby": "id", "order": "asc", "per_page": PAGE_SIZE},
                "paginator": {
                    "type": "page_number",
                    "base_page": first,
                    "maximum_page": last + 1,
                    "total_path": None,
                    "stop_after_empty_page": True,
                },
            },
        }
        for number, (first, last) in enumerate(ranges(page_qty(given), given["connections"]), start=1)
    ]
    with tempfile.TemporaryDirectory() as folder:
        source = rest_api_source(
            {
                "client": {
                    "base_url": f"{given['url']}/wp-json/wc/v3/",
                    "auth": {"type": "http_basic", "username": given["key"], "password": given["secret"]},
                    "headers": {"X-Forwarded-Proto": "https"},
                },
                "resources": resources,
            },
            max_table_nesting=1,
        )
        pipeline = dlt.pipeline(
            "orders",
            destination=dlt.destinations.filesystem(bucket_url=Path(folder, "out").as_uri()),
            dataset_name="shop",
            pipelines_dir=folder,
        )
        pipeline.run(source, loader_file_format="parquet", write_disposition="replace")
        counts = pipeline.last_trace.last_normalize_info.row_counts
    told = {"order_line rows": counts["orders__line_items"]}
    sys.stdout.write(
        json.dumps({"rows_qty": counts["orders"], "work_cpu_s": time.process_time() - started, "told": told}) + "\n"
    )


if __name__ == "__main__":
    main()
