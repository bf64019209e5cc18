"""The fast lane's worker: a long-lived process that sees sales, decides and writes. It never opens the warehouse.

::

    tickets ----.                         .--> writer of each shop --.
    shops ------+--> the lane (one thread)+                          |
    snapshots --'         ^               '--> reporter              |
                          '------------------------------------------'

Belongs here: threads, and what runs when. What is decided is in `resources.fast_lane`.
"""

from __future__ import annotations

import fcntl
import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from assets.runtime import Runtime
from assets.stock_book import lane_channels, lane_materialization
from orchestration.instance import open_instance
from resources.connectors.files import FilesConnector
from resources.connectors.registry import build_connector
from resources.connectors.sdk.polling import PollingConnector
from resources.connectors.sdk.stream import Connector, Stream
from resources.connectors.sdk.writing import TargetedConnector, WritingConnector
from resources.errors import ConfigurationError, EtalonError, PermanentError, Where
from resources.fast_lane.book import Book
from resources.fast_lane.doorbell import Doorbell
from resources.fast_lane.hinted import Answer, HintReader
from resources.fast_lane.lane import Counts, Lane
from resources.fast_lane.snapshot import current_version, folder_of, load
from resources.fast_lane.tickets import Ticket, TicketFolder
from resources.operations import ExchangeEntry
from resources.privacy import Tokeniser
from resources.retailer import Channel, FilesSystem
from resources.sync.applying import apply_pending

TICKETS_EVERY_S = 0.05
HINTS_EVERY_S = 0.02
LOOK_EVERY_S = 0.25
"""How often the store is asked for hints when the receiver has not rung: for those that wait, and those of another machine."""

ITEMS_EVERY_S = 1.0
SNAPSHOT_EVERY_S = 0.5
RETRIES_EVERY_S = 2.0
REPORT_EVERY_S = 5.0
ANSWERS_EVERY_S = 1.0
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 60.0
POLL_OVERLAP = timedelta(seconds=2)
"""Shops tell changes in whole seconds: what changed in the second of the last question is asked for again."""

LEASE_S = 20.0
"""How long a write may take before another worker takes it over; one shop answers within."""

IDS_AT_ONCE = 50
NAME = "fast_lane"


@dataclass(frozen=True)
class Tickets:
    """Orders that files told."""

    tickets: tuple[Ticket, ...]


@dataclass(frozen=True)
class Answered:
    """Rows of a shop that were read."""

    answer: Answer
    hint_ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class OrdersRead:
    """A shop was asked for its orders at an instant, and what it named was read."""

    system_code: str
    from_at: datetime


@dataclass(frozen=True)
class Sent:
    """Writes were settled."""


@dataclass(frozen=True)
class NewBook:
    """A newer snapshot was read."""

    book: Book


Message = Tickets | Answered | OrdersRead | Sent | NewBook
Told = Callable[[str], None]


class Worker:
    """One worker of one retailer. :meth:`run` returns when ``stop`` is set, with everything told that was done.

    Raises ConfigurationError when the lane is off, and PermanentError when another worker works on the same data folder.
    """

    def __init__(self, runtime: Runtime, *, stop: threading.Event, told: Told = lambda text: None) -> None:
        if not runtime.retailer.fast_lane.is_on:
            raise ConfigurationError(
                "the fast lane is off",
                where=Where(file="retailer.yaml", field="fast_lane.is_on"),
                action="write `fast_lane: {is_on: true}`",
            )
        self._runtime = runtime
        self._settings = runtime.retailer.fast_lane
        self._stop = stop
        self._told = told
        self._clock = runtime.settings.clock()
        self._operations = runtime.operations
        self.name = f"{NAME}@{socket.gethostname()}"
        self._worker = f"{self.name}:{os.getpid()}"
        self._inbox: queue.Queue[Message] = queue.Queue()
        self._reports: queue.Queue[tuple[Mapping[str, Counts], Mapping[str, str]]] = queue.Queue()
        self._wake_writer: dict[str, threading.Event] = {}
        self._ask_orders: dict[str, threading.Event] = {}
        self._broken: list[BaseException] = []
        self._started_at = datetime.now(UTC)

    def run(self) -> None:
        """Work until told to stop."""
        with self._alone():
            lane = self._open_lane()
            if lane is None:
                now = datetime.now(UTC)
                self._operations.lane.beat(
                    self.name, started_at=self._started_at, now=now, ended_at=now, detail={"waiting for": "stock book"}
                )
                return
            threads = self._threads(lane)
            for thread in threads:
                thread.start()
            self._beat(lane)
            self._told(
                f"{len(lane.book.channels)} channels, {lane.orders_qty} orders since {lane.book.as_of_at:%H:%M:%S}"
            )
            try:
                for channel in self._channels:
                    self._wake_writer[channel.system].set()  # what a worker before us left behind
                self._work(lane)
            finally:
                self._stop.set()
                for event in (*self._wake_writer.values(), *self._ask_orders.values()):
                    event.set()
                for thread in threads:
                    thread.join(timeout=60)
                self._drain(lane)
                self._beat(lane, ended=True)
        if self._broken:
            raise self._broken[0]

    # -- the lane's own thread -----------------------------------------------------------------------------------------

    def _work(self, lane: Lane) -> None:
        report_s = answers_s = time.monotonic()
        while not self._stop.is_set():
            try:
                message = self._inbox.get(timeout=0.2)
            except queue.Empty:
                pass
            else:
                self._take(lane, message)
            now_s = time.monotonic()
            if now_s - answers_s >= ANSWERS_EVERY_S:
                answers_s = now_s
                self._send(lane, lane.answers())  # what the reconcile wrote concerns us too
                self._ask(lane)
            if now_s - report_s >= REPORT_EVERY_S:
                report_s = now_s
                self._report(lane)

    def _take(self, lane: Lane, message: Message) -> None:
        match message:
            case Tickets(tickets):
                by_source: dict[str, list[Ticket]] = {}
                for ticket in tickets:
                    by_source.setdefault(ticket.source, []).append(ticket)
                for source, of_file in by_source.items():
                    self._send(lane, lane.orders([ticket.event for ticket in of_file], source=source))
            case Answered(answer, hint_ids):
                self._send(lane, lane.orders(answer.events, source=answer.source))
                lane.shown(answer.shown)
                self._operations.hints.done(hint_ids, now=self._clock())
            case OrdersRead(system_code, from_at):
                self._send(lane, lane.orders_read(system_code, from_at=from_at))
            case Sent():
                self._send(lane, lane.answers())
                self._ask(lane)
            case NewBook(book):
                self._send(lane, lane.renew(book))
                self._told(f"stock book of {book.as_of_at:%Y-%m-%d %H:%M:%S}")

    def _send(self, lane: Lane, channels: set[str]) -> None:
        for channel in channels:
            self._wake_writer[lane.book.channels[channel].system_code].set()

    def _ask(self, lane: Lane) -> None:
        for system in lane.doubtful_systems:
            if system in self._ask_orders:
                self._ask_orders[system].set()

    def _drain(self, lane: Lane) -> None:
        """Keep what was seen before the end: nothing that a thread has told may be lost with it."""
        while True:
            try:
                message = self._inbox.get_nowait()
            except queue.Empty:
                break
            if not isinstance(message, NewBook):
                self._take(lane, message)
        self._report(lane)

    def _report(self, lane: Lane) -> None:
        counts = lane.take_counts()
        if counts:
            self._reports.put((counts, lane.stopped))
        self._beat(lane)

    def _beat(self, lane: Lane, *, ended: bool = False) -> None:
        now = datetime.now(UTC)
        self._operations.lane.beat(
            self.name,
            started_at=self._started_at,
            now=now,
            ended_at=now if ended else None,
            detail={
                "pid": os.getpid(),
                "orders": lane.orders_qty,
                "book": lane.book.version,
                "stopped": dict(lane.stopped),
                "waiting": self._inbox.qsize(),
            },
        )

    # -- starting ------------------------------------------------------------------------------------------------------

    @contextmanager
    def _alone(self) -> Iterator[None]:
        folder = folder_of(self._runtime.settings.data_dir)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "worker.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise PermanentError(
                    "another worker works on this data folder",
                    where=Where(file=str(folder)),
                    action="stop it first: two would count the same sale on two books",
                ) from error
            yield

    def _open_lane(self) -> Lane | None:
        """The lane on the first snapshot there is; None when told to stop before there is one."""
        is_told = False
        while not self._stop.is_set():
            snapshot = load(self._runtime.settings.data_dir)
            if snapshot is not None:
                return Lane(
                    snapshot,
                    operations=self._operations,
                    limits=self._settings,
                    writable=[channel.system for channel in self._channels],
                    clock=self._clock,
                    worker=self._worker,
                )
            if not is_told:
                self._told("no stock book yet: waiting for the main job")
                is_told = True
            self._operations.lane.beat(
                self.name, started_at=self._started_at, now=datetime.now(UTC), detail={"waiting for": "stock book"}
            )
            self._stop.wait(SNAPSHOT_EVERY_S)
        return None

    @property
    def _channels(self) -> list[Channel]:
        return lane_channels(self._runtime)

    def _threads(self, lane: Lane) -> list[threading.Thread]:
        loops: list[tuple[str, Callable[[], None]]] = [
            ("snapshots", self._watch_snapshots(lane.book.version)),
            ("reporter", self._report_loop),
        ]
        followed = self._settings.systems
        for system in self._runtime.retailer.systems:
            if followed is not None and system.code not in followed:
                continue
            connector = self._connector(system.code)
            if isinstance(system, FilesSystem) and system.role == "pos" and isinstance(connector, FilesConnector):
                folder = TicketFolder.of(connector, Path(system.folder))
                if folder is not None:
                    folder.skip_known(self._operations, before=lane.book.as_of_at)
                    loops.append((f"tickets of {system.code}", self._watch_tickets(folder)))
            elif isinstance(connector, TargetedConnector):
                self._ask_orders[system.code] = threading.Event()
                has_webhooks = getattr(system, "webhook_secret", None) is not None
                loops += [
                    (
                        f"orders of {system.code}",
                        self._follow_orders(connector, lane.book.as_of_at, has_webhooks=has_webhooks),
                    ),
                    (f"items of {system.code}", self._follow_items(self._connector(system.code))),
                ]
        for code in dict.fromkeys(channel.system for channel in self._channels):
            writer = self._connector(code)
            if isinstance(writer, WritingConnector):
                self._wake_writer[code] = threading.Event()
                loops.append((f"writer of {code}", self._write_loop(writer)))
        return [threading.Thread(target=self._guarded(loop), name=name, daemon=True) for name, loop in loops]

    def _connector(self, code: str) -> Connector:
        """A connector of its own for each thread: none of them waits for another one's connection."""
        return build_connector(
            self._runtime.retailer.system(code),
            retailer=self._runtime.retailer,
            tokeniser=Tokeniser(self._runtime.settings.secret_key),
            clock=self._clock,
        )

    def _guarded(self, loop: Callable[[], None]) -> Callable[[], None]:
        """A programming error in one thread ends the worker: half a worker would look alive."""

        def run() -> None:
            try:
                loop()
            except BaseException as error:  # noqa: BLE001  it is raised again by run()
                self._broken.append(error)
                self._stop.set()

        return run

    # -- what is watched -----------------------------------------------------------------------------------------------

    def _watch_snapshots(self, version: str) -> Callable[[], None]:
        def loop() -> None:
            known = version
            while not self._stop.wait(SNAPSHOT_EVERY_S):
                found = current_version(self._runtime.settings.data_dir)
                if found is None or found == known:
                    continue
                snapshot = load(self._runtime.settings.data_dir)
                if snapshot is not None:
                    known = snapshot.version
                    self._inbox.put(NewBook(Book(snapshot)))

        return loop

    def _watch_tickets(self, folder: TicketFolder) -> Callable[[], None]:
        def loop() -> None:
            wait = Wait()
            while not self._stop.wait(TICKETS_EVERY_S):
                names = folder.fresh_names(monotonic_s=time.monotonic())
                if not names:
                    continue
                try:
                    tickets = folder.tickets(names)
                except EtalonError as error:
                    self._journal(folder.connector.system_code, error)
                    self._stop.wait(wait.longer())
                    continue
                wait.reset()
                if tickets:
                    self._inbox.put(Tickets(tuple(tickets)))

        return loop

    def _reader(self, connector: Connector) -> HintReader:
        return HintReader(
            connector,
            operations=self._operations,
            landing=self._runtime.landing,
            pii=self._runtime.personal,
            clock=self._clock,
            worker=self._worker,
        )

    def _follow_items(self, connector: Connector) -> Callable[[], None]:
        """What a shop says of its items: read at leisure, and never before its orders."""
        streams = {stream.name for stream in connector.streams() if "channel_stock" in stream.entities}
        reader = self._reader(connector)

        def loop() -> None:
            while not self._stop.wait(ITEMS_EVERY_S):
                for answer, hint_ids in reader.answer_due(streams):
                    self._inbox.put(Answered(answer, hint_ids))

        return loop

    def _follow_orders(self, connector: Connector, since_at: datetime, *, has_webhooks: bool) -> Callable[[], None]:
        orders = next((stream for stream in connector.streams() if "order" in stream.entities), None)
        streams = set() if orders is None else {orders.name}
        reader = self._reader(connector)
        asked = self._ask_orders[connector.system_code]
        bell = Doorbell(folder_of(self._runtime.settings.data_dir))
        every_s = (self._settings.check_ms if has_webhooks else self._settings.poll_ms) / 1000

        def loop() -> None:
            poll = Poll(since_at - timedelta(minutes=10))
            wait, next_s, look_s = Wait(), 0.0, 0.0
            while not self._stop.is_set():
                if bell.has_rung() or time.monotonic() >= look_s:
                    look_s = time.monotonic() + LOOK_EVERY_S
                    for answer, hint_ids in reader.answer_due(streams):
                        self._inbox.put(Answered(answer, hint_ids))
                is_due = asked.is_set() or time.monotonic() >= next_s
                if is_due and orders is not None and isinstance(connector, PollingConnector):
                    asked.clear()
                    try:
                        self._poll(connector, orders, reader, poll)
                        wait.reset()
                        next_s = time.monotonic() + every_s
                    except EtalonError as error:
                        self._journal(connector.system_code, error)
                        next_s = time.monotonic() + max(every_s, wait.longer())
                self._stop.wait(min(HINTS_EVERY_S, every_s))

        return loop

    def _poll(self, connector: PollingConnector, orders: Stream, reader: HintReader, poll: Poll) -> None:
        """Ask what changed, and read what was not read in that state."""
        from_at = self._clock()
        changed = connector.changed(orders, since_at=poll.since_at)
        ids = poll.unread(changed.rows, changed.server_at or from_at)
        for start in range(0, len(ids), IDS_AT_ONCE):
            chunk = ids[start : start + IDS_AT_ONCE]
            _, answer = reader.read(orders, chunk)
            if answer.is_good:
                self._inbox.put(Answered(answer))
                poll.was_read(chunk)
            else:
                for external_id in chunk:
                    self._operations.hints.add(
                        reader.system_code,
                        orders.name,
                        external_id,
                        origin="poll",
                        topic="order.changed",
                        delivery_id=None,
                        now=self._clock(),
                        wait_s=FIRST_WAIT_S,
                    )
                poll.was_read(chunk)
        poll.ended(changed.server_at or from_at)
        self._inbox.put(OrdersRead(reader.system_code, from_at))

    # -- what is sent --------------------------------------------------------------------------------------------------

    def _write_loop(self, connector: WritingConnector) -> Callable[[], None]:
        wake = self._wake_writer[connector.system_code]

        def loop() -> None:
            while not self._stop.is_set():
                wake.wait(RETRIES_EVERY_S)
                wake.clear()
                if self._stop.is_set():
                    return
                summary = apply_pending(
                    connector,
                    self._operations,
                    clock=self._clock,
                    worker=self._worker,
                    origins=("fast_lane",),
                    lease_s=LEASE_S,
                    run_id=self._worker,
                )
                if summary.results:
                    self._inbox.put(Sent())

        return loop

    def _report_loop(self) -> None:
        """Tell Dagster's catalog what was done, a few seconds' worth at a time: it is slow, and nobody waits for it."""
        settings = self._runtime.settings
        with open_instance(settings.dagster_dir, settings.postgres_url) as instance:
            while True:
                try:
                    counts, stopped = self._reports.get(timeout=0.5)
                except queue.Empty:
                    if self._stop.is_set():
                        return
                    continue
                for channel, done in sorted(counts.items()):
                    event = lane_materialization(channel, done, stopped=stopped.get(channel))
                    instance.report_runless_asset_event(event)

    def _journal(self, system_code: str, error: EtalonError) -> None:
        self._operations.add_exchange(
            ExchangeEntry(
                at=self._clock(),
                run_id=self._worker,
                system_code=system_code,
                stream=error.where.stream,
                kind="fast_lane",
                is_ok=False,
                detail=str(error),
                direction="in",
                outcome="retry",
                request_id=error.where.request_id,
                file=error.where.file,
                line=error.where.line,
            )
        )


class Wait:
    """Seconds to wait after a failure: twice as long each time."""

    def __init__(self) -> None:
        self._next_s = FIRST_WAIT_S

    def longer(self) -> float:
        """The wait after one more failure."""
        self._next_s, wait_s = min(LONGEST_WAIT_S, self._next_s * 2), self._next_s
        return wait_s

    def reset(self) -> None:
        """It works again."""
        self._next_s = FIRST_WAIT_S


class Poll:
    """Where asking a shop for changes stands. Stamps are whole seconds: a state is read at once, and again when its second is over."""

    def __init__(self, since_at: datetime) -> None:
        self.since_at = since_at
        self._done: dict[str, datetime] = {}
        self._early: dict[str, datetime] = {}
        self._asked: dict[str, datetime] = {}
        self._server_at = since_at

    def unread(self, rows: tuple[tuple[str, datetime], ...], server_at: datetime) -> list[str]:
        """Ids that changed since they were last read for good."""
        self._server_at = server_at
        self._asked = {
            external_id: at
            for external_id, at in rows
            if self._done.get(external_id) != at and (self._early.get(external_id) != at or self._is_over(at))
        }
        return list(self._asked)

    def _is_over(self, at: datetime) -> bool:
        return self._server_at > at + timedelta(seconds=1)

    def was_read(self, ids: list[str]) -> None:
        """These were read; those whose second was over by the shop's clock need no further reading."""
        for external_id in ids:
            at = self._asked[external_id]
            (self._done if self._is_over(at) else self._early)[external_id] = at

    def ended(self, server_at: datetime) -> None:
        """The next question starts a little before this one was asked."""
        self.since_at = server_at - POLL_OVERLAP
        recent = self.since_at - POLL_OVERLAP
        self._done = {external_id: at for external_id, at in self._done.items() if at >= recent}
        self._early = {external_id: at for external_id, at in self._early.items() if at >= recent}
