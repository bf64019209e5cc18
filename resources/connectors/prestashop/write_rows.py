"""Rows on their way into PrestaShop: XML bodies, and requests of many rows of which only the last is answered.

Several rows under <prestashop> are written one after the other; at the first that is refused the shop stops, keeps those before and
does not try those after. So a request that failed is taken apart here: what was done is asked for, the first row that was not is sent
alone to hear what is said of it, and the others go on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from lxml import etree

from resources.connectors.prestashop.client import PrestaShopClient, is_not_permitted
from resources.errors import EtalonError, PermanentError

_NODES = {
    "combinations": "combination",
    "order_carriers": "order_carrier",
    "order_histories": "order_history",
    "products": "product",
    "specific_prices": "specific_price",
    "stock_availables": "stock_available",
}
# answers that are about one row; PHP's own failure (500, empty) may be about one row too
_OF_A_ROW = re.compile(r"HTTP (400|404|500)\b")
# PHP breaks, or a module only warns, after a row was saved as well: the answer is a 500 all the same
_IN_DOUBT = re.compile(r"HTTP 500\b")
MOST_FAILURES = 5  # rows refused by PHP itself, one after the other: the shop is down rather than the rows bad


@dataclass(frozen=True)
class Row:
    """One row to write. ``key`` names it here; ``fields`` in the order sent, ``id`` first where the row exists."""

    key: str
    fields: Mapping[str, str]


@dataclass(frozen=True)
class Fate:
    """What is known of a row after it was sent, before it is read back. ``error`` None: the shop said yes."""

    request_id: str | None = None
    error: EtalonError | None = None


@dataclass
class Traffic:
    """What the chunks of one call tell each other. ``error``: why no more is sent; ``is_sent``: whether anything was."""

    error: EtalonError | None = None
    is_sent: bool = False


def document(resource: str, rows: Sequence[Row]) -> bytes:
    """The XML body of rows, directly under <prestashop>: wrapped in the collection's name they are refused."""
    root = etree.Element("prestashop")
    for row in rows:
        node = etree.SubElement(root, _NODES[resource])
        for name, value in row.fields.items():
            etree.SubElement(node, name).text = value
    return etree.tostring(root, encoding="unicode").encode()


def send_rows(
    client: PrestaShopClient,
    resource: str,
    method: Literal["PATCH", "POST"],
    rows: Sequence[Row],
    done: Callable[[Sequence[Row]], set[str]],
    traffic: Traffic,
) -> dict[str, Fate]:
    """Write rows (PATCH or POST) in one request, and take it apart when it fails. ``done`` reads which rows are as wanted.

    Never raises EtalonError: each row has its fate. A row whose fate is an error that may be gone later may have been written.
    """
    fates: dict[str, Fate] = {}
    waiting = list(rows)
    failures = 0
    while waiting:
        error = _sent(client, resource, method, waiting, fates, traffic)
        if error is None:
            return fates
        if not _may_be_one_row(error):
            fates.update((row.key, _failed(error)) for row in waiting)
            return fates
        if len(waiting) > 1:
            try:
                kept = done(waiting)
            except EtalonError:
                fates.update((row.key, _failed(error)) for row in waiting)
                return fates
            fates.update((row.key, Fate(error.where.request_id)) for row in waiting if row.key in kept)
            waiting = [row for row in waiting if row.key not in kept]
            if not waiting:
                return fates
            error = _sent(client, resource, method, waiting[:1], fates, traffic)
        if error is not None:
            fates[waiting[0].key] = _failed(error)
            failures = 0 if isinstance(error, PermanentError) else failures + 1
            if not _may_be_one_row(error) or failures >= MOST_FAILURES:
                fates.update((row.key, _failed(error)) for row in waiting[1:])
                return fates
        waiting = waiting[1:]
    return fates


def looked_behind(
    fates: Mapping[str, Fate], rows: Sequence[Row], done: Callable[[Sequence[Row]], set[str]]
) -> dict[str, Fate]:
    """The fates of rows on which more depends: one that PHP failed on is asked for, and is no failure when it is as wanted."""
    doubtful = [row for row in rows if (error := fates[row.key].error) is not None and _IN_DOUBT.match(error.what)]
    if not doubtful:
        return dict(fates)
    try:
        kept = done(doubtful)
    except EtalonError:
        return dict(fates)
    return {key: Fate(fate.request_id) if key in kept else fate for key, fate in fates.items()}


def delete_rows(client: PrestaShopClient, resource: str, row_ids: Iterable[int], traffic: Traffic) -> Fate:
    """DELETE rows, one request each. A failure that is one row's alone (it is gone already) leaves the others to be deleted."""
    fate = Fate()
    for row_id in row_ids:
        traffic.is_sent = True
        try:
            request_id = client.delete(resource, row_id)
        except EtalonError as error:
            fate = _failed(error)
            if not _may_be_one_row(error):
                return fate
        else:
            fate = Fate(request_id, fate.error)
    return fate


def _sent(
    client: PrestaShopClient,
    resource: str,
    method: Literal["PATCH", "POST"],
    rows: Sequence[Row],
    fates: dict[str, Fate],
    traffic: Traffic,
) -> EtalonError | None:
    """Send rows in one request: their fates when it works, else the error."""
    traffic.is_sent = True
    row_id = rows[0].fields.get("id") if len(rows) == 1 else None
    try:
        request_id = client.write(method, resource, document(resource, rows), row_id)
    except EtalonError as error:
        return error
    fates.update((row.key, Fate(request_id)) for row in rows)
    return None


def _may_be_one_row(error: EtalonError) -> bool:
    if isinstance(error, PermanentError) and is_not_permitted(error):
        return False
    return _OF_A_ROW.match(error.what) is not None


def _failed(error: EtalonError) -> Fate:
    return Fate(error.where.request_id, error)
