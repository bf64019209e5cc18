"""The WooCommerce connector: puts client, streams and mappings together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from resources.connectors.sdk.batches import batches
from resources.connectors.sdk.decode import Page, RowDecoder
from resources.connectors.sdk.http import SessionFactory, network_options
from resources.connectors.sdk.paging import NumberedPages
from resources.connectors.sdk.periods import Period
from resources.connectors.sdk.polling import Changed
from resources.connectors.sdk.secrets import revealed
from resources.connectors.sdk.stream import AccessCheck, Batch, RawRow, Reading, SeenFile, Stream, WriteCapability
from resources.connectors.sdk.writing import Write, WriteResult
from resources.connectors.woocommerce import access, catalogue, customers, orders, refunds, targeted
from resources.connectors.woocommerce.changed import changed_orders
from resources.connectors.woocommerce.client import WooClient, has_no_route
from resources.connectors.woocommerce.dates import created_in, modified_since
from resources.connectors.woocommerce.facts import Terms, read_currency, read_terms
from resources.connectors.woocommerce.items import ItemReader
from resources.connectors.woocommerce.rows import Product
from resources.connectors.woocommerce.streams import CUSTOMERS, ORDERS, PRODUCTS, REFUNDS, STREAMS, WRITES
from resources.connectors.woocommerce.webhooks import MadeWebhook, register
from resources.connectors.woocommerce.writer import ShopWriter
from resources.errors import PermanentError, Where
from resources.privacy import Tokeniser

KIND = "woocommerce"
_TERMS_KEPT = timedelta(minutes=5)
_VARIATIONS_OF = re.compile(r"variations of (\d+) ")
T = TypeVar("T")


def build(
    system: Any,
    *,
    retailer: Any,
    tokeniser: Tokeniser,
    clock: Callable[[], datetime],
    session_factory: SessionFactory | None = None,
    **http: Any,
) -> WooCommerceConnector:
    """The connector of one WooCommerce declared in retailer.yaml. ``http``: arguments of the HTTP client, for tests."""
    client = WooClient(
        str(system.url),
        revealed(system.key),
        revealed(system.secret),
        system_code=system.code,
        clock=clock,
        session_factory=session_factory,
        workers=system.workers,
        page_size=system.page_size,
        home_url=system.home_url,
        permalinks=system.permalinks,
        **{**network_options(system), **http},
    )
    return WooCommerceConnector(
        client,
        system_code=system.code,
        channel_code=system.channel,
        territory=retailer.channel(system.channel).tax_territory,
        time_zone=system.time_zone,
        order_tags=system.order_tags,
        statuses=orders.statuses_of(system.statuses),
        tracking_note=system.tracking_note,
        tokeniser=tokeniser,
    )


class WooCommerceConnector:
    """Reads one WooCommerce, and writes to it what a plan or the fast lane asks for."""

    def __init__(
        self,
        client: WooClient,
        *,
        system_code: str,
        channel_code: str,
        territory: str,
        time_zone: str,
        order_tags: bool,
        statuses: Mapping[str, str],
        tracking_note: str | None,
        tokeniser: Tokeniser,
    ) -> None:
        self._tracking_note = tracking_note
        self.system_code = system_code
        self._client = client
        self._channel_code = channel_code
        self._territory = territory
        self._time_zone = time_zone
        self._order_tags = order_tags
        self._statuses = statuses
        self._tokeniser = tokeniser
        self._items = ItemReader(client)
        self._known_terms: tuple[datetime, str, Terms] | None = None

    def streams(self) -> tuple[Stream, ...]:
        """Every stream it can read."""
        return STREAMS

    def writes(self) -> tuple[WriteCapability, ...]:
        """Everything it can write."""
        return WRITES

    def write(self, writes: Sequence[Write], *, now: datetime) -> list[WriteResult]:
        """Compare, write in batches, and read back; one result per write, in the order asked.

        One value of stock, publication or shipment takes three calls: the row, the batch, the row again. A price takes the shop's
        currency and tax settings besides, read afresh each time.
        """
        writer = ShopWriter(
            self._client, self._items, self._prices, self._product_batch, self._statuses, self._tracking_note
        )
        return writer.write(writes, now=now)

    def read_ids(self, stream: Stream, external_ids: Sequence[str], *, now: datetime) -> Reading:
        """Read these root rows again: see `targeted` for what each id brings along. The reading is never full and moves no cursor.

        The currency and tax settings that prices need are read every five minutes only.
        """
        pages: list[Page[Any]]
        if stream.name == PRODUCTS.name:
            if self._known_terms is None or not now - _TERMS_KEPT < self._known_terms[0] <= now:
                self._known_terms = (now, *self._prices())
            _, currency_code, terms = self._known_terms
            parents = catalogue.Parents()
            products, variations = targeted.product_pages(self._client, self._items, external_ids)
            pages = [*products, *variations]
            found = [
                self._product_batch(some, currency_code, terms, parents) for some in (products, variations) if some
            ]
        elif stream.name == ORDERS.name:
            pages = self._named("/orders", {"status": "any"}, orders.DECODER, stream, external_ids)
            found = [self._order_batch(self._exploded(pages), Counter())] if pages else []
        elif stream.name == REFUNDS.name:
            pages = self._named("/refunds", {}, refunds.DECODER, stream, external_ids, self._beside_refund)
            found = [self._refund_batch(pages)] if pages else []
        elif stream.name == CUSTOMERS.name:
            pages = self._named("/customers", {"role": "all"}, customers.DECODER, stream, external_ids)
            found = [self._customer_batch(pages)] if pages else []
        else:
            raise self._no_stream(stream)
        return Reading(now, sum(batch.received_qty for batch in found), False, iter(found))

    def changed(self, stream: Stream, *, since_at: datetime) -> Changed:
        """Which orders changed, without reading them. Of the other streams nothing tells that cheaply."""
        if stream.name != ORDERS.name:
            raise self._no_stream(stream)
        return changed_orders(self._client, since_at=since_at, stream=stream.name)

    def register_webhooks(self, *, url: str, secret: str) -> tuple[MadeWebhook, ...]:
        """Have the shop tell ``url`` of orders and items; see :func:`webhooks.register`."""
        return register(self._client, url=url, secret=secret, system_code=self.system_code)

    def _named(
        self,
        path: str,
        params: dict[str, str],
        decoder: RowDecoder[Any],
        stream: Stream,
        external_ids: Sequence[str],
        beside: Callable[[Page[Any]], Page[Any]] = lambda page: page,
    ) -> list[Page[Any]]:
        return targeted.pages_of(
            self._client, path, params, decoder, external_ids, name=stream.name, row_id=_row_id, beside=beside
        )

    def read(self, stream: Stream, *, since_at: datetime | None, now: datetime) -> Reading:
        """Read a stream. The shop's clock is asked first; announced is the total that the shop gives with page 1.

        Streams that are blind to changes are read whole whatever ``since_at`` says.
        """
        currency_code, server_at = read_currency(self._client, stream.name)
        watermark_at = min(server_at, now) if server_at else now
        if stream.name == PRODUCTS.name:
            return self._products(currency_code, watermark_at)
        if stream.name == ORDERS.name:
            reading = self._orders({} if since_at is None else modified_since(since_at), watermark_at)
            reading.is_full = since_at is None
            return reading
        if stream.name == REFUNDS.name:
            return self._refunds({}, watermark_at)
        if stream.name == CUSTOMERS.name:
            return self._whole(
                CUSTOMERS, "/customers", {"role": "all"}, customers.DECODER, watermark_at, self._customer_batch
            )
        raise self._no_stream(stream)

    def read_period(
        self,
        stream: Stream,
        period: Period,
        *,
        seen: Sequence[SeenFile] = (),  # noqa: ARG002  a shop has no files
        now: datetime,
    ) -> Reading:
        """Read the orders or refunds that were made in a period; announced is the total that the shop gives for it with page 1."""
        _, server_at = read_currency(self._client, stream.name)
        watermark_at = min(server_at, now) if server_at else now
        if stream.name == ORDERS.name:
            reading = self._orders(created_in(period), watermark_at)
        elif stream.name == REFUNDS.name:
            reading = self._refunds(created_in(period), watermark_at)
        else:
            raise PermanentError(
                f"WooCommerce cannot be asked for the {stream.name} of a period",
                where=Where(system_code=self.system_code, stream=stream.name),
                action="read the stream whole",
            )
        reading.is_full = False
        return reading

    def _no_stream(self, stream: Stream) -> PermanentError:
        return PermanentError(
            f"WooCommerce has no stream {stream.name}",
            where=Where(system_code=self.system_code, stream=stream.name),
            action=f"use one of {', '.join(stream.name for stream in STREAMS)}",
        )

    def replay(self, stream: Stream, rows: Sequence[RawRow], *, now: datetime) -> Batch:  # noqa: ARG002
        """Map raw rows again, with the present mapping; they keep the positions they had.

        The raw text of a part (``... line 2``) is its whole order: the order is mapped once, however many of its parts are replayed.
        """
        whole: dict[str, RawRow] = {}
        for row in rows:
            whole.setdefault(_root_position(row.position), row)
        batch = self._replayed(stream, list(whole), [row.raw for row in whole.values()])
        # a part of an order that is refused again is refused with it
        refused = {reject.position: reject for reject in batch.rejects if reject.is_root}
        parts = [
            replace(refused[_root_position(row.position)], position=row.position, is_root=False)
            for row in rows
            if row.position not in whole and _root_position(row.position) in refused
        ]
        batch.rejects = [*batch.rejects, *parts]
        return batch

    def _replayed(self, stream: Stream, positions: Sequence[str], texts: Sequence[str]) -> Batch:
        body = b"[" + b",".join(text.encode() for text in texts) + b"]"
        labels = tuple(positions)

        def page(decoder: RowDecoder[T]) -> Page[T]:
            return Page("replay", body, decoder.decode(body), labels=labels)

        if stream.name == ORDERS.name:
            return self._order_batch(self._exploded([page(orders.DECODER)]), Counter())
        if stream.name == REFUNDS.name:
            return self._refund_batch([self._beside_refund(page(refunds.DECODER))])
        if stream.name == CUSTOMERS.name:
            return self._customer_batch([page(customers.DECODER)])
        currency_code, terms = self._prices()
        parents = catalogue.Parents()
        for parent_page in self._pages("/products", {"status": "any"}, catalogue.DECODER, stream.name, _product_id):
            self._product_batch([parent_page], currency_code, terms, parents)
        again = page(catalogue.DECODER)
        for row, index in zip(again.decoded.rows, again.decoded.positions, strict=True):
            listed_under = _VARIATIONS_OF.match(labels[index])
            if listed_under and not row.parent_id:
                row.parent_id = int(listed_under[1])
        return self._product_batch([again], currency_code, terms, parents)

    def check_access(self) -> tuple[AccessCheck, ...]:
        """Connect and tell what the key may read, what is known of its right to write, and the zone. Writes nothing."""
        return access.check(self._client, self._time_zone, self._statuses)

    # ------------------------------------------------------------ streams

    def _refunds(self, asked: Mapping[str, str], watermark_at: datetime) -> Reading:
        return self._whole(
            REFUNDS, "/refunds", dict(asked), refunds.DECODER, watermark_at, self._refund_batch, self._beside_refund
        )

    def _orders(self, asked: Mapping[str, str], watermark_at: datetime) -> Reading:
        unknown: Counter[str] = Counter()
        reading = self._whole(
            ORDERS,
            "/orders",
            {"status": "any", **asked},
            orders.DECODER,
            watermark_at,
            lambda pages: self._order_batch(pages, unknown),
            prepare=self._exploded,
        )
        reading.batches = self._with_notes(reading, reading.batches, unknown)
        return reading

    @staticmethod
    def _with_notes(reading: Reading, batches: Iterator[Batch], unknown: Counter[str]) -> Iterator[Batch]:
        yield from batches
        reading.notes = [
            *reading.notes,
            *[
                f"{qty} orders have the status {status}, which is not known: their dates tell their state; declare it under `statuses` "
                "in retailer.yaml"
                for status, qty in sorted(unknown.items())
            ],
        ]

    def _products(self, currency_code: str, watermark_at: datetime) -> Reading:
        terms = self._terms()
        first_products = self._client.first_page(
            "/products", {"status": "any"}, catalogue.DECODER, name="products", stream=PRODUCTS.name
        )
        try:
            first_variations = self._client.first_page(
                "/variations", {}, catalogue.DECODER, name="variations", stream=PRODUCTS.name
            )
        except PermanentError as error:
            if not has_no_route(error.what):
                raise
            first_variations = None  # before 11.0: each variable product has its own list
        parents = catalogue.Parents()
        announced = {"products": first_products[0].announced_qty or 0, "variations": 0}
        if first_variations is not None:
            announced["variations"] = first_variations[0].announced_qty or 0
        reading = Reading(watermark_at, sum(announced.values()), True, iter(()))

        def tell(name: str) -> Callable[[int], None]:
            def raise_to(qty: int) -> None:
                announced[name] = qty
                reading.announced_qty = sum(announced.values())

            return raise_to

        def all_batches() -> Iterator[Batch]:
            variable: list[int] = []

            def seen(pages: Iterator[Page[Product]]) -> Iterator[Page[Product]]:
                for page in pages:
                    variable.extend(row.id for row in page.decoded.rows if "variable" in row.type)
                    yield page

            products = self._client.all_pages(
                "/products",
                {"status": "any"},
                catalogue.DECODER,
                name="products",
                stream=PRODUCTS.name,
                first=first_products,
                row_id=_product_id,
                announce=tell("products"),
            )
            yield from batches(seen(products), lambda pages: self._product_batch(pages, currency_code, terms, parents))
            if first_variations is not None:
                variations = self._client.all_pages(
                    "/variations",
                    {},
                    catalogue.DECODER,
                    name="variations",
                    stream=PRODUCTS.name,
                    first=first_variations,
                    row_id=_product_id,
                    announce=tell("variations"),
                )
            else:
                variations = self._variations_by_parent(variable, tell("variations"))
            yield from batches(variations, lambda pages: self._product_batch(pages, currency_code, terms, parents))

        reading.batches = all_batches()
        return reading

    def _variations_by_parent(
        self, parent_ids: Sequence[int], announce: Callable[[int], None]
    ) -> Iterator[Page[Product]]:
        announced = 0
        for parent_id in parent_ids:
            path = f"/products/{parent_id}/variations"
            name = f"variations of {parent_id}"
            first = self._client.first_page(path, {}, catalogue.DECODER, name=name, stream=PRODUCTS.name)
            for page in self._client.all_pages(
                path, {}, catalogue.DECODER, name=name, stream=PRODUCTS.name, first=first, row_id=_product_id
            ):
                for row in page.decoded.rows:
                    row.parent_id = row.parent_id or parent_id  # these lists of older versions do not repeat it
                yield page
            announced += first[0].announced_qty or 0
            announce(announced)

    def _whole(
        self,
        stream: Stream,
        path: str,
        params: dict[str, str],
        decoder: RowDecoder[Any],
        watermark_at: datetime,
        to_batch: Callable[[list[Page[Any]]], Batch],
        beside: Callable[[Page[Any]], Page[Any]] | None = None,
        prepare: Callable[[list[Page[Any]]], list[Page[Any]]] = lambda pages: pages,
    ) -> Reading:
        first = self._client.first_page(path, params, decoder, name=stream.name, stream=stream.name)
        reading = Reading(watermark_at, first[0].announced_qty, True, iter(()))

        def raise_to(qty: int) -> None:
            reading.announced_qty = qty

        pages = self._pages(path, params, decoder, stream.name, _row_id, first=first, announce=raise_to, beside=beside)
        reading.batches = batches(pages, to_batch, prepare=prepare)
        return reading

    def _pages(
        self,
        path: str,
        params: dict[str, str],
        decoder: RowDecoder[T],
        stream_name: str,
        row_id: Callable[[T], int],
        *,
        first: tuple[NumberedPages, Page[T]] | None = None,
        announce: Callable[[int], None] = lambda qty: None,
        beside: Callable[[Page[T]], Page[T]] | None = None,
    ) -> Iterator[Page[T]]:
        return self._client.all_pages(
            path,
            params,
            decoder,
            name=stream_name,
            stream=stream_name,
            first=first or self._client.first_page(path, params, decoder, name=stream_name, stream=stream_name),
            row_id=row_id,
            announce=announce,
            beside=beside,
        )

    # ------------------------------------------------------------ mappings

    def _terms(self) -> Terms:
        return read_terms(self._client, self._territory, self.system_code, PRODUCTS.name)

    def _prices(self) -> tuple[str, Terms]:
        """The shop's currency, and how its prices and VAT go together."""
        currency_code, _ = read_currency(self._client, PRODUCTS.name)
        return currency_code, self._terms()

    def _product_batch(
        self, pages: list[Page[Product]], currency_code: str, terms: Terms, parents: catalogue.Parents
    ) -> Batch:
        return catalogue.to_batch(
            pages, channel_code=self._channel_code, currency_code=currency_code, terms=terms, parents=parents
        )

    def _order_batch(self, pages: list[Page[Any]], unknown: Counter[str]) -> Batch:
        return orders.to_batch(
            pages,
            channel_code=self._channel_code,
            statuses=self._statuses,
            unknown=unknown,
        )

    def _exploded(self, pages: list[Page[Any]]) -> list[Page[Any]]:
        return orders.explode(pages, order_tags=self._order_tags, tokeniser=self._tokeniser)

    def _beside_refund(self, page: Page[Any]) -> Page[Any]:
        return replace(refunds.with_orders(self._client, page), labels=page.labels)

    def _refund_batch(self, pages: list[Page[Any]]) -> Batch:
        return refunds.to_batch(pages, channel_code=self._channel_code)

    def _customer_batch(self, pages: list[Page[Any]]) -> Batch:
        return customers.to_batch(pages, tokeniser=self._tokeniser)


def _root_position(position: str) -> str:
    return position.partition(" line ")[0]


def _row_id(row: Any) -> int:
    identity: int = row.id
    return identity


def _product_id(row: Product) -> int:
    return row.id
