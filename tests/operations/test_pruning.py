"""Pruning: given extracts of some ages, expect old and loaded files gone, and everything that is still needed kept."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import typer

from orchestration.cli.prune import age
from resources.pruning import Pruned, prune
from tests.extract.fakes import NOW, ORDERS, Row, Source, Stores
from tests.incidents.world import HOUR, World

ENTITY = "order_acknowledgement"
DAY = timedelta(days=1)


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    return Stores.open(tmp_path)


def read(stores: Stores, number: str | None, *, days_ago: int, loaded: bool) -> str:
    at = NOW - days_ago * DAY
    extract_id = stores.extract(Source([Row(number, at), Row("0", at)]), ORDERS, now=at).extract_id
    if loaded:
        stores.operations.mark_loaded([extract_id], now=at)
    return extract_id


def left(stores: Stores) -> tuple[set[str], set[str]]:
    """Ids of the extracts with raw files, and of those with canonical files."""
    raw = {path.name for path in stores.data_dir.glob("landing/src/*/*") if path.is_dir()}
    return raw, {path.name.split(".")[2] for path in stores.data_dir.glob("canonical/*/*.parquet")}


def test_old_and_loaded_goes_and_the_rest_stays(stores: Stores) -> None:
    old = read(stores, "1", days_ago=100, loaded=True)
    waiting = read(stores, "2", days_ago=95, loaded=False)
    recent = read(stores, "3", days_ago=10, loaded=True)
    before = NOW - 90 * DAY
    counted = prune(stores.operations, stores.landing, before=before, only_count=True)
    assert left(stores) == ({old, waiting, recent},) * 2
    done = prune(stores.operations, stores.landing, before=before)
    assert counted == done
    assert (done.raw_extracts_qty, done.canonical_files_qty, done.waiting_qty) == (1, 1, 1)
    assert done.raw_bytes > 0
    assert done.canonical_bytes > 0
    assert left(stores) == ({waiting, recent},) * 2
    assert [extract.extract_id for extract in stores.operations.loadable_extracts(ENTITY)] == [waiting]
    assert all(path.is_file() for extract in stores.operations.loadable_extracts(ENTITY) for path in extract.paths)
    assert stores.operations.manifest(old) is not None
    assert prune(stores.operations, stores.landing, before=before) == Pruned(0, 0, 0, 0, 1)


def test_quarantine_is_kept_with_its_rows(stores: Stores) -> None:
    read(stores, None, days_ago=100, loaded=True)
    prune(stores.operations, stores.landing, before=NOW)
    [row] = stores.operations.quarantined()
    assert row.raw


def test_a_reading_that_lost_rows_leaves_its_raw_files_no_longer_than_others(stores: Stores) -> None:
    stores.extract(Source([Row("1", NOW)], lost=1), ORDERS)
    assert prune(stores.operations, stores.landing, before=NOW + DAY).raw_extracts_qty == 1
    assert left(stores) == (set(), set())


@pytest.mark.parametrize(("text", "expected"), [("90d", 90 * DAY), ("12w", 84 * DAY)])
def test_an_age_is_days_or_weeks(text: str, expected: timedelta) -> None:
    assert age(text) == expected


@pytest.mark.parametrize("text", ["", "90", "0d", "-1d", "3m", "d"])
def test_what_is_no_age_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is no age"):
        age(text)


def test_an_accepted_incident_is_not_forgotten_while_its_condition_may_last(tmp_path: Path) -> None:
    world = World.at(tmp_path)
    for name in ("orders", "products"):
        world.read(name=name, outcome="failed", error="x")
    world.refresh()
    accepted, mended = (one.incident_id for one in world.open())
    stream = world.operations.incidents.get(mended).stream  # type: ignore[union-attr]
    world.operations.incidents.accept(accepted, by="ann", note="known", now=world.now)
    world.later(HOUR).read(name=str(stream))
    world.refresh()
    world.later(200 * DAY)
    world.operations.prune(before=world.now - 180 * DAY)
    assert [one.incident_id for one in world.operations.incidents.find()] == [accepted]
    world.operations.close()
