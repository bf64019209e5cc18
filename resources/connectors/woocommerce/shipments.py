"""Tells the shop that an order was shipped, and with which parcel: status completed and the tracking extensions' custom field.

Only ever forwards: from what was to be prepared to completed. In a batch an unknown status puts an order back to pending without an
error, so no other status is ever sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

import msgspec

from resources.connectors.sdk.writing import JsonValue, Write, WriteResult
from resources.connectors.woocommerce import orders
from resources.connectors.woocommerce.batch import Sent, batches_of, run, send_all
from resources.connectors.woocommerce.client import LARGEST_PAGE, WooClient
from resources.connectors.woocommerce.items import IN_A_HURRY, chunks_of
from resources.connectors.woocommerce.outcomes import judged, result
from resources.connectors.woocommerce.rows import Meta
from resources.connectors.woocommerce.tracking import number_of, numbers_of, parcels_of, with_parcel
from resources.errors import EtalonError

STREAM = "orders"
SHIPPED = "completed"
ORDERS_AT_ONCE = 20
"""The shop mails each buyer before it answers: more would outlast its own time limit."""
_STATES = ("payable", "shipped")


class OrderHead(msgspec.Struct):
    """What is looked at of an order."""

    id: int
    status: str
    date_paid_gmt: str | None = None
    date_completed_gmt: str | None = None
    meta_data: list[Meta] = []


_HEADS = msgspec.json.Decoder(list[OrderHead])
_FIELDS = ",".join(OrderHead.__struct_fields__)


@dataclass
class _Task:
    """One write on its way to a result."""

    write: Write
    order: OrderHead | None = None
    result: WriteResult | None = None
    fields: dict[str, Any] = field(default_factory=dict)


class ShipmentWriter:
    """Writes shipments of orders. ``statuses``: the shop's states and ours.

    ``note``: what the buyer is told of a new parcel, with ``{tracking_number}`` in it; None: nothing.
    """

    def __init__(
        self,
        client: WooClient,
        statuses: Mapping[str, str],
        pool: Executor | None,
        *,
        now: datetime,
        note: str | None = None,
    ) -> None:
        self._client = client
        self._note = note
        self._statuses = statuses
        self._pool = pool
        self._now = now

    def write(self, writes: Sequence[Write]) -> list[WriteResult]:
        """One result per write, in their order. Raises an EtalonError only when nothing was changed."""
        tasks = [_Task(write) for write in writes]
        seen: set[str] = set()
        for task in tasks:
            reason = _misshapen(task.write)
            if reason:
                task.result = result(task.write, "refused", reason=reason)
            elif task.write.external_id in seen:
                task.result = result(task.write, "retry", reason="another shipment of the same order came with it")
            else:
                seen.add(task.write.external_id)
        waiting = [task for task in tasks if task.result is None]
        if waiting:
            heads = self._read(waiting)
            for task in waiting:
                self._prepare(task, heads.get(int(task.write.external_id)))
            waiting = [task for task in waiting if task.result is None]
            bodies = {int(task.write.external_id): task.fields for task in waiting}
            batches = batches_of("/orders/batch", bodies, size=ORDERS_AT_ONCE)
            sent = send_all(self._client, batches, (), stream=STREAM, pool=self._pool)
            self._read_back(waiting, sent)
            run(self._pool, [partial(self._tell_buyer, task) for task in waiting if "meta_data" in task.fields])
        return [task.result for task in tasks if task.result is not None]

    def _tell_buyer(self, task: _Task) -> None:
        """Write the note of a new parcel, which the shop mails to the buyer: once, and never again, whatever comes of it."""
        wanted = task.write.after
        if (
            self._note is None
            or task.result is None
            or task.result.outcome != "applied"
            or not isinstance(wanted, Mapping)
        ):
            return
        text = self._note.replace("{tracking_number}", str(wanted["tracking_number"]))
        path = f"/orders/{task.write.external_id}/notes"
        try:
            self._client.post(path, {"note": text, "customer_note": True}, msgspec.json.decode, stream=STREAM)
        except EtalonError as error:
            reason = f"the buyer's note may be missing and is not tried again: {error.what}"
            task.result = replace(task.result, reason="; ".join(filter(None, (task.result.reason, reason))))

    def _read(self, tasks: Sequence[_Task]) -> dict[int, OrderHead]:
        def page(ids: Sequence[int]) -> list[OrderHead]:
            asked = {
                "include": ",".join(map(str, ids)),
                "status": "any",
                "orderby": "id",
                "order": "asc",
                "per_page": str(LARGEST_PAGE),
                "_fields": _FIELDS,
            }
            return self._client.get("/orders", asked, _HEADS.decode, stream=STREAM, retry=IN_A_HURRY).value

        chunks = chunks_of(int(task.write.external_id) for task in tasks)
        return {
            head.id: head for heads in run(self._pool, [partial(page, chunk) for chunk in chunks]) for head in heads
        }

    def _value(self, order: OrderHead, wanted: JsonValue) -> dict[str, JsonValue]:
        """An order's shipment; of several parcels the wanted one is shown where it is among them, else the latest."""
        number = wanted.get("tracking_number") if isinstance(wanted, Mapping) else None
        numbers = numbers_of(order.meta_data)
        ours = orders.status_of(order.status, self._statuses, order.date_paid_gmt, order.date_completed_gmt)
        return {
            "status": "shipped" if ours == "delivered" else ours,  # a shop may mean more by completed
            "tracking_number": number if number in numbers else number_of(order.meta_data),
        }

    def _prepare(self, task: _Task, order: OrderHead | None) -> None:
        write, wanted = task.write, task.write.after
        if order is None:
            task.result = result(
                write, "refused", reason=f"the shop has no order {write.external_id}: deleted, or in the trash"
            )
            return
        task.order = order
        found = self._value(order, wanted)
        assert isinstance(wanted, Mapping)  # noqa: S101 (checked before)
        number = wanted.get("tracking_number")

        def end(outcome: Any, reason: str = "") -> None:
            task.result = result(write, outcome, found=found, is_found=True, reason=reason)

        if _is_done(found, wanted):
            end("unchanged")
        elif found["status"] == "shipped" and wanted.get("status") == "payable":
            end("refused", "an order that was shipped is not taken back: a person does that in the shop")
        elif found["status"] not in _STATES or not _is_as_planned(self._value(order, None), write.before):
            end("moved", f"its status in the shop is {order.status}")
        else:
            if found["status"] != wanted.get("status"):
                task.fields["status"] = SHIPPED
            if isinstance(number, str) and number != found["tracking_number"]:
                parcels = parcels_of(order.meta_data)
                if parcels is None:
                    end(
                        "refused",
                        "the order's custom field for parcels holds something else than parcels: look at it in the shop",
                    )
                    return
                task.fields["meta_data"] = [with_parcel(parcels, number, now=self._now)]

    def _read_back(self, tasks: Sequence[_Task], sent: Mapping[int, Sent]) -> None:
        heads: dict[int, OrderHead] = {}
        trouble = ""
        to_read = [task for task in tasks if sent[int(task.write.external_id)].is_maybe_done]
        try:
            if to_read:
                heads = self._read(to_read)
        except EtalonError as error:
            trouble = error.what
        for task in tasks:
            number = int(task.write.external_id)
            order = heads.get(number)
            wanted = task.write.after
            shown = self._value(order, wanted) if order is not None else None
            is_kept = shown is not None and isinstance(wanted, Mapping) and _is_done(shown, wanted)
            task.result = judged(
                task.write,
                sent[number],
                found=self._value(task.order, wanted) if task.order is not None else None,
                read_back=shown,
                is_read_back=order is not None,
                is_kept=is_kept,
                reason=trouble if order is None or is_kept else f"the shop shows {shown!r} instead of {wanted!r}",
            )


def _misshapen(write: Write) -> str:
    if write.attribute != "shipment":
        return f"WooCommerce has no {write.attribute} of {write.entity} to write"
    if not (write.external_id.isascii() and write.external_id.isdigit()):
        return f"{write.external_id!r} names no order of a WooCommerce"
    wanted = write.after
    if not isinstance(wanted, Mapping) or wanted.get("status") not in _STATES:
        return f"{wanted!r} is no shipment: only {' or '.join(_STATES)} can be told to a shop"
    number = wanted.get("tracking_number")
    if number is not None and not (isinstance(number, str) and number.strip() == number and number):
        return f"{number!r} is no parcel number"
    return ""


def _is_done(found: Mapping[str, JsonValue], wanted: Mapping[str, JsonValue]) -> bool:
    """Whether the shop shows what is wanted. Without a wanted parcel number any that the shop has may stay."""
    number = wanted.get("tracking_number")
    return found["status"] == wanted.get("status") and number in (None, found["tracking_number"])


def _is_as_planned(found: Mapping[str, JsonValue], before: JsonValue) -> bool:
    if not isinstance(before, Mapping):
        return False
    return all(found[name] == before.get(name) for name in ("status", "tracking_number"))
