"""The files that the sandbox's systems drop in folders, each with its `.done` marker, and what a careful reader must make of them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from sandbox.drops.erp import erp_files
from sandbox.drops.files import DropFile
from sandbox.drops.logistics import marketplace_files, refund_files, return_files, scan_files, shipment_files
from sandbox.drops.stores import count_files, ticket_files
from sandbox.world import World


def drop_files(world: World) -> Iterator[DropFile]:
    """Every file of every system that drops files, one at a time."""
    return chain(
        erp_files(world),
        ticket_files(world),
        count_files(world),
        shipment_files(world),
        return_files(world),
        scan_files(world),
        marketplace_files(world),
        refund_files(world),
    )


def write_drops(world: World, folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Write every file under `folder`/<system>/ and give back their truth.

    `files`: system, feed, file, rows, outcome (`accepted`, `duplicate`, `refused`), reason, quarantined.
    `quarantine`: system, feed, file, line (from 1, header included), defect.
    """
    files, quarantine = [], []
    for file in drop_files(world):
        file.write(folder)
        files.append(file.truth())
        if file.outcome == "accepted":
            quarantine += [
                {"system": file.system, "feed": file.feed, "file": file.name, "line": row.line, "defect": row.defect}
                for row in file.broken
            ]
    return {"files": files, "quarantine": quarantine}
