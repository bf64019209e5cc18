"""The SQL of building a model for some keys: which keys a change touches, which rows of the inputs they need, the model over those.

Belongs here: queries, and the temporary tables that hold keys and rows. What becomes of the new rows is in `incremental`.
A null is a key like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import duckdb
from sqlglot import exp

from resources.given_tables import quoted
from resources.sql_increments import BEFORE, NOW, THIS, Increment, Slice
from resources.sql_project import DIALECT, SqlModel
from resources.warehouse.changes import IS_ADDED, count_rows

KEYS, CHANGED_KEYS = "touched_keys", "changed_keys"
"""Temporary tables of the keys that are built anew, and of those whose rows then differ."""

OLD_ROWS, NEW_ROWS = "old_rows", "new_rows"
"""Temporary tables of the rows of the touched keys, as they stand in the table and as they are to be."""

ROW_ID = "_row_id"
"""The column that tells a row's place in its table."""


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
        return count_rows(self.con, KEYS)

    def has_only_added(self, changed: Mapping[str, str]) -> bool:
        """Whether no row went of the inputs of which only new rows can be taken in."""
        return not any(
            count_rows(self.con, f"({log}) where not {IS_ADDED}")
            for table, log in changed.items()
            for _, one in self.increment.slices_of(table)
            if one.added is not None
        )

    def cut(self) -> dict[str, str]:
        """Make a temporary table of the rows that the keys need, per input that is not read whole; gives input -> its name."""
        cut: dict[str, str] = {}
        read_whole = {one.rows for one in self.increment.slices if one.is_read_whole}
        for place, one in enumerate(self.increment.slices):
            if one.rows in read_whole:
                continue
            source = self._matching(quoted(one.rows), one.by, self._needed(one, cut), is_null_a_key=one.of is None)
            if one.rows in cut:
                name = cut[one.rows]
                # Materialised first: what is added may be found through the slice itself.
                self.con.execute(
                    f"create or replace temp table more_rows as select t.rowid as {ROW_ID}, t.* from {source} "
                    f"where t.rowid not in (select {ROW_ID} from {name})"
                )
                self.con.execute(f"insert into {name} select * from more_rows")
            else:
                name = cut[one.rows] = f"slice_{place}"
                self.con.execute(
                    f"create or replace temp table {name} as select t.rowid as {ROW_ID}, t.* from {source}"
                )
        return cut

    def over(self, cut: Mapping[str, str]) -> str:
        """The model's own query over the slices."""

        def over_slice(node: exp.Expr) -> exp.Expr:
            if isinstance(node, exp.Table) and (name := cut.get(f"{node.db}.{node.name}")) is not None:
                rows = exp.select("*").from_(exp.to_table(name, dialect=DIALECT))
                rows.expressions[0].set("except_", [exp.to_identifier(ROW_ID)])
                return rows.subquery(alias=node.alias or node.name)
            return node

        return self.model.expression.transform(over_slice).sql(dialect=DIALECT)

    def make_rows(self) -> None:
        """Make the tables of the touched keys' rows as they stand, and as they are to be."""
        cut = self.cut()
        # Slices may hold rows of more keys: only the touched ones' rows come out whole.
        touched = self._matching(f"({self.over(cut)})", self.increment.key, KEYS, is_null_a_key=True)
        self.con.execute(f"create or replace temp table {NEW_ROWS} as select t.* from {touched}")
        source = self._matching(self.table, self.increment.key, KEYS, is_null_a_key=True)
        self.con.execute(f"create or replace temp table {OLD_ROWS} as select t.rowid as {ROW_ID}, t.* from {source}")
        for name in cut.values():
            self.con.execute(f"drop table {name}")

    def find_changed_keys(self, removed: str, added: str) -> None:
        """Make the table of the keys of these rows."""
        key = self._named(self.increment.key)
        self.con.execute(
            f"create or replace temp table {CHANGED_KEYS} as select {key} from {removed} union select {key} from {added}"
        )

    def changed_row_ids(self) -> str:
        """Query of the row ids of the changed keys' present rows."""
        return (
            f"select t.{ROW_ID} from {self._matching(OLD_ROWS, self.increment.key, CHANGED_KEYS, is_null_a_key=True)}"
        )

    def changed_rows(self) -> str:
        """Query of the changed keys' new rows."""
        return f"select t.* from {self._matching(NEW_ROWS, self.increment.key, CHANGED_KEYS, is_null_a_key=True)}"

    def _needed(self, one: Slice, cut: Mapping[str, str]) -> str:
        if one.of is None:
            return KEYS
        return f"(select distinct {self._named(one.its)} from {cut[one.of]})"

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
        through = f"select t.* from {self._matching(quoted(one.of), one.its, wanted, is_null_a_key=False)}"
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

    @staticmethod
    def _matching(relation: str, columns: Sequence[str], keys: str, *, is_null_a_key: bool) -> str:
        """The rows of a relation, as `t`, whose expressions are among the keys of a table or subquery."""
        same = "is not distinct from" if is_null_a_key else "="
        matched = " and ".join(f"k._k{number} {same} ({column})" for number, column in enumerate(columns))
        return f"{relation} as t semi join {keys} as k on {matched}"
