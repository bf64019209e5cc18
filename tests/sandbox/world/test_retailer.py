"""The sandbox as a whole: shops that answer, files in their folders, the truth beside them."""

from __future__ import annotations

import base64
import json
import urllib.request
from pathlib import Path

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
            "wms",
        }
        secret = base64.b64encode(f"{sandbox.key_be}:{sandbox.secret_be}".encode()).decode()
        asked = urllib.request.Request(
            f"{sandbox.url_be}/wp-json/wc/v3/customers?per_page=100", headers={"Authorization": f"Basic {secret}"}
        )
        with urllib.request.urlopen(asked, timeout=10) as answer:
            assert len(json.load(answer)) < min(100, int(answer.headers["X-WP-Total"]))
        key = base64.b64encode(f"{sandbox.key_fr}:".encode()).decode()
        asked = urllib.request.Request(
            f"{sandbox.url_fr}/api/orders?output_format=JSON&display=full&limit=0,5",
            headers={"Authorization": f"Basic {key}"},
        )
        with urllib.request.urlopen(asked, timeout=10) as answer:
            assert len(json.load(answer)["orders"]) == 5
    finally:
        sandbox.stop()


def test_the_figures_may_be_left_out(tmp_path: Path) -> None:
    sandbox = start_sandbox(tmp_path, variants=500, orders=2_000, seed=5, tells_truth=False, loses_rows=False)
    sandbox.stop()
    assert json.loads(sandbox.truth_path.read_text(encoding="utf-8")).keys() == {"files", "quarantine"}
