"""K3a, return rate, read naively from docs/kpis.md: units are taken one by one."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime

from tests.oracles.common import (
    Ledger,
    Outcome,
    Row,
    Tables,
    as_of,
    date_of,
    half_up,
    index,
    local_day,
    seconds,
    threshold,
)
from tests.oracles.k2 import unit_groups

EARLIEST = datetime(1, 1, 1, tzinfo=UTC)


def outcome(tables: Tables) -> Outcome:
    """All of K3a; ``tables`` has k3a_reason, k3a_top_product, k3a_workload, k3a_cohort_day."""
    result, ledger = Outcome(), Ledger()
    clock = as_of(tables)
    window = threshold(tables, "k3a")["window_days"] * 86400
    shipped = _shipped_units(tables)
    _match(tables, shipped, result)

    cohorts: dict[tuple[object, str], Row] = {}
    by_order: dict[str, list[Row]] = defaultdict(list)
    for units in shipped.values():
        for unit in units:
            result.instants.append(unit["done_at"])
            by_order[unit["order_id"]].append(unit)
            mature = seconds(clock) - seconds(unit["done_at"]) >= window
            back = unit["return"]
            in_window = int(back is not None and seconds(back["received_at"]) - seconds(unit["done_at"]) <= window)
            places = {
                "company": unit["company_code"],
                "channel": unit["channel_code"],
                "location": unit["location_code"],
                "category": unit["category_code"],
            }
            cohort_periods = ("all", "day", "month") if mature else ("day", "month")
            for base, worth in (("units", 1), ("net_minor", unit["net_minor"])):
                figure = (in_window * worth, worth, worth, worth)
                ledger.record(f"cohort_{base}", unit["shipped_on"], places, figure, cohort_periods)
                ledger.record(f"period_{base}", unit["shipped_on"], places, (0, worth, worth, worth))
                if back is not None:
                    ledger.record(f"period_{base}", unit["received_on"], places, (worth, 0, 0, 0))
            if unit["shipped_on"] is not None:
                cohort = cohorts.setdefault(
                    (unit["shipped_on"], unit["channel_code"]),
                    {
                        "shipped_on": unit["shipped_on"],
                        "channel_code": unit["channel_code"],
                        "shipped_units": 0,
                        "returned_units": 0,
                        "shipped_net_minor": 0,
                        "returned_net_minor": 0,
                        "is_mature": True,
                    },
                )
                cohort["shipped_units"] += 1
                cohort["returned_units"] += in_window
                cohort["shipped_net_minor"] += unit["net_minor"]
                cohort["returned_net_minor"] += in_window * unit["net_minor"]
                cohort["is_mature"] = cohort["is_mature"] and mature
            unit["in_window"] = in_window
    for units in by_order.values():
        _record_order(ledger, units, clock, window)
    result.values = ledger.figures()
    _side_tables(tables, shipped, result)
    result.tables["k3a_cohort_day"] = list(cohorts.values())
    _refund_only(tables, result)
    result.work_list.sort(key=lambda row: (row["received_at"] is None, row["received_at"] or EARLIEST))
    return result


def _record_order(ledger: Ledger, units: list[Row], clock: datetime, window: int) -> None:
    first = min(units, key=lambda unit: (unit["done_at"], unit["shipped_on"]))
    places = {"company": first["company_code"], "channel": first["channel_code"]}
    mature = seconds(clock) - seconds(first["done_at"]) >= window
    cohort_periods = ("all", "day", "month") if mature else ("day", "month")
    returned = int(any(unit["in_window"] for unit in units))
    ledger.record("cohort_orders", first["shipped_on"], places, (returned, 1, 1, 1), cohort_periods)
    ledger.record("period_orders", first["shipped_on"], places, (0, 1, 1, 1))
    back = [unit for unit in units if unit["return"] is not None]
    if back:
        earliest = min(back, key=lambda unit: (unit["return"]["received_at"], unit["received_on"]))
        ledger.record("period_orders", earliest["received_on"], places, (1, 0, 0, 0))


def _shipped_units(tables: Tables) -> dict[tuple[str, str], list[Row]]:
    """(order, line) -> one row per unit shipped, in the order in which they left, each with its value."""
    channels = index(tables["channel"], "channel_code")
    products = index(tables["product"], "product_id")
    parts = [
        part
        for part in unit_groups(tables)
        if part["part_status"] == "done" and part["exclusion_reason"] not in ("service", "gift_card")
    ]
    for order in tables["sales_order"]:
        channel = channels[order["channel_code"]]
        if channel["kind"] != "stores" or order["replaces_return_id"] is not None:
            continue
        for line in tables["sales_order_line"]:
            product = products.get(line["product_id"])
            if line["order_id"] != order["order_id"] or line["quantity"] <= 0:
                continue
            if product is not None and product["kind"] in ("service", "gift_card"):
                continue
            parts.append(
                {
                    "order_id": order["order_id"],
                    "line_id": line["line_id"],
                    "shipment_id": "",
                    "shipment_line_number": 0,
                    "channel_code": order["channel_code"],
                    "company_code": channel["company_code"],
                    "location_code": order["location_code"],
                    "product_id": line["product_id"],
                    "category_code": None if product is None else product["category_code"],
                    "done_at": order["ordered_at"],
                    "units": line["quantity"],
                    "line_quantity": line["quantity"],
                    "line_net_minor": line["net_minor"],
                }
            )
    parts.sort(key=lambda part: (part["done_at"], part["shipment_id"], part["shipment_line_number"]))
    units: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for part in parts:
        day = local_day(tables["location_day"], "location_code", part["location_code"], part["done_at"])
        line_units = units[(part["order_id"], part["line_id"])]
        for _ in range(part["units"]):
            number = len(line_units)
            net, quantity = part["line_net_minor"], part["line_quantity"]
            worth = half_up(net * (number + 1), quantity) - half_up(net * number, quantity)
            line_units.append({**part, "shipped_on": date_of(day), "net_minor": worth, "return": None})
    return units


def _match(tables: Tables, shipped: dict[tuple[str, str], list[Row]], result: Outcome) -> None:
    """Take returned units to shipped units, oldest first, and count what is left out."""
    clock = as_of(tables)
    orders = index(tables["sales_order"], "order_id")
    received = []
    for line in tables["return_line"]:
        result.instants.append(line["received_at"])
        order = orders.get(line["order_id"])
        places = {
            "channel": order["channel_code"] if order is not None else line["channel_code"],
            "location": line["receiving_location_code"],
        }
        if line["order_id"] is None or line["line_id"] is None:
            result.exclude("orphan", line["quantity"], places)
            result.work_list.append(
                {
                    "return_external_id": line["return_id"],
                    "line_number": line["line_number"],
                    "sku": line["sku"],
                    "quantity": line["quantity"],
                    "receiving_location_code": line["receiving_location_code"],
                    "received_at": line["received_at"],
                    "order_number": line["order_number"],
                }
            )
        elif line["kind"] == "undeliverable":
            result.exclude("undeliverable", line["quantity"], places)
        elif line["received_at"] is None or line["received_at"] > clock:
            result.exclude("not_received", line["quantity"], places)
        else:
            received.append((line, places))
    received.sort(key=lambda entry: (entry[0]["received_at"], entry[0]["return_id"], entry[0]["line_number"]))
    for line, places in received:
        free = [unit for unit in shipped.get((line["order_id"], line["line_id"]), []) if unit["return"] is None]
        for unit in free[: line["quantity"]]:
            unit["return"] = line
            unit["received_on"] = date_of(
                local_day(tables["location_day"], "location_code", unit["location_code"], line["received_at"])
            )
        if line["quantity"] > len(free):
            result.exclude("more_than_shipped", line["quantity"] - len(free), places)


def _side_tables(tables: Tables, shipped: dict[tuple[str, str], list[Row]], result: Outcome) -> None:
    clock = as_of(tables)
    reasons: dict[str, int] = defaultdict(int)
    returned: dict[str, int] = defaultdict(int)
    sold: dict[str, int] = defaultdict(int)
    for units in shipped.values():
        for unit in units:
            sold[unit["product_id"]] += 1
            if unit["return"] is not None:
                reasons[unit["return"]["reason_code"] or "unknown"] += 1
                if unit["product_id"] is not None:
                    returned[unit["product_id"]] += 1
    result.tables["k3a_reason"] = [{"reason_code": code, "units": units} for code, units in reasons.items()]
    products = index(tables["product"], "product_id")
    result.tables["k3a_top_product"] = [
        {
            "product_id": product_id,
            "sku": products[product_id]["sku"],
            "returned_units": units,
            "shipped_units": sold[product_id],
        }
        for product_id, units in returned.items()
    ]
    workload: dict[tuple[str, object], int] = defaultdict(int)
    for line in tables["return_line"]:
        if line["received_at"] is None or line["received_at"] > clock:
            continue
        day = local_day(tables["location_day"], "location_code", line["receiving_location_code"], line["received_at"])
        month = None if day is None else day["local_date"].replace(day=1)
        workload[(line["receiving_location_code"] or "unknown", month)] += line["quantity"]
    result.tables["k3a_workload"] = [
        {"receiving_location_code": place, "month_start_on": month, "units": units}
        for (place, month), units in workload.items()
    ]


def _refund_only(tables: Tables, result: Outcome) -> None:
    with_return = {line["order_id"] for line in tables["return_line"] if line["order_id"] is not None}
    for refund in tables["refund"]:
        if refund["return_external_id"] is None and refund["order_id"] not in with_return:
            result.exclude("refund_only", 1, {"channel": refund["channel_code"], "location": None})
