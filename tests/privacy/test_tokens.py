"""Given personal values written in several ways, expect one token for one person and none for no value."""

from __future__ import annotations

import hmac
import unicodedata

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.privacy import Tokeniser, derive_key, normalise_email, normalise_name, normalise_phone


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("  Zoe@Example.COM ", "zoe@example.com"),
        ("n/a", None),
        ("", None),
        ("@", None),
    ],
)
def test_emails(given: str, expected: str | None) -> None:
    assert normalise_email(given) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("06 12 34 56 78", "33612345678"),
        ("06.12.34.56.78", "33612345678"),
        ("+33 6 12 34 56 78", "33612345678"),
        ("+33 (0)6 12 34 56 78", "33612345678"),
        ("0033612345678", "33612345678"),
        ("+32 470 12 34 56", "32470123456"),
        ("0262 12 34 56", "33262123456"),
        ("123", None),
        ("no phone", None),
    ],
)
def test_phones(given: str, expected: str | None) -> None:
    assert normalise_phone(given) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("  Zoé   MÜLLER ", "zoe muller"),
        ("zoe muller", "zoe muller"),
        ("Straße", "strasse"),
        ("\u00a0", None),
    ],
)
def test_names(given: str, expected: str | None) -> None:
    assert normalise_name(given) == expected


def test_a_token_is_64_hex_digits_and_the_same_each_time(tokeniser: Tokeniser) -> None:
    token = tokeniser.email("a@b.fr")
    assert token == tokeniser.email(" A@B.FR")
    assert token is not None
    assert len(token) == 64
    assert set(token) <= set("0123456789abcdef")


def test_series_keep_their_nulls_and_their_length(tokeniser: Tokeniser) -> None:
    tokens = tokeniser.email(pl.Series("email", ["a@b.fr", None, "", "A@b.fr"]))
    assert tokens.name == "email"
    assert tokens.to_list() == [tokeniser.email("a@b.fr"), None, None, tokeniser.email("a@b.fr")]
    assert tokeniser.phone(pl.Series("phone", [], dtype=pl.String)).dtype == pl.String


def test_kinds_and_secrets_do_not_mix(tokeniser: Tokeniser) -> None:
    assert tokeniser.name("0612345678") != tokeniser.phone("0612345678")
    assert Tokeniser(b"another secret of the same length").email("a@b.fr") != tokeniser.email("a@b.fr")


def test_the_key_does_not_show(tokeniser: Tokeniser) -> None:
    assert repr(tokeniser) == "Tokeniser(key not shown)"


@given(st.text(max_size=80), st.binary(min_size=16, max_size=80))
def test_a_token_is_the_hmac_of_the_normalised_value(value: str, secret_key: bytes) -> None:
    key = derive_key(secret_key, "token name")
    normal = normalise_name(value)
    expected = None if normal is None else hmac.digest(key, normal.encode(), "sha256").hex()
    assert Tokeniser(secret_key).name(value) == expected


@given(st.text(max_size=80))
def test_a_name_word_by_word_is_the_name_as_a_whole(value: str) -> None:
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", value).casefold())
    bare = "".join(character for character in decomposed if not unicodedata.combining(character))
    assert normalise_name(value) == (" ".join(bare.split()) or None)


@given(st.from_regex(r"\+?[0-9]{0,14}", fullmatch=True))
def test_a_phone_of_digits_alone_is_that_phone_with_spaces(value: str) -> None:
    assert normalise_phone(value) == normalise_phone(f" {value}")
