"""Picking files up: whole, once, in sequence; each answered."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

from resources.connectors.sdk.pickup import write_acknowledgement
from resources.connectors.sdk.stream import FileOutcome, PartEnd, SeenFile
from tests.feeds.support import NOW, drop, read

HEAD = b"count_id,location,sku,quantity,counted_at,reason\n"


def row(count: str, quantity: int = 1) -> bytes:
    return HEAD + f"{count},S01,A,{quantity},2026-05-01T10:00:00Z,cycle\n".encode()


def name(sequence: int) -> str:
    return f"INVCNT_{sequence:06d}_202605{sequence:02d}090000.csv"


def seen(ends: list[PartEnd], *, ago_s: int = 0) -> list[SeenFile]:
    return [
        SeenFile(
            e.name, e.outcome, e.sha256, e.size_bytes, e.sequence_scope, e.sequence, NOW - timedelta(seconds=ago_s)
        )
        for e in ends
    ]


def test_a_file_without_its_marker_waits(tmp_path: Path) -> None:
    drop(tmp_path, name(1), row("C1"))
    (tmp_path / f"{name(1)}.done").unlink()
    got = read(tmp_path, "stock_counts")
    assert got.outcomes() == [(name(1), "waiting")]
    assert got.rows("stock_count_line", "count_external_id") == []
    (tmp_path / f"{name(1)}.done").write_text("")
    assert read(tmp_path, "stock_counts", seen=seen(got.ends)).outcomes() == [(name(1), "accepted")]


def test_by_stable_size_a_file_is_read_when_two_looks_apart_find_it_unchanged(tmp_path: Path) -> None:
    (tmp_path / name(1)).write_bytes(row("C1")[:-5])
    first = read(tmp_path, "stock_counts", pick_up="stable_size", stable_s=60)
    assert first.outcomes() == [(name(1), "waiting")]
    (tmp_path / name(1)).write_bytes(row("C1"))
    grown = read(tmp_path, "stock_counts", pick_up="stable_size", stable_s=60, seen=seen(first.ends, ago_s=61))
    assert grown.outcomes() == [(name(1), "waiting")]
    early = read(tmp_path, "stock_counts", pick_up="stable_size", stable_s=60, seen=seen(grown.ends, ago_s=59))
    assert early.outcomes() == []
    late = read(tmp_path, "stock_counts", pick_up="stable_size", stable_s=60, seen=seen(grown.ends, ago_s=60))
    assert late.outcomes() == [(name(1), "accepted")]


def test_a_file_is_never_read_twice_by_name_or_by_content(tmp_path: Path) -> None:
    drop(tmp_path, name(1), row("C1"))
    first = read(tmp_path, "stock_counts")
    drop(tmp_path, name(2), row("C1"))
    again = read(tmp_path, "stock_counts", seen=seen(first.ends))
    assert again.outcomes() == [(name(2), "duplicate")]
    assert name(1) in again.ends[0].reason
    assert again.rows("stock_count_line", "count_external_id") == []
    drop(tmp_path, name(1), row("C1", 12))
    changed = read(tmp_path, "stock_counts", seen=seen([*first.ends, *again.ends]))
    assert changed.outcomes() == []
    assert "changed after it was read" in changed.notes[0]


def test_the_same_content_twice_in_one_look_is_read_once(tmp_path: Path) -> None:
    drop(tmp_path, name(1), row("C1"))
    drop(tmp_path, name(2), row("C1"))
    assert read(tmp_path, "stock_counts").outcomes() == [(name(1), "accepted"), (name(2), "duplicate")]


def test_a_refused_file_is_read_again_only_when_it_is_another(tmp_path: Path) -> None:
    drop(tmp_path, name(1), row("C1"), marker={"rows": 5})
    first = read(tmp_path, "stock_counts")
    assert first.outcomes() == [(name(1), "refused")]
    assert read(tmp_path, "stock_counts", seen=seen(first.ends)).outcomes() == []
    drop(tmp_path, name(1), row("C1", 2), marker={"rows": 1})
    assert read(tmp_path, "stock_counts", seen=seen(first.ends)).outcomes() == [(name(1), "accepted")]


def test_a_checksum_that_differs_refuses_the_file_and_the_others_go_on(tmp_path: Path) -> None:
    drop(tmp_path, name(1), row("C1"), marker={"sha256": "0" * 64})
    drop(tmp_path, name(2), row("C2"))
    got = read(tmp_path, "stock_counts")
    assert got.outcomes() == [(name(1), "refused"), (name(2), "accepted")]
    assert "checksum" in next(end.reason for end in got.ends if end.outcome == "refused")
    assert got.rows("stock_count_line", "count_external_id") == [("C2",)]


def test_a_control_total_of_the_marker_that_does_not_hold_refuses_only_its_file(tmp_path: Path) -> None:
    drop(tmp_path, name(1), row("C1", 3), marker={"totals": {"quantity": "4"}})
    drop(tmp_path, name(2), row("C2", 5), marker={"totals": {"quantity": "5"}})
    got = read(tmp_path, "stock_counts")
    assert got.outcomes() == [(name(1), "refused"), (name(2), "accepted")]
    assert got.rows("stock_count_line", "count_external_id") == [("C2",)]


def test_a_gap_is_a_fault_of_an_incremental_feed_until_it_is_filled(tmp_path: Path) -> None:
    drop(tmp_path, name(1), row("C1"))
    drop(tmp_path, name(4), row("C4"))
    got = read(tmp_path, "stock_counts")
    assert got.outcomes() == [(name(1), "accepted"), (name(4), "accepted")]
    assert got.faults == ["sequence gap in INVCNT: 000002, 000003 never came (2 of 4)"]
    drop(tmp_path, name(2), row("C2"))
    drop(tmp_path, name(3), row("C3"))
    assert read(tmp_path, "stock_counts", seen=seen(got.ends)).faults == []


STOCK = "depot;article;stock;reserve_cde;reserve_autre;avarie;net;date_calcul;dernier_mvt\n"


def stock(sequence: int, article: str, total: int = 1) -> tuple[str, bytes]:
    line = f"WH1;{article};1;0;0;0;N;17/05/2026 22:00:00;\n"
    return f"INVRPT_{sequence:06d}_202605{sequence:02d}000000.csv", f"{STOCK}{line}#TOTAL;1;{total}\n".encode()


def test_of_full_snapshots_the_newest_is_read_and_a_gap_is_only_noted(tmp_path: Path) -> None:
    for sequence in (1, 2, 4):
        drop(tmp_path, *stock(sequence, f"A{sequence}"))
    got = read(tmp_path, "erp_stock")
    assert [outcome for _, outcome in got.outcomes()] == ["superseded", "superseded", "accepted"]
    assert got.rows("stock_level", "product_external_id") == [("A4",)]
    assert got.faults == []
    assert "000003" in got.notes[0]


def test_when_the_newest_snapshot_is_refused_the_one_before_it_is_read(tmp_path: Path) -> None:
    drop(tmp_path, *stock(1, "A1"))
    drop(tmp_path, *stock(2, "A2"))
    drop(tmp_path, *stock(3, "A3", total=9))
    got = read(tmp_path, "erp_stock")
    assert [outcome for _, outcome in got.outcomes()] == ["superseded", "accepted", "refused"]
    assert got.rows("stock_level", "product_external_id") == [("A2",)]


def test_a_late_older_snapshot_does_not_come_back(tmp_path: Path) -> None:
    drop(tmp_path, *stock(3, "A3"))
    first = read(tmp_path, "erp_stock")
    drop(tmp_path, *stock(2, "A2"))
    got = read(tmp_path, "erp_stock", seen=seen(first.ends))
    assert [outcome for _, outcome in got.outcomes()] == ["superseded"]


def test_a_strange_name_is_noted_and_left_alone(tmp_path: Path) -> None:
    drop(tmp_path, "INVCNT_1.csv", row("C1"))
    got = read(tmp_path, "stock_counts")
    assert got.outcomes() == []
    assert "INVCNT_1.csv is not named" in got.notes[0]


def test_an_acknowledgement_says_what_became_of_the_file(tmp_path: Path) -> None:
    outcome = FileOutcome(
        name=name(1), outcome="accepted", reason="", extract_id="e", sha256="f", announced_qty=2, received_qty=2,
        landed_qty=1, quarantined_qty=1, finished_at=NOW, rejects=[{"line": 3, "rule": "bad_number"}],
    )  # fmt: skip
    path = write_acknowledgement(tmp_path, outcome)
    assert path == tmp_path / "ack" / f"{name(1)}.ack.json"
    content = json.loads(path.read_text())
    assert content["outcome"] == "accepted"
    assert content["rows"] == {"announced": 2, "received": 2, "landed": 1, "quarantined": 1}
    assert content["rejects"] == [{"line": 3, "rule": "bad_number"}]
