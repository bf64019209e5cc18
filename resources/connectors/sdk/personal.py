"""Turns the personal columns of a batch into tokens, and gathers the values for the encrypted table. Each value is hashed once."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from resources.privacy import PersonalKind, Tokeniser

PersonalRow = tuple[int, str, PersonalKind, str]
"""(row, token, kind, value) of a personal value."""


def tokens_of(
    values: Sequence[str | None], kind: PersonalKind, tokeniser: Tokeniser, rows: Sequence[int] | None = None
) -> tuple[list[str | None], list[PersonalRow]]:
    """The token of each value, and what is kept of those that have one. ``rows``: where the values stand; by default 0, 1, ..."""
    tokens = tokeniser.tokens(values, kind)
    places = range(len(values)) if rows is None else rows
    kept = [
        (row, token, kind, value.strip())
        for row, token, value in zip(places, tokens, values, strict=True)
        if token is not None and value is not None
    ]
    return tokens, kept


class PersonalValues:
    """Tokens of one batch. ``rows`` are (token, kind, value), each once."""

    def __init__(self, tokeniser: Tokeniser) -> None:
        self._tokeniser = tokeniser
        self._seen: dict[str, tuple[str, str, str]] = {}

    def tokens(self, values: pl.Series, kind: PersonalKind) -> pl.Series:
        """Tokens of a column, null where there is no value; remembers the values."""
        texts = values.to_list()
        found = self._remember(texts, kind)
        return pl.Series(values.name, list(map(found.get, texts)), dtype=pl.String)

    def keep(self, values: pl.Series, kind: PersonalKind) -> None:
        """Remember the values of a column whose tokens no row holds."""
        self._remember(values.to_list(), kind)

    @property
    def rows(self) -> tuple[tuple[str, str, str], ...]:
        """(token, kind, value) of every value seen."""
        return tuple(self._seen.values())

    def _remember(self, texts: list[str | None], kind: PersonalKind) -> dict[str | None, str | None]:
        distinct = [text for text in dict.fromkeys(texts) if text is not None]
        hashed = self._tokeniser.tokens(distinct, kind)
        for token, value in zip(hashed, distinct, strict=True):
            if token is not None and token not in self._seen:
                self._seen[token] = (token, kind, value.strip())
        return dict(zip(distinct, hashed, strict=True))
