"""What analysts are promised: the questions of docs/bi.md answer, everything is commented, an old DuckDB can read it, nobody waits."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import pytest

from resources.report.data import open_published
from resources.warehouse import Warehouse

pytestmark = pytest.mark.xdist_group("demo")
PAGE = (Path(__file__).parents[2] / "docs" / "bi.md").read_text(encoding="utf-8")
QUESTIONS = re.findall(r"^### (\d+)\. .+?```sql\n(.+?)```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_page_asks_ten_questions() -> None:
    assert [int(number) for number, _ in QUESTIONS] == list(range(1, 11))


@pytest.mark.parametrize(("number", "sql"), QUESTIONS, ids=[number for number, _ in QUESTIONS])
def test_a_question_has_an_answer(published: Path, number: str, sql: str) -> None:
    with open_published(published) as connection:
        assert connection.execute(sql).fetchall(), f"question {number} has an empty answer on the demo"


def test_every_table_and_column_says_what_it_is(published: Path) -> None:
    with open_published(published) as connection:
        silent = connection.execute(
            """SELECT table_name, '' FROM duckdb_tables() WHERE database_name = 'bi' AND coalesce(comment, '') = ''
               UNION ALL
               SELECT table_name, column_name FROM duckdb_columns() WHERE database_name = 'bi' AND coalesce(comment, '') = ''"""
        ).fetchall()
    assert silent == []


def test_the_file_is_written_for_clients_from_1_2_on(published: Path) -> None:
    with open_published(published) as connection:
        tags = connection.execute("SELECT tags FROM duckdb_databases() WHERE database_name = 'bi'").fetchone()
    # DuckDB tells the oldest version that can read an attached file in its tags.
    assert tags is not None
    assert "v1.2.0" in str(tags[0])


READER = """
import sys, time, duckdb
connection = duckdb.connect()
connection.execute(f"ATTACH '{sys.argv[1]}' AS bi (READ_ONLY)")
print(connection.execute("SELECT count(*) FROM bi.kpis.kpi_value").fetchone()[0], flush=True)
sys.stdin.readline()
print(connection.execute("SELECT count(*) FROM bi.kpis.kpi_value").fetchone()[0], flush=True)
"""


def test_a_reader_that_has_it_open_blocks_nobody_and_is_not_blocked(published: Path, tmp_path: Path) -> None:
    """An analyst's process keeps the file open while we write and publish; it reads on, we do not wait, new readers see the new file."""
    data = tmp_path / "data"
    (data / "published").mkdir(parents=True)
    for name in ("warehouse.duckdb", "mart.duckdb"):
        (data / name).write_bytes((published.parents[1] / name).read_bytes())
    warehouse = Warehouse(data, memory_limit="1GB", threads=2)
    copy = Path(warehouse.publish().path)
    analyst = subprocess.Popen(
        [sys.executable, "-c", READER, str(copy)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert analyst.stdin is not None
        assert analyst.stdout is not None
        before = int(analyst.stdout.readline())

        def write_and_publish() -> None:
            with warehouse.writer(timeout_s=20) as connection:
                connection.execute("DELETE FROM mart.kpis.kpi_value WHERE kpi_code = 'k4'")
            warehouse.publish()

        writer = threading.Thread(target=write_and_publish)
        writer.start()
        writer.join(timeout=30)
        assert not writer.is_alive(), "the writer waited for the reader"
        analyst.stdin.write("\n")
        analyst.stdin.flush()
        assert int(analyst.stdout.readline()) == before, "the open reader must go on seeing what it opened"
        with open_published(copy) as connection:
            row = connection.execute("SELECT count(*) FROM kpis.kpi_value").fetchone()
            assert row is not None
            assert 0 < row[0] < before
    finally:
        analyst.terminate()
        analyst.wait(timeout=10)


def test_nobody_can_write_into_what_is_published(published: Path) -> None:
    with open_published(published) as connection, pytest.raises(duckdb.Error, match="read-only"):
        connection.execute("DELETE FROM bi.kpis.kpi_value")
