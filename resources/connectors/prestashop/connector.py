"""The PrestaShop connector: puts client, streams and mappings together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from resources.connectors.prestashop import access, catalogue, customers, orders, prices, refunds, stock
from resources.connectors.prestashop.changed import changed_orders
from resources.connectors.prestashop.client import PrestaShopClient, filters_on
from resources.connectors.prestashop.dates import changed_since, created_in
from resources.connectors.prestashop.facts import (
    Notes,
    Shop,
    read_countries,
    read_currencies,
    read_names,
    read_shop,
    read_states,
    read_tax_rates,
    unless_forbidden,
)
from resources.connectors.prestashop.lenient import raw_number
from resources.connectors.prestashop.price_facts import read_price_facts
from resources.connectors.prestashop.remembered import REMEMBERED_S, Remembered
from resources.connectors.prestashop.rows import CUSTOMER_FIELDS, Product
from resources.connectors.prestashop.scope import Scope, read_scope
from resources.connectors.prestashop.streams import (
    COMBINATIONS,
    CUSTOMERS,
    ORDERS,
    PRICES,
    PRODUCTS,
    SLIPS,
    STOCK,
    STREAMS,
    WRITES,
)
from resources.connectors.prestashop.targeted import product_ids, row_ids
from resources.connectors.prestashop.write_facts import WriteFacts
from resources.connectors.prestashop.write_items import numbers
from resources.connectors.prestashop.writes import PrestaShopWriter
from resources.connectors.sdk.batches import batches
from resources.connectors.sdk.decode import Page, RowDecoder
from resources.connectors.sdk.http import SessionFactory, network_options
from resources.connectors.sdk.periods import Period
from resources.connectors.sdk.polling import Changed
from resources.connectors.sdk.secrets import revealed
from resources.connectors.sdk.stream import AccessCheck, Batch, RawRow, Reading, SeenFile, Stream, WriteCapability
from resources.connectors.sdk.writing import Write, WriteResult
from resources.errors import PermanentError, Where
from resources.privacy import Tokeniser

KIND = "prestashop"
T = TypeVar("T")
Mapper = Callable[[list[Page[Any]]], Batch]
Beside = Callable[[Page[Any]], Page[Any]]


def build(
    system: Any,
    *,
    retailer: Any,
    tokeniser: Tokeniser,
    clock: Callable[[], datetime],
    session_factory: SessionFactory | None = None,
    **http: Any,
) -> PrestaShopConnector:
    """The connector of one PrestaShop declared in retailer.yaml. ``http``: arguments of the HTTP client, for tests."""
    client = PrestaShopClient(
        str(system.url),
        revealed(system.key),
        system_code=system.code,
        clock=clock,
        session_factory=session_factory,
        workers=system.workers,
        page_size=system.page_size,
        shop_id=system.shop_id,
        **{**network_options(system), **http},
    )
    imported = system.imported_orders
    return PrestaShopConnector(
        client,
        system_code=system.code,
        channel_code=system.channel,
        territory=retailer.channel(system.channel).tax_territory,
        time_zone=system.time_zone,
        language_id=system.language_id,
        order_tags=system.order_tags,
        shop_id=system.shop_id,
        imported=orders.Import(imported.module, imported.channel, imported.number_tag) if imported else None,
        tokeniser=tokeniser,
    )


class PrestaShopConnector:
    """Reads one PrestaShop, and writes stocks, prices, publication and shipments back."""

    def __init__(
        self,
        client: PrestaShopClient,
        *,
        system_code: str,
        channel_code: str,
        territory: str,
        time_zone: str,
        language_id: int,
        order_tags: bool,
        shop_id: int | None,
        imported: orders.Import | None,
        tokeniser: Tokeniser,
    ) -> None:
        self.system_code = system_code
        self._client = client
        self._channel_code = channel_code
        self._territory = territory
        self._zone = time_zone
        self._language_id = language_id
        self._order_tags = order_tags
        self._shop_id = shop_id
        self._imported = imported
        self._tokeniser = tokeniser
        facts = WriteFacts(
            client,
            system_code=system_code,
            channel_code=channel_code,
            territory=territory,
            zone=time_zone,
            shop_id=shop_id,
        )
        self._writer = PrestaShopWriter(facts, client.workers)
        self._lists = Remembered()
        self._mappers: Mapping[
            str, Callable[[Shop, Notes, Sequence[int] | None], tuple[Mapper, Beside, RowDecoder[Any]]]
        ] = {
            PRODUCTS.name: self._product_mapper,
            COMBINATIONS.name: self._combination_mapper,
            STOCK.name: self._stock_mapper,
            ORDERS.name: self._order_mapper,
            SLIPS.name: self._slip_mapper,
            CUSTOMERS.name: self._customer_mapper,
        }

    def streams(self) -> tuple[Stream, ...]:
        """Every stream it can read."""
        return STREAMS

    def writes(self) -> tuple[WriteCapability, ...]:
        """Everything it can write."""
        return WRITES

    def write(self, writes: Sequence[Write], *, now: datetime) -> list[WriteResult]:
        """Compare, write and read back; one result per write, in the order asked. See `WritingConnector`."""
        return self._writer.write(writes, now=now)

    def read(self, stream: Stream, *, since_at: datetime | None, now: datetime) -> Reading:
        """Read a stream. The shop's clock is asked first, then the ids that there are: their number is what is announced.

        Streams that are blind to changes are read whole whatever ``since_at`` says.
        """
        return self._read(stream, since_at, None, now)

    def read_ids(self, stream: Stream, external_ids: Sequence[str], *, now: datetime) -> Reading:
        """Read the rows that some external ids name; an item names all stock rows and all prices of its product.

        What the shop does not have any more is absent. The reading is never full.
        """
        return self._read(stream, None, external_ids, now)

    def read_period(
        self,
        stream: Stream,
        period: Period,
        *,
        seen: Sequence[SeenFile] = (),  # noqa: ARG002  a shop has no files
        now: datetime,
    ) -> Reading:
        """Read the rows that were made in a period; their ids are listed first, and their number is what is announced."""
        if stream.period_field is None:
            raise PermanentError(
                f"PrestaShop cannot be asked for the {stream.name} of a period: they have no date",
                where=Where(system_code=self.system_code, stream=stream.name),
                action="read the stream whole",
            )
        return self._read(stream, None, None, now, period)

    def changed(self, stream: Stream, *, since_at: datetime) -> Changed:
        """Which orders changed, without reading them. Of the other streams nothing tells that cheaply."""
        if stream.name != ORDERS.name:
            raise PermanentError(
                f"what changed can be asked of orders only, not of {stream.name}",
                where=Where(system_code=self.system_code, stream=stream.name),
            )
        return changed_orders(self._client, since_at=since_at, zone=self._zone, stream=stream.name)

    def _read(
        self,
        stream: Stream,
        since_at: datetime | None,
        named: Sequence[str] | None,
        now: datetime,
        period: Period | None = None,
    ) -> Reading:
        notes = Notes()
        shop = read_shop(self._client, stream.name, notes)
        scope = self._lists.get(
            "scope", lambda: self._scope(stream.name, notes), at_most_s=0 if named is None else REMEMBERED_S
        )
        watermark_at = min(shop.server_at, now) if shop.server_at else now
        reading = Reading(watermark_at, 0, named is None, iter(()), notes)
        gone: list[int] = []
        if stream.name == PRICES.name:
            self._prices(reading, shop, scope, notes, gone, named)
        elif stream.name in self._mappers:
            is_whole = since_at is None or stream.change_tracking == "full_snapshot"
            if period is not None:
                ids = scope.ids(self._client, stream.name, created_in(period, ZoneInfo(self._zone)))
            elif named is None:
                ids = scope.ids(self._client, stream.name, {} if is_whole else self._changed_since(since_at))
            elif stream.name == ORDERS.name and scope.shop_id is None:
                ids = numbers(named)  # not listed first: whoever does not come is asked for then
            else:
                ids = row_ids(self._client, scope, stream.name, named)
            of_products = None if named is None else product_ids(named)
            to_batch, beside, decoder = self._mappers[stream.name](shop, notes, of_products)
            display = CUSTOMER_FIELDS if stream.name == CUSTOMERS.name else "full"
            pages = self._client.pages(
                stream.name, ids, decoder, _row_id, stream=stream.name, display=display, beside=beside, gone=gone
            )
            reading.announced_qty, reading.is_full = len(ids), named is None and period is None and is_whole
            reading.batches = batches(pages, to_batch)
        else:
            raise PermanentError(
                f"PrestaShop has no stream {stream.name}",
                where=Where(system_code=self.system_code, stream=stream.name),
                action=f"use one of {', '.join(stream.name for stream in STREAMS)}",
            )
        reading.batches = _without_gone(reading, reading.batches, gone, notes)
        return reading

    def replay(self, stream: Stream, rows: Sequence[RawRow], *, now: datetime) -> Batch:
        """Map raw rows again, with the present mapping; they keep the positions they had. What stands beside them is read anew."""
        notes = Notes()
        shop = read_shop(self._client, stream.name, notes)
        body = b'{"rows":[' + b",".join(row.raw.encode() for row in rows) + b"]}"
        labels = tuple(row.position for row in rows)
        if stream.name == PRICES.name:
            scope = self._scope(stream.name, notes)
            terms = self._price_terms(shop, scope, shop.server_at or now, notes)
            is_combination = [row.position.startswith("combinations ") for row in rows]
            if any(is_combination) and not all(is_combination):
                raise PermanentError(
                    "prices of products and of combinations are replayed apart",
                    where=Where(system_code=self.system_code, stream=stream.name),
                )
            if all(is_combination):
                return prices.combinations_to_batch([self._page(catalogue.COMBINATION_DECODER, body, labels)], terms)
            return prices.products_to_batch([self._page(catalogue.PRODUCT_DECODER, body, labels)], terms)
        to_batch, beside, decoder = self._mappers[stream.name](shop, notes, None)
        return to_batch([beside(self._page(decoder, body, labels))])

    def check_access(self) -> tuple[AccessCheck, ...]:
        """Connect and tell what the key may read and write, and the zone. Writes nothing."""
        return access.check(self._client, self._zone, self._shop_id)

    # ------------------------------------------------------------ readings

    @staticmethod
    def _page(decoder: RowDecoder[T], body: bytes, labels: tuple[str, ...]) -> Page[T]:
        return Page("replay", body, decoder.decode(body), labels=labels)

    def _changed_since(self, since_at: datetime | None) -> dict[str, str]:
        return {} if since_at is None else changed_since(since_at, ZoneInfo(self._zone))

    def _scope(self, stream: str, notes: Notes) -> Scope:
        return read_scope(self._client, self._shop_id, self.system_code, stream, notes)

    def _ids(self, resource: str, stream: str, of_products: Sequence[int] | None, field: str) -> list[int]:
        """The ids of a resource: all, or those whose ``field`` is one of some products."""
        if of_products is None:
            return self._client.ids(resource, stream=stream)
        filters = filters_on(field, of_products)
        return sorted({number for asked in filters for number in self._client.ids(resource, asked, stream=stream)})

    def _prices(
        self, reading: Reading, shop: Shop, scope: Scope, notes: Notes, gone: list[int], named: Sequence[str] | None
    ) -> None:
        of_products = None if named is None else product_ids(named)
        own_ids = self._ids("products", PRICES.name, of_products, "id")
        combination_ids = self._ids("combinations", PRICES.name, of_products, "id_product")
        parents: dict[int, Product] = {}
        terms = self._price_terms(shop, scope, reading.watermark_at, notes, parents, of_products)

        def all_batches() -> Iterator[Batch]:
            products = self._client.pages(
                "products",
                own_ids,
                catalogue.PRODUCT_DECODER,
                _row_id,
                stream=PRICES.name,
                display=catalogue.PRICE_FIELDS,
                gone=gone,
            )

            def seen() -> Iterator[Page[Product]]:
                for page in products:
                    parents.update((row.id, row) for row in page.decoded.rows)
                    yield page

            yield from batches(seen(), lambda pages: prices.products_to_batch(pages, terms))
            combinations = self._client.pages(
                "combinations",
                combination_ids,
                catalogue.COMBINATION_DECODER,
                _row_id,
                stream=PRICES.name,
                display="[id,id_product,price,ecotax]",
                gone=gone,
            )
            yield from batches(combinations, lambda pages: prices.combinations_to_batch(pages, terms))

        reading.announced_qty = len(own_ids) + len(combination_ids)
        reading.batches = all_batches()

    def _price_terms(
        self,
        shop: Shop,
        scope: Scope,
        at: datetime,
        notes: Notes,
        parents: Mapping[int, Product] | None = None,
        of_products: Sequence[int] | None = None,
    ) -> prices.Terms:
        """The terms of prices now. ``of_products``: only the specific prices of these products are read, None for all."""
        facts = read_price_facts(
            self._client,
            shop,
            scope,
            notes,
            territory=self._territory,
            zone=self._zone,
            channel_code=self._channel_code,
            system_code=self.system_code,
            stream=PRICES.name,
        )
        # those of product 0 are of every product
        asked_of = None if of_products is None else [0, *of_products]
        specific_ids = self._ids("specific_prices", PRICES.name, asked_of, "id_product")
        specific = self._client.pages(
            "specific_prices", specific_ids, prices.SPECIFIC_DECODER, _row_id, stream=PRICES.name, is_whole=True
        )
        own = self._products(PRICES.name) if parents is None else parents
        return facts.terms(at, own, prices.public_prices(specific, facts.visitor))

    def _products(
        self, stream: str, unreadable: dict[int, str] | None = None, of_products: Sequence[int] | None = None
    ) -> dict[int, Product]:
        """Products by number (all, or ``of_products``), as far as their combinations and stocks need them. ``unreadable`` receives why
        some are missing."""
        ids = self._ids("products", stream, of_products, "id")
        pages = self._client.pages(
            "products",
            ids,
            catalogue.PRODUCT_DECODER,
            _row_id,
            stream=stream,
            display=catalogue.PARENT_FIELDS,
            is_whole=True,
        )
        found: dict[int, Product] = {}
        for page in pages:
            found.update((row.id, row) for row in page.decoded.rows)
            if unreadable is not None:
                unreadable.update((raw_number(bad.raw, "id") or 0, bad.reason) for bad in page.decoded.bad)
        return found

    # ------------------------------------------------------------ mappings

    def _catalogue_terms(
        self,
        shop: Shop,
        stream: str,
        notes: Notes,
        *,
        is_combinations: bool,
        of_products: Sequence[int] | None = None,
    ) -> catalogue.Terms:
        def rates() -> dict[int, int]:
            countries = read_countries(self._client, stream)
            return read_tax_rates(self._client, shop, countries, self._territory, self.system_code, stream)

        def names(resource: str, consequence: str) -> dict[int, str]:
            return unless_forbidden(
                lambda: read_names(self._client, resource, self._language_id, stream), {}, notes, resource, consequence
            )

        return catalogue.Terms(
            shop=shop,
            zone=self._zone,
            language_id=self._language_id,
            tax_rates_bp=unless_forbidden(
                rates, {}, notes, "taxes, tax_rules or countries", "tax rates are left empty"
            ),
            categories=names("categories", "categories are left empty"),
            option_values=names("product_option_values", "names of combinations are those of their products")
            if is_combinations
            else {},
            parents=self._products(stream, of_products=of_products) if is_combinations else {},
        )

    def _countries(self, stream: str, notes: Notes) -> dict[int, str]:
        """Countries where they may be left empty."""
        return unless_forbidden(
            lambda: read_countries(self._client, stream), {}, notes, "countries", "countries are left empty"
        )

    def _product_mapper(
        self, shop: Shop, notes: Notes, _of_products: Sequence[int] | None
    ) -> tuple[Mapper, Beside, RowDecoder[Any]]:
        terms = self._catalogue_terms(shop, PRODUCTS.name, notes, is_combinations=False)
        return lambda pages: catalogue.products_to_batch(pages, terms), _nothing_beside, catalogue.PRODUCT_DECODER

    def _combination_mapper(
        self, shop: Shop, notes: Notes, of_products: Sequence[int] | None
    ) -> tuple[Mapper, Beside, RowDecoder[Any]]:
        terms = self._catalogue_terms(shop, COMBINATIONS.name, notes, is_combinations=True, of_products=of_products)
        return (
            lambda pages: catalogue.combinations_to_batch(pages, terms),
            _nothing_beside,
            catalogue.COMBINATION_DECODER,
        )

    def _stock_mapper(
        self, shop: Shop, _notes: Notes, of_products: Sequence[int] | None
    ) -> tuple[Mapper, Beside, RowDecoder[Any]]:
        unreadable: dict[int, str] = {}
        products = self._products(STOCK.name, unreadable, of_products)
        return (
            lambda pages: stock.to_batch(
                pages, shop=shop, channel_code=self._channel_code, products=products, unreadable=unreadable
            ),
            _nothing_beside,
            stock.DECODER,
        )

    def _order_mapper(
        self, shop: Shop, notes: Notes, of_products: Sequence[int] | None
    ) -> tuple[Mapper, Beside, RowDecoder[Any]]:
        is_remembered = of_products is not None
        terms = self._order_terms(shop, notes, at_most_s=REMEMBERED_S if is_remembered else 0)

        def beside(page: Page[Any]) -> Page[Any]:
            nonlocal terms
            if is_remembered and not orders.are_known(page, terms):
                terms = self._order_terms(shop, notes, at_most_s=0)
            return orders.with_related(self._client, page, terms, notes)

        return lambda pages: orders.to_batch(pages, terms), beside, orders.DECODER

    def _order_terms(self, shop: Shop, notes: Notes, *, at_most_s: float) -> orders.Terms:
        """What orders are mapped with; the shop's lists no older than ``at_most_s`` seconds."""
        stream = ORDERS.name
        return orders.Terms(
            channel_code=self._channel_code,
            zone=self._zone,
            currencies=self._lists.get(
                "currencies", lambda: read_currencies(self._client, stream), at_most_s=at_most_s
            ),
            countries=self._lists.get("countries", lambda: self._countries(stream, notes), at_most_s=at_most_s),
            states=self._lists.get("states", lambda: read_states(self._client, shop, stream), at_most_s=at_most_s),
            order_tags=self._order_tags,
            imported=self._imported,
        )

    def _slip_mapper(
        self, _shop: Shop, _notes: Notes, _of_products: Sequence[int] | None
    ) -> tuple[Mapper, Beside, RowDecoder[Any]]:
        currencies = read_currencies(self._client, SLIPS.name)
        return (
            lambda pages: refunds.to_batch(
                pages, channel_code=self._channel_code, zone=self._zone, currencies=currencies
            ),
            lambda page: refunds.with_orders(self._client, page),
            refunds.DECODER,
        )

    def _customer_mapper(
        self, _shop: Shop, notes: Notes, _of_products: Sequence[int] | None
    ) -> tuple[Mapper, Beside, RowDecoder[Any]]:
        countries = self._countries(CUSTOMERS.name, notes)
        return (
            lambda pages: customers.to_batch(pages, zone=self._zone, countries=countries, tokeniser=self._tokeniser),
            lambda page: customers.with_addresses(self._client, page, notes),
            customers.DECODER,
        )


def _row_id(row: Any) -> int:
    identity: int = row.id
    return identity


def _without_gone(reading: Reading, found: Iterator[Batch], gone: list[int], notes: Notes) -> Iterator[Batch]:
    """The batches; after the last one, rows that were deleted while they were read are not announced any more."""
    yield from found
    if gone:
        reading.announced_qty = (reading.announced_qty or 0) - len(gone)
        notes.tell(f"{len(gone)} rows were deleted while they were read: {', '.join(map(str, sorted(gone)[:20]))}")


def _nothing_beside(page: Page[Any]) -> Page[Any]:
    return page
