"""Writes stock, prices, promotions and publication to products and variations: compare, send in batches, read back.

All values of an item go in one change, so that a sale price and the regular price it must stay under arrive together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

from resources.connectors.sdk.stream import Batch as ReadBatch
from resources.connectors.sdk.writing import Write, WriteResult
from resources.connectors.woocommerce import catalogue
from resources.connectors.woocommerce.batch import Sent, batches_of, send_all
from resources.connectors.woocommerce.catalogue import tax_class_of
from resources.connectors.woocommerce.client import WooClient
from resources.connectors.woocommerce.facts import Terms
from resources.connectors.woocommerce.item_values import (
    ATTRIBUTES,
    is_same,
    misshapen,
    promotion_fields,
    promotion_of,
    refusal,
    status_fields,
)
from resources.connectors.woocommerce.items import STREAM, Item, ItemId, ItemReader, Items
from resources.connectors.woocommerce.outcomes import judged, result
from resources.connectors.woocommerce.stored_prices import stored_texts
from resources.errors import EtalonError


@dataclass(frozen=True)
class PriceTerms:
    """How this shop's prices and VAT go together, and the digits of its currency's minor unit."""

    terms: Terms
    exponent: int


@dataclass
class _Task:
    """One write on its way to a result. ``fields``: what is sent for it."""

    write: Write
    item: Item | None = None
    result: WriteResult | None = None
    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether it has no result yet."""
        return self.result is None

    def end(self, outcome: Any, reason: str = "") -> None:
        """Give it a result before anything is sent."""
        attribute = self.write.attribute
        is_found = self.item is not None
        found = self.item.values.get(attribute) if self.item is not None else None
        self.result = result(self.write, outcome, found=found, is_found=is_found, reason=reason)


class ItemWriter:
    """Writes values of items. ``to_batch`` maps rows as a reading does; ``prices``: the terms, None where no price is written."""

    def __init__(
        self,
        client: WooClient,
        reader: ItemReader,
        to_batch: Callable[[list[Any], catalogue.Parents], ReadBatch],
        prices: PriceTerms | None,
        pool: Executor | None,
    ) -> None:
        self._client = client
        self._reader = reader
        self._to_batch = to_batch
        self._prices = prices
        self._pool = pool

    def write(self, writes: Sequence[Write]) -> list[WriteResult]:
        """One result per write, in their order. Raises an EtalonError only when nothing was changed."""
        tasks = [_Task(write) for write in writes]
        self._refuse_misshapen(tasks)
        open_tasks = [task for task in tasks if task.is_open]
        if open_tasks:
            self._compare(open_tasks, self._read(open_tasks))
            self._refuse_what_would_not_stay(open_tasks)
            self._fill_prices(open_tasks)
            self._fill_others(open_tasks)
            sent = self._send([task for task in open_tasks if task.is_open])
            self._read_back([task for task in open_tasks if task.is_open], sent)
        return [task.result for task in tasks if task.result is not None]

    # before ------------------------------------------------------------

    @staticmethod
    def _refuse_misshapen(tasks: Iterable[_Task]) -> None:
        seen = set()
        for task in tasks:
            write = task.write
            if write.attribute not in ATTRIBUTES:
                task.end("refused", f"WooCommerce has no {write.attribute} of {write.entity} to write")
            elif ItemId.of(write.external_id) is None or write.location_code:
                task.end("refused", f"{write.external_id!r} {write.location_code} names no item of a WooCommerce")
            elif reason := misshapen(write.attribute, write.after):
                task.end("refused", reason)
            elif (write.external_id, write.attribute) in seen:
                task.end("retry", "another value for the same item came with it: that one is written first")
            else:
                seen.add((write.external_id, write.attribute))

    def _read(self, tasks: Sequence[_Task]) -> Items:
        with_parents = any(task.write.attribute != "published_qty" for task in tasks)
        ids = dict.fromkeys(task.write.external_id for task in tasks)
        return self._reader.read(ids, self._to_batch, with_parents=with_parents, pool=self._pool)

    @staticmethod
    def _compare(tasks: Iterable[_Task], items: Items) -> None:
        for task in tasks:
            write = task.write
            item = task.item = items.found.get(write.external_id)
            if item is None:
                unreadable = items.unreadable.get(write.external_id)
                task.end(
                    "refused",
                    f"its row in the shop cannot be understood: {unreadable}"
                    if unreadable
                    else f"the shop has no item {write.external_id}: deleted, in the trash, or a variation of another product",
                )
            elif is_same(write.attribute, item.values[write.attribute], write.after):
                task.end("unchanged")

    @staticmethod
    def _refuse_what_would_not_stay(tasks: Sequence[_Task]) -> None:
        priced = {task.write.external_id for task in tasks if task.is_open and task.write.attribute == "regular_minor"}
        published = {
            task.write.external_id
            for task in tasks
            if task.is_open and task.write.attribute == "is_published" and task.write.after is True
        }
        for task in tasks:
            if not task.is_open or task.item is None:
                continue
            write = task.write
            reason = refusal(
                write.attribute,
                write.after,
                task.item,
                has_new_price=write.external_id in priced,
                has_new_parent=str(task.item.row.parent_id) in published,
            )
            if reason:
                task.end("refused", reason)
            elif not is_same(write.attribute, task.item.values[write.attribute], write.before):
                task.end("moved")

    def _fill_prices(self, tasks: Sequence[_Task]) -> None:
        if self._prices is None:
            return
        regulars = [task for task in tasks if task.is_open and task.write.attribute == "regular_minor"]
        self._fill_texts(regulars, "regular_price")
        wanted = {task.write.external_id: task.write.after for task in regulars if task.is_open}
        promotions = [task for task in tasks if task.is_open and task.write.attribute == "promotion"]
        for task in promotions:
            promotion = promotion_of(task.write.after)
            if task.item is None or promotion is None:
                task.fields = promotion_fields(None, None)
                continue
            regular = wanted.get(task.write.external_id, task.item.values["regular_minor"])
            if not isinstance(regular, int) or promotion[0] >= regular:
                task.end(
                    "refused",
                    f"a promotion must be below the regular price ({_shown(regular, self._prices.exponent)}): the shop drops it "
                    "without a word",
                )
        reduced = [task for task in promotions if task.is_open and task.write.after is not None]
        self._fill_texts(reduced, "sale_price")
        for task in reduced:
            if task.is_open:
                task.fields = promotion_fields(promotion_of(task.write.after), task.fields["sale_price"])

    def _fill_texts(self, tasks: Sequence[_Task], name: str) -> None:
        """Set the stored text of each task's price, or refuse it where there is none."""
        if self._prices is None or not tasks:
            return
        asked = []
        for task in tasks:
            promotion = promotion_of(task.write.after) if task.write.attribute == "promotion" else None
            minor = promotion[0] if promotion else int(str(task.write.after))
            assert task.item is not None  # noqa: S101 (an open task was compared with its item)
            asked.append((minor, tax_class_of(task.item.row, task.item.parent)))
        texts = stored_texts(asked, self._prices.terms, self._prices.exponent)
        for task, (minor, taxed_as), (text, nearest) in zip(tasks, asked, texts, strict=True):
            if text is not None:
                task.fields = {name: text}
                continue
            if taxed_as == "parent":
                task.end("refused", "its tax is its product's, which cannot be read")
                continue
            below, above = (_shown(price, self._prices.exponent) for price in nearest)
            task.end(
                "refused",
                f"no price that the shop can hold is {_shown(minor, self._prices.exponent)} with VAT: the nearest are {below} and "
                f"{above} (prices {'with' if self._prices.terms.is_included else 'without'} tax, "
                f"{self._prices.terms.price_decimals} decimals)",
            )

    @staticmethod
    def _fill_others(tasks: Sequence[_Task]) -> None:
        for task in tasks:
            if not task.is_open or task.item is None:
                continue
            if task.write.attribute == "published_qty":
                task.fields = {"stock_quantity": task.write.after}
            elif task.write.attribute == "is_published":
                task.fields = status_fields(task.write.after is True, task.item)

    # there and back ----------------------------------------------------

    def _send(self, tasks: Sequence[_Task]) -> dict[str, Sent]:
        """Send products first: a variation may be published only with its product. External id -> what is known of it."""
        products: dict[int, dict[str, Any]] = {}
        variations: dict[int, dict[int, dict[str, Any]]] = {}
        for task in tasks:
            item = ItemId.of(task.write.external_id)
            if item is None:
                continue
            bodies = products if item.variation is None else variations.setdefault(item.product, {})
            bodies.setdefault(item.row_id, {}).update(task.fields)
        sent: dict[int, Sent] = {}
        for stage in (
            batches_of("/products/batch", products),
            [
                batch
                for parent, bodies in sorted(variations.items())
                for batch in batches_of(f"/products/{parent}/variations/batch", bodies)
            ],
        ):
            sent |= send_all(self._client, stage, sent.values(), stream=STREAM, pool=self._pool)
        return {
            task.write.external_id: sent[item.row_id]
            for task in tasks
            if (item := ItemId.of(task.write.external_id)) is not None
        }

    def _read_back(self, tasks: Sequence[_Task], sent: dict[str, Sent]) -> None:
        to_read = [task for task in tasks if sent[task.write.external_id].state in ("accepted", "unclear")]
        found: dict[str, Item] = {}
        trouble = ""
        try:
            if to_read:
                found = self._read(to_read).found
        except EtalonError as error:
            trouble = error.what
        promoted = {task.write.external_id for task in tasks if task.write.attribute == "promotion"}
        for task in tasks:
            attribute, known = task.write.attribute, sent[task.write.external_id]
            item = found.get(task.write.external_id)
            is_kept = item is not None and is_same(attribute, item.values[attribute], task.write.after)
            reason = trouble
            if item is not None and not is_kept:
                reason = _what_happened(task, item, known)
            elif attribute == "regular_minor" and task.write.external_id not in promoted:
                reason = trouble or _lost_promotion(task, item)
            task.result = judged(
                task.write,
                known,
                found=task.item.values[attribute] if task.item is not None else None,
                read_back=item.values[attribute] if item is not None else None,
                is_read_back=item is not None,
                is_kept=is_kept,
                reason=reason,
            )


def _what_happened(task: _Task, item: Item, known: Sent) -> str:
    shown, wanted = item.values[task.write.attribute], task.write.after
    if task.write.attribute == "published_qty" and known.stock_quantity == wanted:
        return f"the shop answered {wanted} and shows {shown} a moment later: sold or changed meanwhile"
    if task.write.attribute == "is_published" and wanted is True and item.row.status == "publish":
        return "its status is publish, but it cannot be bought: look at its price, and at its product"
    return f"the shop shows {shown!r} instead of {wanted!r}"


def _lost_promotion(task: _Task, item: Item | None) -> str:
    if task.item is None or item is None or item.values["promotion"] is not None:
        return ""
    return (
        "" if task.item.values["promotion"] is None else "its promotion was not below this price: the shop dropped it"
    )


def _shown(minor: Any, exponent: int) -> str:
    if not isinstance(minor, int):
        return "none"
    digits = f"{minor:0{exponent + 1}d}"
    return f"{digits[:-exponent]}.{digits[-exponent:]}" if exponent else digits
