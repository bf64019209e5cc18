"""Small random referential tables, made to be nasty: many ties, nulls, boundaries hit to the second. No expectation here."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from tests.oracles.common import Row
from tests.oracles.tables import REFERENTIALS

HOLIDAYS = {date(2026, 4, 3), date(2026, 4, 6), date(2026, 5, 1), date(2026, 5, 8), date(2026, 5, 14)}
CLOCKS = (
    datetime(2026, 5, 18, 10, tzinfo=UTC),
    datetime(2026, 4, 2, 22, 30, tzinfo=UTC),
    datetime(2026, 3, 29, 0, 30, tzinfo=UTC),
)
PLACES = {
    "WH1": ("ML-FR", "Europe/Paris", 1, "14:00"),
    "S01": ("ML-FR", "Europe/Paris", 0, "16:00"),
    "S10": ("ML-FR", "Indian/Reunion", 0, "15:00"),
    "S11": ("ML-BE", "Europe/Brussels", 2, "16:00"),
}
CHANNELS = {
    "web-fr": ("web", "ML-FR", "Europe/Paris", "EUR", "FR", "WEB-FR", "WH1", 2, 9, 15, 1560, True),
    "web-be": ("web", "ML-BE", "Europe/Brussels", "EUR", "BE", "WEB-BE", "WH1", None, None, 30, 600, False),
    "marketplace": ("marketplace", "ML-FR", "Europe/Paris", "EUR", "FR", "MKP", "WH1", 5, 10, 60, 1560, True),
    "stores-fr": ("stores", "ML-FR", "Europe/Paris", "EUR", "FR", "STORE-FR", None, None, None, None, None, None),
    "stores-be": ("stores", "ML-BE", "Europe/Brussels", "EUR", "BE", "STORE-BE", None, None, None, None, None, None),
}
POOLS = {
    "web-fr": ["WH1"],
    "web-be": ["WH1", "S11"],
    "marketplace": ["WH1"],
    "stores-fr": ["S01", "S10"],
    "stores-be": ["S11"],
}
KINDS = ("simple", "variant", "variant", "variant", "kit", "kit", "service", "gift_card")


def days_of(zone: str, first: date, last: date) -> list[tuple[date, datetime, datetime]]:
    """Local days with the UTC instants at which they start and end."""
    found = []
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        start, end = (
            datetime.combine(d, time(), ZoneInfo(zone)).astimezone(UTC) for d in (day, day + timedelta(days=1))
        )
        found.append((day, start, end))
    return found


class World:
    """Random rows of every table; ``tables`` holds them, missing columns filled with null."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.clock = self.random.choice(CLOCKS)
        self.tables: dict[str, list[Row]] = {name: [] for name in REFERENTIALS}
        self.moments: list[datetime] = [self.clock]
        self._places()
        self._products()
        self._stock()
        self._prices()
        self._listings()
        self._orders()
        self._returns()
        self.tables["run_clock"] = [{"as_of_at": self.clock, "run_id": f"seed-{seed}"}]
        minimum = self.random.choice([0, 50, 80])
        self.tables["kpi_threshold"] = [
            {
                "kpi_code": code,
                "target_pct": 95,
                "alert_pct": 90,
                "minimum_coverage_pct": minimum,
                "window_days": 10,
                "tolerance_pct": self.random.choice([0, 2]),
                "legal_refund_days": 14,
            }
            for code in ("k1a", "k1b", "k2", "k3a", "k3b", "k4")
        ]

    def add(self, table: str, **row: Any) -> Row:
        """Add a row, the other columns null."""
        full: Row = dict.fromkeys(REFERENTIALS[table]) | row
        self.tables[table].append(full)
        return full

    def at(self, earliest_day: float = -40, latest_day: float = 0) -> datetime:
        """An instant, often one already used or a second beside it."""
        if self.random.random() < 0.25:
            close = self.random.choice(self.moments) + timedelta(seconds=self.random.choice([-1, 0, 0, 1]))
            if timedelta(days=earliest_day) <= close - self.clock <= timedelta(days=latest_day):
                return close
        moment = self.clock + timedelta(seconds=self.random.randint(int(earliest_day * 86400), int(latest_day * 86400)))
        self.moments.append(moment)
        return moment

    def maybe(self, value: Any, chance: float) -> Any:
        """The value, or null."""
        return value if self.random.random() < chance else None

    def _places(self) -> None:
        first, last = (self.clock - timedelta(days=41)).date(), (self.clock + timedelta(days=20)).date()
        for company in ("ML-FR", "ML-BE"):
            self.add("company", company_code=company, name=company, country_code=company[3:])
        for code, (company, zone, handling, cut_off) in PLACES.items():
            self.add(
                "location", location_code=code, company_code=company, time_zone=zone, handling_working_days=handling
            )
            worked = seconds_before = 0
            for day, start, end in days_of(zone, first, last):
                is_working = day.weekday() < 5 and day not in HOLIDAYS
                worked += is_working
                local = [
                    datetime.combine(day, time.fromisoformat(clock), ZoneInfo(zone)).astimezone(UTC)
                    for clock in ("06:00", "20:00", cut_off)
                ]
                opens, closes, cut = local if is_working else (None, None, None)
                self.add(
                    "location_day",
                    location_code=code,
                    local_date=day,
                    day_start_at=start,
                    day_end_at=end,
                    is_working_day=is_working,
                    working_day_index=worked,
                    opens_at=opens,
                    closes_at=closes,
                    cut_off_at=cut,
                    working_seconds_before=seconds_before,
                )
                if opens is not None and closes is not None:
                    seconds_before += int((closes - opens).total_seconds())
                    self.moments += [moment for moment in (start, cut, closes) if moment and self.random.random() < 0.1]
        names = (
            "kind company_code time_zone currency_code tax_territory price_list_code ships_from_code safety_stock_qty "
            "cap_qty sync_promise_minutes stock_stale_after_minutes is_order_acknowledged"
        ).split()
        for code, values in CHANNELS.items():
            self.add("channel", channel_code=code, **dict(zip(names, values, strict=True)))
            for place in POOLS[code]:
                self.add("channel_stock_location", channel_code=code, location_code=place)
            for day, start, end in days_of(values[2], first, last):
                self.add("channel_day", channel_code=code, local_date=day, day_start_at=start, day_end_at=end)
        for group, members in (("france", ["web-fr", "stores-fr"]), ("europe", ["web-fr", "web-be"])):
            for code in members:
                self.add("parity_group", parity_group_code=group, channel_code=code)

    def _products(self) -> None:
        for number in range(14):
            kind = self.random.choice(KINDS)
            self.add(
                "product",
                product_id=f"P{number:02}",
                sku=self.maybe(f"SKU{number:02}", 0.95),
                name=f"Item {number}",
                category_code=self.maybe(self.random.choice(["shoes", "bags"]), 0.85),
                kind=kind,
                is_stock_tracked=self.random.random() < 0.9,
                is_active=self.random.random() < 0.9,
                tax_rate_bp=self.random.choice([2000, 2100, 550, None]),
            )
        stocked = [row["product_id"] for row in self.tables["product"] if row["kind"] != "kit"]
        for row in self.tables["product"]:
            if row["kind"] == "kit":
                for component in self.random.sample(stocked, min(len(stocked), self.random.randint(0, 3))):
                    self.add(
                        "kit_component",
                        kit_product_id=row["product_id"],
                        component_product_id=component,
                        component_qty=self.random.randint(1, 3),
                    )

    def _stock(self) -> None:
        for place in PLACES:
            for product in self.tables["product"]:
                if self.random.random() < 0.75:
                    self.add(
                        "stock_level",
                        location_code=place,
                        product_id=product["product_id"],
                        on_hand_qty=self.random.randint(-2, 14),
                        committed_qty=self.random.randint(0, 2),
                        reserved_qty=self.random.choice([0, 0, 1]),
                        damaged_qty=self.random.choice([0, 0, 1]),
                        is_net=self.random.random() < 0.2,
                        as_of_at=self.at(-2, 0),
                        changed_at=self.maybe(self.at(-3, 0), 0.8),
                    )
        for number in range(80):
            product = self.random.choice(self.tables["product"])
            self.add(
                "stock_movement",
                movement_external_id=f"M{number}",
                location_code=self.random.choice([*PLACES]),
                product_id=self.maybe(product["product_id"], 0.95),
                kind="receipt",
                quantity=self.random.randint(-6, 40),
                occurred_at=self.at(-50, 0),
            )
        for number in range(60):
            product = self.random.choice(self.tables["product"])
            movement = self.random.choice(self.tables["stock_movement"])
            place = self.random.choice([movement["location_code"], self.random.choice([*PLACES, "GONE"])])
            key = self.random.choice([movement["product_id"], product["product_id"], None])
            self.add(
                "stock_count_line",
                system_code="counts",
                count_external_id=f"C{number}",
                location_code=place,
                product_external_id=key or f"?{number}",
                product_id=key,
                counted_qty=max(0, self.random.choice([movement["quantity"], self.random.randint(0, 40)])),
                counted_at=self.at(-50, 0),
                count_reason=self.random.choice(["cycle", "cycle", "annual", "suspicion"]),
            )
        for number in range(15):
            self.add(
                "purchase_order_line",
                purchase_order_number=f"PO{number % 9}",
                line_number=number,
                product_id=self.random.choice(self.tables["product"])["product_id"],
                location_code="WH1",
                unit_cost_minor=self.random.randint(100, 900),
                ordered_at=self.at(-90, 0),
            )

    def _prices(self) -> None:
        promotions = 0
        for price_list in ("WEB-FR", "WEB-BE", "STORE-FR", "STORE-BE"):
            for product in self.tables["product"]:
                start = self.at(-70, -1)
                for _ in range(self.random.choice([0, 1, 1, 2])):
                    end = self.maybe(start + timedelta(seconds=self.random.randint(3600, 40 * 86400)), 0.5)
                    rate = self.random.choice([2000, 550])
                    self.add(
                        "price",
                        price_list_code=price_list,
                        product_id=product["product_id"],
                        currency_code=self.random.choice(["EUR"] * 9 + ["USD"]),
                        gross_minor=self.random.choice([1000, 1990, 2000, 1]),
                        tax_rate_bp=rate,
                        is_vat_included=True,
                        valid_from_at=start,
                        valid_to_at=end,
                    )
                    if end is None:
                        break
                    start = end + timedelta(days=self.random.choice([0, 0, 3]))
                previous = None
                for _ in range(self.random.choice([0, 1, 1, 2, 3])):
                    promotions += 1
                    fresh = self.at(-0.02, 0) if self.random.random() < 0.15 else self.at(-60, 1)
                    starts = previous if previous and self.random.random() < 0.5 else fresh
                    ends = starts + timedelta(seconds=self.random.choice([3600, 86400, 20 * 86400]))
                    previous = ends
                    promotion = self.add(
                        "promotion",
                        promotion_external_id=f"PR{promotions:03}",
                        price_list_code=price_list,
                        product_id=product["product_id"],
                        method=self.random.choice(["fixed_price", "amount_off", "percentage_off"]),
                        amount_minor=self.random.choice([900, 500, 100]),
                        percentage_bp=self.random.choice([1000, 3333]),
                        currency_code="EUR",
                        starts_at=self.maybe(starts, 0.9),
                        ends_at=self.maybe(ends, 0.9),
                        priority=self.random.choice([1, 1, 2]),
                        is_stackable=self.random.random() < 0.5,
                    )
                    if self.random.random() < 0.15:
                        promotions += 1
                        self.add("promotion", **{**promotion, "promotion_external_id": f"PR{promotions:03}"})

    def _known_prices(self, price_list: str, product_id: str | None) -> list[int]:
        rows = [*self.tables["price"], *self.tables["promotion"]]
        mine = [row for row in rows if row["price_list_code"] == price_list and row["product_id"] == product_id]
        known = [row.get("gross_minor") or row.get("amount_minor") for row in mine]
        cut = [price * (10000 - 1000) // 10000 for price in known if price]
        return [price for price in known if price] + cut + [self.random.choice([950, 1000, 1990])]

    def _listings(self) -> None:
        for code in ("web-fr", "web-be"):
            price_list = CHANNELS[code][5]
            for number, product in enumerate([*self.tables["product"], *self.tables["product"][:2], None]):
                if self.random.random() < 0.15:
                    continue
                key = None if product is None else product["product_id"]
                known = self._known_prices(str(price_list), key)
                self.add(
                    "listing",
                    channel_code=code,
                    product_external_id=str(number),
                    product_id=key,
                    sku=self.maybe(f"SKU{number:02}", 0.8),
                    published_qty=self.maybe(self.random.randint(-1, 10), 0.95),
                    is_stock_managed=self.random.random() < 0.95,
                    is_published=self.random.choice([True, True, True, True, False, None]),
                    stock_observed_at=self.maybe(self.at(-2, 0), 0.9),
                    currency_code=self.random.choice(["EUR"] * 9 + ["USD"]),
                    regular_minor=self.maybe(self.random.choice(known), 0.95),
                    effective_minor=self.maybe(self.random.choice(known), 0.95),
                    tax_rate_bp=self.maybe(2000, 0.8),
                    promotion_starts_at=self.maybe(self.at(-5, 5), 0.6),
                    price_observed_at=self.maybe(self.at(self.random.choice([-1.5, -0.01]), 0), 0.9),
                )

    def _orders(self) -> None:
        for number in range(60):
            code = self.random.choice(["web-fr", "web-fr", "web-be", "marketplace", "stores-fr", "stores-be"])
            is_till = code.startswith("stores")
            ordered = self.at(-42, 0)
            pickup = not is_till and self.random.random() < 0.2
            payable = (
                ordered if is_till else self.maybe(ordered + timedelta(seconds=self.random.choice([0, 60, 90000])), 0.9)
            )
            status = (
                "delivered"
                if is_till
                else self.random.choice(
                    [
                        "payable",
                        "payable",
                        "shipped",
                        "shipped",
                        "delivered",
                        "pending",
                        "cancelled",
                        "failed",
                        "refunded",
                    ]
                )
            )
            order = self.add(
                "sales_order",
                order_id=f"O{number:03}",
                order_external_id=str(number),
                channel_code=code,
                order_number=f"N{number:03}",
                location_code=self.random.choice(POOLS[code])
                if is_till
                else self.maybe("S01", 0.9)
                if pickup
                else None,
                ordered_at=ordered,
                payable_at=payable,
                cancelled_at=self.maybe(self.at(-20, 0), 0.8) if status == "cancelled" else None,
                cancel_reason=self.random.choice(["customer", "seller", "stock", "payment", None])
                if status == "cancelled"
                else None,
                status=status,
                currency_code=self.random.choice(["EUR"] * 19 + ["USD"]),
                fulfilment_method="carry_out" if is_till else "pickup" if pickup else "ship",
                fulfilled_by=self.random.choice(["retailer"] * 9 + ["marketplace"]),
                promised_ship_by_at=None if is_till else self.maybe(self.at(-40, 5), 0.2),
                available_from_at=None if is_till else self.maybe(self.at(-40, 5), 0.1),
                replaces_return_id=self.maybe("R001", 0.05),
                tracking_number=None,
                is_replacement=False,
            )
            for position in range(self.random.randint(1, 3)):
                self._order_line(order, position, is_till)
            if not is_till:
                self._shipments(order)
                if self.random.random() < 0.7:
                    self.add(
                        "order_acknowledgement",
                        channel_code=code,
                        order_number=order["order_number"],
                        acknowledged_at=self.at(-40, 0),
                        is_accepted=self.random.random() < 0.9,
                    )

    def _order_line(self, order: Row, position: int, is_till: bool) -> None:
        product = self.random.choice(self.tables["product"])
        quantity = self.random.choice([1, 1, 2, 3, -1]) if is_till else self.random.choice([1, 1, 2, 3])
        cancelled = 0 if is_till else self.random.choice([0, 0, 0, 1])
        key = self.maybe(product["product_id"], 0.95)
        price_list = str(CHANNELS[order["channel_code"]][5])
        self.add(
            "sales_order_line",
            order_id=order["order_id"],
            line_id=f"{order['order_id']}-{position}",
            line_external_id=str(position),
            product_id=key,
            sku=product["sku"],
            name="line",
            quantity=quantity,
            cancelled_qty=cancelled,
            cancel_reason=self.random.choice(["customer", "seller", "stock", "payment", None]) if cancelled else None,
            cancelled_at=self.maybe(self.at(-30, 0), 0.8) if cancelled else None,
            net_minor=quantity * 833 + self.random.choice([0, 1]),
            tax_minor=0,
            unit_price_minor=self.maybe(self.random.choice(self._known_prices(price_list, key)), 0.9)
            if is_till
            else None,
            manual_discount_minor=0,
        )

    def _shipments(self, order: Row) -> None:
        lines = [line for line in self.tables["sales_order_line"] if line["order_id"] == order["order_id"]]
        for box in range(self.random.choice([0, 1, 1, 2])):
            shipment_id = f"{order['order_id']}-D{box}"
            done = self.maybe(self.at(-38, 0), 0.75)
            self.add(
                "shipment",
                shipment_id=shipment_id,
                order_id=order["order_id"],
                channel_code=order["channel_code"],
                order_number=order["order_number"],
                location_code=self.random.choice(["WH1", "WH1", "S11"]),
                carrier_code=self.maybe(self.random.choice(["COL", "CHR"]), 0.9),
                label_printed_at=self.at(-38, 0),
                ship_confirmed_at=done,
                ready_for_pickup_at=done if order["fulfilment_method"] == "pickup" else None,
                first_scan_at=done if order["fulfilment_method"] != "pickup" else None,
                cancelled_at=self.maybe(self.at(-30, 0), 0.1),
            )
            for number in range(1, self.random.randint(1, 3) + 1):
                line = self.random.choice(lines)
                self.add(
                    "shipment_line",
                    shipment_id=shipment_id,
                    line_number=number,
                    order_id=order["order_id"],
                    line_id=self.maybe(line["line_id"], 0.6),
                    sku=self.maybe(line["sku"], 0.95),
                    quantity=self.random.choice([1, 1, 2, 4]),
                )
                other = self.random.choice(lines)
                if other is not line and self.random.random() < 0.3:
                    box_line = self.tables["shipment_line"][-1]
                    self.add("shipment_line", **{**box_line, "line_id": other["line_id"], "sku": other["sku"]})

    def _returns(self) -> None:
        for number in range(40):
            line = self.random.choice(self.tables["sales_order_line"])
            order = next(row for row in self.tables["sales_order"] if row["order_id"] == line["order_id"])
            orphan = self.random.random() < 0.15
            requested = self.maybe(self.at(-40, 0), 0.9)
            resolution = self.random.choice(["refund", "refund", "refund", None, "exchange", "store_credit", "none"])
            return_id = f"R{number:03}"
            for position in range(1, self.random.choice([1, 1, 2]) + 1):
                received = self.maybe(self.at(-35, 1), 0.85)
                self.add(
                    "return_line",
                    return_id=return_id,
                    line_number=position,
                    kind=self.random.choice(["customer_return"] * 6 + ["undeliverable"]),
                    order_id=None if orphan else order["order_id"],
                    line_id=None if orphan else line["line_id"],
                    channel_code=self.maybe(order["channel_code"], 0.8),
                    order_number=order["order_number"],
                    sku=line["sku"],
                    quantity=self.random.choice([1, 1, 2]),
                    requested_at=requested,
                    proof_of_shipment_at=self.maybe(self.at(-35, 0), 0.5),
                    received_at=received,
                    restocked_at=self.maybe(self.at(-35, 0), 0.5),
                    reason_code=self.maybe(self.random.choice(["size", "broken"]), 0.8),
                    resolution=resolution,
                    receiving_location_code=self.maybe(self.random.choice([*PLACES]), 0.9),
                    source=self.random.choice(["return"] * 4 + ["ticket"]) if position == 1 else "return",
                )
            if self.random.random() < 0.7:
                self.add(
                    "refund",
                    refund_id=f"F{number:03}",
                    system_code="shop_fr",
                    order_id=self.maybe(order["order_id"], 0.9),
                    channel_code=order["channel_code"],
                    return_external_id=self.maybe(return_id, 0.5),
                    currency_code="EUR",
                    amount_minor=100,
                    shipping_minor=0,
                    initiated_at=self.at(-35, 0),
                )


def make_tables(seed: int) -> dict[str, list[Row]]:
    """Every table of one random world."""
    return World(seed).tables
