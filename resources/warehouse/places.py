"""Takes the rows of some keys out of a large table: finds their places by the keys alone, then reads only the stretches they lie in.

Reading every column of a table for one row in a hundred is what a build in part would cost most. Rows that change together lie
together, mostly: the last days' orders were written last. Belongs here: reading by place, and the condition of a join with keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import duckdb

from resources.warehouse.changes import count_rows

ROW_ID = "_row_id"
"""The column that tells a row's place in its table."""

SMALL_ROWS = 100_000
"""A table of fewer rows is read at once: finding places first is a statement more."""

STRETCH_ROWS = 2048
"""So many rows are read or left together: a vector of the engine's."""

MOST_STRETCHES = 60
"""So many stretches are told apart in one condition; the nearest ones are read with what lies between them."""

SCATTERED_SHARE = 0.5
"""Stretches that make up more than this share of a table are not worth telling apart."""

_PLACES = "row_places"


def matching(columns: Sequence[str], keys: str, *, has_null: bool) -> str:
    """The join of a relation `t` with a relation of keys, of whose rows the expressions are among the keys.

    ``has_null``: whether a key may be null, which then matches null. Without it the engine can tell by its statistics where no key is.
    """
    same = "is not distinct from" if has_null else "="
    matched = " and ".join(f"k._k{number} {same} ({column})" for number, column in enumerate(columns))
    return f"semi join {keys} as k on {matched}"


def take(con: duckdb.DuckDBPyConnection, target: str, table: str, selected: str, matched: str) -> None:
    """Make the temporary table ``target`` of a table's rows: their places, and ``selected`` of `t`. ``matched``: see :func:`matching`."""
    con.execute(f"create or replace temp table {target} as {_query(con, table, selected, matched)}")


def take_more(con: duckdb.DuckDBPyConnection, target: str, table: str, selected: str, matched: str) -> None:
    """Add more rows of the same table to ``target``, those left out that it has."""
    query = _query(con, table, selected, f"{matched} anti join {target} as had on had.{ROW_ID} = t.rowid")
    # Materialised first: what is added may be found through the target itself.
    con.execute(f"create or replace temp table more_rows as {query}")
    con.execute(f"insert into {target} from more_rows")


def _query(con: duckdb.DuckDBPyConnection, table: str, selected: str, matched: str) -> str:
    rows_qty = count_rows(con, table)
    if rows_qty < SMALL_ROWS:
        return f"select t.rowid as {ROW_ID}, {selected} from {table} as t {matched}"
    con.execute(f"create or replace temp table {_PLACES} as select t.rowid as {ROW_ID} from {table} as t {matched}")
    places = f"select {ROW_ID} from {_PLACES}"
    return (
        f"select t.rowid as {ROW_ID}, {selected} from {table} as t "
        f"where t.rowid in ({places}){within(con, places, rows_qty)}"
    )


def within(con: duckdb.DuckDBPyConnection, places: str, rows_qty: int, *, of: str = "") -> str:
    """A further condition on `rowid` that spares reading where none of the places is; empty where they are everywhere.

    ``places``: query of row ids; ``rows_qty``: rows of the table; ``of``: its name in the statement, where that must be said.
    """
    if rows_qty < SMALL_ROWS:
        return ""
    found = con.execute(
        f"select distinct {ROW_ID} // {STRETCH_ROWS} as stretch from ({places}) order by stretch"
    ).fetchall()
    stretches = _stretches([stretch for (stretch,) in found])
    if sum(last - first + 1 for first, last in stretches) * STRETCH_ROWS > SCATTERED_SHARE * rows_qty:
        return ""
    row_id = f"{of}.rowid" if of else "rowid"
    told = " or ".join(
        f"{row_id} between {first * STRETCH_ROWS} and {(last + 1) * STRETCH_ROWS - 1}" for first, last in stretches
    )
    return f" and ({told})" if told else " and false"


def _stretches(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Ascending numbers as at most MOST_STRETCHES stretches from the first to the last of each, cut where the gaps are widest."""
    if not numbers:
        return []
    gaps = sorted((later - earlier, place) for place, (earlier, later) in enumerate(pairwise(numbers)))
    cuts = sorted(place for gap, place in gaps[-(MOST_STRETCHES - 1) :] if gap > 1)
    firsts = [numbers[0], *(numbers[place + 1] for place in cuts)]
    lasts = [*(numbers[place] for place in cuts), numbers[-1]]
    return list(zip(firsts, lasts, strict=True))
