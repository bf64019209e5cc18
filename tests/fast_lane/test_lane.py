"""What the lane writes after a sale, what it leaves alone, and what a restart, a rival or a rush changes about it: nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from resources.fast_lane.book import Book
from resources.fast_lane.hinted import Shown
from resources.fast_lane.lane import Lane
from resources.fast_lane.snapshot import current_version, load, write
from resources.operations import Operations
from resources.operations.outbox import NewWrite
from resources.sync.applying import apply_pending
from tests.fast_lane.small import AS_OF, NOW, FakeShop, Limits, sale, snapshot

SYSTEM_OF = {"web-fr": "shop_fr", "web-be": "shop_be"}


@dataclass
class Stage:
    """A lane, two shops, and a clock that a test moves."""

    operations: Operations
    limits: Limits = field(default_factory=Limits)
    now: datetime = NOW
    shops: dict[str, FakeShop] = field(
        default_factory=lambda: {
            "shop_fr": FakeShop("shop_fr", {"f1": 18, "f2": 4, "fk": 2}),
            "shop_be": FakeShop("shop_be", {"b1": 10, "b2": 6}),
        }
    )

    def lane(self, **changed: Any) -> Lane:
        return Lane(
            snapshot(**changed),
            operations=self.operations,
            limits=self.limits,
            writable=SYSTEM_OF.values(),
            clock=lambda: self.now,
            worker="test",
        )

    def settle(self, lane: Lane, channels: set[str] | None = None) -> None:
        """Send what waits and tell the lane, until there is nothing more to send."""
        waiting = set(SYSTEM_OF) if channels is None else channels
        while waiting:
            self.now += timedelta(milliseconds=10)
            for channel in waiting:
                apply_pending(
                    self.shops[SYSTEM_OF[channel]],
                    self.operations,
                    clock=lambda: self.now,
                    worker="test",
                    origins=("fast_lane",),
                )
            waiting = lane.answers()

    @property
    def shown(self) -> dict[str, Any]:
        return {**self.shops["shop_fr"].shows, **self.shops["shop_be"].shows}

    @property
    def sent(self) -> list[tuple[str, Any]]:
        return [*self.shops["shop_fr"].sent, *self.shops["shop_be"].sent]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    operations = Operations.open(f"sqlite:///{tmp_path / 'operations.sqlite'}", data_dir=tmp_path)
    yield Stage(operations)
    operations.close()


@pytest.mark.parametrize(
    ("event", "lowered", "expect"),
    [
        # the shop lowers its own number; the other one is told; what the cap hides stays
        (sale("shop_fr", "1", ("f1", 3)), {"f1": 15}, {"f1": 15, "b1": 10}),
        (sale("shop_fr", "1", ("f2", 1)), {"f2": 3}, {"f2": 3, "b2": 5, "fk": 1}),
        (sale("shop_be", "1", ("b2", 2)), {"b2": 4}, {"b2": 4, "f2": 2, "fk": 1}),
        # over the cap: the shop lowered what it showed, and there is more
        (sale("shop_be", "1", ("b1", 2)), {"b1": 8}, {"b1": 10, "f1": 16}),
        # a kit takes its components: two P2 and a P1
        (sale("shop_fr", "1", ("fk", 1)), {"fk": 1}, {"f1": 17, "f2": 2, "fk": 1, "b2": 4}),
        # a ticket of the store bears on the shop that sells from the store, by SKU since tills have no catalogue
        (sale("pos", "1", ("S1", 3)), {}, {"f1": 18, "b1": 10}),
        (sale("pos", "1", ("S1", 14)), {}, {"f1": 18, "b1": 9}),
        # more than there is: never below zero
        (sale("shop_fr", "1", ("f2", 40)), {"f2": 0}, {"f2": 0, "fk": 0, "b2": 0}),
        # nothing that we know, and nothing that is ours to prepare
        (sale("shop_fr", "1", ("unknown", 1)), {}, {}),
        (sale("shop_fr", "1", ("f1", 1), status="cancelled"), {}, {}),
        (sale("pos", "1", ("S1", -1)), {}, {}),
    ],
)
def test_what_a_sale_changes(stage: Stage, event: Any, lowered: dict[str, int], expect: dict[str, int]) -> None:
    lane = stage.lane()
    before = stage.shown
    for item, quantity in lowered.items():
        stage.shops[event.system_code].shows[item] = quantity
    stage.settle(lane, lane.orders([event], source="test"))
    assert stage.shown == before | expect
    assert stage.operations.outbox.open_rows() == []


def test_the_same_order_again_changes_nothing(stage: Stage) -> None:
    lane = stage.lane()
    stage.settle(lane, lane.orders([sale("pos", "1", ("S1", 14))], source="a"))
    once = list(stage.sent)
    assert lane.orders([sale("pos", "1", ("S1", 14))], source="a") == set()
    assert lane.orders([sale("pos", "1", ("S1", 14), at=NOW + timedelta(seconds=9))], source="b") == set()
    stage.settle(lane)
    assert stage.sent == once


def test_a_cancelled_order_gives_back(stage: Stage) -> None:
    lane = stage.lane()
    stage.shops["shop_fr"].shows["f2"] = 3
    stage.settle(lane, lane.orders([sale("shop_fr", "1", ("f2", 1))], source="a"))
    assert stage.shown["b2"] == 5
    stage.shops["shop_fr"].shows["f2"] = 4  # the shop restocks by itself
    cancelled = sale("shop_fr", "1", ("f2", 1), status="cancelled", at=NOW + timedelta(seconds=60))
    stage.settle(lane, lane.orders([cancelled], source="b"))
    assert (stage.shown["f2"], stage.shown["b2"], stage.shown["fk"]) == (4, 6, 2)


def test_an_older_state_that_comes_late_changes_nothing(stage: Stage) -> None:
    lane = stage.lane()
    cancelled = sale("shop_fr", "1", ("f2", 1), status="cancelled", at=NOW + timedelta(seconds=60))
    stage.settle(lane, lane.orders([cancelled], source="b"))
    stage.settle(lane, lane.orders([sale("shop_fr", "1", ("f2", 1))], source="a"))
    assert stage.sent == []


@pytest.mark.parametrize("killed", ["before it was sent", "after it was sent"])
def test_a_worker_that_is_killed_loses_nothing_and_doubles_nothing(stage: Stage, killed: str) -> None:
    lane = stage.lane()
    lane.orders([sale("pos", "1", ("S1", 14)), sale("shop_fr", "2", ("f2", 1))], source="a")
    stage.shops["shop_fr"].shows["f2"] = 3
    if killed == "after it was sent":
        for system in stage.shops:
            apply_pending(
                stage.shops[system], stage.operations, clock=lambda: stage.now, worker="dead", origins=["fast_lane"]
            )
    again = stage.lane()  # nothing of the first one's memory
    again.orders([sale("pos", "1", ("S1", 14))], source="a")  # its file is told again
    stage.settle(again)
    assert (stage.shown["b1"], stage.shown["b2"], stage.shown["f2"], stage.shown["fk"]) == (9, 5, 3, 1)
    assert len(stage.sent) == len(set(stage.sent))


def test_killed_between_keeping_an_order_and_deciding(stage: Stage) -> None:
    stage.operations.lane.put([sale("pos", "1", ("S1", 14)).kept(source="a", seen_at=NOW)])
    stage.settle(stage.lane())
    assert stage.shown["b1"] == 9


def test_a_newer_snapshot_that_holds_the_order_ends_it(stage: Stage) -> None:
    lane = stage.lane()
    event = sale("shop_fr", "1", ("f2", 1))
    stage.shops["shop_fr"].shows["f2"] = 3
    stage.settle(lane, lane.orders([event], source="a"))
    sent = list(stage.sent)
    later = snapshot(
        "2",
        as_of_at=NOW + timedelta(minutes=5),
        known_order=[("shop_fr", "1", "web-fr", "N1", False, event.observed_at)],
        open_line=[("shop_fr", "1", "WH", "P2", 1)],
    )
    stage.settle(lane, lane.renew(Book(later)))
    assert stage.operations.lane.orders() == []
    assert stage.sent == sent


def test_a_newer_snapshot_without_the_order_keeps_it(stage: Stage) -> None:
    lane = stage.lane()
    stage.settle(lane, lane.orders([sale("pos", "1", ("S1", 14))], source="a"))
    stage.settle(lane, lane.renew(Book(snapshot("2", as_of_at=NOW))))
    assert [order.order_external_id for order in stage.operations.lane.orders()] == ["1"]
    assert stage.shown["b1"] == 9


def test_an_acknowledged_order_is_in_the_masters_own_number(stage: Stage) -> None:
    acknowledged = [("web-fr", "N1", AS_OF - timedelta(minutes=1))]
    lane = stage.lane(acknowledgement=acknowledged)
    stage.settle(lane, lane.orders([sale("shop_fr", "1", ("f2", 1))], source="a"))
    assert "b2" not in dict(stage.sent)


def test_a_shop_that_shows_less_than_we_thought_waits_for_its_orders(stage: Stage) -> None:
    lane = stage.lane()
    stage.shops["shop_fr"].shows["f1"] = 12  # six sold, and we have not heard of it
    stage.settle(lane, lane.orders([sale("shop_be", "9", ("b1", 2))], source="a"))
    assert stage.shown["f1"] == 12, "to put 16 there would sell six units twice"
    assert lane.doubtful_systems == {"shop_fr"}
    channels = lane.orders([sale("shop_fr", "10", ("f1", 6), at=stage.now)], source="b")
    channels |= lane.orders_read("shop_fr", from_at=stage.now)
    stage.settle(lane, channels)
    assert stage.shown["f1"] == 10
    assert lane.doubtful_systems == set()


def test_a_shop_that_shows_less_for_no_order_is_put_right_once_they_were_read(stage: Stage) -> None:
    lane = stage.lane()
    stage.shops["shop_fr"].shows["f1"] = 12
    stage.settle(lane, lane.orders([sale("shop_be", "9", ("b1", 2))], source="a"))
    assert lane.orders_read("shop_fr", from_at=NOW - timedelta(hours=1)) == set(), "an earlier reading explains nothing"
    stage.settle(lane, lane.orders_read("shop_fr", from_at=stage.now))
    assert stage.shown["f1"] == 16


def test_a_shop_that_shows_more_is_lowered_at_once(stage: Stage) -> None:
    lane = stage.lane()
    stage.shops["shop_fr"].shows["f1"] = 30
    stage.settle(lane, lane.orders([sale("shop_be", "9", ("b1", 2))], source="a"))
    assert stage.shown["f1"] == 16


def test_what_another_hand_writes_against_a_sale_is_put_right(stage: Stage) -> None:
    lane = stage.lane()
    stage.settle(lane, lane.orders([sale("pos", "1", ("S1", 14))], source="a"))
    rival = NewWrite("shop_be", "web-be", "plan", None, "channel_stock", "b1", "", "published_qty", 9, 10, "P1", "")
    stage.operations.outbox.put([rival], now=stage.now)
    apply_pending(stage.shops["shop_be"], stage.operations, clock=lambda: stage.now, worker="plan")
    assert stage.shown["b1"] == 10
    stage.settle(lane, lane.answers())
    assert stage.shown["b1"] == 9


def test_what_another_hand_writes_where_no_sale_is_known_is_left(stage: Stage) -> None:
    lane = stage.lane()
    rival = NewWrite("shop_be", "web-be", "plan", None, "channel_stock", "b1", "", "published_qty", 10, 7, "P1", "")
    stage.operations.outbox.put([rival], now=stage.now)
    apply_pending(stage.shops["shop_be"], stage.operations, clock=lambda: stage.now, worker="plan")
    stage.settle(lane, lane.answers())
    assert stage.shown["b1"] == 7


def test_what_a_shop_shows_is_compared_with_and_never_raised_by_itself(stage: Stage) -> None:
    lane = stage.lane()
    lane.shown([Shown("web-fr", "f1", 11, NOW)])
    assert stage.operations.outbox.open_rows() == []
    assert lane.published("web-fr", "f1") == 11


def test_a_burst_stops_the_lane_for_that_channel_until_the_next_snapshot(stage: Stage) -> None:
    stage.limits = Limits(writes_per_minute_max=2)
    lane = stage.lane()
    for number in range(1, 5):
        stage.settle(lane, lane.orders([sale("pos", str(number), ("S1", 13 if number == 1 else 1))], source="a"))
    assert set(lane.stopped) == {"web-be"}
    [line] = [line for line in stage.operations.exchanges() if line.kind == "fast_lane"]
    assert (line.outcome, line.is_ok, line.stream) == ("held", False, "web-be")
    stage.now += timedelta(minutes=2)
    stage.settle(lane, lane.renew(Book(snapshot("2", as_of_at=NOW))))
    assert lane.stopped == {}
    assert stage.shown["b1"] == 7


def test_too_many_zeros_stop_it_too(stage: Stage) -> None:
    stage.limits = Limits(zeros_per_minute_max=1)
    lane = stage.lane()
    lane.orders([sale("shop_be", "1", ("b2", 40))], source="a")  # two listings of the French shop would show nothing
    assert set(lane.stopped) == {"web-fr"}


def test_stock_that_is_too_old_is_not_published_and_said_once(stage: Stage) -> None:
    lane = stage.lane()
    stage.now = NOW + timedelta(days=2)
    for number in ("1", "2"):
        lane.orders([sale("pos", number, ("S1", 14), ordered_at=stage.now)], source="a")
    assert stage.operations.outbox.open_rows() == []
    told = [(line.stream, line.outcome) for line in stage.operations.exchanges() if line.kind == "fast_lane"]
    assert sorted(told) == [("web-be", "held"), ("web-fr", "held")]


def test_an_order_older_than_the_snapshot_remembers_is_left_to_the_main_job(stage: Stage) -> None:
    lane = stage.lane()
    old = sale("shop_fr", "1", ("f2", 1), ordered_at=AS_OF - timedelta(days=120))
    assert lane.orders([old], source="a") == set()
    assert stage.operations.lane.orders() == []


def test_a_snapshot_is_swapped_in_whole_and_older_ones_go(tmp_path: Path) -> None:
    assert load(tmp_path) is None
    for number in range(6):
        write(snapshot(f"v{number}"), tmp_path)
        assert current_version(tmp_path) == f"v{number}"
    found = load(tmp_path)
    assert found is not None
    assert found.as_of_at == AS_OF
    assert found.tables["position"].equals(snapshot().tables["position"])
    assert len([path for path in (tmp_path / "fast_lane").iterdir() if path.is_dir()]) <= 4
