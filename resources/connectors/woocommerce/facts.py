"""What must be known of a shop before its rows can be mapped: currency, whether prices include tax, tax rates. Read once per reading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

import msgspec

from resources.connectors.sdk.decode import scaled_int
from resources.connectors.woocommerce.client import LARGEST_PAGE, WooClient
from resources.connectors.woocommerce.rows import Currency, Rate, Setting
from resources.errors import PermanentError, Where

_CURRENCY = msgspec.json.Decoder(Currency)
_SETTINGS = msgspec.json.Decoder(list[Setting])
_WEIGHT_UNITS_G = {
    "kg": Fraction(1000),
    "g": Fraction(1),
    "lbs": Fraction(45359237, 100000),
    "oz": Fraction(45359237, 1600000),
}
_RATES = msgspec.json.Decoder(list[Rate])


@dataclass(frozen=True)
class Terms:
    """VAT of the shop's home territory, by tax class in basis points, and grams in the shop's unit of weight."""

    is_included: bool
    rate_bp: Mapping[str, int]
    weight_unit_g: Fraction = Fraction(1000)


def read_currency(client: WooClient, stream: str) -> tuple[str, datetime | None]:
    """The shop's ISO 4217 currency, and its clock at that moment: a light call, made before any row is read."""
    answer = client.get("/data/currencies/current", {}, _CURRENCY.decode, stream=stream)
    return answer.value.code, answer.server_time_at


def read_terms(client: WooClient, territory: str, system_code: str, stream: str) -> Terms:
    """How prices and VAT go together in this shop, for buyers of ``territory`` (ISO 3166)."""
    settings = client.get("/settings/tax", {"_fields": "id,value,default,type"}, _SETTINGS.decode, stream=stream).value
    values = {setting.id: bytes(setting.value) for setting in settings}
    if "woocommerce_prices_include_tax" not in values:
        raise PermanentError(
            "the shop does not say whether its prices include tax",
            where=Where(system_code=system_code, stream=stream, field="woocommerce_prices_include_tax"),
            action="give the key the right to read settings",
        )
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
            break
        page += 1
    weight_unit = _setting(client, "/settings/products", "woocommerce_weight_unit", stream)
    return Terms(
        values["woocommerce_prices_include_tax"] == b'"yes"',
        rates_of(rates, territory),
        _WEIGHT_UNITS_G.get(weight_unit or "kg", Fraction(1000)),
    )


def _setting(client: WooClient, path: str, name: str, stream: str) -> str | None:
    answer = client.get(path, {"_fields": "id,value,default,type"}, _SETTINGS.decode, stream=stream)
    for setting in answer.value:
        if setting.id == name:
            return str(msgspec.json.decode(setting.value))
    return None


def rates_of(rates: list[Rate], territory: str) -> dict[str, int]:
    """Tax class -> rate in basis points for a territory: its own rate, else the one of every country; never one of a region or town."""
    chosen: dict[str, tuple[int, int]] = {}
    for rate in rates:
        if rate.country not in (territory, "") or rate.state or rate.postcode:
            continue
        amount = scaled_int(rate.rate)
        if amount is None:
            continue
        rank = 0 if rate.country == territory else 1
        name = "" if rate.tax_class == "standard" else rate.tax_class
        if name not in chosen or rank < chosen[name][0]:
            chosen[name] = (rank, amount // 10**6)
    return {name: rate_bp for name, (_, rate_bp) in chosen.items()}
