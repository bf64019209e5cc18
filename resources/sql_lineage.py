"""Column lineage of one query: which columns of which tables each of its columns comes from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlglot import exp
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope


class ColumnSource(NamedTuple):
    """A column of a table, `schema.table`."""

    table: str
    column: str


def column_lineage(query: exp.Query, known: Mapping[str, Sequence[str]]) -> dict[str, tuple[ColumnSource, ...]]:
    """Output column -> its sources, sorted. ``known``: `schema.table` -> columns.

    The query is qualified once; scopes are then walked with what is already known, so a column that many others use is
    worked out once. sqlglot's own lineage() starts anew for every column.
    """
    schema: dict[str, object] = {}
    for folder in {table.db for table in query.find_all(exp.Table) if table.db}:
        names = {table.name for table in query.find_all(exp.Table) if table.db == folder}
        schema[folder] = {name: dict.fromkeys(known.get(f"{folder}.{name}", ()), "text") for name in names}
    qualified = qualify(query, schema=schema, dialect="duckdb", validate_qualify_columns=False, identify=False)
    root = build_scope(qualified)
    if root is None:
        return {}
    walker = _Walker()
    names_selected = _selects(qualified)
    return {column.alias_or_name: _sorted(walker.of_output(root, n)) for n, column in enumerate(names_selected)}


def _selects(expression: object) -> list[exp.Expr]:
    return expression.selects if isinstance(expression, exp.Query) else []


def _sorted(sources: Iterable[ColumnSource]) -> tuple[ColumnSource, ...]:
    return tuple(sorted(sources))


class _Walker:
    def __init__(self) -> None:
        self._seen: dict[tuple[int, int], frozenset[ColumnSource]] = {}

    def of_output(self, scope: Scope, position: int) -> frozenset[ColumnSource]:
        """Sources of the output column at ``position`` of a scope."""
        key = (id(scope), position)
        if key not in self._seen:
            self._seen[key] = frozenset()  # a recursive CTE meets itself here
            self._seen[key] = self._find_output(scope, position)
        return self._seen[key]

    def _find_output(self, scope: Scope, position: int) -> frozenset[ColumnSource]:
        if scope.set_operation_scopes:
            parts = (self.of_output(part, position) for part in scope.set_operation_scopes)
            return frozenset[ColumnSource]().union(*parts)
        selects = _selects(scope.expression)
        return self._of_expression(scope, selects[position]) if position < len(selects) else frozenset()

    def _of_expression(self, scope: Scope, expression: exp.Expr) -> frozenset[ColumnSource]:
        found: set[ColumnSource] = set()
        for column in expression.find_all(exp.Column):
            source = self._source(scope, column.table)
            if isinstance(source, exp.Table):
                found.add(ColumnSource(f"{source.db}.{source.name}", column.name))
            elif isinstance(source, Scope):
                names = [select.alias_or_name for select in _selects(source.expression)]
                if column.name in names:
                    found |= self.of_output(source, names.index(column.name))
        return frozenset(found)

    @staticmethod
    def _source(scope: Scope | None, name: str) -> exp.Expr | Scope | None:
        while scope is not None:
            if name in scope.sources:
                return scope.sources[name]
            # A scalar subquery's column belongs to that subquery, or to one around it.
            for inner in scope.subquery_scopes:
                if name in inner.sources:
                    return inner.sources[name]
            scope = scope.parent
        return None
