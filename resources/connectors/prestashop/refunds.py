"""Maps PrestaShop slips to refund and refund_line. Currency and order number are read from the orders, which slips name by id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import polars as pl

from resources.connectors.prestashop.client import PrestaShopClient
from resources.connectors.prestashop.lenient import decoder_of, part_of, whole_row, without
from resources.connectors.prestashop.rows import Slip
from resources.connectors.sdk.batches import entity_frame
from resources.connectors.sdk.decode import (
    Field,
    Page,
    RawText,
    convert,
    local_instant,
    money,
    scaled_int,
    shape_rejects,
    source_positions,
)
from resources.connectors.sdk.stream import Batch

DECODER = decoder_of(Slip)


class OrderHead(msgspec.Struct, gc=False):
    """What a slip needs of its order."""

    id: int
    id_currency: int = 0
    reference: str | None = ""


class LineHead(msgspec.Struct, gc=False):
    """What a slip's line needs of the order's line."""

    id: int
    product_id: int = 0
    product_attribute_id: int = 0


_LINES = decoder_of(LineHead)
_HEADS = decoder_of(OrderHead)


def with_orders(client: PrestaShopClient, page: Page[Slip]) -> Page[Slip]:
    """Read beside a page of slips the currency and number of their orders, and the items of their lines."""
    heads = client.related(
        "orders",
        "id",
        {slip.id_order for slip in page.decoded.rows},
        _HEADS,
        stream="order_slip",
        display="[id,id_currency,reference]",
    )
    lines = client.related(
        "order_details",
        "id",
        {line.id_order_detail for slip in page.decoded.rows for line in slip.associations.order_slip_details} - {0},
        _LINES,
        stream="order_slip",
        display="[id,product_id,product_attribute_id]",
    )
    refused: dict[int, str] = {}
    for slip in page.decoded.rows:
        lines_bad = [lines.bad.get(line.id_order_detail) for line in slip.associations.order_slip_details]
        reason = next((bad for bad in (heads.bad.get(slip.id_order), *lines_bad) if bad), None)
        if reason is not None:
            refused[slip.id] = reason
    page = without(page, refused, DECODER, lambda row: row.id)
    extra = {
        "orders": {head.id: head for head in heads.rows},
        "items": {line.id: _item(line) for line in lines.rows},
    }
    return Page(page.name, page.body, page.decoded, extra, page.labels)


def _item(line: LineHead) -> str | None:
    if line.product_id == 0:
        return None
    return f"{line.product_id}-{line.product_attribute_id}" if line.product_attribute_id else str(line.product_id)


def to_batch(
    pages: Sequence[Page[Slip]],
    *,
    channel_code: str,
    zone: str,
    currencies: Mapping[int, str],
) -> Batch:
    """Map pages of slips. Grain: one row per slip, and one per slip and line.

    A slip's amount is what its products gave back (:func:`_goods`) and its delivery fee.
    """
    raw_text = RawText(pages, DECODER)
    rows = [row for page in pages for row in page.decoded.rows]
    positions = [text for page in pages for text in source_positions(page)]
    heads: dict[int, OrderHead] = {key: head for page in pages for key, head in page.extra["orders"].items()}
    items: dict[int, str | None] = {key: item for page in pages for key, item in page.extra["items"].items()}
    own = [heads.get(row.id_order) for row in rows]

    def text(name: str, values: Sequence[str | None]) -> pl.Series:
        return pl.Series(name, values, dtype=pl.String)

    table = pl.DataFrame(
        [
            text("refund_external_id", [str(row.id) for row in rows]),
            text("order_external_id", [str(row.id_order) for row in rows]),
            text("order_number", [(head.reference or str(head.id)) if head else None for head in own]),
            text("currency_code", [currencies.get(head.id_currency) if head else None for head in own]),
            text("goods", [_goods(row) for row in rows]),
            text("shipping", [row.total_shipping_tax_incl or "0" for row in rows]),
            text("date_add", [row.date_add for row in rows]),
            text("source_position", positions),
        ]
    )
    good, rejects = convert(
        table,
        [
            money("goods"),
            money("shipping_minor", "shipping"),
            local_instant("initiated_at", zone, "date_add"),
            Field(
                "order_external_id",
                pl.when(pl.col("currency_code").is_not_null()).then(pl.col("order_external_id")),
                "order_external_id",
                "known_order",
                "an order that can be read: without it the refund has no currency",
            ),
        ],
        entity="refund",
        raw_text=raw_text,
    )
    refunds = good.with_columns(
        pl.lit(channel_code).alias("channel_code"),
        pl.lit(None, pl.String).alias("return_external_id"),
        (pl.col("goods") + pl.col("shipping_minor")).alias("amount_minor"),
        pl.lit(None, pl.Datetime("us", "UTC")).alias("settled_at"),
    )
    currency_of = dict(zip(good["source_position"], good["currency_code"], strict=True))
    parts = [
        (row.id, line, part_of(position, f"line {number}"), currency_of[position])
        for row, position in zip(rows, positions, strict=True)
        if position in currency_of
        for number, line in enumerate(row.associations.order_slip_details, start=1)
    ]
    lines = pl.DataFrame(
        [
            text("refund_external_id", [str(part[0]) for part in parts]),
            text("line_external_id", [str(part[1].id) for part in parts]),
            text("order_line_external_id", [str(part[1].id_order_detail or "") or None for part in parts]),
            text("product_external_id", [items.get(part[1].id_order_detail) for part in parts]),
            text("quantity_text", [part[1].product_quantity for part in parts]),
            text("net_minor", [part[1].amount_tax_excl for part in parts]),
            text("gross_minor", [part[1].amount_tax_incl for part in parts]),
            text("currency_code", [part[3] for part in parts]),
            text("source_position", [part[2] for part in parts]),
        ]
    )
    good_lines, line_rejects = convert(
        lines,
        [
            money("net_minor"),
            money("gross_minor"),
            Field(
                "quantity",
                pl.col("quantity_text").str.to_integer(strict=False),
                "quantity_text",
                "number",
                "a whole number of units",
            ),
        ],
        entity="refund_line",
        raw_text=whole_row(raw_text),
        is_root=False,
    )
    return Batch(
        received_qty=sum(page.decoded.received_qty for page in pages),
        raw=[(page.name, page.body) for page in pages],
        frames={
            "refund": entity_frame("refund", refunds),
            "refund_line": entity_frame(
                "refund_line",
                good_lines.with_columns((pl.col("gross_minor") - pl.col("net_minor")).alias("tax_minor")),
            ),
        },
        rejects=[*shape_rejects(pages, entity="refund"), *rejects, *line_rejects],
        raw_at=lambda position: (whole_row(raw_text)(position), ""),
    )


def _goods(slip: Slip) -> str:
    """What a slip gives back without its delivery fee, tax included.

    The total of its products, unless ``amount`` says otherwise: slips made by modules leave the total empty, and a slip of a
    chosen amount (type 2) or less a voucher (type 1) keeps the full total beside it. A shop that works without tax keeps the
    total without tax in ``amount``: that is no other amount.
    """
    total, amount = slip.total_products_tax_incl or "0", slip.amount or "0"
    total_int, amount_int, net_int = (scaled_int(text) for text in (total, amount, slip.total_products_tax_excl or "0"))
    if total_int is None or amount_int is None:
        return total if total_int is None else amount
    if total_int == 0:
        return amount
    is_other = amount_int not in (0, total_int, net_int)
    return amount if slip.order_slip_type in ("1", "2") and is_other else total
