"""What happened in the big retailer: its products, sales, parcels, returns and stock, drawn from one seed as whole columns.

Everything is drawn up to the end of the day of changes; `files` shows what was known at an instant. Instants are UTC, money is
in cents. The same size and seed give the same world.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

INSTANT = pl.Datetime("us", "UTC")
NOW = datetime(2026, 5, 18, 22, tzinfo=UTC)
"""When the history ends: a full run is at this instant."""
LATER = NOW + timedelta(days=1)
"""A day later: the changes are what happened in between."""
DAYS = 365
_START = NOW - timedelta(days=DAYS)
_DAY, _HOUR = 86_400, 3_600
LINES_PER_STORE = 160_000
"""Order lines of one store in a year: a larger retailer has more stores, not busier ones."""
BUSY = 3.0
"""The last day sells so many times an ordinary one, so that with parcels and returns one order line in a hundred changes."""
_TILL_SHARE = 0.65

Numbers = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Size:
    """How big a retailer is: order lines up to :data:`NOW`; the rest follows from them."""

    lines: int

    @property
    def store_codes(self) -> tuple[str, ...]:
        """Its stores."""
        return tuple(
            f"S{number:03d}" for number in range(1, max(2, round(self.lines * _TILL_SHARE / LINES_PER_STORE)) + 1)
        )

    @property
    def products_qty(self) -> int:
        """Its simple articles; kits come on top."""
        return min(10_000, max(500, self.lines // 50))


@dataclass(frozen=True)
class World:
    """The tables. Keys are whole numbers of their own table; `product` is an index of ``products``.

    products: product, code, sku, gtin, name, brand, category, kind, rate, weight_g; kits: kit, component, qty;
    prices: price_list, product, amount, from_at, to_at; promotions: promotion, price_list, product, amount, starts_at, ends_at;
    orders: order, ordered_at, cancelled_at, cancel_reason, shipped_at, delivered_at, shipping, customer, ship_by;
    lines: order, line, product, quantity, unit; parcels: parcel, order, its instants, is_late; parcel_lines: parcel, order, line,
    product, quantity; returns: return, order, line, product, quantity, its instants, amount, reason, disposition;
    tickets (a row per line): store (index), number (in its store), line, sold_at, product, quantity, unit, discount, return_number;
    movements: movement, place (0: the warehouse), product, kind, quantity, at; counts: count, place, product, counted, at, reason.
    """

    size: Size
    products: pl.DataFrame
    kits: pl.DataFrame
    prices: pl.DataFrame
    promotions: pl.DataFrame
    orders: pl.DataFrame
    lines: pl.DataFrame
    parcels: pl.DataFrame
    parcel_lines: pl.DataFrame
    returns: pl.DataFrame
    tickets: pl.DataFrame
    movements: pl.DataFrame
    counts: pl.DataFrame


def make_world(size: Size, seed: int) -> World:
    """Draw everything."""
    dice = np.random.default_rng(seed)
    products, kits = _products(size, dice)
    prices, promotions, lists = _prices(size, dice)
    orders, lines = _orders(size, dice, lists)
    parcels, parcel_lines = _parcels(orders, lines, dice)
    orders = orders.join(
        parcels.group_by("order").agg(pl.col("confirmed_at").min().alias("shipped_at"), pl.col("delivered_at").max()),
        on="order",
        how="left",
        maintain_order="left",
    )
    returns = _returns(parcels, parcel_lines, lines, dice)
    tickets = _tickets(size, dice, lists)
    movements = _movements(size, dice, tickets, parcels, parcel_lines, returns)
    return World(
        size, products, kits, prices, promotions, orders, lines, parcels, parcel_lines, returns, tickets, movements,
        _counts(size, dice, movements),
    )  # fmt: skip


def instants(seconds: Numbers) -> pl.Series:
    """Seconds since the start of the history as instants."""
    start_us = int(_START.timestamp()) * 1_000_000
    return pl.Series(seconds.astype(np.int64) * 1_000_000 + start_us).cast(INSTANT)


def _hours(column: str, low: float, high: float, dice: np.random.Generator, height: int) -> pl.Expr:
    """An instant some hours after another one, to the second."""
    wait = pl.Series(dice.integers(int(low * _HOUR), int(high * _HOUR), height) * 1_000_000).cast(pl.Duration("us"))
    return pl.col(column) + pl.lit(wait)


def _sale_seconds(qty: int, dice: np.random.Generator, opens_h: int, closes_h: int) -> Numbers:
    """When things are sold: on any day between two hours (UTC), the last day busier; sorted."""
    weights = np.append(np.ones(DAYS), BUSY)
    days = dice.choice(DAYS + 1, qty, p=weights / weights.sum())
    # The history starts at 22:00: a day of sales begins two hours later.
    return np.sort(days * _DAY + 2 * _HOUR + dice.integers(opens_h * _HOUR, closes_h * _HOUR, qty))


def _with_last_day(qty: int) -> int:
    return round(qty * (1 + BUSY / DAYS))


def _drawn_products(size: Size, qty: int, dice: np.random.Generator) -> Numbers:
    """Few articles sell much: the fifth that sells best has about half of the sales."""
    return (size.products_qty * dice.random(qty) ** 2.3).astype(np.int32)


def _drawn_quantities(qty: int, dice: np.random.Generator) -> Numbers:
    return dice.choice(np.array([1, 2, 3], dtype=np.int32), qty, p=[0.85, 0.11, 0.04])


def _products(size: Size, dice: np.random.Generator) -> tuple[pl.DataFrame, pl.DataFrame]:
    kits_qty = size.products_qty // 100
    qty = size.products_qty + kits_qty
    body = pl.int_range(qty, dtype=pl.Int64, eager=True) + 376_000_000_000
    check = sum((body // 10 ** (11 - place) % 10) * (3 if place % 2 else 1) for place in range(12))
    products = pl.DataFrame(
        {"product": pl.int_range(qty, dtype=pl.Int32, eager=True), "body": body, "check": check}
    ).select(
        "product",
        pl.format("A{}", pl.col("product").cast(pl.String).str.zfill(7)).alias("code"),
        pl.format("BR-{}", pl.col("product").cast(pl.String).str.zfill(7)).alias("sku"),
        pl.format("{}{}", "body", (10 - pl.col("check") % 10) % 10).alias("gtin"),
        pl.format("Article {}", "product").alias("name"),
        pl.format("Marque {}", pl.col("product") % 50).alias("brand"),
        pl.format("famille-{}", pl.col("product") % 40).alias("category"),
        pl.when(pl.col("product") >= size.products_qty).then(pl.lit("kit")).otherwise(pl.lit("simple")).alias("kind"),
        pl.lit(2000, pl.Int64).alias("rate"),
        (100 + pl.col("product") % 900).alias("weight_g"),
    )
    kits = pl.DataFrame(
        {
            "kit": np.repeat(np.arange(size.products_qty, qty, dtype=np.int32), 2),
            "component": dice.integers(0, size.products_qty // 2, (kits_qty, 2)).astype(np.int32).ravel()
            + np.tile(np.array([0, size.products_qty // 2], dtype=np.int32), kits_qty),
            "qty": np.tile(np.array([1, 2], dtype=np.int32), kits_qty),
        }
    )
    return products, kits


@dataclass(frozen=True)
class _PriceList:
    """Price of each product before and after its change, and its promotion; instants in seconds since the start."""

    before: Numbers
    after: Numbers
    changes: Numbers
    lowered: Numbers
    starts: Numbers
    ends: Numbers

    def at(self, products: Numbers, seconds: Numbers) -> Numbers:
        """What a product costs at an instant."""
        regular = np.where(seconds < self.changes[products], self.before[products], self.after[products])
        lowered = (seconds >= self.starts[products]) & (seconds < self.ends[products])
        return np.where(lowered, self.lowered[products], regular)


def _prices(size: Size, dice: np.random.Generator) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, _PriceList]]:
    qty = size.products_qty + size.products_qty // 100
    lists: dict[str, _PriceList] = {}
    frames, promotions = [], []
    regular = dice.integers(500, 15_000, qty)
    never = (DAYS + 400) * _DAY
    for number, name in enumerate(("MKP", "STORE-FR")):
        before = regular + (dice.integers(0, 200, qty) if name == "MKP" else 0)
        changes = np.where(dice.random(qty) < 0.1, dice.integers(_DAY, DAYS * _DAY, qty), never)
        # A few prices change on the day of the changes, which makes their file differ.
        changes = np.where(dice.random(qty) < 0.002, (DAYS + 1) * _DAY - 3 * _HOUR, changes)
        after = np.where(changes < never, before + 100, before)
        starts = np.where(dice.random(qty) < 0.05, dice.integers(0, (DAYS - 14) * _DAY, qty), never)
        one = _PriceList(before, after, changes, before * 8 // 10, starts, starts + 14 * _DAY)
        lists[name] = one
        product = np.arange(qty, dtype=np.int32)
        base = pl.DataFrame({"product": product, "amount": before, "change": changes})
        changed = pl.col("change") < never
        moment = pl.Series(instants(changes))
        early = instants(np.full(qty, -60 * _DAY))
        frames.append(
            pl.concat(
                [
                    base.select(
                        pl.lit(name).alias("price_list"), "product", "amount", early.alias("from_at"),
                        pl.when(changed).then(moment).alias("to_at"),
                    ),
                    base.select(
                        pl.lit(name).alias("price_list"), "product", pl.Series(after).alias("amount"), moment.alias("from_at"),
                        pl.lit(None, INSTANT).alias("to_at"),
                    ).filter(changes < never),
                ]
            )
        )  # fmt: skip
        promoted = np.flatnonzero(starts < never)
        promotions.append(
            pl.DataFrame(
                {
                    "promotion": promoted.astype(np.int64) + (number + 1) * 1_000_000,
                    "price_list": [name] * len(promoted),
                    "product": promoted.astype(np.int32),
                    "amount": one.lowered[promoted],
                    "starts_at": instants(starts[promoted]),
                    "ends_at": instants(one.ends[promoted]),
                }
            )
        )
    return pl.concat(frames), pl.concat(promotions), lists


def _orders(size: Size, dice: np.random.Generator, lists: dict[str, _PriceList]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Marketplace orders of one to four lines."""
    wanted = _with_last_day(size.lines - int(size.lines * _TILL_SHARE))
    of_order = dice.choice(np.array([1, 2, 3, 4]), wanted, p=[0.68, 0.2, 0.08, 0.04])
    qty = int(np.searchsorted(np.cumsum(of_order), wanted)) + 1
    of_order = of_order[:qty]
    seconds = _sale_seconds(qty, dice, 0, 22)
    order = np.repeat(np.arange(qty, dtype=np.int64), of_order)
    product = _drawn_products(size, len(order), dice)
    fate = dice.random(qty)
    orders = pl.DataFrame(
        {
            "order": np.arange(qty, dtype=np.int64),
            "ordered_at": instants(seconds),
            "cancel_reason": np.select([fate < 0.02, fate < 0.025], ["customer", "stock"], ""),
            "shipping": np.where(dice.random(qty) < 0.4, 490, 0),
            "customer": dice.integers(0, max(1, qty // 3), qty),
        }
    ).with_columns(
        pl.when(pl.col("cancel_reason") != "").then("cancel_reason").alias("cancel_reason"),
        (pl.col("ordered_at") + pl.duration(hours=48)).alias("ship_by"),
    )
    orders = orders.with_columns(
        pl.when(pl.col("cancel_reason").is_not_null())
        .then(_hours("ordered_at", 0.2, 20, dice, qty))
        .alias("cancelled_at")
    )
    lines = pl.DataFrame(
        {
            "order": order,
            "line": np.arange(len(order), dtype=np.int64),
            "product": product,
            "quantity": _drawn_quantities(len(order), dice),
            "unit": lists["MKP"].at(product, np.repeat(seconds, of_order)),
        }
    )
    return orders, lines


def _parcels(orders: pl.DataFrame, lines: pl.DataFrame, dice: np.random.Generator) -> tuple[pl.DataFrame, pl.DataFrame]:
    """One parcel an order, two for some of those with several lines."""
    sent = orders.filter(pl.col("cancelled_at").is_null()).select("order", "ordered_at")
    items = lines.join(sent, on="order", how="inner", maintain_order="left")
    is_split = (pl.col("order") % 12 == 0) & (pl.col("line") > pl.col("line").min().over("order"))
    items = items.with_columns(pl.when(is_split).then(1).otherwise(0).alias("part"))
    parcels = items.group_by("order", "part", maintain_order=True).agg(pl.col("ordered_at").first())
    qty = parcels.height
    late = np.where(dice.random(qty) < 0.05, 72, 0)
    parcels = parcels.with_columns(
        pl.int_range(qty, dtype=pl.Int64).alias("parcel"),
        _hours("ordered_at", 0.5, 10, dice, qty).alias("released_at"),
    )
    parcels = parcels.with_columns(_hours("released_at", 0.5, 6, dice, qty).alias("picked_at"))
    parcels = parcels.with_columns(_hours("picked_at", 0.1, 2, dice, qty).alias("packed_at"))
    slow = pl.lit(pl.Series((late + 24 * (parcels["part"].to_numpy())) * _HOUR * 1_000_000).cast(pl.Duration("us")))
    parcels = parcels.with_columns((_hours("packed_at", 0.2, 20, dice, qty) + slow).alias("confirmed_at"))
    parcels = parcels.with_columns(_hours("confirmed_at", 16, 70, dice, qty).alias("delivered_at"))
    items = items.join(parcels.select("order", "part", "parcel"), on=["order", "part"], maintain_order="left")
    return parcels.drop("ordered_at", "part"), items.select("parcel", "order", "line", "product", "quantity")


def _returns(
    parcels: pl.DataFrame, parcel_lines: pl.DataFrame, lines: pl.DataFrame, dice: np.random.Generator
) -> pl.DataFrame:
    """One line in fourteen comes back whole."""
    back = parcel_lines.filter(dice.random(parcel_lines.height) < 0.07)
    qty = back.height
    back = back.join(parcels.select("parcel", "delivered_at"), on="parcel", maintain_order="left").join(
        lines.select("line", "unit"), on="line", maintain_order="left"
    )
    steps = (
        ("requested_at", "delivered_at", 20, 480),
        ("proof_at", "requested_at", 12, 72),
        ("received_at", "proof_at", 24, 120),
        ("inspected_at", "received_at", 2, 40),
        ("restocked_at", "inspected_at", 1, 20),
        ("refunded_at", "received_at", 4, 200),
    )
    for name, after, low, high in steps:
        back = back.with_columns(_hours(after, low, high, dice, qty).alias(name))
    reasons, ends = ["too_small", "not_as_described", "changed_mind", "damaged"], ["restock", "restock", "scrap"]
    return back.select(
        pl.int_range(qty, dtype=pl.Int64).alias("return"), "order", "line", "product", "quantity",
        (pl.col("quantity") * pl.col("unit")).alias("amount"),
        *(name for name, *_ in steps),
        pl.Series(np.array(reasons)[dice.integers(0, len(reasons), qty)]).alias("reason"),
        pl.Series(np.array(ends)[dice.integers(0, len(ends), qty)]).alias("disposition"),
    )  # fmt: skip


def _tickets(size: Size, dice: np.random.Generator, lists: dict[str, _PriceList]) -> pl.DataFrame:
    """Till lines; one in fifty is brought back to the same till some weeks later, quoting its ticket."""
    wanted = _with_last_day(int(size.lines * _TILL_SHARE * 0.98))
    of_ticket = dice.choice(np.array([1, 2, 3, 4, 6]), wanted, p=[0.4, 0.25, 0.15, 0.12, 0.08])
    qty = int(np.searchsorted(np.cumsum(of_ticket), wanted)) + 1
    of_ticket = of_ticket[:qty]
    seconds = _sale_seconds(qty, dice, 8, 17)
    store = dice.integers(0, len(size.store_codes), qty).astype(np.int16)
    ticket = np.repeat(np.arange(qty, dtype=np.int64), of_ticket)
    product = _drawn_products(size, len(ticket), dice)
    sold = np.repeat(seconds, of_ticket)
    unit = lists["STORE-FR"].at(product, sold) + np.where(dice.random(len(ticket)) < 0.004, 100, 0)
    sales = pl.DataFrame(
        {
            "store": np.repeat(store, of_ticket),
            "ticket": ticket,
            "sold": sold,
            "product": product,
            "quantity": _drawn_quantities(len(ticket), dice),
            "unit": unit,
            "discount": np.where(dice.random(len(ticket)) < 0.03, unit // 20, 0),
            "return_of": pl.repeat(None, len(ticket), dtype=pl.Int64, eager=True),
        }
    )
    back = sales.filter(dice.random(sales.height) < 0.02)
    # Brought back at the same hour of another day, while the store is open.
    days = dice.integers(1, 40, back.height) * _DAY
    back = back.with_columns(
        (pl.col("sold") + pl.Series(days) + 60).alias("sold"),
        pl.col("ticket").alias("return_of"),
        (qty + pl.int_range(back.height, dtype=pl.Int64)).alias("ticket"),
        (-1 * pl.col("quantity").clip(1, 1)).cast(pl.Int32).alias("quantity"),
    ).filter(pl.col("sold") < (DAYS + 1) * _DAY)
    rows = pl.concat([sales, back]).sort("store", "sold", "ticket", maintain_order=True)
    is_new = (pl.col("ticket") != pl.col("ticket").shift()) | (pl.col("store") != pl.col("store").shift())
    rows = rows.with_columns(is_new.fill_null(True).cum_sum().over("store").alias("number"))
    numbers = rows.select(pl.col("ticket").alias("return_of"), pl.col("number").alias("return_number")).unique(
        "return_of"
    )
    rows = rows.join(numbers, on="return_of", how="left", maintain_order="left")
    return rows.select(
        "store", "number", (pl.int_range(pl.len()).over("store", "number") + 1).alias("line"),
        instants(rows["sold"].to_numpy()).alias("sold_at"), "product", "quantity", "unit", "discount", "return_number",
    )  # fmt: skip


def _movements(
    size: Size,
    dice: np.random.Generator,
    tickets: pl.DataFrame,
    parcels: pl.DataFrame,
    parcel_lines: pl.DataFrame,
    returns: pl.DataFrame,
) -> pl.DataFrame:
    """The stock's ledger: openings that suffice, deliveries on top, and what was sold and came back. `place` 0 is the warehouse."""

    def rows(frame: pl.DataFrame, place: pl.Expr, kind: pl.Expr, quantity: pl.Expr, at: str) -> pl.DataFrame:
        return frame.select(
            place.cast(pl.Int16).alias("place"), "product", kind.alias("kind"), quantity.cast(pl.Int32).alias("quantity"),
            pl.col(at).alias("at"),
        )  # fmt: skip

    till_kind = pl.when(pl.col("quantity") > 0).then(pl.lit("VTE")).otherwise(pl.lit("RET"))
    back = returns.filter(pl.col("disposition") == "restock")
    flows = pl.concat(
        [
            rows(tickets, pl.col("store") + 1, till_kind, -pl.col("quantity"), "sold_at"),
            rows(
                parcel_lines.join(parcels.select("parcel", "confirmed_at"), on="parcel", maintain_order="left"),
                pl.lit(0), pl.lit("VTE"), -pl.col("quantity"), "confirmed_at",
            ),
            rows(back, pl.lit(0), pl.lit("RET"), pl.col("quantity"), "restocked_at"),
        ]
    )  # fmt: skip
    sold = flows.group_by("place", "product").agg((-pl.col("quantity").clip(upper_bound=0)).sum().alias("sold"))
    places = len(size.store_codes) + 1
    pairs = pl.DataFrame(
        {
            "place": np.repeat(np.arange(places, dtype=np.int16), size.products_qty),
            "product": np.tile(np.arange(size.products_qty, dtype=np.int32), places),
        }
    ).join(sold, on=["place", "product"], how="left", maintain_order="left")
    spare = pl.Series(dice.integers(0, 16, pairs.height))
    early, due = np.full(pairs.height, -30 * _DAY), dice.integers(0, DAYS * _DAY, pairs.height)
    pairs = pairs.with_columns(
        (pl.col("sold").fill_null(0) + spare).alias("opening"),
        instants(early).alias("opened_at"),
        instants(due).alias("received_at"),
    )
    received = pairs.filter(dice.random(pairs.height) < 0.25)
    return (
        pl.concat(
            [
                rows(pairs, pl.col("place"), pl.lit("OUV"), pl.col("opening"), "opened_at"),
                rows(received, pl.col("place"), pl.lit("REC"), pl.lit(5), "received_at"),
                flows,
            ]
        )
        .sort("at", "place", "product", "quantity", maintain_order=True)
        .with_row_index("movement")
    )


def _counts(size: Size, dice: np.random.Generator, movements: pl.DataFrame) -> pl.DataFrame:
    """One count line for each fifty order lines, wrong in one of twenty-five."""
    qty = max(100, size.lines // 50)
    book = movements.select(
        "place", "product", "at", pl.col("quantity").cum_sum().over("place", "product").alias("book")
    )
    counted = pl.DataFrame(
        {
            "place": dice.integers(0, len(size.store_codes) + 1, qty).astype(np.int16),
            "product": _drawn_products(size, qty, dice),
            "at": instants(np.sort(dice.integers(_DAY, (DAYS + 1) * _DAY, qty))),
            "error": np.where(dice.random(qty) < 0.04, dice.integers(-2, 3, qty), 0),
            "reason": np.where(dice.random(qty) < 0.1, "suspicion", "cycle"),
        }
    ).unique(["place", "product", "at"], keep="first", maintain_order=True)
    return (
        counted.join_asof(book, on="at", by=["place", "product"], strategy="backward", check_sortedness=False)
        .with_columns((pl.col("book") + pl.col("error")).clip(lower_bound=0).alias("counted"))
        .with_row_index("count")
        .select("count", "place", "product", "counted", "at", "reason")
    )
