"""The seam of a connector that can be asked, in one cheap call, which rows of a stream changed: for shops without webhooks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from resources.connectors.sdk.stream import Stream


@dataclass(frozen=True)
class Changed:
    """What a system says changed. ``rows``: (id, instant of the change by its clock).

    ``server_at``: the system's clock when it was asked; None when it does not tell.
    """

    rows: tuple[tuple[str, datetime], ...]
    server_at: datetime | None


@runtime_checkable
class PollingConnector(Protocol):
    """A connector that can tell what changed without reading it."""

    def changed(self, stream: Stream, *, since_at: datetime) -> Changed:
        """Ids of the root rows that changed at ``since_at`` or later, by the system's own clock, with the instant of the change.

        One call, whatever the number of rows, unless they do not fit in one.
        """
        ...
