"""Which keys of a model a change touches: from the rows of its inputs that changed, up through its slices.

Belongs here: the temporary table of those keys. A slice is gone through once, from the last to the first, with all rows that changed or
were reached by then, so that each input is looked through once per slice, however many ways lead there. Keys are found by way of
present rows. A null is a key like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import duckdb

from resources.given_tables import quoted
from resources.sql_increments import BEFORE, NOW, THIS, Increment, Slice, columns_of
from resources.warehouse.changes import count_rows
from resources.warehouse.places import matching

KEYS = "touched_keys"
"""Temporary table of the keys that are built anew."""


def named(expressions: Iterable[str]) -> str:
    """Expressions as the columns of a key."""
    return ", ".join(f"{expression} as _k{number}" for number, expression in enumerate(expressions))


class Touched:
    """The search for one model's touched keys. ``table``: the model's, quoted; ``clock``: the run's at the last build and now, as SQL."""

    def __init__(
        self, con: duckdb.DuckDBPyConnection, table: str, increment: Increment, *, clock: tuple[str, str]
    ) -> None:
        self._con = con
        self._table = table
        self._increment = increment
        self._clock = clock
        self._rows: dict[int, list[str]] = {}
        self._keys: list[str] = []
        self._made: list[str] = []

    def find(self, changed: Mapping[str, str], *, is_clock_moved: bool) -> tuple[int, bool]:
        """Make the table of the keys; gives how many there are, and whether one of them is null. ``changed``: input -> query of its log."""
        for table, log in changed.items():
            self._take(table, f"({log})", before=len(self._increment.slices))
        if is_clock_moved:
            self._move_clock()
        for place in reversed(range(len(self._increment.slices))):
            if place in self._rows:
                self._go_up(place, self._increment.slices[place], self._rows[place])
        keys = " union ".join(self._keys) or f"select {named(self._increment.key)} from {self._table} limit 0"
        self._con.execute(f"create or replace temp table {KEYS} as {keys}")
        for name in self._made:
            self._con.execute(f"drop table {name}")
        is_null = " or ".join(f"_k{number} is null" for number in range(len(self._increment.key)))
        found = self._con.execute(f"select count(*), count(*) filter (where {is_null}) from {KEYS}").fetchall()[0]
        return int(found[0]), bool(found[1])

    def _take(self, table: str, rows: str, *, before: int) -> None:
        """Rows of an input are gone on from by each of its slices before a place."""
        for place, _ in self._increment.slices_of(table):
            if place < before:
                self._rows.setdefault(place, []).append(rows)

    def _go_up(self, place: int, one: Slice, rows: list[str]) -> None:
        key = named(f"this.{column}" for column in self._increment.key)
        if one.added is not None:
            self._keys += [
                f"select distinct {key} from {self._table} as this where ({one.added}) and exists (select 1 from {found})"
                for found in rows
            ]
        elif one.of is None:
            self._keys += [f"select distinct {named(one.by)} from {found}" for found in rows]
        elif one.of == THIS:
            same = " and ".join(f"this.{mine} = changed.{theirs}" for mine, theirs in zip(one.its, one.by, strict=True))
            narrowed = f" and ({one.when})" if one.when else ""
            self._keys += [
                f"select distinct {key} from {self._table} as this inner join {found} as changed on {same}{narrowed}"
                for found in rows
            ]
        else:
            self._reach(place, one, one.of, rows)

    def _reach(self, place: int, one: Slice, table: str, rows: list[str]) -> None:
        """Find the present rows of another input that a slice's rows are needed for."""
        earlier = [other for at, other in self._increment.slices_of(table) if at < place and not other.is_read_whole]
        wanted, reached = f"wanted_{place}", f"reached_{place}"
        queries = " union ".join(f"select distinct {named(one.by)} from {found}" for found in rows)
        self._make(wanted, queries)
        if not count_rows(self._con, wanted):
            return
        columns = sorted({f't."{column}"' for other in earlier for text in other.by for column in columns_of(text)})
        self._make(
            reached,
            f"select distinct {', '.join(columns) or '1 as one'} from {quoted(table)} as t "
            f"{matching(one.its, wanted, has_null=False)}",
        )
        for at, other in self._increment.slices_of(table):
            if at < place and not other.is_read_whole:
                self._rows.setdefault(at, []).append(reached)

    def _make(self, name: str, query: str) -> None:
        self._con.execute(f"create or replace temp table {name} as {query}")
        self._made.append(name)

    def _move_clock(self) -> None:
        before, now = self._clock
        clock = f"(select {before} as {BEFORE}, {now} as {NOW})"
        for number, rule in enumerate(self._increment.clock):
            if rule.rows == THIS:
                key = named(f"this.{column}" for column in self._increment.key)
                self._keys.append(f"select distinct {key} from {self._table} as this, {clock} where {rule.where}")
                continue
            slices = [one for _, one in self._increment.slices_of(rule.rows)]
            columns = sorted({f't."{column}"' for one in slices for text in one.by for column in columns_of(text)})
            name = f"moved_{number}"
            self._make(
                name,
                f"select distinct {', '.join(columns) or '1 as one'} from {quoted(rule.rows)} as t, {clock} where {rule.where}",
            )
            self._take(rule.rows, name, before=len(self._increment.slices))
