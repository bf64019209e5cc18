"""Checks across the parts of retailer.yaml: every code that is named is declared, once, and fits where it is named.

They run on the tree, not on the models, so that one wrong number does not hide ten wrong names.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, get_args

from resources.contracts.entity import entities
from resources.retailer.mistakes import Mistake
from resources.retailer.model import ScopeKind
from resources.retailer.names import nearest
from resources.retailer.yaml_source import Path, Source

# What a master rule's entity is called in retailer.yaml -> the canonical entity whose attributes it elects.
MASTER_ENTITIES: Mapping[str, str] = {
    "product": "product",
    "stock": "stock_level",
    "price": "price",
    "promotion": "promotion",
    "customer": "customer",
    "order": "order",
}
SCOPE_KINDS: tuple[str, ...] = get_args(ScopeKind)

# (where a code is named, where such codes are declared)
_REFERENCES: tuple[tuple[str, str], ...] = (
    ("locations.*.company", "companies"),
    ("locations.*.calendar", "calendars"),
    ("channels.*.company", "companies"),
    ("channels.*.system", "systems"),
    ("channels.*.ships_from", "locations"),
    ("channels.*.stock_locations.*", "locations"),
    ("systems.*.company", "companies"),
    ("systems.*.channel", "channels"),
    ("systems.*.imported_orders.channel", "channels"),
    ("parity_groups.*.channels.*", "channels"),
    ("fast_lane.systems.*", "systems"),
    ("incidents.silent_systems.*.system", "systems"),
)
# Values that may stand only once, among all that match.
_UNIQUE: tuple[str, ...] = (
    "companies.*.code",
    "companies.*.siren",
    "companies.*.vat_id",
    "locations.*.code",
    "locations.*.gln",
    "channels.*.code",
    "systems.*.code",
    "parity_groups.*.code",
    "incidents.silent_systems.*.system",
)
# Values that may stand only once in their own list.
_UNIQUE_IN_LIST: tuple[str, ...] = (
    "channels.*.stock_locations",
    "parity_groups.*.channels",
    "systems.*.feeds",
    "fast_lane.systems",
    "systems.*.sends",
    "calendars.*.working_days",
)


def reference_mistakes(
    source: Source, known_feeds: Collection[str], known_messages: Collection[str] = ()
) -> Iterator[Mistake]:
    """Every wrong reference. ``known_feeds``, ``known_messages``: declarations that exist."""
    declared = {part: _declared(source.tree, part) for part in ("companies", "calendars", "locations", "channels")}
    declared["systems"] = _declared(source.tree, "systems")
    for pattern, part in _REFERENCES:
        for path, value in _match(source.tree, pattern):
            yield from _unknown(source, path, value, declared[part], f"one of {part}")
    for path, value in _match(source.tree, "systems.*.sends.*"):
        yield from _unknown(source, path, value, known_messages, "a message declared in resources/orders_out/messages")
    for path, value in _match(source.tree, "systems.*.feeds.*"):
        yield from _unknown(source, path, value, known_feeds, "a feed declared in resources/feeds")
    for path, _ in _match(source.tree, "guards.channels.*"):
        yield from _unknown(source, path, path[-1], declared["channels"], "one of channels")
    yield from _repeated(source)
    yield from _masters(source, declared)
    yield from _channels_and_systems(source)


def _declared(tree: Any, part: str) -> frozenset[str]:
    items = tree.get(part) if isinstance(tree, dict) else None
    if isinstance(items, dict):
        return frozenset(items)
    if isinstance(items, list):
        return frozenset(item["code"] for item in items if isinstance(item, dict) and isinstance(item.get("code"), str))
    return frozenset()


def _match(tree: Any, pattern: str) -> Iterator[tuple[Path, Any]]:
    """Every (path, value) that a dotted pattern leads to; ``*`` is any item of a list or any key."""
    found: list[tuple[Path, Any]] = [((), tree)]
    for part in pattern.split("."):
        following: list[tuple[Path, Any]] = []
        for path, value in found:
            if isinstance(value, list) and part == "*":
                following += [((*path, index), item) for index, item in enumerate(value)]
            elif isinstance(value, dict):
                following += [((*path, key), item) for key, item in value.items() if part in ("*", key)]
        found = following
    yield from found


def _unknown(source: Source, path: Path, value: Any, known: Collection[str], what: str) -> Iterator[Mistake]:
    if isinstance(value, str) and value not in known:
        listed = ", ".join(sorted(known)) if len(known) <= 12 else f"{len(known)} are declared"
        yield Mistake(
            path, source.line(path), repr(value), f"{what} ({listed or 'none is declared'})", nearest(value, known)
        )


def _repeated(source: Source) -> Iterator[Mistake]:
    for pattern in _UNIQUE:
        yield from _twice(source, _match(source.tree, pattern))
    for pattern in _UNIQUE_IN_LIST:
        for path, value in _match(source.tree, pattern):
            if isinstance(value, list):
                yield from _twice(source, (((*path, index), item) for index, item in enumerate(value)))


def _twice(source: Source, values: Iterator[tuple[Path, Any]]) -> Iterator[Mistake]:
    first: dict[str, Path] = {}
    for path, value in values:
        if not isinstance(value, str):
            continue
        folded = re.sub(r"[ .]", "", value).casefold()
        if folded in first:
            line = source.line(first[folded])
            yield Mistake(path, source.line(path), repr(value), f"a value of its own: line {line} has it already")
        first.setdefault(folded, path)


def _masters(source: Source, declared: Mapping[str, Collection[str]]) -> Iterator[Mistake]:
    for path, rules in _match(source.tree, "masters.*"):
        entity = str(path[-1])
        if entity not in MASTER_ENTITIES:
            known = ", ".join(MASTER_ENTITIES)
            yield Mistake(
                path, source.line(path), repr(entity), f"an entity: {known}", nearest(entity, MASTER_ENTITIES)
            )
            continue
        attributes = ("default", *entities()[MASTER_ENTITIES[entity]].columns)
        if isinstance(rules, dict):
            if "default" not in rules:
                yield Mistake(path, source.line(path), "no default", "a default, for attributes that no rule names")
            for attribute, rule in rules.items():
                yield from _unknown(source, (*path, attribute), attribute, attributes, f"an attribute of {entity}")
                yield from _master_rule(source, (*path, attribute), rule, declared)


def _master_rule(source: Source, path: Path, rule: Any, declared: Mapping[str, Collection[str]]) -> Iterator[Mistake]:
    if isinstance(rule, list):
        yield from _believed(source, path, rule, declared)
        return
    if not isinstance(rule, dict):
        yield Mistake(path, source.line(path), repr(rule), "a list of systems, or lists by scope")
        return
    parts = {"company": "companies", "channel": "channels"}
    for scope_kind, scoped in rule.items():
        at = (*path, scope_kind)
        if scope_kind not in SCOPE_KINDS:
            yield from _unknown(source, at, scope_kind, SCOPE_KINDS, "a scope")
        elif scope_kind == "everywhere":
            yield from _believed(source, at, scoped, declared)
        elif not isinstance(scoped, dict):
            yield Mistake(at, source.line(at), repr(scoped), f"a list of systems by {scope_kind}")
        else:
            for code, systems in scoped.items():
                if scope_kind in parts:
                    part = parts[scope_kind]
                    yield from _unknown(source, (*at, code), code, declared[part], f"one of {part}")
                yield from _believed(source, (*at, code), systems, declared)


def _believed(source: Source, path: Path, systems: Any, declared: Mapping[str, Collection[str]]) -> Iterator[Mistake]:
    if not isinstance(systems, list) or not systems:
        yield Mistake(path, source.line(path), repr(systems), "a list of at least one system")
        return
    for index, code in enumerate(systems):
        if not isinstance(code, str):
            yield Mistake((*path, index), source.line((*path, index)), repr(code), "a system's code")
        else:
            yield from _unknown(source, (*path, index), code, declared["systems"], "one of systems")
    yield from _twice(source, (((*path, index), item) for index, item in enumerate(systems)))


def _channels_and_systems(source: Source) -> Iterator[Mistake]:
    """A shop's system and its channel name each other; a store channel sells from stores."""
    systems_of = {
        channel["code"]: channel.get("system")
        for _, channel in _match(source.tree, "channels.*")
        if isinstance(channel, dict) and isinstance(channel.get("code"), str)
    }
    for path, system in _match(source.tree, "systems.*"):
        channel = system.get("channel") if isinstance(system, dict) else None
        code = system.get("code") if isinstance(system, dict) else None
        if isinstance(channel, str) and channel in systems_of and systems_of[channel] != code:
            at = (*path, "channel")
            yield Mistake(
                at,
                source.line(at),
                repr(channel),
                f"a channel whose system is {code}; {channel}'s is {systems_of[channel]}",
            )
    kinds = {
        location["code"]: location.get("kind")
        for _, location in _match(source.tree, "locations.*")
        if isinstance(location, dict) and isinstance(location.get("code"), str)
    }
    for path, channel in _match(source.tree, "channels.*"):
        if isinstance(channel, dict) and channel.get("kind") == "stores":
            for at, code in _match(channel, "stock_locations.*"):
                if isinstance(code, str) and kinds.get(code, "store") != "store":
                    whole = (*path, *at)
                    yield Mistake(whole, source.line(whole), repr(code), f"a store; {code} is a {kinds[code]}")
