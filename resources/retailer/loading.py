"""retailer.yaml -> :class:`Retailer`, or every mistake in it at once."""

from __future__ import annotations

import re
import types
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, Field, PlainValidator, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from resources.errors import ConfigurationError, Where
from resources.retailer.fast_lane import FastLane
from resources.retailer.fields import Code, expected
from resources.retailer.guards import Guards
from resources.retailer.incident_rules import IncidentRules
from resources.retailer.mistakes import ConfigurationErrors, Mistake
from resources.retailer.model import (
    Calendar,
    Channel,
    Company,
    Identity,
    KpiCode,
    KpiThreshold,
    Location,
    MasterRule,
    ParityGroup,
    Retailer,
)
from resources.retailer.names import nearest
from resources.retailer.references import reference_mistakes
from resources.retailer.systems import Declared, SystemConfig, config_model, known_kinds
from resources.retailer.yaml_source import Path as TreePath
from resources.retailer.yaml_source import Source, read_yaml


def _system(value: Any) -> SystemConfig:
    """One system by the model of its kind."""
    if not isinstance(value, dict):
        raise expected("a system: a mapping with code, kind, role, company, time_zone and what its kind needs")
    kind = value.get("kind")
    model = config_model(kind) if isinstance(kind, str) else SystemConfig
    if model is None:
        kinds = known_kinds()
        if kind in kinds:
            raise expected(
                f"a known kind: resources/connectors/{kind} has no class Config that extends SystemConfig, so its keys are unknown"
            )
        raise expected(f"a known kind: {', '.join(sorted(kinds))}", suggestion=nearest(str(kind), kinds))
    return model.model_validate(value)


class _File(Declared):
    """The file as written; :class:`Retailer` is the same with master rules flattened."""

    version: Annotated[int, Field(ge=1, le=1)]
    retailer: Identity
    companies: Annotated[tuple[Company, ...], Field(min_length=1)]
    calendars: dict[str, Calendar]
    locations: Annotated[tuple[Location, ...], Field(min_length=1)]
    channels: Annotated[tuple[Channel, ...], Field(min_length=1)]
    systems: Annotated[tuple[Annotated[SystemConfig, PlainValidator(_system)], ...], Field(min_length=1)]
    masters: dict[str, dict[str, Any]]
    parity_groups: tuple[ParityGroup, ...] = ()
    kpis: dict[Code, KpiThreshold]
    guards: Guards = Guards()
    fast_lane: FastLane = FastLane()
    incidents: IncidentRules = IncidentRules()


_KPIS: tuple[str, ...] = get_args(KpiCode)


def load_retailer(path: Path, variables: Mapping[str, str], *, known_feeds: Collection[str] | None = None) -> Retailer:
    """Read and check a retailer's declaration; ``variables`` fill ``${NAME}``.

    ``known_feeds``: names of the feed declarations; by default those in resources/feeds.
    Raises ConfigurationErrors holding every mistake, each with its path, line, what was found and expected.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigurationError(
            "there is no such file", where=Where(file=str(path)), action="set ETALON_RETAILER to your retailer.yaml"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"byte {error.start} is not UTF-8", where=Where(file=str(path)), action="save the file as UTF-8"
        ) from error
    return parse_retailer(text, variables, file=str(path), known_feeds=known_feeds)


def parse_retailer(
    text: str, variables: Mapping[str, str], *, file: str = "retailer.yaml", known_feeds: Collection[str] | None = None
) -> Retailer:
    """The same from text, for tests and tools."""
    source = read_yaml(text, variables)
    if source.tree is None or not isinstance(source.tree, dict):
        nothing = Mistake((), 1, found="no mapping", expected="the keys that docs/retailer.md explains")
        raise ConfigurationErrors(file, source.mistakes or [nothing])
    mistakes = list(source.mistakes)
    settled = {mistake.path for mistake in mistakes}
    declared: _File | None = None
    try:
        declared = _File.model_validate(source.tree)
    except ValidationError as error:
        for details in error.errors(include_url=False):
            mistake = _worded(source, details)
            if mistake.path not in settled:
                mistakes.append(mistake)
    settled = {mistake.path for mistake in mistakes}
    feeds = declared_feeds() if known_feeds is None else known_feeds
    crossed = [*reference_mistakes(source, feeds, declared_messages()), *_kpi_mistakes(source)]
    mistakes += [mistake for mistake in crossed if mistake.path not in settled]
    if mistakes or declared is None:
        raise ConfigurationErrors(file, mistakes)
    return Retailer.model_construct(
        version=1,
        identity=declared.retailer,
        companies=declared.companies,
        calendars=declared.calendars,
        locations=declared.locations,
        channels=declared.channels,
        systems=declared.systems,
        masters=tuple(_master_rules(declared.masters)),
        parity_groups=declared.parity_groups,
        kpis=declared.kpis,
        guards=declared.guards,
        fast_lane=declared.fast_lane,
        incidents=declared.incidents,
    )


def declared_feeds() -> frozenset[str]:
    """Names of the feed declarations in resources/feeds, one ``<name>.yml`` each."""
    folder = Path(__file__).parents[1] / "feeds"
    return frozenset(file.stem for file in folder.glob("*.yml"))


def declared_messages() -> frozenset[str]:
    """Names of the outgoing messages in resources/orders_out/messages, one ``<name>.yml`` each."""
    folder = Path(__file__).parents[1] / "orders_out" / "messages"
    return frozenset(file.stem for file in folder.glob("*.yml"))


def _master_rules(masters: Mapping[str, Mapping[str, Any]]) -> list[MasterRule]:
    """Rules one by one: a bare list is believed everywhere."""
    rules: list[dict[str, Any]] = []
    for entity, by_attribute in masters.items():
        for attribute, rule in by_attribute.items():
            name = {"entity": entity, "attribute": attribute}
            by_scope: dict[str, Any] = {"everywhere": rule} if isinstance(rule, list) else rule
            for scope_kind, scoped in by_scope.items():
                if scope_kind == "everywhere":
                    rules.append({**name, "systems": scoped})
                    continue
                rules += [
                    {**name, "scope_kind": scope_kind, "scope_code": code, "systems": systems}
                    for code, systems in scoped.items()
                ]
    return [MasterRule.model_validate(rule) for rule in rules]


def declared_kpis() -> frozenset[str]:
    """Codes of the KPIs that dbt_like_sql computes, by the names of their models: `k5_value.sql` is k5."""
    folder = Path(__file__).parents[2] / "dbt_like_sql" / "kpis"
    found = (re.fullmatch(r"(k[0-9]+[a-z]?)_value", file.stem) for file in folder.glob("*.sql"))
    return frozenset(match[1] for match in found if match)


def _kpi_mistakes(source: Source) -> list[Mistake]:
    kpis = source.tree.get("kpis")
    if not isinstance(kpis, dict):
        return []
    known = sorted({*_KPIS, *declared_kpis()})
    mistakes = [
        Mistake(
            ("kpis", code), source.line(("kpis", code)), repr(code), f"one of {', '.join(known)}", nearest(code, known)
        )
        for code in kpis
        if code not in known
    ]
    absent = [code for code in _KPIS if code not in kpis]
    if absent:
        mistakes.append(
            Mistake(("kpis",), source.line(("kpis",)), f"no {', '.join(absent)}", "thresholds of every KPI")
        )
    needed = {"k1a": "tolerance_pct", "k3a": "window_days", "k3b": "legal_refund_days"}
    for code, name in needed.items():
        threshold = kpis.get(code)
        if isinstance(threshold, dict) and threshold.get(name) is None:
            path = ("kpis", code, name)
            mistakes.append(Mistake(path, source.line(path), "nothing", f"{name}, which {code} is computed with"))
    return mistakes


def _worded(source: Source, details: ErrorDetails) -> Mistake:
    """A validation error in our words; a value that came from a variable, and a secret, are not shown."""
    path = tuple(part for part in details["loc"] if part != "[key]")
    kind, context = details["type"], details.get("ctx", {})
    model = _model_at(source.tree, path[:-1])
    suggestion: str | None = None
    found = _found(source, path, details["input"], model)
    if kind == "missing":
        found, wanted = "nothing", "this key, which is required"
    elif kind == "extra_forbidden":
        names = set(model.model_fields) if model else set()
        suggestion = nearest(str(path[-1]), names)
        found, wanted = "an unknown key", f"one of {', '.join(sorted(names))}"
    elif kind == "expected":
        wanted, suggestion = str(context["expected"]), context.get("suggestion")
        if path and path[0] == "systems" and isinstance(details["input"], dict) and wanted.startswith("a known kind"):
            path = (*path, "kind")
            found = repr(details["input"].get("kind"))
    elif kind == "literal_error":
        choices = [choice.strip("'") for choice in str(context["expected"]).replace(" or ", ", ").split(", ")]
        wanted, suggestion = f"one of {', '.join(choices)}", nearest(str(details["input"]), choices)
    else:
        wanted = _WORDS.get(kind, details["msg"].removeprefix("Input should be ").removeprefix("Value should have "))
    return Mistake(path, source.line(path), found, wanted, suggestion)


_WORDS = {
    "string_type": "text",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
    "decimal_parsing": "a number",
    "decimal_type": "a number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "date_from_datetime_parsing": "a date yyyy-mm-dd",
    "date_parsing": "a date yyyy-mm-dd",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "time_type": "a local time hh:mm",
}


def _found(source: Source, path: TreePath, value: Any, model: type[BaseModel] | None) -> str:
    field = model.model_fields.get(str(path[-1])) if model and path else None
    if field is not None and SecretStr in (field.annotation, *get_args(field.annotation)):
        return "a secret that is not shown"
    if path in source.written:
        return repr(source.written[path])
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    return "nothing" if value is None else repr(value)


def _model_at(tree: Any, path: TreePath) -> type[BaseModel] | None:
    """The model that describes the mapping at a path."""
    if len(path) >= 2 and path[0] == "systems" and isinstance(path[1], int):
        system = tree["systems"][path[1]]
        kind = system.get("kind") if isinstance(system, dict) else None
        model: type[BaseModel] | None = config_model(kind) if isinstance(kind, str) else SystemConfig
        path = path[2:]
    else:
        model = _File
    for part in path:
        if isinstance(part, str) and model is not None and part in model.model_fields:
            model = _model_of(model.model_fields[part].annotation)
        elif model is _File:
            return None
    return model


def _model_of(annotation: Any) -> type[BaseModel] | None:
    """The model inside an annotation such as ``tuple[Company, ...]`` or ``PickupConfig | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (tuple, list, dict, Union, types.UnionType, Annotated):
        for argument in get_args(annotation):
            found = _model_of(argument)
            if found is not None:
                return found
    return None
