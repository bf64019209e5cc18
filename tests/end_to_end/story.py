"""A morning of a small retailer in one process, its servers and its world at hand: read, send orders, sync, decide, take back.

Belongs here: doing, and looking at the shops themselves (`shown`, their tables), never by way of Étalon. What it must come to is in
`wanted`, what is asserted in the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from assets.runtime import Runtime, build_runtime
from orchestration.runs import run_job
from resources.connectors.sdk.writing import JsonValue, Write
from resources.report.data import open_published
from resources.settings import Settings
from resources.sql_project import SqlProject
from resources.sync.deciding import Decider, writing_connector
from sandbox.erp import RefusalRules
from sandbox.retailer import Sandbox, start_sandbox
from sandbox.servers.faults import Fault
from sandbox.world import DEMO_NOW, World
from tests.end_to_end.wanted import OrderSeen, Seen

REFUSES_EVERY_NTH = 2
DIFFERENCES = '+key:"sync/web-fr/difference" or +key:"sync/web-be/difference" or +key:"sync/erp/orders_to_send"'
"""What a sync and a transmission need of the main job: nothing is published."""
ANALYSTS = f'{DIFFERENCES} or +key:"publication/bi"'
"""All of it but the report."""

Shops = Mapping[str, Mapping[str, Seen]]


@dataclass
class Clock:
    """The present of everybody: the shops, the ERP and Étalon."""

    now: datetime = DEMO_NOW

    def __call__(self) -> datetime:
        return self.now

    def pass_minutes(self, minutes: int) -> None:
        """Time goes by."""
        self.now += timedelta(minutes=minutes)


@dataclass
class Retailer:
    """A running sandbox and an Étalon that reads and writes it. ``writing``: per shop, counts its requests that write."""

    sandbox: Sandbox
    clock: Clock
    folder: Path
    root: Path
    writing: Mapping[str, Fault] = field(default_factory=dict)
    project: SqlProject | None = None

    @property
    def world(self) -> World:
        """What the sandbox was made from."""
        return self.sandbox.world

    def runtime(self) -> Runtime:
        """Étalon now, as a new process would see it; only the SQL project is read once."""
        box = self.sandbox
        runtime = build_runtime(
            Settings.from_environment(
                {
                    "ETALON_DROPS": str(box.drops),
                    "ETALON_SHOP_FR_URL": box.url_fr,
                    "ETALON_SHOP_FR_KEY": box.key_fr,
                    "ETALON_SHOP_BE_URL": box.url_be,
                    "ETALON_SHOP_BE_KEY": box.key_be,
                    "ETALON_SHOP_BE_SECRET": box.secret_be,
                    "ETALON_SHOP_BE_WEBHOOK_SECRET": box.webhook_secret_be,
                    "ETALON_DATA_DIR": str(self.folder / "data"),
                    "ETALON_NOW": self.clock.now.isoformat(),
                    "ETALON_SECRET_KEY": bytes(range(32)).hex(),
                },
                self.root,
            ),
            project=self.project,
        )
        self.project = runtime.project
        return runtime

    def read_whole(self, runtime: Runtime) -> None:
        """The main job, everything read in full; nothing is published."""
        summary = run_job(runtime, full=True, publications=())
        assert summary.is_finished, summary.errors

    def read(self, runtime: Runtime, *, select: str = DIFFERENCES) -> None:
        """The main job, as far as it is needed."""
        summary = run_job(runtime, full=False, select=select)
        assert summary.is_finished, summary.errors

    def decider(self, runtime: Runtime, by: str) -> Decider:
        """A person who decides."""
        return Decider(runtime.operations, runtime.connectors, runtime.settings.clock(), by=by, note="looked at")

    def shown(self) -> Shops:
        """Channel -> what each of its items shows a buyer, from the shops themselves."""
        shops: Mapping[str, Mapping[str, Any]] = {
            "web-fr": self.sandbox.shop_fr.shown(),
            "web-be": self.sandbox.shop_be.shown(),
        }
        return {
            code: {
                name: Seen(item.quantity, item.regular_minor, item.effective_minor, item.is_published)
                for name, item in items.items()
            }
            for code, items in shops.items()
        }

    def writes_from_now(self) -> Callable[[], dict[str, int]]:
        """Begins to count; gives channel -> requests that write, since."""
        begun = {code: counter.fired for code, counter in self.writing.items()}
        return lambda: {code: counter.fired - begun[code] for code, counter in self.writing.items()}

    def shown_after(self, days: float) -> Shops:
        """What the shops would show some days from now, were nobody to touch them."""
        now = self.clock.now
        self.clock.now = now + timedelta(days=days)
        try:
            return self.shown()
        finally:
            self.clock.now = now

    def orders(self) -> Mapping[str, Mapping[str, OrderSeen]]:
        """Channel -> order number -> what the shop says of its parcel, from the shops' own tables."""
        return {"web-fr": self._orders_fr(), "web-be": self._orders_be()}

    def _orders_fr(self) -> dict[str, OrderSeen]:
        service = self.sandbox.shop_fr.webservice
        with service.lock:
            rows = [service.tables["orders"].row(number) for number in service.tables["orders"].ids()]
            shipped = {
                str(number)
                for number in service.tables["order_states"].ids()
                if service.tables["order_states"].row(number)["shipped"] == "1"
            }
        return {
            row["reference"]: OrderSeen(row["current_state"] in shipped, row["shipping_number"] or None) for row in rows
        }

    def _orders_be(self) -> dict[str, OrderSeen]:
        found = {}
        for number in self.world.shop_be.orders["order_id"].to_list():
            row = self.sandbox.shop_be.order(number)
            parcels = [entry["value"] for entry in row["meta_data"] if entry["key"] == "_wc_shipment_tracking_items"]
            parcels = [msgspec.json.decode(parcel) if isinstance(parcel, str) else parcel for parcel in parcels]
            numbers = [str(parcel["tracking_number"]) for listed in parcels for parcel in listed]
            found[row["number"]] = OrderSeen(row["status"] == "completed", numbers[-1] if numbers else None)
        return found

    def change_in_shop(
        self, runtime: Runtime, channel: str, external_id: str, attribute: str, value: JsonValue
    ) -> None:
        """Somebody changes a value in a shop behind Étalon's back: there is no plan, no outbox, no receipt of it."""
        entity = "channel_stock" if attribute == "published_qty" else "channel_price"
        now = self.shown()[channel][external_id]
        before = now.quantity if attribute == "published_qty" else now.regular_minor
        connector = writing_connector(runtime.connectors, runtime.retailer.channel(channel).system)
        (result,) = connector.write(
            [Write("by hand", entity, external_id, attribute, before, value)], now=runtime.settings.clock()()
        )
        assert result.outcome == "applied", result


def published(runtime: Runtime, query: str) -> list[tuple[Any, ...]]:
    """Rows of the published database."""
    with open_published(runtime.settings.bi_path) as con:
        return con.execute(query).fetchall()


@contextmanager
def retailer(folder: Path, root: Path) -> Iterator[Retailer]:
    """The smallest sandbox that holds every planted defect, in this process."""
    clock = Clock()
    sandbox = start_sandbox(
        folder / "sandbox",
        variants=500,
        orders=2_000,
        loses_rows=False,
        tells_truth=False,
        refuses=RefusalRules(every_nth=REFUSES_EVERY_NTH),
        clock=clock,
    )
    try:
        counters = {
            code: shop.faults.add(Fault("slow", r"^(POST|PUT|PATCH|DELETE) ", seconds=0))
            for code, shop in (("web-fr", sandbox.shop_fr), ("web-be", sandbox.shop_be))
        }
        yield Retailer(sandbox, clock, folder, root, counters)
    finally:
        sandbox.stop()
