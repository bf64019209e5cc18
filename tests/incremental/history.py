"""A small retailer's life in random canonical rows: orders, twins, split shipments, returns, prices, deletions, and a clock.

Belongs here: making rows and loading them, with identifiers from small pools, so that a change meets what is there. Nothing is
expected here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import polars as pl

from resources.contracts.entity import entities
from resources.retailer_tables import retailer_frames
from resources.warehouse import FullScope
from resources.warehouse.load import load_entity, load_frames, set_run_clock
from tests.retailer.declared import retailer

Row = dict[str, Any]
START = datetime(2026, 5, 18, 10, tzinfo=UTC)
CALENDAR_BEHIND, CALENDAR_AHEAD = timedelta(days=50), timedelta(days=12)

SHOPS = {"shop_fr": "web-fr", "shop_be": "web-be", "marketplace": "marketplace"}
PLACES = ("WH1", "S01", "S11")
ITEMS = tuple(f"A{number}" for number in range(7))
PRICE_LISTS = ("WEB-FR", "WEB-BE", "STORE-FR", "STORE-BE")
GTINS = ("3012345678900", "3012345678917", "4006381333931", "96385074", None)


@dataclass
class Maker:
    """Draws rows. ``now``: the instant around which they happen."""

    random: Random
    now: datetime

    def at(self, first_day: float, last_day: float) -> datetime:
        """An instant between so many days from now, to the second."""
        return self.now + timedelta(seconds=self.random.randint(int(first_day * 86400), int(last_day * 86400)))

    def maybe(self, value: Any, share: float = 0.6) -> Any:
        """A value, or None."""
        return value if self.random.random() < share else None

    def pick(self, *values: Any) -> Any:
        """One of the values."""
        return self.random.choice(values)

    def item(self) -> str:
        """An article's number; the last ones the master does not know."""
        return self.random.choice([*ITEMS, *ITEMS, "X1"])


def _product(make: Maker) -> tuple[str, Row]:
    system = make.pick("erp", "erp", "shop_fr", "shop_be")
    item = make.random.choice(ITEMS)
    return system, {
        "product_external_id": item if system == "erp" else f"{system[-2:]}{item}",
        "parent_external_id": None,
        "sku": make.maybe(f"SKU-{make.pick(item, item, item, 'A0')}", 0.95),
        "gtin": make.maybe(make.pick(*GTINS), 0.5),
        "name": make.pick("Lamp", "Chair"),
        "brand": make.maybe("B", 0.5),
        "category_code": make.maybe(make.pick("lamps", "chairs"), 0.9),
        "kind": make.pick("simple", "simple", "variant", "kit", "service", "parent" if system != "erp" else "simple"),
        "is_stock_tracked": make.random.random() < 0.9,
        "is_active": make.random.random() < 0.9,
        "tax_rate_bp": make.maybe(2000, 0.9),
        "weight_g": make.maybe(100, 0.5),
        "updated_at": None,
    }


def _kit_component(make: Maker) -> tuple[str, Row]:
    return "erp", {
        "kit_external_id": make.pick("A0", "A1"),
        "component_external_id": make.pick("A2", "A3"),
        "component_qty": make.pick(1, 2),
    }


def _order(make: Maker) -> tuple[str, Row]:
    system = make.pick("shop_fr", "shop_fr", "shop_be", "marketplace", "pos", "pos")
    number = make.random.randint(1, 9)
    is_till, is_import = system == "pos", system == "shop_fr" and number > 6
    ordered = make.at(-30, 0)
    status = (
        "delivered" if is_till else make.pick("payable", "payable", "shipped", "delivered", "cancelled", "refunded")
    )
    return system, {
        "order_external_id": f"{system}-{number}",
        "channel_code": make.pick("stores-fr", "stores-be") if is_till else SHOPS[system],
        # Some orders share a number, as a shop that splits them gives it.
        "order_number": f"T{number}" if is_till else f"N{make.pick(number, number, number, 1)}",
        "origin_channel_code": "marketplace" if is_import else None,
        "origin_order_number": make.maybe(f"N{number - 6}", 0.8) if is_import else None,
        "location_code": make.pick("S01", "S11") if is_till else make.maybe("S01", 0.2),
        "ordered_at": ordered,
        "payable_at": ordered if is_till else make.maybe(ordered + timedelta(minutes=5), 0.9),
        "cancelled_at": make.maybe(make.at(-10, 0), 0.7) if status == "cancelled" else None,
        "cancel_reason": make.pick("customer", "seller", "stock", "payment") if status == "cancelled" else None,
        "status": status,
        "currency_code": "EUR",
        "total_minor": make.pick(1000, 2000),
        "tax_minor": make.maybe(100, 0.8),
        "shipping_minor": 0,
        "fee_minor": 0,
        "discount_minor": 0,
        "customer_external_id": make.maybe(f"C{make.random.randint(1, 4)}", 0.7),
        "email_token": make.maybe(f"e{make.random.randint(1, 4)}", 0.7),
        "country_code": "FR",
        "fulfilment_method": "carry_out" if is_till else make.pick("ship", "ship", "pickup"),
        "fulfilled_by": make.pick("retailer", "retailer", "retailer", "marketplace"),
        "promised_ship_by_at": None if is_till else make.maybe(make.at(-5, 20), 0.3),
        "available_from_at": None if is_till else make.maybe(make.at(-5, 20), 0.15),
        "replaces_return_id": make.maybe("R1", 0.05),
        "tracking_number": make.maybe("TR1", 0.1),
        "updated_at": None,
    }


def _order_line(make: Maker) -> tuple[str, Row]:
    system = make.pick("shop_fr", "shop_fr", "shop_be", "marketplace", "pos", "pos")
    is_till = system == "pos"
    item = make.item()
    quantity = make.pick(1, 1, 2, 3, -1) if is_till else make.pick(1, 2, 3)
    cancelled = 0 if is_till else make.pick(0, 0, 0, 1)
    has_catalogue = system in ("shop_fr", "shop_be")
    return system, {
        "order_external_id": f"{system}-{make.random.randint(1, 9)}",
        "line_external_id": str(make.random.randint(1, 3)),
        "product_external_id": make.maybe(f"{system[-2:]}{item}", 0.8)
        if has_catalogue
        else make.maybe(f"SKU-{item}", 0.5),
        "sku": make.maybe(f"SKU-{item}", 0.9),
        "name": "line",
        "quantity": quantity,
        "cancelled_qty": cancelled,
        "cancel_reason": make.pick("customer", "stock") if cancelled else None,
        "cancelled_at": make.maybe(make.at(-10, 0)) if cancelled else None,
        "net_minor": quantity * make.pick(833, 500),
        "tax_minor": quantity * 167,
        "unit_price_minor": make.maybe(make.pick(1000, 900, 1200), 0.9) if is_till else None,
        "manual_discount_minor": 0,
        "return_reference": make.maybe(f"{make.pick('N', 'T')}{make.random.randint(1, 9)}", 0.8)
        if quantity < 0
        else None,
    }


def _customer(make: Maker) -> tuple[str, Row]:
    return make.pick("shop_fr", "shop_be", "marketplace"), {
        "customer_external_id": f"C{make.random.randint(1, 4)}",
        "email_token": make.maybe(f"e{make.random.randint(1, 4)}", 0.8),
        "phone_token": make.maybe(f"p{make.random.randint(1, 3)}", 0.7),
        "name_token": make.maybe(f"n{make.random.randint(1, 2)}", 0.8),
        "country_code": make.maybe("FR", 0.8),
        "is_guest": make.random.random() < 0.3,
        "created_at": make.maybe(make.at(-30, 0), 0.9),
        "updated_at": None,
    }


def _shipment(make: Maker) -> tuple[str, Row]:
    done = make.maybe(make.at(-20, 1), 0.8)
    return "wms", {
        "shipment_external_id": f"D{make.random.randint(1, 12)}",
        "channel_code": make.pick("web-fr", "web-fr", "web-be", "marketplace"),
        "order_number": f"N{make.random.randint(1, 10)}",
        "location_code": make.pick("WH1", "WH1", "S11"),
        "carrier_code": make.maybe(make.pick("COL", "CHR"), 0.9),
        "tracking_number": make.maybe(f"TR{make.random.randint(1, 8)}", 0.9),
        "released_at": make.maybe(make.at(-21, -20), 0.9),
        "picked_at": None,
        "packed_at": None,
        "label_printed_at": make.maybe(make.at(-20, 0)),
        "ship_confirmed_at": done,
        "ready_for_pickup_at": make.maybe(done, 0.5),
        "cancelled_at": make.maybe(make.at(-10, 0), 0.1),
    }


def _shipment_line(make: Maker) -> tuple[str, Row]:
    return "wms", {
        "shipment_external_id": f"D{make.random.randint(1, 12)}",
        "line_number": make.random.randint(1, 3),
        "order_line_external_id": make.maybe(str(make.random.randint(1, 4)), 0.4),
        "sku": make.maybe(f"SKU-{make.item()}", 0.9),
        "quantity": make.pick(1, 1, 2, 4),
    }


def _carrier_scan(make: Maker) -> tuple[str, Row]:
    return "carrier", {
        "scan_external_id": f"S{make.random.randint(1, 12)}",
        "carrier_code": "COL",
        "tracking_number": f"TR{make.random.randint(1, 8)}",
        "kind": make.pick("picked_up", "picked_up", "delivered"),
        "scanned_at": make.at(-20, 0),
    }


def _return_line(make: Maker) -> tuple[str, Row]:
    return "wms", {
        "return_external_id": f"R{make.random.randint(1, 8)}",
        "line_number": make.random.randint(1, 2),
        "kind": make.pick("customer_return", "customer_return", "customer_return", "undeliverable"),
        "channel_code": make.maybe(make.pick("web-fr", "web-be", "marketplace"), 0.7),
        "order_number": make.maybe(f"N{make.random.randint(1, 10)}", 0.9),
        "order_line_external_id": make.maybe(str(make.random.randint(1, 3)), 0.3),
        "sku": make.maybe(f"SKU-{make.item()}", 0.9),
        "quantity": make.pick(1, 1, 2),
        "requested_at": make.maybe(make.at(-20, 0), 0.9),
        "proof_of_shipment_at": make.maybe(make.at(-20, 0), 0.4),
        "received_at": make.maybe(make.at(-15, 2), 0.8),
        "inspected_at": None,
        "restocked_at": make.maybe(make.at(-15, 0), 0.4),
        "disposition": None,
        "reason_code": make.maybe(make.pick("size", "broken"), 0.8),
        "resolution": make.pick("refund", "refund", None, "exchange"),
        "receiving_location_code": make.maybe(make.pick(*PLACES), 0.9),
    }


def _refund(make: Maker) -> tuple[str, Row]:
    system = make.pick("shop_fr", "shop_be", "marketplace")
    number = make.random.randint(1, 9)
    return system, {
        "refund_external_id": f"F{make.random.randint(1, 6)}",
        "channel_code": SHOPS[system],
        "order_external_id": make.maybe(f"{system}-{number}", 0.7),
        "order_number": make.maybe(f"N{number}", 0.7),
        "return_external_id": make.maybe(f"R{make.random.randint(1, 8)}", 0.4),
        "currency_code": "EUR",
        "amount_minor": 500,
        "shipping_minor": 0,
        "initiated_at": make.at(-15, 0),
        "settled_at": None,
    }


def _refund_line(make: Maker) -> tuple[str, Row]:
    system = make.pick("shop_fr", "shop_be", "marketplace")
    return system, {
        "refund_external_id": f"F{make.random.randint(1, 6)}",
        "line_external_id": str(make.random.randint(1, 2)),
        "order_line_external_id": make.maybe(str(make.random.randint(1, 3)), 0.7),
        "product_external_id": make.maybe(f"{system[-2:]}{make.item()}", 0.7),
        "quantity": 1,
        "net_minor": 400,
        "tax_minor": 100,
    }


def _order_acknowledgement(make: Maker) -> tuple[str, Row]:
    is_accepted = make.random.random() < 0.8
    return "erp", {
        "channel_code": make.pick("web-fr", "web-fr", "web-be", "marketplace"),
        "order_number": f"N{make.random.randint(1, 9)}",
        "acknowledged_at": make.at(-10, 0),
        "is_accepted": is_accepted,
        "refusal_reason": None if is_accepted else "unknown item",
    }


def _price(make: Maker) -> tuple[str, Row]:
    return "erp", {
        "price_list_code": make.pick(*PRICE_LISTS),
        "product_external_id": make.random.choice(ITEMS),
        "currency_code": "EUR",
        "amount_minor": make.pick(1000, 1200),
        "is_vat_included": make.random.random() < 0.8,
        "tax_rate_bp": 2000,
        "valid_from_at": START - timedelta(days=make.pick(60, 20, 5, -1)),
        "valid_to_at": make.maybe(make.at(-5, 5), 0.2),
    }


def _promotion(make: Maker) -> tuple[str, Row]:
    starts = make.at(-25, 2)
    return "erp", {
        "promotion_external_id": f"PR{make.random.randint(1, 9)}",
        "product_external_id": make.random.choice(ITEMS),
        "price_list_code": make.pick(*PRICE_LISTS),
        "method": make.pick("fixed_price", "amount_off", "percentage_off"),
        "amount_minor": make.pick(900, 100),
        "percentage_bp": 1000,
        "currency_code": "EUR",
        "starts_at": make.maybe(starts, 0.9),
        "ends_at": make.maybe(starts + timedelta(days=make.pick(1, 10)), 0.9),
        "priority": make.pick(1, 2),
        "is_stackable": make.random.random() < 0.5,
    }


def _channel_price(make: Maker) -> tuple[str, Row]:
    system = make.pick("shop_fr", "shop_be")
    promotion = make.maybe(900, 0.4)
    return system, {
        "channel_code": SHOPS[system],
        "product_external_id": f"{system[-2:]}{make.item()}",
        "currency_code": "EUR",
        "regular_minor": make.maybe(make.pick(1000, 1200), 0.9),
        "effective_minor": make.maybe(make.pick(1000, 1200, 900), 0.9),
        "tax_rate_bp": make.maybe(2000, 0.8),
        "promotion_starts_at": make.maybe(make.at(-5, 5)) if promotion else None,
        "promotion_ends_at": make.maybe(make.at(-1, 5)) if promotion else None,
        "promotion_minor": promotion,
        "is_published": make.random.random() < 0.9,
    }


def _channel_stock(make: Maker) -> tuple[str, Row]:
    system = make.pick("shop_fr", "shop_be")
    return system, {
        "channel_code": SHOPS[system],
        "product_external_id": f"{system[-2:]}{make.item()}",
        "published_qty": make.maybe(make.random.randint(-1, 10), 0.95),
        "is_stock_managed": make.random.random() < 0.95,
        "is_published": make.random.random() < 0.9,
        "is_backorder_allowed": False,
    }


def _stock_level(make: Maker) -> tuple[str, Row]:
    return "erp", {
        "location_code": make.pick(*PLACES),
        "product_external_id": make.random.choice(ITEMS),
        "on_hand_qty": make.random.randint(0, 20),
        "committed_qty": make.pick(0, 1),
        "reserved_qty": 0,
        "damaged_qty": 0,
        "is_net": make.random.random() < 0.3,
        "as_of_at": make.at(-2, 0),
        "changed_at": make.maybe(make.at(-4, -2)),
    }


def _stock_movement(make: Maker) -> tuple[str, Row]:
    return "erp", {
        "movement_external_id": f"M{make.random.randint(1, 12)}",
        "location_code": make.pick(*PLACES),
        "product_external_id": make.item(),
        "kind": "receipt",
        "quantity": make.random.randint(-6, 20),
        "occurred_at": make.at(-30, 0),
    }


def _stock_count_line(make: Maker) -> tuple[str, Row]:
    return "counts", {
        "count_external_id": f"K{make.random.randint(1, 3)}",
        "location_code": make.pick(*PLACES),
        "product_external_id": f"SKU-{make.item()}",
        "counted_qty": make.random.randint(0, 20),
        "counted_at": make.at(-15, 0),
        "count_reason": make.pick("cycle", "cycle", "suspicion"),
    }


def _purchase_order_line(make: Maker) -> tuple[str, Row]:
    return "erp", {
        "purchase_order_number": f"PO{make.random.randint(1, 3)}",
        "line_number": make.random.randint(1, 3),
        "supplier_code": "SUP",
        "location_code": "WH1",
        "product_external_id": make.random.choice(ITEMS),
        "ordered_qty": 5,
        "received_qty": 5,
        "currency_code": "EUR",
        "unit_cost_minor": make.random.randint(100, 900),
        "ordered_at": make.at(-30, 0),
        "expected_at": None,
    }


MAKERS: Mapping[str, Callable[[Maker], tuple[str, Row]]] = {
    "product": _product,
    "kit_component": _kit_component,
    "order": _order,
    "order_line": _order_line,
    "customer": _customer,
    "shipment": _shipment,
    "shipment_line": _shipment_line,
    "carrier_scan": _carrier_scan,
    "return_line": _return_line,
    "refund": _refund,
    "refund_line": _refund_line,
    "order_acknowledgement": _order_acknowledgement,
    "price": _price,
    "promotion": _promotion,
    "channel_price": _channel_price,
    "channel_stock": _channel_stock,
    "stock_level": _stock_level,
    "stock_movement": _stock_movement,
    "stock_count_line": _stock_count_line,
    "purchase_order_line": _purchase_order_line,
}
ENTITIES = tuple(sorted(MAKERS))


@dataclass
class Life:
    """One retailer's history in a warehouse. Every step has its own extract; what is loaded later was seen later."""

    con: duckdb.DuckDBPyConnection
    folder: Path
    now: datetime = START
    extracts_qty: int = 0
    calendar_from: datetime = field(default=START - CALENDAR_BEHIND)

    def set_clock(self, hours: float) -> None:
        """Time goes by, and a run begins: its clock, its calendar."""
        self.now += timedelta(hours=hours)
        set_run_clock(self.con, as_of_at=self.now, run_id="test")
        last_day = (self.now + CALENDAR_AHEAD).date()
        frames = retailer_frames(retailer(), first_day=self.calendar_from.date(), last_day=last_day)
        load_frames(self.con, "retailer", frames)

    def change(self, entity: str, seed: int, rows_qty: int) -> None:
        """New and changed rows of an entity; of two versions of one row in a reading the last stands."""
        make = Maker(Random(seed), self.now)
        drawn = [MAKERS[entity](make) for _ in range(rows_qty)]
        self.load(entity, drawn)

    def see_again(self, entity: str, seed: int) -> None:
        """Rows that are there are read again as they are: only when they were seen differs."""
        present = self._present(entity)
        make = Random(seed)
        self.load(entity, [row for row in present if make.random() < 0.5])

    def delete(self, entity: str, seed: int) -> None:
        """A full reading of one system shows all rows but a few."""
        present = self._present(entity)
        if not present:
            return
        make = Random(seed)
        system = make.choice(sorted({one for one, _ in present}))
        mine = [row for one, row in present if one == system]
        kept = [row for row in mine if make.random() > 0.25] or mine[:1]
        self.load(entity, [(system, row) for row in kept], is_full=True)

    def load(self, entity: str, rows: Sequence[tuple[str, Row]], *, is_full: bool = False) -> None:
        """One reading per system of these rows."""
        self.now += timedelta(seconds=1)
        schema = entities()[entity].polars_schema
        paths, scopes = [], []
        for system in sorted({system for system, _ in rows}):
            self.extracts_qty += 1
            extract = f"e{self.extracts_qty:05}"
            envelope = {"system_code": system, "extract_id": extract, "observed_at": self.now}
            full = [
                {**dict.fromkeys(schema), **envelope, "source_position": f"{number:06}", **row}
                for number, (one, row) in enumerate(rows)
                if one == system
            ]
            path = self.folder / f"{system}.all.{extract}.0.parquet"
            pl.DataFrame(full, schema=schema, orient="row").write_parquet(path)
            paths.append(path)
            if is_full:
                scopes.append(FullScope(system, "all", extract))
        load_entity(self.con, entity, paths, full_scopes=scopes, cap_share=1.0)

    def _present(self, entity: str) -> list[tuple[str, Row]]:
        envelope = {"system_code", "extract_id", "observed_at", "source_position"}
        names = [name for name in entities()[entity].polars_schema if name not in envelope]
        listed = ", ".join(f'"{name}"' for name in ["system_code", *names])
        found = self.con.execute(
            f'select {listed} from canonical."{entity}" where not _is_deleted order by all'
        ).fetchall()
        return [(system, dict(zip(names, values, strict=True))) for system, *values in found]
