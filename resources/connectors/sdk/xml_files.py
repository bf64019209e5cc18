"""Reads XML files as rows of text, each row checked against the feed's XSD. What columns mean is `mapping`'s.

The document is read in a stream and a few hundred rows are held at a time. A document type declaration is refused before
anything is parsed, so no entity is ever defined: neither one that reads a file nor one that grows (OWASP, XML External Entity
Prevention Cheat Sheet).
"""

from __future__ import annotations

import io
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl
from lxml import etree

from resources.connectors.sdk.feed import Feed, XmlFormat
from resources.connectors.sdk.mapping import CHILD_PLACE, ITEM, PARENT, TextRows
from resources.connectors.sdk.stream import RawRow, Reject
from resources.connectors.sdk.text_rows import Announced, FileIdentity, Piece, placed
from resources.connectors.sdk.xml_cells import CellReader, Cells
from resources.errors import ContractBroken, Where

ROWS_PER_CHECK = 200
"""Rows checked against the XSD at once: one bad row makes the others of its lot be checked one by one."""
ROWS_PER_PIECE = 5_000
_PROLOG_BYTES = 64 << 10
_READ_BYTES = 256 << 10
_LAST_LINE_KEPT = (1 << 16) - 1
_START_TAG = re.compile(rb"<(?:[\w.-]+:)?([A-Za-z_][\w.-]*)")
_BEFORE_ROOT = re.compile(rb"^\xef\xbb\xbf|<\?.*?\?>|<!--.*?-->|\s+", re.DOTALL)
_ACTION = "the whole file is refused and kept; ask for it again"


def read_xml(
    file: BinaryIO, feed: Feed, identity: FileIdentity, *, xsd: Path, rows_per_piece: int = ROWS_PER_PIECE
) -> Iterator[Piece]:
    """Pieces of one XML document.

    Raises ContractBroken when it declares a document type, is not well formed, or has another root than the XSD's.
    """
    if not isinstance(feed.format, XmlFormat):
        raise TypeError(f"feed {feed.feed} is not XML")
    reader = _XmlReader(feed, feed.format, identity, xsd)
    yield from reader.read(file, rows_per_piece)


def read_xml_row(row: RawRow, feed: Feed, identity: FileIdentity, line: int, *, xsd: Path) -> Piece:
    """A row of quarantine read again; its context is the start tag of its document's root."""
    if not isinstance(feed.format, XmlFormat):
        raise TypeError(f"feed {feed.feed} is not XML")
    reader = _XmlReader(feed, feed.format, identity, xsd)
    root_tag = row.context.removeprefix("<").partition(" ")[0].rstrip("/>")
    document = f"{row.context.removesuffix('/>')}>{row.raw}</{root_tag}>".encode()
    piece = next(reader.read(io.BytesIO(document), 1))
    rows = piece.rows
    if rows is not None:
        rows.root = rows.root.with_columns(pl.lit(line, pl.Int64).alias("_line"))
    return piece


@dataclass
class _Taken:
    """Rows of a piece so far. ``lots``: (rows up to and with this lot, its elements serialized under their root)."""

    rows: Cells
    items: dict[str, Cells]
    lines: list[int] = field(default_factory=list)
    lots: list[tuple[int, bytes]] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    received_qty: int = 0


class _XmlReader:
    def __init__(self, feed: Feed, declared: XmlFormat, identity: FileIdentity, xsd: Path) -> None:
        self._feed = feed
        self._format = declared
        self._identity = identity
        self._where = Where(file=identity.name)
        self._schema = etree.XMLSchema(etree.parse(str(xsd), _parser()))
        self._cells = CellReader(feed)

    def read(self, file: BinaryIO, rows_per_piece: int) -> Iterator[Piece]:
        """Read the document; the raw bytes read since the last piece go with each piece."""
        head = file.read(_PROLOG_BYTES)
        # Only the root is told of: its rows are found under it, and an event for each of them would cost as much as parsing it.
        parser = etree.XMLPullParser(
            events=("start",),
            tag=self._root_name(head),
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
        )
        root: etree._Element | None = None
        taken = self._nothing_taken()
        pending, data = [], head
        try:
            while data:
                pending.append(data)
                parser.feed(data)
                for _, found in parser.read_events():
                    root = self._checked_root(found) if root is None else root
                if root is not None:
                    # The last child stays where it is: the parser may still be at work in it, or right after it.
                    self._take(root, root[:-1], taken)
                    if taken.received_qty >= rows_per_piece:
                        yield self._piece(b"".join(pending), root, taken, is_last=False)
                        pending, taken = [], self._nothing_taken()
                data = file.read(_READ_BYTES)
            whole = parser.close()
        except etree.XMLSyntaxError as error:
            raise ContractBroken(
                f"not well formed: {self._told(error.msg, f'line {error.lineno}')}", where=self._where, action=_ACTION
            ) from error
        if root is None:
            root = self._checked_root(whole)
        self._take(root, root[:], taken)
        yield self._piece(b"".join(pending), root, taken, is_last=True)

    def _nothing_taken(self) -> _Taken:
        return _Taken(*self._cells.empty())

    def _root_name(self, head: bytes) -> str | None:
        """The root's name in any namespace; None (any element) when it cannot be told from the first bytes."""
        start = _START_TAG.match(self._refuse_document_type(head))
        return f"{{*}}{start[1].decode()}" if start else None

    def _refuse_document_type(self, head: bytes) -> bytes:
        """What follows the prolog. Raises ContractBroken unless that is the root."""
        rest = head
        while match := _BEFORE_ROOT.match(rest):
            rest = rest[match.end() :]
        if not rest.startswith(b"<") or rest.startswith(b"<!"):
            kind = "a document type" if rest[:9].upper() == b"<!DOCTYPE" else "something else than UTF-8 XML"
            raise ContractBroken(
                f"the document declares {kind}; entities are never read",
                where=self._where,
                action="the whole file is refused and kept; ask its sender for a file without a document type",
            )
        return rest

    def _checked_root(self, root: etree._Element) -> etree._Element:
        if root.getroottree().docinfo.internalDTD is not None:
            raise ContractBroken("the document declares a document type", where=self._where, action=_ACTION)
        bare = etree.Element(root.tag, dict(root.attrib))
        if not self._schema.validate(bare):
            error = self._schema.error_log.last_error
            # The rows are not there yet: only what concerns the root itself counts.
            if error is not None and error.type_name != "SCHEMAV_ELEMENT_CONTENT":
                told = self._told(error.message, _rule(error))
                raise ContractBroken(f"root: {told}", where=self._where, action=_ACTION)
        return root

    def _take(self, root: etree._Element, children: Sequence[etree._Element], taken: _Taken) -> None:
        """Check rows against the XSD lot by lot and take them out of the document, so that memory stays bounded."""
        rows = [child for child in children if child.tag == self._format.row]
        lines = [_line(row) for row in rows]
        for other in children if len(rows) < len(children) else ():
            if other.tag != self._format.row:
                root.remove(other)
        for start in range(0, len(rows), ROWS_PER_CHECK):
            end = start + ROWS_PER_CHECK
            self._check(root, rows[start:end], lines[start:end], taken)
        taken.received_qty += len(rows)

    def _check(self, root: etree._Element, lot: Sequence[etree._Element], lines: Sequence[int], taken: _Taken) -> None:
        wrapper = _under_root(root, lot)
        if self._schema.validate(wrapper):
            serialized = etree.tostring(wrapper, encoding="UTF-8")
            self._cells.add(wrapper, serialized, taken.rows, taken.items)
            taken.lines.extend(lines)
            taken.lots.append((len(taken.lines), serialized))
        elif len(lot) > 1:
            # The halves are checked again, then theirs: a bad row costs a few checks, not one for each of its neighbours.
            half = len(lot) // 2
            self._check(root, lot[:half], lines[:half], taken)
            self._check(root, lot[half:], lines[half:], taken)
        else:
            taken.rejects.append(self._reject(root, lot[0], lines[0]))

    def _reject(self, root: etree._Element, element: etree._Element, line: int) -> Reject:
        error = self._schema.error_log.last_error
        field_name = _field(error.path) if error is not None and error.path else None
        broken = "not valid" if error is None else self._told(error.message, f"{field_name}: {_rule(error)}")
        return Reject(
            position=f"{self._identity.name}:{line}",
            raw=etree.tostring(element, encoding="unicode"),
            rule="xsd",
            reason=broken,
            entity=next(iter(self._feed.entities)),
            field=field_name,
            line=line,
            context=_start_tag(root),
        )

    def _told(self, message: str | None, without_values: str) -> str:
        """What libxml says, which quotes the value; of a feed with personal values only the field and the rule."""
        return without_values if self._feed.has_personal_data else message or without_values

    def _piece(self, raw: bytes, root: etree._Element, taken: _Taken, *, is_last: bool) -> Piece:
        announced = Announced()
        if is_last and self._format.count:
            count = root.get(self._format.count)
            if count is None or not count.isdigit():
                raise ContractBroken(
                    f"{self._format.count} of the root is not a number of rows", where=self._where, action=_ACTION
                )
            announced = Announced(int(count))
        frame = placed(taken.rows.columns, taken.lines, self._identity)
        children = {}
        for name, items in taken.items.items():
            schema = {**dict.fromkeys(items.columns, pl.String), **CHILD_PLACE}
            data: dict[str, Sequence[Any]] = {**items.columns, PARENT: items.parents, ITEM: items.numbers}
            children[name] = _trimmed(pl.DataFrame(data, schema=schema), items.columns)
        rows = TextRows(_trimmed(frame, taken.rows.columns), children, _raw_of(taken.lots, _start_tag(root)))
        return Piece(raw, taken.received_qty, rows, taken.rejects, announced)


def _trimmed(frame: pl.DataFrame, columns: Iterable[str]) -> pl.DataFrame:
    """The frame with cells trimmed; empty ones are null."""
    trimmed = {name: pl.col(name).str.strip_chars() for name in columns}
    return frame.with_columns(pl.when(cell != "").then(cell).alias(name) for name, cell in trimmed.items())


def _raw_of(lots: Sequence[tuple[int, bytes]], context: str) -> Callable[[int], tuple[str, str]]:
    """Raw text and context of a row by its number: its lot is parsed again, since the elements of all would take ten times the room."""
    ends = [end for end, _ in lots]

    @lru_cache(maxsize=1)
    def elements(number: int) -> list[etree._Element]:
        return list(etree.fromstring(lots[number][1], _parser()))

    def raw_of(row: int) -> tuple[str, str]:
        number = bisect_right(ends, row)
        start = ends[number - 1] if number else 0
        return etree.tostring(elements(number)[row - start], encoding="unicode"), context

    return raw_of


def _under_root(root: etree._Element, rows: Sequence[etree._Element]) -> etree._Element:
    """A root like theirs with these rows under it; they leave the one they were under."""
    wrapper = etree.Element(root.tag, dict(root.attrib), nsmap=root.nsmap)
    for row in rows:
        row.tail = None
        wrapper.append(row)
    return wrapper


def _parser() -> etree.XMLParser:
    return etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)


def _line(row: etree._Element) -> int:
    """The line on which a row's start tag ends.

    libxml keeps 16 bits of it in an element. Beyond that it tells the line of the first text in the row, or else after it, and that of
    a text is the one on which it ends.
    """
    line = row.sourceline or 0
    if line <= _LAST_LINE_KEPT:
        return line
    node = row
    while isinstance(node.tag, str) and not node.text and len(node):
        node = node[0]
    is_element = isinstance(node.tag, str)
    passed = node.text or node.tail or "" if is_element else f"{node.text}{node.tail or ''}"
    return line - passed.count("\n")


def _start_tag(root: etree._Element) -> str:
    bare = etree.Element(root.tag, dict(root.attrib), nsmap=root.nsmap)
    return etree.tostring(bare, encoding="unicode")


def _rule(error: etree._LogEntry) -> str:
    """The rule of the XSD that is broken, in libxml's name for it: `SCHEMAV_CVC_PATTERN_VALID` becomes `cvc pattern valid`."""
    return error.type_name.removeprefix("SCHEMAV_").replace("_", " ").lower()


def _field(path: str) -> str:
    return path.rsplit("/", 1)[-1]
