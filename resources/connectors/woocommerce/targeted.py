"""Reads single rows of a stream again: what a webhook named, what was just written. Which rows belong to what is named is said here.

No row is searched for beyond what is named: nothing read here tells that something else was deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from resources.connectors.sdk.decode import Page, RowDecoder
from resources.connectors.woocommerce import catalogue
from resources.connectors.woocommerce.client import WooClient
from resources.connectors.woocommerce.items import ItemId, ItemReader, chunks_of
from resources.connectors.woocommerce.rows import Product


def product_pages(
    client: WooClient, reader: ItemReader, external_ids: Sequence[str]
) -> tuple[list[Page[Product]], list[Page[Product]]]:
    """Pages of the products and of the variations that are named.

    ``12`` gives product 12 and, if it has any, all its variations; ``12-34`` gives product 12 and variation 34. A bare id that is no
    product may be a variation: the shop's own messages name them so.
    """
    items = [item for text in external_ids if (item := ItemId.of(text)) is not None]
    products = reader.products(item.product for item in items)
    rows = {row.id: row for page in products for row in page.decoded.rows}
    unknown = {item.product for item in items if item.product not in rows and item.variation is None}
    named = [item for item in items if item.variation is not None] + [
        ItemId(number, number) for number in sorted(unknown)
    ]
    variations = reader.variations(named)
    strangers = {row.parent_id for page in variations for row in page.decoded.rows} - set(rows)
    products += reader.products(strangers)
    whole = {item.product for item in items if item.variation is None and item.product in rows}
    taken = {row.id for page in variations for row in page.decoded.rows}
    for product_id in sorted(whole):
        if "variable" in rows[product_id].type:
            variations += [_without(page, taken) for page in _variations_of(client, product_id)]
    return products, variations


def _variations_of(client: WooClient, product_id: int) -> Iterator[Page[Product]]:
    path, name = f"/products/{product_id}/variations", f"variations of {product_id}"
    first = client.first_page(path, {}, catalogue.DECODER, name=name, stream="products")
    for page in client.all_pages(
        path, {}, catalogue.DECODER, name=name, stream="products", first=first, row_id=lambda row: row.id
    ):
        for row in page.decoded.rows:
            row.parent_id = row.parent_id or product_id
        yield page


def _without(page: Page[Product], taken: set[int]) -> Page[Product]:
    decoded = page.decoded
    kept = [
        (row, position) for row, position in zip(decoded.rows, decoded.positions, strict=True) if row.id not in taken
    ]
    decoded.rows[:] = [row for row, _ in kept]
    decoded.positions[:] = [position for _, position in kept]
    return page


def pages_of(
    client: WooClient,
    path: str,
    params: dict[str, str],
    decoder: RowDecoder[Any],
    external_ids: Sequence[str],
    *,
    name: str,
    row_id: Callable[[Any], int],
    beside: Callable[[Page[Any]], Page[Any]] = lambda page: page,
) -> list[Page[Any]]:
    """Pages of the rows with these ids of a collection."""
    ids = [int(text) for text in external_ids if text.isascii() and text.isdigit()]
    pages: list[Page[Any]] = []
    for chunk in chunks_of(ids):
        asked = {**params, "include": ",".join(map(str, chunk))}
        page_name = f"{name} {chunk[0]} to {chunk[-1]}"
        first = client.first_page(path, asked, decoder, name=page_name, stream=name)
        pages += client.all_pages(
            path, asked, decoder, name=page_name, stream=name, first=first, row_id=row_id, beside=beside
        )
    return pages
