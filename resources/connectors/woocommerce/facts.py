"""What must be known of a shop before its rows can be mapped: currency, whether prices include tax, tax rates. Read once per reading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

import msgspec

from resources.connectors.sdk.decode import MICRO_DIGITS, scaled_int
from resources.connectors.sdk.weights import grams_per
from resources.connectors.woocommerce.client import LARGEST_PAGE, WooClient
from resources.connectors.woocommerce.rows import Currency, Rate, Setting
from resources.errors import PermanentError, Where

_CURRENCY = msgspec.json.Decoder(Currency)
_SETTINGS = msgspec.json.Decoder(list[Setting])
_RATES = msgspec.json.Decoder(list[Rate])


@dataclass(frozen=True)
class Terms:
    """How prices and VAT go together in a shop, for buyers of one territory, and grams in the shop's unit of weight.

    ``rates_ppm``: tax class -> its rates in millionths, one per priority; a class that is absent is not taxed. ``is_included``: prices
    hold the tax. ``is_rounded_per_rate``: the shop rounds the tax of each rate to ``price_decimals`` before it adds it.
    """

    is_included: bool
    rates_ppm: Mapping[str, tuple[int, ...]]
    weight_unit_g: Fraction = Fraction(1000)
    is_rounded_per_rate: bool = True
    price_decimals: int = 2

    @property
    def rate_bp(self) -> dict[str, int]:
        """Tax class -> all its rates together, in basis points."""
        return {name: (sum(rates) + 50) // 100 for name, rates in self.rates_ppm.items()}


def read_currency(client: WooClient, stream: str) -> tuple[str, datetime | None]:
    """The shop's ISO 4217 currency, and its clock at that moment: a light call, made before any row is read."""
    answer = client.get("/data/currencies/current", {}, _CURRENCY.decode, stream=stream)
    return answer.value.code, answer.server_time_at


def read_terms(client: WooClient, territory: str, system_code: str, stream: str) -> Terms:
    """How prices and VAT go together in this shop, for buyers of ``territory`` (ISO 3166).

    A shop that does not calculate taxes (what a new one does) sells at the price it gives, whatever its other settings say.
    """
    values = {**_settings(client, "general", stream), **_settings(client, "tax", stream)}
    for name in ("woocommerce_calc_taxes", "woocommerce_prices_include_tax"):
        if name not in values:
            raise PermanentError(
                "the shop does not say whether its prices include tax",
                where=Where(system_code=system_code, stream=stream, field=name),
                action="give the key the right to read settings",
            )
    is_taxed = values["woocommerce_calc_taxes"] == "yes"
    decimals = values.get("woocommerce_price_num_decimals", "2")
    return Terms(
        not is_taxed or values["woocommerce_prices_include_tax"] == "yes",
        rates_of(_rates(client, stream), territory) if is_taxed else {},
        grams_per(_settings(client, "products", stream).get("woocommerce_weight_unit", "kg")),
        values.get("woocommerce_tax_round_at_subtotal") != "yes",
        min(int(decimals), MICRO_DIGITS) if decimals.isdigit() else 2,
    )


def _settings(client: WooClient, group: str, stream: str) -> dict[str, str]:
    answer = client.get(f"/settings/{group}", {"_fields": "id,value,default,type"}, _SETTINGS.decode, stream=stream)
    return {setting.id: str(msgspec.json.decode(setting.value)) for setting in answer.value}


def _rates(client: WooClient, stream: str) -> list[Rate]:
    rates: list[Rate] = []
    page = 1
    while True:
        answer = client.get(
            "/taxes",
            {"orderby": "id", "order": "asc", "per_page": str(LARGEST_PAGE), "page": str(page)},
            _RATES.decode,
            stream=stream,
        )
        rates += answer.value
        if len(answer.value) < LARGEST_PAGE:
            return rates
        page += 1


def rates_of(rates: list[Rate], territory: str) -> dict[str, tuple[int, ...]]:
    """Tax class -> rates in millionths of the price for a buyer of a territory whose region and town are not known.

    As the shop does: of each priority one rate, the territory's own before the one of every country, and those of all priorities are
    added; a compound one is taken on the price with the taxes before it. Never a rate of one region or town.
    """
    whole = [
        rate
        for rate in rates
        if rate.country in (territory, "")
        and not (rate.state or rate.postcode or rate.city or rate.postcodes or rate.cities)
    ]
    chosen: dict[str, dict[int, Fraction]] = {}
    for rate in sorted(whole, key=lambda rate: (rate.priority, rate.country == "", rate.order, rate.id)):
        amount = scaled_int(rate.rate)
        if amount is None:
            continue
        of_class = chosen.setdefault("" if rate.tax_class == "standard" else rate.tax_class, {})
        if rate.priority in of_class:
            continue
        share = Fraction(amount, 100 * 10**MICRO_DIGITS)
        of_class[rate.priority] = share * (1 + sum(of_class.values())) if rate.compound else share
    return {name: tuple(round(share * 10**6) for share in shares.values()) for name, shares in chosen.items()}
