"""The XML of an order: given rows, expect the document; given a bad row, expect the reason and no document."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from resources.errors import ConfigurationError, RowRejected
from resources.orders_out.declaration import load_message
from resources.orders_out.document import DocumentMaker, OrderRows
from resources.retailer.loading import declared_messages
from tests.orders_out.given import MESSAGE, NOW, line, order

MAKER = DocumentMaker(MESSAGE)
PERSONAL = ("email", "phone", "customer", "first_name", "last_name", "street", "token")

WHOLE = """<?xml version='1.0' encoding='UTF-8'?>
<commandes version="1" sequence="7" genere="2026-05-18T10:00:00Z" nombre="1">
  <commande canal="web-fr" numero="ABC">
    <passee_le>2026-05-18T09:00:00Z</passee_le>
    <payable_le>2026-05-18T09:10:00Z</payable_le>
    <mode>retrait</mode>
    <depot>S01</depot>
    <pays>FR</pays>
    <devise>EUR</devise>
    <port>4.90</port>
    <frais>-1.50</frais>
    <remise>0.00</remise>
    <total>27.40</total>
    <lignes>
      <ligne id="L-ABC-1">
        <sku>ML-0000001</sku>
        <libelle>Tasse &amp; soucoupe &lt;grès&gt;</libelle>
        <quantite>2</quantite>
        <ht>20.00</ht>
        <tva>4.00</tva>
      </ligne>
    </lignes>
  </commande>
</commandes>
"""


def test_a_document_is_this() -> None:
    header = order("ABC", fulfilment_method="pickup", location_code="S01", fee_minor=-150, total_minor=2740)
    rows = [line("ABC", name="Tasse & soucoupe <grès>", quantity=2, net_minor=2000, tax_minor=400)]
    element = MAKER.order(OrderRows(header, rows))
    assert MAKER.file([element], sequence=7, at=NOW).decode() == WHOLE


@pytest.mark.parametrize(
    ("header", "lines", "told"),
    [
        ({"total_minor": -1}, None, "total"),
        ({"country_code": None}, None, "pays"),
        ({"country_code": "FRA"}, None, "FRA"),
        ({"currency_code": "€"}, None, "devise"),
        ({"location_code": None}, None, "depot"),
        ({"payable_at": None}, None, "payable_le"),
        ({"fulfilment_method": "carry_out"}, None, "'carry_out' is none of ship, pickup"),
        ({"order_number": " "}, None, "numero"),
        ({"order_number": "A" * 65}, None, "numero"),
        ({"shipping_minor": None}, None, "port"),
        ({}, [], "lignes"),
        ({}, [{"quantity": 0}], "quantite"),
        ({}, [{"quantity": -1}], "quantite"),
        ({}, [{"sku": None}], "sku"),
        ({}, [{"sku": ""}], "sku"),
        ({}, [{"net_minor": None}], "ht"),
        ({}, [{"name": "cloche \x07"}], "characters that XML cannot"),
        ({}, [{}, {}], "L-ABC-1"),
    ],
)
def test_a_bad_order_says_why(header: dict[str, Any], lines: list[dict[str, Any]] | None, told: str) -> None:
    rows = [line("ABC")] if lines is None else [line("ABC", **values) for values in lines]
    with pytest.raises(RowRejected, match=r".") as refused:
        MAKER.order(OrderRows(order("ABC", **header), rows))
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("currency", "total", "text"),
    [
        ("EUR", 2490, "24.90"),
        ("EUR", 5, "0.05"),
        ("EUR", 123456789, "1234567.89"),
        ("JPY", 2490, "2490.00"),
        ("JPY", 0, "0.00"),
    ],
)
def test_amounts_are_exact_in_every_currency(currency: str, total: int, text: str) -> None:
    header = order("ABC", currency_code=currency, shipping_minor=0, fee_minor=0, discount_minor=0, total_minor=total)
    element = MAKER.order(OrderRows(header, [line("ABC", net_minor=total, tax_minor=0)]))
    assert (element.findtext("total"), element.findtext("lignes/ligne/ht")) == (text, text)


def test_an_amount_that_the_message_cannot_hold_is_told() -> None:
    header = order("ABC", currency_code="KWD", shipping_minor=0, fee_minor=0, discount_minor=0, total_minor=2490)
    with pytest.raises(RowRejected, match="commande"):
        MAKER.order(OrderRows(header, [line("ABC", net_minor=2490, tax_minor=0)]))


def test_no_person_is_in_the_message() -> None:
    columns = MESSAGE.header_columns | MESSAGE.line_columns
    assert not [name for name in columns for word in PERSONAL if word in name]
    schema = etree.parse(str(MESSAGE.xsd_path))
    names = {str(name) for name in schema.getroot().xpath("//@name")}
    assert not names & {"client", "nom", "prenom", "email", "courriel", "telephone", "adresse", "rue"}


def test_retailer_yaml_knows_the_declared_messages() -> None:
    assert declared_messages() == {"erp_orders"}


def test_a_declaration_that_is_wrong_is_told(tmp_path: Path) -> None:
    text = (MESSAGE.folder / "erp_orders.yml").read_text(encoding="utf-8")
    path = tmp_path / "erp_orders.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"erp_orders\.xsd is not there"):
        load_message(path)
    (tmp_path / "erp_orders.xsd").write_bytes(MESSAGE.xsd_path.read_bytes())
    path.write_text(text.replace("max_orders: 200", "max_orders: 0"), encoding="utf-8")
    with pytest.raises(ConfigurationError, match="max_orders"):
        load_message(path)
    (tmp_path / "others.yml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="name it erp_orders"):
        load_message(tmp_path / "others.yml")
