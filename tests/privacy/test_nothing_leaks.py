"""Given a retailer whose customers have values found nowhere else, expect none of them to be readable outside the sealed store."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import duckdb
import polars as pl
import pytest
import zstandard

from resources import quarantine
from tests.privacy.canaries import FIRST, LAST, NEEDLES, SLIPPED, STREET, Ran
from tests.privacy.plain_text import files_that_show

pytestmark = pytest.mark.xdist_group("canaries")  # one run for all of them


def test_canaries_were_read_and_kept_under_the_seal(ran: Ran) -> None:
    """Nothing leaks from what was never read: each kind is in the sealed store and in the sealed payloads."""
    with sqlite3.connect(ran.data_dir / "pii.sqlite") as store:
        kept = [ran.runtime.personal.get(token) for (token,) in store.execute("SELECT token FROM personal_value")]
    values = {(value.kind, needle) for value in kept if value for needle in NEEDLES if needle in value.value.lower()}
    assert values >= {("email", "zzcanary"), ("name", "zzcanary"), ("phone", NEEDLES[1])}
    sealed = list((ran.data_dir / "landing").rglob("*.sealed"))
    assert {path.relative_to(ran.data_dir / "landing").parts[:2] for path in sealed} >= {
        ("shop_fr", "orders"),
        ("shop_fr", "customers"),
        ("shop_be", "orders"),
        ("shop_be", "customers"),
        ("marketplace", "marketplace_orders"),
    }


def test_no_canary_can_be_read_in_any_file_of_the_data_folder(ran: Ran) -> None:
    assert {path.name for path in ran.data_dir.iterdir()} >= {
        "landing", "canonical", "operations.sqlite", "warehouse.duckdb", "mart.duckdb", "published", "dagster", "pii.sqlite",
    }  # fmt: skip
    assert files_that_show(ran.data_dir, NEEDLES) == {needle: [] for needle in NEEDLES}


def test_no_acknowledgement_quotes_a_canary(ran: Ran) -> None:
    acknowledged = ran.drops / "marketplace" / "ack"
    assert list(acknowledged.glob("*.ack.json"))
    assert files_that_show(acknowledged, NEEDLES) == {needle: [] for needle in NEEDLES}


def test_the_refused_row_shows_its_canary_only_when_it_is_opened(ran: Ran) -> None:
    operations, landing = ran.runtime.operations, ran.runtime.landing
    rows = quarantine.list(operations, system_code="marketplace", stream="marketplace_orders")
    raw = [quarantine.show(operations, landing, row.quarantine_id).raw for row in rows if row.field == "qty"]
    assert [SLIPPED in text for text in raw].count(True) == 1


def test_the_search_finds_what_is_hidden_in_each_format(tmp_path: Path) -> None:
    """Given a value in each kind of file, expect the search to see it: a blind search would prove nothing."""
    hidden = f"{FIRST} {LAST}"
    (tmp_path / "plain.json").write_text(json.dumps({"street": f"7 {STREET}", "name": hidden.upper()}))
    (tmp_path / "raw.zst").write_bytes(zstandard.ZstdCompressor().compress(hidden.encode()))
    pl.DataFrame({"name": [hidden] * 1_000}).write_parquet(tmp_path / "rows.parquet", compression="zstd")
    with sqlite3.connect(tmp_path / "a.sqlite") as store:
        store.execute("CREATE TABLE t (x)")
        store.execute("INSERT INTO t VALUES (?)", [hidden])
    with duckdb.connect(str(tmp_path / "a.duckdb")) as store_2:
        store_2.execute("CREATE SCHEMA s")
        store_2.execute("CREATE TABLE s.t AS SELECT ? || i AS x FROM range(10000) r(i)", [hidden])
    found = files_that_show(tmp_path, NEEDLES)
    assert found["zzcanary"] == ["a.duckdb", "a.sqlite", "plain.json", "raw.zst", "rows.parquet"]
    assert found[STREET] == ["plain.json"]
    assert files_that_show(tmp_path, NEEDLES, leave_out=["plain.json"])[STREET] == []
