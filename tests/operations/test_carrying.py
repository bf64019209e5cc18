"""A data folder becomes a service's: every row of its own store is in PostgreSQL afterwards, or nothing has changed and it says why."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from resources.errors import ConfigurationError
from resources.operations import ExchangeEntry, Operations
from resources.operations.carrying import CARRIED, KIND, carry_over, must_be_carried_over
from resources.operations.engine import Transactions, open_engine
from resources.operations.tables import UtcInstant, metadata
from resources.settings import sqlalchemy_postgres_url

pytestmark = pytest.mark.postgres
NOW = datetime(2026, 5, 18, 10, 0, 0, 123456, tzinfo=UTC)
KINDS: dict[type, Any] = {str: "é x", int: 7, float: 1.5, bool: True, bytes: b"\x00x", object: "é x"}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A store with one row in each table."""
    path = tmp_path / "operations.sqlite"
    engine = open_engine(f"sqlite:///{path}")
    with Transactions(engine).writing() as connection:
        for table in metadata.sorted_tables:
            values = {
                column.name: NOW if isinstance(column.type, UtcInstant) else KINDS[column.type.python_type]
                for column in table.columns
            }
            connection.execute(sa.insert(table).values(values))
    engine.dispose()
    return path


@pytest.fixture
def target(postgres_url: str) -> str:
    return sqlalchemy_postgres_url(postgres_url)


@pytest.fixture
def operations(target: str, tmp_path: Path) -> Iterator[Operations]:
    store = Operations.open(target, data_dir=tmp_path)
    yield store
    store.close()


def rows_of(url: str) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables, without the note of the carrying itself."""
    engine = open_engine(url)
    with Transactions(engine).reading() as connection:
        found = {
            table.name: [dict(row) for row in connection.execute(sa.select(table)).mappings()]
            for table in metadata.sorted_tables
        }
    engine.dispose()
    found["exchange"] = [row for row in found["exchange"] if row["kind"] != KIND]
    return found


def test_every_row_is_there_and_counting_goes_on(source: Path, target: str, tmp_path: Path) -> None:
    before = rows_of(f"sqlite:///{source}")
    copied = carry_over(source, target, now=NOW)
    assert copied == {table.name: 1 for table in metadata.sorted_tables}
    assert rows_of(target) == before
    assert not source.exists()
    assert source.with_name(source.name + CARRIED).is_file()
    assert carry_over(source, target, now=NOW) == {}, "once"
    store = Operations.open(target, data_dir=tmp_path)
    assert store.hints.add("shop", "orders", "1", origin="webhook", topic="t", delivery_id="new", now=NOW), (
        "its number comes after those that were copied"
    )
    store.close()


def test_killed_before_the_file_was_renamed_it_is_renamed_and_nothing_is_doubled(source: Path, target: str) -> None:
    carry_over(source, target, now=NOW)
    before = rows_of(target)
    source.with_name(source.name + CARRIED).rename(source)
    assert carry_over(source, target, now=NOW) == {}
    assert rows_of(target) == before
    assert not source.exists()


def test_two_stores_are_never_mixed(source: Path, target: str, operations: Operations) -> None:
    operations.add_exchange(ExchangeEntry(NOW, "", "shop", "orders", "note", is_ok=True, detail="of another store"))
    before = rows_of(target)
    with pytest.raises(ConfigurationError, match=r"holds an operations store already \(exchange\)"):
        carry_over(source, target, now=NOW)
    assert rows_of(target) == before
    assert source.is_file()


def test_a_store_that_somebody_uses_is_left_alone(source: Path, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resources.operations.carrying.BUSY_S", 0.1)
    user = sqlite3.connect(source)
    user.execute("SELECT count(*) FROM cursor").fetchone()
    with pytest.raises(ConfigurationError, match="another process works on this data folder"):
        carry_over(source, target, now=NOW)
    user.close()
    assert not any(rows_of(target).values())
    assert carry_over(source, target, now=NOW)


def test_what_cannot_be_copied_leaves_postgres_empty(source: Path, target: str) -> None:
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        connection.execute("UPDATE hint SET status = ?", ("x" * 50,))  # longer than its column: SQLite does not mind
    with pytest.raises(sa.exc.DataError):
        carry_over(source, target, now=NOW)
    assert not any(rows_of(target).values())
    assert source.is_file()


@pytest.mark.parametrize(
    ("url", "is_there", "is_refused"),
    [
        ("postgresql+psycopg2://h/d", True, True),
        ("postgresql+psycopg2://h/d", False, False),
        ("sqlite:///x", True, False),
    ],
)
def test_nobody_starts_anew_beside_a_store_that_was_not_carried_over(
    tmp_path: Path, url: str, is_there: bool, is_refused: bool
) -> None:
    path = tmp_path / "operations.sqlite"
    if is_there:
        path.touch()
    if not is_refused:
        must_be_carried_over(path, url)
        return
    with pytest.raises(ConfigurationError, match="`etalon up` carries it over"):
        must_be_carried_over(path, url)
