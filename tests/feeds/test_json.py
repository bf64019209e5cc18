"""JSON feeds: given lines or a document, expect rows, their lines, and refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.feeds.support import Read, drop, read

LINE = {
    "line": 1, "sku": "K1", "name": "Kit", "qty": 2, "unit_price": "12.00", "manual_discount": "1.00",
    "vat_rate": "20.00", "return_of": None,
}  # fmt: skip


def ticket(number: str, *lines: dict[str, Any], **changes: Any) -> bytes:
    row = {
        "ticket": number, "store": "S01", "channel": "stores-fr", "sold_at": "2026-05-01T10:00:00Z", "currency": "EUR",
        "lines": list(lines) or [LINE], "total": "22.00",
    }  # fmt: skip
    return json.dumps({**row, **changes}).encode()


def tickets(tmp_path: Path, *texts: bytes, end: bytes = b"\n", total: str | None = None) -> Read:
    marker = {"rows": len(texts)} | ({"totals": {"total": total}} if total else {})
    drop(tmp_path, "SLSRPT_S01_000001_20260501230000.jsonl", b"\n".join(texts) + end, marker=marker)
    return read(tmp_path, "pos_tickets")


def test_a_ticket_is_an_order_carried_out_with_lines_without_vat(tmp_path: Path) -> None:
    back = {**LINE, "line": 2, "qty": -1, "unit_price": "10.00", "manual_discount": "0.00", "return_of": "W12"}
    got = tickets(tmp_path, ticket("T1", LINE, back), total="22.00")
    assert got.rejects == []
    assert got.rows("order", "order_external_id", "location_code", "status", "fulfilment_method", "total_minor") == [
        ("T1", "S01", "delivered", "carry_out", 2200)
    ]
    columns = ("line_external_id", "quantity", "net_minor", "tax_minor", "return_reference", "source_position")
    assert got.rows("order_line", *columns) == [
        ("1", 2, 1833, 367, None, "SLSRPT_S01_000001_20260501230000.jsonl:1#1"),
        ("2", -1, -833, -167, "W12", "SLSRPT_S01_000001_20260501230000.jsonl:1#2"),
    ]


@pytest.mark.parametrize(
    ("bad", "rule", "words"),
    [
        (ticket("T2", total="1105.395"), "bad_number", "total is '1105.395'"),
        (ticket("T2", sold_at="2026-05-01 10:00"), "bad_date", "ISO 8601"),
        (ticket("T2", sold_at="2026-02-30T10:00:00Z"), "bad_date", "ISO 8601"),
        (b"{ticket: 2}", "bad_json", "malformed"),
        (ticket("T2", lines="none"), "bad_json", "lines is not a list of objects"),
        (ticket("T2", LINE).replace(b"Kit", b"K\xeet"), "wrong_encoding", "is not UTF-8"),
        (ticket("T1"), "duplicate_key", "ticket 'T1' came before"),
    ],
)
def test_a_bad_ticket_is_refused_whole_and_the_others_go_on(tmp_path: Path, bad: bytes, rule: str, words: str) -> None:
    data = b"\n".join([ticket("T1"), b"", bad, ticket("T3")]) + b"\n"
    drop(tmp_path, "SLSRPT_S01_000001_20260501230000.jsonl", data, marker={"rows": 3})
    got = read(tmp_path, "pos_tickets")
    assert got.refused() == [(3, None, rule)]
    assert words in got.rejects[0].reason
    assert got.rejects[0].raw == bad.decode("utf-8", "surrogateescape")
    assert got.rows("order", "order_external_id") == [("T1",), ("T3",)]
    assert got.rows("order_line", "order_external_id") == [("T1",), ("T3",)]


@pytest.mark.parametrize("blank", [b" ", b"\t\r"])
def test_two_tickets_on_a_line_are_refused_and_the_rows_after_them_keep_their_places(
    tmp_path: Path, blank: bytes
) -> None:
    # As many rows as lines, but not one on each.
    both, bad = ticket("T1") + ticket("T2"), ticket("T4", total="1105.395")
    data = b"\n".join([both, ticket("T3"), bad, blank, ticket("T5")]) + b"\n"
    drop(tmp_path, "SLSRPT_S01_000001_20260501230000.jsonl", data)
    got = read(tmp_path, "pos_tickets")
    assert got.rows("order", "order_external_id") == [("T3",), ("T5",)]
    assert got.refused() == [(1, None, "bad_json"), (3, None, "bad_number")]
    assert [reject.raw.encode() for reject in got.rejects] == [both, bad]


def test_a_bad_line_of_a_ticket_is_refused_alone(tmp_path: Path) -> None:
    got = tickets(tmp_path, ticket("T1", LINE, {**LINE, "line": 2, "qty": "two"}))
    assert [(r.line, r.field, r.rule, r.is_root, r.entity) for r in got.rejects] == [
        (1, "qty", "bad_number", False, "order_line")
    ]
    assert "lines 2, qty is 'two'" in got.rejects[0].reason
    assert got.rows("order", "order_external_id") == [("T1",)]
    assert got.rows("order_line", "line_external_id") == [("1",)]


def test_a_last_line_cut_short_is_refused(tmp_path: Path) -> None:
    got = tickets(tmp_path, ticket("T1"), ticket("T2")[:40], end=b"")
    assert got.refused() == [(2, None, "truncated_line")]
    assert got.rows("order", "order_external_id") == [("T1",)]


SCAN = '{"id":"%s","carrier":"dpd","tracking":"X","event":"delivered","at":"2026-02-02T08:00:00+01:00"}'


def scans(tmp_path: Path, text: str) -> Read:
    drop(tmp_path, "IFTSTA_000001_20260501230000.json", text.encode())
    return read(tmp_path, "carrier_scans")


def test_rows_of_a_document_have_the_line_they_start_at(tmp_path: Path) -> None:
    bad = SCAN.replace("+01:00", "") % "2"
    got = scans(tmp_path, f'{{"count": 3,\n "scans": [\n{SCAN % 1},\n{bad},\n\n{SCAN % 3}]}}')
    assert got.refused() == [(4, None, "bad_date")]
    assert [row[0].rpartition(":")[2] for row in got.rows("carrier_scan", "source_position")] == ["3", "6"]
    assert str(got.rows("carrier_scan", "scanned_at")[0][0]) == "2026-02-02 07:00:00+00:00"


def test_rows_that_share_a_line_are_numbered(tmp_path: Path) -> None:
    got = scans(tmp_path, f'{{"count":2,"scans":[{SCAN % 1},{SCAN % 2}]}}')
    assert [row[0].rpartition(":")[2] for row in got.rows("carrier_scan", "source_position")] == ["1", "2"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f'{{"count":1,"scans":[{SCAN % 1}', "not a readable JSON document"),
        ('{"count":0}', "the document has no scans"),
        (f'{{"count":2,"scans":[{SCAN % 1}]}}', "control count: the file announces 2 rows, the file holds 1"),
    ],
)
def test_a_document_that_cannot_be_trusted_is_refused_whole(tmp_path: Path, text: str, words: str) -> None:
    got = scans(tmp_path, text)
    assert got.outcomes() == [("IFTSTA_000001_20260501230000.json", "refused")]
    assert words in got.ends[0].reason
