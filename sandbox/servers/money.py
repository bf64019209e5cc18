"""Amounts and times as shops print them.

Belongs here: pure conversions shared by the two dialects. Money comes in minor units, VAT included; rates in basis points.
"""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import polars as pl

MICRO = 1_000_000


def half_up(numerator: int, denominator: int) -> int:
    """Integer quotient rounded half away from zero."""
    sign = -1 if (numerator < 0) != (denominator < 0) else 1
    return sign * ((2 * abs(numerator) + abs(denominator)) // (2 * abs(denominator)))


def net_of(gross_minor: int, rate_bp: int) -> int:
    """Amount without VAT, minor units, of an amount with it."""
    return half_up(gross_minor * 10_000, 10_000 + rate_bp)


def net_micro(gross_minor: int, rate_bp: int) -> int:
    """Amount without VAT in millionths of the currency's unit, as PrestaShop stores prices."""
    return half_up(gross_minor * 10_000 * 10_000, 10_000 + rate_bp)


def six_decimals(micro: int) -> str:
    """Millionths as "12.345678"."""
    sign, micro = ("-", -micro) if micro < 0 else ("", micro)
    return f"{sign}{micro // MICRO}.{micro % MICRO:06d}"


def minor_six(minor: int) -> str:
    """Minor units as "12.340000"."""
    return six_decimals(minor * 10_000)


def two_decimals(minor: int) -> str:
    """Minor units as "12.34"."""
    sign, minor = ("-", -minor) if minor < 0 else ("", minor)
    return f"{sign}{minor // 100}.{minor % 100:02d}"


def as_utc(column: pl.Series) -> pl.Series:
    """Instants with their zone, whether the frame said UTC or left it out."""
    return (
        column
        if column.dtype == pl.Datetime("us", "UTC")
        else column.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    )


def minor_of(text: str) -> int:
    """ "12.34" in minor units."""
    sign = -1 if text.startswith("-") else 1
    whole, _, decimals = text.lstrip("-").partition(".")
    return sign * (int(whole or 0) * 100 + int((decimals + "00")[:2]))


def printed(column: pl.Series, zone: str, pattern: str) -> list[str | None]:
    """Instants as a shop prints them in its zone."""
    return as_utc(column).dt.convert_time_zone(zone).dt.strftime(pattern).to_list()


def printed_one(instant: datetime, zone: str, pattern: str) -> str:
    """One instant as a shop prints it in its zone; a naive one is UTC."""
    aware = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return aware.astimezone(ZoneInfo(zone)).strftime(pattern)
