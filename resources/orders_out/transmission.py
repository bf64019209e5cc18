"""One transmission: what a crash left is finished, answers are taken in, and what is new goes out, each order once.

The order of the steps is what makes a crash harmless:

1. `reserve`: number, name, content and orders of a file are kept in the operations store. Nothing is in the folder yet.
2. `put`: the content is written beside its name, brought to disk, renamed. The system leaves it alone: it has no marker.
3. `renamed` is kept. Only now may a marker appear.
4. `announce`: the marker is written. The system may take both away from here on.
5. `announced` is kept: the file's orders are sent.

After a crash before 3 the file was never announced, so writing the same bytes under the same name again is the same sending. After
3 the file is there, and is announced; or it is not, and then the system took it, because it was announced.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
from lxml import etree

from resources.errors import EtalonError, RetryableError, RowRejected, Where
from resources.operations import ExchangeEntry, Operations
from resources.operations.order_messages import (
    Answer,
    NewOrder,
    OrderFile,
    OrderKey,
    OrderMessage,
    OrderMessages,
)
from resources.orders_out.declaration import OutgoingMessage
from resources.orders_out.document import DocumentMaker, OrderRows
from resources.orders_out.exported import ExportedOrders
from resources.orders_out.folder import OutFolder

JOURNAL_KIND = "order_file"
_INSTANTS = ("ordered_at", "payable_at", "promised_ship_by_at")


@dataclass(frozen=True)
class TransmissionSummary:
    """What one transmission did. ``files``: names of the files announced; quantities count orders.

    ``finished_qty``: files that an earlier run had left unfinished; ``failed``: orders that cannot be sent, with the reason;
    ``cancelled_qty``: orders that the shop cancelled after they were sent, new since the last transmission.
    """

    files: tuple[str, ...] = ()
    sent_qty: int = 0
    finished_qty: int = 0
    acknowledged_qty: int = 0
    refused_qty: int = 0
    cancelled_qty: int = 0
    failed: tuple[tuple[OrderKey, str], ...] = ()


def transmit(
    message: OutgoingMessage,
    out: OutFolder,
    export: ExportedOrders,
    *,
    operations: Operations,
    lock_dir: Path,
    clock: Callable[[], datetime],
    run_id: str,
) -> TransmissionSummary:
    """Send what is to be sent of one message to one system. Running it again changes nothing.

    ``lock_dir``: where the lock lies that lets one transmission work at a time. An order that does not hold what the message demands
    is noted as failed, with the reason, and the others go on. Raises RetryableError or PermanentError when the folder does not take
    files; both are in the journal, and the next transmission goes on where this one stopped.
    """
    with _lock(lock_dir, out.system_code, message.message):
        try:
            return _Transmission(message, out, export, operations, clock, run_id).run()
        except EtalonError as error:
            operations.add_exchange(
                _entry(
                    clock(), run_id, out.system_code, message.message, is_ok=False, outcome="failed", detail=str(error)
                )
            )
            raise


class _Transmission:
    def __init__(
        self,
        message: OutgoingMessage,
        out: OutFolder,
        export: ExportedOrders,
        operations: Operations,
        clock: Callable[[], datetime],
        run_id: str,
    ) -> None:
        self._message = message
        self._out = out
        self._export = export
        self._operations = operations
        self._orders: OrderMessages = operations.order_messages
        self._clock = clock
        self._run_id = run_id
        self._system = out.system_code
        self._maker = DocumentMaker(message)
        self._files: list[str] = []
        self._sent = 0

    def run(self) -> TransmissionSummary:
        self._out.check()
        unfinished = self._orders.unfinished_files(self._system, self._message.message)
        for file in unfinished:
            self._finish(file)
        answered = self._orders.answer(self._system, _answers(self._export.answers), now=self._clock())
        cancelled = self._orders.cancel(self._system, _cancelled(self._export.cancelled), now=self._clock())
        waiting, shared = self._waiting()
        good, bad = self._made(waiting)
        bad += shared
        news = set(
            self._orders.fail(
                self._system,
                self._message.message,
                [(order, reason) for order, reason in bad],
                now=self._clock(),
            )
        )
        failed = tuple((order.key, reason) for order, reason in bad)
        for key, reason in failed:
            if key in news:
                self._journal(
                    is_ok=False,
                    outcome="failed",
                    detail=f"order {key.order_number} of {key.channel_code} was not sent: {reason}",
                    rows_qty=1,
                )
        for start in range(0, len(good), self._message.max_orders):
            self._send(good[start : start + self._message.max_orders])
        return TransmissionSummary(
            files=tuple(self._files),
            sent_qty=self._sent,
            finished_qty=len(unfinished),
            acknowledged_qty=answered.get("acknowledged", 0),
            refused_qty=answered.get("refused", 0),
            cancelled_qty=len(cancelled),
            failed=failed,
        )

    # -- which orders --------------------------------------------------------------------------------------------------

    def _waiting(self) -> tuple[list[tuple[NewOrder, OrderRows]], list[tuple[NewOrder, str]]]:
        """Orders of the export that were not sent, and those that a person asked for again, oldest first, each once.

        Second: orders that share their number with another one of the same shop (a shop that splits an order may number the parts
        alike). The system could not tell them apart, so only the first goes out; a person enters the others.
        """
        found = _exported(self._export)
        known = self._orders.known(self._system, [order for order, _ in found])
        cancelled = set(_cancelled(self._export.cancelled))
        waiting: dict[OrderKey, tuple[NewOrder, OrderRows]] = {}
        fresh: dict[OrderKey, tuple[NewOrder, OrderRows]] = {}
        shared: list[tuple[NewOrder, str]] = []
        for order, rows in found:
            met = known.get(order.key)
            first = fresh[order.key][0] if order.key in fresh else None
            if first is not None or (met is not None and _is_another(met, order)):
                shared.append(_sharing(order))
                continue
            fresh[order.key] = (order, rows)
            if order.key not in cancelled and (met is None or (met.state == "failed" and met.key == order.key)):
                waiting[order.key] = (order, rows)
        for again in self._orders.asked_again(self._system):
            kept = NewOrder(
                again.key,
                again.order_id,
                again.source_system_code,
                again.source_external_id,
                again.ordered_at,
                again.payload,
            )
            waiting[again.key] = fresh.get(again.key) or (kept, _rows(again.payload))
        return list(waiting.values()), shared

    def _made(
        self, waiting: Sequence[tuple[NewOrder, OrderRows]]
    ) -> tuple[list[tuple[NewOrder, etree._Element]], list[tuple[NewOrder, str]]]:
        good: list[tuple[NewOrder, etree._Element]] = []
        bad: list[tuple[NewOrder, str]] = []
        for order, rows in waiting:
            try:
                good.append((order, self._maker.order(rows)))
            except RowRejected as error:
                bad.append((order, str(error)))
        return good, bad

    # -- one file ------------------------------------------------------------------------------------------------------

    def _send(self, orders: Sequence[tuple[NewOrder, etree._Element]]) -> None:
        now = self._clock()
        sequence = self._orders.next_sequence(self._system, self._message.message)
        content = self._maker.file([element for _, element in orders], sequence=sequence, at=now)
        name = f"{self._message.prefix}_{sequence:06d}_{now.astimezone(UTC):%Y%m%d%H%M%S}.{self._message.extension}"
        file = OrderFile(
            system_code=self._system,
            message=self._message.message,
            sequence=sequence,
            name=name,
            state="reserved",
            sha256=hashlib.sha256(content).hexdigest(),
            content=content,
            orders_qty=len(orders),
            run_id=self._run_id,
            reserved_at=now,
        )
        self._orders.reserve(file, [order for order, _ in orders])
        self._finish(file)

    def _finish(self, file: OrderFile) -> None:
        """From any state to announced."""
        started = time.perf_counter()
        size = 0 if file.content is None else len(file.content)
        if file.state == "reserved":
            self._out.put(file)
            self._orders.mark_renamed(file)
        if self._out.is_there(file):
            self._out.announce(file)
        self._orders.mark_announced(file, now=self._clock())
        self._files.append(file.name)
        self._sent += file.orders_qty
        self._journal(
            is_ok=True,
            outcome="sent",
            detail=f"{file.orders_qty} orders",
            rows_qty=file.orders_qty,
            size=size,
            duration_s=time.perf_counter() - started,
            file=file.name,
        )

    def _journal(
        self,
        *,
        is_ok: bool,
        outcome: str,
        detail: str,
        rows_qty: int | None = None,
        size: int | None = None,
        duration_s: float | None = None,
        file: str | None = None,
    ) -> None:
        self._operations.add_exchange(
            _entry(
                self._clock(),
                self._run_id,
                self._system,
                self._message.message,
                is_ok=is_ok,
                outcome=outcome,
                detail=detail,
                rows_qty=rows_qty,
                size=size,
                duration_s=duration_s,
                file=file,
            )
        )


def _entry(
    at: datetime,
    run_id: str,
    system_code: str,
    stream: str,
    *,
    is_ok: bool,
    outcome: str,
    detail: str,
    rows_qty: int | None = None,
    size: int | None = None,
    duration_s: float | None = None,
    file: str | None = None,
) -> ExchangeEntry:
    return ExchangeEntry(
        at=at,
        run_id=run_id,
        system_code=system_code,
        stream=stream,
        kind=JOURNAL_KIND,
        is_ok=is_ok,
        detail=detail,
        direction="out",
        outcome=outcome,
        rows_qty=rows_qty,
        bytes=size,
        duration_s=duration_s,
        file=file,
    )


def _is_another(met: OrderMessage, order: NewOrder) -> bool:
    """Whether an order of the same number is another one. A twin of it in another system is not."""
    return (
        met.key == order.key
        and met.source_system_code == order.source_system_code
        and met.source_external_id != order.source_external_id
    )


def _sharing(order: NewOrder) -> tuple[NewOrder, str]:
    key = OrderKey(order.key.channel_code, f"{order.key.order_number} ({order.source_external_id})")
    return replace(order, key=key), (
        f"its number {order.key.order_number} is that of another order of {order.source_system_code}; enter it by hand"
    )


def _exported(export: ExportedOrders) -> list[tuple[NewOrder, OrderRows]]:
    lines: dict[str, list[dict[str, Any]]] = {}
    for line in export.lines.sort("order_id", "line_id").iter_rows(named=True):
        lines.setdefault(line["order_id"], []).append(line)
    found = []
    oldest_first = export.orders.sort("ordered_at", "channel_code", "order_number", "system_code", "order_external_id")
    for row in oldest_first.iter_rows(named=True):
        rows = OrderRows(row, tuple(lines.get(row["order_id"], ())))
        found.append(
            (
                NewOrder(
                    key=OrderKey(row["channel_code"], row["order_number"]),
                    order_id=row["order_id"],
                    source_system_code=row["system_code"],
                    source_external_id=row["order_external_id"],
                    ordered_at=row["ordered_at"],
                    payload=_payload(rows),
                ),
                rows,
            )
        )
    return found


def _payload(rows: OrderRows) -> str:
    def plain(value: Any) -> Any:
        return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value

    return json.dumps(
        {
            "header": {name: plain(value) for name, value in rows.header.items()},
            "lines": [{name: plain(value) for name, value in line.items()} for line in rows.lines],
        },
        ensure_ascii=False,
    )


def _rows(payload: str) -> OrderRows:
    kept = json.loads(payload)
    header = {
        name: datetime.fromisoformat(value) if name in _INSTANTS and value is not None else value
        for name, value in kept["header"].items()
    }
    return OrderRows(header, kept["lines"])


def _answers(frame: pl.DataFrame) -> list[Answer]:
    return [
        Answer(
            key=OrderKey(row["channel_code"], row["order_number"]),
            answered_at=row["acknowledged_at"],
            is_accepted=row["is_accepted"],
            reason=row["refusal_reason"] or "",
            source_system_code=row["system_code"],
            source_external_id=row["order_external_id"],
        )
        for row in frame.iter_rows(named=True)
    ]


def _cancelled(frame: pl.DataFrame) -> Mapping[OrderKey, datetime]:
    return {
        OrderKey(row["channel_code"], row["order_number"]): row["cancelled_at"] for row in frame.iter_rows(named=True)
    }


@contextmanager
def _lock(folder: Path, system_code: str, message: str) -> Iterator[None]:
    """One transmission at a time on this machine; freed by the system when the process dies."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{system_code}.{message}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RetryableError(
                "another process is sending this message",
                where=Where(system_code=system_code, stream=message),
                action="wait until it is done",
            ) from error
        yield
