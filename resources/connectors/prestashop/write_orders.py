"""Writes shipments into orders: the parcel's number into order_carriers, then the shipped state as a row of order_histories.

A state is never taken back and never entered twice: an order that is shipped or delivered stays so. The number goes first, so that
whatever the shop does when the state comes (its own e-mail) knows it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from resources.connectors.prestashop.client import PrestaShopClient, filters_on
from resources.connectors.prestashop.facts import States
from resources.connectors.prestashop.lanes import Lanes
from resources.connectors.prestashop.lenient import decoder_of
from resources.connectors.prestashop.rows import OrderCarrier, ShippedOrder
from resources.connectors.prestashop.write_results import (
    failed,
    left_alone,
    not_read_back,
    refused,
    refused_as_found,
    written,
)
from resources.connectors.prestashop.write_rows import Fate, Row, Traffic, looked_behind, send_rows
from resources.connectors.sdk.writing import JsonValue, Write, WriteResult
from resources.errors import EtalonError

_ORDERS = decoder_of(ShippedOrder)
_CARRIERS = decoder_of(OrderCarrier)
_ORDER_FIELDS = "[id,current_state,shipping_number]"
HANDED_OVER = ("shipped", "delivered")


@dataclass
class _Job:
    write: Write
    found: JsonValue
    needs_state: bool
    carrier: OrderCarrier | None


def write_shipments(
    client: PrestaShopClient, states: States, writes: Sequence[Write], traffic: Traffic, lanes: Lanes
) -> list[WriteResult]:
    """Write the shipments of some orders; states are entered order by order, some at once."""
    ids = [int(write.external_id) for write in writes]
    try:
        found = _shipments(client, states, ids)
        carriers = _carriers(client, ids)
    except EtalonError as error:
        traffic.error = error
        return [failed(write, error) for write in writes]
    results: dict[str, WriteResult] = {}
    jobs: list[_Job] = []
    for write in writes:
        looked = _looked(write, found, carriers, states)
        if isinstance(looked, _Job):
            jobs.append(looked)
        else:
            results[write.key] = looked
    if jobs:
        results.update(_written(client, states, jobs, traffic, lanes))
    return [results[write.key] for write in writes]


def _looked(
    write: Write, found: Mapping[int, JsonValue], carriers: Mapping[int, OrderCarrier], states: States
) -> WriteResult | _Job:
    order_id = int(write.external_id)
    if order_id not in found:
        return refused(write, f"the shop has no order {order_id}")
    present = found[order_id]
    result = left_alone(write, present, _is_wanted, lambda found, before: _is_expected(found, before, write.after))
    if result is not None:
        return result
    wanted = write.after
    if not _is_shipment(wanted) or not isinstance(wanted, Mapping) or not isinstance(present, Mapping):
        return refused_as_found(write, present, f"{wanted!r} is no shipment")
    needs_state = wanted["status"] == "shipped" and present["status"] not in HANDED_OVER
    if wanted["status"] == "payable" and present["status"] in HANDED_OVER:
        return refused_as_found(write, present, "an order that was handed over does not go back to an earlier state")
    if needs_state and present["status"] != "payable":
        return refused_as_found(write, present, f"an order that is {present['status']} is not shipped")
    if needs_state and states.shipping is None:
        return refused_as_found(write, present, "the shop has no order state that says shipped")
    carrier = None
    if _tracking(wanted) != present["tracking_number"]:
        carrier = carriers.get(order_id)
        if carrier is None:
            return refused_as_found(write, present, "the order has no delivery that could hold a parcel number")
    return _Job(write, present, needs_state, carrier)


def _written(
    client: PrestaShopClient, states: States, jobs: Sequence[_Job], traffic: Traffic, lanes: Lanes
) -> dict[str, WriteResult]:
    fates: dict[str, Fate] = {}
    numbers = {
        job.write.key: Row(
            job.write.key, {"id": str(job.carrier.id), "tracking_number": _tracking(job.write.after) or ""}
        )
        for job in jobs
        if job.carrier is not None
    }
    if numbers:

        def numbered(rows: Sequence[Row]) -> set[str]:
            held = {
                str(row.id): row.tracking_number or ""
                for asked in filters_on("id", [int(row.fields["id"]) for row in rows])
                for row in _carrier_rows(client, asked)
            }
            return {row.key for row in rows if held.get(row.fields["id"]) == row.fields["tracking_number"]}

        rows = list(numbers.values())
        fates = looked_behind(send_rows(client, "order_carriers", "PATCH", rows, numbered, traffic), rows, numbered)

    def enter(job: _Job) -> Fate:
        fields = {"id_order": job.write.external_id, "id_order_state": str(states.shipping)}
        row = Row(job.write.key, fields)
        return send_rows(client, "order_histories", "POST", [row], lambda _: set(), traffic)[row.key]

    ready = [job for job in jobs if job.needs_state and fates.get(job.write.key, Fate()).error is None]
    entered = lanes.run([partial(enter, job) for job in ready])
    fates.update((job.write.key, fate) for job, fate in zip(ready, entered, strict=True))
    try:
        shown = _shipments(client, states, [int(job.write.external_id) for job in jobs])
    except EtalonError as error:
        traffic.error = error
        return {job.write.key: not_read_back(job.write, job.found, fates[job.write.key], error) for job in jobs}
    return {
        job.write.key: written(
            job.write, job.found, fates.get(job.write.key, Fate()), shown.get(int(job.write.external_id)), _is_wanted
        )
        for job in jobs
    }


def _shipments(client: PrestaShopClient, states: States, ids: Sequence[int]) -> dict[int, JsonValue]:
    found: dict[int, JsonValue] = {}
    for asked in filters_on("id", ids):
        params = {"display": _ORDER_FIELDS, **asked, "sort": "[id_ASC]"}
        for row in client.rows("orders", params, _ORDERS.decode, stream="orders").value.rows:
            found[row.id] = {
                "status": states.status.get(row.current_state, "pending"),
                "tracking_number": (row.shipping_number or "").strip() or None,
            }
    return found


def _carriers(client: PrestaShopClient, ids: Sequence[int]) -> dict[int, OrderCarrier]:
    """The delivery of each order whose number the shop shows as the order's: its first one."""
    held: dict[int, list[OrderCarrier]] = defaultdict(list)
    for asked in filters_on("id_order", ids):
        for row in _carrier_rows(client, asked):
            held[row.id_order].append(row)
    return {order_id: min(rows, key=lambda row: row.id) for order_id, rows in held.items()}


def _carrier_rows(client: PrestaShopClient, asked: Mapping[str, str]) -> list[OrderCarrier]:
    params = {"display": "[id,id_order,tracking_number]", **asked, "sort": "[id_ASC]"}
    return client.rows("order_carriers", params, _CARRIERS.decode, stream="orders").value.rows


def _is_shipment(value: JsonValue) -> bool:
    return (
        isinstance(value, Mapping)
        and value.get("status") in ("payable", "shipped")
        and isinstance(value.get("tracking_number"), str | None)
    )


def _tracking(value: JsonValue) -> str | None:
    text = value.get("tracking_number") if isinstance(value, Mapping) else None
    return (text.strip() or None) if isinstance(text, str) else None


def _is_wanted(found: JsonValue, wanted: JsonValue) -> bool:
    """Whether the order shows what is wanted: a delivered order was shipped."""
    if not isinstance(found, Mapping) or not isinstance(wanted, Mapping):
        return False
    statuses = HANDED_OVER if wanted.get("status") == "shipped" else (wanted.get("status"),)
    return found["status"] in statuses and found["tracking_number"] == _tracking(wanted)


def _is_expected(found: JsonValue, before: JsonValue, after: JsonValue) -> bool:
    """Whether each part is as it was planned on, or as wanted already: a write that broke in the middle goes on."""
    if not isinstance(found, Mapping) or not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return False
    is_done = after.get("status") == "shipped" and found["status"] in HANDED_OVER
    is_status = is_done or found["status"] == before.get("status")
    return is_status and found["tracking_number"] in (_tracking(before), _tracking(after))
