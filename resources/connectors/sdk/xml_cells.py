"""Cells of XML rows as text, by the paths that a feed declares. Reading documents and checking them is not here.

A transform made from the paths takes the cells of a whole lot out inside libxslt: some four times as fast as walking through
its elements. Lots that it could not take apart exactly are walked through.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lxml import etree

from resources.connectors.sdk.feed import Feed

Cell = str | None
_END, _SECTION = "\ufdd0", "\ufdd1"
"""What ends a cell and begins a section in the transform's text: no characters by Unicode, though XML does not forbid them."""
_NAME = r"[A-Za-z_][\w.-]*"
_PLAIN_PATH = re.compile(rf"@{_NAME}|{_NAME}(/{_NAME})*(/@{_NAME})?", re.ASCII)
_XSL = "http://www.w3.org/1999/XSL/Transform"


@dataclass
class Cells:
    """Column -> cells, not trimmed. Of nested lists also the ``parents`` (index of the row) and ``numbers`` (from 1)."""

    columns: dict[str, list[Cell]]
    parents: list[int] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, names: Sequence[str]) -> Cells:
        """None yet."""
        return cls({name: [] for name in names})


class CellReader:
    """Takes the cells of a feed's rows and nested lists out of lots of elements."""

    def __init__(self, feed: Feed) -> None:
        self._names = tuple(feed.columns)
        self._children = {name: (child.path, tuple(child.columns)) for name, child in feed.children.items()}
        self._transform = _transform(self._names, list(self._children.values()))

    def empty(self) -> tuple[Cells, dict[str, Cells]]:
        """Cells of no rows, and of no items by nested list."""
        return Cells.of(self._names), {name: Cells.of(columns) for name, (_, columns) in self._children.items()}

    def add(self, lot: etree._Element, serialized: bytes, rows: Cells, items: Mapping[str, Cells]) -> None:
        """Add the cells of the elements under ``lot``, which reads ``serialized``; parents go on counting from those there are."""
        first = len(rows.columns[self._names[0]])
        is_exact = not any(mark.encode() in serialized for mark in (_END, _SECTION))
        if self._transform is None or not is_exact:
            self._walk(lot, first, rows, items)
            return
        sections = str(self._transform(lot)).split(_SECTION)
        cells = _split(sections[0])
        for place, values in enumerate(rows.columns.values()):
            values.extend(cells[place :: len(rows.columns)])
        for found, section in zip(items.values(), sections[1:], strict=True):
            cells = _split(section)
            width = len(found.columns) + 2
            found.parents.extend(first + int(number) - 1 for number in cells[::width])
            found.numbers.extend(int(number) for number in cells[1::width])
            for place, values in enumerate(found.columns.values(), 2):
                values.extend(cells[place::width])

    def _walk(self, lot: etree._Element, first: int, rows: Cells, items: Mapping[str, Cells]) -> None:
        elements = list(lot)
        for name, values in rows.columns.items():
            values.extend(_walked(elements, name))
        for child, found in items.items():
            path = self._children[child][0]
            nested = [
                (parent, number, item)
                for parent, row in enumerate(elements, first)
                for number, item in enumerate(row.iterfind(path), 1)
            ]
            found.parents.extend(parent for parent, _, _ in nested)
            found.numbers.extend(number for _, number, _ in nested)
            for name, values in found.columns.items():
                values.extend(_walked([item for _, _, item in nested], name))


def _split(text: str) -> list[str]:
    cells = text.split(_END)
    cells.pop()  # what follows the last mark
    return cells


def _walked(elements: Sequence[etree._Element], name: str) -> Iterator[Cell]:
    """A column's text in each element: an attribute, or what a child begins with (the last of its name, or the first at a path)."""
    if name.startswith("@"):
        return (element.get(name[1:]) for element in elements)
    if "/" in name:
        path, _, attribute = name.partition("/@")
        found = (element.find(path) for element in elements)
        return (None if one is None else one.get(attribute) if attribute else one.text for one in found)
    return ({child.tag: child.text for child in element}.get(name) for element in elements)


def _transform(names: Sequence[str], children: Sequence[tuple[str, Sequence[str]]]) -> etree.XSLT | None:
    """The transform; None when a path is more than names and slashes, which XPath may understand in another way."""
    nested_names = [name for _, columns in children for name in columns]
    if not all(_PLAIN_PATH.fullmatch(name) for name in (*names, *nested_names, *(path for path, _ in children))):
        return None
    sheet = etree.Element(f"{{{_XSL}}}stylesheet", version="1.0")
    etree.SubElement(sheet, f"{{{_XSL}}}output", method="text")
    body = etree.SubElement(sheet, f"{{{_XSL}}}template", match="/")
    row = etree.SubElement(body, f"{{{_XSL}}}for-each", select="*/*")
    for name in names:
        _cell(row, _xpath(name))
    for path, columns in children:
        etree.SubElement(body, f"{{{_XSL}}}text").text = _SECTION
        parent = etree.SubElement(body, f"{{{_XSL}}}for-each", select="*/*")
        etree.SubElement(parent, f"{{{_XSL}}}variable", name="parent", select="position()")
        item = etree.SubElement(parent, f"{{{_XSL}}}for-each", select=path)
        for select in ("$parent", "position()", *(_xpath(name) for name in columns)):
            _cell(item, select)
    return etree.XSLT(sheet, access_control=etree.XSLTAccessControl.DENY_ALL)


def _cell(place: etree._Element, select: str) -> None:
    etree.SubElement(place, f"{{{_XSL}}}value-of", select=select)
    etree.SubElement(place, f"{{{_XSL}}}text").text = _END


def _xpath(name: str) -> str:
    # The text an element begins with is its first node: what follows a comment or a child in it is not told.
    if name.startswith("@"):
        return name
    path, _, attribute = name.partition("/@")
    if attribute:
        return f"({path})[1]/@{attribute}"
    found = f"({path})[1]" if "/" in path else f"{path}[last()]"
    return f"{found}/node()[1][self::text()]"
