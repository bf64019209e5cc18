"""A history read by period, by processes of their own, against the sandbox's shop: the work splits, and what comes out is one reading."""

from __future__ import annotations

import io
import json
import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from assets.names import history_key, history_pool
from assets.periods import reading_runtime
from assets.runtime import Runtime
from orchestration import backfill
from orchestration.backfill import Chunk, ChunkDone, Length, Reader, plan, read_chunks
from orchestration.backfill_worker import read_asked
from orchestration.instance import open_instance
from resources.connectors.sdk.periods import Period
from resources.connectors.sdk.stream import Connector, Reading, SeenFile, Stream
from resources.contracts.entity import ENVELOPE, entities
from resources.errors import ConfigurationError
from resources.retailer import SystemConfig
from resources.settings import Settings
from sandbox.servers.woocommerce import WooCommerceServer
from tests.connectors.tiny_shop import tiny_shop
from tests.extract.fakes import ORDERS, Row, Source
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


def loaded(runtime: Runtime, entity: str) -> list[tuple[object, ...]]:
    """What the warehouse holds of an entity once all that waits is loaded, without when and where it was seen."""
    columns = ", ".join(f'"{name}"' for name in entities()[entity].polars_schema if name not in ENVELOPE)
    with runtime.writer("a test") as con:
        runtime.load_entity(con, entity)
        query = f'select {columns}, _stream, _is_deleted from canonical."{entity}" order by all'
        return con.execute(query).fetchall()


def test_two_processes_share_the_work_and_the_outcome_is_one_reading(environ: dict[str, str], tmp_path: Path) -> None:
    runtime = runtime_of(environ)
    chunks = plan(runtime, "shop_be", ["orders"], first=FIRST, last=LAST, length="month", only_missing=False)
    assert len(chunks) == 2
    done = read_chunks(runtime, chunks, environ, processes=2)
    assert [one.error for one in done if not one.is_complete] == []
    assert sum(one.landed_qty for one in done) == 120
    assert len({one.pid for one in done} - {os.getpid()}) == 2

    whole = runtime_of({**environ, "ETALON_DATA_DIR": str(tmp_path / "whole")})
    connector = whole.connectors["shop_be"]
    [orders] = [stream for stream in connector.streams() if stream.name == "orders"]
    assert whole.extract(connector, orders, full=True, run_id="whole").outcome == "complete"
    for entity in orders.entities:
        assert loaded(runtime, entity) == loaded(whole, entity) != []
    # Read from the beginning until now: the next incremental reading goes on from there.
    assert runtime.operations.cursor("shop_be", "orders") == NOW
    assert plan(runtime, "shop_be", ["orders"], first=FIRST, last=LAST, length="month", only_missing=True) == []

    settings = runtime.settings
    with open_instance(settings.dagster_dir, settings.postgres_url) as instance:
        runs = instance.get_runs()
        assert len({run.tags["etalon/process"] for run in runs}) == 2
        days = instance.get_materialized_partitions(history_key("shop_be", "orders"))
        assert len(days) == (LAST - FIRST).days + 1
        assert instance.event_log_storage.get_concurrency_info(history_pool("shop_be")).slot_count == 2


DATED = replace(ORDERS, period_field="at")


@dataclass
class Dated(Source):
    """A source in memory that can be read by period; ``lost`` rows are announced and never come."""

    stream: Stream = DATED
    asked: list[Period] = field(default_factory=list)

    def read_period(self, stream: Stream, period: Period, *, seen: Sequence[SeenFile], now: datetime) -> Reading:  # noqa: ARG002
        self.asked.append(period)
        rows = [row for row in self.rows if period.holds(row.at)]
        return Reading(now, len(rows) + self.lost, False, self._batches(rows))


def in_memory(environ: dict[str, str], source: Dated) -> Runtime:
    source.system_code = "shop_be"
    runtime = runtime_of(environ)
    return replace(runtime, connectors={**runtime.connectors, "shop_be": source}, connect=None)


def answers_of(runtime: Runtime, *asked: tuple[str, str]) -> list[dict[str, Any]]:
    """What a process would answer when it is asked for these days, (first, last)."""
    lines = [
        json.dumps({"system_code": "shop_be", "stream": "acknowledgements", "first": first, "last": last})
        for first, last in asked
    ]
    answers = io.StringIO()
    read_asked(runtime, lines, answers)
    return [json.loads(line) for line in answers.getvalue().splitlines()]


def test_a_run_reads_its_days_as_one_period_and_the_first_day_everything_older(environ: dict[str, str]) -> None:
    old, later = datetime(2019, 7, 1, tzinfo=UTC), datetime(2026, 4, 20, 12, tzinfo=UTC)
    source = Dated([Row("1", old), Row("2", later), Row(None, later)])
    runtime = in_memory(environ, source)
    first, second = answers_of(runtime, ("2026-04-01", "2026-04-10"), ("2026-04-11", "2026-04-30"))
    assert [str(period) for period in source.asked] == [
        "from the beginning until before 2026-04-11",
        "from 2026-04-11 until before 2026-05-01",
    ]
    assert [(one["is_complete"], one["landed_qty"], one["quarantined_qty"]) for one in (first, second)] == [
        (True, 1, 0),
        (True, 1, 1),
    ]


def test_days_that_were_not_read_whole_are_not_shown_as_read(environ: dict[str, str]) -> None:
    source = Dated([Row("1", datetime(2026, 4, 20, 12, tzinfo=UTC))])
    runtime = in_memory(environ, source)
    source.lost = 2
    [lost] = answers_of(runtime, ("2026-04-20", "2026-04-21"))
    assert not lost["is_complete"]
    assert "announced 3, received 1" in lost["error"]
    source.lost = 0
    [whole] = answers_of(runtime, ("2026-04-21", "2026-04-21"))
    assert whole["is_complete"]
    key = history_key("shop_be", "acknowledgements")
    with open_instance(runtime.settings.dagster_dir, None) as instance:
        assert instance.get_materialized_partitions(key) == {"2026-04-21"}
        status = instance.get_run_by_id(lost["run_id"])
        assert status is not None
        assert status.status is dg.DagsterRunStatus.FAILURE


# -- what is read, and by whom ------------------------------------------------------------------------------------------


def chunks_of(runtime: Runtime, length: Length, first: date | None, last: date | None) -> list[tuple[str, str]]:
    found = plan(runtime, "shop_be", ["orders"], first=first, last=last, length=length, only_missing=False)
    return [(f"{chunk.first:%m-%d}", f"{chunk.last:%m-%d}") for chunk in found]


def test_days_are_cut_where_weeks_and_months_begin_newest_first(environ: dict[str, str]) -> None:
    runtime = runtime_of(environ)
    assert chunks_of(runtime, "month", None, None) == [("05-01", "05-18"), ("04-01", "04-30")]
    assert chunks_of(runtime, "week", date(2026, 4, 29), date(2026, 5, 11)) == [
        ("05-11", "05-11"),  # a Monday
        ("05-04", "05-10"),
        ("04-29", "05-03"),
    ]
    assert len(chunks_of(runtime, "day", date(2026, 5, 1), date(2030, 1, 1))) == 18
    assert chunks_of(runtime, "year", date(2010, 1, 1), None) == [("04-01", "05-18")]


@pytest.mark.parametrize(
    ("stream", "first", "what"),
    [("products", None, "cannot be read by period"), ("orders", date(2026, 5, 19), "there is no day")],
)
def test_what_cannot_be_read_by_period_is_said(
    environ: dict[str, str], stream: str, first: date | None, what: str
) -> None:
    with pytest.raises(ConfigurationError, match=what) as refused:
        plan(runtime_of(environ), "shop_be", [stream], first=first, last=None, length="day", only_missing=False)
    assert "orders, refunds" in str(refused.value) or "2026-05-18" in str(refused.value)


def test_a_system_of_which_nothing_can_be_read_by_period_is_said(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "period_streams", lambda _connector: [])
    with pytest.raises(ConfigurationError, match="no stream of shop_be can be read by period"):
        plan(runtime_of(environ), "shop_be", [], first=None, last=None, length="day", only_missing=False)


def test_several_readers_share_the_calls_that_a_system_bears(environ: dict[str, str]) -> None:
    runtime = runtime_of(environ)
    made: list[SystemConfig] = []

    def connect(system: SystemConfig) -> Connector:
        made.append(system)
        return runtime.connectors[system.code]

    replace(runtime, connect=connect).history_connector("shop_be")
    declared = runtime.retailer.system("shop_be")
    assert declared.history_readers == 2
    assert made[0].workers * 2 == declared.workers
    assert made[0].requests_per_second * 2 == declared.requests_per_second


CHUNK = Chunk("shop_be", "orders", FIRST, LAST)


def test_a_killed_process_ends_without_an_answer(environ: dict[str, str]) -> None:
    reader = Reader(environ)
    os.kill(reader.pid, signal.SIGKILL)
    assert reader.read(CHUNK) is None
    assert reader.end() == -signal.SIGKILL


@pytest.mark.parametrize(
    ("deaths", "error"), [(1, ""), (2, "its process ended with code -9 before it was read, 2 times")]
)
def test_the_period_of_a_killed_process_is_read_by_another(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, deaths: int, error: str
) -> None:
    others = [Chunk("shop_be", "orders", LAST, LAST), Chunk("shop_be", "refunds", LAST, LAST)]
    begun: list[Chunk] = []

    class Mortal:
        """Dies of the first chunk, ``deaths`` times."""

        def __init__(self, _environ: object) -> None:
            pass

        def read(self, chunk: Chunk) -> ChunkDone | None:
            begun.append(chunk)
            return None if chunk == CHUNK and begun.count(CHUNK) <= deaths else ChunkDone(chunk, True)

        def end(self) -> int:
            return -9

    monkeypatch.setattr(backfill, "Reader", Mortal)
    done = read_chunks(runtime_of(environ), [CHUNK, *others], environ, processes=2)
    assert {one.chunk for one in done if one.is_complete} == {*others, *([] if error else [CHUNK])}
    assert [one.error for one in done if one.chunk == CHUNK] == [error]


def test_after_an_interruption_no_other_period_is_begun(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    chunks = [Chunk("shop_be", "orders", FIRST + timedelta(days=number), LAST) for number in range(20)]
    begun: list[Chunk] = []
    ended: list[bool] = []

    class Quick:
        def __init__(self, _environ: object) -> None:
            pass

        def read(self, chunk: Chunk) -> ChunkDone | None:
            begun.append(chunk)
            return ChunkDone(chunk, True)

        def end(self) -> int:
            ended.append(True)
            return 0

    def interrupted(_done: ChunkDone) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(backfill, "Reader", Quick)
    with pytest.raises(KeyboardInterrupt):
        read_chunks(runtime_of(environ), chunks, environ, processes=2, on_done=interrupted)
    assert len(begun) <= 2, "one for each of both"
    assert len(ended) == len(begun)
