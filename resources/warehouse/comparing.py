"""Compares the rows of a table as they stand with those that are to be: by two hashes of each whole row.

Belongs here: which rows differ, as queries. Rows are told apart by 128 bits that cover every column, so that the old rows need not be
kept, and no row is compared column by column. Where a table has a row several times and another number of times now, all of its
copies are taken out and put in again.
"""

from __future__ import annotations

from collections.abc import Iterable

import duckdb

from resources.warehouse.places import ROW_ID

OLD_ROWS, NEW_ROWS = "old_rows", "new_rows"
"""Temporary tables of rows with their hashes: as they stand in a table, with their places, and as they are to be."""

DIFFERING = "differing_rows"
"""Temporary table of the hashes of the rows of which one has more than the other."""

HASHES = ("_hash", "_hash_back")


def hashed(columns: Iterable[str], relation: str = "t") -> str:
    """The hashes of a row, as columns. ``columns``: all of the table's, in the same order for both sides."""
    named = [f'{relation}."{column}"' for column in columns]
    forth, back = HASHES
    return f"hash({', '.join(named)}) as {forth}, hash({', '.join(reversed(named))}) as {back}"


def compare(con: duckdb.DuckDBPyConnection, old: str = OLD_ROWS, new: str = NEW_ROWS) -> int:
    """Make the table of differing hashes of the old and the new rows; gives how many rows only one of both has."""
    both = f"select {_HASHED}, -1 as side from {old} union all select {_HASHED}, 1 as side from {new}"
    con.execute(
        f"create or replace temp table {DIFFERING} as "
        f"select {_HASHED}, cast(abs(sum(side)) as bigint) as qty from ({both}) group by all having sum(side) <> 0"
    )
    return int(con.execute(f"select cast(coalesce(sum(qty), 0) as bigint) from {DIFFERING}").fetchall()[0][0])


def removed(selected: str) -> str:
    """Query over the old rows `t` that go."""
    return f"select {selected} from {OLD_ROWS} as t {_AMONG}"


def added(selected: str) -> str:
    """Query over the new rows `t` that come."""
    return f"select {selected} from {NEW_ROWS} as t {_AMONG}"


def removed_places() -> str:
    """Query of the places of the rows that go."""
    return removed(f"t.{ROW_ID}")


_HASHED = ", ".join(HASHES)
_AMONG = f"semi join {DIFFERING} as d on {' and '.join(f'd.{name} = t.{name}' for name in HASHES)}"
