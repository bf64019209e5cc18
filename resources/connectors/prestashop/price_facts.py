"""What prices depend on besides their own rows: currency, tax rates, the visitor and his group's reduction. Read once for many prices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from resources.connectors.prestashop.client import PrestaShopClient
from resources.connectors.prestashop.facts import (
    Notes,
    Shop,
    default_currency_id,
    read_countries,
    read_currencies,
    read_group_reduction,
    read_tax_rates,
)
from resources.connectors.prestashop.prices import Public, Terms, Visitor
from resources.connectors.prestashop.rows import Product
from resources.connectors.prestashop.scope import Scope


@dataclass(frozen=True)
class PriceFacts:
    """A shop's rates and its visitor, from which the terms of prices of one moment are made."""

    visitor: Visitor
    currency_code: str
    tax_rates_bp: Mapping[int, int]
    ecotax_rate_bp: int | None
    group_reduction: int
    zone: str
    channel_code: str

    def terms(self, at: datetime, parents: Mapping[int, Product], specific: Public) -> Terms:
        """The terms of prices at an instant."""
        return Terms(
            currency_code=self.currency_code,
            tax_rates_bp=self.tax_rates_bp,
            ecotax_rate_bp=self.ecotax_rate_bp,
            group_reduction=self.group_reduction,
            local_now=at.astimezone(ZoneInfo(self.zone)).strftime("%Y-%m-%d %H:%M:%S"),
            zone=self.zone,
            channel_code=self.channel_code,
            parents=parents,
            specific=specific,
        )


def read_price_facts(
    client: PrestaShopClient,
    shop: Shop,
    scope: Scope,
    notes: Notes,
    *,
    territory: str,
    zone: str,
    channel_code: str,
    system_code: str,
    stream: str,
) -> PriceFacts:
    """Read them. Raises ConfigurationError for a territory that the shop does not know."""
    currencies = read_currencies(client, stream)
    countries = read_countries(client, stream)
    rates = read_tax_rates(client, shop, countries, territory, system_code, stream)
    country_id = next(number for number, code in countries.items() if code == territory)
    currency_id = default_currency_id(shop, currencies, system_code, stream)
    ecotax_group_id = shop.ecotax_group_id
    if ecotax_group_id is None:
        notes.tell("how the ecotax is taxed is not known: items that have one get no price")
    return PriceFacts(
        visitor=Visitor(currency_id, country_id, shop.visitor_group_id, scope.shop_id, scope.shop_group_id),
        currency_code=currencies[currency_id],
        tax_rates_bp=rates,
        ecotax_rate_bp=None if ecotax_group_id is None else rates.get(ecotax_group_id, 0),
        group_reduction=read_group_reduction(client, shop, stream, notes),
        zone=zone,
        channel_code=channel_code,
    )
