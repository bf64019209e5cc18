"""Reading WooCommerce REST v3 collections: parameters, their refusals, filters, order, pages.

Belongs here: which rows a GET of a collection gives. Routes and headers are in `woocommerce_api`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.servers.table import Row, Table
from sandbox.servers.woocommerce_shapes import LOCAL, ORDER_STATUSES

DATE = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}:\d{2})(?:\.\d+)?(Z|[+-]\d{2}:?\d{2})?)?")
MAX_PAGE = 100
_PAGING = ("page", "per_page", "_fields", "oauth_", "consumer_")
PRODUCT_STATUSES = ("any", "future", "trash", "draft", "pending", "private", "publish")
WEBHOOK_FILTERS = ("all", "active", "disabled", "paused")
ORDER_FILTERS = ("any", "trash", "auto-draft", *ORDER_STATUSES)


class ApiError(Exception):
    """A refusal with WooCommerce's code, message and data; ``is_routed``: whether the answer names the methods allowed."""

    def __init__(self, status: int, code: str, message: str, data: Any = None, *, is_routed: bool = True) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.data = {"status": status} if data is None else data
        self.is_routed = is_routed

    def body(self) -> Row:
        """The answer's JSON."""
        return {"code": self.code, "message": self.message, "data": self.data}


def invalid_parameter(name: str, code: str, message: str, data: Any = None) -> ApiError:
    """400 rest_invalid_param."""
    details = {name: {"code": code, "message": message, "data": data}}
    return ApiError(
        400,
        "rest_invalid_param",
        f"Invalid parameter(s): {name}",
        {"status": 400, "params": {name: message}, "details": details},
    )


def listed(values: tuple[str, ...]) -> str:
    """ "a, b, and c"."""
    return f"{', '.join(values[:-1])}, and {values[-1]}"


@dataclass(frozen=True)
class Collection:
    """How one collection may be read. ``orders``: accepted orderby -> the field; ``methods``: the Allow header."""

    orders: Mapping[str, str]
    default_order: tuple[str, str]
    methods: str = "GET, POST"
    statuses: tuple[str, ...] = ()
    has_dates: bool = True
    is_total_lost_past_end: bool = False
    drops_from_links: frozenset[str] = field(default_factory=frozenset)


_POSTS = {
    "date": "date_created_gmt",
    "id": "id",
    "include": "include",
    "title": "name",
    "slug": "slug",
    "modified": "date_modified_gmt",
}
_TERMS = {"id": "id", "include": "include", "name": "name", "slug": "slug", "count": "count"}

COLLECTIONS: dict[str, Collection] = {
    "products": Collection(
        {**_POSTS, "menu_order": "menu_order", "price": "price", "popularity": "total_sales", "rating": "rating_count"},
        ("date", "desc"),
        statuses=PRODUCT_STATUSES,
    ),
    "variations": Collection(
        {**_POSTS, "menu_order": "menu_order"}, ("date", "desc"), methods="GET", statuses=PRODUCT_STATUSES
    ),
    "orders": Collection(
        _POSTS,
        ("date", "desc"),
        statuses=ORDER_FILTERS,
        is_total_lost_past_end=True,
        drops_from_links=frozenset({"status"}),
    ),
    "refunds": Collection(_POSTS, ("date", "desc"), methods="GET", is_total_lost_past_end=True),
    "coupons": Collection(_POSTS, ("date", "desc")),
    "customers": Collection(
        {"id": "id", "include": "include", "name": "username", "registered_date": "date_created_gmt"},
        ("name", "asc"),
        has_dates=False,
    ),
    "products/categories": Collection(_TERMS, ("name", "asc"), has_dates=False),
    "webhooks": Collection(
        {"date": "date_created_gmt", "id": "id", "title": "name"}, ("date", "desc"), statuses=WEBHOOK_FILTERS
    ),
    "taxes": Collection({"id": "id", "order": "order", "priority": "priority"}, ("order", "asc"), has_dates=False),
}


@dataclass(frozen=True)
class Page:
    """One page of ids; ``total`` rows and ``pages`` as the headers tell them."""

    ids: list[int]
    total: int
    pages: int
    number: int


def instant_of(name: str, text: str, zone: str, *, is_gmt: bool) -> str:
    """A date parameter as printed UTC; a naive one is read in the site's zone unless ``is_gmt``."""
    match = DATE.fullmatch(text)
    if match is None:
        raise invalid_parameter(name, "rest_invalid_date", "Invalid date.")
    day, time, offset = match[1], match[2] or "00:00:00", match[3]
    try:
        naive = datetime.fromisoformat(f"{day}T{time}")
    except ValueError as error:
        raise invalid_parameter(name, "rest_invalid_date", "Invalid date.") from error
    if offset:
        aware = datetime.fromisoformat(f"{day}T{time}{'+00:00' if offset == 'Z' else offset}")
    else:
        aware = naive.replace(tzinfo=UTC if is_gmt else ZoneInfo(zone))
    return aware.astimezone(UTC).strftime(LOCAL)


def _whole(name: str, text: str, low: int, high: int | None) -> int:
    if not re.fullmatch(r"-?\d+", text):
        raise invalid_parameter(name, "rest_invalid_type", f"{name} is not of type integer.", {"param": name})
    value = int(text)
    if high is None and value < low:
        raise invalid_parameter(name, "rest_out_of_bounds", f"{name} must be greater than or equal to {low}")
    if high is not None and not low <= value <= high:
        message = f"{name} must be between {low} (inclusive) and {high} (inclusive)"
        raise invalid_parameter(name, "rest_out_of_bounds", message)
    return value


def _choice(name: str, value: str, allowed: tuple[str, ...], shown: str | None = None) -> str:
    if value not in allowed:
        message = f"{shown or name} is not one of {listed(allowed)}."
        raise invalid_parameter(name, "rest_not_in_enum", message)
    return value


def page_of(name: str, table: Table, query: Mapping[str, str], zone: str, within: list[int] | None = None) -> Page:
    """The page a request asks for; `ApiError` 400 for a bad parameter, unknown parameters are ignored.

    ``within``: the ids it may give, for a collection inside another one.
    """
    number = _whole("page", query.get("page", "1"), 1, None)
    size = _whole("per_page", query.get("per_page", "10"), 1, MAX_PAGE)
    asked = tuple((key, value) for key, value in query.items() if not key.startswith(_PAGING))
    ids = table.selection(
        (name, asked, None if within is None else tuple(within)),
        lambda: _selected(name, table, query, zone, table.ids() if within is None else within),
    )
    total = len(ids)
    chosen = ids[(number - 1) * size : number * size]
    if not chosen and number > 1 and COLLECTIONS[name].is_total_lost_past_end:
        return Page([], 0, 0, number)
    return Page(chosen, total, -(-total // size), number)


def _selected(name: str, table: Table, query: Mapping[str, str], zone: str, ids: list[int]) -> list[int]:
    """Every id the filters keep, in the order asked for."""
    collection = COLLECTIONS[name]
    default_by, default_direction = collection.default_order
    order_by = _choice("orderby", query.get("orderby", default_by), tuple(collection.orders))
    direction = _choice("order", query.get("order", default_direction), ("asc", "desc"))
    ids = _by_status(collection, table, ids, query)
    ids = _by_date(collection, table, ids, query, zone)
    ids = _by_value(name, table, ids, query)
    if order_by == "include":
        wanted = _numbers(query.get("include", ""))
        return sorted(ids, key=lambda row_id: wanted.index(row_id) if row_id in wanted else len(wanted))
    if order_by == "id":
        return ids if direction == "asc" else ids[::-1]
    held = collection.orders[order_by]
    return sorted(ids, key=lambda row_id: (_key(table.value(row_id, held)), row_id), reverse=direction == "desc")


def _key(value: Any) -> tuple[int, float, str]:
    if isinstance(value, (int, float)):
        return 0, float(value), ""
    return 1, 0.0, "" if value is None else str(value).lower()


def _by_status(collection: Collection, table: Table, ids: list[int], query: Mapping[str, str]) -> list[int]:
    if not collection.statuses:
        return ids
    wanted = query.get("status", "all" if collection.statuses == WEBHOOK_FILTERS else "any")
    if "orders" in COLLECTIONS and collection is COLLECTIONS["orders"]:
        several = [
            _choice("status", one, collection.statuses, f"status[{i}]") for i, one in enumerate(wanted.split(","))
        ]
    else:
        several = [_choice("status", wanted, collection.statuses)]
    accepted = set(several)
    if "all" in accepted:
        return ids
    if "any" in accepted:
        return [row_id for row_id in ids if table.value(row_id, "status") != "trash"]
    return [row_id for row_id in ids if table.value(row_id, "status") in accepted]


def _by_date(collection: Collection, table: Table, ids: list[int], query: Mapping[str, str], zone: str) -> list[int]:
    if not collection.has_dates:
        return ids
    is_gmt = query.get("dates_are_gmt", "") in ("1", "true")
    tests: list[tuple[str, Callable[[str, str], bool]]] = [
        ("after", lambda held, limit: held > limit),
        ("before", lambda held, limit: held < limit),
    ]
    for prefix, held_in in (("", "date_created_gmt"), ("modified_", "date_modified_gmt")):
        for suffix, test in tests:
            name = prefix + suffix
            if query.get(name):
                limit = instant_of(name, query[name], zone, is_gmt=is_gmt)
                ids = [
                    row_id for row_id in ids if (held := table.value(row_id, held_in)) is not None and test(held, limit)
                ]
    return ids


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part.strip().lstrip("-").isdigit()]


def _by_value(name: str, table: Table, ids: list[int], query: Mapping[str, str]) -> list[int]:
    if query.get("include"):
        wanted = set(_numbers(query["include"]))
        ids = [row_id for row_id in ids if row_id in wanted]
    if query.get("exclude"):
        unwanted = set(_numbers(query["exclude"]))
        ids = [row_id for row_id in ids if row_id not in unwanted]
    if query.get("parent") and name in ("variations", "refunds"):
        parents = set(_numbers(query["parent"]))
        ids = [row_id for row_id in ids if table.value(row_id, "parent_id") in parents]
    if query.get("sku") and name in ("products", "variations"):
        skus = {sku.strip() for sku in query["sku"].split(",")}
        ids = [row_id for row_id in ids if table.value(row_id, "sku") in skus]
    if query.get("customer") and name == "orders":
        ids = [row_id for row_id in ids if str(table.value(row_id, "customer_id")) == query["customer"]]
    if query.get("email") and name == "customers":
        ids = [row_id for row_id in ids if table.value(row_id, "email") == query["email"]]
    if query.get("role", "customer") not in ("all", "customer") and name == "customers":
        ids = [row_id for row_id in ids if table.value(row_id, "role") == query["role"]]
    if query.get("search"):
        text = query["search"].lower()
        ids = [
            row_id
            for row_id in ids
            if text in str(table.value(row_id, "name") or table.value(row_id, "number")).lower()
        ]
    return ids


def only_fields(row: Row, fields: str, *, keeps_links: bool = False) -> Row:
    """A row cut to `_fields`; a row read alone keeps its links."""
    names = [name.strip() for name in fields.split(",") if name.strip()]
    if keeps_links:
        names.append("_links")
    tops = {name.partition(".")[0] for name in names}
    cut: Row = {}
    for name, value in row.items():
        if name not in tops:
            continue
        inner = [one.partition(".")[2] for one in names if one.partition(".")[0] == name]
        if "" in inner or not isinstance(value, dict):
            cut[name] = value
        else:
            cut[name] = only_fields(value, ",".join(inner))
    return cut
