"""Everything that is written to a WooCommerce goes through here: to its items or its orders, some calls at once. How is known elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from resources.connectors.sdk.decode import Page, minor_exponent
from resources.connectors.sdk.stream import Batch
from resources.connectors.sdk.writing import Write, WriteResult
from resources.connectors.woocommerce import catalogue
from resources.connectors.woocommerce.client import WooClient
from resources.connectors.woocommerce.facts import Terms
from resources.connectors.woocommerce.item_values import PRICES
from resources.connectors.woocommerce.item_writes import ItemWriter, PriceTerms
from resources.connectors.woocommerce.items import ItemReader
from resources.connectors.woocommerce.rows import Product
from resources.connectors.woocommerce.shipments import ShipmentWriter
from resources.errors import EtalonError, RetryableError

ProductBatch = Callable[[list[Page[Product]], str, Terms, catalogue.Parents], Batch]


@dataclass(frozen=True)
class ShopWriter:
    """Writes to one shop. ``read_prices`` reads its currency and tax settings; ``product_batch`` maps rows as every reading does.

    ``statuses``: the shop's states and ours; ``tracking_note``: see :class:`ShipmentWriter`.
    """

    client: WooClient
    items: ItemReader
    read_prices: Callable[[], tuple[str, Terms]]
    product_batch: ProductBatch
    statuses: Mapping[str, str]
    tracking_note: str | None

    def write(self, writes: Sequence[Write], *, now: datetime) -> list[WriteResult]:
        """One result per write, in the order asked. Raises an EtalonError only when nothing at all was changed."""
        of_orders = {number: write for number, write in enumerate(writes) if write.entity == "order"}
        of_items = {number: write for number, write in enumerate(writes) if write.entity != "order"}
        workers = self.client.workers if len(writes) > 1 else 0
        pool = ThreadPoolExecutor(workers, thread_name_prefix="etalon-write") if workers > 1 else None
        done: dict[int, WriteResult] = {}
        try:
            if of_items:
                results = self._item_writer(list(of_items.values()), pool).write(list(of_items.values()))
                done.update(zip(of_items, results, strict=True))
            if of_orders:
                results = self._shipments(list(of_orders.values()), pool, now=now, is_first=not done)
                done.update(zip(of_orders, results, strict=True))
        finally:
            if pool is not None:
                pool.shutdown(wait=True)
        return [done[number] for number in range(len(writes))]

    def _item_writer(self, writes: Sequence[Write], pool: Executor | None) -> ItemWriter:
        prices = None
        # without a price to write nobody looks at one: then any currency and tax will do
        currency_code, terms = "EUR", Terms(True, {})
        if any(write.attribute in PRICES for write in writes):
            currency_code, terms = self.read_prices()
            prices = PriceTerms(terms, minor_exponent(currency_code))

        def to_batch(pages: list[Page[Product]], parents: catalogue.Parents) -> Batch:
            return self.product_batch(pages, currency_code, terms, parents)

        return ItemWriter(self.client, self.items, to_batch, prices, pool)

    def _shipments(
        self, writes: Sequence[Write], pool: Executor | None, *, now: datetime, is_first: bool
    ) -> list[WriteResult]:
        """Write shipments; where items were written before, an error is told per order."""
        try:
            shipments = ShipmentWriter(self.client, self.statuses, pool, now=now, note=self.tracking_note)
            return shipments.write(writes)
        except EtalonError as error:
            if is_first:
                raise
            # nothing of them was sent: alone they would wait as well
            wished_s = error.retry_after_s if isinstance(error, RetryableError) else None
            return [WriteResult(write.key, "retry", reason=str(error), retry_after_s=wished_s) for write in writes]
