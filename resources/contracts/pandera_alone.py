"""Imports pandera for polars without what it does not need for that, also where that is installed. No contract is declared here."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class _Absent(MetaPathFinder):
    """Says of some packages what Python says of those that are not installed."""

    def __init__(self, packages: frozenset[str]) -> None:
        self._packages = packages

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """Refuse these packages; of any other know nothing."""
        if fullname.partition(".")[0] in self._packages:
            raise ModuleNotFoundError(f"No module named '{fullname}'", name=fullname)
        return None


@contextmanager
def _without(*packages: str) -> Iterator[None]:
    finder = _Absent(frozenset(packages))
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


def import_pandera() -> None:
    """Import pandera as it is where pandas and hypothesis are not installed; nothing to do once either half is there.

    Contracts are polars'. Where pandas is installed (a Spark client brings it) pandera loads it and its own half for pandas too:
    95 MB and 0.6 CPU-seconds of every process that reads or runs anything. Where hypothesis is (tests bring it) pandera loads it for
    inventing rows, which contracts do not ask for: 6 MB and 0.1 CPU-seconds. Whoever needs them imports them later as always.
    """
    if "pandas" in sys.modules or "pandera" in sys.modules:
        return
    with _without("pandas", "hypothesis"):
        import pandera.backends.polars.builtin_checks
        import pandera.polars  # noqa: F401
