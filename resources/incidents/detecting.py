"""The register of detectors, and running them all."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import TypeAlias

from resources.incidents.facts import Facts
from resources.operations.incidents import Signal

Detector: TypeAlias = Callable[[Facts], Iterable[Signal]]

_FOUND: dict[Detector, tuple[str, ...]] = {}


def detector(*kinds: str) -> Callable[[Detector], Detector]:
    """Make a function one of the detectors; ``kinds``: of the signals it gives. It reads and changes nothing."""

    def keep(function: Detector) -> Detector:
        _FOUND[function] = kinds
        return function

    return keep


@cache
def _detectors() -> dict[Detector, tuple[str, ...]]:
    """Every detector of this package: all of its modules are imported."""
    package = importlib.import_module("resources.incidents")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"resources.incidents.{module.name}")
    return dict(_FOUND)


def kinds() -> frozenset[str]:
    """Every kind of incident there can be."""
    return frozenset(kind for found in _detectors().values() for kind in found)


def detect(facts: Facts) -> Iterator[Signal]:
    """What every detector finds. Raises RuntimeError for a signal of a kind its detector did not declare."""
    for find, declared in _detectors().items():
        for signal in find(facts):
            if signal.kind not in declared:
                raise RuntimeError(f"{find.__name__} gave {signal.kind}, which it does not declare")
            yield signal
