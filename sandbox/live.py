"""A living retailer: buyers order in both shops, tills ring, the ERP answers, the warehouse ships. Each event says what was sold, and when.

It only does what people and systems outside would do: orders go through the shops, tickets and answers are files. Nothing here writes
down a truth: who measures latency takes the events.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Protocol
from zoneinfo import ZoneInfo

import polars as pl

from sandbox.drops.files import DropFile, csv_file, decimal_text, file_name
from sandbox.drops.logistics import WMS
from sandbox.erp import ErpAnswer, ErpOrder, SandboxErp, next_number
from sandbox.ledger import Units
from sandbox.retailer import Sandbox
from sandbox.world.dice import INSTANT, dice
from sandbox.world.places import CHANNELS, PARIS, STORES, STORES_BE
from sandbox.world.prices import expected_prices

EventKind = Literal["web_order", "ticket", "erp_answer", "shipment"]
SHOPS = ("shop_fr", "shop_be")
SHARES = {"shop_fr": 0.4, "shop_be": 0.25, "ticket": 0.35}
"""What happens at a tick, when it is nobody's turn to answer or to ship."""
ERP_EVERY_S, SHIP_EVERY_S = 60, 300
SHIPS_AFTER_S = 600
CARRIER = "dpd"
BASKETS = 20


@dataclass(frozen=True)
class LiveEvent:
    """Something that happened.

    ``reference``: number of the order, ticket or parcel; ``sold``: what left the shelves or was promised by it, kits as kits;
    ``file``: the file that tells of it, if one does; ``detail``: the ERP's decision and reason.
    """

    kind: EventKind
    at: datetime
    system_code: str
    channel_code: str
    reference: str
    sold: tuple[Units, ...] = ()
    file: str | None = None
    detail: str = ""


class SellsOnline(Protocol):
    """What a shop's server offers to its buyers."""

    def place_order(self, lines: Sequence[tuple[int, int]], /) -> object:
        """A buyer orders and pays: (item, units). Raises ValueError for what is sold out."""
        ...


class LiveRetailer:
    """A retailer on the clock of its sandbox. Safe to use from several threads; same seed, same choices."""

    def __init__(self, sandbox: Sandbox, *, seed: int, clock: Callable[[], datetime] | None = None) -> None:
        self.sandbox = sandbox
        self.erp: SandboxErp = sandbox.erp
        self.ledger = sandbox.ledger
        self.clock = clock or sandbox.clock
        self.events: list[LiveEvent] = []
        self._dice = dice(seed, "live")
        self._lock = threading.RLock()
        self._shipped: set[tuple[str, str]] = set()
        self._tickets = self._scans = self._parcels = 0
        self._answered_at = self._shipped_at = self.clock()
        world = sandbox.world
        self._skus = dict(world.catalogue.items.select("item", "sku").iter_rows())
        self._names = dict(world.catalogue.items.select("item", "name").iter_rows())
        self._on_sale = {
            "shop_fr": _on_sale(world.web_fr.data.items, world.web_fr.listings),
            "shop_be": _on_sale(world.web_be.data.items, world.web_be.listings),
        }
        self._shelves = _shelves(world.stock.levels, world.catalogue.items)

    # -- what happens --------------------------------------------------------------------------------------------------

    def place_web_order(self, shop: str, lines: Sequence[tuple[int, int]] | None = None) -> LiveEvent:
        """A buyer orders in `shop_fr` or `shop_be`. ``lines``: (the shop's item, units); chosen when left out."""
        with self._lock:
            servers: dict[str, SellsOnline] = {"shop_fr": self.sandbox.shop_fr, "shop_be": self.sandbox.shop_be}
            server = servers[shop]
            channel = "web-fr" if shop == "shop_fr" else "web-be"
            at = self.clock()
            chosen, placed = self._bought(server, shop) if lines is None else (list(lines), server.place_order(lines))
            items = self._on_sale[shop]
            place = CHANNELS[channel].ships_from or ""
            sold = tuple(Units(place, items[item], units) for item, units in chosen if item in items)
            return self._note(LiveEvent("web_order", at, shop, channel, order_number(placed), sold))

    def ring_up_ticket(self, store: str, item: int | None = None, units: int = 1) -> LiveEvent:
        """A till of a store sells one article; its ticket is a file of its own. ``item``: our article; chosen when left out."""
        with self._lock:
            shelf = self._shelves[store]
            chosen = int(shelf[self._dice.integers(len(shelf))]) if item is None else item
            at = self.clock()
            self._tickets += 1
            number = f"T-{store}-{90_000_000 + self._tickets:08d}"
            file = self._ticket_file(store, number, chosen, units, at)
            sold = (Units(store, chosen, units),)
            self.ledger.sell(sold, at=at)
            file.write(self.sandbox.drops)
            return self._note(LiveEvent("ticket", at, "pos", _till_channel(store), number, sold, file.name))

    def erp_answers(self, *, with_stock: bool = False) -> list[ErpAnswer]:
        """The ERP takes the orders that wait in its folder and answers; then its stock file, if asked."""
        with self._lock:
            self._answered_at = self.clock()
            answers = self.erp.answer()
            for answer in answers:
                order = answer.order
                told = f"{answer.decision} {answer.reason}".strip()
                sold = tuple(self.erp.units(order)) if answer.decision == "booked" else ()
                self._note(
                    LiveEvent("erp_answer", answer.at, "erp", order.channel_code, order.number, sold, detail=told)
                )
            if with_stock:
                self.erp.write_stock()
            return answers

    def ship_orders(self, *, after_s: int = SHIPS_AFTER_S) -> list[LiveEvent]:
        """The warehouse sends off the orders that the ERP booked at least ``after_s`` seconds ago; the carrier scans the parcels.

        An order for a store is ready there instead. One file of the warehouse and one of the carrier, when there is anything.
        """
        with self._lock:
            self._shipped_at = now = self.clock()
            due = [
                order
                for key, order in self.erp.booked.items()
                if order is not None and key not in self._shipped and self._is_due(order, now, after_s)
            ]
            if not due:
                return []
            rows, scans, shipped = [], [], []
            for order in due:
                self._parcels += 1
                code, tracking = f"LV{self._parcels:08d}", f"LV{self._parcels:012d}"
                rows += self._parcel_rows(order, code, tracking, now)
                if order.location_code not in STORES:
                    scans.append((tracking, now))
                shipped.append((order, tracking))
            wms = self._shipment_file(rows, now)
            wms.write(self.sandbox.drops)
            if scans:
                self._scan_file(scans, now).write(self.sandbox.drops)
            events = []
            for order, tracking in shipped:
                self._shipped.add(order.key)
                sold = tuple(self.erp.units(order))
                self.ledger.sell(sold, at=now)
                self.ledger.release(order.key)
                event = LiveEvent("shipment", now, "wms", order.channel_code, order.number, sold, wms.name, tracking)
                events.append(self._note(event))
            return events

    def tick(self) -> list[LiveEvent]:
        """One thing happens; and the ERP and the warehouse do what is their turn by now."""
        with self._lock:
            before = len(self.events)
            names, shares = list(SHARES), list(SHARES.values())
            happens = names[int(self._dice.choice(len(names), p=shares))]
            if happens == "ticket":
                self.ring_up_ticket(STORES[int(self._dice.integers(len(STORES)))])
            else:
                self.place_web_order(happens)
            now = self.clock()
            if now - self._answered_at >= timedelta(seconds=ERP_EVERY_S):
                self.erp_answers()
            if now - self._shipped_at >= timedelta(seconds=SHIP_EVERY_S):
                self.ship_orders()
            return self.events[before:]

    def run(self, *, per_minute: float, stop: threading.Event) -> None:
        """Tick about so many times a minute, as buyers come: at random, until ``stop`` is set."""
        while not stop.wait(float(self._dice.exponential(60 / per_minute))):
            self.tick()

    # -- choices -------------------------------------------------------------------------------------------------------

    def _bought(self, server: SellsOnline, shop: str) -> tuple[list[tuple[int, int]], object]:
        """A basket that the shop took: like any buyer, take something else when it is sold out."""
        for _ in range(BASKETS):
            basket = self._basket(shop)
            try:
                return basket, server.place_order(basket)
            except ValueError:
                continue
        raise ValueError(f"{shop} has sold out: none of {BASKETS} baskets could be bought")

    def _basket(self, shop: str) -> list[tuple[int, int]]:
        """One or two articles that the shop showed in stock, one unit each."""
        items = list(self._on_sale[shop])
        size = 1 + int(self._dice.random() < 0.2)
        picked = self._dice.choice(len(items), size=min(size, len(items)), replace=False)
        return [(items[int(place)], 1) for place in picked]

    def _is_due(self, order: ErpOrder, now: datetime, after_s: int) -> bool:
        booked_at = self.erp.answered_at(order.key)
        return booked_at is not None and now - booked_at >= timedelta(seconds=after_s)

    def _note(self, event: LiveEvent) -> LiveEvent:
        self.events.append(event)
        return event

    # -- files ---------------------------------------------------------------------------------------------------------

    def _ticket_file(self, store: str, number: str, item: int, units: int, at: datetime) -> DropFile:
        price, rate = self._till_price(store, item, at)
        line = {
            "line": 1,
            "sku": self._skus[item],
            "name": self._names[item],
            "qty": units,
            "unit_price": decimal_text(price),
            "manual_discount": "0.00",
            "vat_rate": decimal_text(rate),
            "return_of": None,
        }
        total = decimal_text(price * units)
        ticket = {
            "ticket": number,
            "store": store,
            "channel": _till_channel(store),
            "sold_at": f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "currency": "EUR",
            "lines": [line],
            "total": total,
        }
        data = json.dumps(ticket, ensure_ascii=False).encode() + b"\n"
        prefix = f"SLSRPT_{store}"
        name = file_name(prefix, next_number(self.sandbox.drops / "pos", prefix, "jsonl"), at, "jsonl")
        return DropFile("pos", "pos_tickets", name, data, 1, {"total": total})

    def _till_price(self, store: str, item: int, at: datetime) -> tuple[int, int]:
        """(price of one unit, VAT rate in basis points) at a till, promotions included."""
        asked = pl.DataFrame(
            {"price_list": ["STORE-BE" if store in STORES_BE else "STORE-FR"], "item": [item], "at": [at]},
            schema={"price_list": pl.String, "item": pl.Int64, "at": INSTANT},
        )
        found = expected_prices(self.sandbox.world.prices, asked).row(0, named=True)
        return int(found["expected"]), int(found["rate"])

    def _parcel_rows(self, order: ErpOrder, code: str, tracking: str, now: datetime) -> list[dict[str, Any]]:
        is_pickup = order.location_code in STORES

        def local(at: datetime) -> str:
            return f"{at.astimezone(ZoneInfo(PARIS)):%Y-%m-%d %H:%M:%S}"

        return [
            {
                "shipment": code,
                "channel": order.channel_code,
                "order": order.number,
                "location": order.location_code,
                "carrier": None if is_pickup else CARRIER,
                "tracking": None if is_pickup else tracking,
                "line": number,
                "order_line": None,
                "sku": line.sku,
                "qty": line.quantity,
                "released_at": local(now - timedelta(minutes=4)),
                "picked_at": local(now - timedelta(minutes=3)),
                "packed_at": local(now - timedelta(minutes=2)),
                "label_at": None if is_pickup else local(now - timedelta(minutes=1)),
                "confirmed_at": None if is_pickup else local(now),
                "ready_at": local(now) if is_pickup else None,
                "cancelled_at": None,
            }
            for number, line in enumerate(order.lines, start=1)
        ]

    def _shipment_file(self, rows: list[dict[str, Any]], now: datetime) -> DropFile:
        frame = pl.DataFrame(rows, infer_schema_length=None)
        name = file_name("DESADV", next_number(self.sandbox.drops / "wms", "DESADV", "csv"), now, "csv")
        return csv_file(frame, WMS, system="wms", feed="wms_shipments", name=name)

    def _scan_file(self, scans: Sequence[tuple[str, datetime]], now: datetime) -> DropFile:
        lines = []
        for tracking, at in scans:
            self._scans += 1
            local = at.astimezone(ZoneInfo(PARIS)).replace(microsecond=0)
            lines.append(
                json.dumps(
                    {
                        "id": f"SC9{self._scans:09d}",
                        "carrier": CARRIER,
                        "tracking": tracking,
                        "event": "handed_over",
                        "at": local.isoformat(),
                    }
                )
            )
        text = (
            f'{{"sent_at":"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}","count":{len(lines)},"scans":[\n'
            + ",\n".join(lines)
            + "\n]}\n"
        )
        name = file_name("IFTSTA", next_number(self.sandbox.drops / "carrier", "IFTSTA", "json"), now, "json")
        return DropFile("carrier", "carrier_scans", name, text.encode(), len(lines), {})


def order_number(placed: object) -> str:
    """The number that a shop gave an order: one shop tells it beside its own id, the other numbers by that id."""
    return str(getattr(placed, "number", placed))


def _till_channel(store: str) -> str:
    return "stores-be" if store in STORES_BE else "stores-fr"


def _on_sale(items: pl.DataFrame, listings: pl.DataFrame) -> dict[int, int]:
    """The shop's item -> our article, of what a buyer can put in the basket: well stocked, priced, one of our articles."""
    ours = listings.filter(pl.col("item").is_not_null()).select("item", "item_id")
    rows = (
        items.filter(
            pl.col("kind").is_in(["simple", "variation"]),
            pl.col("is_active"),
            pl.col("manage_stock"),
            pl.col("stock_qty") >= 3,
            pl.col("regular_minor") > 0,
            pl.col("sku").is_not_null(),
        )
        .join(ours, on="item_id", maintain_order="left")
        .unique("sku", keep="none", maintain_order=True)
    )
    return dict(zip(rows["item_id"].to_list(), rows["item"].to_list(), strict=True))


def _shelves(levels: pl.DataFrame, items: pl.DataFrame) -> dict[str, list[int]]:
    """Articles of each store that are there in some number."""
    plain = items.filter("is_plain").select("item")
    rows = levels.filter(pl.col("location").is_in(STORES), pl.col("on_hand") >= 3).join(
        plain, on="item", maintain_order="left"
    )
    return {
        location: rows.filter(pl.col("location") == location)["item"].to_list()
        for location in rows["location"].unique(maintain_order=True).to_list()
    }
