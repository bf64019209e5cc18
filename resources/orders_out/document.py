"""Makes the XML of a message and holds it to its schema: order by order first, so that a bad one keeps no other back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lxml import etree

from resources.contracts.currencies import major_text
from resources.errors import ContractBroken, RowRejected, Where
from resources.orders_out.declaration import (
    InstantField,
    IntegerField,
    MoneyField,
    OutField,
    OutgoingMessage,
    Sums,
    WordsField,
)

MAX_REASON = 300
PLACES = 2
"""Decimals of every amount, also of currencies without cents; more where the currency has more, if the schema takes them."""


@dataclass(frozen=True)
class OrderRows:
    """An order as it is exported: its header and its lines, by column."""

    header: Mapping[str, Any]
    lines: Sequence[Mapping[str, Any]]


class DocumentMaker:
    """Documents of one message, its schema read once."""

    def __init__(self, message: OutgoingMessage) -> None:
        self.message = message
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
        self._schema = etree.XMLSchema(etree.parse(str(message.xsd_path), parser))

    def order(self, rows: OrderRows) -> etree._Element:
        """One order's element. Raises RowRejected, with the field, when it does not hold what the message demands."""
        message = self.message
        element = etree.Element(message.row)
        currency_code = rows.header["currency_code"] or ""
        _fill(element, message.fields, rows.header, currency_code)
        lines = etree.SubElement(element, message.lines.path)
        for line in rows.lines:
            _fill(etree.SubElement(lines, message.lines.row), message.lines.fields, line, currency_code)
        if message.adds_up is not None:
            _check_sums(message.adds_up, rows)
        problem = self._problem(self._document([element], sequence=1, at=datetime(2000, 1, 1, tzinfo=UTC)))
        if problem:
            raise RowRejected(problem, where=Where(field=message.row))
        return element

    def file(self, orders: Sequence[etree._Element], *, sequence: int, at: datetime) -> bytes:
        """The bytes of one file. Raises ContractBroken when the whole does not hold although each order does."""
        document = self._document(orders, sequence=sequence, at=at)
        problem = self._problem(document)
        if problem:
            raise ContractBroken(
                problem, where=Where(stream=self.message.message), action="mend the declaration or its schema"
            )
        return etree.tostring(document, xml_declaration=True, encoding="UTF-8", pretty_print=True)

    def _document(self, orders: Sequence[etree._Element], *, sequence: int, at: datetime) -> etree._Element:
        root = etree.Element(
            self.message.root,
            {
                "version": self.message.version,
                "sequence": str(sequence),
                "genere": _instant(at),
                "nombre": str(len(orders)),
            },
        )
        root.extend(orders)
        return root

    def _problem(self, document: etree._Element) -> str:
        if self._schema.validate(document):
            return ""
        told = dict.fromkeys(f"{error.message}" for error in self._schema.error_log)
        return "; ".join(told)[:MAX_REASON]


def _fill(element: etree._Element, fields: Mapping[str, OutField], row: Mapping[str, Any], currency_code: str) -> None:
    for name, field in fields.items():
        text = _text(field, row[field.source], currency_code)
        if text is None:
            continue
        try:
            if name.startswith("@"):
                element.set(name[1:], text)
            else:
                etree.SubElement(element, name).text = text
        except ValueError as error:
            raise RowRejected(
                f"{field.source} holds characters that XML cannot", where=Where(field=field.source)
            ) from error


def _text(field: OutField, value: Any, currency_code: str) -> str | None:
    if value is None:
        return None
    match field:
        case MoneyField():
            return major_text(int(value), currency_code, places=PLACES)
        case InstantField():
            return _instant(value)
        case IntegerField():
            return str(int(value))
        case WordsField():
            if value not in field.words:
                raise RowRejected(f"{value!r} is none of {', '.join(field.words)}", where=Where(field=field.source))
            return field.words[value]
        case _:
            return str(value)


def _instant(value: datetime) -> str:
    return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _check_sums(sums: Sums, rows: OrderRows) -> None:
    header = rows.header
    found = (
        sum(int(line[name] or 0) for line in rows.lines for name in sums.lines)
        + sum(int(header[name] or 0) for name in sums.plus)
        - sum(int(header[name] or 0) for name in sums.minus)
    )
    total, currency = int(header[sums.total] or 0), header["currency_code"] or ""
    if found != total:
        raise RowRejected(
            f"the lines and fees add up to {major_text(found, currency)}, the order says {major_text(total, currency)}",
            where=Where(field=sums.total),
        )
