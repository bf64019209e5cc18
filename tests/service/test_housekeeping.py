"""Housekeeping: given runs, events and settled rows of some ages, expect the old ones gone and everything still needed kept."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa

import resources.operations
from orchestration.event_pruning import prune_instance
from orchestration.instance import open_instance
from resources.operations import Operations
from resources.operations.retention import KEPT, PRUNED
from resources.operations.tables import UtcInstant, metadata
from resources.settings import sqlalchemy_postgres_url

for module in pkgutil.iter_modules(resources.operations.__path__):
    importlib.import_module(f"resources.operations.{module.name}")

NOW = datetime(2026, 5, 18, 10, tzinfo=UTC)
OLD, NEW = NOW - timedelta(days=200), NOW - timedelta(days=10)
BEFORE = NOW - timedelta(days=180)

STORES = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.fixture(params=STORES)
def postgres_or_none(request: pytest.FixtureRequest) -> str | None:
    """The address of an empty PostgreSQL database, or None for SQLite."""
    return None if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def operations(postgres_or_none: str | None, tmp_path: Path) -> Iterator[Operations]:
    url = (
        f"sqlite:///{tmp_path / 'operations.sqlite'}"
        if postgres_or_none is None
        else sqlalchemy_postgres_url(postgres_or_none)
    )
    store = Operations.open(url, data_dir=tmp_path)
    yield store
    store.close()


def test_every_table_says_how_long_it_keeps_its_rows() -> None:
    assert set(KEPT) | set(PRUNED) == set(metadata.tables)
    assert set(KEPT) & set(PRUNED) == set()


def row(table: str, **values: Any) -> dict[str, Any]:
    """A row of a table with something of the right type in every column that must have something."""
    kinds: dict[type, Any] = {str: "x", int: 1, float: 1.0, bool: False, bytes: b"x"}
    made = {
        column.name: OLD if isinstance(column.type, UtcInstant) else kinds[column.type.python_type]
        for column in metadata.tables[table].columns
        if not column.nullable and column.autoincrement is not True
    }
    return {**made, **values}


GIVEN: dict[str, list[tuple[dict[str, Any], bool]]] = {
    "exchange": [({"at": OLD}, False), ({"at": NEW}, True)],
    "outbox": [
        ({"changed_at": OLD, "state": "done"}, False),
        ({"changed_at": OLD, "state": "moved"}, False),
        ({"changed_at": OLD, "state": "dead"}, True),
        ({"changed_at": OLD, "state": "pending"}, True),
        ({"changed_at": NEW, "state": "done"}, True),
    ],
    "receipt": [
        ({"written_at": OLD, "external_id": "1"}, False),
        ({"written_at": OLD, "external_id": "1", "reason": "the last of its value"}, True),
        ({"written_at": OLD, "external_id": "2"}, False),
        ({"written_at": NEW, "external_id": "2"}, True),
    ],
    "plan": [
        ({"plan_id": "a", "changed_at": OLD, "status": "applied"}, False),
        ({"plan_id": "b", "changed_at": OLD, "status": "held"}, True),
        ({"plan_id": "c", "changed_at": NEW, "status": "reverted"}, True),
    ],
    "plan_line": [
        ({"plan_id": "a", "number": 1}, False),
        ({"plan_id": "b", "number": 1}, True),
        ({"plan_id": "c", "number": 1}, True),
    ],
    "hint": [
        ({"received_at": OLD, "status": "done", "delivery_id": "1"}, False),
        ({"received_at": OLD, "status": "pending", "delivery_id": "2"}, True),
        ({"received_at": NEW, "status": "done", "delivery_id": "3"}, True),
    ],
    "extract": [
        ({"extract_id": "a", "kind": "hint", "finished_at": OLD}, False),
        ({"extract_id": "b", "kind": "read", "finished_at": OLD}, True),
        ({"extract_id": "c", "kind": "hint", "finished_at": NEW}, True),
        ({"extract_id": "d", "kind": "hint", "finished_at": OLD, "stream": "has a row in quarantine"}, True),
    ],
    "quarantine": [({"extract_id": "d"}, True)],
    "incident": [
        ({"incident_id": 1, "status": "closed", "closed_at": OLD}, False),
        ({"incident_id": 2, "status": "open"}, True),
        ({"incident_id": 3, "status": "closed", "closed_at": NEW}, True),
    ],
    "incident_change": [({"incident_id": 1}, False), ({"incident_id": 2}, True)],
    "alert": [
        ({"alert_id": "a", "state": "sent"}, False),
        ({"alert_id": "b", "state": "pending"}, True),
        ({"alert_id": "c", "state": "sent", "created_at": NEW}, True),
    ],
}


def test_hints_go_sooner_than_the_rest(operations: Operations) -> None:
    with operations._transactions.writing() as connection:
        for name in ("exchange", "hint", "extract"):
            for values, _ in GIVEN[name]:
                connection.execute(sa.insert(metadata.tables[name]).values(row(name, **values)))
    operations.prune(before=OLD - timedelta(days=1), hints_before=NOW)
    with operations._transactions.reading() as connection:
        left = {
            name: connection.scalar(sa.select(sa.func.count()).select_from(metadata.tables[name]))
            for name in ("exchange", "hint", "extract")
        }
    assert left == {"exchange": 2, "hint": 1, "extract": 1}, "the hint that waits, and the reading of a whole stream"


def test_what_is_settled_and_old_goes_and_the_rest_stays(operations: Operations) -> None:
    with operations._transactions.writing() as connection:
        for name, rows in GIVEN.items():
            for values, _ in rows:
                connection.execute(sa.insert(metadata.tables[name]).values(row(name, **values)))
    expected = {name: sum(not stays for _, stays in rows) for name, rows in GIVEN.items() if name in PRUNED}
    counted = operations.prune(before=BEFORE, only_count=True)
    assert {name: counted[name] for name in expected} == expected
    assert operations.prune(before=BEFORE) == counted
    with operations._transactions.reading() as connection:
        for name, rows in GIVEN.items():
            left = connection.execute(sa.select(metadata.tables[name])).mappings().all()
            kept = [values for values, stays in rows if stays]
            assert len(left) == len(kept), name
            assert all(any(values.items() <= dict(found).items() for found in left) for values in kept), name
    assert set(operations.prune(before=BEFORE).values()) == {0}


@dg.asset(key=["sync", "web_fr", "receipts"])
def written() -> None:
    """An asset that is materialized in each run."""


def test_old_runs_and_events_go_and_the_last_of_each_asset_stays(postgres_or_none: str | None, tmp_path: Path) -> None:
    lane = dg.AssetKey(["sync", "web_fr", "fast_lane"])
    with open_instance(tmp_path / "dagster", postgres_or_none) as instance:
        runs = [dg.materialize([written], instance=instance).run_id for _ in range(3)]
        for number in range(4):
            instance.report_runless_asset_event(
                dg.AssetMaterialization(lane, metadata={"number": number}, tags={"a": "b"})
            )
        later = datetime.now(UTC) + timedelta(minutes=1)
        assert prune_instance(instance, before=later - timedelta(days=1)).runs_qty == 0
        counted = prune_instance(instance, before=later, only_count=True)
        assert (counted.runs_qty, counted.runless_events_qty) == (2, 3)
        assert instance.get_runs_count() == 3
        assert prune_instance(instance, before=later) == counted
        assert [run.run_id for run in instance.get_runs()] == [runs[-1]]
        assert not {path.stem for path in (tmp_path / "dagster").rglob("*.db")} & set(runs[:-1])
        last = instance.get_latest_materialization_event(lane)
        assert last is not None
        assert last.asset_materialization is not None
        assert last.asset_materialization.metadata["number"].value == 3
        assert len(instance.fetch_materializations(lane, limit=10).records) == 1
        assert instance.get_latest_materialization_event(written.key) is not None
        assert not instance.all_logs(runs[0])
        assert instance.all_logs(runs[-1])
        again = prune_instance(instance, before=later)
        assert (again.runs_qty, again.runless_events_qty) == (0, 0)
