"""Which columns of its inputs a query may speak of: the others need not be read to run it over a few of their rows.

Belongs here: looking at names, never at what they refer to. A column whose name stands nowhere in the query, and is not one that the
query gives, cannot matter to it, unless a star makes rows of which all columns count.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlglot import exp


def spoken_names(query: exp.Expr, given: Collection[str]) -> frozenset[str] | None:
    """The names that stand in a query and those of the columns it gives, in lower case; None where every column of its inputs may count."""
    named: dict[str, exp.Expr | None] = {}
    for cte in query.find_all(exp.CTE):
        # Two of one name may be either.
        named[cte.alias.lower()] = None if cte.alias.lower() in named else cte.this
    if any(_counts_all(star, named) for star in query.find_all(exp.Star)):
        return None
    if any(group.args.get("all") for group in query.find_all(exp.Group)) or query.find(exp.Columns):
        return None
    if any(join.method.upper() == "NATURAL" for join in query.find_all(exp.Join)):
        return None
    relations = {table.alias_or_name.lower() for table in query.find_all(exp.Table, exp.CTE, exp.Subquery)}
    if any(not column.table and column.name.lower() in relations for column in query.find_all(exp.Column)):
        return None  # a whole row as one value
    names = {identifier.name.lower() for identifier in query.find_all(exp.Identifier)}
    return frozenset(names | {name.lower() for name in given})


def _counts_all(star: exp.Star, named: Mapping[str, exp.Expr | None]) -> bool:
    """Whether a star makes something of all columns of a table, rather than handing them on."""
    holder = star.parent
    if isinstance(holder, exp.Count):
        return False
    if isinstance(holder, exp.Column):
        holder = holder.parent
    if not isinstance(holder, exp.Select):
        return True
    outer = holder.parent.parent if isinstance(holder.parent, exp.Subquery) else holder.parent
    makes = holder.args.get("distinct") is not None or isinstance(outer, exp.SetOperation)
    return makes and not _is_spelt_out(holder, named)


def _is_spelt_out(query: exp.Expr | None, named: Mapping[str, exp.Expr | None]) -> bool:
    """Whether the columns that a query gives are named in the text, its own or that of what it reads."""
    if isinstance(query, exp.Subquery):
        return _is_spelt_out(query.this, named)
    if isinstance(query, exp.SetOperation):
        return _is_spelt_out(query.left, named) and _is_spelt_out(query.right, named)
    if not isinstance(query, exp.Select):
        return False
    if not query.is_star:
        return True
    for one in (query.args.get("from_"), *query.args.get("joins", ())):
        source = one.this if one is not None else None
        if isinstance(source, exp.Table) and not source.db:
            # Without itself: a query may read what was made of it before.
            others = {name: known for name, known in named.items() if name != source.name.lower()}
            if not _is_spelt_out(named.get(source.name.lower()), others):
                return False
        elif one is not None and not isinstance(source, exp.Values) and not _is_spelt_out(source, named):
            return False
    return True
