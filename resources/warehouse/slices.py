"""The SQL of building a model for some keys: which keys a change touches, which rows of the inputs they need, the model over those.

Belongs here: queries, and the temporary tables that hold keys and rows. What becomes of the new rows is in `incremental`.
A null is a key like any other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import duckdb
from sqlglot import exp

from resources.given_tables import quoted
from resources.sql_increments import BEFORE, NOW, THIS, Increment, Slice, columns_of
from resources.sql_project import DIALECT, SqlModel
from resources.warehouse.changes import IS_ADDED, count_rows
from resources.warehouse.comparing import NEW_ROWS, OLD_ROWS, added, hashed, removed
from resources.warehouse.places import ROW_ID, matching, take, take_more
from resources.warehouse.spoken import spoken_names

KEYS = "touched_keys"
"""Temporary table of the keys that are built anew."""


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
        queries = [
            self._keys_of(place, one, f"select * from ({log})")
            for table, log in changed.items()
            for place, one in self.increment.slices_of(table)
        ]
        if is_clock_moved:
            queries += [query for rule in self.increment.clock for query in self._keys_of_clock(rule.rows, rule.where)]
        self.con.execute(f"create or replace temp table {KEYS} as {' union '.join(queries)}")
        named = " or ".join(f"_k{number} is null" for number in range(len(self.increment.key)))
        found = self.con.execute(f"select count(*), count(*) filter (where {named}) from {KEYS}").fetchall()[0]
        self._has_null = bool(found[1])
        return int(found[0])

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
        for place, one in enumerate(self.increment.slices):
            if one.rows in read_whole:
                continue
            source, matched = quoted(one.rows), self._needed(one, cut)
            selected = ", ".join(f't."{column}"' for column in self._spoken_of(one.rows))
            if one.rows in cut:
                take_more(self.con, cut[one.rows], source, selected, matched)
            else:
                cut[one.rows] = f"slice_{place}"
                take(self.con, cut[one.rows], source, selected, matched)
        return cut

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
        key = self._named(f't."{column}"' for column in self.increment.key)
        keys = f"({removed(key)} union {added(key)})"
        listed = ", ".join(f't."{column}"' for column in self.model.columns)
        matched = matching(self.increment.key, keys, has_null=self._has_null)
        self.con.execute(f"create or replace temp table {name} as select {listed} from {NEW_ROWS} as t {matched}")

    def _needed(self, one: Slice, cut: Mapping[str, str]) -> str:
        """The join of a slice's input, as `t`, with the keys that its rows are needed for."""
        if one.of is None:
            return matching(one.by, KEYS, has_null=self._has_null)
        return matching(one.by, f"(select distinct {self._named(one.its)} from {cut[one.of]})", has_null=False)

    def _keys_of(self, place: int, one: Slice, rows: str) -> str:
        """Query of the keys that need the rows of a query of ``one.rows``. They are found by way of present rows."""
        if one.added is not None:
            return (
                f"select distinct {self._named(self.increment.key)} from {self.table} as this "
                f"where ({one.added}) and exists (select 1 from ({rows}))"
            )
        if one.of is None:
            return f"select distinct {self._named(one.by)} from ({rows})"
        if one.of == THIS:
            same = " and ".join(f"this.{mine} = changed.{theirs}" for mine, theirs in zip(one.its, one.by, strict=True))
            keys = self._named(f"this.{column}" for column in self.increment.key)
            narrowed = f" and ({one.when})" if one.when else ""
            return (
                f"select distinct {keys} from {self.table} as this inner join ({rows}) as changed on {same}{narrowed}"
            )
        wanted = f"(select distinct {self._named(one.by)} from ({rows}))"
        through = f"select t.* from {quoted(one.of)} as t {matching(one.its, wanted, has_null=False)}"
        return " union ".join(
            self._keys_of(earlier, other, through)
            for earlier, other in self.increment.slices_of(one.of)
            if earlier < place and not other.is_read_whole
        )

    def _keys_of_clock(self, rows: str, where: str) -> list[str]:
        before, now = self.clock
        clock = f"(select {before} as {BEFORE}, {now} as {NOW})"
        if rows == THIS:
            return [
                f"select distinct {self._named(self.increment.key)} from {self.table} as this, {clock} where {where}"
            ]
        moved = f"select t.* from {quoted(rows)} as t, {clock} where {where}"
        return [self._keys_of(place, one, moved) for place, one in self.increment.slices_of(rows)]

    @staticmethod
    def _named(expressions: Iterable[str]) -> str:
        return ", ".join(f"{expression} as _k{number}" for number, expression in enumerate(expressions))
