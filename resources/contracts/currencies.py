"""Currencies: how many digits the minor unit of each has, and amounts as people and messages write them."""

from __future__ import annotations

# ISO 4217: currencies whose minor unit is not a hundredth
_NO_DIGITS = (
    "BIF",
    "CLP",
    "DJF",
    "GNF",
    "ISK",
    "JPY",
    "KMF",
    "KRW",
    "PYG",
    "RWF",
    "UGX",
    "VND",
    "VUV",
    "XAF",
    "XOF",
    "XPF",
)
_EXPONENTS = {
    **dict.fromkeys(_NO_DIGITS, 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}


def minor_exponent(currency_code: str) -> int:
    """Digits of the minor unit of an ISO 4217 currency: 2 for EUR, 0 for JPY, 3 for KWD."""
    return _EXPONENTS.get(currency_code, 2)


def major_text(minor: int, currency_code: str, *, thousands: str = "", places: int = 0) -> str:
    """Minor units as major units, exactly: 1234 is `12.34` in EUR, `1234` in JPY, `1.234` in KWD.

    ``places``: at least so many decimals, for readers that count them: 1234 JPY is `1234.00` with two.
    """
    digits = minor_exponent(currency_code)
    whole, part = divmod(abs(minor), 10**digits)
    decimals = (f"{part:0{digits}d}" if digits else "").ljust(places, "0")
    text = f"{whole:,}".replace(",", thousands) + (f".{decimals}" if decimals else "")
    return f"-{text}" if minor < 0 else text
