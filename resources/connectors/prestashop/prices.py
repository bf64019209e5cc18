"""The price that PrestaShop shows to the public, computed as the shop computes it: impact, tax, specific price. Integers only.

Source: Product::priceCalculation and SpecificPrice::getSpecificPrice of PrestaShop 8, checked against prices that a shop computed
itself (the recording `products_computed_prices`).
"""

from __future__ import annotations

import re
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
from resources.connectors.prestashop.lenient import decoder_of, raw_number
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
from resources.errors import PermanentError, Where

SPECIFIC_DECODER = decoder_of(SpecificPrice)
NO_DATE = "0000-00-00 00:00:00"
_UNIT = 10**MICRO_DIGITS
_LOCAL_TIME = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}")


@dataclass(frozen=True)
class Quote:
    """Prices of one item, minor units, tax included; null when they cannot be computed.

    The promotion: the one running, else the next to come, else the last one over.
    """

    regular_minor: int | None
    effective_minor: int | None
    promotion: SpecificPrice | None
    promotion_minor: int | None


@dataclass(frozen=True)
class Public:
    """The specific prices that the public may get, by product (0: of every product), and those that cannot be read, with the reason."""

    rows: Mapping[int, Sequence[SpecificPrice]]
    unreadable: Mapping[int, str]

    def of(self, product_id: int) -> Sequence[SpecificPrice]:
        """Those of one product."""
        return (*self.rows.get(product_id, ()), *(self.rows.get(0, ()) if product_id else ()))

    def problem(self, product_id: int) -> str | None:
        """Why the price of a product cannot be told; None when it can."""
        return self.unreadable.get(product_id) or self.unreadable.get(0)


@dataclass(frozen=True)
class Terms:
    """What prices depend on. ``local_now`` is the shop's present as it prints it: the moment that prices are computed for.

    ``ecotax_rate_bp``: tax on the ecotax, None when it cannot be told. ``group_reduction``: what visitors have off every price, in
    1e-8 of a percent.
    """

    currency_code: str
    tax_rates_bp: Mapping[int, int]
    ecotax_rate_bp: int | None
    group_reduction: int
    local_now: str
    zone: str
    channel_code: str
    parents: Mapping[int, Product]
    specific: Public


@dataclass(frozen=True)
class Visitor:
    """Whom prices are computed for. ``shop_id`` and ``shop_group_id`` None: the installation has one shop."""

    currency_id: int
    country_id: int
    group_id: int
    shop_id: int | None = None
    shop_group_id: int | None = None

    def may_get(self, row: SpecificPrice) -> bool:
        """Whether this visitor, buying one, may get a specific price: no customer, cart or larger quantity, no other group."""
        return (
            row.id_customer == 0
            and row.id_cart == 0
            and row.from_quantity <= 1
            and row.id_group in (0, self.group_id)
            and row.id_currency in (0, self.currency_id)
            and row.id_country in (0, self.country_id)
            and (self.shop_id is None or row.id_shop in (0, self.shop_id))
            and (self.shop_group_id is None or row.id_shop_group in (0, self.shop_group_id))
        )


def public_prices(pages: Iterable[Page[SpecificPrice]], visitor: Visitor) -> Public:
    """By product, the specific prices that a visitor may get. Raises PermanentError for one that names no product."""
    found: dict[int, list[SpecificPrice]] = defaultdict(list)
    unreadable: dict[int, str] = {}
    for page in pages:
        for bad in page.decoded.bad:
            product_id = raw_number(bad.raw, "id_product")
            if product_id is None:
                raise PermanentError(
                    f"{page.position(bad.index)} is a price of no product that can be told: {bad.reason}",
                    where=Where(stream="prices"),
                    action="compare the shop's version with the recorded exchanges",
                )
            unreadable[product_id] = f"specific price {raw_number(bad.raw, 'id') or '?'}: {bad.reason}"
        for row in page.decoded.rows:
            if not visitor.may_get(row):
                continue
            problem = _problem(row)
            if problem is None:
                found[row.id_product].append(row)
            else:
                unreadable[row.id_product] = f"specific price {row.id}: {problem}"
    return Public(dict(found), unreadable)


def _problem(row: SpecificPrice) -> str | None:
    for name, text in (("price", row.price), ("reduction", row.reduction)):
        if scaled_int(text) is None:
            return f"{name} {text!r} is not a decimal number"
    if row.reduction_type not in ("amount", "percentage") and scaled_int(row.reduction):
        return f"reduction_type {row.reduction_type!r} is neither amount nor percentage"
    for name, text in (("from", row.starts), ("to", row.ends)):
        if not _LOCAL_TIME.fullmatch(text):
            return f"{name} {text!r} is not a local time like 2026-05-01 12:00:00"
    return None


@dataclass(frozen=True)
class Item:
    """What the price of one product or combination is made of; money is without tax, in 1e-8 of the unit."""

    product_id: int
    combination_id: int
    price: int
    impact: int
    ecotax: int
    rate_bp: int


def quote(item: Item, rows: Sequence[SpecificPrice], terms: Terms) -> Quote:
    """Prices of one item."""
    mine = [row for row in rows if row.id_product_attribute in (0, item.combination_id)]
    now = terms.local_now
    chosen: SpecificPrice | None = None
    running = [row for row in mine if _starts(row) <= now <= row_ends(row)]
    if running:
        chosen = max(running, key=_rank)
    elif mine:
        coming = [row for row in mine if _starts(row) > now]
        chosen = min(coming, key=_starts) if coming else max(mine, key=row_ends)
    if item.ecotax and terms.ecotax_rate_bp is None:
        return Quote(None, None, chosen, None)
    regular = _regular(item, terms)
    if chosen is None:
        return Quote(regular, regular, None, None)
    reduced = _reduced(item, chosen, terms)
    return Quote(regular, reduced if running else regular, chosen, reduced)


def _starts(row: SpecificPrice) -> str:
    return "" if row.starts.startswith("0000") else row.starts


def row_ends(row: SpecificPrice) -> str:
    """The last second of a specific price, local; later than any when it has no end."""
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


def _regular(item: Item, terms: Terms) -> int:
    return _shown(_gross(item.price + item.impact, item, terms), 10_000, terms)


def _reduced(item: Item, row: SpecificPrice, terms: Terms) -> int:
    price, impact, fixed = item.price, item.impact, _amount(row.price)
    if fixed >= 0:
        # a fixed price for one combination is the whole price; for the product the impact still comes on top
        price, impact = fixed, (0 if row.id_product_attribute else impact)
    gross = _gross(price + impact, item, terms)
    reduction = _amount(row.reduction)
    if row.reduction_type == "percentage":
        return _shown(gross * (_UNIT - reduction), 10_000 * _UNIT, terms)
    off = reduction * (10_000 if row.reduction_tax == "1" else 10_000 + item.rate_bp)
    return _shown(gross - off, 10_000, terms)


def _gross(net: int, item: Item, terms: Terms) -> int:
    """With tax and ecotax, in 1e-8 of the unit over 10,000."""
    return net * (10_000 + item.rate_bp) + item.ecotax * (10_000 + (terms.ecotax_rate_bp or 0))


def _shown(numerator: int, denominator: int, terms: Terms) -> int:
    """What is shown of a price: less the reduction of the visitors' group, rounded once, and never below zero."""
    hundred = 100 * _UNIT
    off = numerator * (hundred - terms.group_reduction)
    return max(0, _rounded(off, denominator * hundred, minor_exponent(terms.currency_code)))


def _amount(text: str) -> int:
    amount = scaled_int(text)
    if amount is None:
        raise PermanentError(f"{text!r} is not a decimal number", where=Where(stream="prices"))
    return amount


def _rounded(numerator: int, denominator: int, exponent: int) -> int:
    """Minor units, half away from zero, of ``numerator / denominator`` in 1e-8 of the unit."""
    divisor = denominator * int(10 ** (MICRO_DIGITS - exponent))
    sign = -1 if numerator < 0 else 1
    return sign * ((2 * abs(numerator) + divisor) // (2 * divisor))


def products_to_batch(pages: Sequence[Page[Product]], terms: Terms) -> Batch:
    """Prices of products, one row each. A product with combinations has its own price there, without impact."""
    rows = [row for page in pages for row in page.decoded.rows]
    items = [(str(row.id), "0", row, "0", row.ecotax) for row in rows]
    return _batch(pages, items, [0] * len(rows), PRODUCT_DECODER, terms)


def combinations_to_batch(pages: Sequence[Page[Combination]], terms: Terms) -> Batch:
    """Prices of combinations, one row each."""
    rows = [row for page in pages for row in page.decoded.rows]
    items = [
        (f"{row.id_product}-{row.id}", str(row.id_product), terms.parents.get(row.id_product), row.price, row.ecotax)
        for row in rows
    ]
    return _batch(pages, items, [row.id for row in rows], COMBINATION_DECODER, terms)


def _batch(
    pages: Sequence[Page[Any]],
    items: Sequence[tuple[str, str, Product | None, str, str]],
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
            "ecotax": pl.Series([product.ecotax if product else "0" for product in products], dtype=pl.String),
            "own_ecotax": pl.Series([item[4] for item in items], dtype=pl.String),
            "problem": pl.Series(
                [terms.specific.problem(product.id) if product else None for product in products], dtype=pl.String
            ),
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
            Field("ecotax", scaled("ecotax"), "ecotax", "money", "a decimal number with a dot, like 0.12"),
            Field("own_ecotax", scaled("own_ecotax"), "own_ecotax", "money", "a decimal number with a dot, like 0.12"),
            Field("problem", pl.lit(None, pl.String), "problem", "specific_price", "a promotion that can be read"),
            known_product(),
        ],
        entity="channel_price",
        raw_text=raw_text,
    )
    items_of_good = good.select(
        "product_id",
        "combination_id",
        "price",
        "impact",
        # a combination's own ecotax stands in the place of its product's
        pl.when(pl.col("own_ecotax") > 0).then("own_ecotax").otherwise("ecotax"),
        "tax_rate_bp",
    )
    priced_items = [Item(*values) for values in items_of_good.iter_rows()]
    quotes = [quote(item, terms.specific.of(item.product_id), terms) for item in priced_items]
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
