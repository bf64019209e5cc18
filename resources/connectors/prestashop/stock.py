"""Maps PrestaShop stock rows to channel_stock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from resources.connectors.prestashop.catalogue import is_published
from resources.connectors.prestashop.facts import Shop
from resources.connectors.prestashop.lenient import decoder_of
from resources.connectors.prestashop.rows import Product, Stock
from resources.connectors.sdk.batches import entity_frame
from resources.connectors.sdk.decode import (
    Field,
    Page,
    RawText,
    convert,
    shape_rejects,
    source_positions,
)
from resources.connectors.sdk.stream import Batch

DECODER = decoder_of(Stock)


def to_batch(
    pages: Sequence[Page[Stock]],
    *,
    shop: Shop,
    channel_code: str,
    products: Mapping[int, Product],
    unreadable: Mapping[int, str],
) -> Batch:
    """Map pages of stock rows. Grain: one row per product (the sum, when it has combinations) and per combination.

    A row whose product is gone is no longer published; one whose product cannot be read is refused.
    """
    raw_text = RawText(pages, DECODER)
    rows = [row for page in pages for row in page.decoded.rows]
    published = {number for number, product in products.items() if is_published(product)}
    table = pl.DataFrame(
        {
            "product_external_id": pl.Series(
                [
                    f"{row.id_product}-{row.id_product_attribute}" if row.id_product_attribute else str(row.id_product)
                    for row in rows
                ],
                dtype=pl.String,
            ),
            "product_problem": pl.Series([unreadable.get(row.id_product) for row in rows], dtype=pl.String),
            "quantity": pl.Series([row.quantity for row in rows], dtype=pl.String),
            "is_published": pl.Series([row.id_product in published for row in rows], dtype=pl.Boolean),
            "is_backorder_allowed": pl.Series(
                [row.out_of_stock == "1" or (row.out_of_stock == "2" and shop.is_backorder_default) for row in rows],
                dtype=pl.Boolean,
            ),
            "source_position": pl.Series([text for page in pages for text in source_positions(page)], dtype=pl.String),
        }
    )
    good, rejects = convert(
        table,
        [
            Field(
                "published_qty",
                pl.when(pl.col("quantity").str.contains(r"^-?[0-9]+$")).then(
                    pl.col("quantity").str.to_integer(strict=False)
                ),
                "quantity",
                "number",
                "a whole number of units",
            ),
            Field(
                "product_problem",
                pl.lit(None, pl.String),
                "product_problem",
                "readable_product",
                "a product of which it can be told whether it is published",
            ),
        ],
        entity="channel_stock",
        raw_text=raw_text,
    )
    stock = good.with_columns(
        pl.lit(channel_code).alias("channel_code"),
        pl.lit(shop.is_stock_managed).alias("is_stock_managed"),
        (pl.col("published_qty") if shop.is_stock_managed else pl.lit(None, pl.Int64)).alias("published_qty"),
    )
    return Batch(
        received_qty=sum(page.decoded.received_qty for page in pages),
        raw=[(page.name, page.body) for page in pages],
        frames={"channel_stock": entity_frame("channel_stock", stock)},
        rejects=[*shape_rejects(pages, entity="channel_stock"), *rejects],
        raw_at=lambda position: (raw_text(position), ""),
    )
