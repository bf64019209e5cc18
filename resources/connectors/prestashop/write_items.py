"""How items are named in writes: `12` a product, `12-34` one of its combinations."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")
_ITEM = re.compile(r"[1-9][0-9]*(-[1-9][0-9]*)?")


def is_item(external_id: str) -> bool:
    """Whether it names a product or a combination."""
    return _ITEM.fullmatch(external_id) is not None


def item_of(external_id: str) -> tuple[int, int]:
    """Product and combination (0: none) of an external id."""
    product, _, combination = external_id.partition("-")
    return int(product), int(combination or 0)


def label(external_id: str) -> str:
    """An item in a reason."""
    product, combination = item_of(external_id)
    return f"combination {combination} of product {product}" if combination else f"product {product}"


def together(rows: Iterable[T], group: Callable[[T], Hashable], size: int) -> list[list[T]]:
    """Chunks of about ``size`` rows; rows of one group are never in two of them."""
    groups: dict[Hashable, list[T]] = {}
    for row in rows:
        groups.setdefault(group(row), []).append(row)
    chunks: list[list[T]] = []
    for held in groups.values():
        if chunks and len(chunks[-1]) + len(held) <= size:
            chunks[-1] += held
        else:
            chunks.append(list(held))
    return chunks


def numbers(external_ids: Sequence[str]) -> list[int]:
    """The numbers among external ids of rows that are named by their number alone."""
    return sorted({int(text) for text in external_ids if text.isdecimal() and int(text)})
