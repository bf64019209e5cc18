"""The price that PrestaShop shows to the public, computed as the shop computes it: impact, tax, specific price. Integers only.

Source: Product::priceCalculation and SpecificPrice::getSpecificPrice of PrestaShop 8, checked against prices that a shop computed
itself (the recording `products_computed_prices`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from resources.connectors.prestashop.catalogue import (
    COMBINATION_DECODER,
    PRODUCT_DECODER,
    is_published,
    known_product,
)
from resources.connectors.prestashop.rows import Combination, Product, SpecificPrice
from resources.connectors.sdk.batches import entity_frame
from resources.connectors.sdk.decode import (
    MICRO_DIGITS,
    Field,
    Page,
    RawText,
    RowDecoder,
    convert,
    local_instant,
    minor_exponent,
    scaled,
    scaled_int,
    shape_rejects,
    source_positions,
)
from resources.connectors.sdk.stream import Batch

SPECIFIC_DECODER: RowDecoder[SpecificPrice] = RowDecoder(SpecificPrice, wrapped=True, strict=False)
NO_DATE = "0000-00-00 00:00:00"
VISITOR_GROUP = 1
_UNIT = 10**MICRO_DIGITS


@dataclass(frozen=True)
class Quote:
    """Prices of one item, minor units, tax included. The promotion: the one running, else the next to come, else the last one over."""

    regular_minor: int
    effective_minor: int
    promotion: SpecificPrice | None
    promotion_minor: int | None


@dataclass(frozen=True)
class Terms:
    """What prices depend on. ``local_now`` is the shop's present as it prints it: the moment that prices are computed for."""

    currency_code: str
    currency_id: int
    country_id: int
    tax_rates_bp: Mapping[int, int]
    local_now: str
    zone: str
    channel_code: str
    parents: Mapping[int, Product]
    specific: Mapping[int, Sequence[SpecificPrice]]


def public_prices(
    rows: Iterable[SpecificPrice], *, currency_id: int, country_id: int
) -> dict[int, list[SpecificPrice]]:
    """By product, the specific prices that a visitor who buys one may get: no customer, cart or larger quantity, no other group."""
    found: dict[int, list[SpecificPrice]] = defaultdict(list)
    for row in rows:
        if (
            row.id_customer == 0
            and row.id_cart == 0
            and row.from_quantity <= 1
            and row.id_group in (0, VISITOR_GROUP)
            and row.id_currency in (0, currency_id)
            and row.id_country in (0, country_id)
        ):
            found[row.id_product].append(row)
    return dict(found)


def quote(
    price: int, impact: int, rate_bp: int, combination_id: int, rows: Sequence[SpecificPrice], terms: Terms
) -> Quote:
    """Prices of one item. ``price`` and ``impact`` are without tax, in 1e-8 of the unit."""
    exponent = minor_exponent(terms.currency_code)
    regular = _rounded((price + impact) * (10_000 + rate_bp), 10_000, exponent)
    mine = [row for row in rows if row.id_product_attribute in (0, combination_id)]
    if not mine:
        return Quote(regular, regular, None, None)
    now = terms.local_now
    running = [row for row in mine if _starts(row) <= now <= _ends(row)]
    if running:
        chosen = max(running, key=_rank)
    else:
        coming = [row for row in mine if _starts(row) > now]
        chosen = min(coming, key=_starts) if coming else max(mine, key=_ends)
    reduced = _reduced(price, impact, rate_bp, chosen, exponent)
    return Quote(regular, reduced if running else regular, chosen, reduced)


def _starts(row: SpecificPrice) -> str:
    return "" if row.starts.startswith("0000") else row.starts


def _ends(row: SpecificPrice) -> str:
    return "9999" if row.ends.startswith("0000") else row.ends


def _rank(row: SpecificPrice) -> tuple[Any, ...]:
    """The shop's own order: the item's own row, larger quantity, no catalogue rule, the most precise, the latest dates."""
    score = 16 * (row.id_shop != 0) + 8 * (row.id_currency != 0) + 4 * (row.id_country != 0) + 2 * (row.id_group != 0)
    return (
        row.id_product_attribute != 0,
        row.from_quantity,
        -row.id_specific_price_rule,
        score,
        row.ends,
        row.starts,
        row.id,
    )


def _reduced(price: int, impact: int, rate_bp: int, row: SpecificPrice, exponent: int) -> int:
    fixed = _read(row.price, row)
    if fixed >= 0:
        # a fixed price for one combination is the whole price; for the product the impact still comes on top
        price, impact = fixed, (0 if row.id_product_attribute else impact)
    gross = (price + impact) * (10_000 + rate_bp)  # over 10_000
    reduction = _read(row.reduction, row)
    if row.reduction_type == "percentage":
        return max(0, _rounded(gross * (_UNIT - reduction), 10_000 * _UNIT, exponent))
    off = reduction * (10_000 if row.reduction_tax == "1" else 10_000 + rate_bp)
    return max(0, _rounded(gross - off, 10_000, exponent))


def _read(text: str, row: SpecificPrice) -> int:
    amount = scaled_int(text)
    if amount is None:
        raise ValueError(f"specific price {row.id}: {text!r} is not a decimal number")
    return amount


def _rounded(numerator: int, denominator: int, exponent: int) -> int:
    """Minor units, half away from zero, of ``numerator / denominator`` in 1e-8 of the unit."""
    divisor = denominator * int(10 ** (MICRO_DIGITS - exponent))
    sign = -1 if numerator < 0 else 1
    return sign * ((2 * abs(numerator) + divisor) // (2 * divisor))


def products_to_batch(pages: Sequence[Page[Product]], terms: Terms) -> Batch:
    """Prices of products, one row each. A product with combinations has its own price there, without impact."""
    rows = [row for page in pages for row in page.decoded.rows]
    items = [(str(row.id), "0", row, "0") for row in rows]
    return _batch(pages, items, [0] * len(rows), PRODUCT_DECODER, terms)


def combinations_to_batch(pages: Sequence[Page[Combination]], terms: Terms) -> Batch:
    """Prices of combinations, one row each."""
    rows = [row for page in pages for row in page.decoded.rows]
    items = [
        (f"{row.id_product}-{row.id}", str(row.id_product), terms.parents.get(row.id_product), row.price)
        for row in rows
    ]
    return _batch(pages, items, [row.id for row in rows], COMBINATION_DECODER, terms)


def _batch(
    pages: Sequence[Page[Any]],
    items: Sequence[tuple[str, str, Product | None, str]],
    combination_ids: Sequence[int],
    decoder: RowDecoder[Any],
    terms: Terms,
) -> Batch:
    raw_text = RawText(pages, decoder)
    products = [item[2] for item in items]
    table = pl.DataFrame(
        {
            "product_external_id": pl.Series([item[0] for item in items], dtype=pl.String),
            "parent_external_id": pl.Series([item[1] for item in items], dtype=pl.String),
            "known_product": pl.Series([product is not None for product in products], dtype=pl.Boolean),
            "product_id": pl.Series([product.id if product else 0 for product in products], dtype=pl.Int64),
            "combination_id": pl.Series(combination_ids, dtype=pl.Int64),
            "price": pl.Series([product.price if product else "0" for product in products], dtype=pl.String),
            "impact": pl.Series([item[3] for item in items], dtype=pl.String),
            "tax_rate_bp": pl.Series(
                [terms.tax_rates_bp.get(product.id_tax_rules_group, 0) if product else 0 for product in products],
                dtype=pl.Int64,
            ),
            "is_published": pl.Series([product is not None and is_published(product) for product in products]),
            "source_position": pl.Series([text for page in pages for text in source_positions(page)], dtype=pl.String),
        }
    )
    good, rejects = convert(
        table,
        [
            Field("price", scaled("price"), "price", "money", "a decimal number with a dot, like 12.90"),
            Field("impact", scaled("impact"), "impact", "money", "a decimal number with a dot, like -1.35"),
            known_product(),
        ],
        entity="channel_price",
        raw_text=raw_text,
    )
    quotes = [
        quote(price, impact, rate, combination_id, terms.specific.get(product_id, ()), terms)
        for product_id, combination_id, price, impact, rate in good.select(
            "product_id", "combination_id", "price", "impact", "tax_rate_bp"
        ).iter_rows()
    ]
    promotions = [found.promotion for found in quotes]
    priced = good.with_columns(
        pl.lit(terms.channel_code).alias("channel_code"),
        pl.lit(terms.currency_code).alias("currency_code"),
        pl.Series("regular_minor", [found.regular_minor for found in quotes], dtype=pl.Int64),
        pl.Series("effective_minor", [found.effective_minor for found in quotes], dtype=pl.Int64),
        pl.Series("promotion_minor", [found.promotion_minor for found in quotes], dtype=pl.Int64),
        pl.Series("from", [row.starts if row else None for row in promotions], dtype=pl.String),
        pl.Series("to", [row.ends if row else None for row in promotions], dtype=pl.String),
    )
    dated, date_rejects = convert(
        priced,
        [
            local_instant("promotion_starts_at", terms.zone, "from"),
            local_instant("promotion_ends_at", terms.zone, "to"),
        ],
        entity="channel_price",
        raw_text=raw_text,
    )
    # PrestaShop sells at the reduced price up to and with that second; ours is the first second without
    shown = dated.with_columns(pl.col("promotion_ends_at").dt.offset_by("1s"))
    return Batch(
        received_qty=sum(page.decoded.received_qty for page in pages),
        raw=[(page.name, page.body) for page in pages],
        frames={"channel_price": entity_frame("channel_price", shown)},
        rejects=[*shape_rejects(pages, entity="channel_price"), *rejects, *date_rejects],
        raw_at=lambda position: (raw_text(position), ""),
    )
