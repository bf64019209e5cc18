"""How long from a channel's difference that changed to the value in the shop, under `etalon up --sandbox`: sensor, run, plan, write.

    python -m benchmarks.sensor_path --during-full-run          a service and a sandbox of its own, at rest and during full runs
    python -m benchmarks.sensor_path --running --changes 20     the `etalon up --sandbox` that runs in this folder

Each change is a difference of one row, left as the main job leaves it: the files, then the event in Dagster's catalog. The shop's API is
asked until it shows the quantity. It says what the time is made of: until the run was wanted, started, and had written.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import polars as pl

from assets.names import sync_key
from benchmarks.latency import Target, usable_targets
from benchmarks.live_service import SHOPS, LiveService, arguments, machine, opened, percentiles, tell
from orchestration.instance import SYNC_TAG, open_instance
from orchestration.news import DIFFERENCE, ROW_COUNT
from resources.sync.facts import COLUMNS, Difference, read_difference, write_difference

ASK_EVERY_S, LONGEST_S = 0.02, 300.0


@dataclass
class Change:
    """One change: seconds until the shop showed it; ``parts`` says where they went."""

    channel: str
    seconds: float
    parts: dict[str, float] = field(default_factory=dict)


def one_row(service: LiveService, channel: str, target: Target, before: int, after: int) -> Difference:
    """The channel's last difference with its facts of today and one row: this item's quantity."""
    known = read_difference(service.runtime.settings.data_dir, channel)
    now = datetime.now(UTC)
    row: dict[str, Any] = {
        **dict.fromkeys(COLUMNS),
        "channel_code": channel,
        "system_code": SHOPS[channel],
        "subject": "stock",
        "entity": "channel_stock",
        "external_id": target.listings[channel].external_id,
        "location_code": "",
        "attribute": "published_qty",
        "product_id": target.product_id,
        "sku": f"ML-{target.item}",
        "before_value": json.dumps(before),
        "after_value": json.dumps(after),
        "reason": "a benchmark",
        "units_at_risk": 1,
        "value_at_risk_minor": 0,
        "currency_code": "EUR",
        "observed_at": now,
    }
    fresh = {
        subject: replace(fact, observation_read_at=now, oldest_observed_at=now, orders_read_at=now, source_as_of_at=now)
        for subject, fact in known.facts.items()
    }
    return replace(known, as_of_at=now, rows=pl.DataFrame([row], schema=pl.Schema(COLUMNS)), facts=fresh)


def measure(service: LiveService, instance: dg.DagsterInstance, channel: str, target: Target) -> Change:
    """Leave a difference of one unit and wait until the shop shows it."""
    external_id = target.listings[channel].external_id
    before = service.shops.quantity(channel, external_id)
    difference = one_row(service, channel, target, before, before - 1)
    write_difference(service.runtime.settings.data_dir, difference)
    started_at, started = datetime.now(UTC), time.perf_counter()
    instance.report_runless_asset_event(dg.AssetMaterialization(sync_key(channel, DIFFERENCE), metadata={ROW_COUNT: 1}))
    while service.shops.quantity(channel, external_id) != before - 1:
        if time.perf_counter() - started > LONGEST_S:
            raise TimeoutError(f"{channel} item {external_id} did not change in {LONGEST_S:g} s")
        time.sleep(ASK_EVERY_S)
    change = Change(channel, time.perf_counter() - started)
    records = instance.get_run_records(dg.RunsFilter(tags={SYNC_TAG: channel}), limit=1)
    created_at = records[0].create_timestamp if records else started_at
    wanted_s = (created_at if created_at.tzinfo else created_at.replace(tzinfo=UTC)).timestamp()
    if records and (start_s := records[0].start_time) and wanted_s > started_at.timestamp():
        change.parts = {
            "until the run is wanted": wanted_s - started_at.timestamp(),
            "until its process works": start_s - wanted_s,
            "until the shop shows it": started_at.timestamp() + change.seconds - start_s,
        }
    return change


def a_round(service: LiveService, instance: dg.DagsterInstance, changes: int) -> list[Change]:
    """Shops in turn, one change after the other."""
    usable = usable_targets(service)
    found = []
    for number in range(changes):
        channel = list(SHOPS)[number % len(SHOPS)]
        found.append(measure(service, instance, channel, usable[number % len(usable)]))
        time.sleep(1)
    return found


def table(title: str, changes: list[Change]) -> str:
    """The figures of one round."""
    groups: dict[str, list[float]] = defaultdict(list)
    for change in changes:
        groups[change.channel].append(change.seconds)
        groups["any shop"].append(change.seconds)
    for change in changes:
        for name, seconds in change.parts.items():
            groups[name].append(seconds)
    lines = [f"\n{title}", f"{'':28}{'n':>5}{'p50':>8}{'p95':>8}{'p99':>8}{'longest':>9}"]
    for name, values in groups.items():
        p50, p95, p99 = percentiles(values)
        lines.append(f"{name:28}{len(values):>5}{p50:8.2f}{p95:8.2f}{p99:8.2f}{max(values):9.2f}")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments(parser)
    parser.add_argument("--changes", type=int, default=20, help="differences in each round")
    asked = parser.parse_args()
    with ExitStack() as stack:
        service = opened(asked, stack)
        settings = service.runtime.settings
        instance = stack.enter_context(open_instance(settings.dagster_dir, settings.postgres_url))
        rounds = {"at rest": a_round(service, instance, asked.changes)}
        tell(table(f"at rest ({machine()})", rounds["at rest"]))
        if asked.during_full_run:
            with service.full_runs_going_round() as ended:
                time.sleep(5)
                rounds["full run"] = a_round(service, instance, asked.changes)
                told = f"while full runs go round ({len(ended)} ended; {machine()})"
            tell(table(told, rounds["full run"]))
        if asked.json:
            of_rounds = {name: [vars(change) for change in changes] for name, changes in rounds.items()}
            asked.json.write_text(json.dumps(of_rounds, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
