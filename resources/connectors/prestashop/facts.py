"""What must be known of a shop before its rows can be mapped: zone, currencies, countries, tax rates, states. Read once per reading."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from resources.connectors.prestashop.client import PrestaShopClient, is_not_permitted, whole
from resources.connectors.prestashop.lenient import decoder_of
from resources.connectors.prestashop.rows import (
    Configuration,
    Country,
    Currency,
    Group,
    Named,
    ShopRow,
    State,
    Tax,
    TaxRule,
    in_language,
)
from resources.connectors.sdk.decode import plain, scaled_int
from resources.errors import ConfigurationError, PermanentError, Where

T = TypeVar("T")

_CONFIGURATIONS = decoder_of(Configuration)
_CURRENCIES = decoder_of(Currency)
_COUNTRIES = decoder_of(Country)
_STATES = decoder_of(State)
_TAXES = decoder_of(Tax)
_TAX_RULES = decoder_of(TaxRule)
_NAMED = decoder_of(Named)
_GROUPS = decoder_of(Group)
_SHOPS = decoder_of(ShopRow)

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
_SHIPPING = ("PS_OS_SHIPPING", _STATE_NAMES["PS_OS_SHIPPING"][0])
_SETTINGS = (
    "PS_TIMEZONE",
    "PS_CURRENCY_DEFAULT",
    "PS_STOCK_MANAGEMENT",
    "PS_WEIGHT_UNIT",
    "PS_ORDER_OUT_OF_STOCK",
    "PS_TAX",
    "PS_ECOTAX_TAX_RULES_GROUP_ID",
    "PS_UNIDENTIFIED_GROUP",
)


class Notes(list[str]):
    """What a person should know of a reading; each thing is told once."""

    def tell(self, text: str) -> None:
        """Add a note, unless it is there."""
        if text not in self:
            self.append(text)


@dataclass(frozen=True)
class Shop:
    """The shop's own settings, and its clock when they were read. ``is_known``: whether the key may read the settings."""

    settings: Mapping[str, str]
    server_at: datetime | None
    is_known: bool = True

    @property
    def is_taxed(self) -> bool:
        """Whether the shop adds tax to its prices at all."""
        return self.settings.get("PS_TAX", "1") != "0"

    @property
    def ecotax_group_id(self) -> int | None:
        """The tax rule group of the ecotax, 0 for none; None when the settings may not be read."""
        text = self.settings.get("PS_ECOTAX_TAX_RULES_GROUP_ID", "")
        return (int(text) if text.isdecimal() else 0) if self.is_known else None

    @property
    def visitor_group_id(self) -> int:
        """The customer group of a visitor who is not logged in."""
        text = self.settings.get("PS_UNIDENTIFIED_GROUP", "")
        return int(text) if text.isdecimal() and int(text) else 1

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
    """What the numbers of order states mean: ours by number, and which ones say that the money is there.

    ``shipping``: the state that an order enters when it is handed over; None when the shop has none.
    """

    status: Mapping[int, str]
    paid: frozenset[int]
    shipping: int | None = None


def unless_forbidden(read: Callable[[], T], default: T, notes: Notes, resource: str, consequence: str) -> T:
    """What ``read`` gives; ``default``, and a note that tells the consequence, when the key may not read the resource."""
    try:
        return read()
    except PermanentError as error:
        if not is_not_permitted(error):
            raise
        notes.tell(f"the key may not read {resource}: {consequence}")
        return default


def read_shop(client: PrestaShopClient, stream: str, notes: Notes) -> Shop:
    """The settings: a light call, made before any row is read. Without the right to them, those of a fresh shop are taken."""
    names = "|".join((*_SETTINGS, *_STATE_NAMES))

    def read() -> Shop:
        answer = client.rows(
            "configurations",
            {"display": "[id,name,value]", "filter[name]": f"[{names}]"},
            whole(_CONFIGURATIONS),
            stream=stream,
        )
        return Shop({row.name: row.value or "" for row in answer.value}, answer.server_time_at)

    unknown = Shop({}, None, is_known=False)
    return unless_forbidden(
        read, unknown, notes, "configurations", "the settings of a fresh shop are taken for this one's"
    )


def read_shops(client: PrestaShopClient, stream: str, notes: Notes) -> list[ShopRow]:
    """The active shops of the installation; none when the key may not read them."""
    rows: list[ShopRow] = unless_forbidden(
        lambda: client.all_rows("shops", _SHOPS, stream=stream),
        [],
        notes,
        "shops",
        "whether the installation has several shops is not known",
    )
    return [row for row in rows if row.active == "1" and row.deleted != "1"]


def read_group_reduction(client: PrestaShopClient, shop: Shop, stream: str, notes: Notes) -> int:
    """What the group of visitors has off every price, in 1e-8 of a percent."""
    rows: list[Group] = unless_forbidden(
        lambda: client.all_rows(
            "groups",
            _GROUPS,
            stream=stream,
            display="[id,reduction]",
            **{"filter[id]": f"[{shop.visitor_group_id}]"},
        ),
        [],
        notes,
        "groups",
        "prices are computed as if visitors had no reduction",
    )
    reductions = [scaled_int(row.reduction) for row in rows if row.id == shop.visitor_group_id]
    if None in reductions:
        raise PermanentError(
            f"the reduction of customer group {shop.visitor_group_id} is not a number",
            where=Where(stream=stream, field="reduction"),
            action="correct it in Shop parameters > Customer settings > Groups",
        )
    return next((reduction for reduction in reductions if reduction is not None), 0)


def read_currencies(client: PrestaShopClient, stream: str) -> dict[int, str]:
    """Currency number -> ISO 4217."""
    return {row.id: row.iso_code for row in client.all_rows("currencies", _CURRENCIES, stream=stream)}


def default_currency_id(shop: Shop, currencies: Mapping[int, str], system_code: str, stream: str) -> int:
    """The number of the currency that prices are kept in."""
    text = shop.settings.get("PS_CURRENCY_DEFAULT", "")
    if text.isdecimal() and int(text) in currencies:
        return int(text)
    if len(currencies) == 1:
        return next(iter(currencies))
    raise PermanentError(
        "which of the shop's currencies its prices are kept in cannot be read",
        where=Where(system_code=system_code, stream=stream, field="PS_CURRENCY_DEFAULT"),
        action="give the key GET on configurations and currencies in Advanced parameters > Webservice",
    )


def read_countries(client: PrestaShopClient, stream: str) -> dict[int, str]:
    """Country number -> ISO 3166."""
    rows = client.all_rows("countries", _COUNTRIES, stream=stream, display="[id,iso_code]")
    return {row.id: row.iso_code for row in rows}


def read_states(client: PrestaShopClient, shop: Shop, stream: str) -> States:
    """Order states: the known ones by the number that the shop's configuration gives them, a retailer's own ones by their flags."""
    rows = client.all_rows("order_states", _STATES, stream=stream)
    known: dict[int, str] = {}
    for name, (default, status) in _STATE_NAMES.items():
        known[_number(shop, name, default)] = status
    ours = {
        row.id: known.get(row.id, "shipped" if row.shipped == "1" else "payable" if row.paid == "1" else "pending")
        for row in rows
    }
    own = _number(shop, *_SHIPPING)
    handed_over = [row.id for row in rows if row.shipped == "1" and row.deleted != "1" and ours[row.id] == "shipped"]
    shipping = own if own in handed_over else next(iter(handed_over), None)
    return States(ours, frozenset(row.id for row in rows if row.paid == "1"), shipping)


def _number(shop: Shop, name: str, default: int) -> int:
    text = shop.settings.get(name, "")
    return int(text) if text.isdigit() else default


def read_tax_rates(
    client: PrestaShopClient, shop: Shop, countries: Mapping[int, str], territory: str, system_code: str, stream: str
) -> dict[int, int]:
    """Tax rule group -> rate in basis points for the home territory; group 0 is no tax. All are 0 where tax is switched off."""
    home = next((number for number, code in countries.items() if code == territory), None)
    if home is None:
        raise ConfigurationError(
            f"the shop does not know the country {territory} that the channel declares as tax_territory",
            where=Where(system_code=system_code, stream=stream, field="tax_territory"),
            action="correct the channel's tax_territory in retailer.yaml",
        )
    rates = {row.id: _basis_points(row, system_code, stream) for row in client.all_rows("taxes", _TAXES, stream=stream)}
    rules = client.all_rows("tax_rules", _TAX_RULES, stream=stream, **{"filter[id_country]": f"[{home}]"})
    found = {
        rule.id_tax_rules_group: rates.get(rule.id_tax, 0) if shop.is_taxed else 0
        for rule in rules
        if rule.id_state == 0 and rule.zipcode_from in ("0", "") and rule.id_country == home
    }
    return {0: 0, **found}


def _basis_points(tax: Tax, system_code: str, stream: str) -> int:
    rate = scaled_int(tax.rate)
    if rate is None:
        raise PermanentError(
            f"tax {tax.id}: {tax.rate!r} is not a rate",
            where=Where(system_code=system_code, stream=stream, field="rate"),
            action="correct it in International > Taxes",
        )
    return rate // 10**6


def read_names(client: PrestaShopClient, resource: str, language_id: int, stream: str) -> dict[int, str]:
    """Number -> plain name of a small translated collection, in the retailer's language."""
    rows = client.all_rows(resource, _NAMED, stream=stream, display="[id,name]")
    return {row.id: plain(in_language(row.name, language_id)) for row in rows}
