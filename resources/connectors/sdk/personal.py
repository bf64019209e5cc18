"""Turns the personal columns of a batch into tokens, and gathers the values for the encrypted table. Each value is hashed once."""

from __future__ import annotations

from typing import Literal

import polars as pl

from resources.privacy import Tokeniser

Kind = Literal["email", "phone", "name"]


class PersonalValues:
    """Tokens of one batch. ``rows`` are (token, kind, value), each once."""

    def __init__(self, tokeniser: Tokeniser) -> None:
        self._tokeniser = tokeniser
        self._seen: dict[tuple[str, str], str] = {}

    def tokens(self, values: pl.Series, kind: Kind) -> pl.Series:
        """Tokens of a column, null where there is no value; remembers the values."""
        distinct = values.drop_nulls().unique(maintain_order=True)
        hashed = {"email": self._tokeniser.email, "phone": self._tokeniser.phone, "name": self._tokeniser.name}[kind](
            distinct
        )
        for token, value in zip(hashed.to_list(), distinct.to_list(), strict=True):
            if token is not None:
                self._seen.setdefault((token, kind), value.strip())
        return values.replace_strict(distinct, hashed, default=None, return_dtype=pl.String)

    @property
    def rows(self) -> tuple[tuple[str, str, str], ...]:
        """(token, kind, value) of every value seen."""
        return tuple((token, kind, value) for (token, kind), value in self._seen.items())
