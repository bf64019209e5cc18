"""A store to plant troubles in, one call per trouble, and a clock to move."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from resources.connectors.sdk.stream import Stream
from resources.connectors.sdk.writing import WriteOutcome, WriteResult
from resources.extract import new_extract_id
from resources.incidents import Facts, detect, refresh_incidents
from resources.incidents.facts import OWN
from resources.operations import ExchangeEntry, FileReceipt, Manifest, Operations, Outcome
from resources.operations.incidents import Impact, Incident, Refreshed, Signal
from resources.operations.order_messages import Answer, NewOrder, OrderFile, OrderKey
from resources.operations.outbox import NewWrite
from resources.operations.plans import HeldReason, PlanLine
from resources.retailer import Retailer
from tests.retailer.declared import TEXT, retailer

START = datetime(2026, 5, 18, 10, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def stream(name: str, *entities: str, personal: bool = False) -> Stream:
    return Stream(name, f"/{name}", entities, ("id",), "full_snapshot", has_personal_data=personal)


STREAMS = {
    "shop_fr": (stream("orders", "order", "order_line", personal=True), stream("products", "product")),
    "erp": (stream("erp_stock", "stock_level"), stream("erp_acknowledgements", "order_acknowledgement")),
}


def touches_nothing(signal: Signal) -> Impact:
    return signal.touches


@dataclass
class World:
    """The operations store of a retailer with two systems, and what goes wrong in it."""

    operations: Operations
    now: datetime = START
    retailer: Retailer = field(default_factory=lambda: retailer(TEXT))

    @classmethod
    def at(cls, folder: Path) -> World:
        return cls(Operations.open(f"sqlite:///{folder / 'operations.sqlite'}", data_dir=folder))

    def later(self, by: timedelta) -> World:
        self.now += by
        return self

    # -- looking -------------------------------------------------------------------------------------------------------

    def signals(self) -> list[Signal]:
        return list(detect(Facts(self.operations, self.retailer, STREAMS, self.now)))

    def refresh(self) -> Refreshed:
        return refresh_incidents(self.operations, self.retailer, streams=STREAMS, impact=touches_nothing, now=self.now)

    def open(self) -> list[Incident]:
        return self.operations.incidents.find(status="open")

    # -- readings ------------------------------------------------------------------------------------------------------

    def read(
        self,
        system_code: str = "shop_fr",
        name: str = "orders",
        *,
        outcome: Outcome = "complete",
        error: str | None = None,
        rows_qty: int = 10,
        quarantined_qty: int = 0,
        is_full: bool = False,
        request_id: str | None = None,
        receipts: Iterable[FileReceipt] = (),
        faults: Iterable[tuple[str, str | None, int | None]] = (),
    ) -> str:
        """A reading; ``faults`` are journalled as (text, file, line). Gives its id."""
        manifest = Manifest(
            extract_id=new_extract_id(self.now),
            system_code=system_code,
            stream=name,
            run_id="run",
            outcome=outcome,
            announced_qty=rows_qty,
            landed_qty=rows_qty - quarantined_qty,
            quarantined_qty=quarantined_qty,
            since_at=None,
            watermark_at=self.now,
            error=error,
            is_full=is_full,
            started_at=self.now,
            finished_at=self.now,
        )
        self.operations.begin_extract(manifest)
        entries = [
            self._entry("fault", system_code, name, text, extract_id=manifest.extract_id, file=file, line=line)
            for text, file, line in faults
        ]
        entries.append(
            self._entry(
                "extract",
                system_code,
                name,
                error or "complete",
                is_ok=outcome == "complete",
                outcome=outcome,
                extract_id=manifest.extract_id,
                request_id=request_id,
            )
        )
        self.operations.finish_extract(
            manifest,
            receipts=[self._of(receipt, manifest.extract_id) for receipt in receipts],
            journal=entries,
            cursor_at=self.now if outcome == "complete" else None,
        )
        return manifest.extract_id

    def file(self, name: str, outcome: str = "refused", reason: str = "", sequence: int = 1) -> FileReceipt:
        return FileReceipt(
            "erp", "erp_stock", name, outcome, reason, "0" * 64, 10, "STOCK", sequence, "", None, 0, 0, 0, self.now
        )

    def quarantine(self, extract_id: str, quantity: int, *, file: str | None = None, line: int | None = None) -> None:
        self.operations.add_quarantine(
            [
                {
                    "extract_id": extract_id, "run_id": "run", "system_code": "shop_fr", "stream": "orders",
                    "entity": "order", "part": file, "position": str(number), "line": line, "column_number": None,
                    "field": "total", "rule": "not_a_number", "reason": "'x' is no number", "raw": b"x", "context": "",
                    "is_sealed": False, "is_root": True, "status": "pending", "attempts": 0, "created_at": self.now,
                }
                for number in range(quantity)
            ]
        )  # fmt: skip

    # -- writes and plans ----------------------------------------------------------------------------------------------

    def write(
        self, external_id: str, outcome: WriteOutcome, reason: str = "", attribute: str = "published_qty"
    ) -> None:
        """Queue one value for shop_fr, and settle it as told."""
        entity = "channel_stock" if attribute == "published_qty" else "channel_price"
        self.operations.outbox.put(
            [NewWrite("shop_fr", "web-fr", "plan", None, entity, external_id, "", attribute, 1, 2, "P1", "differs")],
            now=self.now,
        )
        rows = self.operations.outbox.claim("shop_fr", worker="w", now=self.now, limit=10)
        self.operations.outbox.settle(
            [WriteResult(row.key, outcome, reason=reason, request_id="r-9") for row in rows], rows, now=self.now
        )

    def hold(self, subject: str, guard: str) -> str:
        """A plan that a guard holds. Gives its id."""
        line = PlanLine("channel_price", "12", "regular_minor", 1000, 100, "differs", value_at_risk_minor=900)
        proposal = self.operations.plans.propose(
            channel_code="web-fr",
            system_code="shop_fr",
            subject=subject,
            lines=[line],
            held_reasons=[HeldReason(guard, "prices fall too far", "1 line, the worst by 90.0 %", "30 %", "look")],
            run_id="run",
            now=self.now,
        )
        assert proposal.plan is not None
        return proposal.plan.plan_id

    # -- the rest ------------------------------------------------------------------------------------------------------

    def journal(self, kind: str, *, quantity: int = 1, **values: object) -> None:
        system_code = str(values.pop("system_code", "shop_be"))
        name, detail = str(values.pop("stream", kind)), str(values.pop("detail", ""))
        self.operations.add_exchange(*(self._entry(kind, system_code, name, detail, **values) for _ in range(quantity)))

    def send_order(self, number: str) -> None:
        order = NewOrder(OrderKey("web-fr", number), f"O{number}", "shop_fr", number, self.now, "{}")
        sequence = self.operations.order_messages.next_sequence("erp", "erp_orders")
        name = f"ORDERS_{sequence:06d}.xml"
        file = OrderFile("erp", "erp_orders", sequence, name, "reserved", "0" * 64, b"<x/>", 1, "run", self.now)
        self.operations.order_messages.reserve(file, [order])
        self.operations.order_messages.mark_renamed(file)
        self.operations.order_messages.mark_announced(file, now=self.now)

    def answer_order(self, number: str, *, is_accepted: bool, reason: str = "") -> None:
        answer = Answer(OrderKey("web-fr", number), self.now, is_accepted, reason)
        self.operations.order_messages.answer("erp", [answer], now=self.now)

    def run_ends(self, job: str, *, step: str = "", error: str = "") -> None:
        self.operations.add_exchange(
            self._entry(
                "run", OWN, f"{job}/{step}" if step else job, error or "the run ended well", is_ok=not error,
                request_id=f"run-{self.now:%H%M}",
            )
        )  # fmt: skip

    def _entry(self, kind: str, system_code: str, name: str, detail: str, **values: object) -> ExchangeEntry:
        given = {"is_ok": False, **values}
        return ExchangeEntry(
            at=self.now,
            run_id="run",
            system_code=system_code,
            stream=name,
            kind=kind,
            detail=detail,
            **given,  # type: ignore[arg-type]
        )

    def _of(self, receipt: FileReceipt, extract_id: str) -> FileReceipt:
        return replace(receipt, extract_id=extract_id)
