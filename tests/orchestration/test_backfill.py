"""A history read by period, by processes of their own, against the sandbox's shop: the work splits, and what comes out is one reading."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest

from assets.names import history_key, history_pool
from assets.periods import reading_runtime
from assets.runtime import Runtime
from orchestration.backfill import plan, read_chunks
from orchestration.instance import open_instance
from resources.contracts.entity import ENVELOPE, entities
from resources.settings import Settings
from sandbox.servers.woocommerce import WooCommerceServer
from tests.connectors.tiny_shop import tiny_shop
from tests.retailer.declared import VARIABLES, with_change

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 5, 18, 10, tzinfo=UTC)
KEY = "ck_" + "a" * 40
FIRST, LAST = date(2026, 4, 1), date(2026, 5, 18)


def orders_over(days: int, quantity: int) -> object:
    """A tiny shop whose orders are spread over so many days before now."""
    shop = tiny_shop(orders=quantity)
    step = timedelta(days=days) / quantity
    at = [NOW - timedelta(days=days) + number * step for number in range(quantity)]
    made = pl.Series("ordered_at", at, dtype=shop.orders.schema["ordered_at"])
    return replace(shop, orders=shop.orders.with_columns(made, updated_at=made + timedelta(hours=1)))


@pytest.fixture(scope="module")
def shop_url() -> Iterator[str]:
    server = WooCommerceServer(orders_over(40, 120), key=KEY, secret="cs", clock=lambda: NOW, country="FR")  # type: ignore[arg-type]
    yield server.start()
    server.stop()


@pytest.fixture
def environ(tmp_path: Path, shop_url: str) -> dict[str, str]:
    """The environment of a data folder of the test's own, its Belgian shop the one that runs here."""
    declared = with_change("languages: [fr, en]", "languages: [fr, en], history_from: 2026-04-01")
    (tmp_path / "retailer.yaml").write_text(declared, encoding="utf-8")
    return {
        **{name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ},
        **VARIABLES,
        "ETALON_SHOP_BE_URL": shop_url,
        "ETALON_SHOP_BE_KEY": KEY,
        "ETALON_SHOP_BE_SECRET": "cs",
        "ETALON_RETAILER": str(tmp_path / "retailer.yaml"),
        "ETALON_DATA_DIR": str(tmp_path / "data"),
        "ETALON_SECRET_KEY": "ab" * 32,
        "ETALON_NOW": NOW.isoformat(),
    }


def runtime_of(environ: dict[str, str]) -> Runtime:
    return reading_runtime(Settings.from_environment(environ, ROOT))


def rows(runtime: Runtime, entity: str) -> list[tuple[object, ...]]:
    """What waits to be loaded of an entity, without when and where it was seen."""
    paths = [str(path) for extract in runtime.operations.loadable_extracts(entity) for path in extract.paths]
    columns = ", ".join(f'"{name}"' for name in entities()[entity].polars_schema if name not in ENVELOPE)
    with duckdb.connect() as con:
        return con.execute(f"select {columns} from read_parquet(?) order by all", [paths]).fetchall()


def test_two_processes_share_the_work_and_the_outcome_is_one_reading(environ: dict[str, str], tmp_path: Path) -> None:
    runtime = runtime_of(environ)
    chunks = plan(runtime, "shop_be", [], first=FIRST, last=LAST, length="month", only_missing=False)
    assert len(chunks) == 4
    done = read_chunks(runtime, chunks, environ, processes=2)
    assert [one.error for one in done if not one.is_complete] == []
    assert sum(one.landed_qty for one in done if one.chunk.stream == "orders") == 120

    whole = runtime_of({**environ, "ETALON_DATA_DIR": str(tmp_path / "whole")})
    connector = whole.connectors["shop_be"]
    for stream in connector.streams():
        if stream.period_field:
            assert whole.extract(connector, stream, full=True, run_id="whole").outcome == "complete"
            for entity in stream.entities:
                assert rows(runtime, entity) == rows(whole, entity)
    # Read from the beginning until now: the next incremental reading goes on from there.
    assert runtime.operations.cursor("shop_be", "orders") == NOW
    assert plan(runtime, "shop_be", [], first=FIRST, last=LAST, length="month", only_missing=True) == []

    settings = runtime.settings
    with open_instance(settings.dagster_dir, settings.postgres_url) as instance:
        runs = instance.get_runs()
        assert len({run.tags["etalon/process"] for run in runs}) == 2
        days = instance.get_materialized_partitions(history_key("shop_be", "orders"))
        assert len(days) == (LAST - FIRST).days + 1
        assert instance.event_log_storage.get_concurrency_info(history_pool("shop_be")).slot_count == 2
