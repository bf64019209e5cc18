"""Reads XML files as rows of text, each row checked against the feed's XSD. What columns mean is `mapping`'s.

The document is read in a stream and a few hundred rows are held at a time. A document type declaration is refused before
anything is parsed, so no entity is ever defined: neither one that reads a file nor one that grows (OWASP, XML External Entity
Prevention Cheat Sheet).
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import polars as pl
from lxml import etree

from resources.connectors.sdk.feed import Feed, XmlFormat
from resources.connectors.sdk.mapping import CHILD_PLACE, ITEM, PARENT, TextRows
from resources.connectors.sdk.stream import RawRow, Reject
from resources.connectors.sdk.text_rows import Announced, FileIdentity, Piece, placed
from resources.errors import ContractBroken, Where

ROWS_PER_CHECK = 200
"""Rows checked against the XSD at once: one bad row makes the others of its lot be checked one by one."""
ROWS_PER_PIECE = 10_000
_PROLOG_BYTES = 64 << 10
_READ_BYTES = 256 << 10
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


class _XmlReader:
    def __init__(self, feed: Feed, declared: XmlFormat, identity: FileIdentity, xsd: Path) -> None:
        self._feed = feed
        self._format = declared
        self._identity = identity
        self._where = Where(file=identity.name)
        self._schema = etree.XMLSchema(etree.parse(str(xsd), _parser()))

    def read(self, file: BinaryIO, rows_per_piece: int) -> Iterator[Piece]:
        """Read the document; the raw bytes read since the last piece go with each piece."""
        head = file.read(_PROLOG_BYTES)
        self._refuse_document_type(head)
        # Only rows are told of: an event for each element in them would cost more than the parsing.
        parser = etree.XMLPullParser(
            events=("end",),
            tag=self._format.row,
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
        )
        root: etree._Element | None = None
        lot: list[etree._Element] = []
        rows: list[etree._Element] = []
        rejects: list[Reject] = []
        pending, received, data = b"", 0, head
        try:
            while data:
                pending += data
                parser.feed(data)
                for _, found in parser.read_events():
                    parent = found.getparent()
                    if root is None and parent is not None and parent.getparent() is None:
                        root = self._checked_root(parent)
                    if parent is root:
                        lot.append(found)
                if root is not None and len(lot) > ROWS_PER_CHECK:
                    # The last row stays where it is: the parser may still be at work right after it.
                    received += len(lot) - 1
                    self._check(root, lot[:-1], rows, rejects)
                    lot = lot[-1:]
                if root is not None and len(rows) + len(rejects) >= rows_per_piece:
                    yield self._piece(pending, received, root, rows, rejects, is_last=False)
                    pending, received, rows, rejects = b"", 0, [], []
                data = file.read(_READ_BYTES)
            whole = parser.close()
        except etree.XMLSyntaxError as error:
            raise ContractBroken(
                f"not well formed: {self._told(error.msg, f'line {error.lineno}')}", where=self._where, action=_ACTION
            ) from error
        if root is None:
            root = self._checked_root(whole)
        received += len(lot)
        self._check(root, lot, rows, rejects)
        yield self._piece(pending, received, root, rows, rejects, is_last=True)

    def _refuse_document_type(self, head: bytes) -> None:
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

    def _check(
        self,
        root: etree._Element,
        lot: Sequence[etree._Element],
        rows: list[etree._Element],
        rejects: list[Reject],
    ) -> None:
        """Check a lot against the XSD and take it out of the document, so that memory stays bounded."""
        for start in range(0, len(lot), ROWS_PER_CHECK):
            some = lot[start : start + ROWS_PER_CHECK]
            lines = [element.sourceline or 0 for element in some]
            if self._is_valid(root, some):
                rows.extend(some)
                continue
            for element, line in zip(some, lines, strict=True):
                if self._is_valid(root, [element]):
                    rows.append(element)
                    continue
                error = self._schema.error_log.last_error
                field = _field(error.path) if error is not None and error.path else None
                broken = "not valid" if error is None else self._told(error.message, f"{field}: {_rule(error)}")
                rejects.append(
                    Reject(
                        position=f"{self._identity.name}:{line}",
                        raw=etree.tostring(element, encoding="unicode"),
                        rule="xsd",
                        reason=broken,
                        entity=next(iter(self._feed.entities)),
                        field=field,
                        line=line,
                        context=_start_tag(root),
                    )
                )

    def _told(self, message: str | None, without_values: str) -> str:
        """What libxml says, which quotes the value; of a feed with personal values only the field and the rule."""
        return without_values if self._feed.has_personal_data else message or without_values

    def _is_valid(self, root: etree._Element, rows: Sequence[etree._Element]) -> bool:
        """Whether rows are valid under a root like theirs; they leave the one they were under."""
        wrapper = etree.Element(root.tag, dict(root.attrib))
        for row in rows:
            row.tail = None
            wrapper.append(row)
        return self._schema.validate(wrapper)

    def _piece(
        self,
        raw: bytes,
        received: int,
        root: etree._Element,
        rows: Sequence[etree._Element],
        rejects: Sequence[Reject],
        *,
        is_last: bool,
    ) -> Piece:
        announced = Announced()
        if is_last and self._format.count:
            count = root.get(self._format.count)
            if count is None or not count.isdigit():
                raise ContractBroken(
                    f"{self._format.count} of the root is not a number of rows", where=self._where, action=_ACTION
                )
            announced = Announced(int(count))
        context = _start_tag(root)
        lines = [row.sourceline or 0 for row in rows]
        frame = placed(self._cells(rows, tuple(self._feed.columns)), lines, self._identity)
        children = {}
        for name, child in self._feed.children.items():
            items = [
                (parent, number, item)
                for parent, row in enumerate(rows)
                for number, item in enumerate(row.iterfind(child.path), 1)
            ]
            cells: dict[str, list[str | None] | list[int]] = dict(
                self._cells([item for _, _, item in items], tuple(child.columns))
            )
            cells[PARENT] = [parent for parent, _, _ in items]
            cells[ITEM] = [number for _, number, _ in items]
            children[name] = pl.DataFrame(cells, schema={**dict.fromkeys(child.columns, pl.String), **CHILD_PLACE})

        def raw_of(number: int) -> tuple[str, str]:
            return etree.tostring(rows[number], encoding="unicode"), context

        return Piece(raw, received, TextRows(frame, children, raw_of), list(rejects), announced)

    def _cells(self, elements: Sequence[etree._Element], names: Sequence[str]) -> dict[str, list[str | None]]:
        """Column name -> its text in each element: `@attribute`, or the text of a child (or of a path)."""
        cells: dict[str, list[str | None]] = {}
        flat = [{child.tag: child.text for child in element} for element in elements]
        for name in names:
            if name.startswith("@"):
                values = [element.get(name[1:]) for element in elements]
            elif "/" in name:
                path, _, attribute = name.partition("/@")
                found = [element.find(path) for element in elements]
                values = [None if one is None else one.get(attribute) if attribute else one.text for one in found]
            else:
                values = [one.get(name) for one in flat]
            cells[name] = [(value.strip() or None) if value else None for value in values]
        return cells


def _parser() -> etree.XMLParser:
    return etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)


def _start_tag(root: etree._Element) -> str:
    bare = etree.Element(root.tag, dict(root.attrib), nsmap=root.nsmap)
    return etree.tostring(bare, encoding="unicode")


def _rule(error: etree._LogEntry) -> str:
    """The rule of the XSD that is broken, in libxml's name for it: `SCHEMAV_CVC_PATTERN_VALID` becomes `cvc pattern valid`."""
    return error.type_name.removeprefix("SCHEMAV_").replace("_", " ").lower()


def _field(path: str) -> str:
    return path.rsplit("/", 1)[-1]
