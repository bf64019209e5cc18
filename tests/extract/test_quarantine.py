"""Quarantine: listed, shown, and replayed through the present mapping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from resources import quarantine
from resources.connectors.sdk.feed import WordsColumn, load_feeds
from resources.connectors.sdk.stream import Batch, Connector, RawRow, Stream
from resources.errors import PermanentError
from resources.operations import KEY_SEPARATOR, key_text
from tests.extract.fakes import NOW, ORDERS, Row, Source, Stores
from tests.feeds.support import connector, drop
from tests.feeds.test_pickup import HEAD, name

LATER = NOW + timedelta(hours=1)
MKP_HEAD = (
    "order_id,line_id,ordered_at,paid_at,status,sku,name,qty,cancelled_qty,cancel_reason,cancelled_at,unit_price,line_total,"
    "vat_rate,shipping,currency,country,email,fulfilled_by,ship_by\n"
)


def mkp_line(line: str, *, qty: str = "1", status: str = "payable") -> str:
    return (
        f"M1,{line},2026-02-02T08:00:00Z,2026-02-02T08:01:00Z,{status},S{line},Lampe,{qty},0,,,12.00,12.00,20.00,5.00,EUR,FR,"
        "ann@example.org,retailer,\n"
    )


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    return Stores.open(tmp_path / "data")


def test_a_row_is_replayed_when_the_mapping_learns_its_word(tmp_path: Path, stores: Stores) -> None:
    folder = tmp_path / "drops"
    lines = b"C1,S01,A,1,2026-05-01T10:00:00Z,theft\nC1,S01,B,x,2026-05-01T10:00:00Z,cycle\n"
    drop(folder, name(1), HEAD + lines)
    counts = connector(folder, "stock_counts", system_code="counts")
    stores.extract(counts, counts.streams()[0])
    pending = quarantine.list(stores.operations)
    assert [row.line for row in pending] == [2, 3]
    assert quarantine.show(stores.operations, stores.landing, pending[0].quarantine_id).raw == (
        "C1,S01,A,1,2026-05-01T10:00:00Z,theft"
    )

    feed = load_feeds()["stock_counts"]
    reason = WordsColumn(type="words", words={"cycle": "cycle", "annual": "annual", "theft": "suspicion"})
    learned = feed.model_copy(update={"columns": {**feed.columns, "reason": reason}})
    present: dict[str, Connector] = {"counts": connector(folder, learned, system_code="counts")}

    def replay_all() -> list[quarantine.ReplayOutcome]:
        return quarantine.replay(stores.operations, stores.landing, present, pii=stores.pii, now=LATER, run_id="replay")

    outcomes = replay_all()
    assert [outcome.outcome for outcome in outcomes] == ["replayed", "refused"]
    assert "quantity is 'x'" in outcomes[1].reason
    assert [row[2:] for row in stores.loadable_rows("stock_count_line")] == [
        ("S01", "A", 1, NOW.replace(day=1), "suspicion")
    ]
    [left] = quarantine.list(stores.operations)
    assert (left.line, left.attempts) == (3, 1)
    [done] = quarantine.list(stores.operations, status="replayed")
    assert (done.line, done.replay_extract_id) == (2, outcomes[0].extract_id)
    # Again: nothing is pending but the row that is still bad.
    assert len(replay_all()) == 1


def test_a_header_that_sums_its_lines_is_replayed_whole(tmp_path: Path, stores: Stores) -> None:
    folder = tmp_path / "drops"
    data = MKP_HEAD + mkp_line("1") + mkp_line("2", qty="two") + mkp_line("3")
    path = drop(folder, "MKPORD_000001_20260202100000.csv", data.encode())
    marketplace = connector(folder, "marketplace_orders", system_code="marketplace")
    stores.extract(marketplace, marketplace.streams()[0])
    [row] = quarantine.list(stores.operations)
    assert row.is_sealed
    assert row.raw != mkp_line("2", qty="two").encode()
    assert [r[1] for r in stores.loadable_rows("order")] == ["M1"]
    assert _total(stores) == 2 * 1200 + 500

    path.write_bytes(data.replace("two", "2").encode())
    outcomes = quarantine.replay(
        stores.operations, stores.landing, {"marketplace": marketplace}, pii=stores.pii, now=LATER, run_id="replay"
    )
    assert [outcome.outcome for outcome in outcomes] == ["replayed"]
    assert len(stores.loadable_rows("order_line")) == 3
    assert _total(stores) == 3 * 1200 + 500


def _total(stores: Stores) -> int:
    from resources.contracts.entity import entities
    from tests.extract.fakes import ENVELOPE

    names = [column for column in entities()["order"].polars_schema if column not in ENVELOPE]
    [row] = stores.loadable_rows("order")
    return int(str(row[names.index("total_minor")]))


class Teachable(Source):
    """A source that maps a row without a number once it is told the number."""

    learned: str | None = None

    def replay(self, stream: Stream, rows: Sequence[RawRow], *, now: datetime) -> Batch:  # noqa: ARG002
        batch = self._batch(0, [Row(self.learned, NOW) for _ in rows])
        positions = pl.Series("source_position", [row.position for row in rows], dtype=pl.String)
        return replace(batch, frames={name: frame.with_columns(positions) for name, frame in batch.frames.items()})


def test_a_replayed_row_does_not_undo_what_was_read_since(stores: Stores) -> None:
    """Given a refused row and a later reading of the same key, expect the later state to stay after a replay."""
    source = Teachable([Row(None, NOW), Row("2", NOW)])
    first = stores.extract(source, ORDERS)
    source.rows = [Row("1", LATER, channel="web")]
    stores.extract(source, ORDERS, now=LATER)
    source.learned = "1"
    [outcome] = quarantine.replay(
        stores.operations,
        stores.landing,
        {"src": source},
        pii=None,
        now=LATER + timedelta(hours=1),
        run_id="replay",
    )
    assert outcome.outcome == "replayed"
    replayed = stores.operations.manifest(outcome.extract_id or "")
    assert replayed is not None
    assert (replayed.kind, replayed.watermark_at) == ("replay", first.watermark_at)
    acknowledged = {row[2]: row[3] for row in stores.loadable_rows("order_acknowledgement")}
    assert acknowledged == {"1": LATER, "2": NOW}


def test_rows_at_one_position_of_two_readings_are_both_replayed(stores: Stores) -> None:
    """Given two readings that each refused their first row, expect each replayed as of its own reading."""
    source = Teachable([Row(None, NOW)])
    for now in (NOW, LATER):
        stores.extract(source, ORDERS, now=now)
    source.rows, source.learned = [], "7"
    outcomes = quarantine.replay(
        stores.operations, stores.landing, {"src": source}, pii=None, now=LATER + timedelta(hours=1), run_id="replay"
    )
    assert [outcome.outcome for outcome in outcomes] == ["replayed", "replayed"]
    manifests = [stores.operations.manifest(outcome.extract_id or "") for outcome in outcomes]
    assert [manifest and manifest.watermark_at for manifest in manifests] == [NOW, LATER]


def test_a_refusal_of_a_personal_row_shows_no_value_until_it_is_opened(tmp_path: Path, stores: Stores) -> None:
    """Given a row whose e-mail slipped into the column of the quantity, expect it nowhere but under the seal."""
    folder = tmp_path / "drops"
    name_ = "MKPORD_000001_20260202100000.csv"
    drop(folder, name_, (MKP_HEAD + mkp_line("1", qty="slipped@example.org")).encode())
    marketplace = connector(folder, "marketplace_orders", system_code="marketplace")
    stores.extract(marketplace, marketplace.streams()[0])
    [row] = quarantine.list(stores.operations)
    assert (row.field, row.rule) == ("qty", "bad_number")
    assert row.reason.startswith("qty: bad_number")
    assert row.context.startswith("sealed:")
    shown = quarantine.show(stores.operations, stores.landing, row.quarantine_id)
    assert "slipped@example.org" in shown.raw
    assert shown.context == MKP_HEAD.strip()
    assert "slipped" not in (folder / "ack" / f"{name_}.ack.json").read_text()


def test_a_full_reading_tells_which_keys_it_refused(tmp_path: Path, stores: Stores) -> None:
    """Given a full snapshot with bad cells, expect the keys of those rows; a row of too few columns has none that is known."""
    folder = tmp_path / "drops"
    head = "depot;article;stock;reserve_cde;reserve_autre;avarie;net;date_calcul;dernier_mvt"
    good = "S01;A;1;0;0;0;N;18/05/2026 06:00:00;18/05/2026 06:00:00"
    bad = good.replace(";A;1;", ";B;many;")
    erp = connector(folder, load_feeds()["erp_stock"].model_copy(update={"control": None}), system_code="erp")
    [stream] = erp.streams()
    for number, (lines, expected) in enumerate(
        (([good, bad], (0, ["S01;B"])), ([good, bad, "S01;C"], (1, ["S01;B"]))), 1
    ):
        stem = f"INVRPT_{number:06}_2026051807000{number}.csv"
        trailer = f"#TOTAL;{len(lines)}"
        drop(folder, stem, "\n".join([head, *lines, trailer, ""]).encode("latin-1"))
        manifest = stores.extract(erp, stream, now=NOW + timedelta(hours=number))
        assert (manifest.outcome, manifest.is_full, manifest.quarantined_qty) == ("complete", True, len(lines) - 1)
        waiting = stores.operations.loadable_extracts("stock_level")[-1]
        assert (waiting.unreadable_qty, [key.replace(KEY_SEPARATOR, ";") for key in waiting.refused_keys]) == expected


def test_a_refusal_by_contract_tells_its_key_when_it_has_one(stores: Stores) -> None:
    full = replace(ORDERS, change_tracking="full_snapshot")
    stores.extract(Source([Row("1", NOW), Row("", NOW), Row(None, NOW)], stream=full), full, full=True)
    [waiting] = stores.operations.loadable_extracts("order_acknowledgement")
    assert (waiting.unreadable_qty, waiting.refused_keys) == (1, (key_text(("web", "")),))


def test_what_cannot_be_replayed_says_so(stores: Stores) -> None:
    stores.extract(Source([Row(None, NOW)]), ORDERS)
    [outcome] = quarantine.replay(stores.operations, stores.landing, {}, pii=None, now=LATER, run_id="replay")
    assert outcome.outcome == "not_replayable"
    assert "not in retailer.yaml any more" in outcome.reason
    with pytest.raises(PermanentError, match="no row 99 in quarantine"):
        quarantine.show(stores.operations, stores.landing, 99)
