"""Drills of reading: a system fails in some way at ten, and is well again at eleven.

Expected of each: at ten the incidents name that system and its streams and nothing else; at eleven every row that people read is what it
would be had nothing happened, nothing is lost, nothing is doubled, and those incidents are closed.

Drills of different streams share a round (one night that goes wrong, one hour later): each round is two runs of everything.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from assets.runtime import Runtime
from resources.connectors.sdk.http import HttpClient
from resources.landing import ExtractLanding
from resources.operations.incidents import Incident
from sandbox.servers.faults import Fault
from tests.drills.place import ONLY_SHOPS, Place, State, differing, final_state, place, read_and_build

TEN = datetime(2026, 5, 18, 10, tzinfo=UTC)
ELEVEN = TEN + timedelta(hours=1)
TROUBLES = ("reading_failed", "reading_incomplete", "rows_quarantined", "source_silent", "run_failed")

pytestmark = [pytest.mark.xdist_group("drills-reading"), pytest.mark.slow]

Told = set[tuple[str, str]]
"""(kind of incident, system.stream)."""


@dataclass(frozen=True)
class Drill:
    """What fails at ten: calls of a shop, or the folder of a system of files; and which incidents are then open."""

    system: str
    fault: Fault | None
    told: Told = field(default_factory=set)


@dataclass(frozen=True)
class Round:
    """Drills that happen at once. ``full``: whether the reading at eleven is that of the night."""

    drills: Mapping[str, Drill]
    full: bool = False


@dataclass(frozen=True)
class Well:
    """What there is when nothing goes wrong: what is told of planted defects at ten, and everything at eleven."""

    told: Told
    state: State


@dataclass(frozen=True)
class Played:
    """The incidents at ten, and what differs at eleven (incidents too) from what there is when nothing goes wrong."""

    incidents: list[Incident]
    differing: dict[str, tuple[list[str], list[str]]]


def each(kind: str, system: str, *streams: str) -> Told:
    return {(kind, f"{system}.{stream}") for stream in streams}


PRESTA = ("products", "combinations", "prices", "stock_availables", "orders", "order_slip", "customers")
WOO = ("products", "orders", "refunds", "customers")
WMS = ("wms_shipments", "wms_returns")


def rounds() -> dict[str, Round]:
    """Made anew for each use: a fault counts what it hit."""
    return {
        "PrestaShop is away": Round(
            {
                "PrestaShop is down for an hour": Drill(
                    "shop_fr", Fault("drop_connection"), each("reading_failed", "shop_fr", *PRESTA)
                ),
                "WooCommerce answers HTML": Drill(
                    # Refunds are read through the shop's orders.
                    "shop_be",
                    Fault("html_error", r"/wc/v3/orders\?"),
                    each("reading_failed", "shop_be", "orders", "refunds"),
                ),
                "WooCommerce sends half a body, always": Drill(
                    "shop_be", Fault("truncated", r"/wc/v3/customers"), each("reading_failed", "shop_be", "customers")
                ),
                "WooCommerce is slow": Drill("shop_be", Fault("slow", r"/wc/v3/products", seconds=0.05)),
            }
        ),
        "WooCommerce is away": Round(
            {
                "WooCommerce is down for an hour": Drill(
                    "shop_be", Fault("drop_connection"), each("reading_failed", "shop_be", *WOO)
                ),
                "PrestaShop answers HTML": Drill(
                    "shop_fr", Fault("html_error", r"/api/customers\?"), each("reading_failed", "shop_fr", "customers")
                ),
                "PrestaShop sends half a body, always": Drill(
                    # Slips are read through the shop's orders.
                    "shop_fr",
                    Fault("truncated", r"/api/orders\?"),
                    each("reading_failed", "shop_fr", "orders", "order_slip"),
                ),
                "the warehouse's folder is gone for an hour": Drill("wms", None, each("reading_failed", "wms", *WMS)),
            }
        ),
        "now and then": Round(
            {
                "WooCommerce limits the rate": Drill(
                    "shop_be", Fault("too_many_requests", r"/wc/v3/products", first=2, seconds=30)
                ),
                "one row in a hundred is broken": Drill(
                    "shop_be",
                    Fault("break_rows", r"/wc/v3/orders\?", share=0.01, seed=75),
                    each("rows_quarantined", "shop_be", "orders"),
                ),
                "rows vanish": Drill(
                    "shop_be",
                    Fault("drop_rows", r"/wc/v3/customers\?", rows=1),
                    each("reading_incomplete", "shop_be", "customers"),
                ),
                "PrestaShop sends half a body, now and then": Drill(
                    "shop_fr", Fault("truncated", r"/api/orders\?", probability=0.2, seed=3)
                ),
                "PrestaShop is slow": Drill("shop_fr", Fault("slow", r"/api/stock_availables", seconds=0.05)),
                "PrestaShop fails now and then": Drill(
                    "shop_fr", Fault("server_error", r"/api/products", probability=0.2, seed=2)
                ),
            },
            # A row that was refused and did not change since is only brought again by a reading of everything.
            full=True,
        ),
    }


DRILLS = [pytest.param(name, drill, id=drill) for name, round_ in rounds().items() for drill in round_.drills]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One sandbox: its shops are only read."""
    with place(tmp_path_factory.mktemp("reading")) as found:
        yield found


@pytest.fixture(scope="module", autouse=True)
def impatient() -> Iterator[None]:
    """Waits between tries take no time: a drill is about what happens, not about how long it takes."""
    with pytest.MonkeyPatch.context() as patch:
        defaults = HttpClient.__init__.__kwdefaults__
        assert defaults is not None
        patch.setitem(defaults, "sleep", lambda _seconds: None)
        yield


@pytest.fixture(scope="module")
def well(here: Place, impatient: None) -> Well:
    """Nothing went wrong."""
    runtime = here.runtime("well", TEN)
    read_and_build(runtime)
    planted = told(open_troubles(runtime))
    assert {kind for kind, _ in planted} == {"rows_quarantined"}
    runtime = here.runtime("well", ELEVEN, keep=True)
    read_and_build(runtime, full=False)
    return Well(planted, final_state(runtime))


@pytest.fixture(scope="module")
def played(here: Place, well: Well) -> Callable[[str], Played]:
    """Plays a round when it is first asked for."""
    known: dict[str, Played] = {}

    def play(name: str) -> Played:
        if name not in known:
            known[name] = play_round(here, rounds()[name], well)
        return known[name]

    return play


def play_round(here: Place, round_: Round, well: Well) -> Played:
    """Everything goes wrong at ten, and nothing at eleven."""
    runtime = here.runtime("drill", TEN)
    away = [here.drops("drill") / drill.system for drill in round_.drills.values() if drill.fault is None]
    for drill in round_.drills.values():
        if drill.fault is not None:
            getattr(here.sandbox, drill.system).faults.add(drill.fault)
    for folder in away:
        folder.rename(folder.with_suffix(".away"))
    try:
        read_and_build(runtime)
    finally:
        for folder in away:
            folder.with_suffix(".away").rename(folder)
        here.sandbox.shop_fr.faults.clear()
        here.sandbox.shop_be.faults.clear()
    for name, drill in round_.drills.items():
        assert drill.fault is None or drill.fault.fired > 0, name
    incidents = open_troubles(runtime)
    later = here.runtime("drill", ELEVEN, keep=True)
    read_and_build(later, full=round_.full)
    return Played(incidents, differing(final_state(later), well.state))


def open_troubles(runtime: Runtime) -> list[Incident]:
    return [incident for incident in runtime.operations.incidents.find(status="open") if incident.kind in TROUBLES]


def told(incidents: list[Incident]) -> Told:
    return {(incident.kind, f"{incident.system_code}.{incident.stream}") for incident in incidents}


@pytest.mark.drill
@pytest.mark.parametrize(("name", "drill"), DRILLS)
def test_a_system_fails_and_is_well_again(name: str, drill: str, played: Callable[[str], Played], well: Well) -> None:
    expected, found = rounds()[name].drills[drill], played(name)
    mine = [
        incident
        for incident in found.incidents
        if incident.system_code == expected.system and not told([incident]) & well.told
    ]
    others = {pair for other, one in rounds()[name].drills.items() if other != drill for pair in one.told}
    assert told(mine) - others == expected.told
    for incident in mine:
        assert incident.since_at == TEN, incident
        assert incident.action, incident
        assert incident.impact.entities, incident
        if incident.kind == "reading_failed" and expected.fault is not None:
            assert incident.request_id, incident


@pytest.mark.drill
@pytest.mark.parametrize("name", rounds())
def test_nothing_else_is_blamed_and_the_state_is_that_of_no_fault(
    name: str, played: Callable[[str], Played], well: Well
) -> None:
    found = played(name)
    caused = {pair for drill in rounds()[name].drills.values() for pair in drill.told}
    failing = {stream for kind, stream in caused if kind == "reading_failed"}
    planted = {pair for pair in well.told if pair[1] not in failing}
    assert told(found.incidents) == caused | planted
    assert found.differing == {}


@pytest.mark.drill
def test_the_disk_is_full_while_landing(here: Place, well: Well, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the twenty-first canonical file on nothing can be written; at eleven there is room again."""
    write, written = ExtractLanding.write_canonical, [0]

    def full(self: Any, *arguments: Any) -> Any:
        written[0] += 1
        if written[0] > 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, *arguments)

    runtime = here.runtime("drill", TEN)
    with monkeypatch.context() as patch:
        patch.setattr(ExtractLanding, "write_canonical", full)
        read_and_build(runtime)
    assert written[0] > 20, "the disk was never full"
    failed = [incident for incident in open_troubles(runtime) if incident.kind == "reading_failed"]
    assert failed
    # A stream with personal values tells the class of the error only.
    assert all("OSError" in incident.what for incident in failed), [incident.what for incident in failed]

    later = here.runtime("drill", ELEVEN, keep=True)
    read_and_build(later, full=False)
    # Every row is there; that the night's run failed is told until a night's run is good.
    found = differing(final_state(later), well.state)
    assert found.keys() == {"incidents"}, found
    (failed_night,), missing = found["incidents"]
    assert "run_failed" in failed_night
    assert "nightly_full" in failed_night
    assert missing == []

    read_and_build(here.runtime("drill", ELEVEN, keep=True))
    assert differing(final_state(later), well.state) == {}


SKEWS = {
    "the shop's clock is an hour behind": timedelta(hours=-1),
    "the shop's clock is an hour ahead": timedelta(hours=1),
}


@pytest.mark.parametrize("name", SKEWS)
def test_a_shop_whose_clock_is_wrong_loses_no_order(name: str, tmp_path: Path) -> None:
    """An order placed between two readings is dated by the shop's own clock, which is not ours."""
    skew = SKEWS[name]
    moment = [TEN]
    numbers = {}
    with place(tmp_path, clock=lambda: moment[0] + skew) as here:
        read_and_build(here.runtime("skewed", TEN), select=ONLY_SHOPS)
        moment[0] = TEN + timedelta(minutes=1)
        for shop in ("shop_fr", "shop_be"):
            numbers[shop] = buy_one(here, shop)
        moment[0] = ELEVEN
        later = here.runtime("skewed", ELEVEN, keep=True)
        read_and_build(later, full=False, select=ONLY_SHOPS)
        assert orders_read(later, numbers) == numbers


def test_orders_of_the_hour_that_autumn_has_twice(tmp_path: Path) -> None:
    """Given orders at 02:15 summer time and 02:15 winter time, and readings around them, expect each once and at its own instant."""
    now = datetime(2026, 10, 24, 23, 30, tzinfo=UTC)
    moment = [now]
    with place(tmp_path, now=now, clock=lambda: moment[0]) as here:
        read_and_build(here.runtime("autumn", now), select=ONLY_SHOPS)
        found: dict[str, set[str]] = {"shop_fr": set(), "shop_be": set()}
        for placed_at, read_at in (
            (datetime(2026, 10, 25, 0, 15, tzinfo=UTC), datetime(2026, 10, 25, 0, 40, tzinfo=UTC)),
            (datetime(2026, 10, 25, 1, 15, tzinfo=UTC), datetime(2026, 10, 25, 1, 40, tzinfo=UTC)),
        ):
            moment[0] = placed_at
            for shop, numbers in found.items():
                numbers.add(buy_one(here, shop))
            moment[0] = read_at
            later = here.runtime("autumn", read_at, keep=True)
            read_and_build(later, full=False, select=ONLY_SHOPS)
        with later.writer("drill") as con:
            rows = con.execute(
                """select system_code, order_external_id, ordered_at from canonical."order" where ordered_at >= ? order by all""",
                [datetime(2026, 10, 25, tzinfo=UTC)],
            ).fetchall()
        assert {(system, number) for system, number, _ in rows} == {
            (shop, number) for shop, numbers in found.items() for number in numbers
        }
        woo = [at.astimezone(UTC).strftime("%H:%M") for system, _, at in rows if system == "shop_be"]
        assert woo == ["00:15", "01:15"]


def buy_one(here: Place, shop: str) -> str:
    """A buyer's order of one unit of something that the shop has; its id."""
    server = getattr(here.sandbox, shop)
    item = next(
        item
        for item, shown in sorted(server.shown().items())
        if shown.quantity and shown.quantity > 3 and shown.is_published
    )
    # An item is known to the shop by its own number: that of the variant where there is one.
    placed = server.place_order([(int(item.rpartition("-")[2]), 1)])
    return str(getattr(placed, "order_id", placed))


def orders_read(runtime: Runtime, numbers: dict[str, str]) -> dict[str, str]:
    """Which of these orders the warehouse has."""
    with runtime.writer("drill") as con:
        rows = con.execute(
            'select system_code, order_external_id from canonical."order" where not _is_deleted'
        ).fetchall()
    return {shop: number for shop, number in numbers.items() if (shop, number) in set(rows)}
