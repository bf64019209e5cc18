"""Maps PrestaShop products and combinations to product, and packs to kit_component."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from resources.connectors.prestashop.facts import Shop
from resources.connectors.prestashop.lenient import decoder_of, part_of, whole_row
from resources.connectors.prestashop.rows import Bundled, Combination, Product, in_language
from resources.connectors.sdk.batches import entity_frame
from resources.connectors.sdk.decode import (
    Field,
    Page,
    RawText,
    clean_text,
    convert,
    local_instant,
    plain_text,
    scaled,
    shape_rejects,
    source_positions,
)
from resources.connectors.sdk.stream import Batch
from resources.connectors.sdk.weights import grams, grams_per

PRODUCT_DECODER = decoder_of(Product)
COMBINATION_DECODER = decoder_of(Combination)
PARENT_FIELDS = (
    "[id,id_category_default,id_tax_rules_group,manufacturer_name,weight,active,available_for_order,state,"
    "is_virtual,price,ecotax,name]"
)
PRICE_FIELDS = "[id,id_tax_rules_group,price,ecotax,active,available_for_order,state]"


@dataclass(frozen=True)
class Terms:
    """What the mapping of items needs to know of the shop. ``parents``: products by number, for combinations."""

    shop: Shop
    zone: str
    language_id: int
    tax_rates_bp: Mapping[int, int]
    categories: Mapping[int, str]
    option_values: Mapping[int, str]
    parents: Mapping[int, Product]


def is_active(product: Product) -> bool:
    """Whether the shop offers a product: active, and saved (``state`` 0 is a draft)."""
    return product.active == "1" and product.state == "1"


def is_published(product: Product) -> bool:
    """Whether a product can be bought now."""
    return is_active(product) and product.available_for_order == "1"


def has_combinations(product: Product) -> bool:
    """Whether a product is only the parent of its combinations."""
    return bool(product.associations.combinations) or product.product_type == "combinations"


def products_to_batch(pages: Sequence[Page[Product]], terms: Terms) -> Batch:
    """Map pages of products. Grain: one row per product, and one per pack and component."""
    raw_text = RawText(pages, PRODUCT_DECODER)
    rows = [row for page in pages for row in page.decoded.rows]
    positions = [text for page in pages for text in source_positions(page)]
    table = pl.DataFrame(
        {
            "product_external_id": pl.Series([str(row.id) for row in rows], dtype=pl.String),
            "parent_external_id": pl.Series([None] * len(rows), dtype=pl.String),
            "sku": pl.Series([row.reference for row in rows], dtype=pl.String),
            "gtin": pl.Series([row.ean13 or row.upc or row.isbn for row in rows], dtype=pl.String),
            "name": pl.Series([in_language(row.name, terms.language_id) for row in rows], dtype=pl.String),
            "brand": pl.Series([_brand(row) for row in rows], dtype=pl.String),
            "category_code": pl.Series(
                [terms.categories.get(row.id_category_default or 0) for row in rows], dtype=pl.String
            ),
            "kind": pl.Series([_kind(row) for row in rows], dtype=pl.String),
            "is_stock_tracked": pl.Series([terms.shop.is_stock_managed] * len(rows), dtype=pl.Boolean),
            "is_active": pl.Series([is_active(row) for row in rows], dtype=pl.Boolean),
            "tax_rate_bp": pl.Series([terms.tax_rates_bp.get(row.id_tax_rules_group) for row in rows], dtype=pl.Int64),
            "weight": pl.Series([row.weight for row in rows], dtype=pl.String),
            "date_upd": pl.Series([row.date_upd for row in rows], dtype=pl.String),
            "source_position": pl.Series(positions, dtype=pl.String),
        }
    )
    good, rejects = convert(
        table.with_columns(plain_text(table[name]).alias(name) for name in ("name", "brand", "category_code")),
        [
            Field("weight", scaled("weight"), "weight", "number", "a decimal number with a dot, like 0.85"),
            local_instant("date_upd", terms.zone),
            clean_text("sku"),
            clean_text("gtin"),
        ],
        entity="product",
        raw_text=raw_text,
    )
    items = good.with_columns(_grams(pl.col("weight"), terms).alias("weight_g"), pl.col("date_upd").alias("updated_at"))
    kept = set(good["source_position"])
    return Batch(
        received_qty=sum(page.decoded.received_qty for page in pages),
        raw=[(page.name, page.body) for page in pages],
        frames={"product": entity_frame("product", items), "kit_component": _components(rows, positions, kept)},
        rejects=[*shape_rejects(pages, entity="product"), *rejects],
        raw_at=lambda position: (whole_row(raw_text)(position), ""),
    )


def combinations_to_batch(pages: Sequence[Page[Combination]], terms: Terms) -> Batch:
    """Map pages of combinations, with what they take over from their product. Grain: one row per combination."""
    raw_text = RawText(pages, COMBINATION_DECODER)
    rows = [row for page in pages for row in page.decoded.rows]
    parents = [terms.parents.get(row.id_product) for row in rows]
    table = pl.DataFrame(
        {
            "product_external_id": pl.Series([f"{row.id_product}-{row.id}" for row in rows], dtype=pl.String),
            "parent_external_id": pl.Series([str(row.id_product) for row in rows], dtype=pl.String),
            "known_product": pl.Series([parent is not None for parent in parents], dtype=pl.Boolean),
            "sku": pl.Series([row.reference for row in rows], dtype=pl.String),
            "gtin": pl.Series([row.ean13 or row.upc or row.isbn for row in rows], dtype=pl.String),
            "name": pl.Series(
                [_variant_name(row, parent, terms) for row, parent in zip(rows, parents, strict=True)], dtype=pl.String
            ),
            "brand": pl.Series([_brand(parent) if parent else None for parent in parents], dtype=pl.String),
            "category_code": pl.Series(
                [terms.categories.get(parent.id_category_default or 0) if parent else None for parent in parents],
                dtype=pl.String,
            ),
            "kind": pl.Series(["variant"] * len(rows), dtype=pl.String),
            "is_stock_tracked": pl.Series([terms.shop.is_stock_managed] * len(rows), dtype=pl.Boolean),
            "is_active": pl.Series([parent is not None and is_active(parent) for parent in parents], dtype=pl.Boolean),
            "tax_rate_bp": pl.Series(
                [terms.tax_rates_bp.get(parent.id_tax_rules_group) if parent else None for parent in parents],
                dtype=pl.Int64,
            ),
            "weight": pl.Series([row.weight for row in rows], dtype=pl.String),
            "parent_weight": pl.Series([parent.weight if parent else "0" for parent in parents], dtype=pl.String),
            "updated_at": pl.Series([None] * len(rows), dtype=pl.Datetime("us", "UTC")),
            "source_position": pl.Series([text for page in pages for text in source_positions(page)], dtype=pl.String),
        }
    )
    good, rejects = convert(
        table.with_columns(plain_text(table[name]).alias(name) for name in ("name", "brand", "category_code")),
        [
            Field("weight", scaled("weight"), "weight", "number", "a decimal number with a dot, like 0.85"),
            Field("parent_weight", scaled("parent_weight"), "parent_weight", "number", "a decimal number with a dot"),
            known_product(),
            clean_text("sku"),
            clean_text("gtin"),
        ],
        entity="product",
        raw_text=raw_text,
    )
    # an impact may take more than there is; a weight below zero is none
    weight = pl.max_horizontal(_grams(pl.col("weight") + pl.col("parent_weight"), terms), pl.lit(0, pl.Int64))
    return Batch(
        received_qty=sum(page.decoded.received_qty for page in pages),
        raw=[(page.name, page.body) for page in pages],
        frames={"product": entity_frame("product", good.with_columns(weight.alias("weight_g")))},
        rejects=[*shape_rejects(pages, entity="product"), *rejects],
        raw_at=lambda position: (raw_text(position), ""),
    )


def known_product() -> Field:
    """Refuses a row whose ``parent_external_id`` names a product that the shop does not have (``known_product`` false)."""
    return Field(
        "parent_external_id",
        pl.when(pl.col("known_product")).then(pl.col("parent_external_id")),
        "parent_external_id",
        "known_product",
        "a product that can be read and that the shop still has",
    )


def _kind(product: Product) -> str:
    if has_combinations(product):
        return "parent"
    if (
        product.cache_is_pack == "1"
        or "pack" in (product.type, product.product_type)
        or product.associations.product_bundle
    ):
        return "kit"
    if product.is_virtual == "1" or product.type == "virtual":
        return "service"
    return "simple"


def _brand(product: Product) -> str | None:
    return product.manufacturer_name if isinstance(product.manufacturer_name, str) else None


def _variant_name(combination: Combination, parent: Product | None, terms: Terms) -> str | None:
    if parent is None:
        return None
    links = combination.associations.product_option_values
    values = [terms.option_values[link.id] for link in links if terms.option_values.get(link.id)]
    name = in_language(parent.name, terms.language_id)
    return f"{name} - {', '.join(values)}" if values else name


def _grams(weight: pl.Expr, terms: Terms) -> pl.Expr:
    return grams(weight, grams_per(terms.shop.settings.get("PS_WEIGHT_UNIT", "kg")))


def _components(rows: Sequence[Product], positions: Sequence[str], kept: set[str]) -> pl.DataFrame:
    parts: list[tuple[str, str, int, str]] = []
    for row, position in zip(rows, positions, strict=True):
        if position not in kept:
            continue
        bundle: list[Bundled] = row.associations.product_bundle
        for number, part in enumerate(bundle, start=1):
            variant = f"-{part.id_product_attribute}" if part.id_product_attribute else ""
            parts.append((str(row.id), f"{part.id}{variant}", part.quantity, part_of(position, f"component {number}")))
    columns = list(zip(*parts, strict=True)) if parts else [(), (), (), ()]
    return entity_frame(
        "kit_component",
        pl.DataFrame(
            {
                "kit_external_id": pl.Series(columns[0], dtype=pl.String),
                "component_external_id": pl.Series(columns[1], dtype=pl.String),
                "component_qty": pl.Series(columns[2], dtype=pl.Int64),
                "source_position": pl.Series(columns[3], dtype=pl.String),
            }
        ),
    )
