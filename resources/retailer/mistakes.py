"""A mistake in retailer.yaml, in words: where, what was found, what was expected, what was perhaps meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from resources.errors import ConfigurationError, Where


@dataclass(frozen=True)
class Mistake:
    """One mistake. ``path`` leads to it in the file, ``line`` counts from 1."""

    path: tuple[str | int, ...]
    line: int
    found: str
    expected: str
    suggestion: str | None = None

    @property
    def dotted_path(self) -> str:
        """``channels[2].price_list``; the whole file is ``(file)``."""
        text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path)
        return text.removeprefix(".") or "(file)"

    def __str__(self) -> str:
        hint = f", did you mean {self.suggestion}?" if self.suggestion else ""
        return f"line {self.line}: {self.dotted_path}: found {self.found}, expected {self.expected}{hint}"


class ConfigurationErrors(ConfigurationError):
    """Every mistake of one file, in the order of its lines."""

    def __init__(self, file: str, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(sorted(mistakes, key=lambda mistake: (mistake.line, mistake.dotted_path)))
        count = f"{len(mistakes)} mistake" + ("s" if len(mistakes) > 1 else "")
        listed = "\n".join(f"  {mistake}" for mistake in self.mistakes)
        super().__init__(f"{count}\n{listed}\n", where=Where(file=file), action="docs/retailer.md explains every key")
