"""XML feeds: given a document, expect rows, refusals by the XSD with their line, and no entity ever read."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from lxml import etree

from resources.connectors.sdk.feed import FEEDS_DIR, PersonalColumn, load_feeds
from resources.connectors.sdk.pickup import identify
from resources.connectors.sdk.stream import RawRow
from resources.connectors.sdk.xml_files import read_xml
from tests.feeds.support import NOW, Read, connector, drop, read

NAME = "PRICAT_000001_20260518070000.xml"


def article(code: str, **changes: str) -> str:
    value = {
        "kind": "simple",
        "inside": "",
        "tva": "20.00",
        "libelle": f"Lampe {code}",
        "gtin": "3760000000017",
        **changes,
    }
    return (
        f'<article code="{code}" kind="{value["kind"]}" actif="true" suivi_stock="true"><sku>SKU-{code}</sku>'
        f"<gtin>{value['gtin']}</gtin><libelle>{value['libelle']}</libelle><marque/><famille>deco</famille>"
        f"<tva>{value['tva']}</tva><poids_g>100</poids_g><parent/><composants>{value['inside']}</composants>"
        "<modifie>2026-01-05T08:00:00Z</modifie></article>"
    )


def document(*articles: str, count: int | None = None, head: str = "") -> bytes:
    qty = len(articles) if count is None else count
    start = f'<?xml version="1.0" encoding="UTF-8"?>\n{head}<catalogue genere="2026-05-18T07:00:00Z" articles="{qty}">'
    return "\n".join([start, *articles, "</catalogue>", ""]).encode()


def catalogue(tmp_path: Path, data: bytes) -> Read:
    drop(tmp_path, NAME, data)
    return read(tmp_path, "erp_catalogue")


def test_articles_and_the_components_of_kits(tmp_path: Path) -> None:
    inside = '<composant article="A1" qte="2"/><composant article="A2" qte="1"/>'
    got = catalogue(tmp_path, document(article("A1"), article("K1", kind="kit", inside=inside)))
    assert got.rejects == []
    assert got.rows("product", "product_external_id", "kind", "tax_rate_bp", "brand", "source_position") == [
        ("A1", "simple", 2000, None, f"{NAME}:3"),
        ("K1", "kit", 2000, None, f"{NAME}:4"),
    ]
    assert got.rows("kit_component", "kit_external_id", "component_external_id", "component_qty") == [
        ("K1", "A1", 2),
        ("K1", "A2", 1),
    ]


def test_what_the_xsd_refuses_goes_to_quarantine_with_its_line_and_the_others_go_on(tmp_path: Path) -> None:
    bad = article("A2").replace("<libelle>Lampe A2</libelle>", "")
    strange = article("A3").replace("<famille>", "<couleur>rouge</couleur><famille>")
    got = catalogue(tmp_path, document(article("A1"), bad, strange, article("A4")))
    assert [(r.line, r.rule) for r in got.rejects] == [(4, "xsd"), (5, "xsd")]
    assert "libelle" in got.rejects[0].reason
    assert "couleur" in got.rejects[1].reason
    assert etree.canonicalize(got.rejects[0].raw) == etree.canonicalize(bad)
    assert got.rows("product", "product_external_id") == [("A1",), ("A4",)]


@pytest.mark.parametrize("inside", ["", "\n", "<!-- of\ntwo lines -->\n"])
def test_lines_are_told_right_in_documents_of_more_than_libxml_counts(tmp_path: Path, inside: str) -> None:
    good = article("A1").replace("<sku>", f"{inside}<sku>")
    long = good.replace("<sku>", "\n" * 66_000 + "<sku>")
    bad = good.replace("<libelle>Lampe A1</libelle>", "<libelle>\n</libelle><libelle/>")
    got = catalogue(tmp_path, document(article("A0"), long, good.replace("A1", "A2"), bad, article("A4")))
    lines = 66_000 + inside.count("\n")
    assert [row[1].rpartition(":")[2] for row in got.rows("product", "product_external_id", "source_position")] == [
        str(line) for line in (3, 4, 5 + lines, 7 + lines + 2 * inside.count("\n") + 1)
    ]
    assert [reject.line for reject in got.rejects] == [6 + lines + inside.count("\n")]


def test_the_xsd_of_a_personal_feed_quotes_no_value(tmp_path: Path) -> None:
    """Given a feed with an e-mail and a row whose flag holds one, expect the field and the rule, and no value."""
    feed = load_feeds(FEEDS_DIR)["erp_catalogue"]
    personal = feed.model_copy(update={"columns": {**feed.columns, "marque": PersonalColumn(type="email")}})
    strict = (
        (FEEDS_DIR / "erp_catalogue.xsd").read_text().replace('"actif" type="xs:string"', '"actif" type="xs:boolean"')
    )
    (tmp_path / "feeds").mkdir()
    (tmp_path / "feeds" / "erp_catalogue.xsd").write_text(strict)
    bad = article("A1").replace('actif="true"', 'actif="ann@example.org"')
    drop(tmp_path, NAME, document(bad, article("A2")))
    [quoted] = read(tmp_path, feed, feeds_dir=tmp_path / "feeds").rejects
    assert "ann@example.org" in quoted.reason
    [reject] = read(tmp_path, personal, feeds_dir=tmp_path / "feeds").rejects
    assert (reject.rule, reject.reason) == ("xsd", "article: cvc datatype valid 1 2 1")
    assert "ann@example.org" in reject.raw

    drop(tmp_path, NAME, document(article("A1")).replace(b'articles="1"', b'articles="bob@example.org"'))
    [end] = read(tmp_path, personal).ends
    assert end.outcome == "refused"
    assert "bob@" not in end.reason


def test_what_the_mapping_refuses_is_told_like_in_any_file(tmp_path: Path) -> None:
    got = catalogue(
        tmp_path,
        document(article("A1", tva="vingt"), article("A2", gtin="37612X4567890"), article("A3"), article("A3")),
    )
    assert [(r.line, r.field, r.rule) for r in got.rejects] == [
        (3, "tva", "bad_number"),
        (4, "gtin", "bad_gtin"),
        (6, "@code", "duplicate_key"),
    ]


EXTERNAL = '<!DOCTYPE catalogue [<!ENTITY secret SYSTEM "file://{path}">]>\n'
BOMB = (
    '<!DOCTYPE catalogue [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {this} "{f"&{before};" * 10}">' for before, this in zip("abcdefgh", "bcdefghi", strict=True))
    + "]>\n"
)


def test_an_external_entity_is_refused_and_its_file_never_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("do not read me")
    data = document(article("A1", libelle="&secret;"), head=EXTERNAL.format(path=secret))
    got = catalogue(tmp_path / "erp", data)
    assert got.outcomes() == [(NAME, "refused")]
    assert "document type" in got.ends[0].reason
    assert got.frames["product"].is_empty()


def test_an_entity_bomb_is_refused_before_it_grows(tmp_path: Path) -> None:
    got = catalogue(tmp_path, document(article("A1", libelle="&i;"), head=BOMB))
    assert got.outcomes() == [(NAME, "refused")]


@pytest.mark.parametrize("head", ["<!-- hello -->\n<?style?>\n", "\n\n  <!-- <!DOCTYPE x> -->"])
def test_comments_and_instructions_before_the_root_are_harmless(tmp_path: Path, head: str) -> None:
    got = catalogue(tmp_path, document(article("A1"), head=head))
    assert got.rows("product", "product_external_id") == [("A1",)]


def test_a_document_type_behind_a_long_comment_or_another_encoding_is_refused(tmp_path: Path) -> None:
    hidden = document(article("A1"), head=f"<!-- {'x' * 70_000} -->{BOMB}")
    assert catalogue(tmp_path / "a", hidden).outcomes() == [(NAME, "refused")]
    wide = document(article("A1"), head=BOMB).decode().replace("UTF-8", "UTF-16").encode("utf-16")
    assert catalogue(tmp_path / "b", wide).outcomes() == [(NAME, "refused")]


@pytest.mark.parametrize(
    "data",
    [
        document(article("A1"))[:-20],
        b"",
        document(article("A1")).replace(b"catalogue", b"catalog"),
        document(article("A1"), count=2),
        document(article("A1")).replace(b'articles="1"', b""),
    ],
)
def test_a_document_that_cannot_be_trusted_is_refused_whole(tmp_path: Path, data: bytes) -> None:
    got = catalogue(tmp_path, data)
    assert got.outcomes() == [(NAME, "refused")]
    assert got.frames["product"].is_empty()


def test_many_rows_in_pieces_of_any_size_are_the_same_rows(tmp_path: Path) -> None:
    feed = load_feeds()["erp_catalogue"]
    found = identify(NAME, feed)
    assert found is not None
    rows = [article(f"A{n}") if n % 97 else article(f"A{n}").replace("<sku>", "<x/><sku>") for n in range(1, 1500)]
    data = document(*rows)
    for size in (1, 450, 10_000):
        pieces = list(
            read_xml(io.BytesIO(data), feed, found[0], xsd=FEEDS_DIR / "erp_catalogue.xsd", rows_per_piece=size)
        )
        codes = [code for piece in pieces if piece.rows for code in piece.rows.root["@code"].to_list()]
        lines = [line for piece in pieces if piece.rows for line in piece.rows.root["_line"].to_list()]
        refused = [reject.line for piece in pieces for reject in piece.rejects]
        assert codes == [f"A{n}" for n in range(1, 1500) if n % 97]
        assert lines == [n + 2 for n in range(1, 1500) if n % 97]
        assert refused == [n + 2 for n in range(97, 1500, 97)]
        assert sum(piece.received_qty for piece in pieces) == 1499
        assert b"".join(piece.raw for piece in pieces) == data


def test_a_refused_article_is_read_again_from_quarantine(tmp_path: Path) -> None:
    got = catalogue(tmp_path, document(article("A1", tva="vingt")))
    [reject] = got.rejects
    erp = connector(tmp_path, "erp_catalogue")
    fixed = RawRow(reject.position, reject.raw.replace("vingt", "5.50"), reject.context)
    batch = erp.replay(erp.streams()[0], [fixed], now=NOW)
    assert batch.rejects == []
    assert batch.frames["product"].select("product_external_id", "tax_rate_bp", "source_position").rows() == [
        ("A1", 550, f"{NAME}:3")
    ]
