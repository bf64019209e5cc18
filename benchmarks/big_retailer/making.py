"""Puts a big retailer in a folder: its retailer.yaml, the files of its history, and later those of its day of changes.

    python -m benchmarks.big_retailer.making FOLDER --lines 1000000

writes the history to FOLDER/drops and the changes to FOLDER/changes, which :func:`drop_changes` lets arrive for a second run.
"""

from __future__ import annotations

import json
import shutil
import sys
from argparse import ArgumentParser
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from benchmarks.big_retailer.declared import retailer_yaml
from benchmarks.big_retailer.files import CHANGES, HISTORY, drop_files
from benchmarks.big_retailer.world import INSTANT, LATER, NOW, Size, World, make_world
from sandbox.drops.files import DropFile

HISTORY_FOLDER, CHANGES_FOLDER, DATA_FOLDER = "drops", "changes", "data"


def make_retailer(folder: Path, lines: int, seed: int) -> dict[str, int]:
    """Make it in a folder, unless that holds the same one already. Gives how many rows of what there are."""
    told_in = folder / "made.json"
    wanted = {"order lines": lines, "seed": seed}
    if told_in.exists():
        told: dict[str, int] = json.loads(told_in.read_text(encoding="utf-8"))
        if wanted.items() <= told.items():
            return told
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    world = make_world(Size(lines), seed)
    (folder / "retailer.yaml").write_text(retailer_yaml(world.size), encoding="utf-8")
    told = {**wanted, **_put(folder / HISTORY_FOLDER, drop_files(world, HISTORY), "")}
    told |= {**_put(folder / CHANGES_FOLDER, drop_files(world, CHANGES), "changes: "), **_changed(world)}
    told_in.write_text(json.dumps(told, indent=1), encoding="utf-8")
    return told


def drop_changes(folder: Path) -> None:
    """Let the files of the day of changes arrive."""
    for path in sorted((folder / CHANGES_FOLDER).glob("*/*")):
        # A marker never before its file: ".done" sorts after the name it is added to.
        arrived = folder / HISTORY_FOLDER / path.parent.name / path.name
        if not arrived.exists():
            arrived.hardlink_to(path)


def start_anew(folder: Path) -> None:
    """Take the changes back, and what runs left: the next run is the first one."""
    for path in (folder / CHANGES_FOLDER).glob("*/*"):
        (folder / HISTORY_FOLDER / path.parent.name / path.name).unlink(missing_ok=True)
    for left in (folder / DATA_FOLDER, *(folder / HISTORY_FOLDER).glob("*/ack")):
        shutil.rmtree(left, ignore_errors=True)


def _put(folder: Path, files: Iterable[DropFile], prefix: str) -> dict[str, int]:
    told: dict[str, int] = {f"{prefix}files": 0, f"{prefix}bytes": 0}
    for file in files:
        file.write(folder)
        told[f"{prefix}files"] += 1
        told[f"{prefix}bytes"] += len(file.data)
        told[f"{prefix}{file.feed} rows"] = told.get(f"{prefix}{file.feed} rows", 0) + file.rows
    return told


def _changed(world: World) -> dict[str, int]:
    """Order lines that the day of changes adds, and those of orders that it moves on."""
    now, later = pl.lit(NOW).cast(INSTANT), pl.lit(LATER).cast(INSTANT)

    def is_in(column: str) -> pl.Expr:
        return (pl.col(column) > now) & (pl.col(column) <= later)

    moved = world.orders.filter(
        pl.any_horizontal(is_in(name) for name in ("ordered_at", "cancelled_at", "shipped_at", "delivered_at"))
    )
    back = world.returns.filter(
        pl.any_horizontal(is_in(name) for name in ("requested_at", "received_at", "restocked_at"))
    )
    touched = pl.concat([moved.select("order"), back.select("order")]).unique()
    tickets = world.tickets.filter(is_in("sold_at")).height
    return {"changed order lines": tickets + world.lines.join(touched, on="order", how="semi").height}


def main() -> None:
    """Make one for a look at it."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    for name, qty in make_retailer(arguments.folder, arguments.lines, arguments.seed).items():
        sys.stdout.write(f"{name}: {qty:,}\n")


if __name__ == "__main__":
    main()
