"""Reads what the shop holds of some products: prices, combinations, specific prices, and what buyers see of them now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar
from zoneinfo import ZoneInfo

from resources.connectors.prestashop.catalogue import (
    COMBINATION_DECODER,
    PRICE_FIELDS,
    PRODUCT_DECODER,
    is_published,
)
from resources.connectors.prestashop.client import PrestaShopClient, filters_on
from resources.connectors.prestashop.lanes import Lanes
from resources.connectors.prestashop.price_facts import PriceFacts
from resources.connectors.prestashop.prices import (
    SPECIFIC_DECODER,
    Item,
    Public,
    Quote,
    Terms,
    public_prices,
    quote,
)
from resources.connectors.prestashop.rows import Combination, Product
from resources.connectors.prestashop.write_items import item_of, label
from resources.connectors.prestashop.write_promotions import Promotion, shown_promotion
from resources.connectors.sdk.decode import Page, RowDecoder, scaled_int
from resources.connectors.sdk.writing import JsonValue, Write
from resources.errors import PermanentError

T = TypeVar("T")
COMBINATION_FIELDS = "[id,id_product,price,ecotax]"
_STREAM = "prices"


@dataclass
class Shelf:
    """What the shop holds of some products."""

    products: dict[int, Product] = field(default_factory=dict)
    combinations: dict[int, dict[int, Combination]] = field(default_factory=dict)
    specific: Public = field(default_factory=lambda: Public({}, {}))

    def item(self, external_id: str, rates_bp: Mapping[int, int]) -> Item:
        """What an item's price is made of. Raises PermanentError for one that is not there or whose numbers cannot be read."""
        product_id, combination_id = item_of(external_id)
        product = self.products.get(product_id)
        combination = self.combinations.get(product_id, {}).get(combination_id)
        if product is None or (combination_id and combination is None):
            raise PermanentError(f"the shop has no {label(external_id)}")
        own_ecotax = _number(combination.ecotax) if combination else 0
        return Item(
            product_id,
            combination_id,
            _number(product.price),
            _number(combination.price) if combination else 0,
            own_ecotax if own_ecotax > 0 else _number(product.ecotax),
            rates_bp.get(product.id_tax_rules_group, 0),
        )


class ShelfReader:
    """Reads shelves of one shop, as prices are at one moment."""

    def __init__(
        self, client: PrestaShopClient, facts: PriceFacts, zone: ZoneInfo, now: datetime, lanes: Lanes
    ) -> None:
        self._client = client
        self._facts = facts
        self._zone = zone
        self._now = now
        self._lanes = lanes

    def shelf(self, product_ids: Iterable[int]) -> Shelf:
        """Everything of some products, in three calls at once."""
        wanted = sorted(product_ids)
        shelf = Shelf()

        def products() -> None:
            shelf.products = self.products(wanted)

        def combinations() -> None:
            shelf.combinations = self.combinations(wanted)

        def specific() -> None:
            shelf.specific = self.specific(wanted)

        self._lanes.run([products, combinations, specific])
        return shelf

    def rows(self, resource: str, decoder: RowDecoder[T], asked: Mapping[str, str], display: str) -> Page[T]:
        """Some rows of a resource, in the list form."""
        params = {"display": display, **asked, "sort": "[id_ASC]"}
        answer = self._client.rows(resource, params, decoder.decode, stream=_STREAM)
        return Page(resource, answer.body, answer.value)

    def products(self, wanted: Sequence[int]) -> dict[int, Product]:
        """Products by number."""
        return {
            row.id: row
            for asked in filters_on("id", wanted)
            for row in self.rows("products", PRODUCT_DECODER, asked, PRICE_FIELDS).decoded.rows
        }

    def combinations(self, wanted: Sequence[int]) -> dict[int, dict[int, Combination]]:
        """Combinations by product and number."""
        found: dict[int, dict[int, Combination]] = defaultdict(dict)
        for asked in filters_on("id_product", wanted):
            for row in self.rows("combinations", COMBINATION_DECODER, asked, COMBINATION_FIELDS).decoded.rows:
                found[row.id_product][row.id] = row
        return found

    def specific(self, wanted: Sequence[int]) -> Public:
        """The specific prices that the public may get: of some products, and of every one."""
        pages = [
            self.rows("specific_prices", SPECIFIC_DECODER, asked, "full")
            for asked in filters_on("id_product", [0, *wanted])
        ]
        return public_prices(pages, self._facts.visitor)

    def terms(self, shelf: Shelf) -> Terms:
        """The terms of prices now."""
        return self._facts.terms(self._now, shelf.products, shelf.specific)

    def quote(self, external_id: str, shelf: Shelf) -> Quote:
        """The price that is shown. Raises PermanentError when it cannot be told."""
        item = shelf.item(external_id, self._facts.tax_rates_bp)
        problem = shelf.specific.problem(item.product_id)
        if problem:
            raise PermanentError(f"its price cannot be told: {problem}")
        found = quote(item, shelf.specific.of(item.product_id), self.terms(shelf))
        if found.regular_minor is None:
            raise PermanentError("its price cannot be told: how the shop taxes the ecotax is not known")
        return found

    def promotion(self, external_id: str, shelf: Shelf) -> Promotion | None:
        """The promotion that runs or comes; None too for one that is over."""
        found = shown_promotion(self.quote(external_id, shelf), self._zone)
        return None if found is None or found.is_over(self._now) else found

    def value(self, write: Write, shelf: Shelf) -> JsonValue:
        """The present value of what is written."""
        if write.attribute == "regular_minor":
            return self.quote(write.external_id, shelf).regular_minor
        if write.attribute == "promotion":
            promotion = self.promotion(write.external_id, shelf)
            return None if promotion is None else promotion.value()
        product_id, combination_id = item_of(write.external_id)
        if combination_id and combination_id not in shelf.combinations.get(product_id, {}):
            raise PermanentError(f"the shop has no {label(write.external_id)}")
        if product_id not in shelf.products:
            raise PermanentError(f"the shop has no {label(write.external_id)}")
        return is_published(shelf.products[product_id])


def _number(text: str) -> int:
    found = scaled_int(text)
    if found is None:
        raise PermanentError(f"{text!r} is not a decimal number")
    return found
