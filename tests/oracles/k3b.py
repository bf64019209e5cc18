"""K3b, return processing, read naively from docs/kpis.md."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta

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
    threshold,
)


def outcome(tables: Tables) -> Outcome:
    """All of K3b; ``tables["k3b_return"]`` has the returns."""
    result, ledger, durations = Outcome(), Ledger(), Durations()
    clock = as_of(tables)
    channels = index(tables["channel"], "channel_code")
    orders = index(tables["sales_order"], "order_id")
    lines: dict[str, list[Row]] = defaultdict(list)
    for line in tables["return_line"]:
        order = orders.get(line["order_id"])
        if line["source"] != "return" or line["kind"] != "customer_return" or order is None:
            continue
        if channels[order["channel_code"]]["kind"] in ("web", "marketplace"):
            lines[line["return_id"]].append(line)
    for return_id, of_return in lines.items():
        row = _judge(tables, return_id, of_return, orders, channels)
        result.tables.setdefault("k3b_return", []).append(row)
        result.instants += [row["requested_at"], row["received_at"], row["refund_initiated_at"]]
        places = {"company": row["company_code"], "channel": row["channel_code"]}
        reason = row["exclusion_reason"]
        if reason is not None:
            result.exclude(reason, 1, {"channel": row["channel_code"]})
        if reason not in (None, "no_request_date", "no_calendar"):
            continue
        due = int(reason is None)
        ledger.record("refund_on_time", row["due_on"], places, (int(row["is_on_time"]), due, due, 1))
        if reason is not None:
            continue
        overdue = int(row["refund_initiated_at"] is None)
        ledger.record("refunds_overdue", None, places, (overdue, None, None, None), ("all",))
        goods_at = row["received_at"] or row["proof_of_shipment_at"]
        if row["refund_initiated_at"] is not None and goods_at is not None:
            cycle = max(0, seconds(row["refund_initiated_at"]) - seconds(goods_at))
            durations.record("refund_cycle", row["due_on"], places, cycle, 1)
        if overdue:
            result.work_list.append(
                {name: row[name] for name in ("return_external_id", "channel_code", "order_number", "requested_at")}
                | {
                    "received_at": row["received_at"],
                    "refund_due_at": row["refund_due_at"],
                    "overdue_days": (seconds(clock) - seconds(row["refund_due_at"])) // 86400,
                    "units": row["units"],
                }
            )
    locations = index(tables["location"], "location_code")
    for line in tables["return_line"]:
        if line["received_at"] is None or line["restocked_at"] is None:
            continue
        code = line["receiving_location_code"]
        day = local_day(tables["location_day"], "location_code", code, line["restocked_at"])
        company = locations[code]["company_code"] if code in locations else None
        docked = max(0, seconds(line["restocked_at"]) - seconds(line["received_at"]))
        durations.record(
            "dock_to_stock", date_of(day), {"company": company, "location": code}, docked, line["quantity"]
        )
    result.values = ledger.figures() | durations.figures((50, 90))
    result.work_list.sort(key=lambda row: (row["refund_due_at"], row["return_external_id"]))
    return result


def _judge(tables: Tables, return_id: str, lines: list[Row], orders: dict[str, Row], channels: dict[str, Row]) -> Row:
    clock = as_of(tables)
    order = orders[min(line["order_id"] for line in lines)]
    channel = order["channel_code"]

    def known(name: str) -> list[datetime]:
        return [line[name] for line in lines if line[name] is not None]

    requested = min(known("requested_at"), default=None)
    received = max(known("received_at"), default=None)
    proof = max(known("proof_of_shipment_at"), default=None)
    said = {line["resolution"] or "refund" for line in lines}
    resolution = next(word for word in ("refund", "exchange", "store_credit", "none") if word in said)

    quoted = [row["initiated_at"] for row in tables["refund"] if row["return_external_id"] == return_id]
    loose = [
        row["initiated_at"]
        for row in tables["refund"]
        if row["return_external_id"] is None
        and row["order_id"] == order["order_id"]
        and requested is not None
        and row["initiated_at"] >= requested
    ]
    initiated = min(quoted) if quoted else min(loose, default=None)

    requested_day = local_day(tables["channel_day"], "channel_code", channel, requested)
    last_day = None
    if requested_day is not None:
        wanted = requested_day["local_date"] + timedelta(days=threshold(tables, "k3b")["legal_refund_days"])
        last_day = next(
            (day for day in tables["channel_day"] if day["channel_code"] == channel and day["local_date"] == wanted),
            None,
        )
    goods = [instant for instant in (received, proof) if instant is not None]
    due = None
    if last_day is not None and goods:
        due = max(last_day["day_end_at"], min(goods))

    reason = None
    if resolution != "refund":
        reason = resolution
    elif requested is None:
        reason = "no_request_date"
    elif last_day is None:
        reason = "no_calendar"
    elif due is None and initiated is None:
        reason = "deferred"
    elif due is not None and due > clock and initiated is None:
        reason = "not_due"
    return {
        "return_external_id": return_id,
        "order_number": order["order_number"],
        "channel_code": channel,
        "company_code": channels[channel]["company_code"],
        "units": sum(line["quantity"] for line in lines),
        "requested_at": requested,
        "received_at": received,
        "proof_of_shipment_at": proof,
        "refund_initiated_at": initiated,
        "refund_due_at": due,
        "due_on": date_of(closing_day(tables["channel_day"], "channel_code", channel, due)),
        "exclusion_reason": reason,
        "is_on_time": reason is None and initiated is not None and (due is None or initiated <= due),
    }
