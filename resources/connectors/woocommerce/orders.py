"""Maps WooCommerce orders to order and order_line. Totals without tax and their tax are added; line totals already hold the coupons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import accumulate
from typing import Any

import msgspec
import polars as pl

from resources.connectors.sdk.batches import entity_frame
from resources.connectors.sdk.decode import (
    BadRow,
    Decoded,
    Field,
    Page,
    RawText,
    RowDecoder,
    clean_text,
    columns_of,
    convert,
    frame_of,
    item_id,
    money,
    plain_text,
    scaled_int,
    shape_rejects,
    source_positions,
    utc_instant,
)
from resources.connectors.sdk.personal import PersonalRow, tokens_of
from resources.connectors.sdk.stream import Batch, Reject
from resources.connectors.woocommerce.rows import Address, Line, Order, meta_text
from resources.connectors.woocommerce.tracking import number_of
from resources.privacy import Tokeniser

STATUSES = {
    "pending": "pending",
    "checkout-draft": "pending",
    "on-hold": "on_hold",
    "processing": "payable",
    "completed": "shipped",
    "cancelled": "cancelled",
    "failed": "failed",
    "refunded": "refunded",
}
PICKUP_METHODS = ("local_pickup", "pickup_location")
ORDER_TAGS = frozenset(
    {
        "_cancel_reason",
        "_etalon_cancel_reason",
        "_cancelled_at_gmt",
        "_promised_ship_by_gmt",
        "_available_from_gmt",
        "_pickup_location",
        "_replaces_return",
    }
)
_FEES, _PICKUP, _TRACKING = "#fees", "#pickup", "#tracking"
LINE_TAGS = frozenset({"_cancelled_qty", "_cancel_reason", "_cancelled_at_gmt"})

_ORDER = {
    "id": pl.Int64,
    "number": pl.String,
    "status": pl.String,
    "currency": pl.String,
    "customer_id": pl.Int64,
    "total": pl.String,
    "total_tax": pl.String,
    "shipping_total": pl.String,
    "shipping_tax": pl.String,
    "date_created_gmt": pl.String,
    "date_modified_gmt": pl.String,
    "date_paid_gmt": pl.String,
    "date_completed_gmt": pl.String,
    "billing.country": pl.String,
    "shipping.country": pl.String,
}
_LINE = {
    "id": pl.Int64,
    "name": pl.String,
    "product_id": pl.Int64,
    "variation_id": pl.Int64,
    "quantity": pl.Int64,
    "subtotal": pl.String,
    "subtotal_tax": pl.String,
    "total": pl.String,
    "total_tax": pl.String,
    "sku": pl.String,
}


class _LooseOrder(msgspec.Struct):
    """An order whose lines are not looked at: to keep an order of which a line is bad."""

    line_items: list[msgspec.Raw]


def _repair(raw: bytes, index: int) -> tuple[Any, list[BadRow]]:
    """Keep an order without those of its lines that do not have the promised shape. A bad line keeps the whole order, to be replayed."""
    try:
        loose = msgspec.json.decode(raw, type=_LooseOrder)
        document = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
        order = msgspec.json.decode(msgspec.json.encode({**document, "line_items": msgspec.Raw(b"[]")}), type=Order)
    except msgspec.ValidationError:
        return None, []
    bad: list[BadRow] = []
    for number, line in enumerate(loose.line_items, start=1):
        try:
            order.line_items.append(msgspec.json.decode(line, type=Line))
        except msgspec.ValidationError as error:
            bad.append(BadRow(index, raw, str(error), entity="order_line", suffix=f" line {number}"))
    return order, bad


DECODER: RowDecoder[Order] = RowDecoder(Order, repair=_repair)


@dataclass(frozen=True)
class _Columns:
    """The orders of some pages and their lines as tables, their texts not read yet.

    ``order_texts``, ``line_texts``: (row in the table, what few rows have). ``personal``: what each order brings for the encrypted table.
    ``lines`` tell by ``row`` to which order of the table they belong, and by ``number`` which line of it they are.
    """

    orders: pl.DataFrame
    order_texts: list[tuple[int, dict[str, str]]]
    personal: list[PersonalRow]
    lines: pl.DataFrame
    line_texts: list[tuple[int, dict[str, str]]]


def explode(pages: Sequence[Page[Order]], *, order_tags: bool, tokeniser: Tokeniser) -> list[Page[Order]]:
    """Some pages as tables instead of rows; the first of them holds the tables of all. It frees the rows.

    Done for few pages at a time, while their texts are still near: with many, every text is fetched from memory twice more, to be put
    in the table and to be given back.
    ``order_tags``: read the meta keys of docs/retailer.md (pickup location, promised date, cancelled units, ...).
    """
    rows = [row for page in pages for row in page.decoded.rows]
    lines = [line for row in rows for line in row.line_items]
    email_tokens, personal = tokens_of([row.billing.email for row in rows], "email", tokeniser)
    guests = [(index, row.billing) for index, row in enumerate(rows) if row.customer_id == 0]
    of_guests = [index for index, _ in guests]
    personal += tokens_of([billing.phone for _, billing in guests], "phone", tokeniser, of_guests)[1]
    personal += tokens_of([_full_name(billing) for _, billing in guests], "name", tokeniser, of_guests)[1]
    columns = _Columns(
        frame_of(
            {**_ORDER, "source_position": pl.String, "email_token": pl.String},
            [*columns_of(rows, _ORDER), [place for page in pages for place in source_positions(page)], email_tokens],
        ),
        _order_texts(rows, ORDER_TAGS if order_tags else frozenset()),
        personal,
        frame_of(
            {**_LINE, "row": pl.Int64, "number": pl.Int64},
            [
                *columns_of(lines, _LINE),
                [index for index, row in enumerate(rows) for _ in row.line_items],
                [number for row in rows for number in range(1, len(row.line_items) + 1)],
            ],
        ),
        _line_texts(lines) if order_tags else [],
    )
    extras: list[dict[str, Any]] = [{"columns": columns}, *[{} for _ in pages[1:]]]
    return [
        Page(page.name, page.body, Decoded([], page.decoded.positions, page.decoded.bad), extra, page.labels)
        for page, extra in zip(pages, extras, strict=True)
    ]


def _full_name(billing: Address) -> str | None:
    if billing.first_name is None or billing.last_name is None:
        return billing.first_name or billing.last_name
    return f"{billing.first_name} {billing.last_name}"


def _order_texts(rows: Sequence[Order], wanted: frozenset[str]) -> list[tuple[int, dict[str, str]]]:
    found = []
    for index, row in enumerate(rows):
        texts = meta_text(row.meta_data, wanted) if row.meta_data else {}
        if row.meta_data and (number := number_of(row.meta_data)) is not None:
            texts[_TRACKING] = number
        if row.fee_lines:
            texts[_FEES] = _fees(row)
        for line in row.shipping_lines:
            if line.method_id in PICKUP_METHODS:
                texts[_PICKUP] = ""
        if texts:
            found.append((index, texts))
    return found


def _line_texts(lines: Sequence[Line]) -> list[tuple[int, dict[str, str]]]:
    found = [(index, meta_text(line.meta_data, LINE_TAGS)) for index, line in enumerate(lines) if line.meta_data]
    return [(index, texts) for index, texts in found if texts]


def statuses_of(declared: Mapping[str, str]) -> dict[str, str]:
    """A shop's states and ours: the built-in ones and those declared for this shop, with or without WooCommerce's own ``wc-``."""
    return {**STATUSES, **{status.removeprefix("wc-"): ours for status, ours in declared.items()}}


def to_batch(
    pages: Sequence[Page[Order]],
    *,
    channel_code: str,
    statuses: Mapping[str, str],
    unknown: Counter[str],
) -> Batch:
    """Map exploded pages of orders. Grain: one row per order, and one per order and line; money in minor units of its currency.

    ``statuses``: the shop's states and ours. An order in another one (a plugin's own) is kept with the state its dates tell;
    ``unknown`` counts them.
    """
    raw_text = RawText(pages, DECODER)
    columns: list[_Columns] = [page.extra["columns"] for page in pages if page.extra]
    raw_orders = _order_table(columns)
    orders, order_rejects = convert(raw_orders, _order_fields(), entity="order", raw_text=raw_text)
    orders = orders.with_columns_seq(_our_status(frozenset(statuses.items())).alias("our_status"))
    is_unknown = ~orders["status"].is_in(list(statuses))
    unknown.update(orders.filter(is_unknown)["status"].to_list())
    raw_lines = _line_table(columns, raw_orders)
    if order_rejects:
        raw_lines = raw_lines.join(orders.select(pl.col("id").alias("order_id")), on="order_id", how="semi")
    lines, line_rejects = _lines(raw_lines, raw_text)
    return Batch(
        received_qty=sum(page.decoded.received_qty for page in pages),
        raw=[(page.name, page.body) for page in pages],
        frames={
            "order": entity_frame("order", orders.select_seq(_order_columns(channel_code))),
            "order_line": entity_frame("order_line", lines),
        },
        rejects=[*shape_rejects(pages, entity="order"), *order_rejects, *line_rejects],
        personal=_personal(columns, raw_orders, orders),
        raw_at=lambda position: (raw_text(position), ""),
    )


@cache
def _order_fields() -> tuple[Field, ...]:
    # Here and below: made once, since making the expressions of a batch takes as long as a thousand rows of it.
    return (
        *(money(name) for name in ("total", "total_tax", "shipping_total", "shipping_tax", "fees")),
        *(
            utc_instant(name)
            for name in (
                "date_created_gmt",
                "date_modified_gmt",
                "date_paid_gmt",
                "date_completed_gmt",
                "_cancelled_at_gmt",
                "_promised_ship_by_gmt",
                "_available_from_gmt",
            )
        ),
        clean_text("number"),
    )


def status_of(status: str, statuses: Mapping[str, str], paid_at: str | None, completed_at: str | None) -> str:
    """Our state of one order, by the rule of the readings."""
    row = pl.DataFrame(
        {"status": [status], "date_completed_gmt": [completed_at], "date_paid_gmt": [paid_at]},
        schema=dict.fromkeys(("status", "date_completed_gmt", "date_paid_gmt"), pl.String),
    )
    ours: str = row.select(_our_status(frozenset(statuses.items()))).item()
    return ours


@lru_cache
def _our_status(statuses: frozenset[tuple[str, str]]) -> pl.Expr:
    told_by_dates = (
        pl.when(pl.col("date_completed_gmt").is_not_null())
        .then(pl.lit("shipped"))
        .when(pl.col("date_paid_gmt").is_not_null())
        .then(pl.lit("payable"))
        .otherwise(pl.lit("pending"))
    )
    return pl.coalesce(
        pl.col("status").replace_strict(dict(statuses), default=None, return_dtype=pl.String), told_by_dates
    )


def _personal(pages: Sequence[_Columns], given: pl.DataFrame, good: pl.DataFrame) -> list[tuple[str, str, str]]:
    """The personal values of the orders that are kept."""
    wanted = None if good.height == given.height else set(good["source_position"].to_list())
    kept: list[tuple[str, str, str]] = []
    for page in pages:
        if wanted is None:
            kept += [(token, kind, value) for _, token, kind, value in page.personal]
        else:
            positions = page.orders["source_position"].to_list()
            kept += [(token, kind, value) for row, token, kind, value in page.personal if positions[row] in wanted]
    return kept


def _order_table(pages: Sequence[_Columns]) -> pl.DataFrame:
    table = pl.concat([page.orders for page in pages], rechunk=True)
    sizes = [page.orders.height for page in pages]
    texts = _text_columns([page.order_texts for page in pages], sizes, {*ORDER_TAGS, _FEES, _PICKUP, _TRACKING})
    return table.with_columns_seq(pl.col("currency").alias("currency_code"), *texts).with_columns_seq(
        pl.col(_FEES).fill_null("0").alias("fees"),
        pl.col(_PICKUP).is_not_null().alias("is_pickup"),
        pl.col(_TRACKING).alias("tracking_number"),
    )


def _line_table(pages: Sequence[_Columns], orders: pl.DataFrame) -> pl.DataFrame:
    sizes = [page.lines.height for page in pages]
    starts = accumulate((page.orders.height for page in pages), initial=0)
    rows = pl.concat([page.lines["row"] + start for page, start in zip(pages, starts, strict=False)], rechunk=True)
    table = pl.concat([page.lines for page in pages], rechunk=True)
    owners = orders.select_seq(pl.col("id").alias("order_id"), "currency_code", "source_position")[rows]
    position = pl.format("{} line {}", owners["source_position"], table["number"])
    texts = _text_columns([page.line_texts for page in pages], sizes, LINE_TAGS)
    return table.drop("row", "number").hstack(owners).with_columns_seq(position.alias("source_position"), *texts)


def _text_columns(
    pages: Sequence[Sequence[tuple[int, dict[str, str]]]], sizes: Sequence[int], wanted: Collection[str]
) -> list[pl.Series | pl.Expr]:
    """A text column for every wanted key: what few rows hold is put in its place, what none holds costs nothing."""
    columns: dict[str, list[str | None]] = {}
    total = sum(sizes)
    for start, page in zip(accumulate(sizes, initial=0), pages, strict=False):
        for row, texts in page:
            for key, text in texts.items():
                columns.setdefault(key, [None] * total)[start + row] = text
    return [
        pl.Series(key, columns[key], dtype=pl.String) if key in columns else pl.lit(None, pl.String).alias(key)
        for key in sorted(wanted)
    ]


def _fees(order: Order) -> str:
    """Sum of the fees with their tax, as decimal text; the first text that is no number, so that it is the one refused."""
    total = 0
    for fee in order.fee_lines:
        for text in (fee.total, fee.total_tax):
            amount = scaled_int(text)
            if amount is None:
                return text
            total += amount
    sign, digits = ("-" if total < 0 else ""), f"{abs(total):09d}"
    return f"{sign}{digits[:-8]}.{digits[-8:]}"


@lru_cache
def _order_columns(channel_code: str) -> tuple[pl.Expr, ...]:
    status = pl.col("our_status")
    is_cancelled = status == "cancelled"
    country = pl.coalesce(
        pl.when(pl.col("shipping.country") != "").then("shipping.country"),
        pl.when(pl.col("billing.country") != "").then("billing.country"),
    )
    return (
        pl.col("id").cast(pl.String).alias("order_external_id"),
        pl.lit(channel_code).alias("channel_code"),
        pl.coalesce("number", pl.col("id").cast(pl.String)).alias("order_number"),
        pl.lit(None, pl.String).alias("origin_channel_code"),
        pl.lit(None, pl.String).alias("origin_order_number"),
        pl.col("_pickup_location").alias("location_code"),
        pl.col("date_created_gmt").alias("ordered_at"),
        # cash on delivery is prepared without a payment date: then the order's own date starts the clock
        pl.when(status.is_in(["pending", "on_hold"]))
        .then(None)
        .otherwise(pl.coalesce("date_paid_gmt", pl.when(status.is_in(["payable", "shipped"])).then("date_created_gmt")))
        .alias("payable_at"),
        pl.when(is_cancelled).then(pl.coalesce("_cancelled_at_gmt", "date_modified_gmt")).alias("cancelled_at"),
        pl.when(is_cancelled)
        .then(pl.coalesce("_cancel_reason", "_etalon_cancel_reason", pl.lit("customer")))
        .alias("cancel_reason"),
        status.alias("status"),
        pl.col("currency_code"),
        pl.col("total").alias("total_minor"),
        pl.col("total_tax").alias("tax_minor"),
        (pl.col("shipping_total") + pl.col("shipping_tax")).alias("shipping_minor"),
        pl.col("fees").alias("fee_minor"),
        pl.lit(0, pl.Int64).alias("discount_minor"),
        pl.when(pl.col("customer_id") != 0).then(pl.col("customer_id").cast(pl.String)).alias("customer_external_id"),
        pl.col("email_token"),
        country.alias("country_code"),
        pl.when(pl.col("_pickup_location").is_not_null() | pl.col("is_pickup"))
        .then(pl.lit("pickup"))
        .otherwise(pl.lit("ship"))
        .alias("fulfilment_method"),
        pl.lit("retailer").alias("fulfilled_by"),
        pl.col("_promised_ship_by_gmt").alias("promised_ship_by_at"),
        pl.col("_available_from_gmt").alias("available_from_at"),
        pl.col("_replaces_return").alias("replaces_return_id"),
        pl.col("tracking_number"),
        pl.col("date_modified_gmt").alias("updated_at"),
        pl.col("source_position"),
    )


def _lines(table: pl.DataFrame, raw_text: RawText) -> tuple[pl.DataFrame, list[Reject]]:
    named = table.with_columns_seq(plain_text(table["name"]).alias("name"))
    good, rejects = convert(named, _line_fields(), entity="order_line", raw_text=raw_text, is_root=False)
    return good.select_seq(_line_columns()), rejects


@cache
def _line_fields() -> tuple[Field, ...]:
    return (
        money("subtotal"),
        money("subtotal_tax"),
        money("total"),
        money("total_tax"),
        utc_instant("_cancelled_at_gmt"),
        Field(
            "cancelled_qty",
            pl.col("_cancelled_qty").str.to_integer(strict=False),
            "_cancelled_qty",
            "number",
            "a whole number of units",
        ),
        clean_text("sku"),
    )


@cache
def _line_columns() -> tuple[pl.Expr, ...]:
    gross = pl.col("subtotal") + pl.col("subtotal_tax")
    is_short = pl.col("cancelled_qty").fill_null(0) > 0
    return (
        pl.col("order_id").cast(pl.String).alias("order_external_id"),
        pl.col("id").cast(pl.String).alias("line_external_id"),
        item_id("product_id", "variation_id").alias("product_external_id"),
        pl.col("sku"),
        pl.col("name"),
        pl.col("quantity"),
        pl.col("cancelled_qty").fill_null(0),
        pl.when(is_short).then(pl.coalesce("_cancel_reason", pl.lit("customer"))).alias("cancel_reason"),
        pl.when(is_short).then("_cancelled_at_gmt").alias("cancelled_at"),
        pl.col("total").alias("net_minor"),
        pl.col("total_tax").alias("tax_minor"),
        pl.when((pl.col("quantity") != 0) & (gross % pl.col("quantity") == 0))
        .then(gross // pl.col("quantity"))
        .alias("unit_price_minor"),
        pl.lit(0, pl.Int64).alias("manual_discount_minor"),
        pl.lit(None, pl.String).alias("return_reference"),
        pl.col("source_position"),
    )
