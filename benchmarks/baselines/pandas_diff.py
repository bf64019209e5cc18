"""Two states merged by their key in pandas, and the rows that differ: what a script beside the shop does. No plan, no guard, no receipt."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pandas as pd


def main() -> None:
    """Compare once."""
    states = Path(json.loads(sys.argv[1])["states"])
    started = time.process_time()
    observed, desired = (pd.read_parquet(states / f"{name}.parquet") for name in ("observed", "desired"))
    both = observed.merge(desired, on=["channel_code", "product_external_id"], how="outer", suffixes=("", "_desired"))
    different = both[both["quantity"] != both["quantity_desired"]]
    different.to_parquet(states / "different.parquet")
    told = {"different": len(different)}
    sys.stdout.write(
        json.dumps({"rows_qty": len(both), "work_cpu_s": time.process_time() - started, "told": told}) + "\n"
    )


if __name__ == "__main__":
    main()
