"""Chance that is the same every time: one random stream per subject, so that a change to one subject leaves the others alone."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

Ints = NDArray[np.int64]

INSTANT = pl.Datetime("us", "UTC")


def dice(seed: int, subject: str) -> np.random.Generator:
    """The random stream of one subject of one world."""
    return np.random.default_rng([seed, zlib.crc32(subject.encode())])


def plant(
    rng: np.random.Generator, size: int, shares: Mapping[str, float], *, least: int = 2, default: str = "none"
) -> pl.Series:
    """Label `size` rows: each label gets its share of them and at least `least`; the rest get `default`.

    Raises ValueError when there are too few rows for that: the world asked for is too small to hold its defects.
    """
    counts = [max(least, round(share * size)) for share in shares.values()]
    if sum(counts) > size:
        message = f"{size} rows cannot hold {sum(counts)} planted cases ({', '.join(shares)}): ask for a larger world"
        raise ValueError(message)
    codes = np.zeros(size, dtype=np.int64)
    codes[rng.permutation(size)[: sum(counts)]] = np.repeat(np.arange(1, len(counts) + 1), counts)
    return pl.Series([default, *shares], dtype=pl.String).gather(codes)


def instants(seconds: Ints) -> pl.Series:
    """Whole seconds since 1970 as instants in UTC, microseconds."""
    return pl.Series(seconds * 1_000_000, dtype=pl.Int64).cast(INSTANT)


def half_up(numerator: pl.Expr, denominator: pl.Expr | int) -> pl.Expr:
    """numerator / denominator, rounded half up, both integers and not negative."""
    return (2 * numerator + denominator) // (2 * denominator)


def net_of(gross: pl.Expr, rate_bp: pl.Expr) -> pl.Expr:
    """An amount without VAT, from one with it; a negative amount mirrors the positive one."""
    return half_up(gross.abs() * 10_000, 10_000 + rate_bp) * gross.sign()


def gross_of(net: pl.Expr, rate_bp: pl.Expr) -> pl.Expr:
    """An amount with VAT, from one without it."""
    return half_up(net * (10_000 + rate_bp), 10_000)
