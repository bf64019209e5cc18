"""What must be known of a shop before its rows can be mapped: zone, currencies, countries, tax rates, states. Read once per reading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from resources.connectors.prestashop.client import PrestaShopClient, whole
from resources.connectors.prestashop.rows import (
    Configuration,
    Country,
    Currency,
    Named,
    State,
    Tax,
    TaxRule,
    in_language,
)
from resources.connectors.sdk.decode import RowDecoder, plain, scaled_int
from resources.errors import ConfigurationError, Where

_CONFIGURATIONS: RowDecoder[Configuration] = RowDecoder(Configuration, wrapped=True, strict=False)
_CURRENCIES: RowDecoder[Currency] = RowDecoder(Currency, wrapped=True, strict=False)
_COUNTRIES: RowDecoder[Country] = RowDecoder(Country, wrapped=True, strict=False)
_STATES: RowDecoder[State] = RowDecoder(State, wrapped=True, strict=False)
_TAXES: RowDecoder[Tax] = RowDecoder(Tax, wrapped=True, strict=False)
_TAX_RULES: RowDecoder[TaxRule] = RowDecoder(TaxRule, wrapped=True, strict=False)
_NAMED: RowDecoder[Named] = RowDecoder(Named, wrapped=True, strict=False)

# PrestaShop keeps the numbers of its own states in its configuration; these are those of a fresh shop
_STATE_NAMES = {
    "PS_OS_CHEQUE": (1, "on_hold"),
    "PS_OS_SHIPPING": (4, "shipped"),
    "PS_OS_DELIVERED": (5, "delivered"),
    "PS_OS_CANCELED": (6, "cancelled"),
    "PS_OS_REFUND": (7, "refunded"),
    "PS_OS_ERROR": (8, "failed"),
    "PS_OS_OUTOFSTOCK_UNPAID": (12, "on_hold"),
    "PS_OS_COD_VALIDATION": (13, "on_hold"),
}
_SETTINGS = ("PS_TIMEZONE", "PS_CURRENCY_DEFAULT", "PS_STOCK_MANAGEMENT", "PS_WEIGHT_UNIT", "PS_ORDER_OUT_OF_STOCK")


@dataclass(frozen=True)
class Shop:
    """The shop's own settings, and its clock when they were read."""

    settings: Mapping[str, str]
    server_at: datetime | None

    @property
    def is_stock_managed(self) -> bool:
        """Whether the shop keeps stocks at all."""
        return self.settings.get("PS_STOCK_MANAGEMENT", "1") == "1"

    @property
    def is_backorder_default(self) -> bool:
        """Whether items that follow the shop's rule may be sold below zero."""
        return self.settings.get("PS_ORDER_OUT_OF_STOCK", "0") == "1"


@dataclass(frozen=True)
class States:
    """What the numbers of order states mean: ours by number, and which ones say that the money is there."""

    status: Mapping[int, str]
    paid: frozenset[int]


def read_shop(client: PrestaShopClient, stream: str) -> Shop:
    """The settings: a light call, made before any row is read."""
    names = "|".join((*_SETTINGS, *_STATE_NAMES))
    answer = client.rows(
        "configurations",
        {"display": "[id,name,value]", "filter[name]": f"[{names}]"},
        whole(_CONFIGURATIONS),
        stream=stream,
    )
    settings = {row.name: row.value or "" for row in answer.value}
    return Shop(settings, answer.server_time_at)


def read_currencies(client: PrestaShopClient, stream: str) -> dict[int, str]:
    """Currency number -> ISO 4217."""
    return {row.id: row.iso_code for row in client.all_rows("currencies", _CURRENCIES, stream=stream)}


def read_countries(client: PrestaShopClient, stream: str) -> dict[int, str]:
    """Country number -> ISO 3166."""
    rows = client.all_rows("countries", _COUNTRIES, stream=stream, display="[id,iso_code]")
    return {row.id: row.iso_code for row in rows}


def read_states(client: PrestaShopClient, shop: Shop, stream: str) -> States:
    """Order states: the known ones by the number that the shop's configuration gives them, a retailer's own ones by their flags."""
    rows = client.all_rows("order_states", _STATES, stream=stream)
    known: dict[int, str] = {}
    for name, (default, status) in _STATE_NAMES.items():
        text = shop.settings.get(name, "")
        known[int(text) if text.isdigit() else default] = status
    ours = {
        row.id: known.get(row.id, "shipped" if row.shipped == "1" else "payable" if row.paid == "1" else "pending")
        for row in rows
    }
    return States(ours, frozenset(row.id for row in rows if row.paid == "1"))


def read_tax_rates(
    client: PrestaShopClient, countries: Mapping[int, str], territory: str, system_code: str, stream: str
) -> dict[int, int]:
    """Tax rule group -> rate in basis points for the home territory; group 0 is no tax."""
    home = next((number for number, code in countries.items() if code == territory), None)
    if home is None:
        raise ConfigurationError(
            f"the shop does not know the country {territory} that the channel declares as tax_territory",
            where=Where(system_code=system_code, stream=stream, field="tax_territory"),
            action="correct the channel's tax_territory in retailer.yaml",
        )
    rates = {row.id: (scaled_int(row.rate) or 0) // 10**6 for row in client.all_rows("taxes", _TAXES, stream=stream)}
    rules = client.all_rows("tax_rules", _TAX_RULES, stream=stream, **{"filter[id_country]": f"[{home}]"})
    found = {
        rule.id_tax_rules_group: rates.get(rule.id_tax, 0)
        for rule in rules
        if rule.id_state == 0 and rule.zipcode_from in ("0", "") and rule.id_country == home
    }
    return {0: 0, **found}


def read_names(client: PrestaShopClient, resource: str, language_id: int, stream: str) -> dict[int, str]:
    """Number -> plain name of a small translated collection, in the retailer's language."""
    rows = client.all_rows(resource, _NAMED, stream=stream, display="[id,name]")
    return {row.id: plain(in_language(row.name, language_id)) for row in rows}
