"""Maps WooCommerce products and variations to product, channel_stock and channel_price. One source row gives one row of each."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from resources.connectors.sdk.batches import entity_frame
from resources.connectors.sdk.decode import (
    MICRO_DIGITS,
    Field,
    Page,
    RawText,
    RowDecoder,
    clean_text,
    columns_of,
    convert,
    frame_of,
    minor_exponent,
    plain_text,
    scaled,
    shape_rejects,
    source_positions,
    utc_instant,
)
from resources.connectors.sdk.stream import Batch
from resources.connectors.sdk.weights import grams
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
        joined,
        [
            *[
                Field(name, scaled(name), name, "money", "a decimal number with a dot, like 12.90")
                for name in ("regular_price", "price", "sale_price")
            ],
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
    items = _common(good, terms, channel_code, currency_code)
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
        pl.Series("name", [_name(row) for row in rows], dtype=pl.String),
        pl.Series("source_position", [text for page in pages for text in source_positions(page)], dtype=pl.String),
        pl.Series("is_managed", [row.manage_stock is not False for row in rows], dtype=pl.Boolean),
        pl.Series("category", [row.categories[0].name if row.categories else None for row in rows], dtype=pl.String),
        pl.Series("brand", [row.brands[0].name if row.brands else None for row in rows], dtype=pl.String),
    )
    return frame.with_columns(plain_text(frame[name]).alias(name) for name in ("name", "category", "brand"))


def _name(row: Product) -> str | None:
    """A variation of an older version has no name: what it chose is what newer ones call it."""
    if row.name is None and row.attributes:
        return ", ".join(choice.option for choice in row.attributes if choice.option)
    return row.name


def _common(good: pl.DataFrame, terms: Terms, channel_code: str, currency_code: str) -> pl.DataFrame:
    is_variation = pl.col("parent_id") != 0
    own_id = pl.col("id").cast(pl.String)
    tax_class = pl.coalesce(
        pl.when(is_variation & (pl.col("tax_class") == "parent")).then("parent_tax_class"), "tax_class"
    )
    # "parent" is left only where the parent itself could not be read: then its tax is not known
    taxed_as = pl.when(pl.col("tax_status") == "taxable").then(tax_class).otherwise(pl.lit("=none"))
    rate = pl.when(taxed_as != "parent").then(taxed_as.replace_strict(terms.rate_bp, default=0, return_dtype=pl.Int64))
    is_live = (pl.col("status") == "publish") & pl.coalesce(pl.col("parent_status"), pl.lit("publish")).eq("publish")
    has_promotion = pl.col("sale_price").is_not_null()
    typed = good.with_columns(
        taxed_as.alias("taxed_as"),
        rate.alias("tax_rate_bp"),
        is_live.alias("is_active"),
        (is_live & pl.col("purchasable")).alias("is_published"),
    )

    def gross(name: str) -> pl.Expr:
        return _gross(name, terms, minor_exponent(currency_code))

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
        grams(pl.col("weight"), terms.weight_unit_g).alias("weight_g"),
        pl.col("date_modified_gmt").alias("updated_at"),
        pl.lit(channel_code).alias("channel_code"),
        pl.when("is_managed").then(pl.col("stock_quantity")).alias("published_qty"),
        pl.col("is_managed").alias("is_stock_managed"),
        "is_published",
        pl.col("backorders_allowed").alias("is_backorder_allowed"),
        pl.lit(currency_code).alias("currency_code"),
        gross("regular_price").alias("regular_minor"),
        gross("price").alias("effective_minor"),
        pl.when(has_promotion).then(pl.col("date_on_sale_from_gmt")).alias("promotion_starts_at"),
        # WooCommerce sells at the sale price up to and with that second; ours is the first second without
        pl.when(has_promotion).then(pl.col("date_on_sale_to_gmt").dt.offset_by("1s")).alias("promotion_ends_at"),
        gross("sale_price").alias("promotion_minor"),
        "source_position",
    )


def gross_minor(amounts: Sequence[int], taxed_as: Sequence[str], terms: Terms, exponent: int) -> list[int | None]:
    """What a buyer pays, in minor units, for prices as the shop holds them (in 1e-8 of the unit), each with its tax class."""
    prices = pl.DataFrame({"price": amounts, "taxed_as": taxed_as}, schema={"price": pl.Int64, "taxed_as": pl.String})
    return prices.select(_gross("price", terms, exponent).alias("price"))["price"].to_list()


def tax_class_of(row: Product, parent: Product | None) -> str:
    """The class that an item is taxed as; ``=none`` when it is not taxed, ``parent`` when only a parent that was not read could tell."""
    if row.tax_status != "taxable":
        return "=none"
    return parent.tax_class if parent is not None and row.tax_class == "parent" else row.tax_class


def _gross(name: str, terms: Terms, exponent: int) -> pl.Expr:
    """A price as a buyer of the territory pays it, in minor units: the shop's own arithmetic, in integers of 1e-8, rounded where it rounds.

    Source: WooCommerce's wc_get_price_including_tax and wc_round_tax_total.
    """
    price = pl.col(name)
    if terms.is_included:
        return _rounded(price, exponent).floordiv(10 ** (MICRO_DIGITS - exponent))
    total: pl.Expr = pl.when(pl.col("taxed_as") != "parent").then(price)
    for tax_class, rates in terms.rates_ppm.items():
        with_tax = price
        for rate in rates if terms.is_rounded_per_rate else (sum(rates),):
            # in two steps, so that no product leaves 64 bits
            tax = price // 10**6 * rate + price % 10**6 * rate // 10**6
            with_tax = with_tax + (_rounded(tax, terms.price_decimals) if terms.is_rounded_per_rate else tax)
        total = pl.when(pl.col("taxed_as") == tax_class).then(with_tax).otherwise(total)
    return _rounded(total, min(terms.price_decimals, exponent)).floordiv(10 ** (MICRO_DIGITS - exponent))


def _rounded(amount: pl.Expr, decimals: int) -> pl.Expr:
    step: int = 10 ** (MICRO_DIGITS - decimals)
    return (amount + step // 2).floordiv(step).mul(step)


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
