"""How a received payload loses one person and keeps everybody else: JSON by rows, all other text by lines."""

from __future__ import annotations

import json
from typing import Any

from resources.erasure.person import Person

MARK = "erased"


def without(data: bytes, person: Person, *, system_code: str, stream: str, erasure_id: str) -> tuple[bytes, int]:
    """The payload without the person, and how many rows or lines of theirs it held; the same bytes when there was none."""
    try:
        document = json.loads(data)
    except ValueError:
        return _lines_without(data, person, erasure_id)
    collection, rows = _rows(document, stream)
    if rows is None:
        if not person.has(document, system_code=system_code, collection=stream):
            return data, 0
        return json.dumps(_stub(document, erasure_id)).encode(), 1
    erased = 0
    for number, row in enumerate(rows):
        if person.has(row, system_code=system_code, collection=collection):
            rows[number] = _stub(row, erasure_id)
            erased += 1
    return (json.dumps(document, ensure_ascii=False).encode(), erased) if erased else (data, 0)


def _rows(document: Any, stream: str) -> tuple[str, list[Any] | None]:
    """The list that a page holds and what it is a list of: itself, of the stream's rows; or its only value, named by its key.

    A stream may read several collections: PrestaShop's orders come with the countries of their addresses.
    """
    if isinstance(document, list):
        return stream, document
    if isinstance(document, dict) and len(document) == 1:
        ((name, value),) = document.items()
        if isinstance(value, list):
            return name, value
    return stream, None


def _stub(row: Any, erasure_id: str) -> dict[str, Any]:
    """What is left of a row: its number, so that counts still add up, and why there is no more."""
    kept = {"id": row["id"]} if isinstance(row, dict) and "id" in row else {}
    return {**kept, MARK: erasure_id}


def _lines_without(data: bytes, person: Person, erasure_id: str) -> tuple[bytes, int]:
    """Line by line: CSV, JSONL, XML. Bytes that are no UTF-8 are read as Latin-1, which every byte is."""
    try:
        text, encoding = data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        text, encoding = data.decode("latin-1"), "latin-1"
    lines = text.split("\n")
    erased = 0
    for number, line in enumerate(lines):
        if person.is_told_by(line):
            lines[number] = f"{MARK} {erasure_id}"
            erased += 1
    return ("\n".join(lines).encode(encoding), erased) if erased else (data, 0)
