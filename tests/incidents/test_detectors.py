"""Given what the operations store holds, expect these signals: kind, severity, origin, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from resources.incidents import kinds
from resources.operations.incidents import Signal
from tests.incidents.world import DAY, HOUR, MINUTE, START, World

ROOT = Path(__file__).parents[2]

ERROR = "system shop_fr, stream orders, request r-17: no answer in time at /api/orders (5 attempts) -> look at the system's own log"
Given = Callable[[World], object]
CASES: dict[str, tuple[Given, list[tuple[str, str]]]] = {}


def case(told: str, *expected: tuple[str, str]) -> Callable[[Given], Given]:
    def keep(given: Given) -> Given:
        CASES[told] = (given, list(expected))
        return given

    return keep


def origin(signal: Signal) -> str:
    """`shop_fr.orders @ file:line #request`, the parts that are known."""
    place = f"{signal.system_code}.{signal.stream}" if signal.stream else signal.system_code
    place += f" on {signal.channel_code}" if signal.channel_code else ""
    file = f" @ {signal.file}" + (f":{signal.line}" if signal.line else "") if signal.file else ""
    return place + file + (f" #{signal.request_id}" if signal.request_id else "")


@case("a reading that is complete")
def _(world: World) -> None:
    world.read()


@case("a reading that failed in a request", ("reading_failed", "shop_fr.orders #r-17"))
def _(world: World) -> None:
    world.read()
    world.later(HOUR).read(outcome="failed", error=ERROR, request_id="r-17")


@case("a reading that failed and then worked")
def _(world: World) -> None:
    world.read(outcome="failed", error=ERROR)
    world.later(HOUR).read()


@case("rows lost on the way", ("reading_incomplete", "shop_fr.products"))
def _(world: World) -> None:
    world.read(
        name="products", outcome="incomplete", error="announced 3, received 2, landed 2, quarantined 0 -> read again"
    )


@case("a stream that retailer.yaml no longer has")
def _(world: World) -> None:
    world.read(name="carts", outcome="failed", error=ERROR)


@case("a refused file", ("file_refused", "erp.erp_stock @ STOCK_000001.csv:3"))
def _(world: World) -> None:
    reason = "file STOCK_000001.csv, line 3: no column sku -> ask for it again"
    world.read(
        "erp", "erp_stock", outcome="incomplete", error=f"STOCK_000001.csv: {reason}",
        receipts=[world.file("STOCK_000001.csv", reason=reason)],
        faults=[(f"STOCK_000001.csv: {reason}", "STOCK_000001.csv", 3)],
    )  # fmt: skip


@case(
    "a refused file that stays refused while later readings are complete", ("file_refused", "erp.erp_stock @ S_1.csv")
)
def _(world: World) -> None:
    world.read("erp", "erp_stock", outcome="incomplete", error="S_1.csv: bad", receipts=[world.file("S_1.csv")])
    world.later(HOUR).read("erp", "erp_stock")


@case("a refused file that came again whole")
def _(world: World) -> None:
    world.read("erp", "erp_stock", outcome="incomplete", error="S_1.csv: bad", receipts=[world.file("S_1.csv")])
    world.later(HOUR).read("erp", "erp_stock", receipts=[world.file("S_1.csv", "accepted")])


@case("a refused file, and a whole reading after it")
def _(world: World) -> None:
    world.read("erp", "erp_stock", outcome="incomplete", error="S_1.csv: bad", receipts=[world.file("S_1.csv")])
    world.later(HOUR).read("erp", "erp_stock", is_full=True)


@case("a file that never came", ("file_missing", "erp.erp_stock"))
def _(world: World) -> None:
    gap = "sequence gap in STOCK: 000007 never came (1 of 9)"
    world.read("erp", "erp_stock", outcome="incomplete", error=gap, faults=[(gap, None, None)])


@case("few refused rows")
def _(world: World) -> None:
    world.quarantine(world.read(rows_qty=10_000, quarantined_qty=3), 3)


@case("many refused rows of one reading", ("rows_quarantined", "shop_fr.orders @ O_1.csv:8"))
def _(world: World) -> None:
    world.quarantine(world.read(rows_qty=100, quarantined_qty=3), 3, file="O_1.csv", line=8)


@case("many refused rows over time", ("rows_quarantined", "shop_fr.orders"))
def _(world: World) -> None:
    world.quarantine(world.read(rows_qty=100_000, quarantined_qty=100), 100)


@case("a system that nobody reads", ("source_silent", "shop_fr"))
def _(world: World) -> None:
    world.read()
    world.read(name="products")
    world.later(27 * HOUR)


@case("a system that is read in time")
def _(world: World) -> None:
    world.read()
    world.later(25 * HOUR)


@case("a value that the shop refuses", ("write_refused", "shop_fr.stock on web-fr"))
def _(world: World) -> None:
    world.write("12-0", "refused", "the product is archived")


@case("a value that did not stick", ("write_not_kept", "shop_fr.price on web-fr"))
def _(world: World) -> None:
    world.write("12", "not_kept", "read back 1000", attribute="regular_minor")


@case("a value that the shop does not take for now, too long", ("write_failing", "shop_fr on web-fr"))
def _(world: World) -> None:
    world.write("12-0", "retry", "HTTP 503")
    world.later(11 * MINUTE)


@case("a value that the shop does not take for a moment")
def _(world: World) -> None:
    world.write("12-0", "retry", "HTTP 503")
    world.later(9 * MINUTE)


@case("values given up after many attempts", ("dead_letters", "shop_fr.stock on web-fr"))
def _(world: World) -> None:
    for _ in range(world.operations.outbox.policy.failures_max):
        world.write("12-0", "retry", "HTTP 503")
        world.later(HOUR)


@case("values that were written")
def _(world: World) -> None:
    world.write("12-0", "applied")


@case("a plan that a guard holds", ("plan_held", "shop_fr.stock on web-fr"))
def _(world: World) -> None:
    world.hold("stock", "share_of_listings")


@case("prices that fall", ("plan_held", "shop_fr.price on web-fr"), ("price_fall", "shop_fr.price on web-fr"))
def _(world: World) -> None:
    world.hold("price", "price_fall")


@case("a held plan that was rejected")
def _(world: World) -> None:
    world.operations.plans.reject(world.hold("price", "price_fall"), by="ann", now=world.now)


@case("an order that the ERP refuses", ("order_refused", "erp.orders on web-fr @ ORDERS_000001.xml"))
def _(world: World) -> None:
    world.send_order("1001")
    world.later(HOUR).answer_order("1001", is_accepted=False, reason="unknown article")


@case("an order that the ERP does not answer", ("order_unanswered", "erp.orders on web-fr @ ORDERS_000001.xml"))
def _(world: World) -> None:
    world.send_order("1001")
    world.later(3 * HOUR)


@case("an order that the ERP booked")
def _(world: World) -> None:
    world.send_order("1001")
    world.answer_order("1001", is_accepted=True)
    world.later(3 * HOUR)


@case("a worker that fell silent", ("worker_silent", "etalon.fast_lane"))
def _(world: World) -> None:
    world.operations.lane.beat("w", started_at=world.now, now=world.now, detail={})
    world.later(2 * MINUTE)


@case("a worker that was asked to stop")
def _(world: World) -> None:
    world.operations.lane.beat("w", started_at=world.now, now=world.now, detail={}, ended_at=world.now)
    world.later(2 * MINUTE)


@case("a job whose last run failed", ("run_failed", "etalon.nightly_full #run-1100"))
def _(world: World) -> None:
    world.run_ends("nightly_full")
    world.later(HOUR).run_ends("nightly_full", step="build_kpis", error="kpis.k2_value: no such column")


@case("a job that works again")
def _(world: World) -> None:
    world.run_ends("nightly_full", step="build_kpis", error="kpis.k2_value: no such column")
    world.later(HOUR).run_ends("nightly_full")


@case("a burst of wrong signatures", ("webhooks_refused", "shop_be.webhook #d-1"))
def _(world: World) -> None:
    world.journal("webhook", quantity=10, outcome="refused", request_id="d-1")
    world.later(5 * MINUTE)


@case("some wrong signatures, and many good deliveries")
def _(world: World) -> None:
    world.journal("webhook", quantity=9, outcome="refused")
    world.journal("webhook", quantity=50, outcome="accepted", is_ok=True)


@case("wrong signatures that stopped")
def _(world: World) -> None:
    world.journal("webhook", quantity=50, outcome="refused")
    world.later(11 * MINUTE)


@case("a burst of refused logins", ("logins_refused", "etalon.login"))
def _(world: World) -> None:
    world.journal("login", quantity=10, system_code="etalon", outcome="refused")


@case("one person's data opened many times in a day", ("customer_reads", "etalon.customer_read"))
def _(world: World) -> None:
    world.journal("customer_read", quantity=500, system_code="etalon", is_ok=True)


@case("far more orders read than on any day before", ("customer_reads", "shop_fr.orders"))
def _(world: World) -> None:
    world.read(rows_qty=300)
    world.later(2 * DAY).read(rows_qty=1500)


@case("a busy day")
def _(world: World) -> None:
    world.read(rows_qty=300)
    world.later(2 * DAY).read(rows_qty=1400)


@case("the whole stream, read at night")
def _(world: World) -> None:
    world.read(rows_qty=3)
    world.later(2 * DAY).read(rows_qty=90_000, is_full=True)


@pytest.mark.parametrize("told", CASES)
def test_what_is_found(world: World, told: str) -> None:
    given, expected = CASES[told]
    given(world)
    found = world.signals()
    assert sorted((signal.kind, origin(signal)) for signal in found) == sorted(expected)
    assert all(signal.action and signal.what and signal.since_at <= world.now for signal in found)


def test_every_kind_has_a_case_and_is_documented() -> None:
    """A kind that no case plants could be one that never fires; one that is not documented leaves a person alone."""
    planted = {kind for _, expected in CASES.values() for kind, _ in expected}
    assert planted | {"alert_failing"} == kinds()  # alert_failing: test_alerts.py
    page = (ROOT / "docs" / "incidents.md").read_text(encoding="utf-8")
    assert {kind for kind in kinds() if f"`{kind}`" not in page} == set()


def test_it_says_since_when_and_how_often(world: World) -> None:
    """Given a success, two failures, a success and three failures, expect three since the first of the last ones."""
    world.read()
    for outcome in ("failed", "failed", "complete"):
        world.later(HOUR).read(outcome=outcome, error="x" if outcome == "failed" else None)
    began: list[datetime] = []
    for _ in range(3):
        world.later(HOUR).read(outcome="failed", error="x")
        began.append(world.now)
    [signal] = world.signals()
    assert (signal.occurrences_qty, signal.since_at) == (3, began[0])


def test_a_silent_system_is_told_with_its_own_hours(world: World) -> None:
    world.read()
    [signal] = world.later(30 * HOUR).signals()
    assert (signal.since_at, signal.evidence["streams"]) == (START + timedelta(hours=26), "orders")


def test_what_a_write_touches(world: World) -> None:
    world.write("12", "refused", "no", attribute="regular_minor")
    [signal] = world.signals()
    assert (signal.touches.channels, signal.touches.kpis, signal.origins) == (
        ("web-fr",),
        ("k4",),
        ("sync/web-fr/receipts",),
    )
