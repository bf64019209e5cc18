"""A shop in memory that is written through the connector's seam, with every way in which a write can go wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from resources.connectors.sdk.stream import WriteCapability
from resources.connectors.sdk.writing import JsonValue, Write, WriteOutcome, WriteResult
from resources.errors import EtalonError

Place = tuple[str, str, str]
"""(entity, external id, attribute)."""


class Killed(BaseException):
    """The process ended here: nothing catches it."""


@dataclass
class FakeShop:
    """What the shop holds, and how it misbehaves.

    ``refuses``: places it never takes, with its words. ``busy``: places that answer `retry` so many times. ``rounds``: places where
    it keeps something else than what was written. ``error``: raised before anything is sent. ``before_write``: called after the
    comparison and before the write of each place, for races. ``dies_after``: how many writes until the process is killed, after the
    write reached the shop and before anybody heard of it.
    """

    system_code: str = "shop"
    values: dict[Place, JsonValue] = field(default_factory=dict)
    refuses: dict[Place, str] = field(default_factory=dict)
    busy: dict[Place, int] = field(default_factory=dict)
    rounds: dict[Place, JsonValue] = field(default_factory=dict)
    error: EtalonError | None = None
    before_write: Callable[[Write], None] | None = None
    dies_after: int | None = None
    written: list[tuple[Place, JsonValue]] = field(default_factory=list)
    calls: int = 0

    def writes(self) -> tuple[WriteCapability, ...]:
        """Stock and prices."""
        return (
            WriteCapability("channel_stock", "published_qty", False),
            WriteCapability("channel_price", "regular_minor", False),
        )

    def write(self, writes: Sequence[Write], *, now: datetime) -> list[WriteResult]:  # noqa: ARG002
        """Compare, write, read back, as a connector promises."""
        self.calls += 1
        if self.error is not None:
            raise self.error
        return [self._one(write) for write in writes]

    def _one(self, write: Write) -> WriteResult:
        place = (write.entity, write.external_id, write.attribute)
        found = self.values.get(place)
        if found == write.after:
            return WriteResult(write.key, "unchanged", found=found, is_found=True)
        if found != write.before:
            return WriteResult(write.key, "moved", found=found, is_found=True)
        if self.busy.get(place, 0):
            self.busy[place] -= 1
            return WriteResult(write.key, "retry", found=found, is_found=True, reason="503 Service Unavailable")
        if place in self.refuses:
            return WriteResult(
                write.key, "refused", found=found, is_found=True, reason=self.refuses[place], request_id="req-1"
            )
        if self.before_write is not None:
            self.before_write(write)
        kept = self.rounds.get(place, write.after)
        self.values[place] = kept
        self.written.append((place, write.after))
        if self.dies_after is not None:
            self.dies_after -= 1
            if self.dies_after <= 0:
                raise Killed
        outcome: WriteOutcome = "applied" if kept == write.after else "not_kept"
        reason = "" if outcome == "applied" else "the shop says yes and shows something else"
        return WriteResult(
            write.key, outcome, found=found, is_found=True, read_back=kept, is_read_back=True, reason=reason
        )
