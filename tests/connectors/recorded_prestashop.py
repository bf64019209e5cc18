"""The recorded PrestaShop, answering lists over its recorded rows: filters, sort, limit, display as the recordings tell them."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

from tests.connectors.transport import Call, Reply, recorded_reply, recorded_rows, recording

_DATE = "Sat, 21 Nov 2026 21:59:36 GMT"
_COLLECTIONS = {
    "products": "products",
    "combinations": "combinations",
    "stock_availables": "stock_availables",
    "specific_prices": "specific_prices",
    "categories": "categories",
    "taxes": "taxes",
    "tax_rules": "tax_rules",
    "customers": "customers",
    "addresses": "addresses",
    "orders": "orders",
    "order_details": "order_details",
    "order_states": "order_states",
    "order_histories": "order_histories",
    "order_slip": "order_slips",
    "currencies": "currencies",
    "product_option_values": "product_option_values",
    "groups": "groups",
    "shops": "shops",
}
_KEY = "Basic " + base64.b64encode(b"WSKEY_DUMMY:").decode()


class RecordedPrestaShop:
    """A shop that holds the recorded rows. ``rows[resource]`` may be changed; ``calls`` are those it got."""

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {
            path: recorded_rows("prestashop", path, key) for path, key in _COLLECTIONS.items()
        }
        for name, key in (("configuration_timezone", "configurations"), ("countries_active_page_1", "countries")):
            self.rows[key] = recording("prestashop", name)["response"]["json"][key]
        self.calls: list[Call] = []

    def __call__(self, call: Call) -> Reply:
        """Answer one call."""
        self.calls.append(call)
        if call.headers.get("Authorization") != _KEY:
            return recorded_reply("prestashop", "error_bad_credentials")
        resource = call.path.removeprefix("/api/")
        if not resource:
            return recorded_reply("prestashop", "resources_index")
        if resource not in self.rows:
            return recorded_reply("prestashop", "error_unknown_resource")
        assert call.query["output_format"] == "JSON"
        rows = self._filtered(resource, call.query)
        if "sort" in call.query:
            assert call.query["sort"] == "[id_ASC]"
            rows = sorted(rows, key=lambda row: int(row["id"]))
        if "limit" in call.query:
            rows = rows[: int(call.query["limit"])]
        shown = self._displayed(rows, call.query.get("display", "[id]"))
        body = json.dumps({_COLLECTIONS.get(resource, resource): shown} if shown else [], ensure_ascii=False)
        return Reply(200, body.encode(), {"Date": _DATE, "Content-Type": "application/json"})

    def _filtered(self, resource: str, query: Any) -> list[dict[str, Any]]:
        rows = self.rows[resource]
        for name, value in query.items():
            match = re.fullmatch(r"filter\[(\w+)\]", name)
            if match:
                rows = [row for row in rows if _passes(str(row[match[1]]), value)]
                if match[1].startswith("date_"):
                    assert query.get("date") == "1", "a filter on a date needs date=1"
        return rows

    @staticmethod
    def _displayed(rows: list[dict[str, Any]], display: str) -> list[dict[str, Any]]:
        if display == "full":
            return rows
        names = display.strip("[]").split(",")
        # a field that the recorded row does not have would be an error 35
        return [{name: row[name] for name in row if name in names} for row in rows]


def _passes(held: str, value: str) -> bool:
    above = re.fullmatch(r">\[(.*)\]", value)
    if above:
        return int(held) > int(above[1])
    inner = value.strip("[]")
    if "," in inner:
        low, high = inner.split(",")
        return low <= held <= high
    return held in inner.split("|")
