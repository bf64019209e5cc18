"""Any recorded shop with numbered pages: serves the exchanges of `tests/recordings/<kind>/` again, in pages of any size.

A shop with other ways has a stand-in of its own: recorded_prestashop.py, recorded_woocommerce.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.connectors.transport import RECORDINGS, Call, Reply

Query = frozenset[tuple[str, str]]


class RecordedShop:
    """Answers what was recorded: lists in the pages asked for, anything else as it stands. ``calls`` are those it got.

    ``page``, ``size``: the query parameters of paging, ``total``: the header that tells how many rows there are. Pages of
    one list, recorded one by one, are put together.
    """

    def __init__(self, kind: str, *, page: str = "page", size: str = "per_page", total: str = "X-Total") -> None:
        self._kind, self._page, self._size, self._total = kind, page, size, total
        self.calls: list[Call] = []
        self._lists: dict[tuple[str, Query], list[tuple[int, list[Any], Mapping[str, str]]]] = {}
        self._others: dict[tuple[str, Query], Reply] = {}
        for path in sorted((RECORDINGS / kind).glob("*.json")):
            self._learn(json.loads(path.read_text(encoding="utf-8")))

    def _learn(self, exchange: dict[str, Any]) -> None:
        request, response = exchange["request"], exchange["response"]
        query = {name: str(value) for name, value in request.get("query", {}).items()}
        rows = response.get("json")
        if response["status"] == 200 and isinstance(rows, list):
            key = request["path"], self._filters(query)
            self._lists.setdefault(key, []).append((int(query.get(self._page, "1")), rows, response["headers"]))
        elif request.get("method", "GET") == "GET":
            text = response["body"] if "body" in response else json.dumps(rows, ensure_ascii=False)
            reply = Reply(response["status"], (text or "").encode(), response["headers"])
            self._others[request["path"], frozenset(query.items())] = reply

    def _filters(self, query: Mapping[str, str]) -> Query:
        return frozenset((name, value) for name, value in query.items() if name not in (self._page, self._size))

    def __call__(self, call: Call) -> Reply:
        """Answer one call; one that was not recorded is an AssertionError that says what to record."""
        self.calls.append(call)
        exact = self._others.get((call.path, frozenset(call.query.items())))
        if exact is not None:
            return exact
        recorded = self._lists.get((call.path, self._filters(call.query)))
        assert recorded, f"tests/recordings/{self._kind} has no exchange GET {call.path} {dict(call.query)}: record it"
        rows = [row for _, page_rows, _ in sorted(recorded, key=lambda part: part[0]) for row in page_rows]
        headers = {name: value for name, value in recorded[0][2].items() if name.lower() != self._total.lower()}
        size = int(call.query.get(self._size, str(len(rows) or 1)))
        start = (int(call.query.get(self._page, "1")) - 1) * size
        body = json.dumps(rows[start : start + size], ensure_ascii=False).encode()
        return Reply(200, body, {**headers, self._total: str(len(rows))})
