"""The shape of recorded JSON, and how a value departs from it: key sets and JSON types, recursively."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

# keys whose content belongs to one shop and not to the API: custom fields, links to other rows
FREE = frozenset({"value", "display_value", "nominal_amount"})


def kind(value: Any) -> str:
    """JSON type of a value; 15 and 15.5 are both numbers, as PHP prints them."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    names: dict[type, str] = {str: "text", list: "list", dict: "object"}
    return names[type(value)]


@dataclass
class Shape:
    """What was seen at one place: types, keys always and sometimes present, and the shape of elements."""

    kinds: set[str] = field(default_factory=set)
    always: set[str] | None = None
    keys: dict[str, Shape] = field(default_factory=dict)
    elements: Shape | None = None

    def learn(self, value: Any) -> None:
        """Widen the shape so that a recorded value fits."""
        self.kinds.add(kind(value))
        if isinstance(value, dict):
            self.always = set(value) if self.always is None else self.always & set(value)
            for key, held in value.items():
                self.keys.setdefault(key, Shape()).learn(held)
        elif isinstance(value, list):
            for held in value:
                if self.elements is None:
                    self.elements = Shape()
                self.elements.learn(held)

    def misfits(self, value: Any, where: str = "$") -> list[str]:
        """Where a value departs from what was recorded; nothing when it fits."""
        if kind(value) not in self.kinds:
            return [f"{where}: {kind(value)} {value!r:.60}, recorded {'/'.join(sorted(self.kinds))}"]
        found: list[str] = []
        if isinstance(value, dict):
            for key in sorted((self.always or set()) - set(value)):
                found.append(f"{where}: no key {key!r}")
            for key, held in value.items():
                if key not in self.keys:
                    found.append(f"{where}: key {key!r} was never recorded")
                elif key not in FREE:
                    found.extend(self.keys[key].misfits(held, f"{where}.{key}"))
        elif isinstance(value, list) and self.elements is not None:
            for number, held in enumerate(value):
                found.extend(self.elements.misfits(held, f"{where}[{number}]"))
        return found


def shape_of(values: Iterable[Any]) -> Shape:
    """The shape that every recorded value fits."""
    shape = Shape()
    for value in values:
        shape.learn(value)
    return shape
