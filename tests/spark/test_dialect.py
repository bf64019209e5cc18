"""A query in Spark's words: names of tables, and what sqlglot alone would say otherwise."""

from __future__ import annotations

from resources.spark.dialect import spark_sql


def test_a_table_is_a_view_of_the_session_and_a_cte_stays_what_it_is() -> None:
    assert spark_sql("with a as (select * from canonical.order) select b from a") == (
        "WITH a AS (SELECT * FROM `canonical__order`) SELECT b FROM a"
    )


def test_seconds_keep_their_fractions() -> None:
    assert spark_sql("select epoch(x_at) as s from t") == (
        "SELECT (UNIX_MICROS(CAST(x_at AS TIMESTAMP)) / 1000000D) AS s FROM t"
    )


def test_nulls_come_last_as_in_duckdb() -> None:
    assert spark_sql("select row_number() over (order by a) as n from t") == (
        "SELECT ROW_NUMBER() OVER (ORDER BY a NULLS LAST) AS n FROM t"
    )
