"""Single products and variations as they are in the shop at this moment: read by their ids, mapped as every reading is.

Used before and after a write, and to read again what a hint named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from resources.connectors.sdk.decode import Page
from resources.connectors.sdk.http import RetryPolicy
from resources.connectors.sdk.stream import Batch
from resources.connectors.sdk.writing import JsonValue
from resources.connectors.woocommerce import catalogue
from resources.connectors.woocommerce.batch import run
from resources.connectors.woocommerce.client import LARGEST_PAGE, WooClient, has_no_route
from resources.connectors.woocommerce.rows import Product
from resources.errors import PermanentError

STREAM = "products"
# a write waits for these: better told late by the outbox than held up here
IN_A_HURRY = RetryPolicy(attempts=3, first_wait_s=0.3, longest_wait_s=2.0, longest_retry_after_s=5.0)
_FIELDS = ",".join(Product.__struct_fields__)


@dataclass(frozen=True)
class ItemId:
    """An item as Étalon names it: ``12`` a product, ``12-34`` variation 34 of product 12."""

    product: int
    variation: int | None = None

    @classmethod
    def of(cls, external_id: str) -> ItemId | None:
        """The item of an external id; None when it is none of this shop."""
        product, dash, variation = external_id.partition("-")
        if (
            not product.isascii()
            or not product.isdigit()
            or (dash and not (variation.isascii() and variation.isdigit()))
        ):
            return None
        return cls(int(product), int(variation) if dash else None)

    @property
    def row_id(self) -> int:
        """Id of the row that holds its stock and price."""
        return self.variation or self.product


@dataclass(frozen=True)
class Item:
    """An item at this moment: its row, its parent's, and its canonical values by attribute."""

    row: Product
    parent: Product | None
    values: dict[str, JsonValue]


@dataclass(frozen=True)
class Items:
    """What was found: by external id; ``unreadable``: those whose row holds a value that is not understood, with the reason."""

    found: dict[str, Item]
    unreadable: dict[str, str]


class ItemReader:
    """Reads products and variations by id. Remembers whether this version has one list for all variations."""

    def __init__(self, client: WooClient) -> None:
        self._client = client
        self._has_variation_list = True

    def products(self, ids: Iterable[int], pool: Executor | None = None) -> list[Page[Product]]:
        """The products with these ids, whatever their status but trashed; those that are not there are left out."""
        return run(
            pool, [partial(self._page, "/products", chunk, "products", {"status": "any"}) for chunk in chunks_of(ids)]
        )

    def variations(self, items: Iterable[ItemId], pool: Executor | None = None) -> list[Page[Product]]:
        """The variations of these items; each comes with the parent it has in the shop."""
        wanted = [item for item in items if item.variation is not None]
        if self._has_variation_list:
            chunks = chunks_of(item.row_id for item in wanted)
            try:
                return run(pool, [partial(self._page, "/variations", chunk, "variations", {}) for chunk in chunks])
            except PermanentError as error:
                if not has_no_route(error.what):
                    raise
                self._has_variation_list = False  # before 10.3: each product has its own list
        by_parent: dict[int, list[int]] = {}
        for item in wanted:
            by_parent.setdefault(item.product, []).append(item.row_id)
        jobs = [partial(self._of_parent, parent, ids) for parent, ids in sorted(by_parent.items())]
        return [page for pages in run(pool, jobs) for page in pages]

    def _of_parent(self, parent_id: int, ids: Sequence[int]) -> list[Page[Product]]:
        pages = []
        for chunk in chunks_of(ids):
            try:
                page = self._page(f"/products/{parent_id}/variations", chunk, f"variations of {parent_id}", {})
            except PermanentError as error:
                if error.what.startswith("HTTP 404 ") and not has_no_route(error.what):
                    return []  # the product is gone, and its variations with it
                raise
            for row in page.decoded.rows:
                row.parent_id = row.parent_id or parent_id
            pages.append(page)
        return pages

    def _page(self, path: str, ids: Sequence[int], name: str, params: dict[str, str]) -> Page[Product]:
        asked = {
            **params,
            "include": ",".join(map(str, ids)),
            "orderby": "id",
            "order": "asc",
            "per_page": str(LARGEST_PAGE),
            "_fields": _FIELDS,
        }
        answer = self._client.get(path, asked, catalogue.DECODER.decode, stream=STREAM, retry=IN_A_HURRY)
        return Page(f"{name} {ids[0]} to {ids[-1]}", answer.body, answer.value)

    def read(
        self,
        external_ids: Iterable[str],
        to_batch: Callable[[list[Page[Product]], catalogue.Parents], Batch],
        *,
        with_parents: bool,
        pool: Executor | None = None,
    ) -> Items:
        """These items now. ``with_parents``: also read what a variation takes over from its parent (its tax, whether it is published)."""
        wanted = {text: item for text in external_ids if (item := ItemId.of(text)) is not None}
        product_ids = {item.product for item in wanted.values() if item.variation is None or with_parents}
        product_pages = self.products(product_ids, pool)
        variation_pages = self.variations(wanted.values(), pool)
        parents = catalogue.Parents()
        frames, reasons = [], {}
        for pages in (product_pages, variation_pages):
            batch = to_batch(pages, parents) if pages else Batch(0)
            reasons.update({reject.position: reject.reason for reject in batch.rejects})
            if batch.frames:
                stock = batch.frames["channel_stock"].drop("source_position", "channel_code")
                price = batch.frames["channel_price"].drop("source_position", "channel_code")
                frames.append(stock.join(price, on="product_external_id", how="full", coalesce=True, suffix="_price"))
        mapped = {row["product_external_id"]: row for frame in frames for row in frame.to_dicts()}
        products = {row.id: row for page in product_pages for row in page.decoded.rows}
        rows = {
            **{str(row.id): row for row in products.values()},
            **{f"{row.parent_id}-{row.id}": row for page in variation_pages for row in page.decoded.rows},
        }
        found = {
            text: Item(rows[text], products.get(item.product) if item.variation else None, _values(mapped[text]))
            for text, item in wanted.items()
            if text in rows and text in mapped
        }
        return Items(found, self._unreadable(wanted, found, [*product_pages, *variation_pages], reasons))

    @staticmethod
    def _unreadable(
        wanted: dict[str, ItemId], found: dict[str, Item], pages: Sequence[Page[Product]], reasons: dict[str, str]
    ) -> dict[str, str]:
        by_row: dict[int, str] = {}
        for page in pages:
            for row, index in zip(page.decoded.rows, page.decoded.positions, strict=True):
                if (position := page.position(index)) in reasons:
                    by_row[row.id] = reasons[position]
        # a row of another shape does not even tell its id: then nobody knows whose it is
        shapeless = next((bad.reason for page in pages for bad in page.decoded.bad), None)
        unreadable = {}
        for text, item in wanted.items():
            if text not in found and (reason := by_row.get(item.row_id, shapeless)):
                unreadable[text] = reason
        return unreadable


def _values(row: dict[str, Any]) -> dict[str, JsonValue]:
    promotion: JsonValue = None
    if row["promotion_minor"] is not None:
        promotion = {
            "minor": row["promotion_minor"],
            "starts_at": instant_text(row["promotion_starts_at"]),
            "ends_at": instant_text(row["promotion_ends_at"]),
        }
    return {
        "published_qty": row["published_qty"],
        "regular_minor": row["regular_minor"],
        "promotion": promotion,
        "is_published": row["is_published"],
    }


def instant_text(instant: datetime | None) -> str | None:
    """An instant in UTC as canonical values hold it; None stays None."""
    return None if instant is None else f"{instant:%Y-%m-%dT%H:%M:%SZ}"


def chunks_of(ids: Iterable[int]) -> list[list[int]]:
    """Ids in order, each once, as many at a time as one page takes."""
    ordered = sorted(set(ids))
    return [ordered[start : start + LARGEST_PAGE] for start in range(0, len(ordered), LARGEST_PAGE)]
