"""Canonical rows through their contract: what each rule costs on every row, and what a refused row costs with its reasons.

`split` is the contract alone, with the reasons of refused rows. `collect` is all that a reading does with a batch: the contract,
quarantine in the operations store, and the parquet file of the good rows, whose writing is also told apart. Rows are invented
beforehand and their making is not counted.
"""

from __future__ import annotations

import tempfile
import time
from argparse import Namespace
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.environments import environment
from benchmarks.harness import (
    Goal,
    Line,
    Outcome,
    Side,
    common_arguments,
    measure,
    measure_interleaved,
    report,
    run_job_if_asked,
)

MODULE = "benchmarks.contracts"
ENTITY = "order_line"
_WHATS = ("split", "collect")
_BASELINE_ROWS = 1_000_000
"""Above this the baseline's cost only grows in line."""
_EXTRACT_ID = "20260518T100000-benchmark"


@dataclass
class Stopwatch:
    """CPU-seconds of one kind of work."""

    cpu_s: float = 0.0


def lines_of(first: int, size: int, *, bad_share: float, seed: int) -> pl.DataFrame:
    """Order lines as a connector gives them, from number ``first`` on, some of which break a rule of their contract."""
    from benchmarks.stores import NOW

    dice = np.random.default_rng([seed, first])
    number = pl.int_range(first, first + size, dtype=pl.Int64)
    quantity = pl.Series("quantity", dice.integers(1, 5, size))
    minor = pl.Series("net_minor", dice.integers(100, 99_999, size))
    is_short = pl.Series("is_short", dice.random(size) < 0.02)
    kind = pl.Series("kind", np.where(dice.random(size) < bad_share, dice.integers(1, 5, size), 0))
    return pl.DataFrame([quantity, minor, is_short, kind]).select(
        pl.when(pl.col("kind") == 1)
        .then(pl.lit(""))
        .otherwise((number // 3).cast(pl.String))
        .alias("order_external_id"),
        number.cast(pl.String).alias("line_external_id"),
        (number % 5_000).cast(pl.String).alias("product_external_id"),
        pl.format("SKU-{}", number % 5_000).alias("sku"),
        pl.format("Article d'été {}", number % 5_000).alias("name"),
        pl.col("quantity"),
        pl.when(pl.col("kind") == 2)
        .then(-1)
        .when("is_short")
        .then(1)
        .otherwise(0)
        .cast(pl.Int64)
        .alias("cancelled_qty"),
        pl.when(pl.col("kind") == 3).then(pl.lit("whim")).when("is_short").then(pl.lit("stock")).alias("cancel_reason"),
        pl.when(pl.col("kind") == 4)
        .then(pl.lit(NOW + timedelta(days=40_000)))
        .when("is_short")
        .then(pl.lit(NOW))
        .alias("cancelled_at"),
        pl.col("net_minor"),
        (pl.col("net_minor") // 5).alias("tax_minor"),
        (pl.col("net_minor") // pl.col("quantity")).alias("unit_price_minor"),
        pl.lit(0, pl.Int64).alias("manual_discount_minor"),
        pl.lit(None, pl.String).alias("return_reference"),
        pl.format("orders page {} row {}", number // 100 + 1, number % 100 + 1).alias("source_position"),
    )


def job(given: dict[str, Any]) -> Outcome:
    """Every row through the contract, in batches; the CPU of what is measured only."""
    from resources.contracts.entity import entities
    from resources.contracts.validation import split_by_contract

    entity = entities()[ENTITY]
    rules = sum(len(column.checks) + (not column.nullable) for column in entity.schema.columns.values())
    cpu_s, refused_qty = 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        written = Stopwatch()
        collector = None if given["what"] == "split" else _collector(Path(folder), written)
        for first in range(0, given["rows"], given["batch_rows"]):
            size = min(given["batch_rows"], given["rows"] - first)
            frame = lines_of(first, size, bad_share=given["bad_share"], seed=given["seed"])
            if collector is not None:
                batch = _batch(frame)
                started = time.process_time()
                collector.take(batch)
                cpu_s += time.process_time() - started
                refused_qty = collector.quarantined_qty
                continue
            whole = _with_envelope(frame, tuple(entity.polars_schema))
            started = time.process_time()
            refused_qty += len(split_by_contract(entity, whole).refused)
            cpu_s += time.process_time() - started
        if collector is not None:
            started = time.process_time()
            collector.close()
            cpu_s += time.process_time() - started
            refused_qty = collector.quarantined_qty
    told = {"us per row": _us(cpu_s, given), "rules": rules, "refused": refused_qty}
    if given["what"] == "collect":
        told["us per row without writing parquet"] = _us(cpu_s - written.cpu_s, given)
    return Outcome(given["rows"], cpu_s, told)


def _us(cpu_s: float, given: dict[str, Any]) -> float:
    return round(cpu_s / int(given["rows"]) * 1e6, 3)


def _with_envelope(frame: pl.DataFrame, columns: tuple[str, ...]) -> pl.DataFrame:
    from benchmarks.stores import NOW

    return frame.with_columns(
        pl.lit("shop").alias("system_code"),
        pl.lit(_EXTRACT_ID).alias("extract_id"),
        pl.lit(NOW).dt.cast_time_unit("us").alias("observed_at"),
    ).select(columns)


def _collector(folder: Path, written: Stopwatch) -> Any:
    from benchmarks.stores import NOW, open_stores
    from resources.collecting import Collector
    from resources.connectors.sdk.stream import Stream
    from resources.landing import ExtractLanding

    class TimedLanding(ExtractLanding):
        """The landing, and what its Parquet files cost."""

        def write_canonical(self, entity: str, frame: pl.DataFrame) -> Any:
            """Write, and note the cost."""
            started = time.process_time()
            try:
                return super().write_canonical(entity, frame)
            finally:
                written.cpu_s += time.process_time() - started

    operations, landing, pii = open_stores(folder)
    landing.extract = partial(TimedLanding, landing)  # type: ignore[method-assign]
    operations.begin_extract(_opening())
    stream = Stream(
        name="lines",
        path="/lines",
        entities=(ENTITY,),
        keys=("line_external_id",),
        change_tracking="updated_at",
        cursor_field="at",
        overlap=timedelta(minutes=10),
    )
    collector = Collector(
        stream,
        system_code="shop",
        extract_id=_EXTRACT_ID,
        run_id="benchmark",
        now=NOW,
        operations=operations,
        landing=landing,
        pii=pii,
    )
    collector.observe_at(NOW)
    return collector


def _opening() -> Any:
    from benchmarks.stores import NOW
    from resources.operations import Manifest

    return Manifest(
        extract_id=_EXTRACT_ID,
        system_code="shop",
        stream="lines",
        run_id="benchmark",
        outcome="failed",
        announced_qty=None,
        landed_qty=0,
        quarantined_qty=0,
        since_at=None,
        watermark_at=NOW,
        started_at=NOW,
    )


def _batch(frame: pl.DataFrame) -> Any:
    from resources.connectors.sdk.stream import Batch

    return Batch(received_qty=frame.height, frames={ENTITY: frame}, raw_at=lambda position: (f"raw of {position}", ""))


def main() -> None:
    """Run it from the command line."""
    parser = common_arguments(str(__doc__))
    parser.add_argument("--rows", type=int, default=500_000, help="rows (default 500,000)")
    parser.add_argument("--batch-rows", type=int, default=50_000, help="rows of one batch (default 50,000)")
    parser.add_argument("--bad-share", type=float, default=0.01, help="share of bad rows (default 0.01)")
    arguments = parser.parse_args()
    if run_job_if_asked(arguments, job):
        return
    names = ("rows", "batch_rows", "bad_share", "seed")
    given = {name: getattr(arguments, name) for name in names}
    size = f"batches of {arguments.batch_rows:,}, {arguments.bad_share:.2%} bad"
    goals = {
        "split": [Goal("told.us per row", 0.6, applies=arguments.rows >= 1_000_000)],
        "collect": [Goal("told.us per row without writing parquet", 0.6, applies=arguments.rows >= 1_000_000)],
    }
    lines = []
    for what in _WHATS:
        profile = arguments.profile.with_suffix(f".{what}") if arguments.profile else None
        runs = measure(MODULE, {**given, "what": what}, runs=arguments.runs, profile=profile)
        lines.append(Line(f"contracts {what}", size, runs, goals[what]))
    if arguments.baselines and not arguments.profile and arguments.rows <= _BASELINE_ROWS:
        lines[-1] = replace(lines[-1], baselines=[_baseline(arguments, size)])
    report(lines, as_json=arguments.json)


def _baseline(arguments: Namespace, size: str) -> Line:
    """pandera by hand on the same rows, which it finds in files: reading them is not counted."""
    with tempfile.TemporaryDirectory() as folder:
        for first in range(0, arguments.rows, arguments.batch_rows):
            batch = min(arguments.batch_rows, arguments.rows - first)
            frame = lines_of(first, batch, bad_share=arguments.bad_share, seed=arguments.seed)
            frame.write_parquet(Path(folder) / f"{first:010d}.parquet")
        python = environment("files", arguments.environments)
        side = Side("pandera", {"batches": folder}, script="pandera_contracts.py", python=python)
        runs = measure_interleaved([side], arguments.runs)["pandera"]
    return Line("contracts pandera lazy, nothing kept to replay", size, runs)


if __name__ == "__main__":
    main()
