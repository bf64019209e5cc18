"""Finds the connector of a kind of system. A new kind is a new module beside this one, with ``KIND`` and ``build``: no list to keep."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Callable
from datetime import datetime
from functools import cache
from types import ModuleType
from typing import Any

from resources import connectors
from resources.connectors.sdk.http import SessionFactory
from resources.connectors.sdk.stream import Connector
from resources.errors import ConfigurationError, Where
from resources.privacy import Tokeniser

_NOT_CONNECTORS = frozenset({"registry", "sdk"})


@cache
def connector_modules() -> dict[str, ModuleType]:
    """Kind -> module, for each module of this package that declares a KIND. Raises ValueError for one that is not named after it."""
    found: dict[str, ModuleType] = {}
    for module_info in pkgutil.iter_modules(connectors.__path__):
        if module_info.name in _NOT_CONNECTORS:
            continue
        module = importlib.import_module(f"{connectors.__name__}.{module_info.name}")
        kind = getattr(module, "KIND", None)
        if kind is None:
            continue
        if kind != module_info.name:
            raise ValueError(f"{module.__name__} declares the kind {kind}: name the module after its kind")
        found[kind] = module
    return found


def _module_of(kind: str) -> ModuleType | None:
    """The module of a kind, without a look at the others: each brings what it reads with, and a process mostly reads one kind."""
    name = f"{connectors.__name__}.{kind}"
    if kind.isidentifier() and kind not in _NOT_CONNECTORS and importlib.util.find_spec(name) is not None:
        module = importlib.import_module(name)
        if getattr(module, "KIND", None) == kind:
            return module
    return connector_modules().get(kind)


def build_connector(
    system: Any,
    *,
    retailer: Any,
    tokeniser: Tokeniser,
    clock: Callable[[], datetime],
    session_factory: SessionFactory | None = None,
) -> Connector:
    """The connector of a system that retailer.yaml declares.

    ``session_factory`` makes the HTTP sessions (a test gives one that answers from recordings). ``clock`` gives aware instants.
    Raises ConfigurationError when no module knows the system's kind.
    """
    module = _module_of(system.kind)
    if module is None:
        raise ConfigurationError(
            f"no connector is of kind {system.kind!r}",
            where=Where(system_code=system.code, file="retailer.yaml", field="kind"),
            action=f"use one of {', '.join(sorted(connector_modules()))}, or add resources/connectors/{system.kind}.py",
        )
    connector: Connector = module.build(
        system, retailer=retailer, tokeniser=tokeniser, clock=clock, session_factory=session_factory
    )
    return connector
