"""The kinds of value that retailer.yaml holds, each with its check and the words that say what was expected."""

from __future__ import annotations

import re
import zoneinfo
from datetime import time
from decimal import Decimal
from functools import cache
from typing import Annotated, Literal

import holidays
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, StringConstraints
from pydantic_core import PydanticCustomError

from resources.retailer.iso_codes import COUNTRIES, CURRENCIES
from resources.retailer.names import nearest

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def expected(text: str, *, suggestion: str | None = None) -> PydanticCustomError:
    """The error of a value: what was expected in its place, and the nearest known name for a typing slip."""
    return PydanticCustomError("expected", "{expected}", {"expected": text, "suggestion": suggestion})


def gs1_check_digit(digits: str) -> int:
    """The GS1 modulo-10 check digit of ``digits`` (GTIN, GLN, SSCC without their last digit).

    Source: GS1 General Specifications, section 7.9.
    """
    total = sum(int(digit) * (3 if position % 2 == 0 else 1) for position, digit in enumerate(reversed(digits)))
    return -total % 10


def _luhn_ok(digits: str) -> bool:
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if position % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _code(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}", value):
        raise expected("a code: 1 to 40 letters, digits, - or _, starting with a letter or a digit")
    return value


def _gln(value: str) -> str:
    if not re.fullmatch(r"[0-9]{13}", value):
        raise expected("a GLN: 13 digits (GS1)")
    check_digit = gs1_check_digit(value[:12])
    if int(value[12]) != check_digit:
        raise expected(f"a GLN whose check digit is right: after {value[:12]} comes {check_digit}")
    return value


def _siren(value: str) -> str:
    digits = value.replace(" ", "")
    if not re.fullmatch(r"[0-9]{9}", digits):
        raise expected("a SIREN: 9 digits")
    if not _luhn_ok(digits):
        raise expected("a SIREN whose check digit is right (Luhn over its 9 digits)")
    return digits


def _vat_id(value: str) -> str:
    """Check digits for France (two, over the SIREN) and Belgium (modulo 97); the shape alone for other countries."""
    number = re.sub(r"[ .]", "", value).upper()
    if not re.fullmatch(r"[A-Z]{2}[0-9A-Z+*]{2,13}", number):
        raise expected("a VAT number: a country's two letters, then 2 to 13 letters or digits")
    if number.startswith("FR"):
        if not re.fullmatch(r"FR[0-9A-HJ-NP-Z]{2}[0-9]{9}", number):
            raise expected("a French VAT number: FR, a two-character key, then the SIREN")
        key = (12 + 3 * (int(number[4:]) % 97)) % 97
        if number[2:4].isdigit() and int(number[2:4]) != key:
            raise expected(f"a French VAT number whose key is right: for SIREN {number[4:]} it is FR{key:02d}")
    if number.startswith("BE"):
        if not re.fullmatch(r"BE[01][0-9]{9}", number):
            raise expected("a Belgian VAT number: BE, then 10 digits that start with 0 or 1")
        key = 97 - int(number[2:10]) % 97
        if int(number[10:]) != key:
            raise expected(f"a Belgian VAT number whose check digits are right: after {number[:10]} come {key:02d}")
    return number


@cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def _zone(value: str) -> str:
    if value not in _zones():
        raise expected("an IANA time zone such as Europe/Paris", suggestion=nearest(value, [*_zones(), "Europe/Paris"]))
    return value


def _currency(value: str) -> str:
    if value not in CURRENCIES:
        raise expected("an ISO 4217 currency such as EUR", suggestion=nearest(value, CURRENCIES))
    return value


def _country(value: str) -> str:
    if value not in COUNTRIES:
        raise expected("an ISO 3166-1 alpha-2 country such as FR", suggestion=nearest(value, COUNTRIES))
    return value


def _local_time(value: object) -> object:
    if isinstance(value, str):
        if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", value):
            raise expected("a local time hh:mm between 00:00 and 23:59")
        return time.fromisoformat(value)
    return value


def _url(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/@?#]+(/[^\s?#]*)?", value):
        raise expected("an address https://host[:port][/path] without user, query or fragment")
    return value.rstrip("/")


def _proxy(value: SecretStr | None) -> SecretStr | None:
    if value is not None and not re.fullmatch(r"https?://([^\s/@?#]+@)?[^\s/@?#]+/?", value.get_secret_value()):
        raise expected("a proxy http://[user:password@]host[:port]")
    return value


def _percent(value: Decimal) -> Decimal:
    if not Decimal(0) <= value <= Decimal(100) or value != round(value, 3):
        raise expected("a share in percent, 0 to 100, at most three decimals")
    return value


@cache
def holiday_subdivisions(country: str) -> frozenset[str] | None:
    """The subdivisions whose own public holidays are known, or None for a country whose holidays are not."""
    known = holidays.list_supported_countries().get(country)
    return None if known is None else frozenset(known)


Code = Annotated[str, AfterValidator(_code)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Gln = Annotated[str, AfterValidator(_gln)]
Siren = Annotated[str, AfterValidator(_siren)]
VatId = Annotated[str, AfterValidator(_vat_id)]
ZoneName = Annotated[str, AfterValidator(_zone)]
CurrencyCode = Annotated[str, AfterValidator(_currency)]
CountryCode = Annotated[str, AfterValidator(_country)]
LocalTime = Annotated[time, BeforeValidator(_local_time)]
ProxyUrl = Annotated[SecretStr | None, AfterValidator(_proxy)]
BaseUrl = Annotated[str, AfterValidator(_url)]
Percent = Annotated[Decimal, AfterValidator(_percent)]
NotNegative = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
