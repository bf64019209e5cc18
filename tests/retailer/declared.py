"""The project's own retailer.yaml as text, the variables it needs, and a way to put one mistake in it."""

from __future__ import annotations

from pathlib import Path

from resources.retailer import Retailer, parse_retailer

TEXT = (Path(__file__).parents[2] / "retailer.yaml").read_text(encoding="utf-8")
VARIABLES = {
    "ETALON_DROPS": "/drops",
    "ETALON_SHOP_FR_URL": "http://127.0.0.1:8001/",
    "ETALON_SHOP_FR_KEY": "key-of-fr",
    "ETALON_SHOP_BE_URL": "https://shop.example/be",
    "ETALON_SHOP_BE_KEY": "key-of-be",
    "ETALON_SHOP_BE_SECRET": "secret-of-be",
    "ETALON_SHOP_BE_WEBHOOK_SECRET": "webhook-secret-of-be",
}


def with_change(given: str, instead: str) -> str:
    """The file with one text replaced where it stands first."""
    assert given in TEXT, f"retailer.yaml no longer holds {given!r}"
    return TEXT.replace(given, instead, 1)


def line_of(text: str, needle: str) -> int:
    """The line (from 1) on which a text stands first."""
    return text[: text.index(needle)].count("\n") + 1


def retailer(text: str = TEXT) -> Retailer:
    """The retailer of a text that has no mistake."""
    return parse_retailer(text, VARIABLES)
