"""The same rules with pandera by hand, as its documentation has it: lazy validation of each batch, and the failure cases as a frame.

It keeps no raw text, and what it refuses goes into a Parquet file rather than to a store that can be asked and replayed.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pandera.polars as pa
import polars as pl

TEXT = [pa.Check.str_length(min_value=1)]
INSTANT = pl.Datetime("us", "UTC")
LOW, HIGH = pl.datetime(2000, 1, 1, time_zone="UTC"), pl.datetime(2100, 1, 1, time_zone="UTC")
PLAUSIBLE = pa.Check(lambda data: data.lazyframe.select(pl.col(data.key).is_between(LOW, HIGH)))
SCHEMA = pa.DataFrameSchema(
    {
        "order_external_id": pa.Column(pl.String, TEXT),
        "line_external_id": pa.Column(pl.String, TEXT),
        "product_external_id": pa.Column(pl.String, TEXT, nullable=True),
        "sku": pa.Column(pl.String, TEXT, nullable=True),
        "quantity": pa.Column(pl.Int64),
        "cancelled_qty": pa.Column(pl.Int64, pa.Check.ge(0)),
        "cancel_reason": pa.Column(pl.String, pa.Check.isin(["stock", "customer", "seller"]), nullable=True),
        "cancelled_at": pa.Column(INSTANT, PLAUSIBLE, nullable=True),
        "net_minor": pa.Column(pl.Int64),
        "manual_discount_minor": pa.Column(pl.Int64, pa.Check.ge(0)),
    },
    unique=["line_external_id"],
)


def main() -> None:
    """Validate every batch, write good rows and failure cases."""
    batches = sorted(Path(json.loads(sys.argv[1])["batches"]).glob("*.parquet"))
    cpu_s, rows, refused = 0.0, 0, 0
    for path in batches:
        frame = pl.read_parquet(path)
        rows += frame.height
        started = time.process_time()
        try:
            SCHEMA.validate(frame, lazy=True)
            good = frame
        except pa.errors.SchemaErrors as errors:
            cases = errors.failure_cases
            bad = cases["index"].drop_nulls().unique().to_list()
            refused += len(bad)
            cases.with_columns(pl.all().cast(pl.String)).write_parquet(path.with_suffix(".bad"))
            good = frame.with_row_index("row").filter(~pl.col("row").is_in(bad))
        good.write_parquet(path.with_suffix(".good"), compression="zstd", compression_level=1)
        cpu_s += time.process_time() - started
    told = {"us per row": round(cpu_s / rows * 1e6, 3), "refused": refused}
    sys.stdout.write(json.dumps({"rows_qty": rows, "work_cpu_s": cpu_s, "told": told}) + "\n")


if __name__ == "__main__":
    main()
