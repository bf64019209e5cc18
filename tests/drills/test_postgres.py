"""Drills of the database: the PostgreSQL that holds the operations store and Dagster's instance goes away in the middle of a run, of a sync
and of the fast lane, and comes back.

Expected of each: what was interrupted is done by simply running it again (the worker: by being started again, as `etalon up` does), and
everything is then what it would be had the database stayed.
"""

from __future__ import annotations

import os
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from orchestration.instance import open_instance
from resources.fast_lane.book import Book
from resources.fast_lane.snapshot import load
from resources.operations import Operations
from resources.settings import sqlalchemy_postgres_url
from tests.drills.outcome import TEN, Undisturbed, expire_leases, published, shown
from tests.drills.place import Place, differing, final_state, place
from tests.drills.victim import Executioner, Stop
from tests.postgres_server import PostgresServer, find_binaries, running_postgres

pytestmark = [pytest.mark.postgres, pytest.mark.xdist_group("drills-postgres")]

RUN = Stop("resources.warehouse.build:ModelBuilder", "build", nth=60)
SYNC = Stop("resources.operations.outbox:Outbox", "claim", nth=1)
SHOPS = {"web-fr": "shop_fr", "web-be": "shop_be"}
PATIENCE_S = 240


@dataclass
class Retailer:
    """A retailer whose stores are on a PostgreSQL of its own. ``now``: the shops' present, and ours."""

    here: Place
    server: PostgresServer
    killer: Executioner
    moment: list[datetime]
    codes: list[int] = field(default_factory=list)

    def variables(self) -> dict[str, str]:
        return self.here.variables("drill", self.moment[0]) | {"ETALON_POSTGRES_URL": self.server.url}

    def interrupt(self, work: str, stop: Stop, what: Callable[[], None]) -> int:
        """Do something to the database while the work stands still at a call; the work's exit code."""
        name = self.here.folder / "drill"
        self.killer.start(work, self.variables(), Stop(stop.owner, stop.name, stop.when, stop.nth, pause=str(name)))
        until(name.with_suffix(".paused").exists)
        what()
        name.with_suffix(".paused").unlink()
        return self.killer.wait()


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that must come, and fail when it does not."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server of this module's own: others would not like what becomes of it."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed: scripts/test_services.sh installs it")
    with running_postgres(binaries) as found:
        yield found


@pytest.fixture(scope="module")
def after_run(
    server: PostgresServer, killer: Executioner, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Retailer]:
    """A run in whose middle the database went away and stayed away; then run again."""
    moment = [TEN]
    with place(tmp_path_factory.mktemp("postgres"), clock=lambda: moment[0]) as here:
        retailer = Retailer(here, server, killer, moment)
        retailer.codes.append(retailer.interrupt("read", RUN, server.stop))
        server.start()
        retailer.codes.append(killer.work("read", retailer.variables()))
        yield retailer


@pytest.fixture(scope="module")
def after_sync(after_run: Retailer) -> Retailer:
    """A sync in whose middle the database was restarted; then run again."""
    after_run.codes.append(after_run.interrupt("sync", SYNC, after_run.server.restart))
    expire_leases(after_run.here.runtime("drill", TEN, keep=True, ETALON_POSTGRES_URL=after_run.server.url))
    after_run.codes.append(after_run.killer.work("sync", after_run.variables()))
    return after_run


def test_the_stores_go_on_after_a_restart(server: PostgresServer, tmp_path: Path) -> None:
    """An idle connection that the restart cut is noticed before it is used, in the operations store at once."""
    url = server.new_database()
    operations = Operations.open(sqlalchemy_postgres_url(url), data_dir=tmp_path)
    operations.hints.add(
        "shop_fr", "orders", "12", origin="poll", topic="order.changed", delivery_id=None, now=TEN, wait_s=0
    )
    server.restart()
    assert [hint.external_id for hint in operations.hints.due(now=TEN)] == ["12"]
    operations.close()


def test_dagsters_instance_goes_on_after_a_restart(server: PostgresServer, tmp_path: Path) -> None:
    """Dagster does not look whether its connection still lives: one question fails, and the next one has another connection."""
    with open_instance(tmp_path / "dagster", server.new_database()) as instance:
        assert instance.get_runs() == []
        server.restart()
        with pytest.raises(sa.exc.OperationalError):
            instance.get_runs()
        assert instance.get_runs() == []


@pytest.mark.drill
@pytest.mark.slow
def test_the_database_goes_away_in_the_middle_of_a_run(after_run: Retailer, undisturbed: Undisturbed) -> None:
    assert after_run.codes[:2] == [1, 0]
    runtime = after_run.here.runtime("drill", TEN, keep=True, ETALON_POSTGRES_URL=after_run.server.url)
    assert differing(final_state(runtime), undisturbed.read) == {}
    assert published(runtime) == undisturbed.published
    runtime.operations.close()


@pytest.mark.drill
@pytest.mark.slow
def test_the_database_is_restarted_in_the_middle_of_a_sync(after_sync: Retailer, undisturbed: Undisturbed) -> None:
    assert shown(after_sync.here) == undisturbed.shops
    runtime = after_sync.here.runtime("drill", TEN, keep=True, ETALON_POSTGRES_URL=after_sync.server.url)
    assert runtime.operations.outbox.open_rows() == []
    assert list(runtime.operations.outbox.dead_letters()) == []
    assert {plan.status for plan in runtime.operations.plans.find()} <= {"applied", "superseded"}
    runtime.operations.close()


@pytest.mark.drill
@pytest.mark.slow
def test_the_database_goes_away_while_the_worker_runs(after_sync: Retailer) -> None:
    """A sale before, one while the database is away, one after: each lowers the other shop by one, exactly once."""
    retailer = after_sync
    retailer.moment[0] = TEN + timedelta(minutes=5)
    runtime = retailer.here.runtime("drill", retailer.moment[0], keep=True, ETALON_POSTGRES_URL=retailer.server.url)
    snapshot = load(runtime.settings.data_dir)
    assert snapshot is not None
    item = pick(Book(snapshot), retailer.here)
    before = quantities(retailer.here, item)

    pid = retailer.killer.start("worker", retailer.variables())
    buy(retailer.here, item)
    until(lambda: quantities(retailer.here, item) == less(before, 1))
    retailer.server.stop()
    buy(retailer.here, item)
    ended = retailer.killer.wait()
    assert ended == 1, "half a worker would look alive: it ends, and is started again"
    retailer.server.start()
    expire_leases(runtime)
    pid = retailer.killer.start("worker", retailer.variables())
    until(lambda: quantities(retailer.here, item) == less(before, 2))
    buy(retailer.here, item)
    until(lambda: quantities(retailer.here, item) == less(before, 3))
    os.kill(pid, signal.SIGTERM)
    assert retailer.killer.wait() == 0, retailer.killer.errors.read_text()

    assert quantities(retailer.here, item) == less(before, 3)
    assert runtime.operations.outbox.open_rows() == []
    runtime.operations.close()


def pick(book: Book, here: Place) -> dict[str, str]:
    """Channel -> item of a product that both shops show as they should, well under the cap: each unit sold shows in both."""
    in_shops = {channel: getattr(here.sandbox, shop).shown() for channel, shop in SHOPS.items()}
    by_product: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for listing in book.all_listings():
        by_product[listing.product_id][listing.channel_code].append(listing.external_id)
    for product, found in sorted(by_product.items()):
        if set(found) != set(SHOPS) or any(len(items) > 1 for items in found.values()) or book.has_parts(product):
            continue
        item = {channel: items[0] for channel, items in found.items()}
        expected = {channel: book.expected(channel, product).quantity or 0 for channel in SHOPS}
        caps = {channel: book.channels[channel].cap_qty or 10**9 for channel in SHOPS}
        if all(
            4 < expected[channel] < caps[channel]
            and in_shops[channel][item[channel]].quantity == expected[channel]
            and in_shops[channel][item[channel]].is_published
            for channel in SHOPS
        ):
            return item
    raise AssertionError("no product is shown by both shops as it should be")


def quantities(here: Place, item: dict[str, str]) -> dict[str, int]:
    """What buyers see of it."""
    return {
        channel: getattr(here.sandbox, shop).shown()[item[channel]].quantity or 0 for channel, shop in SHOPS.items()
    }


def less(quantity: dict[str, int], units: int) -> dict[str, int]:
    return {channel: found - units for channel, found in quantity.items()}


def buy(here: Place, item: dict[str, str]) -> None:
    """A buyer of the French shop takes one: a shop without webhooks, which the worker asks all the time."""
    here.sandbox.shop_fr.place_order([(int(item["web-fr"].rpartition("-")[2]), 1)])
