"""Maps WooCommerce accounts to customer: tokens instead of personal values."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from resources.connectors.sdk.batches import entity_frame
from resources.connectors.sdk.decode import (
    Page,
    RawText,
    RowDecoder,
    columns_of,
    convert,
    frame_of,
    shape_rejects,
    source_positions,
    utc_instant,
)
from resources.connectors.sdk.personal import PersonalValues
from resources.connectors.sdk.stream import Batch
from resources.connectors.woocommerce.rows import Customer
from resources.privacy import Tokeniser

DECODER: RowDecoder[Customer] = RowDecoder(Customer)
_COLUMNS = {
    "id": pl.Int64,
    "date_created_gmt": pl.String,
    "date_modified_gmt": pl.String,
    "email": pl.String,
    "first_name": pl.String,
    "last_name": pl.String,
    "billing.phone": pl.String,
    "shipping.phone": pl.String,
    "billing.country": pl.String,
    "shipping.country": pl.String,
}


def to_batch(pages: Sequence[Page[Customer]], *, tokeniser: Tokeniser) -> Batch:
    """Map pages of accounts. Grain: one row per account."""
    raw_text = RawText(pages, DECODER)
    rows = [row for page in pages for row in page.decoded.rows]
    table = frame_of(_COLUMNS, columns_of(rows, _COLUMNS)).with_columns(
        pl.Series("source_position", [text for page in pages for text in source_positions(page)], dtype=pl.String)
    )
    good, rejects = convert(
        table, [utc_instant("date_created_gmt"), utc_instant("date_modified_gmt")], entity="customer", raw_text=raw_text
    )
    personal = PersonalValues(tokeniser)
    named = good.with_columns(
        pl.concat_str(["first_name", "last_name"], separator=" ", ignore_nulls=True).alias("full_name"),
        _first_given("billing.phone", "shipping.phone").alias("phone"),
    )
    frame = named.select(
        pl.col("id").cast(pl.String).alias("customer_external_id"),
        personal.tokens(named["email"], "email").alias("email_token"),
        personal.tokens(named["phone"], "phone").alias("phone_token"),
        personal.tokens(named["full_name"], "name").alias("name_token"),
        _first_given("billing.country", "shipping.country").alias("country_code"),
        pl.lit(False).alias("is_guest"),
        pl.col("date_created_gmt").alias("created_at"),
        pl.col("date_modified_gmt").alias("updated_at"),
        "source_position",
    )
    return Batch(
        received_qty=sum(page.decoded.received_qty for page in pages),
        raw=[(page.name, page.body) for page in pages],
        frames={"customer": entity_frame("customer", frame)},
        rejects=[*shape_rejects(pages, entity="customer"), *rejects],
        personal=personal.rows,
        raw_at=lambda position: (raw_text(position), ""),
    )


def _first_given(*names: str) -> pl.Expr:
    return pl.coalesce(*[pl.when(pl.col(name) != "").then(pl.col(name)) for name in names])
