"""Files of one period, told by the time in their names: each is read once, whoever reads it, and gaps are told where they lie."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from resources.connectors.files import FilesConnector
from resources.connectors.sdk.periods import Period
from resources.errors import PermanentError
from resources.extract import run_extract
from resources.operations import Manifest
from tests.extract.fakes import NOW, Stores
from tests.feeds.support import connector, drop
from tests.feeds.test_pickup import name, row


def period(first: int | None, end: int) -> Period:
    """Days of May, the last one not in it."""
    return Period(None if first is None else datetime(2026, 5, first, tzinfo=UTC), datetime(2026, 5, end, tzinfo=UTC))


def read(stores: Stores, files: FilesConnector, of: Period | None) -> Manifest:
    [stream] = files.streams()
    return run_extract(
        files,
        stream,
        operations=stores.operations,
        landing=stores.landing,
        pii=stores.pii,
        full=False,
        now=NOW,
        run_id="run",
        period=of,
    )


def counts(folder: Path, *sequences: int) -> FilesConnector:
    """The connector of a folder with one count file a day of May."""
    for number in sequences:
        drop(folder, name(number), row(f"C{number}", number))
    return connector(folder, "stock_counts", system_code="counts")


def receipts(stores: Stores) -> list[tuple[str, str, bool]]:
    return [
        (receipt.name, receipt.outcome, receipt.acknowledged_at is not None)
        for receipt in stores.operations.file_receipts("counts", "stock_counts")
    ]


def test_periods_read_each_file_once_and_together_all_of_them(tmp_path: Path) -> None:
    files = counts(tmp_path / "drops", *range(1, 9))
    whole = Stores.open(tmp_path / "whole")
    read(whole, files, None)
    stores = Stores.open(tmp_path / "parts")
    landed = [read(stores, files, of).landed_qty for of in (period(5, 7), period(None, 5), period(7, 9), period(1, 9))]
    assert landed == [2, 4, 2, 0]
    assert stores.loadable_rows("stock_count_line") == whole.loadable_rows("stock_count_line")
    assert receipts(stores) == [(name(number), "accepted", True) for number in range(1, 9)]
    assert read(stores, files, None).landed_qty == 0, "nothing is left for a reading of the whole stream"


def test_a_period_tells_the_gaps_beside_its_files_and_no_others(tmp_path: Path) -> None:
    files = counts(tmp_path / "drops", 1, 2, 4, 5, 6, 8, 9)
    stores = Stores.open(tmp_path)
    early, middle, late = (read(stores, files, of) for of in (period(None, 3), period(5, 6), period(8, 10)))
    assert (early.outcome, early.is_loadable) == ("incomplete", True)
    assert "INVCNT: 000003 never came" in (early.error or "")
    assert (middle.outcome, middle.error) == ("complete", None)
    assert "INVCNT: 000007 never came" in (late.error or "")
    assert stores.operations.cursor("counts", "stock_counts") is None


def test_files_are_not_read_by_period_and_whole_at_the_same_time(tmp_path: Path) -> None:
    files = counts(tmp_path / "drops", 1, 2)
    stores = Stores.open(tmp_path)
    with stores.landing.period_lock("counts", "stock_counts", "another", is_beside=False):
        assert "another process is reading this stream" in (read(stores, files, None).error or "")
        assert read(stores, files, period(None, 2)).outcome == "complete"
    with stores.landing.reading_lock("counts", "stock_counts"):
        assert "another process is reading this stream" in (read(stores, files, period(2, 3)).error or "")
    assert read(stores, files, None).landed_qty == 1


def test_snapshots_have_no_periods(tmp_path: Path) -> None:
    files = connector(tmp_path, "erp_stock", system_code="erp")
    [stream] = files.streams()
    assert stream.period_field is None
    with pytest.raises(PermanentError, match="only the newest counts"):
        files.read_period(stream, period(None, 3), seen=(), now=NOW)
