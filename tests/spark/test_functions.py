"""Every function that models may use gives the same on both engines: this is what lets it stand in TRAVELS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import duckdb
import pytest
import sqlglot
from sqlglot import exp

from resources.spark.cluster import Cluster, connected
from resources.spark.dialect import spark_sql
from resources.sql_portability import TRAVELS, portability_mistakes

pytestmark = pytest.mark.xdist_group("spark")

ROWS = """(values
    (1, 'Été 1', 'abc', timestamptz '2026-05-18 10:00:00.25+00', date '2026-02-28', cast(-7 as bigint)),
    (2, 'élan', 'a-b-c', timestamptz '1969-12-31 23:59:59.5+00', date '1969-12-29', cast(7 as bigint)),
    (3, null, '', null, null, null),
    (4, 'Zoë  ', ' x ', timestamptz '2026-12-31 23:59:59.999999+00', date '2027-01-01', cast(0 as bigint))
) as t (k, s, u, x_at, d, n)"""

SAMPLES: Mapping[type[exp.Expr], tuple[str, ...]] = {
    exp.Abs: ("abs(n)",),
    exp.And: ("n > 0 and s is null", "n > 0 and n < 9"),
    exp.Or: ("n > 0 or s is null", "n is distinct from 7 or k = 2"),
    exp.Case: ("case when n > 0 then 1 when n < 0 then -1 end", "case u when 'abc' then 1 else 2 end"),
    exp.If: ("case when n > 0 then 'more' else 'less' end", "if(n > 0, 1, 2)"),
    exp.Cast: (
        "cast(n as varchar)", "cast(d as varchar)", "cast(n > 0 as varchar)", "cast(n > 0 as integer)", "cast('5' as bigint)",
        "cast('2026-05-01' as date)", "cast(k as decimal(10, 2))", "cast('5.55' as decimal(10, 1))", "cast(x_at as date)",
        "cast(null as varchar) || 'x'", "cast(n as double) / 3", "cast(floor(n / 3) as bigint)",
    ),
    exp.Coalesce: ("coalesce(n, 0)", "coalesce(s, u, '')"),
    exp.Nullif: ("nullif(n, 0)", "n / nullif(n, 0)"),
    exp.Greatest: ("greatest(n, 0)", "greatest(x_at, timestamptz '2026-06-01 00:00:00+00')"),
    exp.Least: ("least(n, 0)", "least(d, date '2026-03-01')"),
    exp.Floor: ("cast(floor(n / 3) as bigint)", "cast(floor(epoch(x_at) / 86400) as bigint)"),
    exp.Extract: (
        *(f"extract({part} from d)" for part in ("year", "quarter", "month", "week", "day")),
        "extract(hour from x_at)", "extract(minute from x_at)",
    ),
    exp.TimestampTrunc: (
        *(f"cast(date_trunc('{part}', d) as date)" for part in ("year", "quarter", "month", "week")),
        "cast(date_trunc('day', x_at) as date)",
    ),
    exp.TimeToUnix: ("epoch(x_at)", "epoch(d)", "epoch(x_at) - 0.00001", "(cast(floor(epoch(d) / 86400) as bigint) + 3) % 7"),
    exp.TimeToStr: ("strftime(x_at, '%Y-%m-%d %H:%M:%S')", "strftime(d, '%Y-%m')"),
    exp.Length: ("length(s)", "length(u)"),
    exp.Lower: ("lower(s)",),
    exp.Upper: ("upper(s)",),
    exp.Trim: ("trim(u)", "ltrim(u)", "rtrim(s)"),
    exp.Pad: ("lpad(u, 5, '0')", "lpad(u, 2, '0')", "rpad(u, 5, '0')"),
    exp.Substring: ("substring(s, 1, 3)", "substring(s, 2)", "substring(s, -2)"),
    exp.StrPosition: ("position('b' in u)", "position('é' in s)"),
    exp.StartsWith: ("starts_with(s, 'É')",),
    exp.SplitPart: ("split_part(u, '-', 2)", "split_part(u, '-', 9)"),
    exp.Replace: ("replace(s, 'é', 'e')",),
    exp.Translate: ("translate(s, 'éÉ', 'eE')",),
    exp.MD5: ("md5(s)", "md5(s || ':' || u)"),
    exp.RegexpLike: ("regexp_matches(u, '^[a-z]+$')", "regexp_matches(s, '[0-9]')"),
    exp.RowNumber: ("row_number() over (order by n)", "row_number() over (order by s desc, k)"),
    exp.Rank: ("rank() over (order by n > 0)",),
    exp.DenseRank: ("dense_rank() over (order by n)",),
    exp.Lag: ("lag(n) over (order by k)",),
    exp.Lead: ("lead(n) over (order by k)", "lead(n, 2, 0) over (order by k)"),
    exp.FirstValue: ("first_value(u) over (partition by n > 0 order by k)",),
    exp.LastValue: ("last_value(u) over (order by k rows between unbounded preceding and unbounded following)",),
    exp.Sum: (
        "cast(sum(n) over (order by k rows between 1 preceding and current row) as bigint)",
        "cast(sum(n) over (partition by n > 0 order by k) as bigint)",
    ),
    exp.Exists: ("exists (select 1 from (values (2)) as o (j) where o.j = t.k)",),
}  # fmt: skip
"""Function -> expressions over ROWS."""

SUMMARIES: Mapping[type[exp.Expr], tuple[str, ...]] = {
    exp.Count: ("count(*)", "count(n)", "count(distinct n > 0)", "count(*) filter (where n > 0)"),
    exp.CountIf: ("count_if(n > 0)",),
    exp.Sum: (
        "cast(sum(n) as bigint)",
        "cast(sum(n) filter (where n > 0) as bigint)",
        "cast(sum(distinct n) as bigint)",
    ),
    exp.Min: ("min(s)", "min(x_at)", "min(n)"),
    exp.Max: ("max(s)", "max(d)", "max(n > 0)"),
    exp.LogicalAnd: ("bool_and(n > 0)",),
    exp.LogicalOr: ("bool_or(n > 0)",),
    exp.GroupConcat: ("string_agg(u, ', ' order by k)", "string_agg(s, ',' order by k desc)"),
}
"""Function -> expressions over all of ROWS."""

SHAPES = (
    "select k from t order by n",
    "select distinct n > 0 as b from t",
    "select k from t union select 9",
    "select k from t except select 1",
    "select k from t intersect select 1",
    "select k from t where n in (select n from t where k > 1)",
    "select k from t where n not in (select k from t)",
    "select n > 0 as b, count(*) as c from t group by 1 having c > 1",
    "select a.k, b.k as j from t as a full join t as b on a.k = b.k + 1",
    "select k from t as a inner join t as b using (k)",
    "select a.k from t as a left join t as b on a.k = b.k and b.n > 0 where b.k is null",
    "select a.k from t as a where exists (select 1 from t as b where b.k = a.k + 1)",
    "select k, count(*) over w as c from t window w as (partition by n)",
    "select k, s like 'É%' as a, u like '_b%' as b, s ilike 'é%' as c, (n > 0) is true as d from t",
    "select k, 'it''s' as x, n % 3 as m, n * 2 - k as o from t",
)
"""Forms of a query over ROWS."""


@pytest.fixture(scope="module")
def cluster(spark_remote: str) -> Iterator[Cluster]:
    with connected(spark_remote) as session:
        yield session


def _plain(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def _of_duckdb(query: str) -> list[str]:
    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'")
    return sorted(repr([_plain(cell) for cell in row]) for row in con.sql(query).fetchall())


def _of_spark(cluster: Cluster, query: str) -> list[str]:
    return sorted(repr([_plain(cell) for cell in row.values()]) for row in cluster.rows(spark_sql(query)))


def _one_query(samples: tuple[str, ...], *, is_summary: bool) -> str:
    listed = ", ".join(f"{sample} as c{number}" for number, sample in enumerate(samples))
    return f"select {listed} from {ROWS}" if is_summary else f"select k, {listed} from {ROWS}"


@pytest.mark.parametrize("kind", SAMPLES, ids=lambda kind: kind.__name__)
def test_a_function_gives_the_same_for_each_row(cluster: Cluster, kind: type[exp.Expr]) -> None:
    query = _one_query(SAMPLES[kind], is_summary=False)
    assert _of_spark(cluster, query) == _of_duckdb(query)


@pytest.mark.parametrize("kind", SUMMARIES, ids=lambda kind: kind.__name__)
def test_a_summary_gives_the_same(cluster: Cluster, kind: type[exp.Expr]) -> None:
    query = _one_query(SUMMARIES[kind], is_summary=True)
    assert _of_spark(cluster, query) == _of_duckdb(query)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_form_of_query_gives_the_same(cluster: Cluster, shape: str) -> None:
    query = f"with t as (select * from {ROWS}) {shape}"
    assert _of_spark(cluster, query) == _of_duckdb(query)


def test_every_function_that_is_allowed_has_samples_and_they_are_let_through() -> None:
    sampled = {
        type(call)
        for samples in (*SAMPLES.values(), *SUMMARIES.values())
        for sample in samples
        for call in sqlglot.parse_one(f"select {sample}", dialect="duckdb").find_all(exp.Func)
    }
    assert sampled == TRAVELS
    for samples in (*SAMPLES.values(), *SUMMARIES.values()):
        for sample in samples:
            query = sqlglot.parse_one(f"select {sample} as c from {ROWS}", dialect="duckdb")
            assert isinstance(query, exp.Query)
            assert list(portability_mistakes(query)) == [], sample
