"""What a trouble touches downstream, computed from the assets themselves: their keys and what each depends on."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

import dagster as dg

from assets.names import CANONICAL, PUBLICATION
from resources.operations.incidents import Impact, Signal

CHANNEL_PARTS = frozenset({"difference", "plan", "receipts", "fast_lane"})
"""Last part of the assets of a channel, `sync/<channel>/<part>`."""

LENDS_ONLY_NAMES = frozenset({"staging/quoted_item"})
"""Models whose readers are not spoilt by a trouble before them. Items quoted in documents lend codes and names to the product
referential, which nearly everything reads; without this, a missing return would seem to touch each price."""

_KPI = re.compile(r"(k[0-9]+[a-z]?)_")
_STEP = "step:"


class AssetImpact:
    """The graph of assets, asked what lies downstream of an origin. An origin is an asset key (`shop_fr/orders`) or a `step:<name>`."""

    def __init__(self, assets: Iterable[dg.AssetsDefinition]) -> None:
        self._downstream: defaultdict[str, set[str]] = defaultdict(set)
        self._of_step: dict[str, tuple[str, ...]] = {}
        for definition in assets:
            if definition.is_executable:  # what a process outside of any run tells has no step
                self._of_step[definition.node_def.name] = tuple(_name(spec.key) for spec in definition.specs)
            for spec in definition.specs:
                for dep in spec.deps:
                    self._downstream[_name(dep.asset_key)].add(_name(spec.key))

    def __call__(self, signal: Signal) -> Impact:
        """What a signal touches: what is downstream of its origins, and what it names itself."""
        return self.downstream(signal.origins) | signal.touches

    def downstream(self, origins: Sequence[str]) -> Impact:
        """What depends on these assets, over any number of steps; the origins themselves are part of it."""
        waiting = [key for origin in origins for key in self._keys(origin)]
        met: set[str] = set()
        while waiting:
            key = waiting.pop()
            if key not in met:
                met.add(key)
                waiting += self._next(key)
        return _by_kind(met)

    def _next(self, key: str) -> Iterable[str]:
        if key in LENDS_ONLY_NAMES:
            return ()
        found = self._downstream.get(key, set())
        # Tables of all KPIs hold each one beside the others: the trend of one made from them is not spoilt by another's trouble.
        return {one for one in found if not _is_of_one_kpi(one)} if key.startswith("kpis/kpi_") else found

    def _keys(self, origin: str) -> tuple[str, ...]:
        if origin.startswith(_STEP):
            return self._of_step.get(origin.removeprefix(_STEP), ())
        return (origin,)


def _name(key: dg.AssetKey) -> str:
    return key.to_user_string()


def _is_of_one_kpi(key: str) -> bool:
    first, _, name = key.partition("/")
    return first == "kpis" and _KPI.match(name) is not None


def _by_kind(keys: Iterable[str]) -> Impact:
    kinds: dict[str, set[str]] = defaultdict(set)
    for key in keys:
        first, *rest = key.split("/")
        if not rest:
            continue
        name = rest[-1]
        if first == CANONICAL:
            kinds["entities"].add(name)
        elif first == "referentials":
            kinds["referentials"].add(name)
        elif first == PUBLICATION:
            kinds["publications"].add(name)
        elif first == "sync" and name in CHANNEL_PARTS:
            kinds["channels"].add(rest[0])
        if first == "kpis" and (kpi := _KPI.match(name)):
            kinds["kpis"].add(kpi[1])
        if "worklist" in name or name.startswith("wl_"):
            kinds["work_lists"].add(".".join((first, *rest)))
    return Impact(**{kind: tuple(sorted(names)) for kind, names in kinds.items()})
