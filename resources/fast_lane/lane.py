"""The fast lane's decisions: from an order that was seen to the quantities that are put in the outbox, and from what shops answer.

One thread works on it. Belongs here: what is written and what is not, and why. Reading and sending are elsewhere.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from resources.fast_lane.book import ENDED, Book, Listing
from resources.fast_lane.events import OrderEvent
from resources.fast_lane.hinted import Shown
from resources.fast_lane.snapshot import Snapshot
from resources.operations import ExchangeEntry, Operations
from resources.operations.outbox import NewWrite
from resources.operations.receipts import Receipt

ENTITY, ATTRIBUTE, ORIGIN = "channel_stock", "published_qty", "fast_lane"
MINUTE = timedelta(minutes=1)
OVERLAP = timedelta(seconds=10)
"""How far back receipts are asked for again: they carry their writer's clock, and may be committed a little later."""

RECEIPTS_REMEMBERED = 20_000

LATEST_LISTED = timedelta(days=3)

Key = tuple[str, str]
"""(channel, item)."""


class Limits(Protocol):
    """How much the lane may do by itself; `resources.retailer.FastLane`."""

    @property
    def writes_per_minute_max(self) -> int: ...
    @property
    def zeros_per_minute_max(self) -> int: ...


@dataclass(frozen=True)
class Published:
    """What a channel shows of an item, as far as we know. ``at``: since when."""

    quantity: int
    at: datetime


@dataclass
class Counts:
    """What the lane did for a channel since it was last asked: writes put, their outcomes, listings left alone and why.

    ``latencies_s``: from the order being known here to its quantity being in the channel.
    """

    written: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    latencies_s: list[float] = field(default_factory=list)


class Lane:
    """A book, what channels show, and what was asked of them. ``writable``: system codes that can be written to."""

    def __init__(
        self,
        snapshot: Snapshot,
        *,
        operations: Operations,
        limits: Limits,
        writable: Iterable[str],
        clock: Callable[[], datetime],
        worker: str,
    ) -> None:
        self._operations = operations
        self._limits = limits
        self._writable = frozenset(writable)
        self._clock = clock
        self._worker = worker
        self._published: dict[Key, Published] = {}
        self._wanted: dict[Key, int] = {}
        self._recent: dict[str, deque[tuple[datetime, bool]]] = defaultdict(deque)
        self._stopped: dict[str, str] = {}
        self._stale: set[str] = set()
        self._doubtful: dict[Key, datetime] = {}
        self._receipts_from = clock() - OVERLAP
        self._read_receipts: set[int] = set()
        self._since: dict[Key, datetime] = {}
        self.counts: dict[str, Counts] = defaultdict(Counts)
        self.orders_qty = 0
        self.book = Book(snapshot)
        self._take_up()

    # -- what comes in -------------------------------------------------------------------------------------------------

    def renew(self, book: Book) -> set[str]:
        """Go on with a newer snapshot. Gives the channels that have something to be sent."""
        self.book = book
        self._stopped.clear()
        self._stale.clear()
        return self._take_up()

    def orders(self, events: Sequence[OrderEvent], *, source: str) -> set[str]:
        """Take in orders that were seen; each is kept before anything is decided. Gives the channels with something to send."""
        now = self._clock()
        before = {key: self.book.seen(key) for key in {event.key for event in events}}
        old = self.book.is_known(events)
        unknown = [event for event, is_known in zip(events, old, strict=True) if not is_known]
        kept = self._operations.lane.put([event.kept(source=source, seen_at=now) for event in unknown])
        fresh_keys = {(order.system_code, order.order_external_id) for order in kept}
        fresh = [event for event in unknown if event.key in fresh_keys]
        self.orders_qty += len(fresh)
        touched = self.book.apply(fresh, now=now)
        own: set[Key] = set()
        for event in fresh:
            own |= self._sold_by_itself(event, is_new=before[event.key] is None)
        return self._decide(touched, own=own)

    def shown(self, items: Sequence[Shown]) -> None:
        """Take in what channels showed when they were read. It corrects what we compare with, and writes nothing by itself.

        A shop may have sold what we have not heard of yet: to put its number up again would sell it twice.
        """
        for item in items:
            self._know((item.channel_code, item.external_id), item.published_qty, item.observed_at)

    def answers(self) -> set[str]:
        """Take in what came of every write since the last time, whoever asked for it. Gives the channels with more to send.

        What another hand wrote against an order that only the lane knows is put right; where a channel showed less than we
        thought and more is wanted, the lane waits until that shop's orders were read: see :meth:`orders_read`.
        """
        receipts = [
            receipt
            for receipt in self._operations.receipts.since(self._receipts_from)
            if receipt.receipt_id not in self._read_receipts
        ]
        self._read_receipts.update(receipt.receipt_id for receipt in receipts)
        if len(self._read_receipts) > 2 * RECEIPTS_REMEMBERED:
            self._read_receipts = set(sorted(self._read_receipts)[-RECEIPTS_REMEMBERED:])
        again: set[str] = set()
        forced: set[Key] = set()
        for receipt in receipts:
            self._receipts_from = max(self._receipts_from, receipt.written_at - OVERLAP)
            if receipt.entity != ENTITY or receipt.attribute != ATTRIBUTE:
                continue
            product = self._answer(receipt, forced)
            if product is not None:
                again.add(product)
        return self._decide(again, only=forced) if forced else set()

    def orders_read(self, system_code: str, *, from_at: datetime) -> set[str]:
        """A shop's orders were asked for at ``from_at``: what it showed before that is explained by now."""
        ready = {
            key
            for key, at in self._doubtful.items()
            if at <= from_at and self.book.channels[key[0]].system_code == system_code
        }
        for key in ready:
            del self._doubtful[key]
        products = {listing.product_id for key in ready if (listing := self.book.listing(*key)) is not None}
        return self._decide(products, only=ready) if ready else set()

    @property
    def doubtful_systems(self) -> set[str]:
        """Systems whose orders must be asked for before the lane goes on with some of their items."""
        return {self.book.channels[channel].system_code for channel, _ in self._doubtful}

    @property
    def stopped(self) -> Mapping[str, str]:
        """Channels that the lane leaves to the reconcile until the next snapshot, and why."""
        return dict(self._stopped)

    def published(self, channel_code: str, external_id: str) -> int | None:
        """What we take a channel to show of an item; None for an item that is not written."""
        listing = self.book.listing(channel_code, external_id)
        return None if listing is None else self._shows(listing).quantity

    def take_counts(self) -> dict[str, Counts]:
        """What was done per channel since the last time."""
        taken, self.counts = self.counts, defaultdict(Counts)
        return taken

    # -- inside --------------------------------------------------------------------------------------------------------

    def _take_up(self) -> set[str]:
        """Apply what is kept to a fresh book, forget what it holds, and look again at everything that is left."""
        kept = self._operations.lane.orders()
        events = [OrderEvent.of(order) for order in kept]
        known = self.book.is_known(events)
        self._operations.lane.retire([order for order, is_known in zip(kept, known, strict=True) if is_known])
        since_at = self.book.as_of_at - LATEST_LISTED
        for channel in self.book.channels.values():
            if not channel.is_web:
                continue
            for key, settled in self._operations.receipts.settled_since(
                channel.channel_code, since_at, entities=[ENTITY]
            ).items():
                if key[3] == ATTRIBUTE and isinstance(settled.value, int):
                    self._know((channel.channel_code, key[1]), settled.value, settled.at)
        touched = self.book.apply(
            [event for event, is_known in zip(events, known, strict=True) if not is_known], now=self._clock()
        )
        return self._decide(touched)

    def _sold_by_itself(self, event: OrderEvent, *, is_new: bool) -> set[Key]:
        """Items of the shop that took the order: it lowers its own number by itself, which we neither trust nor fight."""
        rule = self.book.channels.get(event.channel_code or "")
        if rule is None or not rule.is_web or rule.system_code != event.system_code:
            return set()
        own: set[Key] = set()
        for line in event.lines:
            key = (rule.channel_code, line.product_external_id or "")
            listing = self.book.listing(*key)
            if listing is None:
                continue
            own.add(key)
            shows = self._shows(listing)
            if is_new and not event.is_cancelled and event.status not in ENDED and shows.at < event.ordered_at:
                self._published[key] = Published(
                    shows.quantity - (line.quantity - line.cancelled_qty), event.ordered_at
                )
        return own

    def _decide(self, products: Iterable[str], *, own: Iterable[Key] = (), only: set[Key] | None = None) -> set[str]:
        """Put in the outbox what the listings of these products should show and do not.

        ``own``: items to be written whatever we think they show; ``only``: nothing but these.
        """
        now = self._clock()
        looked_at: dict[Key, Listing] = {
            (listing.channel_code, listing.external_id): listing for listing in self.book.listings(products)
        }
        for key in own:
            if (listing := self.book.listing(*key)) is not None:
                looked_at[key] = listing
        forced = set(own)
        writes: dict[str, list[NewWrite]] = defaultdict(list)
        for key, listing in looked_at.items():
            if only is not None and key not in only:
                continue
            write = self._write(listing, now, is_forced=key in forced)
            if write is not None:
                writes[listing.channel_code].append(write)
        sent: set[str] = set()
        for channel, of_channel in writes.items():
            if self._holds(channel, of_channel, now):
                continue
            self._operations.outbox.put(of_channel, now=now)
            for write in of_channel:
                if isinstance(write.after, int):
                    self._wanted[channel, write.external_id] = write.after
                    self._since.setdefault((channel, write.external_id), now)
            self.counts[channel].written += len(of_channel)
            sent.add(channel)
        return sent

    def _write(self, listing: Listing, now: datetime, *, is_forced: bool) -> NewWrite | None:
        key, rule = (listing.channel_code, listing.external_id), self.book.channels[listing.channel_code]
        expected = self.book.expected(listing.channel_code, listing.product_id)
        counts = self.counts[listing.channel_code]
        if expected.quantity is None or expected.oldest_as_of_at is None:
            counts.skipped["unknown"] += 1
            return None
        if rule.system_code not in self._writable:
            counts.skipped["not writable"] += 1
            return None
        if rule.stale_after is not None and now - expected.oldest_as_of_at > rule.stale_after:
            counts.skipped["stale"] += 1
            self._tell_stale(listing.channel_code, rule.system_code, expected.oldest_as_of_at, now)
            return None
        shows = self._shows(listing)
        believed = self._wanted.get(key, max(shows.quantity, 0))
        if not is_forced and believed == expected.quantity:
            return None
        return NewWrite(
            target=rule.system_code,
            channel_code=listing.channel_code,
            origin="fast_lane",
            plan_id=None,
            entity=ENTITY,
            external_id=listing.external_id,
            location_code="",
            attribute=ATTRIBUTE,
            before=shows.quantity,
            after=expected.quantity,
            product_id=listing.product_id,
            reason=expected.proof or "",
        )

    def _answer(self, receipt: Receipt, forced: set[Key]) -> str | None:
        """Take in one receipt; gives the product to look at again, its item added to ``forced``."""
        key = (receipt.channel_code, receipt.external_id)
        value = receipt.read_back if receipt.is_read_back else receipt.found
        if isinstance(value, int) and (receipt.is_read_back or receipt.is_found):
            self._know(key, value, receipt.written_at)
        if receipt.origin == ORIGIN:
            self.counts[receipt.channel_code].outcomes[receipt.outcome] += 1
            if receipt.outcome != "retry" and self._wanted.get(key) == receipt.after:
                del self._wanted[key]
                since_at = self._since.pop(key, None)
                if since_at is not None and receipt.outcome in ("applied", "unchanged"):
                    self.counts[receipt.channel_code].latencies_s.append(
                        (receipt.written_at - since_at).total_seconds()
                    )
        listing = self.book.listing(*key)
        if listing is None:
            return None
        expected = self.book.expected(listing.channel_code, listing.product_id).quantity
        if receipt.outcome == "moved" and receipt.origin == ORIGIN and isinstance(receipt.found, int):
            if expected == max(receipt.found, 0):
                return None
            is_less_than_thought = isinstance(receipt.before, int) and receipt.found < receipt.before
            if expected is not None and is_less_than_thought and expected > receipt.found:
                # Something was sold that we have not heard of: its orders first, or it would be sold again.
                self._doubtful[key] = receipt.written_at
                return None
            forced.add(key)
            return listing.product_id
        is_overwritten = receipt.origin != ORIGIN and receipt.is_read_back and value != expected
        if is_overwritten and expected is not None and self.book.is_moved(listing.product_id):
            forced.add(key)
            return listing.product_id
        return None

    def _shows(self, listing: Listing) -> Published:
        known = self._published.get((listing.channel_code, listing.external_id))
        if known is None or known.at < listing.observed_at:
            return Published(listing.published_qty, listing.observed_at)
        return known

    def _know(self, key: Key, quantity: int, at: datetime) -> None:
        known = self._published.get(key)
        if known is None or known.at <= at:
            self._published[key] = Published(quantity, at)

    # -- guards --------------------------------------------------------------------------------------------------------

    def _holds(self, channel: str, writes: Sequence[NewWrite], now: datetime) -> bool:
        """Whether a channel is left to the reconcile: too much at once is a mistake more often than a rush."""
        if channel in self._stopped:
            self.counts[channel].skipped["stopped"] += len(writes)
            return True
        recent = self._recent[channel]
        while recent and recent[0][0] <= now - MINUTE:
            recent.popleft()
        recent.extend((now, write.after == 0 and write.before != 0) for write in writes)
        zeros = sum(is_zero for _, is_zero in recent)
        for quantity, limit, what in (
            (len(recent), self._limits.writes_per_minute_max, "writes"),
            (zeros, self._limits.zeros_per_minute_max, "quantities set to zero"),
        ):
            if quantity > limit:
                reason = f"{quantity} {what} in a minute are more than {limit}"
                self._stopped[channel] = reason
                self.counts[channel].skipped["stopped"] += len(writes)
                self._journal(
                    channel,
                    writes[0].target,
                    f"stopped for {channel}: {reason}; the next sync of the channel decides",
                    "held",
                )
                return True
        return False

    def _tell_stale(self, channel: str, system: str, as_of_at: datetime, now: datetime) -> None:
        if channel not in self._stale:
            self._stale.add(channel)
            self._journal(
                channel,
                system,
                f"the stock of {channel} is as of {as_of_at.isoformat()}: too old to publish",
                "held",
                now,
            )

    def _journal(self, channel: str, system: str, detail: str, outcome: str, now: datetime | None = None) -> None:
        self._operations.add_exchange(
            ExchangeEntry(
                at=now or self._clock(),
                run_id=self._worker,
                system_code=system,
                stream=channel,
                kind="fast_lane",
                is_ok=False,
                detail=detail,
                direction="out",
                outcome=outcome,
            )
        )
