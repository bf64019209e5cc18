"""Order tags: words that a retailer's own modules write in an order's note, separated by spaces. docs/retailer.md lists them.

``mkp:<number>`` (its name is declared as number_tag), ``cancel:<reason>``, ``pickup:<location>``, ``promise:<instant>``,
``preorder:<instant>``, ``replaces:<return>``, ``short:<order_detail>:<units>:<reason>:<instant>``. Any other word is left alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_SHORT = re.compile(r"^([0-9]+):([0-9]+):([a-z]+):(.+)$")
_SIMPLE = {
    "cancel": "cancel_reason",
    "pickup": "pickup_location",
    "promise": "promised_ship_by",
    "preorder": "available_from",
    "replaces": "replaces_return",
}


@dataclass(frozen=True)
class Shortage:
    """Units of a line that were cancelled after the order; ``cancelled`` is an instant as text."""

    quantity: int
    reason: str
    cancelled: str


@dataclass
class Tags:
    """The tags of one order; instants are still text."""

    origin_number: str | None = None
    cancel_reason: str | None = None
    pickup_location: str | None = None
    promised_ship_by: str | None = None
    available_from: str | None = None
    replaces_return: str | None = None
    shortages: dict[int, Shortage] = field(default_factory=dict)


def read_tags(note: str, *, number_tag: str | None) -> Tags:
    """Read the tags of an order's note. A shortage that does not have its four parts is a word like any other."""
    tags = Tags()
    for word in note.split():
        name, colon, value = word.partition(":")
        if not colon or not value:
            continue
        if name == number_tag:
            tags.origin_number = value
        elif name in _SIMPLE:
            setattr(tags, _SIMPLE[name], value)
        elif name == "short" and (match := _SHORT.match(value)):
            tags.shortages[int(match[1])] = Shortage(int(match[2]), match[3], match[4])
    return tags
