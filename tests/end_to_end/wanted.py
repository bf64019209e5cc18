"""What each listing and each order of the sandbox's web shops must show, worked out row by row from the world's own frames.

Belongs here: the field guide's rules once more, naively, in plain Python: no SQL and no data frame decides anything. What no write can
mend keeps what it shows, and says why.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import polars as pl

from sandbox.world import World
from sandbox.world.places import CHANNELS, WAREHOUSE

WEB = ("web-fr", "web-be")
OFF = ("cancelled", "failed", "refunded")
NUMBER_WINDOW = timedelta(days=7)
"""How long after the last hand-over an order that its shop calls shipped still gets its parcel number."""

Row = Mapping[str, Any]


class Seen(NamedTuple):
    """What a buyer sees of an item; prices in minor units, VAT included. ``quantity``: None where the shop does not count."""

    quantity: int | None
    regular_minor: int | None
    effective_minor: int | None
    is_published: bool


class OrderSeen(NamedTuple):
    """What a shop says of the parcel of one order."""

    is_shipped: bool
    tracking_number: str | None


class Sale(NamedTuple):
    """What a buyer ordered in a web shop after the world was made, paid at once, to be sent from the warehouse."""

    channel: str
    number: str
    item: int
    quantity: int


@dataclass(frozen=True)
class Wanted:
    """``listings``: what each item must show. ``unwritable``: (item, attribute) -> why it is wrong and stays so."""

    listings: Mapping[str, Seen]
    unwritable: Mapping[tuple[str, str], str]


class Arithmetic:
    """Quantities and prices that the master commands at an instant.

    ``levels``: the ERP's stock, its first one by default. ``booked``: (channel, number) of orders booked since the world was made, and
    when. ``sales``: orders placed since.
    """

    def __init__(
        self,
        world: World,
        at: datetime,
        *,
        levels: pl.DataFrame | None = None,
        booked: Mapping[tuple[str, str], datetime] | None = None,
        sales: Sequence[Sale] = (),
    ) -> None:
        self.at = at
        self.items = {row["item"]: row for row in rows(world.catalogue.items)}
        self.parts: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for row in rows(world.catalogue.kits):
            self.parts[row["kit"]].append((row["component"], row["qty"]))
        self.levels = {
            (row["location"], row["item"]): row for row in rows(world.stock.levels if levels is None else levels)
        }
        self.prices = grouped(world.prices.prices, "price_list", "item")
        self.promotions = grouped(world.prices.promotions, "price_list", "item")
        self.unknown = self._unknown_units(world, booked or {}, sales)

    def _unknown_units(
        self, world: World, booked: Mapping[tuple[str, str], datetime], sales: Sequence[Sale]
    ) -> dict[tuple[str, int], int]:
        """Units sold that the ERP's row of that place and article does not know."""
        units: dict[tuple[str, int], int] = defaultdict(int)
        known_at = {
            row["order"]: row["acknowledged_at"] for row in rows(world.stock.acknowledgements) if row["is_accepted"]
        }
        lines = grouped(world.lines, "order")
        for order in rows(world.orders):
            if order["status"] in OFF or order["cancelled_at"] or order["fulfilled_by"] != "retailer":
                continue
            answered_at = known_at.get(order["order"]) or booked.get((order["channel"], order["number"]))
            has_left = order["status"] in ("shipped", "delivered")
            place = order["pickup"] or WAREHOUSE
            for line in lines.get((order["order"],), ()):
                for item, quantity in self.goods(line["item"], line["quantity"] - line["cancelled_qty"]):
                    is_known = answered_at is not None and (has_left or answered_at <= self.stock_as_of(place, item))
                    if not is_known:
                        units[place, item] += quantity
        for sale in sales:
            answered_at = booked.get((sale.channel, sale.number))
            for item, quantity in self.goods(sale.item, sale.quantity):
                if answered_at is None or answered_at > self.stock_as_of(WAREHOUSE, item):
                    units[WAREHOUSE, item] += quantity
        for ticket in rows(world.tickets):
            for item, quantity in self.goods(ticket["item"], max(0, ticket["quantity"])):
                if ticket["sold_at"] > self.stock_as_of(ticket["location"], item):
                    units[ticket["location"], item] += quantity
        return units

    def goods(self, item: int | None, quantity: int) -> list[tuple[int, int]]:
        """A line's articles: a kit is its components."""
        if item is None:
            return []
        if self.items[item]["kind"] == "kit":
            return [(component, each * quantity) for component, each in self.parts[item]]
        return [(item, quantity)]

    def stock_as_of(self, place: str, item: int) -> datetime:
        """When the ERP computed a row of its stock; now where it has none."""
        level = self.levels.get((place, item))
        return level["as_of_at"] if level else self.at

    def available(self, channel_code: str, item: int) -> int | None:
        """Units of an article that a channel may sell, before its cap; None without a stock row in its pool."""
        channel = CHANNELS[channel_code]
        if self.items[item]["kind"] == "kit":
            parts = [(self.available(channel_code, part), each) for part, each in self.parts[item]]
            return min((free // each for free, each in parts if free is not None), default=None)
        pool = [(place, self.levels[place, item]) for place in channel.pool if (place, item) in self.levels]
        if not pool:
            return None
        free = 0
        for _, level in pool:
            promised = 0 if level["is_net"] else level["committed"] + level["reserved"]
            free += level["on_hand"] - promised - level["damaged"]
        sold = sum(self.unknown[place, item] for place in channel.pool)
        return max(0, free - sold - channel.safety_qty)

    def quantity(self, channel_code: str, item: int) -> int | None:
        """What a channel must publish."""
        free = self.available(channel_code, item)
        return None if free is None else min(CHANNELS[channel_code].cap_qty, free)

    def is_stale(self, channel_code: str, item: int) -> bool:
        """Whether some stock of the channel's pool is too old to be believed."""
        channel = CHANNELS[channel_code]
        found = [self.levels.get((place, part)) for part, _ in self.goods(item, 1) for place in channel.pool]
        limit = self.at - timedelta(minutes=channel.stale_minutes)
        return any(level["as_of_at"] < limit for level in found if level)

    def price(self, channel_code: str, item: int) -> Row | None:
        """The price list's row that holds now."""
        held = [
            row
            for row in self.prices.get((CHANNELS[channel_code].price_list, item), ())
            if row["valid_from_at"] <= self.at and (row["true_to_at"] is None or self.at < row["true_to_at"])
        ]
        assert len(held) <= 1, held
        return held[0] if held else None

    def promotion(self, channel_code: str, item: int, regular: int) -> tuple[int | None, bool]:
        """(price under the promotion that wins now, None without one; whether two of them tie)."""
        running = sorted(
            (row["priority"], _reduced(row, regular), row["is_stackable"])
            for row in self.promotions.get((CHANNELS[channel_code].price_list, item), ())
            if row["starts_at"] <= self.at < row["ends_at"]
        )
        if not running:
            return None, False
        return running[0][1], len(running) > 1 and running[0] == running[1]


def wanted_of(world: World, channel_code: str, seen: Mapping[str, Seen], arithmetic: Arithmetic) -> Wanted:
    """What every listing of a channel must show, ``seen`` being what it shows."""
    shop = world.web_fr if channel_code == "web-fr" else world.web_be
    listings = [row for row in rows(shop.listings) if row["kind"] != "parent"]
    unwritable: dict[tuple[str, str], str] = {}
    shown = {}
    siblings = grouped(pl.DataFrame(listings, infer_schema_length=None), "parent")
    for row in listings:
        name, now = row["external_id"], seen[row["external_id"]]
        found = {
            "published_qty": _quantity(channel_code, row, now, arithmetic),
            **_prices(channel_code, row, now, arithmetic),
            "is_published": _published(channel_code, row, now, arithmetic, siblings),
        }
        unwritable |= {(name, attribute): value for attribute, value in found.items() if isinstance(value, str)}
        quantity, regular, effective, is_published = (
            old if isinstance(new, str) else new
            for new, old in zip(
                (found["published_qty"], found["regular_minor"], found["promotion"], found["is_published"]),
                now,
                strict=True,
            )
        )
        shown[name] = Seen(quantity, regular, effective, bool(is_published))
    return Wanted(shown, unwritable)


def _quantity(channel_code: str, row: Row, seen: Seen, arithmetic: Arithmetic) -> int | str | None:
    """The quantity to show, or why what is shown stays although it is wrong."""
    item = row["item"]
    if item is None or row["kind"] in ("service", "gift_card"):
        return seen.quantity
    master = arithmetic.items[item]
    wanted = arithmetic.quantity(channel_code, item)
    if not master["is_tracked"] and row["kind"] != "kit":
        return seen.quantity  # the master counts none
    if seen.quantity is None:
        return "not_managed_on_channel" if wanted is not None else None
    if not master["is_active"]:
        return seen.quantity  # it must not be on sale at all
    if wanted is None:
        return "kit_without_components" if row["kind"] == "kit" else "no_stock_record"
    if arithmetic.is_stale(channel_code, item) and max(0, seen.quantity) != wanted:
        return "stale_stock"
    return wanted


def _prices(channel_code: str, row: Row, seen: Seen, arithmetic: Arithmetic) -> dict[str, int | str | None]:
    """The regular price and the one a buyer pays, or why they stay."""
    kept: dict[str, int | str | None] = {"regular_minor": seen.regular_minor, "promotion": seen.effective_minor}
    if row["item"] is None:
        return kept
    price = arithmetic.price(channel_code, row["item"])
    if price is None:
        return {**kept, "regular_minor": "no_expected_price"}
    if price["currency"] != "EUR":
        return {**kept, "regular_minor": "currency_mismatch"}
    regular: int = price["gross"]
    reduced, is_tie = arithmetic.promotion(channel_code, row["item"], regular)
    return {"regular_minor": regular, "promotion": "ambiguous_promotion" if is_tie else (reduced or regular)}


def _published(
    channel_code: str, row: Row, seen: Seen, arithmetic: Arithmetic, siblings: Mapping[tuple[Any, ...], Sequence[Row]]
) -> bool | str:
    """Whether a buyer must be able to buy it, or why that stays."""
    if row["item"] is None:
        sells = seen.is_published and max(0, seen.quantity or 0) > 0
        return "unknown_product" if sells else seen.is_published
    if row["kind"] in ("service", "gift_card"):
        return seen.is_published
    if not arithmetic.items[row["item"]]["is_active"]:
        others = siblings.get((row["parent"],), ()) if row["parent"] is not None else ()
        stays = any(arithmetic.items[other["item"]]["is_active"] for other in others)
        # PrestaShop hides whole products only.
        return "variant_of_published_product" if channel_code == "web-fr" and stays else False
    return True if arithmetic.price(channel_code, row["item"]) is not None else seen.is_published


def wanted_orders(world: World, channel_code: str, seen: Mapping[str, OrderSeen], at: datetime) -> dict[str, OrderSeen]:
    """Order number -> what its shop must say of it, ``seen`` being what it says."""
    lines, parcels = grouped(world.lines, "order"), grouped(world.shipments, "order")
    inside = grouped(world.shipment_lines, "shipment")
    wanted = {}
    for order in rows(world.orders.filter(pl.col("channel") == channel_code)):
        now = seen[order["number"]]
        wanted[order["number"]] = now
        gone = [parcel for parcel in parcels.get((order["order"],), ()) if parcel["scanned_at"] is not None]
        is_ours = order["fulfilled_by"] == "retailer" and order["pickup"] is None and order["replaces_return"] is None
        if not gone or not is_ours or order["status"] not in ("payable", "shipped"):
            continue
        ordered = sum(
            line["quantity"] - line["cancelled_qty"] for line in lines[order["order"],] if not line["is_service"]
        )
        left = sum(line["quantity"] for parcel in gone for line in inside[parcel["shipment"],])
        last = max(gone, key=lambda parcel: (parcel["scanned_at"], parcel["shipment"]))
        is_due = not now.is_shipped or at - last["scanned_at"] <= NUMBER_WINDOW
        number = now.tracking_number or (last["tracking"] if is_due else None)
        wanted[order["number"]] = OrderSeen(now.is_shipped or left >= ordered, number)
    return wanted


def rows(frame: pl.DataFrame) -> Iterable[Row]:
    """Rows by name."""
    return frame.iter_rows(named=True)


def grouped(frame: pl.DataFrame, *keys: str) -> dict[tuple[Any, ...], list[Row]]:
    """Rows by the values of some columns."""
    found: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows(frame):
        found[tuple(row[key] for key in keys)].append(row)
    return dict(found)


def _reduced(promotion: Row, regular: int) -> int:
    """The price under a promotion; half a cent goes up."""
    if promotion["method"] == "fixed_price":
        return int(promotion["amount_minor"])
    if promotion["method"] == "amount_off":
        return max(0, regular - int(promotion["amount_minor"]))
    return (2 * regular * (10_000 - int(promotion["percentage_bp"])) + 10_000) // 20_000
