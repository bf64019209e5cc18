"""What reads fast reads the same: each short cut of the readers beside the long way it spares, on whatever may come."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resources.connectors.sdk.csv_files import read_csv
from resources.connectors.sdk.feed import FEEDS_DIR, AmountColumn, Feed, load_feeds
from resources.connectors.sdk.json_cells import JsonRows
from resources.connectors.sdk.json_files import read_jsonl
from resources.connectors.sdk.mapping import Mapper
from resources.connectors.sdk.repeated import per_distinct
from resources.connectors.sdk.seen_keys import SeenKeys, repeats
from resources.connectors.sdk.text_rows import FileIdentity, Piece
from resources.connectors.sdk.vocabulary import Vocabulary
from resources.connectors.sdk.xml_cells import CellReader
from resources.connectors.sdk.xml_files import read_xml

AT = FileIdentity("file", datetime(2026, 5, 18, 7, tzinfo=UTC))
MANY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
TEXTS = st.sampled_from(["", " ", "A1", "A1 ", "été", "20.00", "<", "&", "a\nb", "\u00a0x", "\ufdd0", "\ufdd1", "]]>"])


def told(pieces: list[Piece]) -> list[Any]:
    """Everything that a reader gives: cells, places, nested items, refusals, raw text of each row."""
    return [
        (
            piece.received_qty,
            piece.announced,
            list(piece.rejects),
            piece.rows.root.rows(named=True),
            {name: items.rows(named=True) for name, items in piece.rows.children.items()},
            [piece.rows.raw_of(row) for row in range(piece.rows.root.height)],
        )
        for piece in pieces
        if piece.rows is not None
    ]


def feed(name: str) -> Feed:
    return load_feeds(FEEDS_DIR)[name]


# -- XML ---------------------------------------------------------------------------------------------------------------


@st.composite
def element(draw: st.DrawFn, tag: str) -> str:
    """A child with text in whatever way XML has to say it."""
    text = draw(TEXTS)
    ways = {
        "plain": escaped(text),
        "cdata": f"<![CDATA[{text.replace(']]>', '')}]]>",
        "comment first": f"<!-- note -->{escaped(text)}",
        "comment after": f"{escaped(text)}<!-- note -->more",
        "reference": "&#233;" + escaped(text),
    }
    return f"<{tag}>{ways[draw(st.sampled_from(sorted(ways)))]}</{tag}>"


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@st.composite
def catalogues(draw: st.DrawFn) -> bytes:
    """Catalogues whose articles have some of their children, in any order, some of which the XSD refuses."""
    articles = []
    for number in range(draw(st.integers(0, 8))):
        names = draw(st.lists(st.sampled_from(["sku", "libelle", "marque", "tva", "poids_g"]), unique=True))
        children = [draw(element(name)) for name in names]
        items = draw(st.lists(TEXTS, max_size=3))
        inside = "".join(f'<composant article="{escaped(text)}" qte="2"/>' for text in items)
        children += [f"<composants>{inside}</composants>"] if draw(st.booleans()) else []
        kind = "" if draw(st.integers(0, 5)) == 0 else ' kind="kit"'
        articles.append(f'<article code="A{number}"{kind} actif="O" suivi_stock="O">{"".join(children)}</article>')
    between = draw(st.sampled_from(["", "\n", "<!-- a list -->"]))
    return f'<catalogue genere="2026-05-18T07:00:00Z" articles="1">{between.join(articles)}</catalogue>'.encode()


@MANY
@given(catalogues(), st.integers(1, 4))
def test_the_transform_takes_the_cells_that_a_walk_finds(data: bytes, rows_per_piece: int) -> None:
    declared = feed("erp_catalogue")
    xsd = FEEDS_DIR / "erp_catalogue.xsd"

    def pieces() -> list[Any]:
        return told(list(read_xml(io.BytesIO(data), declared, AT, xsd=xsd, rows_per_piece=rows_per_piece)))

    by_transform = pieces()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("resources.connectors.sdk.xml_cells._transform", lambda *_: None)
        assert CellReader(declared)._transform is None
        assert by_transform == pieces()


# -- JSON Lines --------------------------------------------------------------------------------------------------------

VALUES = st.one_of(
    TEXTS, st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False), st.lists(st.integers())
)
NAMES = st.sampled_from(["ticket", "store", "total", "unknown"])
ITEMS = st.dictionaries(st.sampled_from(["line", "sku", "qty"]), VALUES)
OBJECTS = st.builds(
    lambda row, lines: {**row, **lines},
    st.dictionaries(NAMES, VALUES),
    st.one_of(
        st.just({}),
        st.builds(lambda items: {"lines": items}, st.lists(ITEMS, max_size=3)),
        st.builds(lambda other: {"lines": other}, VALUES),
    ),
)
LINES = st.one_of(
    OBJECTS.map(lambda row: json.dumps(row, ensure_ascii=False).encode()),
    st.sampled_from([b"", b"  ", b"[]", b"1", b"{", b'{"ticket": "\xe9"}', b'{"unknown": "\xe9"}', b"{}\r"]),
    st.sampled_from([b"{}{}", b'{"ticket":', b'"A"}', b"\r"]),
)
# what machines write: every line alike, and now and then one that is not
ALIKE = st.builds(
    lambda row, items: json.dumps({**row, "lines": items}, ensure_ascii=False).encode(),
    st.fixed_dictionaries({"ticket": TEXTS, "total": st.none() | TEXTS}, optional={"unknown": VALUES}),
    st.lists(st.fixed_dictionaries({"line": st.integers(-(2**63), 2**63 - 1), "sku": TEXTS | st.none()}), max_size=3),
)
ODD = st.sampled_from([
    b'{"lines": [], "unknown": NaN}', b'{"lines": [null]}', b'{"lines": null}', b'{"lines": [{"line": 9223372036854775808}]}',
    b'{"lines": [{"line": 1.0}]}', b'{"lines": [], "ticket": 5}', b'{"lines": [], "ticket": "a", "ticket": "b"}', b"null",
    b'{"lines": [], "ticket": "\\ud800"}', b'{"lines": [], "ticket": {}}', b'{"lines": [{"sku": ["A"]}]}', b'{"lines": [1]}',
])  # fmt: skip


@MANY
@given(
    st.lists(LINES, max_size=8) | st.lists(ALIKE, max_size=8) | st.lists(ALIKE | ODD, max_size=8),
    st.sampled_from([b"", b"\n"]),
    st.integers(20, 400),
)
def test_lines_decoded_at_once_are_the_lines_decoded_one_by_one(
    lines: list[bytes], end: bytes, piece_bytes: int
) -> None:
    data = b"\n".join(lines) + end

    def pieces() -> list[Any]:
        return told(list(read_jsonl(io.BytesIO(data), feed("pos_tickets"), AT, piece_bytes=piece_bytes)))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("resources.connectors.sdk.json_cells._COLUMNS_FROM_BYTES", 0)
        to_columns = pieces()
        patched.setattr(JsonRows, "_to_columns", lambda *_: None)
        to_structs = pieces()
        patched.setattr(JsonRows, "decode_lines", lambda *_: None)
        assert to_columns == to_structs == pieces()


# -- types -------------------------------------------------------------------------------------------------------------

CELLS = st.sampled_from([
    None, "12,90", "12,9", "12", "-0,05", "1105,395", "1e3", "+1,00", ",50", "12.90", "9999999999999,99", "99999999999999,99",
    "20,00", "O", "N", "o", "01/02/2026 00:00:00", "31/02/2026 00:00:00", "29/03/2026 02:30:00", "25/10/2026 02:30:00", "",
])  # fmt: skip


@MANY
@given(st.lists(CELLS, min_size=1, max_size=12), st.integers(0, 2))
def test_a_column_that_repeats_itself_is_read_like_any_other(cells: list[str | None], turn: int) -> None:
    declared = feed("erp_prices")
    mapper = Mapper(declared, time_zone="Europe/Paris", tokeniser=None)
    name, column = [(n, c) for n, c in declared.columns.items() if n in {"prix", "ttc", "debut"}][turn]
    repeated = pl.Series(name, (cells * 3_000)[:3_000], dtype=pl.String)
    cast = pl.Series(name, cells, dtype=pl.String).to_frame().select(mapper._cast(name, column)).to_series()
    converted = per_distinct(repeated, lambda texts: mapper._converted(column, texts))
    assert converted.to_list() == (cast.to_list() * 3_000)[:3_000]


@MANY
@given(st.lists(st.one_of(CELLS, st.from_regex(r"-?\d{1,14}(,\d{0,3})?", fullmatch=True)), max_size=20))
def test_amounts_without_their_mark_are_the_amounts(cells: list[str | None]) -> None:
    column = AmountColumn(type="money")
    mapper = Mapper(feed("erp_prices"), time_zone="Europe/Paris", tokeniser=None)
    texts = pl.Series("prix", cells, dtype=pl.String)
    exact = texts.to_frame().select(mapper._cast("prix", column)).to_series()
    assert mapper._amounts(column, texts).to_list() == exact.to_list()


# -- keys --------------------------------------------------------------------------------------------------------------

PIECES = st.lists(st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["a", "b", None])), min_size=1), max_size=6)


@MANY
@given(PIECES, st.booleans(), st.integers(0, 40))
def test_keys_that_came_before_are_found_in_any_order(
    pieces: list[list[tuple[int, str | None]]], is_ordered: bool, expected_qty: int
) -> None:
    if is_ordered:
        numbers = iter(range(1_000))
        pieces = [[(next(numbers), text) for _, text in piece] for piece in pieces] + pieces[:1]
    memory = SeenKeys(expected_qty)
    known: set[Any] = set()
    for piece in pieces:
        keys = pl.DataFrame(piece, schema={"number": pl.Int64, "text": pl.String}, orient="row")
        later = memory.repeats(keys)
        alone = repeats(keys)
        expected, expected_alone = [], []
        here: set[Any] = set()
        for key in piece:
            expected.append(key in known)
            expected_alone.append(key in here)
            known.add(key)
            here.add(key)
        assert ([False] * len(piece) if later is None else later.to_list()) == expected
        assert ([False] * len(piece) if alone is None else alone.to_list()) == expected_alone


def test_a_table_of_keys_grows_and_forgets_none() -> None:
    memory = SeenKeys(10)
    hashes = pl.int_range(0, 60_000, eager=True).hash(seed=1)
    assert not memory.seen_before(hashes.head(30_000)).any()
    assert memory.seen_before(hashes).to_list() == [True] * 30_000 + [False] * 30_000


def test_a_document_of_many_lots_keeps_every_row_and_refuses_each_bad_one(tmp_path: Path) -> None:
    bad = {7, 250, 251, 999}
    kinds = ["" if number in bad else ' kind="simple"' for number in range(1_000)]
    rows = "".join(
        f'<article code="A{number}"{kind} actif="O" suivi_stock="O"><libelle>L{number}</libelle></article>\n'
        for number, kind in enumerate(kinds)
    )
    path = tmp_path / "many.xml"
    path.write_text(f'<catalogue genere="2026-05-18T07:00:00Z" articles="1000">\n{rows}</catalogue>\n')
    with path.open("rb") as file:
        xsd = FEEDS_DIR / "erp_catalogue.xsd"
        pieces = list(read_xml(file, feed("erp_catalogue"), AT, xsd=xsd, rows_per_piece=300))
    assert sorted(reject.line or 0 for piece in pieces for reject in piece.rejects) == sorted(n + 2 for n in bad)
    codes = [code for piece in pieces if piece.rows is not None for code in piece.rows.root["@code"].to_list()]
    assert codes == [f"A{n}" for n in range(1_000) if n not in bad]
    for piece in pieces:
        assert piece.rows is not None
        for row, code in enumerate(piece.rows.root["@code"].to_list()):
            assert f'code="{code}"' in piece.rows.raw_of(row)[0]


# -- CSV ---------------------------------------------------------------------------------------------------------------

PRICES = st.sampled_from(
    ["12,90", "0,05", "99999,99", "100000,00", "-1,00", "1105,395", "12,9O", "12", "1e3", " 3,00", "", "7,00"]
)
DAYS = st.sampled_from(
    ["01/02/2026 00:00:00", "31/02/2026 00:00:00", "29/03/2026 02:30:00", " 25/10/2026 02:30:00", "", "été"]
)
NAMES_OF = st.sampled_from(
    ["A1", "ART-00000012", "ART-000000123", "É", " b", "b ", "\u00a0", "", "Ã©", "a\x0bb", "\x0ba", "x" * 40]
)
CSV_LINES = st.one_of(
    st.builds(
        lambda *cells: ";".join(cells).encode("latin-1"),
        NAMES_OF, NAMES_OF, PRICES, st.sampled_from(["20,00", "5,5", ""]), st.sampled_from(["O", "N", "o"]), DAYS, DAYS,
        st.sampled_from(["EUR", "EUR ", "€".encode("latin-1", "replace").decode()]),
    ),
    st.sampled_from([b"", b"WEB;A", b";;;;;;;", b"WEB;A\x00;1,00;20,00;O;;;EUR", b'"WEB";A;1,00;20,00;O;;;EUR', b"W;A;1,00;20,00;O;;;E\r"]),
)  # fmt: skip


@MANY
@given(st.lists(CSV_LINES, max_size=12), st.sampled_from(["latin-1", "utf-8"]), st.integers(20, 400), st.booleans())
def test_columns_typed_from_bytes_are_the_columns_typed_from_text(
    lines: list[bytes], encoding: str, piece_bytes: int, repeats: bool
) -> None:
    declared = feed("erp_prices")
    declared = declared.model_copy(
        update={"format": declared.format.model_copy(update={"trailer": None, "encoding": encoding})}
    )
    mapper = Mapper(declared, time_zone="Europe/Paris", tokeniser=None)
    header = b"tarif;article;prix;tva;ttc;debut;fin;devise"
    data = b"\n".join([header, *lines]) + b"\n"

    def mapped(convert: Any) -> list[Any]:
        pieces = read_csv(io.BytesIO(data), declared, AT, convert=convert, piece_bytes=piece_bytes)
        found = []
        for piece in pieces:
            assert piece.rows is not None
            rows = mapper.map(piece.rows, memory=SeenKeys(10))
            raw = [piece.rows.raw_of(row) for row in range(piece.rows.root.height)]
            found.append(
                (
                    piece.raw,
                    piece.received_qty,
                    list(piece.rejects),
                    rows.frames["price"].rows(),
                    rows.rejects,
                    rows.tallies,
                    raw,
                )
            )
        return found

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("resources.connectors.sdk.csv_cells.repeats_itself", lambda _: repeats)
        assert mapped(mapper.converted) == mapped(None)


@MANY
@given(st.lists(st.integers(0, 40_000), min_size=1, max_size=3_000), st.integers(1, 4))
def test_each_distinct_cell_has_a_code_of_its_own(numbers: list[int], words_qty: int) -> None:
    cells = [f"{number:0{words_qty * 8}d}".encode() for number in numbers]
    raw = np.frombuffer(b"".join(cells), np.uint64).reshape(-1, words_qty)
    words = tuple(np.ascontiguousarray(raw[:, place]) for place in range(words_qty))
    seen: list[str] = []

    def convert(texts: pl.Series) -> pl.Series:
        seen.extend(texts.to_list())
        return texts.cast(pl.Int64)

    vocabulary = Vocabulary(words_qty, "utf-8", convert)
    for _ in range(2):
        codes = vocabulary.codes(words)
        assert codes is not None
        assert vocabulary.values(codes).to_list() == numbers
    assert len(seen) == len(set(numbers))
