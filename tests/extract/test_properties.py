"""Reloading, order and size of batches change nothing; counts always add up."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from resources import collecting
from tests.extract.fakes import NOW, ORDERS, Row, Source, Stores

rows = st.lists(
    st.builds(
        Row,
        number=st.sampled_from([None, "", *"abcdefgh"]),
        at=st.sampled_from([NOW - timedelta(hours=1)]),
        channel=st.sampled_from(["web", "shop"]),
    ),
    max_size=8,
    unique_by=lambda row: (row.number, row.channel) if row.number else id(row),
)


def outcome(source_rows: list[Row], batch_rows: int, min_rows: int, times: int = 1) -> tuple[object, object]:
    with tempfile.TemporaryDirectory() as folder:
        stores = Stores.open(Path(folder))
        before, collecting.MIN_ROWS = collecting.MIN_ROWS, min_rows
        try:
            for number in range(times):
                manifest = stores.extract(
                    Source(source_rows, batch_rows), ORDERS, full=True, now=NOW + timedelta(hours=number)
                )
                assert manifest.outcome == "complete"
                assert manifest.announced_qty == manifest.landed_qty + manifest.quarantined_qty
                roots = [row for row in stores.operations.quarantined(extract_id=manifest.extract_id) if row.is_root]
                assert len(roots) == manifest.quarantined_qty
        finally:
            collecting.MIN_ROWS = before
        refused = sorted(row.rule for row in stores.operations.quarantined(status="pending"))
        landed = stores.loadable_rows("order_acknowledgement")
        stores.operations.close()
    return landed, refused


@settings(max_examples=15, deadline=None)
@given(rows, st.integers(1, 8), st.sampled_from([1, 3, 20_000]), st.randoms(use_true_random=False))
def test_batches_order_and_reloading_change_nothing(
    found: list[Row], batch_rows: int, min_rows: int, random: object
) -> None:
    expected = outcome(found, 100, 20_000)
    assert outcome(found, batch_rows, min_rows) == expected
    shuffled = list(found)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert outcome(shuffled, batch_rows, min_rows, times=2) == expected
