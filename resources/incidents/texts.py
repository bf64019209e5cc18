"""Words that detectors share."""

from __future__ import annotations

LONGEST = 300
"""Characters of a text in an incident: enough to understand it, short enough for a message."""


def shortened(text: str, longest: int = LONGEST) -> str:
    """One line, cut where it is too long."""
    line = " ".join(text.split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def split_action(error: str) -> tuple[str, str]:
    """The two halves of an error's text, `what -> what to do`; the second is empty when it says nothing."""
    what, arrow, action = error.partition(" -> ")
    return shortened(what), shortened(action) if arrow else ""


def numbered(quantity: int, one: str, more: str) -> str:
    """`1 file`, `3 files`."""
    return f"{quantity} {one if quantity == 1 else more}"
