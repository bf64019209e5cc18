"""Money, dates and text: what goes in, what must come out. A value that cannot be read is refused with its reason, never a quiet null."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.connectors.sdk.decode import (
    Field,
    convert,
    item_id,
    local_filter_text,
    local_instant,
    money,
    plain,
    plain_text,
    scaled,
    scaled_int,
    utc_instant,
)


def converted(field: Field, **row: object) -> tuple[object, str | None]:
    """One row through one conversion: (value, reason of the refusal)."""
    frame = pl.DataFrame({name: [value] for name, value in {"source_position": "page 1 row 1", **row}.items()})
    good, rejects = convert(frame, [field], entity="order", raw_text=lambda position: "{}")
    return (good[field.name][0] if good.height else None), (rejects[0].reason if rejects else None)


MONEY = [  # text, currency, minor units or None when refused
    ("12.90", "EUR", 1290),
    ("0.00", "EUR", 0),
    ("-2.50", "EUR", -250),
    ("26.568000", "EUR", 2657),
    ("24.916667", "EUR", 2492),
    ("0.005", "EUR", 1),
    ("-0.005", "EUR", -1),
    ("1.005", "EUR", 101),
    ("2.675", "EUR", 268),
    ("45", "EUR", 4500),
    ("1000", "JPY", 1000),
    ("1.2345", "KWD", 1235),
    ("9999999999.99", "EUR", 999999999999),
    ("8.264462809917", "EUR", 826),
    ("8.26446280991735537190082644628099173553", "EUR", 826),
    ("0.00499999999999", "EUR", 1),  # rounded at the eighth digit first, as a shop's own rounding of floats is
    ("0.004999994999", "EUR", 0),
    ("-0.123456789012", "EUR", -12),
    ("1105,395", "EUR", None),
    ("1e3", "EUR", None),
    ("12.90 €", "EUR", None),
    ("gratuit", "EUR", None),
    ("NaN", "EUR", None),
    (" 12", "EUR", None),
    ("1.", "EUR", None),
]


@pytest.mark.parametrize(("text", "currency", "expected"), MONEY)
def test_money(text: str, currency: str, expected: int | None) -> None:
    value, reason = converted(money("amount"), amount=text, currency_code=currency)
    assert value == expected
    assert (reason is None) == (expected is not None)
    assert (scaled_int(text) is None) == (expected is None)


LONG = [  # text, in 1e-8 of the unit
    ("1.000000005", 100000001),
    ("-1.000000005", -100000001),
    ("0.123456785", 12345679),
    ("0.123456775", 12345678),
    ("0.12345677499999999999999999999999999999", 12345677),
    ("9999999999.999999999", 10**18),
]


@pytest.mark.parametrize(("text", "expected"), LONG)
def test_digits_beyond_the_eighth_are_rounded_half_up(text: str, expected: int) -> None:
    frame = pl.DataFrame({"amount": ["12.90", text, None]})
    assert frame.select(scaled("amount")).to_series().to_list() == [1290000000, expected, None]
    assert scaled_int(text) == expected


def test_empty_money_is_no_money() -> None:
    assert converted(money("amount"), amount="", currency_code="EUR") == (None, None)


@given(st.integers(-(10**11), 10**11), st.integers(0, 6))
def test_money_is_exact_for_any_amount(minor: int, zeros: int) -> None:
    sign, digits = ("-" if minor < 0 else ""), f"{abs(minor):03d}"
    text = f"{sign}{digits[:-2]}.{digits[-2:]}{'0' * zeros}"
    assert converted(money("amount"), amount=text, currency_code="EUR") == (minor, None)
    assert scaled_int(text) == minor * 10**6


LOCAL = [  # Paris time, instant or None; the last column is whether it is refused
    ("2026-01-15 12:00:00", datetime(2026, 1, 15, 11, tzinfo=UTC), False),
    ("2026-07-15 12:00:00", datetime(2026, 7, 15, 10, tzinfo=UTC), False),
    ("2026-10-25 02:30:00", datetime(2026, 10, 25, 0, 30, tzinfo=UTC), False),  # twice that night: the first
    ("2026-10-25 03:00:00", datetime(2026, 10, 25, 2, tzinfo=UTC), False),
    ("2026-03-29 02:30:00", datetime(2026, 3, 29, 1, 30, tzinfo=UTC), False),  # never was: 03:30 summer time
    ("0000-00-00 00:00:00", None, False),
    ("0000-00-00", None, False),
    ("", None, False),
    ("2026-02-30 12:00:00", None, True),
    ("15/01/2026 12:00", None, True),
    ("yesterday", None, True),
]


@pytest.mark.parametrize(("text", "expected", "is_refused"), LOCAL)
def test_local_instants(text: str, expected: datetime | None, is_refused: bool) -> None:
    value, reason = converted(local_instant("at", "Europe/Paris"), at=text)
    assert (value, reason is not None) == (expected, is_refused)


@pytest.mark.parametrize("text", ["2026-05-01T12:00:00", "2026-05-01T12:00:00Z"])
def test_utc_instants(text: str) -> None:
    assert converted(utc_instant("at"), at=text) == (datetime(2026, 5, 1, 12, tzinfo=UTC), None)


def test_a_filter_on_local_time_loses_nothing_when_clocks_go_back() -> None:
    paris = ZoneInfo("Europe/Paris")
    start = datetime(2026, 10, 25, 0, 50, tzinfo=UTC)  # 02:50, the first time; 02:10 comes again after it
    assert local_filter_text(start, paris) == "2026-10-25 01:50:00"
    later = datetime(2026, 10, 25, 1, 10, tzinfo=UTC)
    assert later.astimezone(paris).strftime("%Y-%m-%d %H:%M:%S") >= local_filter_text(start, paris)
    assert local_filter_text(datetime(2026, 5, 1, 10, tzinfo=UTC), paris) == "2026-05-01 12:00:00"


NAMES = [
    ('Bottes "Pluie" <b>caoutchouc</b>', 'Bottes "Pluie" caoutchouc'),
    ("Robes &amp; jupes", "Robes & jupes"),
    ("  Écharpe \n  rouge ", "Écharpe rouge"),
    ("taille < 38", "taille < 38"),
    ("<p>Lin</p>", "Lin"),
    ("R&D", "R&D"),
    ("<script>x</script>", "x"),
    ("", None),
    (None, None),
]


@pytest.mark.parametrize(("text", "expected"), NAMES)
def test_names_are_plain_text(text: str | None, expected: str | None) -> None:
    assert plain_text(pl.Series([text], dtype=pl.String))[0] == expected
    assert text is None or plain(text) == (expected or "")


@pytest.mark.parametrize(("product", "variant", "expected"), [(12, 0, "12"), (12, 34, "12-34"), (0, 0, None)])
def test_item_ids(product: int, variant: int, expected: str | None) -> None:
    assert pl.DataFrame({"p": [product], "v": [variant]}).select(item_id("p", "v")).item() == expected
