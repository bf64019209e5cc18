"""Maps WooCommerce products and variations to product, channel_stock and channel_price. One source row gives one row of each."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from resources.connectors.sdk.batches import entity_frame
from resources.connectors.sdk.decode import (
    Field,
    Page,
    RawText,
    RowDecoder,
    clean_text,
    columns_of,
    convert,
    frame_of,
    money,
    plain_text,
    scaled,
    shape_rejects,
    source_positions,
    utc_instant,
)
from resources.connectors.sdk.stream import Batch
from resources.connectors.woocommerce.facts import Terms
from resources.connectors.woocommerce.rows import Product

DECODER: RowDecoder[Product] = RowDecoder(Product)

_COLUMNS = {
    "id": pl.Int64,
    "parent_id": pl.Int64,
    "name": pl.String,
    "type": pl.String,
    "status": pl.String,
    "sku": pl.String,
    "price": pl.String,
    "regular_price": pl.String,
    "sale_price": pl.String,
    "purchasable": pl.Boolean,
    "virtual": pl.Boolean,
    "tax_status": pl.String,
    "tax_class": pl.String,
    "stock_quantity": pl.Int64,
    "stock_status": pl.String,
    "backorders_allowed": pl.Boolean,
    "weight": pl.String,
    "date_modified_gmt": pl.String,
    "date_on_sale_from_gmt": pl.String,
    "date_on_sale_to_gmt": pl.String,
    "global_unique_id": pl.String,
}
_PARENT = {
    "id": pl.Int64,
    "name": pl.String,
    "sku": pl.String,
    "status": pl.String,
    "category": pl.String,
    "brand": pl.String,
    "tax_status": pl.String,
    "tax_class": pl.String,
}


class Parents:
    """What variations take over from their parents. Filled while products are read, looked up while variations are."""

    def __init__(self) -> None:
        self._frames: list[pl.DataFrame] = []

    def learn(self, frame: pl.DataFrame) -> None:
        """Remember the variable products of a batch."""
        parents = frame.filter(pl.col("type").str.contains("variable"))
        if parents.height:
            self._frames.append(parents.select(list(_PARENT)))

    def frame(self) -> pl.DataFrame:
        """One row per known parent, its columns prefixed with ``parent_``."""
        whole = pl.concat(self._frames) if self._frames else pl.DataFrame(schema=_PARENT)
        return whole.rename({name: f"parent_{name}" for name in _PARENT}).unique("parent_id", keep="last")


def to_batch(
    pages: Sequence[Page[Product]],
    *,
    channel_code: str,
    currency_code: str,
    terms: Terms,
    parents: Parents,
) -> Batch:
    """Map pages of products or variations. Grain of each frame: one row per item; shapes as in the contracts.

    A variation without a SKU shows its parent's in the API: it is given none. One that sells from its parent's stock shows that stock.
    """
    raw = _table(pages)
    raw_text = RawText(pages, DECODER)
    parents.learn(raw)
    joined = raw.join(parents.frame(), on="parent_id", how="left", maintain_order="left")
    good, rejects = convert(
        joined.with_columns(pl.lit(currency_code).alias("currency_code")),
        [
            money("regular_price"),
            money("price"),
            money("sale_price"),
            Field("weight", scaled("weight"), "weight", "number", "a decimal number with a dot, like 0.85"),
            utc_instant("date_modified_gmt"),
            utc_instant("date_on_sale_from_gmt"),
            utc_instant("date_on_sale_to_gmt"),
            clean_text("sku"),
            clean_text("parent_sku"),
            clean_text("global_unique_id"),
        ],
        entity="product",
        raw_text=raw_text,
    )
    items = _common(good, terms, channel_code)
    return Batch(
        received_qty=sum(page.decoded.received_qty for page in pages),
        raw=[(page.name, page.body) for page in pages],
        frames={
            "product": entity_frame("product", items),
            "channel_stock": entity_frame("channel_stock", items),
            "channel_price": entity_frame("channel_price", items),
        },
        rejects=[*shape_rejects(pages, entity="product"), *rejects],
        raw_at=lambda position: (raw_text(position), ""),
    )


def _table(pages: Sequence[Page[Product]]) -> pl.DataFrame:
    rows = [row for page in pages for row in page.decoded.rows]
    frame = frame_of(_COLUMNS, columns_of(rows, _COLUMNS)).with_columns(
        pl.Series("source_position", [text for page in pages for text in source_positions(page)], dtype=pl.String),
        pl.Series("is_managed", [row.manage_stock is not False for row in rows], dtype=pl.Boolean),
        pl.Series("category", [row.categories[0].name if row.categories else None for row in rows], dtype=pl.String),
        pl.Series("brand", [row.brands[0].name if row.brands else None for row in rows], dtype=pl.String),
    )
    return frame.with_columns(plain_text(frame[name]).alias(name) for name in ("name", "category", "brand"))


def _common(good: pl.DataFrame, terms: Terms, channel_code: str) -> pl.DataFrame:
    is_variation = pl.col("parent_id") != 0
    own_id = pl.col("id").cast(pl.String)
    tax_class = pl.coalesce(
        pl.when(is_variation & (pl.col("tax_class") == "parent")).then("parent_tax_class"), "tax_class"
    )
    rate = (
        pl.when(pl.col("tax_status") == "none")
        .then(pl.lit(0, pl.Int64))
        .otherwise(tax_class.replace_strict(terms.rate_bp, default=None, return_dtype=pl.Int64))
    )
    is_live = (pl.col("status") == "publish") & pl.coalesce(pl.col("parent_status"), pl.lit("publish")).eq("publish")
    has_promotion = pl.col("sale_price").is_not_null()
    typed = good.with_columns(
        rate.alias("tax_rate_bp"),
        is_live.alias("is_active"),
        (is_live & pl.col("purchasable")).alias("is_published"),
    )

    def gross(name: str) -> pl.Expr:
        if terms.is_included:
            return pl.col(name)
        return (pl.col(name) * (10_000 + pl.col("tax_rate_bp")) + 5_000) // 10_000

    return typed.select(
        pl.when(is_variation)
        .then(pl.concat_str([pl.col("parent_id").cast(pl.String), pl.lit("-"), own_id]))
        .otherwise(own_id)
        .alias("product_external_id"),
        pl.when(is_variation).then(pl.col("parent_id").cast(pl.String)).alias("parent_external_id"),
        pl.when(is_variation & (pl.col("sku") == pl.col("parent_sku")))
        .then(None)
        .otherwise(pl.col("sku"))
        .alias("sku"),
        pl.col("global_unique_id").alias("gtin"),
        pl.when(is_variation)
        .then(pl.concat_str([pl.col("parent_name"), pl.col("name")], separator=" - ", ignore_nulls=True))
        .otherwise(pl.col("name"))
        .alias("name"),
        pl.coalesce("brand", "parent_brand").alias("brand"),
        pl.coalesce("category", "parent_category").alias("category_code"),
        _kind().alias("kind"),
        pl.col("is_managed").alias("is_stock_tracked"),
        "is_active",
        "tax_rate_bp",
        _grams(terms).alias("weight_g"),
        pl.col("date_modified_gmt").alias("updated_at"),
        pl.lit(channel_code).alias("channel_code"),
        pl.when("is_managed").then(pl.col("stock_quantity")).alias("published_qty"),
        pl.col("is_managed").alias("is_stock_managed"),
        "is_published",
        pl.col("backorders_allowed").alias("is_backorder_allowed"),
        "currency_code",
        gross("regular_price").alias("regular_minor"),
        gross("price").alias("effective_minor"),
        pl.when(has_promotion).then(pl.col("date_on_sale_from_gmt")).alias("promotion_starts_at"),
        # WooCommerce sells at the sale price up to and with that second; ours is the first second without
        pl.when(has_promotion).then(pl.col("date_on_sale_to_gmt").dt.offset_by("1s")).alias("promotion_ends_at"),
        gross("sale_price").alias("promotion_minor"),
        "source_position",
    )


def _grams(terms: Terms) -> pl.Expr:
    unit = terms.weight_unit_g
    divisor = 10**8 * unit.denominator
    return (pl.col("weight") * unit.numerator + divisor // 2) // divisor


def _kind() -> pl.Expr:
    kind = pl.col("type")
    return (
        pl.when(pl.col("parent_id") != 0)
        .then(pl.lit("variant"))
        .when(kind.str.contains("variable") | (kind == "grouped"))
        .then(pl.lit("parent"))
        .when(kind.str.contains("bundle|composite"))
        .then(pl.lit("kit"))
        .when(kind.str.contains("gift"))
        .then(pl.lit("gift_card"))
        .when(pl.col("virtual"))
        .then(pl.lit("service"))
        .otherwise(pl.lit("simple"))
    )
