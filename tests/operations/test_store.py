"""The operations store, on SQLite and on PostgreSQL."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from resources.operations import CanonicalFile, ExchangeEntry, FileReceipt, Manifest, Operations
from resources.operations.engine import open_engine

NOW = datetime(2026, 5, 18, 10, tzinfo=UTC)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/operations.sqlite"
    given = os.environ.get("ETALON_TEST_POSTGRES_URL") or request.getfixturevalue("postgres_url")
    return given.replace("postgresql://", "postgresql+psycopg2://", 1)


@pytest.fixture
def operations(url: str, tmp_path: Path) -> Iterator[Operations]:
    store = Operations.open(url, data_dir=tmp_path)
    yield store
    store.close()


def manifest(extract_id: str = "e1", **changes: object) -> Manifest:
    opening = Manifest(
        extract_id=extract_id, system_code="erp", stream="stock", run_id="r1", outcome="complete", announced_qty=3,
        landed_qty=2, quarantined_qty=1, since_at=None, watermark_at=NOW, entity_rows={"stock_level": 2}, bytes=10,
        duration_s=0.5, is_loadable=True, started_at=NOW, finished_at=NOW,
    )  # fmt: skip
    return replace(opening, **changes)  # type: ignore[arg-type]


def refused(extract_id: str = "e1", **changes: object) -> dict[str, object]:
    row: dict[str, object] = {
        "extract_id": extract_id, "run_id": "r1", "system_code": "erp", "stream": "stock", "entity": "stock_level",
        "part": "f.csv", "position": "f.csv:2", "line": 2, "column_number": 3, "field": "stock", "rule": "bad_number",
        "reason": "no number", "raw": b"\xff;x", "context": "depot;stock", "is_sealed": False, "is_root": True,
        "status": "pending", "attempts": 0, "created_at": NOW,
    }  # fmt: skip
    return row | changes


def test_opening_again_or_from_many_threads_at_once_changes_nothing(url: str) -> None:
    errors: list[Exception] = []

    def open_store() -> None:
        try:
            open_engine(url).dispose()
        except Exception as error:  # noqa: BLE001  told by the assertion below
            errors.append(error)

    threads = [threading.Thread(target=open_store) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_what_is_kept_comes_back_the_same(operations: Operations, tmp_path: Path) -> None:
    kept = manifest(error="x", since_at=NOW - timedelta(hours=1), is_full=True)
    operations.begin_extract(kept)
    operations.add_quarantine([refused()])
    assert operations.manifests() == []
    assert operations.quarantined() == []
    entry = ExchangeEntry(NOW, "r1", "erp", "stock", "note", True, "all is well", "e1")
    files = [
        CanonicalFile("stock_level", 1, "canonical/a.parquet", 1),
        CanonicalFile("stock_level", 2, "canonical/b.parquet", 1),
    ]
    keys = [("stock_level", "S01\x1fA"), ("stock_level", None), ("other", "x")]
    operations.finish_extract(kept, files=files, journal=[entry], cursor_at=NOW, refused_keys=keys)
    assert operations.manifests(run_id="r1") == [kept]
    assert operations.manifests(run_id="other") == []
    assert operations.cursor("erp", "stock") == NOW
    assert operations.cursor("erp", "prices") is None
    assert operations.exchanges(system_code="erp") == [entry]
    [row] = operations.quarantined(system_code="erp", stream="stock", status="pending")
    assert (row.raw, row.line, row.context, row.created_at) == (b"\xff;x", 2, "depot;stock", NOW)
    assert operations.quarantine_counts() == [("erp", "stock", "bad_number", "pending", 1)]
    [loadable] = operations.loadable_extracts("stock_level")
    assert loadable.paths == (tmp_path / "canonical/a.parquet", tmp_path / "canonical/b.parquet")
    assert (loadable.unreadable_qty, loadable.refused_keys, loadable.watermark_at) == (1, ("S01\x1fA",), NOW)


def test_an_extract_is_offered_per_entity_until_it_is_loaded(operations: Operations) -> None:
    both = manifest(entity_rows={"order": 1, "order_line": 2})
    operations.begin_extract(both)
    operations.finish_extract(both)
    operations.mark_loaded(["e1"], entity="order", now=NOW)
    assert operations.loadable_extracts("order") == []
    assert [e.extract_id for e in operations.loadable_extracts("order_line")] == ["e1"]
    operations.mark_loaded(["e1"], now=NOW)
    assert operations.loadable_extracts("order_line") == []


def test_readings_that_died_are_closed_and_their_refusals_dropped(operations: Operations) -> None:
    operations.begin_extract(manifest("dead"))
    operations.add_quarantine([refused("dead")])
    assert operations.begin_extract(manifest("e2")) == ("dead",)
    operations.finish_extract(manifest("e2"))
    assert [(m.extract_id, m.outcome) for m in operations.manifests()] == [("dead", "failed"), ("e2", "complete")]
    assert operations.quarantined() == []
    assert "ended before it was finished" in (operations.manifests()[0].error or "")


def test_a_transaction_that_fails_leaves_nothing(operations: Operations) -> None:
    operations.begin_extract(manifest())
    broken = CanonicalFile("stock_level", 1, None, 1)  # type: ignore[arg-type]
    with pytest.raises(Exception, match=r"(?i)null"):
        operations.finish_extract(manifest(), files=[broken], cursor_at=NOW)
    assert operations.cursor("erp", "stock") is None
    assert operations.loadable_extracts("stock_level") == []
    assert operations.manifests() == []


def receipt(name: str, **changes: object) -> FileReceipt:
    base = FileReceipt(
        system_code="erp", stream="stock", name=name, outcome="accepted", reason="", sha256="s", size_bytes=1,
        sequence_scope="INVRPT", sequence=1, extract_id="e1", announced_qty=2, received_qty=2, landed_qty=2,
        quarantined_qty=0, seen_at=NOW,
    )  # fmt: skip
    return replace(base, **changes)  # type: ignore[arg-type]


def test_receipts_are_replaced_by_name_and_acknowledged_once(operations: Operations) -> None:
    operations.begin_extract(manifest())
    operations.finish_extract(manifest(), receipts=[receipt("a", outcome="waiting"), receipt("b")])
    assert [r.name for r in operations.file_receipts("erp", "stock", only_unacknowledged=True)] == ["b"]
    operations.begin_extract(manifest("e2"))
    operations.finish_extract(manifest("e2"), receipts=[receipt("a")])
    operations.mark_acknowledged("erp", "stock", ["a", "b"], now=NOW)
    assert [(r.outcome, r.acknowledged_at) for r in operations.file_receipts("erp", "stock")] == [("accepted", NOW)] * 2


def test_a_person_may_accept_that_a_file_is_lost(operations: Operations) -> None:
    operations.accept_missing_file("erp", "stock", sequence_scope="INVRPT", sequence=7, reason="disk broke", now=NOW)
    [lost] = operations.file_receipts("erp", "stock")
    assert (lost.outcome, lost.sequence, lost.reason) == ("lost", 7, "disk broke")


def test_writers_wait_for_each_other(url: str, tmp_path: Path) -> None:
    errors: list[Exception] = []

    def write(worker: int) -> None:
        store = Operations.open(url, data_dir=tmp_path)
        try:
            for number in range(10):
                one = manifest(f"{worker}-{number}", stream=f"s{worker}")
                store.begin_extract(one)
                store.finish_extract(one, cursor_at=NOW)
        except Exception as error:  # noqa: BLE001  told by the assertion below
            errors.append(error)
        finally:
            store.close()

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    store = Operations.open(url, data_dir=tmp_path)
    assert len(store.manifests()) == 40
    store.close()


def test_an_instant_without_a_zone_is_refused(operations: Operations) -> None:
    with pytest.raises(Exception, match="has no time zone"):
        operations.begin_extract(manifest(started_at=datetime(2026, 5, 18)))  # noqa: DTZ001 -- what is refused
