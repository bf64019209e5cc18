"""The stock book in memory: a snapshot of the warehouse plus the orders seen since, and what each channel should show.

The rules are those of referentials.unacknowledged_line, kpis.k1b_pool and kpis.k1b_expected, to the last edge; a test holds the
book and the SQL to the same numbers and the same words. Belongs here: arithmetic. No file, no database, no clock of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from resources.fast_lane.events import OrderEvent
from resources.fast_lane.snapshot import KNOWN_DAYS, KNOWN_TICKET_DAYS, Snapshot

OrderKey = tuple[str, str]
Place = tuple[str, str]
"""(location, product)."""

ENDED = frozenset({"cancelled", "failed", "refunded"})
GONE = frozenset({"shipped", "delivered"})
UNTRACKED_KINDS = frozenset({"service", "gift_card"})


@dataclass(frozen=True)
class Position:
    """What the master holds of a product at a location; committed and reserved are 0 where on hand is net of them."""

    on_hand_qty: int
    committed_qty: int
    reserved_qty: int
    damaged_qty: int
    as_of_at: datetime


@dataclass(frozen=True)
class ChannelRule:
    """How a channel draws on stock. ``locations``: its pool; ``is_web``: one that listings are published on."""

    channel_code: str
    system_code: str
    is_web: bool
    is_till: bool
    ships_from_code: str | None
    safety_stock_qty: int
    cap_qty: int | None
    stale_after: timedelta | None
    is_order_acknowledged: bool
    locations: tuple[str, ...]


@dataclass(frozen=True)
class Item:
    """A product: what limits a listing of it."""

    sku: str | None
    kind: str
    is_stock_tracked: bool


@dataclass(frozen=True)
class Listing:
    """An item of a channel, as the snapshot last saw it."""

    channel_code: str
    external_id: str
    product_id: str
    published_qty: int
    observed_at: datetime


@dataclass(frozen=True)
class Expected:
    """What a channel should show of a product, and why. ``quantity`` None: it cannot be computed.

    ``oldest_as_of_at``: the oldest instant at which the master computed a part of it.
    """

    quantity: int | None
    proof: str | None
    oldest_as_of_at: datetime | None


@dataclass(frozen=True)
class _Pool:
    sellable_qty: int
    oldest_as_of_at: datetime
    proof: str


UNKNOWN = Expected(None, None, None)


class Book:
    """Positions, sales and what follows from them. Built once per snapshot; orders are applied as they come."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.version = snapshot.version
        self.as_of_at = snapshot.as_of_at
        tables = snapshot.tables
        self._known = tables["known_order"]
        self._acknowledgements = tables["acknowledgement"]
        self._positions: dict[Place, Position] = {
            (location, product): Position(*terms) for location, product, *terms in tables["position"].iter_rows()
        }
        self.channels = _channels(tables["channel"], tables["channel_location"])
        self._items: dict[str, Item] = {product: Item(*rest) for product, *rest in tables["product"].iter_rows()}
        self._components: dict[str, list[tuple[str, int]]] = defaultdict(list)
        self._kits_of: dict[str, set[str]] = defaultdict(set)
        for kit, component, quantity in tables["kit"].iter_rows():
            self._components[kit].append((component, quantity))
            self._kits_of[component].add(kit)
        self._products: dict[str, dict[str, str]] = defaultdict(dict)
        for system, external_id, product in tables["crosswalk"].iter_rows():
            self._products[system][external_id] = product
        self._skus: dict[str, str] = dict(tables["sku"].iter_rows())
        self._catalogues = set(tables["catalogue"]["system_code"])
        self._listings: dict[str, list[Listing]] = defaultdict(list)
        self._by_item: dict[tuple[str, str], Listing] = {}
        for channel, external_id, product, published, observed_at, _ in tables["listing"].iter_rows():
            listing = Listing(channel, external_id, product, published, observed_at)
            self._listings[product].append(listing)
            self._by_item[channel, external_id] = listing
        self._sold: dict[Place, int] = defaultdict(int)
        self._effects: dict[OrderKey, dict[Place, int]] = defaultdict(dict)
        for system, order, location, product, quantity in tables["open_line"].iter_rows():
            self._effects[system, order][location, product] = quantity
            self._sold[location, product] += quantity
        self._events: dict[OrderKey, OrderEvent] = {}
        self._pools: dict[tuple[str, str], _Pool | None] = {}

    # -- orders --------------------------------------------------------------------------------------------------------

    def is_known(self, events: Sequence[OrderEvent]) -> list[bool]:
        """Which events the snapshot already counts, or leaves to the main job since they are too old."""
        versions = {
            (system, order): observed_at
            for system, order, _, _, _, observed_at in _rows(
                self._known, "order_external_id", {event.order_external_id for event in events}
            )
        }
        return [
            self._is_too_old(event) or versions.get(event.key, event.observed_at - timedelta(1)) >= event.observed_at
            for event in events
        ]

    def apply(self, events: Sequence[OrderEvent], *, now: datetime) -> set[str]:
        """Take orders in, each in the place of what was known of it. Gives the products whose stock moved.

        An order that the snapshot holds in the same version or a later one, and one that is too old, changes nothing.
        ``now`` stands for the run's clock: until then a place without a row of the master is taken to know everything.
        """
        fresh = [event for event, known in zip(events, self.is_known(events), strict=True) if not known]
        for event in fresh:
            self._events[event.key] = event
        numbers = {event.sold_on[1] for event in fresh} - {None}
        known = list(_rows(self._known, "order_number", numbers))
        acknowledged = {
            (channel, number): acknowledged_at
            for channel, number, acknowledged_at in _rows(self._acknowledgements, "order_number", numbers)
        }
        touched: set[str] = set()
        for event in fresh:
            twins = self._twins(event, known)
            if event.origin_channel_code is not None and twins:
                # The channel's own row is the order, or another import that comes before: this one says it again.
                effect: dict[Place, int] = {}
            else:
                effect = self._effect(event, acknowledged.get(event.sold_on), now)
                for twin in twins:
                    touched |= self._replace(twin, {})
            touched |= self._replace(event.key, effect)
        return touched

    def seen(self, key: OrderKey) -> OrderEvent | None:
        """The order as it was last applied; None for one that was not."""
        return self._events.get(key)

    def is_moved(self, product_id: str) -> bool:
        """Whether an order that was applied here bears on a product, or on a component of it."""
        parts = {product_id, *(component for component, _ in self._components.get(product_id, ()))}
        return any(product in parts for key in self._events for _, product in self._effects.get(key, ()))

    def _is_too_old(self, event: OrderEvent) -> bool:
        """Whether it is older than what the snapshot remembers: nobody here can tell whether the master knows it."""
        rule = self.channels.get(event.channel_code or "")
        days = KNOWN_TICKET_DAYS if rule is not None and rule.is_till else KNOWN_DAYS
        return event.ordered_at <= self.as_of_at - timedelta(days=days)

    def _twins(self, event: OrderEvent, known: Sequence[tuple[Any, ...]]) -> list[OrderKey]:
        """Other rows of the same order: of an import those that go before it, of a channel's own row the imports of it."""
        others = {
            (str(system), str(order)): bool(is_import)
            for system, order, channel, number, is_import, _ in known
            if (channel, number) == event.sold_on
        }
        others |= {
            other.key: other.origin_channel_code is not None
            for other in self._events.values()
            if other.sold_on == event.sold_on
        }
        others.pop(event.key, None)
        if event.origin_channel_code is None:
            return [key for key, is_import in others.items() if is_import]
        return [key for key, is_import in others.items() if not is_import or key < event.key]

    def _replace(self, key: OrderKey, effect: dict[Place, int]) -> set[str]:
        before = self._effects.pop(key, {})
        if effect:
            self._effects[key] = effect
        moved: set[str] = set()
        for place in before.keys() | effect.keys():
            change = effect.get(place, 0) - before.get(place, 0)
            if change:
                self._sold[place] += change
                moved.add(place[1])
        if moved:
            self._pools = {key: pool for key, pool in self._pools.items() if key[1] not in moved}
        return moved

    def _effect(self, event: OrderEvent, acknowledged_at: datetime | None, now: datetime) -> dict[Place, int]:
        """Units that the order takes and the master does not know, by place: referentials.unacknowledged_line."""
        rule = self.channels.get(event.sold_on[0] or "")
        if (
            rule is None
            or event.status in ENDED
            or event.is_cancelled
            or event.fulfilled_by != "retailer"
            or (location := event.location_code or rule.ships_from_code) is None
        ):
            return {}
        effect: dict[Place, int] = defaultdict(int)
        for line in event.lines:
            open_qty = line.quantity - line.cancelled_qty
            product = self.product_of(event.system_code, line.product_external_id, line.sku)
            if product is None or open_qty <= 0:
                continue
            for component, quantity in self._components.get(product) or [(product, 1)]:
                position = self._positions.get((location, component))
                known_until = now if position is None else position.as_of_at
                if rule.is_order_acknowledged:
                    is_open = (acknowledged_at is None or acknowledged_at > known_until) and (
                        acknowledged_at is None or event.status not in GONE
                    )
                else:
                    is_open = event.ordered_at > known_until
                if is_open:
                    effect[location, component] += open_qty * quantity
        return dict(effect)

    def product_of(self, system_code: str, external_id: str | None, sku: str | None) -> str | None:
        """The product that a line names: by the system's item, which a system without a catalogue quotes as our SKU."""
        if external_id is None:
            return self._skus.get(sku) if sku is not None else None
        found = self._products[system_code].get(external_id)
        if found is None and system_code not in self._catalogues:
            return self._skus.get(external_id)
        return found

    # -- what follows --------------------------------------------------------------------------------------------------

    def listings(self, products: Iterable[str]) -> Iterator[Listing]:
        """The listings that depend on these products: of the products themselves, and of kits that hold them."""
        moved = set(products)
        for product in sorted(moved.union(*(self._kits_of.get(product, ()) for product in moved))):
            yield from self._listings.get(product, ())

    def listing(self, channel_code: str, external_id: str) -> Listing | None:
        """The listing of an item, if the snapshot has one that may be written."""
        return self._by_item.get((channel_code, external_id))

    def skus(self) -> dict[str, str]:
        """Our SKU of each product that has one."""
        return {product: item.sku for product, item in self._items.items() if item.sku is not None}

    def holds(self, location_code: str, product_id: str) -> bool:
        """Whether the master has a row of the product there."""
        return (location_code, product_id) in self._positions

    def has_parts(self, product_id: str) -> bool:
        """Whether it is a kit."""
        return bool(self._components.get(product_id))

    def all_listings(self) -> Iterator[Listing]:
        """Every listing that may be written."""
        yield from self._by_item.values()

    def expected(self, channel_code: str, product_id: str) -> Expected:
        """What a channel should show of a product: kpis.k1b_expected."""
        item, rule = self._items.get(product_id), self.channels.get(channel_code)
        if item is None or rule is None or not rule.is_web:
            return UNKNOWN
        limits: list[tuple[int, str, int, _Pool]] = []
        for component, quantity in self._limits(product_id, item):
            pool = self._pool(rule, component)
            if pool is None:
                return UNKNOWN
            limits.append((pool.sellable_qty // quantity, component, quantity, pool))
        if not limits:
            return UNKNOWN
        sellable, component, per_kit, pool = min(limits, key=lambda limit: limit[:2])
        proof = pool.proof
        if item.kind == "kit":
            proof = f"component {self._items[component].sku or '?'}: {proof}, {per_kit} in a kit"
        if rule.cap_qty is not None:
            proof += f", cap {rule.cap_qty}"
            sellable = min(sellable, rule.cap_qty)
        return Expected(sellable, proof, min(limit[3].oldest_as_of_at for limit in limits))

    def _limits(self, product_id: str, item: Item) -> list[tuple[str, int]]:
        if item.kind != "kit":
            return [(product_id, 1)] if item.is_stock_tracked and item.kind not in UNTRACKED_KINDS else []
        return [
            (component, quantity)
            for component, quantity in self._components.get(product_id, ())
            if (part := self._items.get(component)) is not None
            and part.is_stock_tracked
            and part.kind not in UNTRACKED_KINDS
        ]

    def _pool(self, rule: ChannelRule, product_id: str) -> _Pool | None:
        key = (rule.channel_code, product_id)
        if key not in self._pools:
            self._pools[key] = self._computed_pool(rule, product_id)
        return self._pools[key]

    def _computed_pool(self, rule: ChannelRule, product_id: str) -> _Pool | None:
        places = [(location, product_id) for location in rule.locations]
        held = [self._positions[place] for place in places if place in self._positions]
        if not held:
            return None
        on_hand = sum(position.on_hand_qty for position in held)
        committed = sum(position.committed_qty for position in held)
        reserved = sum(position.reserved_qty for position in held)
        damaged = sum(position.damaged_qty for position in held)
        sold = sum(self._sold.get(place, 0) for place in places)
        left = on_hand - committed - reserved - damaged - sold - rule.safety_stock_qty
        proof = (
            f"on hand {on_hand} - committed {committed} - reserved {reserved} - damaged {damaged} - unacknowledged {sold} "
            f"- safety stock {rule.safety_stock_qty} = {left}"
        )
        return _Pool(max(0, left), min(position.as_of_at for position in held), proof)


def _channels(channels: pl.DataFrame, locations: pl.DataFrame) -> dict[str, ChannelRule]:
    pools: dict[str, list[str]] = defaultdict(list)
    for channel, location in locations.iter_rows():
        pools[channel].append(location)
    rules = {}
    for row in channels.iter_rows(named=True):
        stale_minutes = row["stock_stale_after_minutes"]
        rules[row["channel_code"]] = ChannelRule(
            channel_code=row["channel_code"],
            system_code=row["system_code"],
            is_web=row["kind"] == "web",
            is_till=row["kind"] == "stores",
            ships_from_code=row["ships_from_code"],
            safety_stock_qty=row["safety_stock_qty"] or 0,
            cap_qty=row["cap_qty"],
            stale_after=None if stale_minutes is None else timedelta(minutes=stale_minutes),
            is_order_acknowledged=row["is_order_acknowledged"],
            locations=tuple(pools[row["channel_code"]]),
        )
    return rules


def _rows(frame: pl.DataFrame, column: str, values: Iterable[str | None]) -> Iterator[tuple[Any, ...]]:
    """Rows of a large frame by one column, without a dictionary of all of them: a year of orders stays columns."""
    wanted = [value for value in values if value is not None]
    if not wanted or not frame.height:
        return iter(())
    return frame.filter(pl.col(column).is_in(wanted)).iter_rows()
