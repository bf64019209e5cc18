"""Which rows of a stream some external ids name: what a webhook told, what was just written."""

from __future__ import annotations

from collections.abc import Sequence

from resources.connectors.prestashop.client import PrestaShopClient, filters_on
from resources.connectors.prestashop.scope import Scope
from resources.connectors.prestashop.streams import COMBINATIONS, PRICES, PRODUCTS, STOCK
from resources.connectors.prestashop.write_items import is_item, item_of, numbers


def product_ids(external_ids: Sequence[str]) -> list[int]:
    """Products that items belong to, ascending; what is no item of PrestaShop names none."""
    return sorted({item_of(external_id)[0] for external_id in external_ids if is_item(external_id)})


def row_ids(client: PrestaShopClient, scope: Scope, stream: str, external_ids: Sequence[str]) -> list[int]:
    """The numbers of the rows that there still are, ascending. An item names every stock row, and every combination, of its product."""
    if stream in (STOCK.name, COMBINATIONS.name):
        filters = filters_on("id_product", product_ids(external_ids))
    elif stream in (PRODUCTS.name, PRICES.name):
        filters = filters_on("id", product_ids(external_ids))
    else:
        filters = filters_on("id", numbers(external_ids))
    resource = PRODUCTS.name if stream == PRICES.name else stream
    return sorted({number for asked in filters for number in scope.ids(client, resource, asked)})
