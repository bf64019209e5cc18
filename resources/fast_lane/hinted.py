"""Reads what shops hinted at: the rows themselves, by the connector that reads all of them, landed as any reading is.

Belongs here: which hints are read together, and what becomes of them. The word of a hint is never taken for the fact.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from resources.collecting import KeepsPersonalValues
from resources.connectors.sdk.stream import Connector, Stream
from resources.extract import run_extract
from resources.fast_lane.events import OrderEvent, events_of
from resources.landing import Landing
from resources.operations import ExchangeEntry, Manifest, Operations
from resources.operations.hints import Hint

IDS_PER_READING = 50


@dataclass(frozen=True)
class Shown:
    """What a channel showed of an item when it was read."""

    channel_code: str
    external_id: str
    published_qty: int
    observed_at: datetime


@dataclass(frozen=True)
class Answer:
    """What reading some hints gave. ``source``: the extract. ``is_good``: the rows were read and landed."""

    system_code: str
    stream: str
    source: str
    is_good: bool
    events: tuple[OrderEvent, ...] = ()
    shown: tuple[Shown, ...] = ()


class HintReader:
    """Reads the hints of one system. Not to be shared between threads."""

    def __init__(
        self,
        connector: Connector,
        *,
        operations: Operations,
        landing: Landing,
        pii: KeepsPersonalValues | None,
        clock: Callable[[], datetime],
        worker: str,
    ) -> None:
        self._connector = connector
        self._streams = {stream.name: stream for stream in connector.streams()}
        self._operations = operations
        self._landing = landing
        self._pii = pii
        self._clock = clock
        self._worker = worker
        self._in_flight: set[int] = set()

    @property
    def system_code(self) -> str:
        """The system it reads."""
        return self._connector.system_code

    def answer_due(self, streams: Collection[str]) -> Iterator[tuple[Answer, tuple[int, ...]]]:
        """Read what is hinted at and due in these streams: answers that hold, each with the ids of its hints.

        The hints are the caller's to mark as done, once it has kept the answer; until then they are not read again. A reading
        that fails leaves its hints waiting, longer each time.
        """
        due = self._operations.hints.due(now=self._clock(), system_code=self.system_code)
        self._in_flight &= {hint.hint_id for hint in due}
        by_stream: dict[str, list[Hint]] = {}
        for hint in due:
            if hint.stream in self._streams and hint.stream in streams and hint.hint_id not in self._in_flight:
                by_stream.setdefault(hint.stream, []).append(hint)
        for name, hints in by_stream.items():
            ids = list(dict.fromkeys(hint.external_id for hint in hints))
            for start in range(0, len(ids), IDS_PER_READING):
                chunk = ids[start : start + IDS_PER_READING]
                mine = [hint for hint in hints if hint.external_id in chunk]
                answer = self._answer(self._streams[name], chunk, mine)
                if answer.is_good:
                    hint_ids = tuple(hint.hint_id for hint in mine)
                    self._in_flight.update(hint_ids)
                    yield answer, hint_ids

    def read(self, stream: Stream, ids: Sequence[str]) -> tuple[Manifest, Answer]:
        """Read rows by id and land them."""
        manifest = run_extract(
            self._connector,
            stream,
            operations=self._operations,
            landing=self._landing,
            pii=self._pii,
            full=False,
            now=self._clock(),
            run_id=self._worker,
            ids=ids,
        )
        if not manifest.is_loadable:
            return manifest, Answer(self.system_code, stream.name, manifest.extract_id, is_good=False)
        orders, lines, stocks = (
            self._rows(manifest, name) if name in stream.entities else None
            for name in ("order", "order_line", "channel_stock")
        )
        return manifest, Answer(
            self.system_code,
            stream.name,
            manifest.extract_id,
            is_good=True,
            events=() if orders is None or lines is None else tuple(events_of(orders, lines)),
            shown=() if stocks is None else tuple(_shown(stocks)),
        )

    def _answer(self, stream: Stream, ids: Sequence[str], hints: Sequence[Hint]) -> Answer:
        manifest, answer = self.read(stream, ids)
        if answer.is_good:
            return answer
        error = manifest.error or f"the reading is {manifest.outcome}"
        for hint in self._operations.hints.failed(hints, error=error, now=self._clock()):
            self._operations.add_exchange(
                ExchangeEntry(
                    at=self._clock(),
                    run_id=self._worker,
                    system_code=self.system_code,
                    stream=stream.name,
                    kind="hint",
                    is_ok=False,
                    detail=f"{hint.topic} {hint.external_id} could not be read after {hint.attempts + 1} attempts: {error}; the next "
                    "reading of the stream covers it",
                    direction="in",
                    outcome="dead",
                )
            )
        return answer

    def _rows(self, manifest: Manifest, entity: str) -> pl.DataFrame | None:
        paths = self._operations.canonical_paths(manifest.extract_id, entity)
        return pl.concat([pl.read_parquet(path) for path in paths]) if paths else None


def _shown(stocks: pl.DataFrame) -> list[Shown]:
    known = stocks.filter(pl.col("published_qty").is_not_null())
    return [
        Shown(*row)
        for row in known.select("channel_code", "product_external_id", "published_qty", "observed_at").iter_rows()
    ]
