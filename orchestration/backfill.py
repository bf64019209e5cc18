"""Reading the history of a system by period, in several processes at once: used by `etalon backfill`.

Belongs here: cutting the days asked for into periods, and handing them to processes until all are read. What a process does with one is
`orchestration.backfill_worker`; from the UI, Dagster's own queue and launcher do the same with the same assets.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import IO, Literal, cast

from assets.periods import history_pools, period_of, period_streams
from assets.runtime import Runtime
from orchestration.instance import open_instance
from resources.errors import ConfigurationError, Where
from resources.operations.periods import is_covered

Length = Literal["day", "week", "month", "year"]
ATTEMPTS = 2
"""A period whose process was killed is read once more; one that failed says why, and another attempt would fail the same way."""


@dataclass(frozen=True)
class Chunk:
    """Days of one stream that are read as one period: from ``first`` to ``last``, both included."""

    system_code: str
    stream: str
    first: date
    last: date

    def __str__(self) -> str:
        return f"{self.system_code}.{self.stream} {self.first} to {self.last}"


@dataclass(frozen=True)
class ChunkDone:
    """What came of one. Quantities are source rows; ``cpu_s`` of the process ``pid``. ``run_id`` empty: it ended before it said."""

    chunk: Chunk
    is_complete: bool
    run_id: str = ""
    error: str = ""
    landed_qty: int = 0
    quarantined_qty: int = 0
    seconds: float = 0.0
    cpu_s: float = 0.0
    pid: int = 0


def plan(
    runtime: Runtime,
    system_code: str,
    streams: Sequence[str],
    *,
    first: date | None,
    last: date | None,
    length: Length,
    only_missing: bool,
) -> list[Chunk]:
    """The periods to read, newest first, streams in their declared order: what refers to others comes after them.

    ``streams``: empty for all that can be read by period. ``first`` None: the retailer's first day; ``last`` None: today.
    ``only_missing``: leave out those that complete readings by period cover already.
    Raises ConfigurationError for a stream that is unknown or can only be read whole, and for days in the wrong order.
    """
    runtime.retailer.system(system_code)  # an unknown one has a better message
    known = {stream.name for stream in period_streams(runtime.connectors[system_code])}
    if not known:
        raise ConfigurationError(
            f"no stream of {system_code} can be read by period",
            where=Where(system_code=system_code, field="--system"),
            action="`etalon systems` shows which can; this one is read whole, by `etalon run --full`",
        )
    for name in streams:
        if name not in known:
            raise ConfigurationError(
                f"{name} cannot be read by period",
                where=Where(system_code=system_code, field="--stream"),
                action=f"streams of {system_code} that can: {', '.join(sorted(known)) or 'none'}",
            )
    history_from = runtime.retailer.identity.history_from
    today = runtime.settings.clock()().astimezone(UTC).date()
    first, last = max(first or history_from, history_from), min(last or today, today)
    if first > last:
        raise ConfigurationError(
            f"there is no day from {first} to {last}",
            where=Where(field="--from"),
            action=f"choose days between {history_from} (`history_from` in retailer.yaml) and today, {today}",
        )
    names = [
        stream.name for stream in period_streams(runtime.connectors[system_code]) if stream.name in (streams or known)
    ]
    cut = sorted(_cut(first, last, length), reverse=True)
    found = [Chunk(system_code, name, *days) for name in names for days in cut]
    return [chunk for chunk in found if not _is_read(runtime, chunk)] if only_missing else found


def read_chunks(
    runtime: Runtime,
    chunks: Sequence[Chunk],
    environ: Mapping[str, str],
    *,
    processes: int,
    on_done: Callable[[ChunkDone], None] = lambda _done: None,
) -> list[ChunkDone]:
    """Read all of them, ``processes`` at a time, each process taking the next one when it is done with its own.

    ``environ``: what the processes get; they work on the data folder that it names. A process that is killed is replaced, and its
    period read once more. Gives what came of each, in the order in which they ended.
    """
    with open_instance(runtime.settings.dagster_dir, runtime.settings.postgres_url, pools=history_pools(runtime)):
        pass  # made here once: processes that make one's tables at the same time are in each other's way
    waiting = deque((chunk, 1) for chunk in chunks)
    ended: list[ChunkDone] = []
    one_at_a_time = threading.Lock()
    is_over = threading.Event()

    def told(done: ChunkDone) -> None:
        with one_at_a_time:
            ended.append(done)
            on_done(done)

    def work() -> None:
        reader: Reader | None = None
        try:
            while not is_over.is_set():
                try:
                    chunk, attempt = waiting.popleft()
                except IndexError:
                    return
                reader = reader or Reader(environ)
                done = reader.read(chunk)
                if done is not None:
                    told(done)
                    continue
                code, reader = reader.end(), None
                if attempt < ATTEMPTS:
                    waiting.append((chunk, attempt + 1))
                else:
                    told(
                        ChunkDone(
                            chunk,
                            False,
                            error=f"its process ended with code {code} before it was read, {ATTEMPTS} times",
                        )
                    )
        finally:
            if reader is not None:
                reader.end()

    quantity = max(1, min(processes, len(chunks)))
    with ThreadPoolExecutor(quantity) as pool:
        workers = [pool.submit(work) for _ in range(quantity)]
        try:
            for worker in as_completed(workers):
                worker.result()
        finally:
            # Somebody who interrupts this (whose processes are interrupted with it) does not mean the next period.
            is_over.set()
    return ended


class Reader:
    """One process that reads periods, one after the other."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "orchestration.backfill_worker"],
            env=dict(environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._asked, self._answers = cast("IO[str]", self._process.stdin), cast("IO[str]", self._process.stdout)

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def read(self, chunk: Chunk) -> ChunkDone | None:
        """Have it read a period. None when the process ended before it said what came of it."""
        try:
            self._asked.write(json.dumps(asdict(chunk), default=str) + "\n")
            self._asked.flush()
        except BrokenPipeError:
            return None
        answer = self._answers.readline()
        return ChunkDone(chunk, **json.loads(answer)) if answer.endswith("\n") else None

    def end(self) -> int:
        """Let it end; its exit code."""
        with suppress(BrokenPipeError):  # it ended with a line of ours unread
            self._asked.close()
        code = self._process.wait()
        self._answers.close()
        return code


def _cut(first: date, last: date, length: Length) -> Iterator[tuple[date, date]]:
    """Days from ``first`` to ``last`` cut where weeks (on Mondays), months or years begin."""
    start = first
    while start <= last:
        end = min(_last_of(start, length), last)
        yield start, end
        start = end + timedelta(days=1)


def _last_of(day: date, length: Length) -> date:
    """The last day of the week, month or year that a day is in."""
    if length == "day":
        return day
    if length == "week":
        return day + timedelta(days=6 - day.weekday())
    if length == "year":
        return date(day.year, 12, 31)
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1) - timedelta(days=1)


def _is_read(runtime: Runtime, chunk: Chunk) -> bool:
    period = period_of(runtime, midnight(chunk.first), midnight(chunk.last) + timedelta(days=1))
    return is_covered(runtime.operations.periods.covered(chunk.system_code, chunk.stream), period.from_at, period.to_at)


def midnight(day: date) -> datetime:
    """When a day begins in UTC."""
    return datetime.combine(day, time(0), UTC)
