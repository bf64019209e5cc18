"""Maps PrestaShop orders to order and order_line. Beside each page are read its details, its states' dates and its delivery countries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from resources.connectors.prestashop.client import PrestaShopClient, Related, any_of
from resources.connectors.prestashop.facts import Notes, States, unless_forbidden
from resources.connectors.prestashop.lenient import decoder_of, part_of, raw_number, whole_row, without
from resources.connectors.prestashop.rows import DETAIL_FIELDS, Address, Detail, History, Order
from resources.connectors.prestashop.tags import Tags, read_tags
from resources.connectors.sdk.batches import entity_frame
from resources.connectors.sdk.decode import (
    MICRO_DIGITS,
    Decoded,
    Field,
    Page,
    RawText,
    clean_text,
    columns_of,
    convert,
    frame_of,
    item_id,
    local_instant,
    minor_exponent,
    minor_units,
    money,
    plain_text,
    scaled,
    shape_rejects,
    source_positions,
    utc_instant,
)
from resources.connectors.sdk.stream import Batch, Reject
from resources.errors import PermanentError, Where

DECODER = decoder_of(Order)
_DETAILS = decoder_of(Detail)
_HISTORIES = decoder_of(History)
_ADDRESSES = decoder_of(Address)

_ORDER = {
    "id": pl.Int64,
    "id_address_delivery": pl.Int64,
    "id_currency": pl.Int64,
    "id_customer": pl.Int64,
    "current_state": pl.Int64,
    "module": pl.String,
    "date_add": pl.String,
    "date_upd": pl.String,
    "reference": pl.String,
    "shipping_number": pl.String,
    "total_discounts_tax_incl": pl.String,
    "total_paid_tax_incl": pl.String,
    "total_paid_tax_excl": pl.String,
    "total_shipping_tax_incl": pl.String,
    "total_wrapping_tax_incl": pl.String,
}
_DETAIL = {
    "id": pl.Int64,
    "id_order": pl.Int64,
    "product_id": pl.Int64,
    "product_attribute_id": pl.Int64,
    "product_name": pl.String,
    "product_quantity": pl.String,
    "product_reference": pl.String,
    "unit_price_tax_incl": pl.String,
    "total_price_tax_incl": pl.String,
    "total_price_tax_excl": pl.String,
}


@dataclass(frozen=True)
class Import:
    """How orders that were imported from another channel are known: their payment module, and the tag of their number there."""

    module: str
    channel_code: str
    number_tag: str


@dataclass(frozen=True)
class Terms:
    """What the mapping of orders needs to know. ``imported`` None: the shop imports none; ``order_tags``: notes hold tags."""

    channel_code: str
    zone: str
    currencies: Mapping[int, str]
    countries: Mapping[int, str]
    states: States
    order_tags: bool
    imported: Import | None


def are_known(page: Page[Order], terms: Terms) -> bool:
    """Whether the shop's lists, as they are known, have the state and the currency of each order of a page."""
    return all(
        row.current_state in terms.states.status and row.id_currency in terms.currencies for row in page.decoded.rows
    )


def with_related(client: PrestaShopClient, page: Page[Order], terms: Terms, notes: Notes) -> Page[Order]:
    """Read beside a page of orders their details, the dates of their states, and the countries they go to.

    An order of which a state's date or its address cannot be read is refused; of a bad detail, only the line is.
    """
    orders = page.decoded.rows
    ids = [order.id for order in orders]
    details: Decoded[Detail] = Decoded([], [], [])
    histories: Related[History] = Related()
    addresses: Related[Address] = Related()
    bodies: list[tuple[str, bytes]] = []
    if ids:
        asked = {"display": DETAIL_FIELDS, "filter[id_order]": any_of(ids), "sort": "[id_ASC]"}
        answer = client.rows("order_details", asked, _DETAILS.decode, stream="orders")
        details = answer.value
        bodies.append((f"{page.name} order_details", answer.body))
        histories = client.related("order_histories", "id_order", ids, _HISTORIES, stream="orders")
        bodies += [(f"{page.name} order_histories {n}", body) for n, body in enumerate(histories.bodies, start=1)]
        addresses = unless_forbidden(
            lambda: client.related(
                "addresses",
                "id",
                {order.id_address_delivery for order in orders} - {0},
                _ADDRESSES,
                stream="orders",
                display="[id,id_country]",
            ),
            Related(),
            notes,
            "addresses",
            "countries of orders are left empty",
        )
        bodies += [(f"{page.name} addresses {n}", body) for n, body in enumerate(addresses.bodies, start=1)]
    extra = {
        "details": details,
        "histories": histories.rows,
        "countries": {address.id: terms.countries.get(address.id_country) for address in addresses.rows},
        "bodies": bodies,
    }
    refused = dict(histories.bad)
    refused.update(
        (o.id, addresses.bad[o.id_address_delivery]) for o in orders if o.id_address_delivery in addresses.bad
    )
    page = without(page, refused, DECODER, lambda row: row.id)
    return Page(page.name, page.body, page.decoded, extra, page.labels)


def to_batch(pages: Sequence[Page[Order]], terms: Terms) -> Batch:
    """Map pages of orders. Grain: one row per order, and one per order and line; money in minor units of the order's currency."""
    raw_text = RawText(pages, DECODER)
    rows = [row for page in pages for row in page.decoded.rows]
    number_tag = terms.imported.number_tag if terms.imported else None
    tags = {row.id: read_tags(row.note or "", number_tag=number_tag) if terms.order_tags else Tags() for row in rows}
    orders, rejects = convert(
        _order_table(rows, pages, tags, terms),
        [
            *[money(name) for name in _ORDER if name.startswith("total_")],
            local_instant("ordered_at", terms.zone, "date_add"),
            local_instant("updated_at", terms.zone, "date_upd"),
            local_instant("paid_at", terms.zone),
            local_instant("cancelled_state_at", terms.zone),
            utc_instant("promised_ship_by_at"),
            utc_instant("available_from_at"),
            clean_text("reference"),
            clean_text("shipping_number"),
            Field(
                "status",
                pl.col("current_state").replace_strict(terms.states.status, default=None, return_dtype=pl.String),
                "state_text",
                "known_status",
                "a state that /order_states lists",
            ),
            Field(
                "currency_code", pl.col("currency_code"), "currency_text", "known_currency", "a currency of /currencies"
            ),
        ],
        entity="order",
        raw_text=raw_text,
    )
    kept = orders.select("id", "currency_code")
    lines, line_rejects = _lines(pages, kept, tags, raw_text)
    return Batch(
        received_qty=sum(page.decoded.received_qty for page in pages),
        raw=[pair for page in pages for pair in ((page.name, page.body), *page.extra["bodies"])],
        frames={
            "order": entity_frame("order", _order_frame(orders, terms)),
            "order_line": entity_frame("order_line", lines),
        },
        rejects=[*shape_rejects(pages, entity="order"), *rejects, *line_rejects],
        raw_at=lambda position: (whole_row(raw_text)(position), ""),
    )


def _order_table(
    rows: Sequence[Order], pages: Sequence[Page[Order]], tags: Mapping[int, Tags], terms: Terms
) -> pl.DataFrame:
    paid: dict[int, str] = {}
    last_of_state: dict[tuple[int, int], str] = defaultdict(str)
    for page in pages:
        for history in page.extra["histories"]:
            if history.id_order_state in terms.states.paid:
                paid[history.id_order] = min(paid.get(history.id_order, history.date_add), history.date_add)
            key = (history.id_order, history.id_order_state)
            last_of_state[key] = max(last_of_state[key], history.date_add)
    countries = {key: code for page in pages for key, code in page.extra["countries"].items()}
    own = [tags[row.id] for row in rows]

    def text(name: str, values: Sequence[str | None]) -> pl.Series:
        return pl.Series(name, values, dtype=pl.String)

    return frame_of(_ORDER, columns_of(rows, _ORDER)).with_columns(
        text("source_position", [text for page in pages for text in source_positions(page)]),
        text("currency_code", [terms.currencies.get(row.id_currency) for row in rows]),
        text("currency_text", [str(row.id_currency) for row in rows]),
        text("state_text", [str(row.current_state) for row in rows]),
        text("paid_at", [paid.get(row.id) for row in rows]),
        text("cancelled_state_at", [last_of_state.get((row.id, row.current_state)) for row in rows]),
        text("country_code", [countries.get(row.id_address_delivery) for row in rows]),
        text("origin_number", [tag.origin_number for tag in own]),
        text("cancel_reason", [tag.cancel_reason for tag in own]),
        text("location_code", [tag.pickup_location for tag in own]),
        text("promised_ship_by_at", [tag.promised_ship_by for tag in own]),
        text("available_from_at", [tag.available_from for tag in own]),
        text("replaces_return_id", [tag.replaces_return for tag in own]),
    )


def _order_frame(orders: pl.DataFrame, terms: Terms) -> pl.DataFrame:
    is_cancelled = pl.col("status") == "cancelled"
    imported = terms.imported
    is_imported = pl.lit(False) if imported is None else pl.col("module") == imported.module
    return orders.select(
        pl.col("id").cast(pl.String).alias("order_external_id"),
        pl.lit(terms.channel_code).alias("channel_code"),
        pl.coalesce("reference", pl.col("id").cast(pl.String)).alias("order_number"),
        pl.when(is_imported).then(pl.lit(imported.channel_code if imported else None)).alias("origin_channel_code"),
        pl.when(is_imported).then("origin_number").alias("origin_order_number"),
        "location_code",
        "ordered_at",
        pl.when(pl.col("status").is_in(["pending", "on_hold"]))
        .then(None)
        .otherwise(pl.col("paid_at"))
        .alias("payable_at"),
        pl.when(is_cancelled).then(pl.coalesce("cancelled_state_at", "updated_at")).alias("cancelled_at"),
        pl.when(is_cancelled).then(pl.coalesce("cancel_reason", pl.lit("customer"))).alias("cancel_reason"),
        "status",
        "currency_code",
        pl.col("total_paid_tax_incl").alias("total_minor"),
        (pl.col("total_paid_tax_incl") - pl.col("total_paid_tax_excl")).alias("tax_minor"),
        pl.col("total_shipping_tax_incl").alias("shipping_minor"),
        pl.col("total_wrapping_tax_incl").alias("fee_minor"),
        pl.col("total_discounts_tax_incl").alias("discount_minor"),
        pl.when(pl.col("id_customer") != 0).then(pl.col("id_customer").cast(pl.String)).alias("customer_external_id"),
        # the order has no e-mail of its own: it is the customer's, joined by customer_external_id
        pl.lit(None, pl.String).alias("email_token"),
        "country_code",
        pl.when(pl.col("location_code").is_not_null())
        .then(pl.lit("pickup"))
        .otherwise(pl.lit("ship"))
        .alias("fulfilment_method"),
        pl.lit("retailer").alias("fulfilled_by"),
        "promised_ship_by_at",
        "available_from_at",
        "replaces_return_id",
        pl.col("shipping_number").alias("tracking_number"),
        "updated_at",
        "source_position",
    )


def _lines(
    pages: Sequence[Page[Order]], kept: pl.DataFrame, tags: Mapping[int, Tags], raw_text: RawText
) -> tuple[pl.DataFrame, list[Reject]]:
    # a line's raw text is that of its order: with it alone nothing could be replayed
    order_text = whole_row(raw_text)
    order_positions = {
        row.id: position
        for page in pages
        for row, position in zip(page.decoded.rows, source_positions(page), strict=True)
    }
    rows = [row for page in pages for row in page.extra["details"].rows if row.id_order in order_positions]
    table = frame_of(_DETAIL, columns_of(rows, _DETAIL))
    shortages = [tags[row.id_order].shortages.get(row.id) if row.id_order in tags else None for row in rows]
    table = table.with_columns(
        pl.Series(
            "source_position",
            [part_of(order_positions[row.id_order], f"line {row.id}") for row in rows],
            dtype=pl.String,
        ),
        plain_text(table["product_name"]).alias("name"),
        pl.Series("cancelled_qty", [short.quantity if short else 0 for short in shortages], dtype=pl.Int64),
        pl.Series("cancel_reason", [short.reason if short else None for short in shortages], dtype=pl.String),
        pl.Series("cancelled_at", [short.cancelled if short else None for short in shortages], dtype=pl.String),
    ).join(kept, left_on="id_order", right_on="id", how="inner", maintain_order="left")
    unit = scaled("unit_price_tax_incl")
    unit_minor = minor_units(unit)
    good, rejects = convert(
        table,
        [
            Field(
                "quantity",
                pl.col("product_quantity").str.to_integer(strict=False),
                "product_quantity",
                "number",
                "a whole number of units",
            ),
            Field("unit_minor", unit_minor, "unit_price_tax_incl", "money", "a decimal number with a dot, like 12.90"),
            money("gross_minor", "total_price_tax_incl"),
            money("net_minor", "total_price_tax_excl"),
            utc_instant("cancelled_at"),
            clean_text("product_reference"),
        ],
        entity="order_line",
        raw_text=order_text,
        is_root=False,
    )
    # more digits than the currency has: the price of one unit cannot be told exactly
    units = {code: 10 ** (MICRO_DIGITS - minor_exponent(code)) for code in good["currency_code"].unique().to_list()}
    per_minor = pl.col("currency_code").replace_strict(units, default=1, return_dtype=pl.Int64)
    is_exact = (unit % per_minor) == 0
    frame = good.select(
        pl.col("id_order").cast(pl.String).alias("order_external_id"),
        pl.col("id").cast(pl.String).alias("line_external_id"),
        item_id("product_id", "product_attribute_id").alias("product_external_id"),
        pl.col("product_reference").alias("sku"),
        "name",
        "quantity",
        "cancelled_qty",
        "cancel_reason",
        "cancelled_at",
        "net_minor",
        (pl.col("gross_minor") - pl.col("net_minor")).alias("tax_minor"),
        pl.when(is_exact).then("unit_minor").alias("unit_price_minor"),
        pl.lit(0, pl.Int64).alias("manual_discount_minor"),
        pl.lit(None, pl.String).alias("return_reference"),
        "source_position",
    )
    shapes = []
    for page in pages:
        for bad in page.extra["details"].bad:
            position = order_positions.get(raw_number(bad.raw, "id_order") or 0)
            if position is None:
                raise PermanentError(
                    f"an order detail does not say to which order it belongs: {bad.reason}",
                    where=Where(stream="orders", field="id_order"),
                    action="compare the shop's version with the recorded exchanges",
                )
            part = part_of(position, f"line {raw_number(bad.raw, 'id') or '?'}")
            shapes.append(Reject(part, order_text(position), "shape", bad.reason, "order_line", is_root=False))
    return frame, [*shapes, *rejects]
