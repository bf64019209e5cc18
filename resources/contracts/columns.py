"""The kinds of column a canonical entity may have: type, unit, PII class and default rules. No entity is declared here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandera.polars as pa
import polars as pl

INSTANT = pl.Datetime("us", "UTC")


def _column(
    dtype: Any,
    description: str,
    checks: Sequence[pa.Check] = (),
    *,
    nullable: bool,
    unit: str | None = None,
    pii: str | None = None,
) -> pa.Column:
    metadata = {key: value for key, value in (("unit", unit), ("pii", pii)) if value is not None}
    return pa.Column(dtype, list(checks), nullable=nullable, description=description, metadata=metadata)


def text(description: str, *checks: pa.Check, nullable: bool = True, pii: str | None = None) -> pa.Column:
    """Free text as the source gave it, trimmed; empty text is null."""
    return _column(pl.String, description, checks, nullable=nullable, pii=pii)


def code(description: str, *checks: pa.Check, nullable: bool = False) -> pa.Column:
    """An identifier or code: text, never empty."""
    return _column(
        pl.String, description, [pa.Check.str_length(min_value=1, name="not_empty"), *checks], nullable=nullable
    )


def one_of(description: str, *values: str, nullable: bool = False) -> pa.Column:
    """A code out of a closed list."""
    checks = [pa.Check.isin(list(values), name="known_value", error=f"one of {', '.join(values)}")]
    return _column(pl.String, f"{description} One of: {', '.join(values)}.", checks, nullable=nullable)


def instant(description: str, *, nullable: bool = False) -> pa.Column:
    """An instant in UTC, microseconds, between 2000 and 2100 (a date outside is a typing error)."""
    low, high = pl.datetime(2000, 1, 1, time_zone="UTC"), pl.datetime(2100, 1, 1, time_zone="UTC")
    sane = pa.Check(
        lambda data: data.lazyframe.select(pl.col(data.key).is_between(low, high)),
        name="plausible_instant",
        error="between 2000-01-01 and 2100-01-01 UTC",
    )
    return _column(INSTANT, description, [sane], nullable=nullable, unit="UTC instant")


def minor(description: str, *checks: pa.Check, nullable: bool = False) -> pa.Column:
    """Money in minor units of its currency (cents), integer."""
    return _column(pl.Int64, description, checks, nullable=nullable, unit="minor units")


def units(description: str, *checks: pa.Check, nullable: bool = False) -> pa.Column:
    """A quantity in sales units, integer."""
    return _column(pl.Int64, description, checks, nullable=nullable, unit="units")


def basis_points(description: str, *, nullable: bool = False) -> pa.Column:
    """A rate in hundredths of a percent: 20 % is 2000."""
    return _column(
        pl.Int64,
        description,
        [pa.Check.in_range(0, 10_000, name="rate_in_0_100_pct")],
        nullable=nullable,
        unit="basis points",
    )


def integer(description: str, *checks: pa.Check, unit: str | None = None, nullable: bool = False) -> pa.Column:
    """A whole number with its unit, if it has one."""
    return _column(pl.Int64, description, checks, nullable=nullable, unit=unit)


def flag(description: str, *, nullable: bool = False) -> pa.Column:
    """A yes or no."""
    return _column(pl.Boolean, description, nullable=nullable)


def token(description: str) -> pa.Column:
    """A keyed HMAC-SHA256 of a personal value, 64 hex digits: joinable, not readable."""
    checks = [pa.Check.str_matches(r"^[0-9a-f]{64}$", name="is_token")]
    return _column(pl.String, description, checks, nullable=True, pii="token")


def currency(description: str = "ISO 4217 code of the amounts of this row.", *, nullable: bool = False) -> pa.Column:
    """An ISO 4217 alphabetic code."""
    return _column(pl.String, description, [pa.Check.str_matches(r"^[A-Z]{3}$", name="iso_4217")], nullable=nullable)


def country(description: str) -> pa.Column:
    """An ISO 3166-1 alpha-2 code."""
    return _column(pl.String, description, [pa.Check.str_matches(r"^[A-Z]{2}$", name="iso_3166")], nullable=True)


positive = pa.Check.gt(0, name="positive", error="greater than zero")
not_negative = pa.Check.ge(0, name="not_negative", error="zero or more")


def at_most(limit: int) -> pa.Check:
    """No more than ``limit``: what is above is a typing error, such as a barcode scanned into the quantity."""
    return pa.Check.le(limit, name="at_most", error=f"{limit} or less")
