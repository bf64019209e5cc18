"""Whether rows tell a key twice. What becomes of such rows is for who asks."""

from __future__ import annotations

import polars as pl

_FIRST_ROWS = 50


def is_ascending(values: pl.Series) -> bool:
    """Whether each value is there and greater than the one before. Most columns that are not, are not in their first rows."""
    return all(
        part.null_count() == 0 and bool((part.slice(1) > part.slice(0, part.len() - 1)).all())
        for part in (values.head(_FIRST_ROWS), values)
    )


def is_any_twice(keys: pl.DataFrame) -> bool:
    """Whether a row of these columns is there twice. Rows in the order of one column, as systems mostly give them, cost one look."""
    if any(is_ascending(keys[name]) for name in keys.columns):
        return False
    return keys.hash_rows(seed=7).n_unique() < keys.height
