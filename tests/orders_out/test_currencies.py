"""Amounts as people and messages write them: exact in every currency."""

from __future__ import annotations

import pytest

from resources.contracts.currencies import major_text


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (0, "EUR", "0.00"), (5, "EUR", "0.05"), (-5, "EUR", "-0.05"), (123456, "EUR", "1234.56"),
        (1234, "JPY", "1234"), (-7, "JPY", "-7"), (1234, "KWD", "1.234"), (-1, "KWD", "-0.001"), (1234, "", "12.34"),
    ],
)  # fmt: skip
def test_minor_units_in_words(minor: int, currency: str, text: str) -> None:
    assert major_text(minor, currency) == text


def test_thousands_and_places() -> None:
    assert major_text(123456789, "EUR", thousands=",") == "1,234,567.89"
    assert major_text(1234, "JPY", places=2) == "1234.00"
    assert major_text(1234, "KWD", places=2) == "1.234"
