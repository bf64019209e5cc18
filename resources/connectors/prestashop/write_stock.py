"""Writes published quantities into stock_availables: the row of the item itself, never the sum row of a product with combinations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from resources.connectors.prestashop.client import PrestaShopClient, filters_on
from resources.connectors.prestashop.lenient import decoder_of
from resources.connectors.prestashop.rows import StockRow
from resources.connectors.prestashop.write_facts import Home
from resources.connectors.prestashop.write_items import item_of, label
from resources.connectors.prestashop.write_results import (
    failed,
    left_alone,
    not_read_back,
    refused,
    refused_as_found,
    same,
    written,
)
from resources.connectors.prestashop.write_rows import Fate, Row, Traffic, send_rows
from resources.connectors.sdk.writing import JsonValue, Write, WriteResult
from resources.errors import EtalonError

DECODER = decoder_of(StockRow)
_RESOURCE = "stock_availables"


def write_stock(client: PrestaShopClient, home: Home, writes: Sequence[Write], traffic: Traffic) -> list[WriteResult]:
    """Write the quantities of some items in one request, with all the items of a product together: each row written makes the shop
    add up the product's sum row, and two requests at once could leave a wrong one."""
    try:
        rows = _rows(client, "id_product", {item_of(write.external_id)[0] for write in writes})
    except EtalonError as error:
        traffic.error = error
        return [failed(write, error) for write in writes]
    results: dict[str, WriteResult] = {}
    todo: list[tuple[Write, StockRow, JsonValue]] = []
    for write in writes:
        row, problem = _row_of(write, rows, home)
        if row is None:
            results[write.key] = refused(write, problem)
            continue
        found = _quantity(row)
        result = left_alone(write, found, same, same)
        if result is None and (problem or isinstance(write.after, bool) or not isinstance(write.after, int)):
            result = refused_as_found(write, found, problem or f"{write.after!r} is not a whole number of units")
        if result is None:
            todo.append((write, row, found))
        else:
            results[write.key] = result
    if todo:
        results.update(_sent(client, todo, traffic))
    return [results[write.key] for write in writes]


def _sent(
    client: PrestaShopClient, todo: Sequence[tuple[Write, StockRow, JsonValue]], traffic: Traffic
) -> dict[str, WriteResult]:
    ids = {write.key: row.id for write, row, _ in todo}
    wanted = {write.key: write.after for write, _, _ in todo}

    def quantities() -> dict[int, JsonValue]:
        return {row.id: _quantity(row) for row in _rows(client, "id", ids.values())}

    def done(rows: Sequence[Row]) -> set[str]:
        shown = quantities()
        return {row.key for row in rows if same(shown.get(ids[row.key]), wanted[row.key])}

    rows = [Row(key, {"id": str(ids[key]), "quantity": str(wanted[key])}) for key in ids]
    fates = send_rows(client, _RESOURCE, "PATCH", rows, done, traffic)
    try:
        shown = quantities()
    except EtalonError as error:
        traffic.error = error
        return {write.key: not_read_back(write, found, fates[write.key], error) for write, _, found in todo}
    return {
        write.key: written(write, found, fates.get(write.key, Fate()), shown.get(row.id), same)
        for write, row, found in todo
    }


def _rows(client: PrestaShopClient, field: str, values: Iterable[int]) -> list[StockRow]:
    return [
        row
        for asked in filters_on(field, values)
        for row in client.rows(
            _RESOURCE, {"display": "full", **asked, "sort": "[id_ASC]"}, DECODER.decode, stream=_RESOURCE
        ).value.rows
    ]


def _row_of(write: Write, rows: Sequence[StockRow], home: Home) -> tuple[StockRow | None, str]:
    """The row that holds an item's quantity, and why it may not be written (empty: it may)."""
    product_id, combination_id = item_of(write.external_id)
    of_product = [row for row in rows if row.id_product == product_id and _is_here(row, home)]
    mine = [row for row in of_product if row.id_product_attribute == combination_id]
    if not mine:
        return None, f"the shop has no stock row of {label(write.external_id)}"
    # a shop's own row, in which no group is named, comes before the one that its group shares (StockAvailable::addSqlShopRestriction)
    row = max(mine, key=lambda found: (found.id_shop != 0, found.id_shop_group == 0, -found.id))
    if not home.shop.is_stock_managed:
        return row, "the shop does not keep stocks (Shop parameters > Product settings)"
    if combination_id == 0 and any(other.id_product_attribute for other in of_product):
        return row, f"product {product_id} has combinations: its own row is their sum, write the combinations"
    if row.depends_on_stock == "1":
        return row, "its quantity follows the advanced stock management of the shop: it cannot be written"
    return row, ""


def _is_here(row: StockRow, home: Home) -> bool:
    if home.shop_id is None:
        return True
    if row.id_shop:
        return row.id_shop == home.shop_id
    return home.scope.shop_group_id is None or row.id_shop_group in (0, home.scope.shop_group_id)


def _quantity(row: StockRow) -> JsonValue:
    text = row.quantity
    return int(text) if text.removeprefix("-").isdecimal() else text
