"""The sandbox as a whole: shops that answer, files in their folders, the truth beside them."""

from __future__ import annotations

import json
from pathlib import Path

import requests

from sandbox.retailer import start_sandbox


def test_a_sandbox_starts_and_stops(tmp_path: Path) -> None:
    sandbox = start_sandbox(tmp_path, variants=500, orders=2_000, seed=5)
    try:
        truth = json.loads(sandbox.truth_path.read_text(encoding="utf-8"))
        assert {"kpi_value", "kpi_exclusion", "worklists", "streams", "files", "quarantine"} <= truth.keys()
        assert truth["streams"] == [{"system": "shop_be", "stream": "customers", "outcome": "incomplete"}]
        assert {path.name for path in sandbox.drops.iterdir()} == {
            "carrier",
            "counts",
            "erp",
            "marketplace",
            "pos",
            "to_erp",
            "wms",
        }
        customers = requests.get(
            f"{sandbox.url_be}/wp-json/wc/v3/customers",
            params={"per_page": 100},
            auth=(sandbox.key_be, sandbox.secret_be),
            headers={"X-Forwarded-Proto": "https"},
            timeout=10,
        )
        assert len(customers.json()) < min(100, int(customers.headers["X-WP-Total"]))
        orders = requests.get(
            f"{sandbox.url_fr}/api/orders",
            params={"output_format": "JSON", "display": "full", "limit": "0,5"},
            auth=(sandbox.key_fr, ""),
            timeout=10,
        )
        assert len(orders.json()["orders"]) == 5
    finally:
        sandbox.stop()


def test_the_figures_may_be_left_out(tmp_path: Path) -> None:
    sandbox = start_sandbox(tmp_path, variants=500, orders=2_000, seed=5, tells_truth=False, loses_rows=False)
    sandbox.stop()
    assert json.loads(sandbox.truth_path.read_text(encoding="utf-8")).keys() == {"files", "quarantine"}
