"""K2, preparation and shipping, read naively from docs/kpis.md."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime

from tests.oracles.common import (
    Durations,
    Ledger,
    Outcome,
    Row,
    Tables,
    as_of,
    closing_day,
    date_of,
    index,
    local_day,
    seconds,
)

LATEST = datetime(9999, 1, 1, tzinfo=UTC)


def outcome(tables: Tables) -> Outcome:
    """All of K2; ``tables["k2_unit_group"]`` has the parts."""
    result, ledger, durations = Outcome(), Ledger(), Durations()
    clock = as_of(tables)
    parts = unit_groups(tables)
    result.tables["k2_unit_group"] = parts
    overdue: dict[tuple[str, str], Row] = {}
    for part in parts:
        result.instants += [part["ordered_at"], part["done_at"]]
        reason = part["exclusion_reason"]
        if reason is not None:
            where = {"channel": part["channel_code"], "location": part["location_code"]}
            result.exclude(reason, part["units"], where)
        places = {name: part[f"{name}_code"] for name in ("company", "channel", "location", "carrier")}
        if reason in (None, "no_handover_record", "no_calendar"):
            due = part["units"] if reason is None else 0
            on_time = part["units"] if part["is_on_time"] else 0
            ledger.record("on_time_units", part["promised_on"], places, (on_time, due, due, part["units"]))
        if part["part_status"] in ("preparing", "open") and reason in (None, "not_due"):
            late = part["units"] if reason is None else 0
            ledger.record("open_units", None, places, (part["units"], None, None, None), ("all",))
            ledger.record("overdue_units", None, places, (late, None, None, None), ("all",))
            if late:
                line = overdue.setdefault(
                    (part["order_id"], part["location_code"]),
                    {
                        "channel_code": part["channel_code"],
                        "order_number": part["order_number"],
                        "location_code": part["location_code"],
                        "promised_ship_by_at": part["promised_ship_by_at"],
                        "overdue_units": 0,
                    },
                )
                line["overdue_units"] += late
        if reason is None and part["part_status"] == "done" and part["stratum"] == "standard":
            calendar = max(0, seconds(part["done_at"]) - seconds(part["clock_start_at"]))
            durations.record("handover_calendar", part["promised_on"], places, calendar, part["units"])
            working = working_seconds(tables, part["location_code"], part["clock_start_at"], part["done_at"])
            if working is not None:
                durations.record("handover_working", part["promised_on"], places, max(0, working), part["units"])
    _record_orders(ledger, parts)
    result.values = ledger.figures() | durations.figures((50, 90, 95))
    for line in overdue.values():
        hours = (seconds(clock) - seconds(line["promised_ship_by_at"])) // 3600
        line["overdue_hours"] = hours
        line["age_bucket"] = "0-24 h" if hours < 24 else "24-72 h" if hours < 72 else "over 72 h"
    result.work_list = sorted(overdue.values(), key=lambda line: line["promised_ship_by_at"])
    return result


def _record_orders(ledger: Ledger, parts: list[Row]) -> None:
    """On time in full: per order, and per order and location on the units there."""
    groups: dict[tuple[str, str | None], list[Row]] = defaultdict(list)
    for part in parts:
        if part["exclusion_reason"] in (None, "not_due", "no_calendar"):
            groups[(part["order_id"], None)].append(part)
            groups[(part["order_id"], part["location_code"] or "unknown")].append(part)
    for (_, location), units in groups.items():
        if any(part["exclusion_reason"] is not None for part in units):
            continue
        in_full = int(all(part["is_on_time"] for part in units))
        days = [part["promised_on"] for part in units if part["promised_on"] is not None]
        day = max(days) if days else None
        one = Ledger()
        if location is None:
            places = {"company": units[0]["company_code"], "channel": units[0]["channel_code"]}
            ledger.record("otif_orders", day, places, (in_full, 1, 1, 1))
        else:
            one.record("otif_orders", day, {"location": location}, (in_full, 1, 1, 1))
            for key, (top, bottom, covered, coverable) in one.figures().items():
                if key[3] == "location":
                    known = ledger.sums.setdefault(key, [0, 0, 0, 0])
                    for position, value in enumerate((top, bottom, covered, coverable)):
                        known[position] = (known[position] or 0) + (value or 0)


def working_seconds(tables: Tables, location: str | None, start: datetime, end: datetime) -> int | None:
    """Opening seconds of the location between two instants; null when the calendar reaches one of them not."""
    counted = []
    for instant in (start, end):
        day = local_day(tables["location_day"], "location_code", location, instant)
        if day is None:
            return None
        before = day["working_seconds_before"]
        if day["is_working_day"]:
            inside = seconds(min(instant, day["closes_at"])) - seconds(day["opens_at"])
            before += max(0, inside)
        counted.append(before)
    return int(counted[1] - counted[0])


def unit_groups(tables: Tables) -> list[Row]:
    """Every part of every order line of the population, judged."""
    channels = index(tables["channel"], "channel_code")
    products = index(tables["product"], "product_id")
    found: list[Row] = []
    for order in tables["sales_order"]:
        channel = channels[order["channel_code"]]
        if channel["kind"] not in ("web", "marketplace") or order["replaces_return_id"] is not None:
            continue
        lines = [
            line
            for line in tables["sales_order_line"]
            if line["order_id"] == order["order_id"] and line["quantity"] > 0
        ]
        shipped = _fill(tables, order, lines)
        for line in lines:
            cancelled = min(line["cancelled_qty"], line["quantity"])
            remainder = line["quantity"] - cancelled
            raw: list[Row] = []
            for shipment, number, units in shipped.get(line["line_id"], []):
                raw.append({"part_kind": "shipment", "shipment": shipment, "number": number, "units": units})
                remainder -= units
            if cancelled:
                raw.append({"part_kind": "cancelled", "shipment": None, "number": None, "units": cancelled})
            if remainder:
                raw.append({"part_kind": "remainder", "shipment": None, "number": None, "units": remainder})
            for part in raw:
                found.append(_judge(tables, channel, order, line, products.get(line["product_id"]), part))
    return found


def done_at(order: Row, shipment: Row) -> datetime | None:
    """When a shipment was handed over."""
    name = "ready_for_pickup_at" if order["fulfilment_method"] == "pickup" else "first_scan_at"
    return shipment[name]  # type: ignore[no-any-return]


def _fill(tables: Tables, order: Row, lines: list[Row]) -> dict[str, list[tuple[Row, int, int]]]:
    """line_id -> (shipment, shipment line, units): own line first, then the same SKU in line order."""
    shipments = index(tables["shipment"], "shipment_id")
    wanted = {line["line_id"]: max(0, line["quantity"] - line["cancelled_qty"]) for line in lines}
    sku_of = {line["line_id"]: line["sku"] for line in lines}
    filled: dict[str, list[tuple[Row, int, int]]] = defaultdict(list)
    boxes = []
    for box in tables["shipment_line"]:
        shipment = shipments.get(box["shipment_id"])
        if shipment is None or box["order_id"] != order["order_id"]:
            continue
        done = done_at(order, shipment)
        if shipment["cancelled_at"] is not None and done is None:
            continue
        boxes.append((done or LATEST, box["shipment_id"], box["line_number"], shipment, box))
    boxes.sort(key=lambda entry: entry[:3])
    left = []
    for _, _, number, shipment, box in boxes:
        rest, line_id = box["quantity"], box["line_id"]
        if line_id in wanted:
            taken = min(rest, wanted[line_id])
            wanted[line_id] -= taken
            rest -= taken
            if taken:
                filled[line_id].append((shipment, number, taken))
        if rest:
            left.append((shipment, number, box["sku"] or sku_of.get(line_id), rest))
    for shipment, number, sku, units in left:
        for _ in range(units):
            open_lines = [line_id for line_id in sorted(wanted) if wanted[line_id] and sku_of[line_id] == sku]
            if sku is not None and open_lines:
                wanted[open_lines[0]] -= 1
                filled[open_lines[0]].append((shipment, number, 1))
    return {line_id: _merged(boxes_of_line) for line_id, boxes_of_line in filled.items()}


def _merged(boxes: list[tuple[Row, int, int]]) -> list[tuple[Row, int, int]]:
    """One entry per shipment line."""
    units: dict[tuple[str, int], tuple[Row, int, int]] = {}
    for shipment, number, taken in boxes:
        key = (shipment["shipment_id"], number)
        before = units[key][2] if key in units else 0
        units[key] = (shipment, number, before + taken)
    return list(units.values())


def _promise(tables: Tables, location: str | None, start: datetime | None) -> Row | None:
    """The day at whose end units are promised."""
    day = local_day(tables["location_day"], "location_code", location, start)
    place = next((row for row in tables["location"] if row["location_code"] == location), None)
    if day is None or place is None or start is None:
        return None
    working = sorted(
        (row for row in tables["location_day"] if row["location_code"] == location and row["is_working_day"]),
        key=lambda row: row["local_date"],
    )
    later = [row for row in working if row["local_date"] > day["local_date"]]
    from_start = [day, *later] if day["is_working_day"] and start <= day["cut_off_at"] else later
    handling = place["handling_working_days"]
    return from_start[handling] if handling < len(from_start) else None


def _judge(tables: Tables, channel: Row, order: Row, line: Row, product: Row | None, part: Row) -> Row:
    clock = as_of(tables)
    shipment = part["shipment"]
    done = None if shipment is None else done_at(order, shipment)
    location = (
        (order["location_code"] if order["fulfilment_method"] == "pickup" else None)
        or (shipment["location_code"] if shipment is not None else None)
        or channel["ships_from_code"]
    )
    payable = order["payable_at"]
    start = payable
    stratum = "standard"
    if payable is not None and order["available_from_at"] is not None and order["available_from_at"] > payable:
        start, stratum = order["available_from_at"], "preorder"
    own = order["promised_ship_by_at"]
    if own is not None:
        promise, day = own, closing_day(tables["location_day"], "location_code", location, own)
    else:
        day = _promise(tables, location, start)
        promise = None if day is None else day["day_end_at"]

    is_order_cancelled = order["status"] == "cancelled" or order["cancelled_at"] is not None
    reason = cancelled_at = None
    if part["part_kind"] == "cancelled":
        status, reason, cancelled_at = "cancelled", line["cancel_reason"] or "customer", line["cancelled_at"]
    elif done is not None:
        status = "done"
    elif is_order_cancelled:
        status, reason, cancelled_at = "cancelled", order["cancel_reason"] or "customer", order["cancelled_at"]
    else:
        status = "preparing" if part["part_kind"] == "shipment" else "open"

    kind = None if product is None else product["kind"]
    excluded: str | None = None
    if kind in ("service", "gift_card"):
        excluded = kind
    elif order["fulfilled_by"] != "retailer":
        excluded = "fulfilled_by_other"
    elif (
        order["status"] == "failed"
        or (is_order_cancelled and order["cancel_reason"] == "payment")
        or reason == "payment"
    ):
        excluded = "payment_failed"
    elif payable is None and not (status == "cancelled" and reason == "customer"):
        excluded = "not_payable"
    elif order["status"] == "refunded" and status in ("preparing", "open"):
        excluded = "refunded_before_shipping"
    elif (
        status == "cancelled"
        and reason == "customer"
        and (
            promise is None
            or cancelled_at is None
            or payable is None
            or cancelled_at < payable
            or cancelled_at < promise
        )
    ):
        excluded = "cancelled_by_customer"
    elif (
        order["status"] in ("shipped", "delivered")
        and status not in ("done", "cancelled")
        and not any(known["order_id"] == order["order_id"] for known in tables["shipment"])
    ):
        excluded = "no_handover_record"
    elif promise is None:
        excluded = "no_calendar"
    elif promise > clock:
        excluded = "not_due"
    return {
        "order_id": order["order_id"],
        "line_id": line["line_id"],
        "part_kind": part["part_kind"],
        "shipment_id": None if shipment is None else shipment["shipment_id"],
        "shipment_line_number": part["number"],
        "channel_code": channel["channel_code"],
        "company_code": channel["company_code"],
        "location_code": location,
        "carrier_code": None if shipment is None else shipment["carrier_code"],
        "order_number": order["order_number"],
        "product_id": line["product_id"],
        "category_code": None if product is None else product["category_code"],
        "units": part["units"],
        "line_quantity": line["quantity"],
        "line_net_minor": line["net_minor"],
        "part_status": status,
        "ordered_at": order["ordered_at"],
        "stratum": stratum,
        "clock_start_at": start,
        "promised_ship_by_at": promise,
        "promised_on": date_of(day),
        "done_at": done,
        "exclusion_reason": excluded,
        "is_on_time": excluded is None and status == "done" and done is not None and done <= promise,
    }
