"""How a step tells a person what it is doing. The command line shows it; under the daemon it goes to the log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """One line of news from a step: ``done`` of ``total`` parts, and what is under way now."""

    step: str
    detail: str
    done: int = 0
    total: int = 0


Reporter = Callable[[Progress], None]


def quiet(news: Progress) -> None:
    """Tell nobody: Dagster's own events are enough for a run of the daemon."""
