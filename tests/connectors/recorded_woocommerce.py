"""The recorded WooCommerce, answering any page of its recorded rows: paging, totals and filters as the recordings' README tells them."""

from __future__ import annotations

import json
from typing import Any

from tests.connectors.transport import Call, Reply, recorded_reply, recorded_rows

_API = "/wp-json/wc/v3"
_DATE = "Sat, 21 Nov 2026 21:47:53 GMT"
_EXACT = {
    "/data/currencies/current": "currency_current",
    "/orders/statuses": "order_statuses",
    "/settings/general": "settings_general",
    "/settings/tax": "settings_tax",
    "/settings/products": "settings_products",
}


class RecordedWooCommerce:
    """A shop that holds the recorded rows. ``rows[path]`` may be changed; ``calls`` are those it got."""

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {
            "/products": recorded_rows("woocommerce", "products"),
            "/variations": recorded_rows("woocommerce", "all_variations"),
            "/orders": recorded_rows("woocommerce", "orders"),
            "/refunds": recorded_rows("woocommerce", "refunds"),
            "/customers": recorded_rows("woocommerce", "customers"),
            "/taxes": recorded_rows("woocommerce", "taxes"),
        }
        self.calls: list[Call] = []
        self.has_variations_list = True

    def __call__(self, call: Call) -> Reply:
        """Answer one call."""
        self.calls.append(call)
        if call.path == "/wp-json/":
            return recorded_reply("woocommerce", "site_index")
        path = call.path.removeprefix(_API)
        if path in _EXACT:
            return recorded_reply("woocommerce", _EXACT[path])
        rows = self._rows(path)
        if rows is None:
            return recorded_reply("woocommerce", "error_unknown_route")
        return self._page(path, rows, call)

    def _rows(self, path: str) -> list[dict[str, Any]] | None:
        if path == "/variations" and not self.has_variations_list:
            return None
        if path.startswith("/products/") and path.endswith("/variations"):
            return self.variations_of(int(path.split("/")[2]))
        return self.rows.get(path)

    def variations_of(self, parent_id: int) -> list[dict[str, Any]]:
        """The variations of one product."""
        return [row for row in self.rows["/variations"] if row["parent_id"] == parent_id]

    def _page(self, path: str, rows: list[dict[str, Any]], call: Call) -> Reply:
        query = call.query
        if "include" in query:
            wanted = {int(text) for text in query["include"].split(",")}
            rows = [row for row in rows if row["id"] in wanted]
        if "modified_after" in query and path != "/customers":
            assert query.get("dates_are_gmt") == "true", "a naive date would be read in the site's zone"
            rows = [row for row in rows if (row["date_modified_gmt"] or "") > query["modified_after"]]
        size, page = int(query.get("per_page", "10")), int(query.get("page", "1"))
        shown = sorted(rows, key=lambda row: int(row["id"]))[(page - 1) * size : page * size]
        total = 0 if not shown and path in ("/orders", "/refunds") else len(rows)
        if "_fields" in query:
            shown = [{name: row[name] for name in query["_fields"].split(",") if name in row} for row in shown]
        headers = {
            "Date": _DATE,
            "X-WP-Total": str(total),
            "X-WP-TotalPages": str(-(-total // size)),
            "Allow": "GET" if path == "/variations" else "GET, POST",
        }
        return Reply(200, json.dumps(shown, ensure_ascii=False).encode(), headers)
