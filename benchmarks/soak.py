"""What the service's databases weigh after thousands of sensor ticks, hundreds of runs and runless events, with housekeeping.

    python -m benchmarks.soak                     10 days of a small service, on SQLite and on a private PostgreSQL
    python -m benchmarks.soak --days 30 --store sqlite

A day is squeezed: ticks, runs, events and operations rows are written with the clock of that day, then housekeeping removes what is
older than the days kept. The size must stop growing once the first days have gone: the last column says so.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import dagster as dg
import sqlalchemy as sa
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import TickData, TickStatus

from orchestration.event_pruning import prune_instance
from orchestration.instance import open_instance
from resources.operations import ExchangeEntry, Operations
from resources.settings import sqlalchemy_postgres_url

START = datetime(2026, 5, 1, tzinfo=UTC)
LANE = [dg.AssetKey(["sync", channel, "fast_lane"]) for channel in ("web_fr", "web_be")]


@dataclass(frozen=True)
class Volume:
    """What happens on one day. A real day of a small service: 17,280 ticks a sensor, some 50 runs, 17,280 reports of the fast lane."""

    ticks: int = 1_000
    runs: int = 20
    events: int = 1_000
    exchanges: int = 1_000


@dataclass(frozen=True)
class Weighed:
    """Bytes at the end of a day, after housekeeping."""

    day: int
    instance_bytes: int
    operations_bytes: int
    runs_qty: int
    seconds: float


@dg.asset(key=["sync", "web_fr", "receipts"])
def small() -> dg.MaterializeResult[None]:
    """A run of one small step, with metadata as ours have it."""
    return dg.MaterializeResult(
        metadata={"applied": 3, "by attribute": dg.MetadataValue.md("| a | b |\n|---|---|\n| 1 | 2 |")}
    )


def soak(folder: Path, postgres_url: str | None, *, days: int, keep_days: int, volume: Volume) -> Iterator[Weighed]:
    """Live ``days`` days in ``folder`` and weigh the stores at the end of each."""
    operations_url = (
        f"sqlite:///{folder / 'operations.sqlite'}" if postgres_url is None else sqlalchemy_postgres_url(postgres_url)
    )
    operations = Operations.open(operations_url, data_dir=folder)
    with open_instance(folder / "dagster", postgres_url) as instance:
        for day in range(days):
            started = time.monotonic()
            now = START + timedelta(days=day)
            with at(now):
                live_a_day(instance, operations, now, volume)
            before = now - timedelta(days=keep_days)
            prune_instance(instance, before=before)
            instance.purge_ticks(ORIGIN, SELECTOR, before.timestamp(), [TickStatus.SKIPPED, TickStatus.SUCCESS])
            operations.prune(before=before)
            yield Weighed(
                day + 1,
                sum(size(folder / "dagster", postgres_url, "public")),
                sum(size(folder, postgres_url, "operations")),
                instance.get_runs_count(),
                time.monotonic() - started,
            )
    operations.close()


ORIGIN, SELECTOR = "soak-origin", "soak-selector"


def live_a_day(instance: dg.DagsterInstance, operations: Operations, now: datetime, volume: Volume) -> None:
    """Ticks, runs, events and journal lines, all with the clock of ``now``."""
    for number in range(volume.ticks):
        instance.create_tick(
            TickData(
                instigator_origin_id=ORIGIN,
                instigator_name="channel_changes",
                instigator_type=InstigatorType.SENSOR,
                status=TickStatus.SKIPPED,
                timestamp=now.timestamp() + number,
                selector_id=SELECTOR,
                skip_reason="no news of web_fr, web_be",
                cursor=json.dumps({"web_fr": {"id": number, "due": False}}),
            )
        )
    for _ in range(volume.runs):
        dg.materialize([small], instance=instance)
    for number in range(volume.events):
        key = LANE[number % len(LANE)]
        instance.report_runless_asset_event(dg.AssetMaterialization(key, metadata={"written": number, "seconds": 0.4}))
    operations.add_exchange(
        *(
            ExchangeEntry(
                now, "worker", "shop_fr", "channel_stock", "write", is_ok=True, detail="3 values written", rows_qty=3
            )
            for _ in range(volume.exchanges)
        )
    )


@contextmanager
def at(now: datetime) -> Iterator[None]:
    """Dagster's own clock says ``now``, and goes on from there."""
    offset = now.timestamp() - time.time()
    real_time = time.time
    with ExitStack() as stack:

        def moved() -> float:
            return real_time() + offset

        for module in ("dagster._time", "dagster._core.storage.runs.sql_run_storage", "dagster._core.events.log"):
            for name, made in (
                ("get_current_timestamp", moved),
                ("get_current_datetime", lambda: datetime.fromtimestamp(moved(), UTC)),
            ):
                if hasattr(sys.modules.get(module), name):
                    stack.enter_context(mock.patch(f"{module}.{name}", made))
        stack.enter_context(mock.patch("time.time", moved))
        yield


def size(folder: Path, postgres_url: str | None, schema: str) -> Iterator[int]:
    """Bytes of the files, or of a schema's tables with their indexes."""
    if postgres_url is None:
        for path in folder.rglob("*.db") if schema == "public" else [folder / "operations.sqlite"]:
            fold_write_ahead_log(path)
        for path in folder.rglob("*") if schema == "public" else folder.glob("operations.sqlite*"):
            if path.is_file():
                yield path.stat().st_size
        return
    engine = sa.create_engine(sqlalchemy_postgres_url(postgres_url))
    query = sa.text(
        "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) FROM pg_class c WHERE c.relkind = 'r' "
        "AND c.relnamespace = to_regnamespace(:schema)"
    )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # What autovacuum does within minutes; here a day lasts seconds.
        connection.execute(sa.text("VACUUM"))
        yield int(connection.scalar(query, {"schema": schema}) or 0)
    engine.dispose()


def fold_write_ahead_log(path: Path) -> None:
    """SQLite's log file keeps the size it once had until somebody cuts it."""
    if path.is_file():
        engine = sa.create_engine(f"sqlite:///{path}")
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        engine.dispose()


def is_bounded(weighed: list[Weighed], keep_days: int) -> bool:
    """Whether the second half of the days after the kept ones weighs no more than a tenth above their first half."""
    steady = [one.instance_bytes + one.operations_bytes for one in weighed if one.day > keep_days + 1]
    half = len(steady) // 2
    return half > 0 and max(steady[half:]) <= 1.1 * max(steady[:half])


def show(store: str, weighed: list[Weighed], keep_days: int) -> None:
    """One line per day."""
    out = sys.stdout.write
    out(
        f"\n{store}, {keep_days} days kept\n{'day':>4} {'instance MB':>12} {'operations MB':>14} {'runs':>6} {'seconds':>8}\n"
    )
    for one in weighed:
        out(
            f"{one.day:>4} {one.instance_bytes / 1e6:>12.1f} {one.operations_bytes / 1e6:>14.1f} {one.runs_qty:>6} "
            f"{one.seconds:>8.1f}\n"
        )
    out(f"bounded: {'yes' if is_bounded(weighed, keep_days) else 'NO'}\n")


def main() -> None:
    """Soak and show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=10)
    parser.add_argument("--keep-days", type=int, default=3)
    parser.add_argument("--store", choices=["sqlite", "postgres", "both"], default="both")
    parser.add_argument("--ticks", type=int, default=1_000)
    parser.add_argument("--runs", type=int, default=20)
    asked = parser.parse_args()
    volume = Volume(ticks=asked.ticks, runs=asked.runs)
    import logging

    logging.disable(logging.CRITICAL)
    for store in ("sqlite", "postgres") if asked.store == "both" else (asked.store,):
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="etalon-soak-")))
            url = None
            if store == "postgres":
                from tests.postgres_server import find_binaries, running_postgres

                binaries = find_binaries()
                if binaries is None:
                    sys.stdout.write("PostgreSQL is not installed: scripts/programs.sh postgresql\n")
                    continue
                url = stack.enter_context(running_postgres(binaries)).new_database()
            weighed = list(soak(folder, url, days=asked.days, keep_days=asked.keep_days, volume=volume))
        show(store, weighed, asked.keep_days)


if __name__ == "__main__":
    main()
