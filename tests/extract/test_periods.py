"""Readings by period: together they are one reading; each stands alone; the cursor moves only when nothing is missing."""

from __future__ import annotations

import multiprocessing
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from resources.connectors.sdk.periods import Period
from resources.connectors.sdk.stream import Reading, SeenFile, Stream
from resources.errors import RetryableError
from resources.extract import run_extract
from resources.landing import Landing
from resources.operations import Manifest
from resources.operations.periods import CoveredPeriod, is_covered, whole_since
from tests.extract.fakes import NOW, ORDERS, Row, Source, Stores

DATED = replace(ORDERS, period_field="at")
ENTITY = "order_acknowledgement"


def day(number: int) -> datetime:
    """Midnight of a day of May."""
    return datetime(2026, 5, number, tzinfo=UTC)


def period(first: int | None, end: int) -> Period:
    return Period(None if first is None else day(first), day(end))


@dataclass
class Dated(Source):
    """A source that can be read by period: a row's day is that of its ``at``."""

    stream: Stream = DATED

    def read_period(self, stream: Stream, period: Period, *, seen: Sequence[SeenFile], now: datetime) -> Reading:
        assert (stream, seen) == (self.stream, [])
        rows = [row for row in self.rows if period.holds(row.at)]
        return Reading(now, len(rows) + self.lost, False, self._batches(rows))


ROWS = [Row(str(number), day(1 + number % 17) + timedelta(hours=number % 24)) for number in range(60)]
ALL = (period(None, 6), period(6, 12), period(12, 19))


def read(stores: Stores, source: Source, of: Period | None, *, now: datetime = NOW, full: bool = False) -> Manifest:
    return run_extract(
        source,
        source.stream,
        operations=stores.operations,
        landing=stores.landing,
        pii=stores.pii,
        full=full,
        now=now,
        run_id="run",
        period=of,
    )


def cursor(stores: Stores) -> datetime | None:
    return stores.operations.cursor("src", "acknowledgements")


@pytest.mark.parametrize("seed", range(5))
def test_periods_in_any_order_load_what_one_reading_loads(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    cuts = sorted(dice.sample(range(2, 18), 4))
    periods = [period(None, cuts[0]), *map(period, cuts, [*cuts[1:], 19])]
    dice.shuffle(periods)
    source, whole = Dated(ROWS), Stores.open(tmp_path / "whole")
    read(whole, source, None, full=True)
    stores = Stores.open(tmp_path / "parts")
    for one in periods:
        assert read(stores, source, one).outcome == "complete"
    assert stores.loadable_rows(ENTITY) == whole.loadable_rows(ENTITY)
    assert len(stores.loadable_rows(ENTITY)) == len(ROWS)
    assert cursor(stores) == cursor(whole) == NOW


def test_the_cursor_waits_for_the_last_period_and_goes_back_to_the_first_watermark(tmp_path: Path) -> None:
    stores, source = Stores.open(tmp_path), Dated(ROWS)
    at = [NOW, NOW + timedelta(hours=1), NOW + timedelta(hours=2)]
    read(stores, source, ALL[2], now=at[0])
    read(stores, source, ALL[0], now=at[1])
    assert cursor(stores) is None
    read(stores, source, ALL[1], now=at[2])
    # What changed since the first of them was read may be in none of them: there an incremental reading must start.
    assert cursor(stores) == at[0]
    assert read(stores, source, None, now=at[2]).since_at == at[0] - source.stream.overlap


def test_a_period_read_again_moves_no_cursor(tmp_path: Path) -> None:
    stores, source = Stores.open(tmp_path), Dated(ROWS)
    read(stores, source, None, full=True)
    later = NOW + timedelta(days=1)
    manifest = read(stores, source, ALL[1], now=later)
    assert (manifest.outcome, manifest.kind, manifest.is_full) == ("complete", "period", False)
    assert (manifest.period_from_at, manifest.period_to_at) == (day(6), day(12))
    assert cursor(stores) == NOW


def test_a_cursor_is_never_moved_back(tmp_path: Path) -> None:
    stores, source = Stores.open(tmp_path), Dated(ROWS)
    read(stores, source, None, full=True, now=NOW + timedelta(hours=3))
    for one in ALL:
        read(stores, source, one, now=NOW)
    assert cursor(stores) == NOW + timedelta(hours=3)


def test_a_period_that_lost_a_row_loads_nothing_and_leaves_the_others_alone(tmp_path: Path) -> None:
    stores, source = Stores.open(tmp_path), Dated(ROWS)
    for one in (ALL[0], ALL[2]):
        read(stores, source, one)
    source.lost = 1
    manifest = read(stores, source, ALL[1])
    assert manifest.outcome == "incomplete"
    assert not manifest.is_loadable
    assert cursor(stores) is None
    inside = sum(ALL[1].holds(row.at) for row in ROWS)
    assert len(stores.loadable_rows(ENTITY)) == len(ROWS) - inside
    source.lost = 0
    read(stores, source, ALL[1])
    assert len(stores.loadable_rows(ENTITY)) == len(ROWS)
    assert cursor(stores) == NOW


def test_what_was_landed_is_found_by_its_period(tmp_path: Path) -> None:
    stores = Stores.open(tmp_path)
    manifest = read(stores, Dated(ROWS), ALL[1])
    assert manifest.extract_id.endswith("-p20260506-20260512")
    [path] = stores.data_dir.glob("canonical/*/*.acknowledgements.*-p20260506-20260512.*.parquet")
    assert path.is_file()
    assert [path.parent.name for path in stores.data_dir.glob("landing/src/acknowledgements/*/page-0.zst")] == [
        manifest.extract_id
    ]
    assert list((stores.data_dir / "landing/src/periods").iterdir()) == [], "a mark is there only while it is read"


def test_a_refused_row_waits_once_however_often_its_period_is_read(tmp_path: Path) -> None:
    stores = Stores.open(tmp_path)
    source = Dated([*ROWS, Row(None, day(7)), Row(None, day(13))])
    read(stores, source, ALL[1])
    read(stores, source, ALL[2])
    read(stores, source, period(1, 12))
    waiting = [row.extract_id[-18:] for row in stores.operations.quarantined(status="pending")]
    assert waiting == ["-p20260512-20260519"[-18:], "-p20260501-20260512"[-18:]]


# -- several at a time --------------------------------------------------------------------------------------------------


def test_one_day_is_not_read_twice_at_the_same_time_and_other_days_are(tmp_path: Path) -> None:
    stores = Stores.open(tmp_path)

    @dataclass
    class Meanwhile(Dated):
        def read_period(self, stream: Stream, period: Period, *, seen: Sequence[SeenFile], now: datetime) -> Reading:
            inner = Dated(self.rows)
            beside = {name: read(stores, inner, of) for name, of in others.items()}
            outcomes.update({name: manifest.outcome for name, manifest in beside.items()})
            errors.update({name: manifest.error or "" for name, manifest in beside.items()})
            outcomes["whole"] = read(stores, inner, None).outcome
            return super().read_period(stream, period, seen=seen, now=now)

    outcomes: dict[str, str] = {}
    errors: dict[str, str] = {}
    others = {"same": ALL[1], "its last day": period(11, 13), "before": ALL[0], "after": ALL[2]}
    assert read(stores, Meanwhile(ROWS), ALL[1]).outcome == "complete"
    assert outcomes == {
        "same": "failed",
        "its last day": "failed",
        "before": "complete",
        "after": "complete",
        "whole": "complete",
    }
    assert "another process is reading a part of this period" in errors["same"]


def _read_and_stop(data_dir: Path, of: Period, has_begun: object) -> None:
    """In a process of its own: begin a period, say so, and stay at it until killed."""

    @dataclass
    class Stopped(Dated):
        def read_period(self, stream: Stream, period: Period, *, seen: Sequence[SeenFile], now: datetime) -> Reading:
            reading = super().read_period(stream, period, seen=seen, now=now)
            first = next(reading.batches)
            landing.extract("src", stream.name, extract_id(), is_personal=False).write_raw("page-0", first.raw[0][1])
            has_begun.set()  # type: ignore[attr-defined]
            multiprocessing.Event().wait()
            return reading

    def extract_id() -> str:
        [mark] = (data_dir / "landing/src/periods").glob("*.mark")
        return mark.name.removesuffix(".mark")

    stores, landing = Stores.open(data_dir), Landing(data_dir)
    read(stores, Stopped(ROWS), of)


def test_a_killed_process_is_known_to_be_gone_and_costs_its_period_only(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    has_begun = context.Event()
    victim = context.Process(target=_read_and_stop, args=(tmp_path, ALL[1], has_begun))
    victim.start()
    assert has_begun.wait(10)
    stores, source = Stores.open(tmp_path), Dated(ROWS)
    alive = read(stores, source, ALL[1])
    assert alive.outcome == "failed", "its process lives"
    assert read(stores, source, ALL[0]).outcome == "complete"
    [left] = [path.parent for path in tmp_path.glob("landing/src/acknowledgements/*-p20260506-20260512/page-0.zst")]
    victim.kill()
    victim.join()

    assert read(stores, source, ALL[1]).outcome == "complete"
    assert not left.exists(), "what it left behind is thrown away"
    read(stores, source, ALL[2])
    assert len(stores.loadable_rows(ENTITY)) == len(ROWS)
    assert cursor(stores) == NOW
    dead = [manifest for manifest in stores.operations.manifests() if manifest.extract_id == left.name]
    assert [manifest.outcome for manifest in dead] == ["failed"]


def test_the_next_whole_reading_clears_away_what_a_killed_one_left(tmp_path: Path) -> None:
    stores, source = Stores.open(tmp_path), Dated(ROWS)
    opening = read(stores, source, ALL[1])
    stores.operations.begin_extract(replace(opening, extract_id="dead-p20260506-20260512"))
    read(stores, source, None)
    assert {m.extract_id: m.outcome for m in stores.operations.manifests()}["dead-p20260506-20260512"] == "failed"


def test_nothing_that_must_be_alone_goes_on_beside_a_period(tmp_path: Path) -> None:
    landing = Stores.open(tmp_path).landing
    with landing.period_lock("src", "acknowledgements", "e1", is_beside=True):
        assert landing.is_being_read("src", "e1")
        with pytest.raises(RetryableError), landing.without_readers(wait_s=0):
            pytest.fail("a period is being read")
    assert not landing.is_being_read("src", "e1")
    with landing.without_readers(wait_s=0):
        stores = Stores.open(tmp_path)
        assert "another process is reading this stream" in (read(stores, Dated(ROWS), ALL[0]).error or "")


# -- what covers what ---------------------------------------------------------------------------------------------------


def covered(*readings: tuple[int | None, int, int]) -> list[CoveredPeriod]:
    """(first day, day after the last, day of the watermark) of May."""
    return [CoveredPeriod(None if first is None else day(first), day(end), day(at)) for first, end, at in readings]


@pytest.mark.parametrize(
    ("readings", "whole"),
    [
        ([], None),
        ([(1, 21, 20)], None),  # not from the beginning
        ([(None, 21, 20)], 20),
        ([(None, 10, 20), (10, 21, 20)], 20),
        ([(None, 10, 20), (11, 21, 20)], None),  # a day is missing
        ([(None, 10, 20), (10, 19, 20)], None),  # what was made on the 19th is in none
        ([(None, 10, 18), (10, 21, 20)], 18),
        ([(None, 10, 18), (10, 19, 20)], 18),  # what was made after the 18th, the cursor shows
        ([(None, 21, 15), (None, 10, 18), (10, 21, 20)], 18),  # the later readings replace the earlier one
        ([(None, 10, 2), (10, 21, 20), (None, 10, 19)], 19),
        ([(None, 12, 20), (8, 21, 20), (9, 10, 3)], 20),
    ],
)
def test_when_periods_stand_for_a_whole_reading(readings: list[tuple[int | None, int, int]], whole: int | None) -> None:
    assert whole_since(covered(*readings)) == (None if whole is None else day(whole))


def test_what_is_read_already() -> None:
    readings = covered((None, 6, 20), (6, 12, 20), (14, 19, 20))
    assert is_covered(readings, None, day(12))
    assert is_covered(readings, day(3), day(12))
    assert is_covered(readings, day(14), day(19))
    assert not is_covered(readings, day(3), day(13))
    assert not is_covered(readings, day(12), day(14))
    assert not is_covered(covered((1, 19, 20)), None, day(12))
