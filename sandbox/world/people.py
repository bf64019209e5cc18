"""The buyers: one person may buy in both shops, which do not write them the same way."""

from __future__ import annotations

import polars as pl

FIRST = ("Zoé", "Émile", "Chloé", "Jules", "Inès", "Noël", "Léa", "Hugo", "Maëlle", "Théo", "Anaïs", "Loïc")
LAST = (
    "Lefèvre",
    "Dupont",
    "Müller",
    "Garçon",
    "Peeters",
    "Rousseau",
    "Hoarau",
    "Schmitt",
    "Le Goff",
    "Janssens",
    "Martin",
)


def _plain(text: pl.Expr) -> pl.Expr:
    return text.str.to_lowercase().str.replace_many(list("éèëïçüöà "), [*"eeeicuoa", "-"])


def with_contact(frame: pl.DataFrame, shop: str) -> pl.DataFrame:
    """Add first_name, last_name, email, phone and country of `person`, as that shop writes them."""
    person = pl.col("person")
    first = (person % len(FIRST)).replace_strict(dict(enumerate(FIRST)), return_dtype=pl.String)
    last = (person // len(FIRST) % len(LAST)).replace_strict(dict(enumerate(LAST)), return_dtype=pl.String)
    frame = frame.with_columns(first.alias("first_name"), last.alias("last_name"))
    email = pl.format("{}.{}.{}@example.org", _plain(pl.col("first_name")), _plain(pl.col("last_name")), person)
    digits = (10_000_000 + person % 89_999_999).cast(pl.String)
    if shop == "shop_be":
        capital = email.str.slice(0, 1).str.to_uppercase() + email.str.slice(1)
        country = pl.when(person % 20 == 0).then(pl.lit("FR")).otherwise(pl.lit("BE"))
        return frame.with_columns(
            capital.alias("email"), pl.format("0033 6 {}", digits).alias("phone"), country.alias("country")
        )
    country = pl.when(person % 25 == 0).then(pl.lit("BE")).otherwise(pl.lit("FR"))
    return frame.with_columns(email.alias("email"), pl.format("06{}", digits).alias("phone"), country.alias("country"))
