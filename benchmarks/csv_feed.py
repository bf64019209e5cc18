"""A CSV feed with bad rows read to canonical rows: declared types, control totals, contracts, landing, quarantine.

The prices feed of the demo's ERP: latin-1, semicolons, decimal commas, local times, a trailer with the control total.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.drops import drop, read_drop
from benchmarks.harness import (
    Baseline,
    Goal,
    Line,
    Outcome,
    common_arguments,
    measure_beside,
    report,
    run_job_if_asked,
)

MODULE = "benchmarks.csv_feed"
_HEADER = b"tarif;article;prix;tva;ttc;debut;fin;devise\n"
_CHUNK_ROWS = 1_000_000
# one of each in turn; each is refused for another reason
_BROKEN = (
    "WEB;{};12,9O;20,00;O;01/02/2026 00:00:00;;EUR\n",
    "WEB;{};12,90;20,00;O;31/02/2026 00:00:00;;EUR\n",
    "WEB;{};12,90;20,00;O;01/02/2026 00:00:00;EUR\n",
    "WEB;{};1105,395;20,00;O;01/02/2026 00:00:00;;EUR\n",
    "WEB;{};-1,00;20,00;O;01/02/2026 00:00:00;;EUR\n",
)


def write_file(folder: Path, rows: int, *, bad_share: float, seed: int) -> None:
    """Drop one file of so many rows, bad ones among them, with its trailer and its marker."""
    dice = np.random.default_rng(seed)
    name = "PRICES_000001_20260518050000.csv"
    total_minor = 0
    with drop(folder, name, rows) as file:
        file.write(_HEADER)
        for start in range(0, rows, _CHUNK_ROWS):
            size = min(_CHUNK_ROWS, rows - start)
            number = pl.Series("number", np.arange(start, start + size))
            minor = pl.Series("minor", dice.integers(100, 99_999, size))
            days = pl.Series("days", dice.integers(0, 365, size))
            is_bad = dice.random(size) < bad_share
            frame = pl.DataFrame([number, minor, days]).select(
                pl.format(
                    "{};{};{},{};{};O;{};{};EUR\n",
                    pl.when(pl.col("number") % 2 == 0).then(pl.lit("WEB")).otherwise(pl.lit("ÉTÉ")),
                    pl.format("ART-{}", pl.col("number").cast(pl.String).str.zfill(8)),
                    pl.col("minor") // 100,
                    (pl.col("minor") % 100).cast(pl.String).str.zfill(2),
                    pl.when(pl.col("number") % 5 == 0).then(pl.lit("5,50")).otherwise(pl.lit("20,00")),
                    (pl.lit("2025-01-01").str.to_datetime() + pl.duration(days="days")).dt.strftime(
                        "%d/%m/%Y %H:%M:%S"
                    ),
                    pl.when(pl.col("number") % 4 == 0).then(pl.lit("31/12/2027 00:00:00")).otherwise(pl.lit("")),
                ).alias("text")
            )
            total_minor += int(minor.filter(pl.Series(~is_bad)).sum())
            texts = frame["text"]
            bad_at = np.flatnonzero(is_bad).tolist()
            if bad_at:
                broken = [_BROKEN[at % len(_BROKEN)].format(f"ART-{start + at:08d}") for at in bad_at]
                texts = texts.scatter(bad_at, broken)
            file.write(texts.str.join("").item().encode("latin-1"))
        # the total of unreadable rows is unknown to the reader, which then tells so and goes by the count
        file.write(f"#TOTAL;{rows};{total_minor / 100:.2f}\n".replace(".", ",").encode("latin-1"))


def job(given: dict[str, Any]) -> Outcome:
    """One reading of the file."""
    return read_drop(given, system_code="erp", feed="erp_prices")


def main() -> None:
    """Run it from the command line."""
    parser = common_arguments(str(__doc__))
    parser.add_argument("--rows", type=int, default=200_000, help="rows of the file (default 200,000)")
    parser.add_argument("--bad-share", type=float, default=0.001, help="share of bad rows (default 0.001)")
    arguments = parser.parse_args()
    if run_job_if_asked(arguments, job):
        return
    size = f"{arguments.rows:,} rows, {arguments.bad_share:.2%} bad"
    goals = [Goal("rows_per_cpu_s", 900_000, at_least=True, applies=arguments.rows >= 5_000_000)]
    with tempfile.TemporaryDirectory() as folder:
        write_file(Path(folder), arguments.rows, bad_share=arguments.bad_share, seed=arguments.seed)
        given = {"drops": folder}
        pandas = Baseline("pandas, bad rows dropped", "pandas_csv.py", "files", given)
        line = measure_beside(arguments, Line("csv_feed", size, (), goals), MODULE, given, pandas)
    report([line], as_json=arguments.json)


if __name__ == "__main__":
    main()
