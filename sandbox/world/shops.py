"""The two web shops: what they list, publish and charge, with the defects of a real one, and the orders as they hold them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from sandbox.shop_data import SHOP_SCHEMAS, ShopData
from sandbox.world.catalogue import Catalogue, gtin13
from sandbox.world.dice import INSTANT, dice, plant
from sandbox.world.expected import expected_stock
from sandbox.world.people import with_contact
from sandbox.world.places import CHANNELS
from sandbox.world.prices import Prices, expected_prices, price_under
from sandbox.world.sales import shop_reference
from sandbox.world.stock import Stock

STOCK_CASES = {"oversell": 0.01, "hidden": 0.012}
BE_CASES = {**STOCK_CASES, "not_managed": 0.004}
FIRST_ITEM_ID, TWIN_OFFSET = 40, 40_000_000


@dataclass(frozen=True)
class Shop:
    """`data` for the server; `listings`: the same items with our article number, what was planted, and what the shop shows."""

    data: ShopData
    listings: pl.DataFrame


def build_listings(
    channel_code: str,
    *,
    seed: int,
    catalogue: Catalogue,
    prices: Prices,
    stock: Stock,
    demand: pl.DataFrame,
    now: datetime,
) -> pl.DataFrame:
    """One row per item of a shop, parents included: `item` (null for strangers), what it shows and what it should show."""
    channel = CHANNELS[channel_code]
    rng = dice(seed, f"listings {channel_code}")
    listed = (
        prices.cases.filter(pl.col("channel") == channel_code, pl.col("case") != "unlisted")
        .rename({"case": "price_case"})
        .join(catalogue.items, on="item", maintain_order="left")
        .join(
            expected_stock(channel_code, catalogue=catalogue, stock=stock, demand=demand),
            on="item",
            how="left",
            maintain_order="left",
        )
        .with_columns(pl.lit(now).cast(INSTANT).alias("at"))
    )
    listed = _published(rng, listed, channel_code)
    listed = _priced(expected_prices(prices, listed), prices, now)
    parents = catalogue.items.filter(pl.col("kind") == "parent").join(
        listed.select(pl.col("parent").alias("item")).unique(), on="item", how="semi"
    )
    rows = pl.concat(
        [listed, parents.with_columns(pl.lit(channel.price_list).alias("price_list")), _strangers(channel_code)],
        how="diagonal_relaxed",
    )
    rows = rows.sort(pl.col("kind") == "variant", pl.col("item").is_null(), "item", "name", maintain_order=True)
    rows = rows.with_columns(pl.int_range(FIRST_ITEM_ID, pl.len() + FIRST_ITEM_ID, dtype=pl.Int64).alias("item_id"))
    ids = rows.filter(pl.col("kind") == "parent").select(
        pl.col("item").alias("parent"), pl.col("item_id").alias("parent_id")
    )
    first_child = (
        rows.filter(pl.col("kind") == "variant")
        .group_by("parent")
        .agg(pl.col("shown_regular").min().alias("child_minor"), pl.col("shop_rate").first().alias("child_rate"))
    )
    return (
        rows.join(ids, on="parent", how="left", maintain_order="left")
        .join(first_child.rename({"parent": "item"}), on="item", how="left", maintain_order="left")
        .with_columns(
            pl.coalesce("shown_regular", "child_minor").alias("shown_regular"),
            pl.coalesce("shop_rate", "child_rate").alias("shop_rate"),
            pl.col("is_published").fill_null(True),
            pl.col("manage_stock").fill_null(False),
            pl.when(pl.col("parent_id").is_null())
            .then(pl.col("item_id").cast(pl.String))
            .otherwise(pl.format("{}-{}", "parent_id", "item_id"))
            .alias("external_id"),
            pl.lit(channel_code).alias("channel"),
            _shop_sku(rows).alias("shop_sku"),
        )
    )


def _shop_sku(rows: pl.DataFrame) -> pl.Series:
    """The SKU that the shop knows: none, or its neighbour's, for the articles chosen for it."""
    twins = rows.filter(pl.col("case") == "sku_duplicate").sort("item").select("item", "sku")
    pairs = twins.with_columns(
        pl.when(pl.int_range(0, pl.len()) % 2 == 1).then(pl.col("sku").shift(1)).otherwise("sku").alias("shop_sku")
    ).drop("sku")
    joined = rows.select("item", "sku", "case").join(pairs, on="item", how="left", maintain_order="left")
    return joined.select(
        pl.when(pl.col("case") == "sku_missing").then(None).otherwise(pl.coalesce("shop_sku", "sku")).alias("s")
    )["s"]


def _published(rng: np.random.Generator, listed: pl.DataFrame, channel_code: str) -> pl.DataFrame:
    """Decide the published quantity: the expected one, or wrong on purpose."""
    size = listed.height
    eligible = listed.filter(
        pl.col("kind").is_in(["simple", "variant", "kit"]),
        pl.col("case") == "none",
        pl.col("price_case") != "unpublished",
        pl.col("expected") > 0,
    )
    drawn = eligible.select(
        "item", plant(rng, eligible.height, BE_CASES if channel_code == "web-be" else STOCK_CASES).alias("stock_case")
    )
    extra = pl.Series("extra", rng.integers(1, 6, size))
    listed = listed.join(drawn, on="item", how="left", maintain_order="left").with_columns(
        extra, pl.col("stock_case").fill_null("none")
    )
    want, case = pl.col("expected"), pl.col("stock_case")
    published = (
        pl.when(pl.col("case") == "moving")
        .then(pl.when(want > 0).then(want - 1).otherwise(want + 1))
        .when(pl.col("case") == "stale")
        .then(want + 3)
        .when(case == "oversell")
        .then(want + pl.col("extra"))
        .when(case == "hidden")
        .then(pl.max_horizontal(want - pl.col("extra"), pl.lit(0)))
        .otherwise(want.fill_null(25))
    )
    services = pl.col("kind").is_in(["service", "gift_card"])
    managed = ~services & (case != "not_managed") if channel_code == "web-be" else pl.lit(True)
    return listed.with_columns(
        managed.alias("manage_stock"),
        pl.when(managed).then(pl.when(services).then(0).otherwise(published)).alias("published_qty"),
        (pl.col("price_case") != "unpublished").alias("is_published"),
    )


def _priced(listed: pl.DataFrame, prices: Prices, now: datetime) -> pl.DataFrame:
    """The regular price and the promotion that the shop holds."""
    at, case = pl.lit(now).cast(INSTANT), pl.col("price_case")
    old = (
        prices.prices.filter(pl.col("true_to_at").is_not_null())
        .sort("valid_from_at")
        .unique(["price_list", "item"], keep="last", maintain_order=True)
    )
    over = _held(prices, pl.col("ends_at") <= at, "over", keep="last")
    coming = _held(prices, pl.col("starts_at") > at, "coming", keep="first")
    listed = (
        listed.join(
            old.select("price_list", "item", pl.col("gross").alias("old_gross")),
            on=["price_list", "item"],
            how="left",
            maintain_order="left",
        )
        .join(over, on=["price_list", "item"], how="left", maintain_order="left")
        .join(coming, on=["price_list", "item"], how="left", maintain_order="left")
    )
    regular = (
        pl.when(case == "over")
        .then(pl.col("regular") + 150)
        .when(case == "under")
        .then(pl.max_horizontal(pl.col("regular") - 150, pl.lit(10)))
        .when(case == "price_in_flight")
        .then("old_gross")
        .when(case == "unpriced")
        .then("base_minor")
        .otherwise("regular")
    )
    shown = case.is_in(
        ["promo", "late", "wrong_depth", "ambiguous", "priority", "best_price", "stackable", "chain", "prior_breach"]
    )
    depth = (
        pl.when(case == "wrong_depth")
        .then(pl.max_horizontal(pl.col("promotion_price") - 40, pl.lit(1)))
        .otherwise("promotion_price")
    )
    listed = listed.with_columns(
        regular.alias("shown_regular"),
        pl.coalesce("rate", pl.when(pl.col("price_list") == "WEB-BE").then("rate_be").otherwise("rate_fr")).alias(
            "shop_rate"
        ),
        pl.when(shown)
        .then(depth)
        .when(case == "leaked")
        .then("over_minor")
        .when(case == "promo_future")
        .then("coming_minor")
        .alias("shown_promotion"),
        pl.when(case == "late")
        .then(pl.lit(now + timedelta(days=1)).cast(INSTANT))
        .when(shown)
        .then("promotion_starts_at")
        .when(case == "leaked")
        .then("over_starts_at")
        .when(case == "promo_future")
        .then("coming_starts_at")
        .alias("shown_from_at"),
        pl.when(shown)
        .then("promotion_ends_at")
        .when(case == "promo_future")
        .then("coming_ends_at")
        .alias("shown_to_at"),
    )
    # a promotion that would not reduce the price is not entered in a shop
    useless = pl.col("shown_promotion") >= pl.col("shown_regular")
    listed = listed.with_columns(
        pl.when(~useless).then(name).alias(name) for name in ("shown_promotion", "shown_from_at", "shown_to_at")
    )
    runs = (
        pl.col("shown_promotion").is_not_null()
        & (pl.col("shown_from_at").is_null() | (pl.col("shown_from_at") <= at))
        & (pl.col("shown_to_at").is_null() | (pl.col("shown_to_at") > at))
    )
    return listed.with_columns(
        pl.when(runs).then("shown_promotion").otherwise("shown_regular").alias("shown_effective")
    )


def _held(prices: Prices, condition: pl.Expr, prefix: str, *, keep: str) -> pl.DataFrame:
    current = prices.prices.filter(pl.col("true_to_at").is_null()).select("price_list", "item", "gross")
    rows = prices.promotions.filter(condition).join(current, on=["price_list", "item"]).sort("starts_at", "promotion")
    rows = rows.unique(["price_list", "item"], keep="last" if keep == "last" else "first", maintain_order=True)
    return rows.select(
        "price_list",
        "item",
        price_under(pl.col("gross")).alias(f"{prefix}_minor"),
        pl.col("starts_at").alias(f"{prefix}_starts_at"),
        pl.col("ends_at").alias(f"{prefix}_ends_at"),
    )


def _strangers(channel_code: str) -> pl.DataFrame:
    """Items that the master does not know: three on sale, one sold out, one without any code."""
    count, start = 5, 900_000_000 if channel_code == "web-fr" else 900_000_500
    n = np.arange(count)
    return pl.DataFrame(
        {
            "name": [f"Ancien article {index + 1}" for index in range(count)],
            "kind": ["simple"] * count,
            "case": ["stranger"] * count,
            "price_case": ["stranger"] * count,
            "stock_case": ["stranger"] * count,
            "sku": [None if index == 3 else f"VIEUX-{channel_code[-2:].upper()}-{index + 1}" for index in range(count)],
            "gtin": pl.Series(
                [None if index == 3 else text for index, text in enumerate(gtin13(start + n * 11).to_list())],
                dtype=pl.String,
            ),
            "category": ["maison"] * count,
            "weight_g": pl.Series([300] * count, dtype=pl.Int64),
            "manage_stock": [True] * count,
            "is_published": [True] * count,
            "published_qty": pl.Series([5, 3, 8, 2, 0], dtype=pl.Int64),
            "shown_regular": pl.Series([1990] * count, dtype=pl.Int64),
            "shown_effective": pl.Series([1990] * count, dtype=pl.Int64),
            "shop_rate": pl.Series([2000 if channel_code == "web-fr" else 2100] * count, dtype=pl.Int64),
        }
    )


def build_shop(
    channel_code: str,
    *,
    catalogue: Catalogue,
    listings: pl.DataFrame,
    orders: pl.DataFrame,
    lines: pl.DataFrame,
    refunds: pl.DataFrame,
    refund_lines: pl.DataFrame,
    now: datetime,
) -> Shop:
    """The shop as its server will hold it."""
    channel = CHANNELS[channel_code]
    imported = (
        orders.filter(pl.col("import_case").is_in(["imported", "import_only"]))
        if channel_code == "web-fr"
        else orders.clear()
    )
    own = orders.filter(pl.col("channel") == channel_code)
    twins = imported.with_columns(
        pl.col("number").alias("origin_number"), shop_reference(pl.col("order") + TWIN_OFFSET).alias("number")
    )
    mine = pl.concat([own.with_columns(pl.lit(None, pl.String).alias("origin_number")), twins]).sort(
        "ordered_at", "order"
    )
    if channel_code == "web-fr":
        mine = mine.with_columns(pl.int_range(6, pl.len() + 6, dtype=pl.Int64).alias("order_id"))
    else:
        mine = mine.with_columns(pl.col("number").cast(pl.Int64).alias("order_id"))
    items = _items(listings, now)
    data = ShopData(
        items=items,
        kit_items=_kit_items(catalogue, listings),
        promotions=listings.filter(pl.col("shown_promotion").is_not_null()).select(
            "item_id",
            pl.col("shown_promotion").alias("promotion_minor"),
            pl.col("shown_from_at").alias("starts_at"),
            pl.col("shown_to_at").alias("ends_at"),
        ),
        customers=_customers(channel.system, mine),
        orders=_orders(channel.system, mine, lines),
        order_lines=_order_lines(mine, lines, listings),
        refunds=_cut(
            refunds.join(mine.filter(pl.col("origin_number").is_null()).select("order", "order_id"), on="order")
            .with_columns(
                pl.col("refund").alias("refund_id"),
                (pl.col("return_code") if channel_code == "web-be" else pl.lit(None, pl.String)).alias("return_id"),
            )
            .sort("refund_id"),
            "refunds",
        ),
        refund_lines=_cut(
            refund_lines.join(refunds.select("refund", "order"), on="refund")
            .join(mine.filter(pl.col("origin_number").is_null()).select("order"), on="order", how="semi")
            .with_columns(
                pl.col("refund").alias("refund_id"), pl.col("line").alias("line_id"), pl.col("quantity").alias("qty")
            )
            .sort("refund_id", "line_id"),
            "refund_lines",
        ),
        currency="EUR",
        time_zone=channel.zone,
    )
    return Shop(data, listings)


def _cut(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    """The columns of one shop frame, in order and type."""
    return frame.select(pl.col(column).cast(dtype) for column, dtype in SHOP_SCHEMAS[name].items())


def _items(listings: pl.DataFrame, now: datetime) -> pl.DataFrame:
    kinds = {"variant": "variation", "parent": "variable"}
    return _cut(
        listings.with_columns(
            pl.col("kind").replace(kinds),
            pl.col("shop_sku").alias("sku"),
            pl.col("is_published").alias("is_active"),
            pl.col("shown_regular").alias("regular_minor"),
            pl.col("shop_rate").alias("tax_rate_bp"),
            pl.when("manage_stock").then("published_qty").alias("stock_qty"),
            pl.lit(False).alias("is_backorder_allowed"),
            pl.coalesce("modified_at", pl.lit(now - timedelta(days=200)).cast(INSTANT)).alias("created_at"),
            pl.coalesce("modified_at", pl.lit(now - timedelta(days=200)).cast(INSTANT)).alias("updated_at"),
        ),
        "items",
    )


def _kit_items(catalogue: Catalogue, listings: pl.DataFrame) -> pl.DataFrame:
    ids = listings.filter(pl.col("item").is_not_null()).select("item", "item_id")
    return (
        catalogue.kits.join(ids.rename({"item": "kit", "item_id": "kit_id"}), on="kit")
        .join(ids.rename({"item": "component", "item_id": "component_id"}), on="component")
        .select("kit_id", "component_id", "qty")
        .sort("kit_id", "component_id")
    )


def _is_guest() -> pl.Expr:
    return pl.col("person") % 10 == 0


def _customers(system: str, mine: pl.DataFrame) -> pl.DataFrame:
    known = (
        mine.filter(pl.col("origin_number").is_null())
        .group_by("person")
        .agg(pl.col("ordered_at").min().alias("created_at"), pl.col("ordered_at").max().alias("updated_at"))
        .sort("person")
    )
    if system == "shop_be":
        known = known.filter(~_is_guest())
    return _cut(
        with_contact(known, system).with_columns(
            (pl.col("person") + 1).alias("customer_id"), _is_guest().alias("is_guest")
        ),
        "customers",
    )


def _orders(system: str, mine: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
    goods = lines.group_by("order").agg((pl.col("quantity") * pl.col("unit_minor")).sum().alias("goods_minor"))
    frame = with_contact(mine.join(goods, on="order", how="left", maintain_order="left"), system)
    stamps = ("ordered_at", "paid_at", "cancelled_at", "completed_at")
    nobody = pl.col("origin_number").is_not_null() | (_is_guest() & pl.lit(system == "shop_be"))
    return _cut(
        frame.with_columns(
            pl.when(~nobody).then(pl.col("person") + 1).alias("customer_id"),
            pl.col("payable_at").alias("paid_at"),
            (pl.col("goods_minor") + pl.col("shipping_minor") + pl.col("fee_minor") - pl.col("discount_minor")).alias(
                "total_minor"
            ),
            pl.col("pickup").alias("pickup_location"),
            pl.col("own_promise_at").alias("promised_ship_by_at"),
            pl.col("replaces_return").alias("replaces_return_id"),
        ).with_columns(pl.max_horizontal(*stamps).alias("updated_at")),
        "orders",
    )


def _order_lines(mine: pl.DataFrame, lines: pl.DataFrame, listings: pl.DataFrame) -> pl.DataFrame:
    ids = listings.filter(pl.col("item").is_not_null()).select("item", "item_id", "shop_sku")
    frame = lines.join(mine.select("order", "order_id"), on="order").join(
        ids, on="item", how="left", maintain_order="left"
    )
    return _cut(
        frame.with_columns(
            pl.col("line").alias("line_id"),
            pl.when("is_deleted").then("sku").otherwise("shop_sku").alias("sku"),
            pl.col("quantity").alias("qty"),
            (pl.col("quantity") * pl.col("unit_minor")).alias("line_total_minor"),
            pl.col("rate").alias("tax_rate_bp"),
        ).sort("order_id", "line_number"),
        "order_lines",
    )
