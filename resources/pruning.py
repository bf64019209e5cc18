"""Frees the room of what every later step has taken in: raw payloads and canonical files of old extracts. Reading is not here.

Kept for ever: manifests, cursors, file receipts, the exchange journal, and quarantine with its raw rows. Kept until it is in
the warehouse: everything of an extract that may be loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from resources.landing import Landing
from resources.operations import Operations


@dataclass(frozen=True)
class Pruned:
    """What one pruning removed, or would remove. ``waiting_qty``: old extracts left alone, for the warehouse lacks them."""

    raw_extracts_qty: int
    raw_bytes: int
    canonical_files_qty: int
    canonical_bytes: int
    waiting_qty: int


def prune(
    operations: Operations,
    landing: Landing,
    *,
    before: datetime,
    hints_before: datetime | None = None,
    only_count: bool = False,
) -> Pruned:
    """Remove raw payloads and loaded canonical files of extracts that ended before ``before`` (aware).

    ``hints_before``: the instant for readings of single rows: some small files for each sale, all of which a later reading has too.
    Files go first and what is noted of them after, so a pruning that dies half way is finished by the next one.
    """
    raw_extracts, raw_bytes, files, file_bytes, waiting = 0, 0, 0, 0, 0
    for old in operations.ended_extracts(before=before, hints_before=hints_before):
        waiting += old.is_waiting
        if not old.is_waiting:
            freed = landing.raw_bytes(old.system_code, old.stream, old.extract_id)
            raw_extracts += freed is not None
            raw_bytes += freed or 0
        files += len(old.loaded_files)
        file_bytes += landing.canonical_bytes(old.loaded_files)
        if not only_count:
            if not old.is_waiting:
                landing.discard_raw(old.system_code, old.stream, old.extract_id)
            landing.discard_canonical(old.loaded_files)
            operations.forget_canonical_files(old.extract_id, old.loaded_files)
    return Pruned(raw_extracts, raw_bytes, files, file_bytes, waiting)
