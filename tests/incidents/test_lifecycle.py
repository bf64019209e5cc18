"""Whatever comes and goes: an incident is open if and only if its condition holds, and people are told of changes, not of flapping."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from resources.operations import Operations
from resources.operations.alerts import Message
from resources.operations.incidents import Change, Impact, Refreshed, Severity, Signal
from resources.settings import sqlalchemy_postgres_url
from tests.incidents.world import DAY, HOUR, MINUTE, START, World

DAMPING = 10 * MINUTE


def signal(key: str, severity: Severity = "error", since_at: datetime = START) -> Signal:
    return Signal("reading_failed", severity, "shop_fr", f"{key} is broken", "mend it", since_at, stream=key)


@dataclass
class Watched:
    """A store in memory whose signals are given by hand; ``told`` collects what people would be told."""

    operations: Operations = field(default_factory=lambda: Operations.open("sqlite://", data_dir=Path("/nonexistent")))
    now: datetime = START
    told: list[Change] = field(default_factory=list)

    def see(self, *signals: Signal, after: timedelta = MINUTE) -> Refreshed:
        self.now += after
        generation, _ = self.operations.incidents.generation()
        refreshed = self.operations.incidents.settle(
            signals, generation=generation, now=self.now, damping=DAMPING, impact=lambda _: Impact(kpis=("k2",))
        )
        self.operations.alerts.queue(["email"], compose=self._compose, per_hour=10_000, now=self.now)
        return refreshed

    def _compose(self, changes: Sequence[Change]) -> Message:
        self.told += changes
        return Message("", "", {})

    def words(self) -> list[str]:
        return [f"{change.change} {change.incident.stream}" for change in self.told]


KEYS = ("a", "b", "c")
SEEN = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(("error", "warning")))
STEPS = st.lists(st.tuples(SEEN, st.integers(1, 25)), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_open_is_what_is_wrong_and_what_was_told_is_true_in_the_end(
    steps: list[tuple[dict[str, Severity], int]],
) -> None:
    watched = Watched()
    changes_of_state = 0
    before: dict[str, Severity] = {}
    for present, minutes in steps:
        signals = [signal(key, severity, watched.now) for key, severity in present.items()]
        watched.see(*signals, after=minutes * MINUTE)
        found = watched.operations.incidents.find(status="open")
        assert sorted(one.stream or "" for one in found) == sorted(present)
        assert all(one.since_at <= one.opened_at <= one.last_seen_at for one in found)
        changes_of_state += len(set(before) ^ set(present))
        changes_of_state += sum(before.get(key) == "warning" and level == "error" for key, level in present.items())
        before = present
    watched.see(*(signal(key, severity) for key, severity in before.items()), after=DAMPING + MINUTE)
    assert len(watched.told) <= changes_of_state
    by_incident = Counter((change.incident.incident_id, change.change) for change in watched.told)
    everyone = watched.operations.incidents.find()
    for one in everyone:
        assert by_incident[one.incident_id, "opened"] == 1
        assert by_incident[one.incident_id, "closed"] == (one.status == "closed")
    assert len({one.incident_id for one in everyone}) == len(everyone)
    watched.operations.close()


def test_flapping_is_one_incident_told_once() -> None:
    """Given a trouble that comes and goes every minute, expect one message at its beginning and one after it has been gone for long."""
    watched = Watched()
    for _ in range(6):
        watched.see(signal("a"))
        watched.see()
    [one] = watched.operations.incidents.find()
    assert (one.status, one.reopened_qty, watched.words()) == ("closed", 5, ["opened a"])
    watched.see(after=DAMPING)
    assert watched.words() == ["opened a", "closed a"]
    watched.see(signal("a"))
    assert [found.incident_id for found in watched.operations.incidents.find()] == [2, 1]
    assert watched.words()[2:] == ["opened a"]


def test_worse_is_told_and_better_is_not() -> None:
    watched = Watched()
    for severity in ("warning", "error", "warning", "error"):
        watched.see(signal("a", severity))
    assert watched.words() == ["opened a", "worsened a", "worsened a"]


def test_mute_is_silent_until_it_ends_and_then_reminds() -> None:
    watched = Watched()
    watched.see(signal("a", "warning"))
    [one] = watched.operations.incidents.find()
    until_at = watched.now + HOUR
    assert watched.operations.incidents.mute(one.incident_id, until_at=until_at, by="ann", note="moving")
    watched.see(signal("a", "error"))
    watched.see(after=MINUTE)
    watched.see(signal("a"), after=DAMPING)
    assert watched.words() == ["opened a"]
    watched.see(signal("a"), after=HOUR)
    assert watched.words() == ["opened a", "reminder a"]
    watched.see(signal("a"), after=HOUR)
    assert watched.words() == ["opened a", "reminder a"]


def test_accepted_stays_silent_until_it_begins_anew() -> None:
    """Given a refused file that a person dealt with, expect silence while the same one lies there, and news for a later one."""
    watched = Watched()
    watched.see(signal("a"))
    assert watched.operations.incidents.accept(1, by="ann", note="sent again", now=watched.now)
    for _ in range(3):
        assert watched.see(signal("a"), after=HOUR).open_qty == 0
    assert not watched.operations.incidents.accept(1, by="ann", note="again", now=watched.now)
    assert watched.see(signal("a", since_at=watched.now)).opened == (2,)
    one = watched.operations.incidents.get(1)
    assert one is not None
    assert (one.status, one.handled_by, one.note) == ("accepted", "ann", "sent again")


def test_of_two_refreshes_at_once_the_first_to_end_counts(world: World) -> None:
    world.read(outcome="failed", error="x")
    generation, _ = world.operations.incidents.generation()
    world.refresh()
    late = world.operations.incidents.settle(
        [], generation=generation, now=world.now, damping=DAMPING, impact=lambda _: Impact()
    )
    assert late.is_skipped
    assert [one.kind for one in world.open()] == ["reading_failed"]


def test_it_opens_and_closes_with_what_the_store_holds(world: World) -> None:
    world.read()
    assert world.refresh().open_qty == 0
    world.later(HOUR).read(outcome="failed", error="system shop_fr: no answer -> look", request_id="r-1")
    opened = world.refresh()
    assert (opened.open_qty, len(opened.opened)) == (1, 1)
    world.later(HOUR).read(outcome="failed", error="system shop_fr: no answer -> look", request_id="r-2")
    assert world.refresh().opened == ()
    [one] = world.open()
    assert (one.occurrences_qty, one.request_id, one.origin) == (2, "r-2", "shop_fr.orders, request r-2")
    world.later(HOUR).read()
    assert world.refresh().closed == (one.incident_id,)
    assert world.later(DAY).refresh().open_qty == 0


def test_two_files_with_long_names_are_two_incidents(world: World) -> None:
    names = [f"{'X' * 240}_{number}.csv" for number in (1, 2)]
    world.read(
        "erp",
        "erp_stock",
        outcome="incomplete",
        error="x",
        receipts=[world.file(name, sequence=n) for n, name in enumerate(names)],
    )
    assert len(world.refresh().opened) == 2
    assert {one.file for one in world.open()} == set(names)


def test_the_same_on_postgres(postgres_url: str) -> None:
    """The store's own moves speak to PostgreSQL as they do to SQLite."""
    operations = Operations.open(sqlalchemy_postgres_url(postgres_url), data_dir=Path("/nonexistent"))
    there = World(operations)
    there.read(outcome="failed", error="x")
    there.write("12-0", "refused", "no")
    there.quarantine(there.read(name="products"), 200)
    assert there.refresh().open_qty == 3
    there.later(HOUR).read()
    assert there.refresh().open_qty == 2
    there.journal("extract", direction="in", rows_qty=3, bytes=10, duration_s=0.5)
    # What a system says may be anything; the note of it is kept all the same.
    there.journal("fault", detail="half \udcff\0 body", request_id="r" * 300, stream="job/" + "s" * 100)
    [odd] = operations.watching.journal(kinds=("fault",))
    assert (odd.detail, len(odd.request_id or ""), len(odd.stream or "")) == ("half \\udcff\ufffd body", 128, 64)
    [total] = operations.watching.totals(since_at=START)
    assert (total.exchanges_qty, total.failed_qty, total.rows_qty, total.bytes) == (1, 1, 3, 10)
    assert operations.alerts.queue(["email"], compose=lambda _: Message("s", "t", {}), per_hour=1, now=there.now) != ()
    [message] = operations.alerts.claim(["email"], now=there.now)
    assert operations.alerts.claim(["email"], now=there.now) == []
    assert message.changes_qty == 2  # the third was over before anybody was told
    operations.close()
