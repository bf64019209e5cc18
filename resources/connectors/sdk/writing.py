"""The seam between a connector that writes and the rest of Étalon: what is asked of it, and what it answers.

Values are canonical, as JSON holds them, whatever the system's own form is:

================  ===============  =============================================================================================
entity            attribute        value
================  ===============  =============================================================================================
channel_stock     published_qty    whole units, 0 or more
channel_price     regular_minor    price for one unit, VAT included, minor units of the channel's currency
channel_price     promotion        ``{"minor": 1490, "starts_at": "2026-05-01T00:00:00Z" or null, "ends_at": … or null}``, VAT
                                   included, window [start, end) in UTC; null: no promotion, so clear what is there
channel_price     is_published     whether a buyer can buy the item
order             shipment         ``{"status": "payable" or "shipped", "tracking_number": "6A123" or null}``
================  ===============  =============================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from resources.connectors.sdk.stream import Reading, Stream, WriteCapability

JsonValue: TypeAlias = int | bool | str | Mapping[str, "JsonValue"] | None

WriteOutcome = Literal["applied", "unchanged", "moved", "refused", "retry", "not_kept"]


@dataclass(frozen=True)
class Write:
    """One value to write: ``before`` is what the plan was made on, ``after`` what is wanted.

    ``key`` names the write (its idempotency key) and comes back with its result. ``external_id`` is the item or order as the
    system names it; ``location_code`` is empty where the system has one quantity for all.
    """

    key: str
    entity: str
    external_id: str
    attribute: str
    before: JsonValue
    after: JsonValue
    location_code: str = ""


@dataclass(frozen=True)
class WriteResult:
    """What became of one write.

    `applied`: written, and read back as wanted. `unchanged`: it was already so, nothing was sent. `moved`: it is neither what
    the plan was made on nor what is wanted, nothing was sent. `refused`: the system will never take it. `retry`: it may take it
    later. `not_kept`: the system said yes, and a reading shows something else.
    ``found``: the value read just before; ``read_back``: the one read after; None where there was no such reading.
    ``reason``: the system's own words, secrets removed; ``is_found`` and ``is_read_back`` tell a null value from no reading.
    """

    key: str
    outcome: WriteOutcome
    found: JsonValue = None
    read_back: JsonValue = None
    is_found: bool = False
    is_read_back: bool = False
    reason: str = ""
    request_id: str | None = None
    retry_after_s: float | None = None


@runtime_checkable
class WritingConnector(Protocol):
    """What a connector adds that writes back."""

    system_code: str

    def writes(self) -> tuple[WriteCapability, ...]:
        """Everything it can write."""
        ...

    def write(self, writes: Sequence[Write], *, now: datetime) -> list[WriteResult]:
        """Compare, write, and read back; one result per write, in the order asked.

        Reads the present values just before writing (all items of a request at once), leaves alone what moved, writes in
        requests as large as the system takes, and reads everything written once more. Never raises for a single item; raises
        RetryableError or PermanentError only when nothing at all was sent. A failure after something was sent is told per item.
        """
        ...


@runtime_checkable
class TargetedConnector(Protocol):
    """A connector that can read single rows of a stream again: what a webhook named, what was just written."""

    def read_ids(self, stream: Stream, external_ids: Sequence[str], *, now: datetime) -> Reading:
        """Read these root rows of a stream (an item `12-34` reads its product). What no longer exists is simply absent.

        The reading is never full, and moves no cursor.
        """
        ...
