"""CSV feeds: given a file, expect rows and refusals, each with its line, column and rule."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.connectors.sdk.csv_files import read_csv
from resources.connectors.sdk.feed import Feed, load_feed
from resources.connectors.sdk.text_rows import FileIdentity
from tests.feeds.support import NOW, Read, drop, read

HEAD = "tarif;article;prix;tva;ttc;debut;fin;devise"
GOOD = "WEB;A1;12,90;20,00;O;01/05/2026 00:00:00;;EUR"
COUNTS_HEAD = "count_id,location,sku,quantity,counted_at,reason"


def prices(tmp_path: Path, *lines: str | bytes, trailer: str | None = None, head: str = HEAD) -> Read:
    body = [line if isinstance(line, bytes) else line.encode("latin-1") for line in lines]
    last = trailer if trailer is not None else f"#TOTAL;{len(lines)};"
    drop(tmp_path, "PRICES_000001_20260518090000.csv", b"\n".join([head.encode(), *body, last.encode()]) + b"\n")
    return read(tmp_path, "erp_prices")


def counts(tmp_path: Path, data: bytes) -> Read:
    drop(tmp_path, "INVCNT_000001_20260518090000.csv", data)
    return read(tmp_path, "stock_counts")


def test_a_good_row_becomes_minor_units_basis_points_and_utc(tmp_path: Path) -> None:
    got = prices(tmp_path, GOOD)
    assert got.frames["price"].drop("observed_at").rows(named=True) == [
        {
            "source_position": "PRICES_000001_20260518090000.csv:2",
            "price_list_code": "WEB",
            "product_external_id": "A1",
            "currency_code": "EUR",
            "amount_minor": 1290,
            "is_vat_included": True,
            "tax_rate_bp": 2000,
            "valid_from_at": datetime(2026, 4, 30, 22, tzinfo=UTC),
            "valid_to_at": None,
        }
    ]
    assert got.frames["price"]["observed_at"].to_list() == [datetime(2026, 5, 18, 9, tzinfo=UTC)]
    assert got.rejects == []


@pytest.mark.parametrize(
    ("line", "column", "rule"),
    [
        ("WEB;A2;1105,395;20,00;O;01/05/2026 00:00:00;;EUR", 3, "bad_number"),
        ("WEB;A2;12.90;20,00;O;01/05/2026 00:00:00;;EUR", 3, "bad_number"),
        ("WEB;A2;1e3;20,00;O;01/05/2026 00:00:00;;EUR", 3, "bad_number"),
        ("WEB;A2;1 105,00;20,00;O;01/05/2026 00:00:00;;EUR", 3, "bad_number"),
        ("WEB;A2;;20,00;O;31/02/2026 00:00:00;;EUR", 6, "bad_date"),
        ("WEB;A2;12,90;20,00;O;2026-05-01;;EUR", 6, "bad_date"),
        # 29 March 2026: the clock goes from 2 to 3, this time never was.
        ("WEB;A2;12,90;20,00;O;29/03/2026 02:30:00;;EUR", 6, "bad_date"),
        ("WEB;A2;12,90;20,00;X;01/05/2026 00:00:00;;EUR", 5, "unknown_word"),
        ("WEB;A2;12,90;20,00;O;01/05/2026 00:00:00;", None, "wrong_width"),
        ("WEB;A2;12,90;20,00;O;01/05/2026 00:00:00;;EUR;more", None, "wrong_width"),
        ('WEB;A2;12,90;20,00;O;01/05/2026 00:00:00;;"EUR', None, "bad_quote"),
        ('WEB;A"2;12,90;20,00;O;01/05/2026 00:00:00;;EUR', None, "bad_quote"),
        ("WEB;Écru;12,90;20,00;O;01/05/2026 00:00:00;;EUR".encode(), 2, "wrong_encoding"),
        ("WEB;A1;13,90;20,00;O;01/05/2026 00:00:00;;EUR", 2 - 1, "duplicate_key"),
    ],
)
def test_a_bad_row_is_refused_and_the_others_go_on(
    tmp_path: Path, line: str | bytes, column: int | None, rule: str
) -> None:
    got = prices(tmp_path, GOOD, line, GOOD.replace("A1", "A3"))
    assert got.refused() == [(3, column, rule)]
    raw = line if isinstance(line, str) else line.decode("latin-1")
    assert got.rejects[0].raw == raw
    assert got.rejects[0].reason
    assert [row[0] for row in got.rows("price", "product_external_id")] == ["A1", "A3"]
    assert [row[0] for row in got.rows("price", "source_position")] == [
        "PRICES_000001_20260518090000.csv:2",
        "PRICES_000001_20260518090000.csv:4",
    ]


def test_latin_1_letters_are_read_as_they_are(tmp_path: Path) -> None:
    got = prices(tmp_path, GOOD.replace("A1", "Écru-ÄÖ"))
    assert got.rows("price", "product_external_id") == [("Écru-ÄÖ",)]


def test_the_hour_that_comes_twice_is_read_as_its_first_pass(tmp_path: Path) -> None:
    got = prices(tmp_path, GOOD.replace("01/05/2026 00:00:00", "26/10/2025 02:30:00"))
    assert got.rows("price", "valid_from_at") == [(datetime(2025, 10, 26, 0, 30, tzinfo=UTC),)]


def test_columns_may_come_in_another_order_and_unknown_ones_are_left_alone(tmp_path: Path) -> None:
    got = prices(
        tmp_path,
        "x;EUR;A1;WEB;12,90;20,00;N;01/05/2026 00:00:00;",
        head="note;devise;article;tarif;prix;tva;ttc;debut;fin",
    )
    assert got.rows("price", "price_list_code", "product_external_id", "currency_code") == [("WEB", "A1", "EUR")]


def test_two_bad_cells_are_one_refusal_that_tells_both(tmp_path: Path) -> None:
    got = prices(tmp_path, "WEB;A2;douze;20,00;O;hier;;EUR")
    assert got.refused() == [(2, 3, "bad_number")]
    assert "prix is 'douze'" in got.rejects[0].reason
    assert "debut is 'hier'" in got.rejects[0].reason


def test_the_first_good_row_of_a_key_is_kept_not_the_first_row(tmp_path: Path) -> None:
    got = prices(tmp_path, GOOD.replace("12,90", "douze"), GOOD, GOOD)
    assert got.refused() == [(2, 3, "bad_number"), (4, 1, "duplicate_key")]
    assert "the first row is kept" in got.rejects[1].reason


@pytest.mark.parametrize(
    ("trailer", "head", "words"),
    [
        ("#TOTAL;1;12,90", "tarif;article;prix;tva;ttc;debut;devise", "missing column fin"),
        ("#TOTAL;1;13,90", HEAD, "control total of prix: the file announces 13.90, the rows add up to 12.9"),
        ("#TOTAL;2;12,90", HEAD, "control count: the file announces 2 rows, the file holds 1"),
        (GOOD.replace("A1", "A2"), HEAD, "the last line is not the trailer #TOTAL"),
        ("#TOTAL;one;12,90", HEAD, "the trailer is not readable"),
    ],
)
def test_a_file_that_cannot_be_trusted_is_refused_whole(tmp_path: Path, trailer: str, head: str, words: str) -> None:
    got = prices(tmp_path, GOOD, trailer=trailer, head=head)
    assert got.outcomes() == [("PRICES_000001_20260518090000.csv", "refused")]
    assert words in got.ends[0].reason
    assert got.rows("price", "product_external_id") == []


def test_a_total_that_bad_cells_make_uncheckable_is_noted(tmp_path: Path) -> None:
    got = prices(tmp_path, GOOD, GOOD.replace("12,90", "douze"), trailer="#TOTAL;2;24,90")
    assert got.outcomes() == [("PRICES_000001_20260518090000.csv", "accepted")]
    assert "cannot be checked: 1 rows" in got.ends[0].reason


def test_quoted_line_breaks_count_as_lines(tmp_path: Path) -> None:
    data = (
        f"{COUNTS_HEAD}\r\n"
        'C1,S01,"AB\r\nC",1,2026-05-01T10:00:00Z,cycle\r\n'
        "\r\n"
        'C1,S01,"say ""hi"", you",2,2026-05-01T10:00:00Z,cycle\r\n'
        "C1,S01,X,many,2026-05-01T10:00:00Z,cycle\r\n"
    )
    got = counts(tmp_path, b"\xef\xbb\xbf" + data.encode())
    assert got.rows("stock_count_line", "source_position", "product_external_id") == [
        ("INVCNT_000001_20260518090000.csv:2", "AB\nC"),
        ("INVCNT_000001_20260518090000.csv:5", 'say "hi", you'),
    ]
    assert got.refused() == [(6, 4, "bad_number")]


def test_bytes_that_are_not_utf_8_are_refused_with_their_place(tmp_path: Path) -> None:
    data = (
        f"{COUNTS_HEAD}\nC1,S01,A,1,2026-05-01T10:00:00Z,cycle\n".encode()
        + b"C1,S01,\xe9cru,1,2026-05-01T10:00:00Z,cycle\n"
    )
    got = counts(tmp_path, data + b"C1,S01,B,1,2026-05-01T10:00:00Z,cycle\nC1,S01,C,1,,cycle\xff\n")
    assert got.refused() == [(3, 3, "wrong_encoding"), (5, 6, "wrong_encoding")]
    assert got.rejects[0].raw == "C1,S01,\udce9cru,1,2026-05-01T10:00:00Z,cycle"
    assert got.rows("stock_count_line", "product_external_id") == [("A",), ("B",)]
    assert got.ends[0].received_qty == 4


@pytest.mark.parametrize("last", ["C1,S01,B", "C1,S01,B,1,2026-05-01T10:00:00Z,cycle"])
def test_a_last_line_that_is_not_ended_was_cut_short(tmp_path: Path, last: str) -> None:
    got = counts(tmp_path, f"{COUNTS_HEAD}\nC1,S01,A,1,2026-05-01T10:00:00Z,cycle\n{last}".encode())
    assert got.refused() == [(3, None, "truncated_line")]
    assert got.rows("stock_count_line", "product_external_id") == [("A",)]


def test_an_empty_file_of_a_feed_without_trailer_is_a_file_without_rows(tmp_path: Path) -> None:
    got = counts(tmp_path, f"{COUNTS_HEAD}\n".encode())
    assert got.outcomes() == [("INVCNT_000001_20260518090000.csv", "accepted")]
    assert got.rejects == []


PLAIN = """
feed: plain
description: Three columns of text. One row per key.
prefix: PLAIN
extension: csv
format: {kind: csv, delimiter: ";", encoding: utf-8}
reading: incremental
key: [a]
columns: {a: {type: text}, b: {type: text}, c: {type: text}}
entities:
  order_acknowledgement:
    columns: {channel_code: a, order_number: b, acknowledged_at: null, is_accepted: null, refusal_reason: c}
"""
IDENTITY = FileIdentity("PLAIN_000001_20260518090000.csv", NOW)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Feed:
    path = tmp_path_factory.mktemp("feeds") / "plain.yml"
    path.write_text(PLAIN)
    return load_feed(path)


cells = st.text(st.sampled_from('aé";\n, '), max_size=5)


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(st.tuples(cells, cells, cells), max_size=12), piece_bytes=st.integers(8, 200))
def test_whatever_python_writes_is_read_the_same_in_pieces_of_any_size(
    plain: Feed, rows: list[tuple[str, str, str]], piece_bytes: int
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=";", lineterminator="\n")
    writer.writerow(["a", "b", "c"])
    writer.writerows(rows)
    data = text.getvalue().encode()
    expected_lines, line = [], 2
    for row in rows:
        expected_lines.append(line)
        line += sum(cell.count("\n") for cell in row) + 1
    found, lines, received, raw = [], [], 0, b""
    for piece in read_csv(io.BytesIO(data), plain, IDENTITY, piece_bytes=max(piece_bytes, 8)):
        assert not piece.rejects
        assert piece.rows is not None
        found += piece.rows.root.select("a", "b", "c").rows()
        lines += piece.rows.root["_line"].to_list()
        received += piece.received_qty
        raw += piece.raw
    # Cells are trimmed and an empty one is null.
    assert found == [tuple(cell.strip() or None for cell in row) for row in rows]
    assert lines == expected_lines
    assert received == len(rows)
    assert raw == data


messy = st.lists(
    st.sampled_from(["a;b;c", "a;b", "a;b;c;d", '"a;b;c', 'a"b;c;d', '"x\ny";b;c', "", "é;b;c", '"";;']), max_size=15
)


@settings(max_examples=150, deadline=None)
@given(lines=messy, piece_bytes=st.integers(8, 100))
def test_pieces_of_any_size_refuse_the_same_rows(plain: Feed, lines: list[str], piece_bytes: int) -> None:
    data = "\n".join(["a;b;c", *lines, ""]).encode()

    def outcome(size: int) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]], int]:
        pieces = list(read_csv(io.BytesIO(data), plain, IDENTITY, piece_bytes=size))
        rows = [row for piece in pieces if piece.rows is not None for row in piece.rows.root.rows()]
        rejects: list[tuple[Any, ...]] = sorted((r.line, r.rule, r.raw) for piece in pieces for r in piece.rejects)
        return rows, rejects, sum(piece.received_qty for piece in pieces)

    rows, rejects, received = outcome(1 << 20)
    assert received == len(rows) + len(rejects)
    assert outcome(piece_bytes) == (rows, rejects, received)
