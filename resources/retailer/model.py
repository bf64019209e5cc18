"""The retailer as code sees it: frozen models, whole and cross-checked once loaded. docs/retailer.md explains every key."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from functools import cached_property
from typing import Annotated, Literal, Protocol, TypeVar

from pydantic import Field, model_validator

from resources.errors import ConfigurationError
from resources.retailer.fast_lane import FastLane
from resources.retailer.fields import (
    Code,
    CountryCode,
    CurrencyCode,
    Gln,
    LocalTime,
    NotNegative,
    Percent,
    Positive,
    Siren,
    Text,
    VatId,
    Weekday,
    ZoneName,
    expected,
    holiday_subdivisions,
)
from resources.retailer.guards import Guards
from resources.retailer.incident_rules import IncidentRules
from resources.retailer.names import nearest
from resources.retailer.systems import Declared, SystemConfig

KpiCode = Literal["k1a", "k1b", "k2", "k3a", "k3b", "k4"]
ScopeKind = Literal["everywhere", "company", "channel", "category"]


class Identity(Declared):
    """Who the retailer is, and the languages of its reports, first one the default.

    ``history_from``: the first day that is read by period; what is older belongs to it.
    """

    code: Code
    name: Text
    currency: CurrencyCode
    languages: Annotated[tuple[Literal["fr", "en"], ...], Field(min_length=1)] = ("en",)
    history_from: date = date(2020, 1, 1)


class Company(Declared):
    """A legal entity."""

    code: Code
    name: Text
    country: CountryCode
    siren: Siren | None = None
    vat_id: VatId | None = None

    @model_validator(mode="after")
    def _identifiers_agree(self) -> Company:
        if self.siren and self.country != "FR":
            raise expected(f"no siren for a company in {self.country}: a SIREN is French")
        if self.siren and self.vat_id and self.vat_id.startswith("FR") and self.vat_id[4:] != self.siren:
            raise expected("a French VAT number that ends with the company's SIREN")
        return self


class Calendar(Declared):
    """When a location works, in its own time zone.

    Public holidays come from country and subdivision and are not worked, unless named in ``open_on``;
    ``closed_on`` are further days off. An order after ``cut_off`` counts as the next working day's.
    """

    country: CountryCode
    subdivision: Text | None = None
    working_days: Annotated[tuple[Weekday, ...], Field(min_length=1)]
    opens: LocalTime
    closes: LocalTime
    cut_off: LocalTime
    open_on: tuple[date, ...] = ()
    closed_on: tuple[date, ...] = ()

    @model_validator(mode="after")
    def _is_possible(self) -> Calendar:
        if not self.opens < self.cut_off <= self.closes:
            raise expected("opens before cut_off, and cut_off not after closes")
        both = sorted(set(self.open_on) & set(self.closed_on))
        if both:
            raise expected(f"{both[0]} in open_on or in closed_on, not in both")
        known = holiday_subdivisions(self.country)
        if known is None:
            raise expected(f"a country whose public holidays are known, which those of {self.country} are not")
        if self.subdivision is not None and self.subdivision not in known:
            raise expected(
                f"a subdivision of {self.country} with its own holidays: {', '.join(sorted(known)) or 'it has none'}",
                suggestion=nearest(self.subdivision, known),
            )
        return self


class Location(Declared):
    """A place that holds stock. ``handling_working_days``: working days from a payable order to its hand-over."""

    code: Code
    name: Text
    kind: Literal["warehouse", "store", "transit"]
    company: Code
    gln: Gln | None = None
    time_zone: ZoneName
    calendar: Code
    handling_working_days: NotNegative = 1


class Channel(Declared):
    """A place where the retailer sells.

    ``stock_locations``: the pool it may sell from; ``ships_from``: where its orders are prepared unless an order says
    otherwise. The published quantity is ``min(cap_qty, available - safety_stock_qty)``, known on the channel
    ``sync_promise_minutes`` after it changed; an observation older than ``stock_stale_after_minutes`` says nothing.
    """

    code: Code
    name: Text
    kind: Literal["web", "marketplace", "stores"]
    company: Code
    system: Code
    time_zone: ZoneName
    currency: CurrencyCode
    tax_territory: CountryCode
    price_list: Code
    ships_from: Code | None = None
    stock_locations: Annotated[tuple[Code, ...], Field(min_length=1)]
    safety_stock_qty: NotNegative | None = None
    cap_qty: Positive | None = None
    sync_promise_minutes: NotNegative | None = None
    stock_stale_after_minutes: Positive | None = None
    is_order_acknowledged: bool = False

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Channel:
        if self.kind != "stores":
            needed = ("ships_from", "safety_stock_qty", "sync_promise_minutes", "stock_stale_after_minutes")
            absent = [name for name in needed if getattr(self, name) is None]
            if absent:
                raise expected(f"{', '.join(absent)} for a channel of kind {self.kind}")
        return self


class MasterRule(Declared):
    """Which systems are believed for an attribute of an entity, first to last.

    ``attribute`` is ``default`` for all that no rule names. A rule of a narrower scope wins over ``everywhere``.
    """

    entity: str
    attribute: str
    scope_kind: ScopeKind = "everywhere"
    scope_code: str | None = None
    systems: tuple[Code, ...]


class ParityGroup(Declared):
    """Channels on which a product's price is to be the same."""

    code: Code
    channels: Annotated[tuple[Code, ...], Field(min_length=2)]


class KpiThreshold(Declared):
    """Green at or better than target, red at or worse than alert; not measurable under the minimum coverage.

    ``tolerance_pct``: accepted difference between count and book (K1a); ``window_days``: how long a cohort's returns
    are waited for (K3a); ``legal_refund_days``: days the law gives to refund (K3b).
    """

    target_pct: Percent
    alert_pct: Percent
    minimum_coverage_pct: Percent
    window_days: Positive | None = None
    tolerance_pct: Percent | None = None
    legal_refund_days: Positive | None = None


class _Coded(Protocol):
    @property
    def code(self) -> str: ...


_C = TypeVar("_C", bound=_Coded)


class Retailer(Declared):
    """All of retailer.yaml. Every code that one part names exists in the part it names."""

    version: Literal[1]
    identity: Identity
    companies: tuple[Company, ...]
    calendars: dict[str, Calendar]
    locations: tuple[Location, ...]
    channels: tuple[Channel, ...]
    systems: tuple[SystemConfig, ...]
    masters: tuple[MasterRule, ...]
    parity_groups: tuple[ParityGroup, ...] = ()
    kpis: dict[Code, KpiThreshold]
    guards: Guards = Guards()
    fast_lane: FastLane = FastLane()
    incidents: IncidentRules = IncidentRules()

    def company(self, code: str) -> Company:
        """The company of this code. Raises ConfigurationError when there is none."""
        return _find("company", code, self.companies)

    def location(self, code: str) -> Location:
        """The location of this code. Raises ConfigurationError when there is none."""
        return _find("location", code, self.locations)

    def channel(self, code: str) -> Channel:
        """The channel of this code. Raises ConfigurationError when there is none."""
        return _find("channel", code, self.channels)

    def system(self, code: str) -> SystemConfig:
        """The system of this code. Raises ConfigurationError when there is none."""
        return _find("system", code, self.systems)

    def calendar_of(self, location: Location) -> Calendar:
        """The calendar a location works by."""
        return self.calendars[location.calendar]

    @cached_property
    def masters_by_entity(self) -> dict[str, tuple[MasterRule, ...]]:
        """Master rules by entity, in the order of the file."""
        names = dict.fromkeys(rule.entity for rule in self.masters)
        return {name: tuple(rule for rule in self.masters if rule.entity == name) for name in names}

    def first_master(self, entity: str) -> SystemConfig:
        """The system believed first for an entity, everywhere. Raises ConfigurationError when no rule says."""
        for rule in self.masters_by_entity.get(entity, ()):
            if rule.attribute == "default" and rule.scope_kind == "everywhere":
                return self.system(rule.systems[0])
        raise ConfigurationError(f"no master is declared for {entity}", action=f"add masters.{entity}.default")


def _find(what: str, code: str, declared: Iterable[_C]) -> _C:
    by_code = {item.code: item for item in declared}
    if code in by_code:
        return by_code[code]
    suggestion = nearest(code, by_code)
    raise ConfigurationError(
        f"no {what} {code} in retailer.yaml" + (f", did you mean {suggestion}?" if suggestion else ""),
        action=f"known: {', '.join(sorted(by_code))}",
    )
