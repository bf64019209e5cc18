"""Drills of sudden death: a run is ended by kill -9 at every step of read, build, plan, apply and publish, and simply run again.

Expected of each: what people read, what is told to be wrong, what is published and what both shops show is what it would be had nothing
happened, and no write was made twice. The worker's own death is drilled in tests/fast_lane, that of a transmission of orders in
tests/orders_out/test_crash.py.
"""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from tests.drills.outcome import TEN, Undisturbed, expire_leases, published, shown
from tests.drills.place import differing, final_state, place
from tests.drills.victim import Executioner, Stop

pytestmark = [pytest.mark.drill, pytest.mark.slow]

LANDING, OPERATIONS = "resources.landing:ExtractLanding", "resources.operations.store:Operations"
READ = {
    "read: a raw page is landed": Stop(LANDING, "write_raw", nth=30),
    "read: a canonical file is written": Stop(LANDING, "write_canonical", nth=12),
    "read: rows are in quarantine": Stop(OPERATIONS, "add_quarantine"),
    "read: before the manifest": Stop(OPERATIONS, "finish_extract", "before", 9),
    "read: after the manifest and the cursor": Stop(OPERATIONS, "finish_extract", "after", 9),
    "build: an entity is loaded and not noted": Stop(OPERATIONS, "mark_loaded", "before", 5),
    "build: an entity is loaded and noted": Stop(OPERATIONS, "mark_loaded", "after", 5),
    "build: in the middle of the referentials": Stop("resources.warehouse.build:ModelBuilder", "build", nth=40),
    "build: in the middle of the KPIs": Stop("resources.warehouse.build:ModelBuilder", "build", nth=90),
    "plan: the difference is exported": Stop("assets.channels", "write_difference", nth=1),
    "publish: before the copy": Stop("resources.warehouse.publish", "copy_out", "before"),
    "publish: copied, not swapped in": Stop("resources.warehouse.publish", "copy_out", "after"),
    "publish: swapped in": Stop("resources.warehouse.publish", "swap_in", "after"),
}
PLANS, OUTBOX = "resources.operations.plans:Plans", "resources.operations.outbox:Outbox"
SYNC = {
    "plan: before it is kept": Stop(PLANS, "propose", "before", 2),
    "plan: kept, not begun": Stop(PLANS, "propose", "after", 2),
    "plan: approved and in the outbox": Stop(PLANS, "begin", "after", 1),
    "apply: claimed, not written": Stop(OUTBOX, "claim", "after", 1),
    "apply: written to PrestaShop, not noted": Stop(
        "resources.connectors.prestashop.connector:PrestaShopConnector", "write", "after", 1
    ),
    "apply: written to WooCommerce, not noted": Stop(
        "resources.connectors.woocommerce.connector:WooCommerceConnector", "write", "after", 1
    ),
    "apply: in the middle of a shop's calls": Stop("resources.connectors.sdk.http:HttpClient", "send", "after", 6),
    "apply: noted": Stop(OUTBOX, "settle", "after", 1),
}


@pytest.mark.parametrize("name", READ)
def test_a_run_killed_and_run_again(name: str, killer: Executioner, undisturbed: Undisturbed, tmp_path: Path) -> None:
    with place(tmp_path) as here:
        variables = here.variables("drill", TEN)
        assert killer.work("read", variables, READ[name]) == -signal.SIGKILL, "the step was never reached"
        assert killer.work("read", variables) == 0
        runtime = here.runtime("drill", TEN, keep=True)
        assert differing(final_state(runtime), undisturbed.read) == {}
        assert published(runtime) == undisturbed.published


@pytest.mark.parametrize("file_bytes", [300_000, 3_000_000])
def test_a_run_on_a_full_disk_and_run_again(
    file_bytes: int, killer: Executioner, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    """No file at all may grow beyond, those of the operations store, of the warehouse and of Dagster included."""
    with place(tmp_path) as here:
        variables = here.variables("drill", TEN)
        killer.start("read", variables, file_bytes=file_bytes)
        assert killer.wait() in (0, 1)
        assert not here.runtime("drill", TEN, keep=True).settings.bi_path.exists(), "the disk was never full"
        assert killer.work("read", variables) == 0
        runtime = here.runtime("drill", TEN, keep=True)
        assert differing(final_state(runtime), undisturbed.read) == {}
        assert published(runtime) == undisturbed.published


@pytest.mark.parametrize("name", SYNC)
def test_a_sync_killed_and_run_again(name: str, killer: Executioner, undisturbed: Undisturbed, tmp_path: Path) -> None:
    with place(tmp_path) as here:
        shutil.copytree(undisturbed.folder, here.folder / "drill")
        variables = here.variables("drill", TEN)
        assert killer.work("sync", variables, SYNC[name]) == -signal.SIGKILL, "the step was never reached"
        runtime = here.runtime("drill", TEN, keep=True)
        expire_leases(runtime)
        assert killer.work("sync", variables) == 0
        assert shown(here) == undisturbed.shops
        assert runtime.operations.outbox.open_rows() == []
        assert list(runtime.operations.outbox.dead_letters()) == []
        assert {plan.status for plan in runtime.operations.plans.find()} <= {"applied", "superseded"}
