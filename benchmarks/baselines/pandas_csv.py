"""The price file with pandas, as scripts read it: latin-1, decimal commas, local times; rows that do not parse are left out.

It checks less than Étalon does: no line, column or reason of a refused row, no raw text kept, no control total, no contract.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pandas as pd


def main() -> None:
    """Read the file once, write it as Parquet."""
    given = json.loads(sys.argv[1])
    path = next(Path(given["drops"]).glob("*.csv"))
    started = time.process_time()
    kept, received = [], 0
    frames = pd.read_csv(
        path, sep=";", encoding="latin-1", dtype=str, comment="#", on_bad_lines="skip", chunksize=500_000
    )
    for frame in frames:
        received += len(frame)
        for name in ("prix", "tva"):
            frame[name] = pd.to_numeric(frame[name].str.replace(",", ".", regex=False), errors="coerce")
        for name in ("debut", "fin"):
            naive = pd.to_datetime(frame[name], format="%d/%m/%Y %H:%M:%S", errors="coerce")
            local = naive.dt.tz_localize("Europe/Paris", ambiguous="NaT", nonexistent="NaT")
            frame[f"{name}_utc"] = local.dt.tz_convert("UTC")
        is_good = frame["prix"].ge(0) & frame["tva"].notna() & frame["debut_utc"].notna()
        kept.append(frame[is_good].drop_duplicates(["tarif", "article", "debut"]))
    good = pd.concat(kept)
    good.to_parquet(path.with_suffix(".parquet"), compression="zstd")
    told = {"received": received, "kept": len(good)}
    sys.stdout.write(
        json.dumps({"rows_qty": len(good), "work_cpu_s": time.process_time() - started, "told": told}) + "\n"
    )


if __name__ == "__main__":
    main()
