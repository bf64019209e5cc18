"""The SQL of building a model for some keys: which rows of the inputs they need, and the model over those.

Belongs here: queries, and the temporary tables that hold rows. Which keys a change touches is in `touched`, what becomes of the new
rows in `incremental`. A null is a key like any other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import duckdb
from sqlglot import exp

from resources.given_tables import quoted
from resources.sql_increments import Increment, Slice, columns_of
from resources.sql_project import DIALECT, SqlModel
from resources.warehouse.changes import IS_ADDED, count_rows
from resources.warehouse.comparing import NEW_ROWS, OLD_ROWS, added, hashed, removed
from resources.warehouse.places import ROW_ID, matching, take, take_more
from resources.warehouse.spoken import spoken_names
from resources.warehouse.touched import KEYS, Touched, named


class Slices:
    """One model's keys and slices. ``clock``: the run's clock at the last build and now, as SQL."""

    def __init__(
        self, con: duckdb.DuckDBPyConnection, model: SqlModel, increment: Increment, *, clock: tuple[str, str]
    ) -> None:
        self.con = con
        self.model = model
        self.increment = increment
        self.clock = clock
        self.table = quoted(model.name)
        self._expression = model.expression
        self._spoken = spoken_names(self._expression, model.columns)
        self._has_null = True

    def find_keys(self, changed: Mapping[str, str], *, is_clock_moved: bool) -> int:
        """Make the table of the keys that changes touch; gives how many. ``changed``: input -> query of its log since then."""
        touched = Touched(self.con, self.table, self.increment, clock=self.clock)
        quantity, self._has_null = touched.find(changed, is_clock_moved=is_clock_moved)
        return quantity

    def has_only_added(self, changed: Mapping[str, str]) -> bool:
        """Whether no row went of the inputs of which only new rows can be taken in."""
        return not any(
            count_rows(self.con, f"({log}) where not {IS_ADDED}")
            for table, log in changed.items()
            for _, one in self.increment.slices_of(table)
            if one.added is not None
        )

    def cut(self) -> dict[str, str]:
        """Make a temporary table of the rows that the keys need, per input that is not read whole; gives input -> its name.

        It holds the columns that the model's query, or another slice, may speak of.
        """
        cut: dict[str, str] = {}
        read_whole = {one.rows for one in self.increment.slices if one.is_read_whole}
        for place, together in self._together():
            one = together[0]
            if one.rows in read_whole:
                continue
            source, matched = quoted(one.rows), self._needed(together, cut)
            selected = ", ".join(f't."{column}"' for column in self._spoken_of(one.rows))
            if one.rows in cut:
                take_more(self.con, cut[one.rows], source, selected, matched)
            else:
                cut[one.rows] = f"slice_{place}"
                take(self.con, cut[one.rows], source, selected, matched)
        return cut

    def _together(self) -> list[tuple[int, list[Slice]]]:
        """The slices, each with its place; those that find rows of one input by the same columns one after the other are one."""
        found: list[tuple[int, list[Slice]]] = []
        for place, one in enumerate(self.increment.slices):
            before = found[-1][1][-1] if found else None
            if (
                before is not None
                and (before.rows, before.by) == (one.rows, one.by)
                and None not in (before.of, one.of)
                and one.rows not in (before.of, one.of)
            ):
                found[-1][1].append(one)
            else:
                found.append((place, [one]))
        return found

    def _spoken_of(self, table: str) -> list[str]:
        """The columns of a table that the query, or what other slices need of it, may speak of."""
        described = self.con.execute(f"select * from {quoted(table)} limit 0").description or []
        columns = [str(column[0]) for column in described]
        if self._spoken is None:
            return columns
        names = set(self._spoken)
        for one in self.increment.slices:
            for expression in (*(one.by if one.rows == table else ()), *(one.its if one.of == table else ())):
                names.update(name.lower() for name in columns_of(expression))
        # A row counts even where no column of it is spoken of.
        return [column for column in columns if column.lower() in names] or columns[:1]

    def over(self, cut: Mapping[str, str]) -> str:
        """The model's own query over the slices."""

        def over_slice(node: exp.Expr) -> exp.Expr:
            if isinstance(node, exp.Table) and (name := cut.get(f"{node.db}.{node.name}")) is not None:
                rows = exp.select("*").from_(exp.to_table(name, dialect=DIALECT))
                rows.expressions[0].set("except_", [exp.to_identifier(ROW_ID)])
                return rows.subquery(alias=node.alias or node.name)
            return node

        return self._expression.transform(over_slice).sql(dialect=DIALECT)

    def make_rows(self, kept: Collection[str]) -> None:
        """Make the tables of the touched keys' rows as they are to be, and as they stand: of these the columns ``kept``, and the key."""
        cut = self.cut()
        hashes = hashed(self.model.columns)
        # Slices may hold rows of more keys: only the touched ones' rows come out whole.
        matched = matching(self.increment.key, KEYS, has_null=self._has_null)
        self.con.execute(
            f"create or replace temp table {NEW_ROWS} as select t.*, {hashes} from ({self.over(cut)}) as t {matched}"
        )
        named = [f't."{column}"' for column in sorted({*self.increment.key, *kept})]
        take(self.con, OLD_ROWS, self.table, ", ".join([*named, hashes]), matched)
        for name in cut.values():
            self.con.execute(f"drop table {name}")

    def keep_changed_rows(self, name: str) -> None:
        """Make a temporary table of the new rows of the keys of which any row differs."""
        key = named(f't."{column}"' for column in self.increment.key)
        keys = f"({removed(key)} union {added(key)})"
        listed = ", ".join(f't."{column}"' for column in self.model.columns)
        matched = matching(self.increment.key, keys, has_null=self._has_null)
        self.con.execute(f"create or replace temp table {name} as select {listed} from {NEW_ROWS} as t {matched}")

    def _needed(self, together: Sequence[Slice], cut: Mapping[str, str]) -> str:
        """The join of an input, as `t`, with the keys that its rows are needed for."""
        by = together[0].by
        keys = [f"select {named(one.its)} from {cut[one.of]}" for one in together if one.of is not None]
        if not keys:
            return matching(by, KEYS, has_null=self._has_null)
        return matching(by, f"(select distinct * from ({' union all '.join(keys)}))", has_null=False)
