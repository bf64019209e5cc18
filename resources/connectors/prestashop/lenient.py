"""Decoders of PrestaShop rows that bear with wandering types: a number or a truth value where the Webservice usually prints text.

The usual shape is decoded in one go; only a row that does not have it is walked here, value by value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from resources.connectors.sdk.decode import BadRow, Decoded, Page, RawText, RowDecoder

T = TypeVar("T")

# the digits of a number are kept as they were printed: money must not become a float
_TREE: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=str)


def decoder_of(row_type: type[T]) -> RowDecoder[T]:
    """The decoder of a list of these rows."""

    def repair(raw: bytes, _index: int) -> tuple[Any, list[BadRow]]:
        try:
            return msgspec.convert(_with_text(_TREE.decode(raw), row_type), row_type, strict=False), []
        except msgspec.ValidationError:
            return None, []

    return RowDecoder(row_type, wrapped=True, strict=False, repair=repair)


def raw_number(raw: bytes, field: str) -> int | None:
    """A whole number of a raw row whose other fields may be of any shape; None when it holds none there."""
    try:
        tree = _TREE.decode(raw)
    except msgspec.DecodeError:
        return None
    value = tree.get(field) if isinstance(tree, dict) else None
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return int(text) if text.isdecimal() else None


@cache
def _fields(row_type: type) -> dict[str, Any]:
    hints = get_type_hints(row_type)
    return {field.encode_name: hints[field.name] for field in msgspec.structs.fields(row_type)}


def _with_text(value: Any, expected: Any) -> Any:
    options = get_args(expected) if get_origin(expected) in (Union, UnionType) else (expected,)
    if isinstance(value, bool) or not isinstance(value, dict | list | int):
        # PHP's own text of a truth value
        is_text = str in options and bool not in options
        return ("1" if value else "") if isinstance(value, bool) and is_text else value
    if isinstance(value, int):
        return str(value) if str in options and int not in options else value
    if isinstance(value, list):
        element = next((get_args(option)[0] for option in options if get_origin(option) is list), None)
        return value if element is None else [_with_text(part, element) for part in value]
    struct = next((o for o in options if isinstance(o, type) and issubclass(o, msgspec.Struct)), None)
    if struct is None:
        return value
    fields = _fields(struct)
    return {name: _with_text(part, fields[name]) for name, part in value.items() if name in fields}


# ---------------------------------------------------------------- parts of a row


def part_of(position: str, part: str) -> str:
    """The position of a part of a source row: refusals of parts are replayed by their whole row, told by what stands before #."""
    return f"{position}#{part}"


def whole_row(raw_text: RawText) -> Callable[[str], str]:
    """Raw text of the whole source row, from the position of the row or of one of its parts."""
    return lambda position: raw_text(position.partition("#")[0])


def without(page: Page[T], refused: Mapping[int, str], decoder: RowDecoder[T], row_id: Callable[[T], int]) -> Page[T]:
    """The page with some rows refused, named by id, each with its reason: what stands beside them cannot be read."""
    if not refused:
        return page
    raw_rows = decoder.raw_rows(page.body)
    kept: list[tuple[T, int]] = []
    bad = list(page.decoded.bad)
    for row, index in zip(page.decoded.rows, page.decoded.positions, strict=True):
        reason = refused.get(row_id(row))
        if reason is None:
            kept.append((row, index))
        else:
            bad.append(BadRow(index, raw_rows[index], reason))
    decoded = Decoded([row for row, _ in kept], [index for _, index in kept], bad)
    return Page(page.name, page.body, decoded, page.extra, page.labels)
