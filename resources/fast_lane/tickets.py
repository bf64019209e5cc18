"""Till tickets as they are dropped: each whole file is looked into once, and left where it is for the main job.

Belongs here: noticing new files, and their orders. What the orders mean for stock is `book`.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import polars as pl

from resources.connectors.files import FilesConnector
from resources.connectors.sdk.pickup import MARKER
from resources.connectors.sdk.stream import Batch, Stream
from resources.contracts.entity import Entity, entities
from resources.contracts.validation import split_by_contract
from resources.fast_lane.events import OrderEvent, events_of
from resources.operations import Operations

RESCAN_S = 5.0
"""A folder is listed when it changed, and at least this often: network folders may not tell that they changed."""


@dataclass(frozen=True)
class Ticket:
    """One order that a file told. ``source``: the file's name."""

    event: OrderEvent
    source: str


@dataclass
class TicketFolder:
    """One folder that tills drop files in. Asked again and again, it tells each whole file once.

    A file that the main job read before the snapshot was made is in the snapshot, and is not looked into.
    """

    connector: FilesConnector
    folder: Path
    streams: tuple[Stream, ...]
    _seen: set[str] = field(default_factory=set)
    _changed_ns: int = -1
    _listed_s: float = float("-inf")

    @classmethod
    def of(cls, connector: FilesConnector, folder: Path) -> TicketFolder | None:
        """The folder of a system whose feeds tell orders; None for one that has no such feed."""
        streams = tuple(stream for stream in connector.streams() if "order" in stream.entities)
        return cls(connector, folder, streams) if streams else None

    def skip_known(self, operations: Operations, *, before: datetime | None) -> None:
        """Leave out the files that the main job read before an instant: the snapshot has them."""
        if before is None:
            return
        for stream in self.streams:
            self._seen.update(
                receipt.name
                for receipt in operations.file_receipts(self.connector.system_code, stream.name)
                if receipt.outcome != "waiting" and receipt.seen_at < before
            )

    def fresh_names(self, *, monotonic_s: float) -> list[str]:
        """Names of the whole files that were not told yet. Costs one question to the system while nothing changes."""
        try:
            changed_ns = self.folder.stat().st_mtime_ns
        except FileNotFoundError:
            return []  # the folder of a till that never sold; it is looked for again
        if changed_ns == self._changed_ns and monotonic_s - self._listed_s < RESCAN_S:
            return []
        with os.scandir(self.folder) as entries:
            names = [entry.name.removesuffix(MARKER) for entry in entries if entry.name.endswith(MARKER)]
        self._changed_ns, self._listed_s = changed_ns, monotonic_s
        return sorted(name for name in names if name not in self._seen)

    def tickets(self, names: Sequence[str]) -> list[Ticket]:
        """The orders in these files, oldest file first. Rows that break their contract are left to the main job's quarantine.

        The files count as told when this returns. Raises what the connector raises: then none of them is.
        """
        found: list[Ticket] = []
        for stream in self.streams:
            found += self._of_stream(stream, names)
        self._seen.update(names)
        return found

    def _of_stream(self, stream: Stream, names: Sequence[str]) -> Iterator[Ticket]:
        frames: dict[str, list[pl.DataFrame]] = defaultdict(list)
        waiting: dict[str, list[Batch]] = defaultdict(list)
        for batch in self.connector.look_into(stream, names):
            if batch.part is not None:
                # A large file comes in pieces and is judged at its end.
                waiting[batch.part].append(batch)
                accepted = [end for end in batch.ends if end.outcome == "accepted"]
                taken = waiting.pop(batch.part) if accepted else []
            else:
                taken = [batch]
            for each in taken:
                for name, frame in each.frames.items():
                    frames[name].append(frame)
        orders = self._canonical("order", frames["order"])
        lines = self._canonical("order_line", frames["order_line"])
        if orders is None or lines is None:
            return
        source_of = {
            (system, order): position.partition(":")[0]
            for system, order, position in orders.select(
                "system_code", "order_external_id", "source_position"
            ).iter_rows()
        }
        for event in events_of(orders, lines):
            yield Ticket(event, source_of[event.key])

    def _canonical(self, name: str, frames: Sequence[pl.DataFrame]) -> pl.DataFrame | None:
        """Rows with their envelope that keep the contract."""
        filled = [frame for frame in frames if frame.height]
        if not filled:
            return None
        entity: Entity = entities()[name]
        frame = pl.concat(filled).with_columns(
            pl.lit(self.connector.system_code, pl.String).alias("system_code"),
            pl.lit("fast lane", pl.String).alias("extract_id"),
        )
        # Files of one look may tell the same order twice: the last one told holds, as it does in the warehouse.
        return split_by_contract(entity, frame.select(list(entity.polars_schema)), keeps_duplicates=True).good
