"""Shop weights in grams: the units that shops weigh in, exactly, and their conversion."""

from __future__ import annotations

from fractions import Fraction

import polars as pl

from resources.connectors.sdk.decode import MICRO_DIGITS

# The avoirdupois pound is 0.45359237 kg by definition (international yard and pound agreement, 1959).
_GRAMS = {
    "kg": Fraction(1000),
    "g": Fraction(1),
    "lb": Fraction(45359237, 100000),
    "lbs": Fraction(45359237, 100000),
    "oz": Fraction(45359237, 1600000),
}


def grams_per(unit: str) -> Fraction:
    """Grams in one unit of a shop's settings; a unit that is not known is taken for kilograms, the shops' own default."""
    return _GRAMS.get(unit.strip().lower(), _GRAMS["kg"])


def grams(weight: pl.Expr, unit_g: Fraction) -> pl.Expr:
    """Whole grams, rounded half up, of a weight in units of ``unit_g`` grams, given as an integer of 1e-8 units."""
    divisor: int = 10**MICRO_DIGITS * unit_g.denominator
    return (weight * unit_g.numerator + divisor // 2) // divisor
