"""Imports pandera for polars without pandas, also where pandas is installed. No contract is declared here."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class _Absent(MetaPathFinder):
    """Says of one package what Python says of one that is not installed."""

    def __init__(self, package: str) -> None:
        self._package = package

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """Refuse the package; of any other know nothing."""
        if fullname.partition(".")[0] == self._package:
            raise ModuleNotFoundError(f"No module named '{fullname}'", name=fullname)
        return None


@contextmanager
def _without(package: str) -> Iterator[None]:
    finder = _Absent(package)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


def import_pandera() -> None:
    """Import pandera as it is where pandas is not installed; nothing to do once either is there.

    Contracts are polars'. Where pandas is installed (a Spark client brings it) pandera loads it and its own half for pandas too:
    95 MB and 0.6 CPU-seconds of every process that reads or runs anything. Whoever needs pandas imports it later as always.
    """
    if "pandas" in sys.modules or "pandera" in sys.modules:
        return
    with _without("pandas"):
        import pandera.polars  # noqa: F401
