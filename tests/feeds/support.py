"""A dropped file and what reading it gives: rows, refusals and how the file ended."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from resources.connectors.files import FilesConnector
from resources.connectors.sdk.feed import FEEDS_DIR, Feed, load_feeds
from resources.connectors.sdk.stream import PartEnd, Reject, SeenFile
from resources.privacy import Tokeniser

NOW = datetime(2026, 5, 18, 10, tzinfo=UTC)
KEY = b"0123456789abcdef0123456789abcdef"


@dataclass(frozen=True)
class Read:
    """What came of a reading. ``rejects`` in the order of their lines."""

    frames: dict[str, pl.DataFrame]
    rejects: list[Reject]
    ends: list[PartEnd]
    notes: list[str]
    faults: list[str]

    def rows(self, entity: str, *columns: str) -> list[tuple[Any, ...]]:
        """Rows of an entity, only these columns."""
        return self.frames[entity].select(columns).rows() if entity in self.frames else []

    def refused(self) -> list[tuple[int | None, int | None, str]]:
        """(line, column, rule) of each refusal."""
        return [(reject.line, reject.column, reject.rule) for reject in self.rejects]

    def outcomes(self) -> list[tuple[str, str]]:
        """(file, outcome) in the order of the names."""
        return sorted((end.name, end.outcome) for end in self.ends)


def drop(folder: Path, name: str, data: bytes, *, marker: dict[str, Any] | None = None) -> Path:
    """Drop a file with its marker; ``marker`` adds to or replaces what the marker says."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(data)
    content = {"sha256": hashlib.sha256(data).hexdigest(), **(marker or {})}
    (folder / f"{name}.done").write_text(json.dumps(content))
    return path


def connector(folder: Path, *feeds: str | Feed, **options: Any) -> FilesConnector:
    """A connector of one system that drops these feeds."""
    declared = load_feeds(FEEDS_DIR)
    return FilesConnector(
        options.pop("system_code", "sys"),
        folder,
        [declared[feed] if isinstance(feed, str) else feed for feed in feeds],
        time_zone=options.pop("time_zone", "Europe/Paris"),
        tokeniser=Tokeniser(KEY),
        **options,
    )


def read(folder: Path, feed: str | Feed, *, seen: Sequence[SeenFile] = (), **options: Any) -> Read:
    """Read what is in a folder, as the extract would; rows of refused files are taken out."""
    reader = connector(folder, feed, **options)
    reading = reader.read_files(reader.streams()[0], seen=seen, now=NOW)
    frames: dict[str, list[pl.DataFrame]] = {}
    rejects: list[Reject] = []
    ends: list[PartEnd] = []
    for batch in reading.batches:
        for entity, frame in batch.frames.items():
            frames.setdefault(entity, []).append(frame)
        rejects += batch.rejects
        ends += batch.ends
    refused = {end.name for end in ends if end.outcome == "refused"}
    whole = {
        entity: pl.concat(parts).filter(~pl.col("source_position").str.split(":").list.first().is_in(list(refused)))
        for entity, parts in frames.items()
    }
    kept = [reject for reject in rejects if reject.position.partition(":")[0] not in refused]
    return Read(
        whole,
        sorted(kept, key=lambda r: (r.position.partition(":")[0], r.line or 0)),
        ends,
        [*reading.notes],
        [*reading.faults],
    )
