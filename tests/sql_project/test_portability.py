"""What does not travel between engines is refused with the way to say it that does; what looks like it is let through."""

from __future__ import annotations

import pytest
import sqlglot
from sqlglot import exp

from resources.sql_portability import portability_mistakes


def mistakes(sql: str, *, is_check: bool = False) -> list[str]:
    query = sqlglot.parse_one(sql, dialect="duckdb")
    assert isinstance(query, exp.Query)
    return list(portability_mistakes(query, is_check=is_check))


@pytest.mark.parametrize(
    ("expression", "name", "instead"),
    [
        ("a // b", "`//`", "cast(floor(a / b) as bigint)"),
        ("round(a, 2)", "round()", "half up"),
        ("ceil(a / b)", "ceil()", "floor((a + b - 1) / b)"),
        ("avg(a)", "avg()", "divide once"),
        ("sum(a / b)", "a sum of fractions", "divide once"),
        ("median(a)", "median()", "row_number()"),
        ("quantile_cont(a, 0.5)", "quantile_cont()", "row_number()"),
        ("any_value(a)", "any_value()", "min() or max()"),
        ("arg_max(a, b)", "arg_max()", "row_number()"),
        ("mode(a)", "mode()", "row_number()"),
        ("concat(a, b)", "concat()", "coalesce"),
        ("cast(a / b as bigint)", "casting a fraction to a whole number", "floor"),
        ("cast(1 + a / b as integer)", "casting a fraction to a whole number", "floor"),
        ("cast(a / b as varchar)", "a fraction as text", "whole numbers"),
        ("cast(x_at as varchar)", "an instant as text", "strftime"),
        ("cast(a as timestamp)", "the type timestamp", "timestamptz"),
        ("cast(a as hugeint)", "the type", "bigint"),
        ("try_cast(a as bigint)", "try_cast", "contracts"),
        ("isodow(d)", "isodow()", "% 7 is 0 on Mondays"),
        ("extract(isodow from d)", "extract(isodow ...)", "% 7 is 0 on Mondays"),
        ("extract(second from x_at)", "extract(second ...)", "epoch()"),
        ("date_trunc('month', d)", "date_trunc() as it is", "as date)"),
        ("date_diff('day', d, e)", "date_diff()", "epoch"),
        ("valid_on + 1", "arithmetic on days and instants", "number the days"),
        ("x_at - y_at", "arithmetic on days and instants", "subtract epochs"),
        ("d + interval 1 day", "an interval", "calendar"),
        ("strftime(x_at, '%Y-%m-%dT%H')", "this format of strftime()", "beside it with ||"),
        ("strftime(x_at, '%A')", "this format of strftime()", "%Y %m %d"),
        ("regexp_matches(a, '\\d+')", "this regular expression", "[0-9]"),
        ("regexp_replace(a, 'b', 'c')", "regexp_replace()", "translate()"),
        ("substring(a, 0, 2)", "substring from 0", "from 1"),
        ("left(a, 2)", "left()", "substring"),
        ("count(distinct (a, b))", "count(distinct a, b)", "count its rows"),
        ("lag(a ignore nulls) over (order by b)", "`ignore nulls`", "CTE before"),
        ("list(a)", "list() / array_agg()", "string_agg"),
        ("now()", "the engine's clock", "meta.run_clock"),
        ("hash(a)", "hash()", "TRAVELS"),
        ("levenshtein(a, b)", "levenshtein()", "TRAVELS"),
    ],
)
def test_an_expression_is_refused_with_the_portable_form(expression: str, name: str, instead: str) -> None:
    told = mistakes(f"select {expression} as c from t")
    assert any(one.startswith(name) and "is not portable; " in one and instead in one for one in told), told


@pytest.mark.parametrize(
    ("sql", "name"),
    [
        ("select distinct on (a) a from t", "DISTINCT ON"),
        ("select a from t limit 3", "LIMIT without ORDER BY"),
        (
            "with recursive r as (select 1 as i union all select i + 1 from r where i < 3) select i from r",
            "a recursive CTE",
        ),
        ("select a from t union by name select a from u", "UNION BY NAME"),
        ("select a from t natural join u", "NATURAL JOIN"),
        ("select a from t positional join u", "POSITIONAL JOIN"),
        ("select t.a, l.b from t cross join lateral (select t.a + 1 as b) as l", "a lateral join"),
        ("with s as (select * exclude (b) from t) select a from s", "`* exclude`"),
        ("select a, count(*) as c from t group by all", "GROUP BY ALL"),
    ],
)
def test_a_form_of_query_is_refused(sql: str, name: str) -> None:
    told = mistakes(sql)
    assert any(name in one and "is not portable; " in one for one in told), told


@pytest.mark.parametrize(
    "expression",
    [
        "cast(floor(a / b) as bigint)",
        "cast((a > b / 2) as integer)",
        "cast(a as double) / b",
        "cast(valid_on as varchar)",
        "cast(date_trunc('month', valid_on) as date)",
        "strftime(x_at, '%Y-%m-%d') || 'T' || strftime(x_at, '%H:%M:%S')",
        "cast(floor(epoch(x_at)) - floor(epoch(y_at)) as bigint)",
        "row_number() over (order by a)",
        "string_agg(a, ', ' order by a)",
        "regexp_matches(a, '^[0-9]+$')",
        "a + b - 1",
    ],
)
def test_what_both_engines_read_alike_is_let_through(expression: str) -> None:
    assert mistakes(f"select {expression} as c from t") == []


def test_a_mistake_made_twice_is_told_once() -> None:
    assert len(mistakes("select round(a) as a, round(b) as b from t")) == 1


def test_a_check_may_show_whole_rows_and_some_of_them() -> None:
    assert mistakes("select * from t limit 3", is_check=True) == []
    assert mistakes("select * from t where round(a) > 1", is_check=True) != []
