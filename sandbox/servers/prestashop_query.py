"""Reading the PrestaShop Webservice: filters, sort, limit, display, computed prices.

Belongs here: which rows and fields a GET gives. How they are printed is in `prestashop_format`, what is written in
`prestashop_writes`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sandbox.servers.money import MICRO, half_up, printed_one, six_decimals
from sandbox.servers.prestashop_resources import NO_DATE, Resource
from sandbox.servers.table import Row, Table

DATE = re.compile(r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}:\d{2})?")
NUMBER = re.compile(r"-?\d+(\.\d+)?")
PHP_WARNINGS = tuple(
    (
        3,
        (
            "[PHP Warning #2] Trying to access array offset on value of type bool "
            f"(/srv/shop/classes/webservice/WebserviceRequest.php, line {line})"
        ),
    )
    for line in (1333, 1334, 1335, 1336)
)


class WebserviceError(Exception):
    """A refusal: HTTP status and the (code, message) pairs of its body; no pair means an empty HTML body, as a PHP failure gives."""

    def __init__(self, status: int, *errors: tuple[int, str]) -> None:
        super().__init__(f"{status}: {errors}")
        self.status = status
        self.errors = errors


class NothingThere(Exception):
    """404 with an empty body: what a GET of an unknown id answers."""


def closest(word: str, words: list[str]) -> str:
    """The last of the words at the smallest edit distance, as the shop suggests one."""
    best, distance = "", -1
    for candidate in words:
        found = _edit_distance(word, candidate)
        if found == 0:
            return candidate
        if found <= distance or distance < 0:
            best, distance = candidate, found
    return best


def _edit_distance(left: str, right: str) -> int:
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        previous, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
    return row[-1]


def selected_ids(resource: Resource, table: Table, query: Mapping[str, str]) -> list[int]:
    """Ids a list request gives, filtered, sorted and cut. `WebserviceError` for an unknown field."""
    question = tuple((name, value) for name, value in query.items() if name.startswith(("filter[", "sort", "date")))
    chosen = table.selection(question, lambda: _all_selected(resource, table, query))
    return _limited(chosen, query["limit"]) if "limit" in query else chosen


def _all_selected(resource: Resource, table: Table, query: Mapping[str, str]) -> list[int]:
    ids: list[int] | None = None
    for name, value in query.items():
        match = re.fullmatch(r"filter\[([^\]]*)\]", name)
        if match:
            ids = _filtered(resource, table, ids, match[1], value, query.get("date") == "1")
    chosen = table.ids() if ids is None else ids
    if "sort" in query:
        chosen = _sorted(resource, table, chosen, query["sort"], with_dates=query.get("date") == "1")
    return chosen


def _filtered(
    resource: Resource, table: Table, ids: list[int] | None, field: str, value: str, with_dates: bool
) -> list[int]:
    allowed = [name for name in resource.fields if name not in resource.not_filterable]
    if field in ("date_add", "date_upd") and field not in resource.blank:
        raise WebserviceError(500)
    if not with_dates:
        allowed = [name for name in allowed if name not in resource.dates]
    if field not in allowed:
        listed = ", ".join(f'"{name}"' for name in allowed)
        message = f'This filter does not exist. Did you mean: "{closest(field, allowed)}"? The full list is: {listed}'
        raise WebserviceError(500, (32, message), *PHP_WARNINGS)
    wanted = _equals(value)
    if wanted is not None and not resource.is_multilingual(field):
        found: list[int] = []
        # without a sort, rows come in the order of the filtered field, as the shop's database finds them
        for text in sorted(set(wanted), key=_sort_key):
            if field == "id":
                found.extend([int(text)] if text.isdigit() and int(text) in table else [])
            else:
                found.extend(table.where(field, text))
        if ids is None:
            return found
        kept = set(found)
        return [row_id for row_id in ids if row_id in kept]
    test = _test(value, field in resource.dates)
    if ids is None:
        return [row_id for row_id, held in zip(table.ids(), table.column(field), strict=True) if test(held)]
    return [row_id for row_id in ids if test(table.value(row_id, field))]


def _equals(value: str) -> list[str] | None:
    """The texts an equality filter accepts ("7", "[7]", "[7|8]"); None for any other filter."""
    if value[:1] in "<>!%" and value:
        return None
    inner = re.fullmatch(r"\[(.*)\]", value, re.DOTALL)
    text = inner[1] if inner else value
    if value.endswith("]%") or (inner and "," in text):
        return None
    return text.split("|") if inner else [text]


def _test(value: str, is_date: bool) -> Callable[[Any], bool]:
    """The condition of a filter that is no plain equality."""
    match = re.fullmatch(r"(!|<|>|%)?\[(.*)\](%)?", value, re.DOTALL)
    if match is None:
        return lambda held: _same(held, value)
    sign, text, percent = match[1], match[2], match[3]
    if sign == "%" or percent:
        return _like(text, starts=sign == "%", ends=bool(percent))
    if sign in (">", "<"):
        if is_date and not DATE.fullmatch(text):
            return lambda held: False
        above = sign == ">"
        return lambda held: _order(held, text) is not None and (_order(held, text) or 0) * (1 if above else -1) > 0
    if "," in text:
        low, high = text.split(",", 1)
        if is_date and not (DATE.fullmatch(low) and DATE.fullmatch(high)):
            return lambda held: False
        outside = sign == "!"
        return lambda held: _within(held, low, high) is not outside
    others = text.split("|")
    return lambda held: not any(_same(held, other) for other in others)


def _like(text: str, *, starts: bool, ends: bool) -> Callable[[Any], bool]:
    wanted = text.lower()
    if starts and ends:
        return lambda held: wanted in _text(held)
    if ends:
        return lambda held: _text(held).startswith(wanted)
    return lambda held: _text(held).endswith(wanted)


def _text(held: Any) -> str:
    if isinstance(held, list):
        return str(held[0]["value"]).lower() if held else ""
    return "" if held is None or held is False else str(held).lower()


def _order(held: Any, text: str) -> int | None:
    """-1, 0 or 1 as the held value is under, equal to or over a text; numbers as numbers; None for no value."""
    left = _text(held)
    if not left:
        return None
    if NUMBER.fullmatch(left) and NUMBER.fullmatch(text):
        a, b = float(left), float(text)
        return (a > b) - (a < b)
    right = text.lower()
    return (left > right) - (left < right)


def _same(held: Any, text: str) -> bool:
    return _text(held) == text.lower() or _order(held, text) == 0


def _within(held: Any, low: str, high: str) -> bool:
    under, over = _order(held, low), _order(held, high)
    return under is not None and over is not None and under >= 0 and over <= 0


def _sorted(resource: Resource, table: Table, ids: list[int], sort: str, *, with_dates: bool) -> list[int]:
    allowed = [name for name in resource.fields if with_dates or name not in resource.dates]
    inner = sort.strip().removeprefix("[").removesuffix("]")
    for part in reversed([piece for piece in inner.split(",") if piece]):
        name, _, direction = part.rpartition("_")
        if direction.upper() not in ("ASC", "DESC"):
            name, direction = part, "ASC"
        if name not in allowed:
            listed = ", ".join(allowed)
            multilingual = ", ".join(field for field in resource.fields if resource.is_multilingual(field))
            message = f"Unable to filter by this field. However, these are available: {listed}, for i18n fields:{multilingual}"
            raise WebserviceError(500, (38, message), *PHP_WARNINGS)
        ids = sorted(ids, key=lambda row_id: _sort_key(table.value(row_id, name)), reverse=direction.upper() == "DESC")
    return ids


def _sort_key(held: Any) -> tuple[int, float, str]:
    text = _text(held)
    return (0, float(text), "") if NUMBER.fullmatch(text) else (1, 0.0, text)


def _limited(ids: list[int], limit: str) -> list[int]:
    """`limit=count` or `limit=offset,count`; anything unreadable gives no row and no error."""
    parts = limit.split(",")
    if len(parts) > 2 or not all(part.strip().isdigit() for part in parts):
        return []
    offset, count = (0, int(parts[0])) if len(parts) == 1 else (int(parts[0]), int(parts[1]))
    return ids[offset : offset + count]


def displayed_fields(resource: Resource, query: Mapping[str, str], virtual: list[str]) -> tuple[str, ...] | None:
    """Fields a list prints, in the row's order; None = all (display=full). `WebserviceError` for an unknown one."""
    display = query.get("display", "")
    if display == "full":
        return None
    if not display:
        return ("id",)
    names = [name.strip() for name in display.strip().removeprefix("[").removesuffix("]").split(",")]
    for name in names:
        if name not in resource.blank and name not in virtual:
            message = f'Unable to display this field "{name}". However, these are available: {", ".join((*resource.fields, *virtual))}'
            raise WebserviceError(500, (35, message), *PHP_WARNINGS)
    return tuple(name for name in (*resource.fields, *virtual) if name in names)


def price_requests(query: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The `price[name][option]=value` parameters, by name."""
    requests: dict[str, dict[str, str]] = {}
    for name, value in query.items():
        match = re.fullmatch(r"price\[([^\]]+)\]\[([^\]]+)\]", name)
        if match:
            requests.setdefault(match[1], {})[match[2]] = value
    return requests


class PriceCalculator:
    """The price a visitor sees, computed from the rows as the shop does: impact of the combination, specific prices, tax.

    ``local_now`` gives the shop's own time as it prints it.
    """

    def __init__(self, tables: Mapping[str, Table], local_now: Callable[[], str], country_id: str) -> None:
        self._tables = tables
        self._local_now = local_now
        self._country_id = country_id

    def price(self, resource_path: str, row: Row, options: Mapping[str, str]) -> str:
        """One computed price of a product's or combination's row, text with six decimals, rounded to the cent."""
        if resource_path == "combinations":
            product = self._tables["products"].row(int(row["id_product"]))
            combination_id = int(row["id"])
        else:
            product = row
            combination_id = int(options.get("product_attribute") or row.get("id_default_combination") or 0)
        micro = _micro(product["price"])
        if combination_id and combination_id in self._tables["combinations"]:
            micro += _micro(self._tables["combinations"].row(combination_id)["price"])
        rate = self.rate_milli(str(product["id_tax_rules_group"]))
        special = self._special(str(product["id"]), str(combination_id), options) if self._reduced(options) else None
        if special is not None and float(special["price"]) >= 0:
            micro = _micro(special["price"])
        with_tax = options.get("use_tax", "1") != "0"
        if with_tax:
            micro = half_up(micro * (100_000 + rate), 100_000)
        if special is not None:
            micro = self._reduce(micro, special, rate, with_tax)
        return six_decimals(half_up(max(0, micro), 10_000) * 10_000)

    @staticmethod
    def _reduced(options: Mapping[str, str]) -> bool:
        return options.get("use_reduction", "1") != "0"

    @staticmethod
    def _reduce(micro: int, special: Row, rate: int, with_tax: bool) -> int:
        if special["reduction_type"] == "percentage":
            return half_up(micro * (MICRO - _micro(special["reduction"])), MICRO)
        off = _micro(special["reduction"])
        given_with_tax = str(special["reduction_tax"]) == "1"
        if with_tax and not given_with_tax:
            off = half_up(off * (100_000 + rate), 100_000)
        if not with_tax and given_with_tax:
            off = half_up(off * 100_000, 100_000 + rate)
        return micro - off

    def rate_milli(self, group: str) -> int:
        """Tax rate in thousandths of a percent, of the shop's own country."""
        rules = self._tables["tax_rules"]
        for rule_id in rules.where("id_tax_rules_group", group):
            rule = rules.row(rule_id)
            if rule["id_country"] == self._country_id:
                return _micro(self._tables["taxes"].row(int(rule["id_tax"]))["rate"]) // 1000
        return 0

    def _special(self, product_id: str, combination_id: str, options: Mapping[str, str]) -> Row | None:
        """The specific price that applies to a visitor buying one now: the most precise, then the latest."""
        now = self._local_now()
        group = options.get("group", "1")
        table = self._tables["specific_prices"]
        best: tuple[tuple[int, ...], Row] | None = None
        for row_id in table.where("id_product", product_id):
            row = table.row(row_id)
            if not _applies(row, combination_id, group, self._country_id, now):
                continue
            names = ("id_product_attribute", "id_customer", "id_group", "id_country", "id_currency", "id_shop")
            rank = (*(int(str(row[name]) != "0") for name in names), row_id)
            if best is None or rank > best[0]:
                best = (rank, row)
        return None if best is None else best[1]


def _applies(row: Row, combination_id: str, group: str, country: str, now: str) -> bool:
    if str(row["id_product_attribute"]) not in ("0", combination_id) or int(row["from_quantity"]) > 1:
        return False
    if str(row["id_cart"]) != "0" or str(row["id_customer"]) != "0" or str(row["id_currency"]) not in ("0", "1"):
        return False
    if str(row["id_group"]) not in ("0", group) or str(row["id_country"]) not in ("0", country):
        return False
    starts, ends = str(row["from"]), str(row["to"])
    return (starts == NO_DATE or starts <= now) and (ends == NO_DATE or now <= ends)


def _micro(text: Any) -> int:
    """ "24.916667" as millionths."""
    whole, _, decimals = str(text).partition(".")
    sign = -1 if whole.startswith("-") else 1
    return sign * (abs(int(whole or 0)) * MICRO + int((decimals + "000000")[:6]))


def local_text(now: datetime, zone: str) -> str:
    """An instant as the shop prints it."""
    return printed_one(now, zone, "%Y-%m-%d %H:%M:%S")
