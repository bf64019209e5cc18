"""Maps WooCommerce refunds to refund and refund_line. Currency and order number come from the order, which the refund names only by id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import polars as pl

from resources.connectors.sdk.batches import entity_frame
from resources.connectors.sdk.decode import (
    Field,
    Page,
    RawText,
    RowDecoder,
    columns_of,
    convert,
    frame_of,
    item_id,
    money,
    scaled_int,
    shape_rejects,
    source_positions,
    utc_instant,
)
from resources.connectors.sdk.stream import Batch
from resources.connectors.woocommerce.client import LARGEST_PAGE, WooClient
from resources.connectors.woocommerce.rows import Refund, RefundLine, meta_text

DECODER: RowDecoder[Refund] = RowDecoder(Refund)
REFUND_TAGS = frozenset({"_return_id"})
_BACK_POINTER = frozenset({"_refunded_item_id"})
_REFUND = {"id": pl.Int64, "parent_id": pl.Int64, "amount": pl.String, "date_created_gmt": pl.String}
_LINE = {
    "id": pl.Int64,
    "product_id": pl.Int64,
    "variation_id": pl.Int64,
    "quantity": pl.Int64,
    "total": pl.String,
    "total_tax": pl.String,
}


class OrderHead(msgspec.Struct):
    """What a refund needs of its order."""

    id: int
    currency: str
    number: str = ""


_HEADS = msgspec.json.Decoder(list[OrderHead])


def with_orders(client: WooClient, page: Page[Refund]) -> Page[Refund]:
    """Read beside a page of refunds the currency and number of the orders they belong to."""
    ids = sorted({row.parent_id for row in page.decoded.rows})
    heads: dict[int, OrderHead] = {}
    for start in range(0, len(ids), LARGEST_PAGE):
        wanted = ",".join(map(str, ids[start : start + LARGEST_PAGE]))
        answer = client.get(
            "/orders",
            {"include": wanted, "per_page": str(LARGEST_PAGE), "_fields": "id,currency,number", "status": "any"},
            _HEADS.decode,
            stream="refunds",
        )
        heads.update((head.id, head) for head in answer.value)
    return Page(page.name, page.body, page.decoded, {"orders": heads}, page.labels)


def to_batch(pages: Sequence[Page[Refund]], *, channel_code: str) -> Batch:
    """Map pages of refunds. Grain: one row per refund, and one per refunded line; amounts are positive, in the order's currency."""
    raw_text = RawText(pages, DECODER)
    rows = [row for page in pages for row in page.decoded.rows]
    heads: Mapping[int, OrderHead] = {key: head for page in pages for key, head in page.extra.get("orders", {}).items()}
    known = [heads.get(row.parent_id) for row in rows]
    table = frame_of(_REFUND, columns_of(rows, _REFUND)).with_columns(
        pl.Series("source_position", [text for page in pages for text in source_positions(page)], dtype=pl.String),
        pl.Series("currency_code", [head.currency if head else None for head in known], dtype=pl.String),
        pl.Series("order_number", [(head.number or str(head.id)) if head else None for head in known], dtype=pl.String),
        pl.Series("shipping", [_sum_text(row) for row in rows], dtype=pl.String),
        pl.Series(
            "return_id", [meta_text(row.meta_data, REFUND_TAGS).get("_return_id") for row in rows], dtype=pl.String
        ),
    )
    refunds, rejects = convert(
        table.with_columns(pl.col("parent_id").cast(pl.String).alias("parent_text")),
        [
            money("amount"),
            money("shipping"),
            utc_instant("date_created_gmt"),
            Field(
                "known_order",
                pl.when(pl.col("currency_code").is_not_null()).then(pl.col("parent_id")),
                "parent_text",
                "known_order",
                "an order that can be read: without it the refund has no currency",
            ),
        ],
        entity="refund",
        raw_text=raw_text,
    )
    lines, line_rejects = convert(
        _line_table(rows, table).filter(pl.col("refund_position").is_in(refunds["source_position"].implode())),
        [money("total"), money("total_tax")],
        entity="refund_line",
        raw_text=raw_text,
        is_root=False,
    )
    return Batch(
        received_qty=sum(page.decoded.received_qty for page in pages),
        raw=[(page.name, page.body) for page in pages],
        frames={
            "refund": entity_frame("refund", _refund_frame(refunds, channel_code)),
            "refund_line": entity_frame("refund_line", _line_frame(lines)),
        },
        rejects=[*shape_rejects(pages, entity="refund"), *rejects, *line_rejects],
        raw_at=lambda position: (raw_text(position), ""),
    )


def _sum_text(refund: Refund) -> str:
    """Delivery fee given back, as positive decimal text; the first text that is no number, so that it is the one refused."""
    total = 0
    for line in refund.shipping_lines:
        for text in (line.total, line.total_tax):
            amount = scaled_int(text)
            if amount is None:
                return text
            total += amount
    digits = f"{abs(total):09d}"
    return f"{digits[:-8]}.{digits[-8:]}"


def _refund_frame(refunds: pl.DataFrame, channel_code: str) -> pl.DataFrame:
    return refunds.select(
        pl.col("id").cast(pl.String).alias("refund_external_id"),
        pl.lit(channel_code).alias("channel_code"),
        pl.col("parent_id").cast(pl.String).alias("order_external_id"),
        "order_number",
        pl.col("return_id").alias("return_external_id"),
        "currency_code",
        pl.col("amount").alias("amount_minor"),
        pl.col("shipping").alias("shipping_minor"),
        pl.col("date_created_gmt").alias("initiated_at"),
        pl.lit(None, pl.Datetime("us", "UTC")).alias("settled_at"),
        "source_position",
    )


def _line_table(rows: Sequence[Refund], table: pl.DataFrame) -> pl.DataFrame:
    lines: list[RefundLine] = [line for row in rows for line in row.line_items]
    counts = [len(row.line_items) for row in rows]

    def repeated(name: str) -> list[object]:
        return [value for value, count in zip(table[name], counts, strict=True) for _ in range(count)]

    return (
        frame_of(_LINE, columns_of(lines, _LINE))
        .with_columns(
            pl.Series("refund_id", repeated("id"), dtype=pl.Int64),
            pl.Series("currency_code", repeated("currency_code"), dtype=pl.String),
            pl.Series("refund_position", repeated("source_position"), dtype=pl.String),
            pl.Series("number", [number for count in counts for number in range(1, count + 1)], dtype=pl.Int64),
            pl.Series(
                "order_line_id",
                [meta_text(line.meta_data, _BACK_POINTER).get("_refunded_item_id") for line in lines],
                dtype=pl.String,
            ),
        )
        .with_columns(
            pl.concat_str([pl.col("refund_position"), pl.lit(" line "), pl.col("number").cast(pl.String)]).alias(
                "source_position"
            )
        )
    )


def _line_frame(lines: pl.DataFrame) -> pl.DataFrame:
    return lines.select(
        pl.col("refund_id").cast(pl.String).alias("refund_external_id"),
        pl.col("id").cast(pl.String).alias("line_external_id"),
        pl.col("order_line_id").alias("order_line_external_id"),
        item_id("product_id", "variation_id").alias("product_external_id"),
        pl.col("quantity").abs(),
        pl.col("total").abs().alias("net_minor"),
        pl.col("total_tax").abs().alias("tax_minor"),
        "source_position",
    )
