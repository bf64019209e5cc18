"""An extract: watermark first, cursor last, and counts that add up or nothing is loaded."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from resources.connectors.sdk.stream import Batch
from resources.errors import PermanentError, RetryableError, Where
from resources.landing import Landing
from tests.extract.fakes import NOW, ORDERS, Row, Source, Stores


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    return Stores.open(tmp_path)


def rows(*numbers: str | None) -> list[Row]:
    return [Row(number, NOW - timedelta(hours=1)) for number in numbers]


def test_what_was_announced_is_landed_or_quarantined(stores: Stores) -> None:
    manifest = stores.extract(Source([*rows("1", None, "2", "3"), Row("4", NOW - timedelta(days=400))]), ORDERS)
    assert (manifest.outcome, manifest.announced_qty, manifest.landed_qty, manifest.quarantined_qty) == (
        "complete",
        5,
        4,
        1,
    )
    assert manifest.entity_rows == {"order_acknowledgement": 4}
    assert [row[2] for row in stores.loadable_rows("order_acknowledgement")] == ["1", "2", "3", "4"]
    assert stores.operations.manifest(manifest.extract_id) == manifest
    assert stores.operations.cursor("src", "acknowledgements") == NOW


def test_a_row_that_breaks_its_contract_is_quarantined_and_the_others_go_on(stores: Stores) -> None:
    manifest = stores.extract(Source(rows("1", "", "3")), ORDERS)
    assert (manifest.outcome, manifest.landed_qty, manifest.quarantined_qty) == ("complete", 2, 1)
    [row] = stores.operations.quarantined()
    assert (row.rule, row.field, row.position, row.is_root) == ("not_empty", "order_number", "page 0 row 1", True)


def test_the_next_reading_starts_at_the_cursor_less_the_overlap(stores: Stores) -> None:
    source = Source(rows("1"))
    stores.extract(source, ORDERS)
    later = NOW + timedelta(hours=1)
    manifest = stores.extract(source, ORDERS, now=later)
    stores.extract(source, ORDERS, now=later, full=True)
    assert source.asked_since == [None, NOW - timedelta(minutes=10), None]
    assert manifest.since_at == NOW - timedelta(minutes=10)
    assert not manifest.is_full


def test_lost_rows_make_it_incomplete_and_nothing_moves(stores: Stores) -> None:
    manifest = stores.extract(Source(rows("1", "2"), lost=1), ORDERS)
    assert manifest.outcome == "incomplete"
    assert "announced 3, received 2, landed 2, quarantined 0" in (manifest.error or "")
    assert stores.operations.cursor("src", "acknowledgements") is None
    assert stores.operations.loadable_extracts("order_acknowledgement") == []
    assert not list(stores.data_dir.glob("canonical/*/*.parquet"))
    assert list(stores.data_dir.glob("landing/src/acknowledgements/*/*.zst"))


def test_an_expected_error_comes_back_in_the_manifest_and_the_journal(stores: Stores) -> None:
    source = Source(rows("1", "2", None, "4"), error=PermanentError("the key was refused"), error_after=1)
    manifest = stores.extract(source, ORDERS)
    assert (manifest.outcome, manifest.error) == ("failed", "the key was refused")
    told = [(entry.kind, entry.is_ok, entry.outcome) for entry in stores.operations.exchanges()]
    assert told == [("PermanentError", False, None), ("extract", False, "failed")]
    assert stores.operations.quarantined() == []
    assert stores.loadable_rows("order_acknowledgement") == []


def test_an_unexpected_error_of_a_personal_stream_is_told_without_its_message(stores: Stores) -> None:
    """Given an error that quotes a cell, expect its class alone, in the manifest, the journal and what is raised."""
    orders = replace(ORDERS, has_personal_data=True)
    error = ValueError("cannot read 'ann@example.org'")
    with pytest.raises(RuntimeError) as raised:
        stores.extract(Source(rows("1"), error=error, stream=orders), orders)
    assert raised.value.__context__ is None
    [manifest] = stores.operations.manifests()
    told = [str(raised.value), manifest.error or "", *(entry.detail for entry in stores.operations.exchanges())]
    assert [("ValueError" in text, "ann@" in text) for text in told] == [(True, False)] * 4


def test_a_programming_error_is_noted_and_raised(stores: Stores) -> None:
    with pytest.raises(ZeroDivisionError):
        stores.extract(Source(rows("1", "2", "3"), error=ZeroDivisionError("oops"), error_after=1), ORDERS)
    [manifest] = stores.operations.manifests()
    assert (manifest.outcome, manifest.error) == ("failed", "ZeroDivisionError: oops")


def test_a_frame_of_another_shape_fails_the_whole_reading(stores: Stores) -> None:
    class Wrong(Source):
        def _batch(self, page: int, rows: object) -> Batch:
            batch = super()._batch(page, rows)  # type: ignore[arg-type]
            frame = batch.frames["order_acknowledgement"]
            return replace(
                batch, frames={"order_acknowledgement": frame.with_columns(pl.lit("yes").alias("is_accepted"))}
            )

    manifest = stores.extract(Wrong(rows("1")), ORDERS)
    assert manifest.outcome == "failed"
    assert "is_accepted is String instead of Boolean" in (manifest.error or "")


def test_a_row_seen_twice_in_a_moving_set_counts_as_landed_and_the_later_sight_is_kept(stores: Stores) -> None:
    twice = [Row("1", NOW - timedelta(hours=2)), Row("2", NOW - timedelta(hours=2)), Row("1", NOW - timedelta(hours=1))]
    manifest = stores.extract(Source(twice), ORDERS)
    assert (manifest.outcome, manifest.landed_qty, manifest.quarantined_qty) == ("complete", 3, 0)
    assert [(row[2], row[3]) for row in stores.loadable_rows("order_acknowledgement")] == [
        ("1", NOW - timedelta(hours=1)),
        ("2", NOW - timedelta(hours=2)),
    ]


def test_two_readings_of_a_stream_at_once_are_refused(stores: Stores) -> None:
    with Landing(stores.data_dir).reading_lock("src", "acknowledgements"):
        manifest = stores.extract(Source(rows("1")), ORDERS)
    assert manifest.outcome == "failed"
    assert "another process is reading this stream" in (manifest.error or "")


def test_personal_payloads_are_sealed_and_readable_with_the_key(stores: Stores) -> None:
    stream = replace(ORDERS, has_personal_data=True)
    manifest = stores.extract(Source(rows("1", None), stream=stream), stream)
    [path] = stores.data_dir.glob("landing/src/acknowledgements/*/*")
    assert path.name == "page-0.zst.sealed"
    assert b"Row" not in path.read_bytes()
    raw = stores.landing.read_raw("src", "acknowledgements", manifest.extract_id, "page-0")
    assert raw.startswith(b"[Row(number='1'")
    [row] = stores.operations.quarantined()
    assert row.is_sealed
    assert b"number" not in row.raw


def test_a_full_reading_supersedes_what_was_pending(stores: Stores) -> None:
    stores.extract(Source(rows("1", None)), ORDERS)
    stores.extract(Source(rows("1", None)), ORDERS, full=True, now=NOW + timedelta(hours=1))
    assert [row.status for row in stores.operations.quarantined()] == ["superseded", "pending"]


def test_what_a_full_reading_replaces_is_not_offered_for_loading(stores: Stores) -> None:
    first = stores.extract(Source(rows("1")), ORDERS)
    second = stores.extract(Source(rows("1", "2")), ORDERS, full=True, now=NOW + timedelta(hours=1))
    third = stores.extract(Source(rows("3")), ORDERS, now=NOW + timedelta(hours=2))
    offered = stores.operations.loadable_extracts("order_acknowledgement")
    assert [extract.extract_id for extract in offered] == [second.extract_id, third.extract_id]
    assert [extract.is_full for extract in offered] == [True, False]
    stores.operations.mark_loaded([second.extract_id], now=NOW)
    assert [e.extract_id for e in stores.operations.loadable_extracts("order_acknowledgement")] == [third.extract_id]
    assert first.extract_id not in {e.extract_id for e in stores.operations.loadable_extracts("order_acknowledgement")}


def test_each_reading_leaves_one_line_that_says_what_came_and_where_it_went_wrong(stores: Stores) -> None:
    """Given a reading that loses a row, one that ends well and one whose request fails, expect one line of kind extract each."""
    where = Where(system_code="src", stream="acknowledgements", request_id="r-17", line=4)
    stores.extract(Source(rows("1", "2"), lost=1), ORDERS)
    stores.extract(Source(rows("1", None, "3")), ORDERS)
    # Whole, or the cursor of the one before leaves it no row to fail on.
    stores.extract(Source(rows("1"), error=RetryableError("no answer", where=where)), ORDERS, full=True)
    lines = [entry for entry in stores.operations.exchanges() if entry.kind == "extract"]
    assert [(e.direction, e.outcome, e.rows_qty, e.is_ok, e.request_id, e.line) for e in lines] == [
        ("in", "incomplete", 2, False, None, None),
        ("in", "complete", 3, True, None, None),
        ("in", "failed", 0, False, "r-17", 4),
    ]
    assert all((e.duration_s or 0) > 0 for e in lines)
    assert (lines[0].bytes or 0) > 0
